/** Every Chinese string of the app. en.ts must have the same keys: its type is taken from here. */
import { handlingZh } from "./handling";
import { numbersZh } from "./numbers";
import { trendsZh } from "./trends";
import { writerZh } from "./writer";
import { rotaZh } from "./rota";
import { rulesZh } from "./rules";

export const zh = {
  // The house
  app_name: "守望", app_sub: "居家养老健康守护", other_language: "English", sign_out: "退出", skip: "跳到主要内容",
  nav_desk: "告警台", nav_elders: "老人", nav_phone: "我的寻呼", nav_admin: "管理", nav_label: "主菜单",
  loading: "正在加载…", retry: "重试", cancel: "取消", close: "关闭", save: "保存", back: "返回", more: "显示更多", search: "搜索",
  not_found_title: "没有这个页面", not_found_text: "地址可能写错了,或者内容已被移走。", go_home: "回到首页", error_title: "没有成功",
  not_for_role_title: "不能使用此页面", not_for_role: "您的角色不能使用此页面。", ago: (text: string) => `${text}前`, day: "天", unknown: "未知", years: (n: number) => `${n}岁`,
  seconds: (n: number) => `${n} 秒`, minutes: (n: number) => `${n} 分钟`, hours: (n: number) => `${n} 小时`, days: (n: number) => `${n} 天`,
  just_now: "刚刚",
  // Login
  login_title: "登录", login_name: "账号", login_password: "密码", login_go: "登录", login_busy: "正在登录…",
  login_need_both: "请填写账号和密码", login_bad: "账号或密码不对", login_locked: "错误次数过多,请 15 分钟后再试",
  session_ended: "登录已过期,请重新登录", session_ended_desk: "登录已过期,告警台已停止", session_ended_seen: "知道了",
  // Desk
  desk_title: "告警台", unclaimed: "未接单", count_label: "告警计数", connected: "已连接", connecting: "正在连接…",
  lost: (s: number) => `连接中断 ${s} 秒`, skew: (s: number) => `本机时钟与服务器相差 ${s} 秒,计时已按服务器校正,请校准本机时钟`,
  duty_start: "开始值班", sound_off: "声音未开启:请点「开始值班」,听到测试音后再值守", sound_on: "声音已开启", mute: "静音 60 秒", unmute: (s: number) => `取消静音(${s} 秒)`,
  muted: (s: number) => `已静音,还有 ${s} 秒`, test_tone: "测试音", filter_state: "状态", filter_open: "未结", filter_all: "全部", filter_priority: "优先级", filter_text: "姓名、地址、设备",
  new_alarms: (n: number) => `${n} 条新告警`, strip_title: "新的紧急告警", empty_title: "没有未结告警", empty_text: "新的告警会自动出现在这里。",
  empty_filter: "没有符合筛选条件的告警", clear_filter: "清除筛选", outside_filter: "不在筛选内", missing: (n: number) => `还有 ${n} 条告警没有显示,请缩小范围或先处理上面的告警`,
  col_priority: "级别", col_elapsed: "已过", col_elder: "老人", col_what: "情况", col_address: "地址", col_pages: "寻呼", col_handling: "处理", col_actions: "操作",
  claim: "接单", claiming: "接单中…", release: "放弃接单", resolve: "处置完成", open_detail: "详情", mine: "我", claimed_by: (name: string) => `${name} 已接单`, accepted_by: (name: string) => `${name} 已接手`,
  limit_of: (limit: string) => `限 ${limit}`, silent_for: (text: string) => `${text}没有数据`, late_mark: "补传发现", sounded: (at: string) => `网关本地已报警 ${at}`, sounded_not: (at: string) => `网关本地报警失败 ${at}`, hook_failed: "未能发声", repeats: (n: number) => `×${n}`, repeats_label: (n: number) => `共触发 ${n} 次`,
  no_elder: "未绑定老人", nobody_to_page: "无人可寻呼", said_claimed: "已接单", said_released: "已放弃接单", said_resolved: "处置已记录", said_note: "备注已记录", happened: (at: string) => `${at} 发生`, same_measurement: "同一次测量", keys: "快捷键",
  alarm_list: "告警列表", new_p1: (text: string) => `新的紧急告警:${text}`, help: "快捷键帮助", p1_waiting: (n: number) => `${n} 条紧急告警未接单,返回告警台`,
  key_move: "上一条 / 下一条", key_claim: "接单", key_open: "打开详情", key_resolve: "处置完成", key_close: "关闭详情或窗口", key_mute: "静音 60 秒", key_new: "显示新告警", key_help: "显示本帮助",
  // Detail
  detail: "告警详情", elder_card: "老人", timeline: "经过", pages_title: "寻呼", page_none: "没有寻呼", attempts: "发送记录", trend_day: "最近 24 小时",
  copy_brief: "复制 120 简报", copied: "简报已复制", copy_failed: "浏览器不允许复制,请手动选择下面的文字", phone: "电话", address: "地址", notes: "备注", device: "设备", team: "团队", started: "开始", raised: "触发",
  add_note: "添加备注", note_placeholder: "写下做了什么", system: "系统", elder_page: "查看老人档案", no_phone: "没有电话",
  brief: (p: { name: string; sex: string; age: string; what: string; at: string; address: string; phone: string; notes: string }) =>
    `【120 简报】${p.name},${p.sex},${p.age}。\n情况:${p.what}(${p.at})。\n地址:${p.address}\n电话:${p.phone}\n备注:${p.notes}`,
  // Resolve
  resolve_title: "处置完成", outcome: "处置结果", outcome_needed: "请选择处置结果", note: "备注", resolve_go: "确认处置", resolve_rest: (what: string) => `同一次测量一并结束:${what}`,
  // Elders
  elders_title: "老人", elders_search: "姓名、地址或电话", elders_search_masked: "老人编号或团队名称", elders_empty: "没有找到老人", elders_cut: (n: number) => `只列出前 ${n} 位,请用搜索缩小范围`, open_alarms: (n: number) => `${n} 条未结告警`, last_data: "最近数据", no_data_yet: "还没有数据", birth: "出生", devices: "设备", devices_none: "没有绑定设备",
  latest: "最新读数", no_value: "无数值", taken: "测量", alarms_of: "告警记录", alarms_none: "没有告警", summary: "概览", name: "姓名", sex_age: "性别 / 年龄",
  trends: "趋势", range_day: "24 小时", range_week: "7 天", range_month: "30 天", range_label: "时间范围", as_table: "看表格", as_chart: "看图", trend_empty: "这段时间没有数据", gap: "缺口", gap_why: (why: string) => `缺口:${why}`, no_data: "无数据", no_data_before: "此前没有数据", no_data_since: "此后没有数据", short_metric: { systolic: "收缩", diastolic: "舒张", arterial_systolic: "收缩", arterial_diastolic: "舒张" } as Record<string, string>,
  mean: "平均", min: "最低", max: "最高", n_readings: "读数", time: "时间", table_cut: (n: number) => `只列出最近 ${n} 行`, blood_pressure: "血压", trend_pane: (name: string) => `${name}趋势图`, table_of: (name: string) => `${name}数据表`, chart_help: "灰色斜纹是没有数据的时段(指上去看原因),浅色底是告警范围。",
  // ECG
  ecg: "心电图", ecg_empty: "这段时间没有心电图", ecg_recording: "记录", ecg_zoom: "缩放", ecg_smaller: "缩小", ecg_larger: "放大", ecg_pages: "翻页", ecg_before: "上一页", ecg_after: "下一页", ecg_keys: "心电图:左右方向键翻页,加减号缩放", ecg_paper: (s: string) => `起 ${s} 秒 · 25 mm/s · 10 mm/mV ·`, ecg_label: (at: string, s: string, leads: string) => `心电图,${at} 起 ${s} 秒,导联 ${leads}`, ecg_cut: "只列出最近的记录", ecg_rate: (rate: string) => `心率 ${rate} 次/分`, ecg_pause: (s: string) => `停顿 ${s} 秒`, ecg_verdicts: { usable: "信号可用", doubtful: "信号存疑", unusable: "信号不可用,勿据此判断" } as Record<string, string>, ecg_reasons: { rate: "采样率过低", short: "过短", lead_off: "导联脱落", flat: "直线", clipped: "超出量程", noise: "干扰", baseline: "基线漂移", no_beats: "未见心搏" } as Record<string, string>, ecg_before_alarm: "告警前 30 秒心电图",
  origin: (raw: string) => `设备原值 ${raw}`, uncertain: (s: string) => `时间误差 ±${s} 秒`,
  // Rules
  rules_title: "告警规则", rules_own: "个人规则", rules_default: "默认规则", rules_source: "依据", rules_by: (name: string, at: string) => `${name} 修改于 ${at}`, rules_why: "理由", edit: "修改阈值", col_rule: "规则", col_limit: "界限", col_hold: "持续", col_margin: "恢复余量", at_once: "立即",
  rule_high: "≥", rule_low: "≤", reason: "修改理由", reason_needed: "请写明修改理由", rules_saved: "规则已保存", hold_s: "持续秒数", version: (n: number) => `第 ${n} 版`, not_a_number: "请填写数字", levels_crossed: (rule: string) => `「${rule}」的界限次序不对:越紧急的级别,界限要离正常值越远`, sides_crossed: (low: string, high: string) => `「${low}」的界限必须低于「${high}」的界限`, rule_wrong: (rule: string) => `规则「${rule}」:`, silence_after: (text: string) => `${text}没有数据`, repeat_within: (text: string) => `${text}内重复算同一条`,
  // Phone
  phone_title: "我的寻呼", phone_empty: "没有需要处理的寻呼", phone_empty_text: "有新的寻呼时会出现在这里。", phone_engaged: "我已接手,处置中", page_title: "寻呼", what_happened: "发生了什么", last_readings: "最近读数", accept: "我已接手", decline: "无法接手", decline_title: "无法接手", decline_reason: "原因", decline_reasons: ["正在处理其他病人", "不在辖区", "需要上级支援", "联系不上老人"], decline_go: "确认无法接手", decline_needed: "请选择或填写原因",
  ended_as: (what: string) => `已处置:${what}`, accepted_done: "您已接手,告警台已看到。", arrived_done: (at: string) => `您于 ${at} 已到达,告警台已看到。`, accepted_other: (name: string) => `${name} 已接手。`, declined_done: "已告知告警台您无法接手。", superseded: "此寻呼已取消,无需处理。", call: (number: string) => `拨打 ${number}`, queued: "发出", repeat_n: (n: number) => `第 ${n} 次寻呼`, updated: (at: string) => `更新于 ${at}`, poll_failed: "暂时连接不上,显示的可能不是最新", poll_failed_since: (at: string) => `暂时连接不上,显示的是 ${at} 的数据`, sending: "正在提交…",
  // Administration
  custody: "缺失与丢失的数据", custody_text: "网关的每一帧都有编号:没有到达的会再次请求,确定丢失的写明原因。", custody_none: "没有缺失的数据", custody_sums: (frames: number, readings: number) => `已声明丢失 ${frames} 帧,稀疏化去除 ${readings} 条读数`,
  gap_range: "帧编号", gap_missing: "缺失帧数", gap_lost: "丢失帧数", gap_since: "发现于", gap_asks: "已请求", ask_again: "再次请求", said_asked: "已再次请求", losses: "已声明的丢失", lane: "通道优先级", by_whom: "由谁声明", by_server: "服务器", by_gateway: "网关", thinned: (kept: number, all: number) => `稀疏化:保留 ${kept}/${all} 条读数`,
  gap_state: { open: "待请求", asked: "已请求", filled: "已补齐", lost: "已丢失" } as Record<string, string>,
  loss_cause: { disk_budget: "网关存储已满", corrupt: "存储损坏", outbox_lost: "网关缓存丢失", acknowledged: "已送达,服务器侧缺失", flooding: "设备发送过快", overflow: "缓冲溢出" } as Record<string, string>,
  gateways: "网关", gateways_text: "每台网关的连接、版本与自身状况。配置和设备清单由管理员下发,规则自动下发;网关确认后才算生效。", gateways_none: "还没有登记的网关", site: "站点", seen: "最近一次", firmware: "固件", versions: "版本(已生效 / 应有)", gateway_health: "自身状况", unsent: "待传最久", gateway_states: { up: "在线", sleeping: "休眠", lost: "离线" } as Record<string, string>, gateway_new: "从未连接", gateway_disabled: "已停用", push_words: { config: "配置", rules: "规则", devices: "设备清单" } as Record<string, string>, push_refused: (reason: string) => `已拒绝:${reason}`, push_waits: "待确认", gateways_more: (n: number) => `仅显示前 ${n} 台`,
  admin_title: "管理", unattributed: "未绑定的设备", unattributed_text: "这些设备的读数已保存,但不属于任何老人,因此不会判断。", unattributed_none: "所有设备都已绑定", quarantine: "隔离的报文", quarantine_text: "无法解读的报文保存在这里,修复后可以重放。", quarantine_none: "没有隔离的报文", gateway: "网关", topic: "主题", cause: "原因", size: "大小", received: "收到", replay: "重放", replayed: "已重放", said_replayed: "已提交重放", health: "系统状态", health_ok: "正常", health_bad: "异常", check: "检查项", state: "状态", detail_col: "说明", bytes: (n: number) => `${n} 字节`,
  // Health cabins
  nav_cabin: "待归属", cabin_title: "待归属测量", cabin_text: "公共设备上未能确定本人的测量。数值已保存,归属后进入老人档案并按规则重新判断。", cabin_empty: "没有待归属的测量", cabin_empty_text: "公共设备上的测量都已归属到人。",
  cabin_choose: "选择", cabin_choose_one: (place: string, at: string) => `选择 ${place} ${at}`, cabin_values: "数值", cabin_waveform: "(含波形)", cabin_before: (name: string, at: string) => `${name} ${at} 已处理过`,
  cabin_give: (n: number) => `归属 ${n} 条测量`, cabin_find: "按姓名或编号查找老人", cabin_elder_needed: "请选择老人", cabin_reasons: ["本人在场确认", "登记遗漏", "误用他人证件"], cabin_remember: "以后此证件或二维码即为该老人", cabin_go: "确认归属", cabin_moved: (n: number) => `已归属 ${n} 条测量`,
  numbers: numbersZh,
  trend: trendsZh,
  writer: writerZh,
  handling_more: handlingZh,
  rules_more: rulesZh,
  rota: rotaZh,
  // Words of the model
  hooks: { command: "本地程序", gpio: "警灯/警笛", http: "局域网设备" } as Record<string, string>,
  sex: { male: "男", female: "女", unknown: "未知" } as Record<string, string>,
  priority: { P1: "紧急", P2: "高", P3: "关注", T: "技术" } as Record<string, string>,
  condition: { present: "持续", cleared: "已恢复", unknown: "数据中断" } as Record<string, string>,
  handling: { open: "未接单", claimed: "已接单", engaged: "已接手", resolved: "已处置", closed: "已关闭", parked: "已搁置", void: "已作废" } as Record<string, string>,
  outcomes: { true_emergency: "真实紧急,已救助", true_handled: "属实,已处理", referred: "转诊/随访", false_alarm: "误报", test: "测试", no_answer: "无人应答,已转派" } as Record<string, string>,
  channels: { webhook: "推送", console: "页面", wecom_app: "企业微信", wecom_robot: "企业微信群", dingtalk: "钉钉群", feishu: "飞书群", aliyun_sms: "阿里云短信", aliyun_voice: "阿里云电话", tencent_sms: "腾讯云短信", tencent_voice: "腾讯云电话", smtp: "邮件", command: "本地程序", demo: "演示手机" } as Record<string, string>,
  attempt_results: { sending: "发送中", accepted: "对方已收", retry: "失败,将重试", refused_person: "对方拒收", refused_config: "通道配置有误", in_doubt: "结果未知" } as Record<string, string>,
  page_states: { queued: "待发送", sending: "发送中", provider_accepted: "已发出", delivered: "已送达", read: "已查看", accepted: "已接手", declined: "无法接手", temp_failed: "重试中", perm_failed: "发送失败", in_doubt: "结果未知", superseded: "已取消", marked_false: "回复误报", expired: "超时" } as Record<string, string>,
  qualities: { ok: "正常", motion: "有体动", low_battery: "电量低", clock_suspect: "时间可疑", unit_suspect: "单位可疑", out_of_range: "超出合理范围", questionable: "设备存疑", noisy: "信号质量差", absent: "无数值", sensor_off: "探头脱落", measurement_failed: "测量失败", lead_off: "导联脱落", over_range: "高于量程", under_range: "低于量程", special_value: "特殊值" } as Record<string, string>,
};

/** What a language must have: the same keys, texts as texts and functions with the same arguments. */
export type Strings = {
  [K in keyof typeof zh]: (typeof zh)[K] extends (...args: infer A) => string ? (...args: A) => string
    : (typeof zh)[K] extends string ? string
    : (typeof zh)[K];
};
