// Tables of the model that the mock server answers with, and its people and elders.
export const METRICS = [
  [1, "heart_rate", "心率", "Heart rate", "次/分", 0, "stream"], [3, "spo2", "血氧饱和度", "Oxygen saturation", "%", 0, "stream"],
  [4, "respiratory_rate", "呼吸频率", "Respiratory rate", "次/分", 0, "stream"], [5, "systolic", "收缩压", "Systolic pressure", "mmHg", 0, "spot"],
  [6, "diastolic", "舒张压", "Diastolic pressure", "mmHg", 0, "spot"], [8, "body_temperature", "体温", "Body temperature", "℃", 1, "spot"],
  [9, "glucose", "血糖", "Glucose", "mmol/L", 1, "spot"], [10, "weight", "体重", "Weight", "kg", 1, "spot"],
].map(([id, slug, zh, en, unit_shown, decimals, shape]) => ({ id, slug, zh, en, unit: unit_shown, unit_shown, decimals, plausible: [0, 500], shape }));

export const EVENTS = [
  { slug: "sos", zh: "紧急呼叫", en: "SOS" }, { slug: "fall", zh: "跌倒", en: "Fall" }, { slug: "device_removed", zh: "设备取下", en: "Device removed" },
  { slug: "low_battery", zh: "电量低", en: "Low battery" }, { slug: "measurement_failed", zh: "测量失败", en: "Measurement failed" },
];

export const KINDS = {
  raised: ["触发", "Raised"], repeated: ["再次触发", "Repeated"], cleared: ["恢复", "Cleared"], claimed: ["接单", "Claimed"], returned: ["退回队列", "Returned to the queue"],
  accepted: ["已接手", "Accepted"], declined: ["无法接手", "Declined"], page_sent: ["寻呼已发出", "Page sent"], resolved: ["处置完成", "Resolved"], note: ["备注", "Note"],
};

export const PAGE_STATES = {
  queued: ["待发送", "Queued"], provider_accepted: ["已发出", "Sent"], delivered: ["已送达", "Delivered"], read: ["已查看", "Read"],
  accepted: ["已接手", "Accepted"], declined: ["无法接手", "Declined"], superseded: ["已取消", "Superseded"],
};

const role = (role, role_zh, role_en) => ({ role, role_zh, role_en });
export const PEOPLE = [
  { id: 1, login: "zuoxi", password: "zuoxi-pw", name: "王座席", ...role("dispatcher", "座席员", "Dispatcher"), team: null, language: "zh" },
  { id: 2, login: "zhang", password: "zhang-pw", name: "张工", ...role("dispatcher", "座席员", "Dispatcher"), team: null, language: "zh" },
  { id: 3, login: "doctor", password: "doctor-pw", name: "李医生", ...role("doctor", "家庭医生", "Doctor"), team: { id: 1, name: "城东第一团队" }, language: "zh" },
  { id: 8, login: "wangge", password: "wangge-pw", name: "陈网格员", ...role("responder", "上门人员", "Responder"), team: { id: 1, name: "城东第一团队" }, language: "zh" },
  { id: 4, login: "admin", password: "admin-pw", name: "赵管理", ...role("administrator", "管理员", "Administrator"), team: null, language: "zh" },
];

const SURNAMES = ["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴"];
const GIVEN = ["秀英", "建国", "桂兰", "德明", "玉珍", "志强", "淑华", "福生", "凤霞", "长林", "春梅", "永贵"];
const STREETS = ["和平路12号院3单元402室", "槐安村五组17号", "幸福里小区8栋1单元201室", "东关大街45号", "柳林镇卫生路6号", "桥西村二组9号"];

export const ELDERS = Array.from({ length: 60 }, (_, i) => ({
  id: i + 1, name: SURNAMES[i % 10] + GIVEN[(i * 7) % 12], sex: i % 2 ? "male" : "female", age: 68 + ((i * 5) % 27), birth_date: `${1958 - ((i * 5) % 27)}-04-12`,
  phone: `1380000${String(1000 + i)}`, address: `河北省石家庄市长安区${STREETS[i % 6]}`,
  notes: i % 3 === 0 ? "独居。高血压 3 级,2 型糖尿病。对青霉素过敏。\n钥匙在对门 刘婶 处。" : "与老伴同住。", team: { id: 1, name: "城东第一团队" },
}));

export const mask = (name) => (name.length <= 2 ? `${name[0]}*` : `${name[0]}${"*".repeat(name.length - 2)}${name.at(-1)}`);

const level = (priority, limit, hold_s = 0) => ({ priority, limit, hold_s });
const threshold = (slug, zh, en, metric, side, levels, clear_margin) => ({ slug, zh, en, test: { threshold: { metric, side, levels, clear_margin } }, latching: false });
export const RULES = {
  name: "cn-basic-v3", version: 3, source: "中国高血压防治指南 2024;国家基层糖尿病防治管理指南 2022",
  rules: [
    threshold("systolic_high", "收缩压偏高", "Systolic high", "systolic", "high", [level("P1", 180), level("P2", 160), level("P3", 140)], 5),
    threshold("systolic_low", "收缩压偏低", "Systolic low", "systolic", "low", [level("P2", 90)], 5),
    threshold("diastolic_high", "舒张压偏高", "Diastolic high", "diastolic", "high", [level("P1", 110), level("P2", 100)], 5),
    threshold("spo2_low", "血氧偏低", "SpO2 low", "spo2", "low", [level("P1", 85, 60), level("P2", 90, 120)], 2),
    threshold("heart_rate_high", "心率偏高", "Heart rate high", "heart_rate", "high", [level("P2", 130, 300)], 5),
    threshold("glucose_low", "血糖偏低", "Glucose low", "glucose", "low", [level("P1", 3), level("P2", 3.9)], 0.3),
    { slug: "sos", zh: "紧急呼叫", en: "SOS", test: { event: { event: "sos", priority: "P1", repeat_within_s: 600 } }, latching: true },
    { slug: "fall", zh: "跌倒", en: "Fall", test: { event: { event: "fall", priority: "P1", repeat_within_s: 600 } }, latching: true },
    { slug: "silence", zh: "设备无数据", en: "No data", test: { silence: { after_s: 7200, priority: "T" } }, latching: false },
  ],
};
