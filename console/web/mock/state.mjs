// The mock's memory: alarms, their history, pages, and who listens to the stream.
import { ELDERS, KINDS, PAGE_STATES, RULES, mask } from "./words.mjs";

export const iso = (ms = Date.now()) => new Date(ms).toISOString();

export const KIND = {
  crisis: ["P1", "systolic_high", "收缩压偏高", "Systolic high", { type: "threshold", metric: "systolic", high: true, value: 186, limit: 180 }],
  desaturation: ["P1", "spo2_low", "血氧偏低", "SpO2 low", { type: "threshold", metric: "spo2", high: false, value: 82, limit: 85 }],
  fall: ["P1", "fall", "跌倒", "Fall", { type: "event", kind: "fall" }],
  sos: ["P1", "sos", "紧急呼叫", "SOS", { type: "event", kind: "sos" }],
  high: ["P2", "systolic_high", "收缩压偏高", "Systolic high", { type: "threshold", metric: "systolic", high: true, value: 168, limit: 160 }],
  pulse: ["P2", "heart_rate_high", "心率偏高", "Heart rate high", { type: "threshold", metric: "heart_rate", high: true, value: 136, limit: 130 }],
  watch: ["P3", "systolic_high", "收缩压偏高", "Systolic high", { type: "threshold", metric: "systolic", high: true, value: 148, limit: 140 }],
  removed: ["T", "device_removed", "设备取下", "Device removed", { type: "event", kind: "device_removed" }],
  silent: ["T", "silence", "设备无数据", "No data", { type: "silence", silent_s: 7800 }],
};

export class State {
  alarms = new Map();
  events = [];
  pages = [];
  listeners = new Set();
  rules = { ...RULES, own: false, author: null, saved_at: null, reason: null };
  gaps = [
    { id: 2, gateway: "gw-liuhe-7", epoch: 3, lane: "vit", first: 1841, last: 1902, missing_first: 1841, missing_last: 1902, missing: 62, lost: 0, state: "asked", cause: null, opened_at: iso(Date.now() - 600_000), asks: 2, asked_at: iso(Date.now() - 60_000), closed_at: null },
    { id: 1, gateway: "gw-liuhe-7", epoch: 2, lane: "hist", first: 10, last: 19, missing_first: 10, missing_last: 19, missing: 0, lost: 10, state: "lost", cause: "outbox_lost", opened_at: iso(Date.now() - 86_400_000), asks: 1, asked_at: iso(Date.now() - 86_390_000), closed_at: iso(Date.now() - 86_300_000) },
  ];
  losses = [
    { gateway: "gw-liuhe-7", epoch: 2, lane: "hist", first: 10, last: 19, cause: "outbox_lost", by_server: true, thinned: false, readings: 0, kept: 0, declared_at: iso(Date.now() - 86_300_000) },
    { gateway: "gw-liuhe-7", epoch: 3, lane: "vit", first: 1, last: 900, cause: "disk_budget", by_server: false, thinned: true, readings: 6000, kept: 600, declared_at: iso(Date.now() - 7_200_000) },
  ];
  gateways = [
    { id: 1, site: "liuhe", name: "gw-liuhe-7", dialect: "vigil", disabled: false, state: "up", firmware: "0.1.0", since: iso(Date.now() - 86_400_000), seen_at: iso(Date.now() - 20_000), devices: 4, in_force: { config: 2, rules: 5, devices: 1 },
      pushes: [{ what: "config", wanted: 3, saved_at: iso(Date.now() - 900_000), sent_at: iso(Date.now() - 890_000), applied: 2, refused: "it did not connect within 120 s" }, { what: "devices", wanted: 1, saved_at: iso(Date.now() - 8e7), sent_at: iso(Date.now() - 8e7), applied: 1, refused: null }, { what: "rules", wanted: 6, saved_at: iso(Date.now() - 5_000), sent_at: null, applied: 5, refused: null }],
      health: [{ metric: "disk_used", value: 41.5, at: iso(Date.now() - 20_000) }, { metric: "memory_used", value: 62, at: iso(Date.now() - 20_000) }, { metric: "board_temperature", value: 48.2, at: iso(Date.now() - 20_000) }, { metric: "outbox_age", value: 95, at: iso(Date.now() - 20_000) }, { metric: "outbox_depth", value: 12, at: iso(Date.now() - 20_000) }] },
    { id: 2, site: "chengdong", name: "cabin-07", dialect: "vigil", disabled: false, state: "lost", firmware: "0.1.0", since: iso(Date.now() - 9e7), seen_at: iso(Date.now() - 3_600_000), devices: 9, in_force: {}, pushes: [], health: [] },
    { id: 3, site: "chengdong", name: "home-112", dialect: "thingsboard", disabled: true, state: null, firmware: null, since: null, seen_at: null, devices: 1, in_force: {}, pushes: [], health: [] },
  ];
  frames = [
    { id: 1, gateway: "cabin-07", topic: "vigil/1/cd/cabin-07/u/vit/bp-2", cause: "not a frame: unknown metric 40961", at: iso(Date.now() - 5e6), bytes: 214, replayed_at: null },
    { id: 2, gateway: "home-112", topic: "v1/devices/me/telemetry", cause: "JSON ends too early", at: iso(Date.now() - 9e5), bytes: 61, replayed_at: null },
  ];
  /** A flood of alarms, when there is one. */
  storm = null;
  /** Open alarms that a list answers at most, and that there are beside those of the mock. */
  list_max = 1_000;
  beyond = 0;
  /** Elders that a list has instead of the sixty. */
  crowd = 0;
  seq = 0;
  keep = 5_000;

  raise(which, elder, { ago = 0, repeats = 0, late = false, condition = "present", page = true } = {}) {
    const [priority, rule, title_zh, title_en, kind] = KIND[which];
    const id = (this.alarms.size + 0xa1b2c3d4e5f0).toString(16).padStart(16, "0");
    const at = iso(Date.now() - ago);
    const who = ELDERS[elder - 1];
    const alarm = {
      id, elder: who ? { id: who.id, name_masked: mask(who.name), age: who.age, sex: who.sex, address: who.address } : null, device: kind.type === "event" ? "fall-1" : "monitor-1",
      team: "城东第一团队", priority, condition, handling: "open", rule, title_zh, title_en, kind, started_at: iso(Date.now() - ago - 60_000), raised_at: at, updated_at: at, late, group: null, sounded_at: null, sounded_ok: null, repeats,
      claimed_by: null, claim_until: null, accepted_by: null, outcome: null, page_state: null, seq: 0,
    };
    if (priority !== "P1" && !forHelp(alarm)) alarm.group = `rule/${rule}`;
    this.alarms.set(id, alarm);
    this.change(alarm, "raised", null, null, at);
    if (page && (priority === "P1" || priority === "P2")) this.page(alarm, "李医生", at);
    return alarm;
  }
  page(alarm, person, at = iso()) {
    this.pages.push({ id: this.pages.length + 1, alarm: alarm.id, person, channel: "webhook", state: "provider_accepted", queued_at: at, repeat: 0, attempts: [{ at, result: "accepted", detail: "HTTP 204" }] });
    alarm.page_state = "provider_accepted";
    this.change(alarm, "page_sent", null, { person, channel: "webhook" }, at);
  }
  /** One line of history: stored, and sent to every listener. */
  change(alarm, kind, by, detail = null, at = iso()) {
    alarm.seq = ++this.seq;
    alarm.updated_at = at;
    const event = { seq: this.seq, kind, at, by, detail, alarm_id: alarm.id, view: structuredClone(alarm) };
    this.events.push(event);
    for (const send of this.listeners) send(event);
    return event;
  }
  /** A storm begins (with so many alarms) or is over. */
  flood(alarms) {
    this.storm = alarms ? { since: iso(), seats: 1, alarms } : null;
    for (const send of this.listeners) send({ storm: this.storm });
  }
  list(state, elder, { q = "", priorities = [], limit = 1_000 } = {}) {
    const open = (alarm) => alarm.handling !== "resolved" && alarm.handling !== "closed";
    const all = [...this.alarms.values()];
    const counts = { P1: 0, P2: 0, P3: 0, T: 0, unclaimed: 0 };
    for (const alarm of all.filter(open)) { counts[alarm.priority]++; if (alarm.handling === "open") counts.unclaimed++; }
    counts.P3 += this.beyond;
    counts.unclaimed += this.beyond;
    const fits = (alarm) => (priorities.length === 0 || priorities.includes(alarm.priority)) && (!q || [alarm.elder?.name_masked, alarm.elder?.address, alarm.device, alarm.title_zh, alarm.title_en].some((part) => part?.toLowerCase().includes(q.toLowerCase())));
    const alarms = all.filter((alarm) => (state === "open" ? open(alarm) : true) && (!elder || alarm.elder?.id === elder) && fits(alarm));
    return { alarms: alarms.slice(0, Math.min(limit, this.list_max)), last_event: this.seq, counts, storm: this.storm, matched: q || priorities.length > 0 ? alarms.length : null };
  }
  detail(alarm) {
    const events = this.events.filter((event) => event.alarm_id === alarm.id)
      .map(({ seq, kind, at, by, detail }) => ({ seq, kind, kind_zh: KINDS[kind]?.[0] ?? kind, kind_en: KINDS[kind]?.[1] ?? kind, at, by, detail }));
    const pages = this.pages.filter((page) => page.alarm === alarm.id)
      .map((page) => ({ ...page, state_zh: PAGE_STATES[page.state]?.[0], state_en: PAGE_STATES[page.state]?.[1] }));
    return { alarm, elder: alarm.elder ? card(alarm.elder.id) : null, events, pages };
  }
  pageRow(page, me) {
    return { id: page.id, alarm: seen(this.alarms.get(page.alarm), me), state: page.state, queued_at: page.queued_at, repeat: page.repeat };
  }
}

/** Event kinds with which an elder calls for help. */
const HELP = ["sos", "fall", "unspecified_alarm"];
export const forHelp = (alarm) => alarm.kind.type === "event" && HELP.includes(alarm.kind.kind);

/** What this person may see of an alarm: who only goes there learns nothing of what was measured. */
export const seen = (alarm, me) => (me.role !== "responder" || forHelp(alarm) ? alarm : { ...alarm, rule: "***", title_zh: "健康告警", title_en: "Health alarm", kind: null, group: null });

export function card(id, me) {
  const { name, phone, age, sex, address, notes } = ELDERS[id - 1];
  return { id, name, phone, age, sex, address, notes: me?.role === "responder" ? null : notes };
}

const BASE = { systolic: [148, 14], diastolic: [86, 9], heart_rate: [74, 9], spo2: [96, 1.6], respiratory_rate: [17, 2], body_temperature: [36.5, 0.3], glucose: [7.2, 1.4], weight: [61, 0.6] };
const SPOT = new Set(["systolic", "diastolic", "body_temperature", "glucose", "weight"]);
const BANDS = {
  systolic: [["high", "P1", 180], ["high", "P2", 160], ["low", "P2", 90]], diastolic: [["high", "P1", 110]], spo2: [["low", "P2", 90], ["low", "P1", 85]], heart_rate: [["high", "P2", 130]], glucose: [["low", "P1", 3]],
};
const wave = (t, salt) => Math.sin(t / 7.1e6 + salt) * 0.6 + Math.sin(t / 1.3e6 + salt * 3) * 0.3 + Math.sin(t / 2.1e5 + salt * 7) * 0.25;

/** Repeatable, plausible curves with one long gap (sensor off) and one short one (nothing sent). */
export function trend(metrics, from, to, buckets) {
  const step = Math.max(60_000, Math.ceil((to - from) / buckets / 60_000) * 60_000);
  const first = Math.floor(from / step) * step;
  const holes = [[to - (to - from) * 0.42, to - (to - from) * 0.33, "sensor_off"], [to - (to - from) * 0.12, to - (to - from) * 0.1, "gateway_offline"]];
  return {
    from: iso(from), to: iso(to), bucket_s: step / 1000, alarms_cut: false,
    alarms: [{ id: "a1", priority: "P2", at: to - 7 * 3_600_000, metric: "systolic", rule_zh: "收缩压偏高", rule_en: "High systolic pressure" }],
    series: metrics.map((metric, salt) => {
      const [middle, spread] = BASE[metric] ?? [50, 5];
      const every = SPOT.has(metric) ? Math.max(step, 6 * 3_600_000) : step;
      const points = [], absent = [];
      for (let t = first; t < to; t += every) {
        const hole = holes.find(([a, b]) => t >= a && t < b);
        if (hole) { if (hole[2] === "sensor_off") absent.push([t, hole[2]]); continue; }
        const dip = metric === "spo2" && t > to - 900_000 ? -13 : metric === "systolic" && t > to - 7 * 3_600_000 ? 32 : 0;
        const mean = middle + spread * wave(t, salt) + dip;
        const width = every === step ? spread * 0.35 * (1 + Math.abs(wave(t, salt + 9))) : 0;
        points.push([t, every === step ? 12 : 1, mean - width, mean, Math.min(mean + width, metric === "spo2" ? 100 : 999)]);
      }
      return { metric, points, absent, gaps: holes,
        bands: (BANDS[metric] ?? []).map(([side, priority, limit], i) => ({ side, priority, limit, rule: `${metric}_${side}`, from: i === 1 ? iso(from + (to - from) * 0.2) : null, until: null, origin: null })),
        doubtful: points.filter((_, i) => i % 97 === 50).map(([t, , , mean]) => [t, mean + spread, "motion"]), doubtful_n: 4, doubtful_until: null };
    }),
  };
}

/** One beat of lead II about every 0.82 s, millivolts: P, QRS and T as bumps. */
function beat(ms, height) {
  const t = (((ms % 820) + 820) % 820) / 1000;
  const bump = (at, width, high) => high * Math.exp(-(((t - at) / width) ** 2));
  return height * (bump(0.16, 0.03, 0.12) - bump(0.27, 0.008, 0.1) + bump(0.29, 0.01, 1.1) - bump(0.315, 0.01, 0.22) + bump(0.5, 0.05, 0.28));
}

/** Two leads of a patch, with a second of lead-off now and then and nothing between a quarter and an half past the hour. */
export function strip(from, to) {
  const [rate, step] = [250, 4];
  const lead = (code, label, height) => {
    const parts = [];
    let counts = null;
    for (let t = Math.ceil(from / step) * step; t < to; t += step) {
      if (t % 3_600_000 >= 900_000 && t % 3_600_000 < 1_800_000) { counts = null; continue; }
      if (!counts) parts.push({ at: t, counts: (counts = []) });
      counts.push(t % 61_000 < 1_000 ? null : Math.round((beat(t, height) + 0.04 * Math.sin(t / 900)) * 200));
    }
    return { device: "patch-1", lead: code, label, rate: [rate, 1], scale: 0.005, offset: 0, parts };
  };
  const leads = [lead(131_074, "II", 1), lead(131_079, "V5", 0.7)].filter((one) => one.parts.length > 0);
  const beats = [];
  for (let at = Math.ceil((from - 290) / 820) * 820 + 290; at < to; at += 820) if (leads.length > 0 && !(at % 3_600_000 >= 900_000 && at % 3_600_000 < 1_800_000)) beats.push(at);
  const heart = { lead: 131_074, label: "II", verdict: "usable", reason: null, heart_rate: 73.2, pause_s: null, beats, rr_ms: beats.slice(1).map(() => 820) };
  return { metric: "ecg", unit: "mV", from: iso(from), to: iso(to), leads, heart: leads.length > 0 ? heart : null };
}

export function stretches(from, to) {
  const until = Math.min(to, Date.now());
  const out = [];
  for (let hour = Math.floor(from / 3_600_000) * 3_600_000; hour < until; hour += 3_600_000) {
    for (const [a, b] of [[hour, hour + 900_000], [hour + 1_800_000, hour + 3_600_000]]) {
      const [start, end] = [Math.max(a, from), Math.min(b, until)];
      if (start < end) for (const [lead, label] of [[131_074, "II"], [131_079, "V5"]]) out.push({ device: "patch-1", lead, label, from: iso(start), to: iso(end) });
    }
  }
  return { metric: "ecg", from: iso(from), to: iso(to), stretches: out.reverse().slice(0, 500), cut: out.length > 500 };
}

export function latest() {
  const now = Date.now();
  const rows = [["heart_rate", 78], ["spo2", null, "sensor_off"], ["respiratory_rate", 17], ["systolic", 186], ["diastolic", 104], ["body_temperature", 36.6], ["glucose", 7.8], ["weight", 61.2, "unit_suspect"]];
  return rows.map(([metric, value, quality = "ok"], i) => ({ metric, value, quality, taken_at: iso(now - i * 400_000 - 20_000), device: "monitor-1" }));
}
