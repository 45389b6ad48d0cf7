// The mock's figures about alarms, and what a change of rules would have raised.
import { iso } from "./state.mjs";

const HOUR_MS = 3_600_000;
const times = (count, p50_s, p95_s, within_60_s, within_180_s) => ({ count, p50_s, p95_s, within_60_s, within_180_s });
const never = times(0, null, null, 0, 0);
const value = (name, zh, en, alarms, labelled_true, labelled_false) => ({ name, zh, en, alarms, labelled_true, labelled_false, predictive: labelled_true + labelled_false ? labelled_true / (labelled_true + labelled_false) : null });

export function numbers(from, to) {
  const hours = Array.from({ length: 12 }, (_, i) => ({ hour: iso(Date.parse(to) - i * HOUR_MS), seats: i % 4 === 3 ? 0 : 2, P1: i % 3, P2: (i * 2) % 5, P3: i === 2 ? 14 : i % 6, T: i % 2 }));
  return {
    from, to, seats: 2.4, by_hour: hours.reverse(),
    by_priority: [
      { priority: "P1", alarms: 40, late: 1, answer: times(40, 22, 71, 0.95, 1), accept: times(31, 140, 410, 0.1, 0.6), arrive: times(12, 1_500, 2_600, 0, 0), resolve: times(38, 1_900, 5_400, 0, 0) },
      { priority: "P2", alarms: 120, late: 6, answer: times(96, 160, 900, 0.3, 0.55), accept: never, arrive: never, resolve: times(90, 2_400, 9_000, 0, 0) },
      { priority: "P3", alarms: 610, late: 40, answer: never, accept: never, arrive: never, resolve: never },
      { priority: "T", alarms: 300, late: 0, answer: never, accept: never, arrive: never, resolve: never },
    ],
    rules: [value("systolic_high", "收缩压偏高", "High systolic pressure", 380, 40, 12), value("spo2_low", "血氧偏低", "Low oxygen saturation", 210, 9, 60), value("sos", "紧急呼叫", "SOS", 30, 4, 21), value("silence", "无数据", "No data", 300, 0, 0)],
    device_kinds: [value("watch-4g", "watch-4g", "watch-4g", 400, 12, 70), value("cuff-u10", "cuff-u10", "cuff-u10", 380, 40, 12)],
    teams: [value("城东第一团队", "城东第一团队", "城东第一团队", 700, 41, 60)],
    elders: [{ elder: 7, alarms: 61 }, { elder: 12, alarms: 44 }], top_tenth_share: 0.574, chattering: 3, standing: 2,
    floods: [{ from: hours[2].hour, to: hours[3].hour, alarms: 31 }], targets: { within_60_s: 0.975, within_180_s: 0.99, alarms_per_seat_and_hour: 6 },
  };
}

export function judgement(set) {
  const limit = set.rules.find((rule) => rule.slug === "systolic_high")?.test.threshold.levels[0].limit ?? 180;
  const line = (days, worst, outcome) => ({ elder: 7, rule: "systolic_high", priority: "P1", kind: { type: "threshold", metric: "systolic", high: true, value: worst, limit: 180 }, started_at: iso(Date.now() - days * 24 * HOUR_MS), worst, outcome });
  const count = (alarms) => ({ alarms, per_day: alarms / 30, by_priority: { P1: alarms }, by_rule: { systolic_high: alarms } });
  const lost = limit > 180 ? [line(3, 186, "true_handled"), line(9, 184, null)] : [];
  return { from: iso(Date.now() - 30 * 24 * HOUR_MS), to: iso(), readings: 43_200, now: count(5), proposed: count(5 - lost.length), gained: [], lost, lost_true: lost.length ? 1 : 0, listed_max: 200 };
}
