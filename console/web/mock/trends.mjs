// The mock's profiles, teams' sparklines and groups: plausible, repeatable, with every kind of emptiness somewhere.
import { iso } from "./state.mjs";
import { ELDERS, mask } from "./words.mjs";

const DAY_MS = 86_400_000;
const date = (ms) => iso(ms).slice(0, 10);

export function profile(metric, days, elder) {
  const pressure = metric === "systolic";
  const glucose = metric === "glucose";
  const [middle, spread] = { systolic: [142, 9], glucose: [7.6, 1.2], heart_rate: [74, 6] }[metric] ?? [50, 4];
  const hours = Array.from({ length: 24 }, (_, hour) => {
    const known = elder % 11 !== 0 && (!pressure || (hour > 4 && hour < 23));
    const at = middle + spread * Math.sin((hour - 8) / 4);
    const values = known ? { p10: at - spread, p25: at - spread / 2, p50: at, p75: at + spread / 2, p90: at + spread } : { p10: null, p25: null, p50: null, p75: null, p90: null };
    return { hour, n: known ? 12 + hour : 0, days: known ? 9 : 0, ...values };
  });
  const empty = elder % 11 === 0;
  const weeks = Array.from({ length: Math.ceil(days / 7) }, (_, i) => ({ from: date(Date.now() - (Math.ceil(days / 7) - i) * 7 * DAY_MS), n: empty ? 0 : 14, days: empty ? 0 : 7, mean: empty ? null : middle + i, min: empty ? null : middle - spread, max: empty ? null : middle + 2 * spread, below: empty ? null : 0, within: empty ? null : 0.857, above: empty ? null : 0.143, mean_change: empty || i === 0 ? null : 1, whole: i > 0 }));
  const part = (from, to, s, d) => ({ from, to, days: 6, n: 12, systolic: s, diastolic: d });
  const range = (name, from, to, share) => ({ name, from, to, share });
  return {
    metric, from: iso(Date.now() - days * DAY_MS), to: iso(), zone: "Asia/Shanghai", unit: pressure ? "mmHg" : "", decimals: glucose ? 1 : 0, basis: "readings", hours,
    day_night: { day: { from: "09:00", to: "21:00", n: 30, mean: middle + 2 }, night: { from: "01:00", to: "06:00", n: pressure ? 3 : 40, mean: middle - 6 }, recording: null, dip_percent: null, dipping: null, why: pressure ? "too_few_at_night" : null, needs: { day: 20, night: 7 }, source: "ESH 2023" },
    blood_pressure: pressure ? { days: 7, from: date(Date.now() - 7 * DAY_MS), to: date(Date.now()), morning: part("05:00", "10:00", 146.2, 84.1), evening: part("18:00", "24:00", 138, 80.5), average: { days: 6, n: 23, systolic: 142.1, diastolic: 82.3 }, morning_evening_difference: 8.2, elevated: true, limit: { systolic: 135, diastolic: 85 }, needs: { days: 3, readings: 12 }, why: null, source: "中国高血压防治指南 2024" } : null,
    glucose: glucose ? { basis: "time", days: 14, coverage: 0.93, enough: true, ranges: [range("very_low", null, 3, 0), range("low", 3, 3.9, 0.012), range("in_range", 3.9, 10, 0.61), range("high", 10, 13.9, 0.31), range("very_high", 13.9, null, 0.068)], targets: [{ name: "in_range", at_least: 0.5, at_most: null, share: 0.61, met: true }, { name: "very_high", at_least: null, at_most: 0.1, share: 0.068, met: true }, { name: "below_3_9", at_least: null, at_most: 0.01, share: 0.012, met: false }], target_group: "older_high_risk", mean: 8.4, cv_percent: 31, gmi_percent: 6.9, why: null, source: "International consensus on time in range, 2019" } : null,
    weeks, band: metric === "heart_rate" ? null : { low: 90, high: pressure ? 160 : null, low_priority: "P2", high_priority: pressure ? "P2" : null },
    baseline: empty || metric === "spo2" ? { weeks: 8, days: 4, median: null, spread: null, now: null, now_days: 1, z: null, unusual: null, percentile: null, needs: { days: 14, now_days: 3 }, why: "too_few_days", source: "" } : { weeks: 8, days: 51, median: middle, spread, now: middle + 2.2 * spread, now_days: 6, z: 2.2, unusual: "very", percentile: 0.98, needs: { days: 14, now_days: 3 }, why: null, source: "median and MAD" },
  };
}

export function team(metric, days, sort) {
  const rows = ELDERS.map(({ id, name }, i) => {
    if (i % 11 === 10) return [id, mask(name), null, null, null, null, null, null, null, null, Array(28).fill(null)];
    const points = Array.from({ length: 28 }, (_, k) => ((k + i) % 9 === 0 ? null : 140 + 12 * Math.sin((k + i) / 3) + (i % 5)));
    const beyond = i % 13 === 0 ? 0.08 : null;
    return [id, mask(name), 140 + (i % 30), Date.now() - i * 3_600_000, 141.4, (i % 7) - 3, ((i % 7) - 3) * 0.9, Math.floor(i / 24), beyond, beyond ? "P2" : null, points];
  });
  if (sort === "worst") rows.sort((a, b) => (b[8] ?? 0) - (a[8] ?? 0));
  return { metric, from: iso(Date.now() - days * DAY_MS), to: iso(), bucket_s: 21_600, start: 0, buckets: 28, team: { id: 1, name: "城东第一团队" }, total: rows.length, left_out: 0, sort, columns: [], rows };
}

let asked = 0;
export function population(metric, by) {
  // The first answer is still being made, as after a restart.
  if (asked++ === 0) return { state: "running", metric, days: 30, done: 12_000, of: 47_754, retry_s: 1 };
  const group = (key, zh, en, measured, hidden = null) => ({ key, zh, en, elders: hidden || measured < 4_000 ? null : measured * 2, measured: hidden ? null : measured, mean: hidden ? null : 138, p10: hidden ? null : 118, p25: hidden ? null : 127, p50: hidden ? null : 137, p75: hidden ? null : 148, p90: hidden ? null : 160, below: null, above: hidden ? null : 0.18, hidden });
  return {
    state: "ready", metric, by, days: 30, from: iso(Date.now() - 30 * DAY_MS), to: iso(), made_at: iso(), decimals: 0, range: { low: 90, high: 160, source: "cn-basic" }, total: group("all", "合计", "All", 20_411),
    groups: [group("60", "60–69 岁", "60–69", 8_100), group("70", "70–79 岁", "70–79", 9_300), group("80", "80–89 岁", "80–89", 3_000, "beside_small"), group("90", "90 岁及以上", "90 and over", 4, "small")], hidden_groups: 2,
    rule: { k: 11, zh: "少于 11 位有测量的老人不显示。", en: "Groups with fewer than 11 measured elders are not shown.", source: "CMS cell size policy" },
  };
}
