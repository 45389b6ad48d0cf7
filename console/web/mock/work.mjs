// The mock's rota, channels, policies, outages and quiet periods: what the newer screens ask for.
import { iso } from "./state.mjs";

const HOUR_MS = 3_600_000;
const at = (hours) => iso(Date.now() + hours * HOUR_MS);
const shift = (post, person, from, until, instead_of = null) => ({ post, person, duty: "doctor", layer: "轮值", version: 3, from: at(from), until: at(until), why: { kind: "daily", override: instead_of ? 1 : null, instead_of, skipped: [] } });

export const quiet = [{ id: 1, kind: "travel", whose: { elder: 7 }, from: at(-20), until: at(50), by: "李医生", reason: "探亲", in_force: true, ended_at: null }];

export const board = () => ({
  team: { id: 1, name: "城东第一团队" }, parent: { id: 9, name: "县值班" }, at: iso(), version: 3, rota: null,
  on_call: [shift("doctor", 3, -4, 8)], holes_now: [], stand_ins: [{ post: "doctor", person: 5, duty: "doctor", layer: "轮值" }],
  shifts: [shift("doctor", 3, -4, 8), shift("doctor", 5, 8, 32, 6)], holes: [{ post: "nurse", from: at(200), until: at(212), cause: { cause: "leave", skipped: [] } }],
  missing_years: [2027], years: [2026], quality: { score: 0.93, covered: 0.99, balance: 0.9, loads: [] },
  overrides: [{ id: 1, from: at(8), until: at(32), in: 5, out: 6, reason: "换班", cancelled_at: null }], leave: [{ id: 4, person: 6, from: at(190), until: at(230), reason: "年休", cancelled_at: null }],
  people: [{ id: 3, name: "李医生" }, { id: 5, name: "周医生" }, { id: 6, name: "吴护士" }],
});

const channel = (name, zh, en, configured, quota = []) => ({ name, zh, en, configured, needs_address: false, health: null, quota });
export const channels = [
  channel("webhook", "推送", "Webhook", true), channel("wecom_app", "企业微信", "WeCom", true, [{ count: 30, window_s: 60, per_person: true, used_most: 2, used: 9 }]),
  channel("tencent_sms", "腾讯云短信", "SMS (Tencent)", true, [{ count: 2, window_s: null, per_person: true, used_most: 2, used: 5 }]), channel("smtp", "邮件", "E-mail", false),
];
export const policies = [{
  name: "default", version: 2, priorities: ["P1"], repeat_s: 120,
  steps: [{ wait_s: 0, targets: [{ on_call: { backup: false } }], channels: ["wecom_app", "webhook"] }, { wait_s: 60, targets: [{ on_call: { backup: true } }, "supervisors"], channels: ["aliyun_voice", "tencent_sms"] }],
  warnings: [{ place: "step 2", code: "not_configured", zh: "第 2 级:阿里云电话未配置", en: "Step 2: the call by Aliyun is not configured" }],
}];

export const incidents = [{ id: 1, kind: "site", gateway: null, gateway_name: null, site: 4, site_name: "柳林镇", alarm: "00000000000000aa", since: at(-1), until: null, count: 312, standing: 298 }];
export const incident = () => ({
  incident: incidents[0], alarm: null, unwatched: 2,
  elders: [{ id: 7, name_masked: "王*英", age: 88, address: "幸福路 12 号", risk: { ability: 4, lives_alone: true }, high_risk: true, worst: "P2", silent_since: at(-1.2) }, { id: 12, name_masked: "李*国", age: 79, address: "幸福路 14 号", risk: { ability: null, lives_alone: false }, high_risk: false, worst: null, silent_since: at(-1.1) }],
});
export const helpers = [{ id: 2, name: "张工", role: "dispatcher", team: null, signed_in: true }, { id: 8, name: "陈网格员", role: "responder", team: { id: 1, name: "城东第一团队" }, signed_in: false }];
