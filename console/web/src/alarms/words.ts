/** An alarm in the words of the screen. */
import { i18n, word } from "../i18n/i18n.svelte";
import { clock, limit, number, unit } from "../lib/format";
import { session } from "../lib/session.svelte";
import type { Alarm, Named, Sex } from "../lib/types";

export const title = (alarm: Alarm): string => i18n.pick({ zh: alarm.title_zh, en: alarm.title_en });

/** A length of time in the largest fitting unit. */
export function span(seconds: number): string {
  const t = i18n.t;
  if (seconds < 120) return t.seconds(Math.round(seconds));
  if (seconds < 7_200) return t.minutes(Math.round(seconds / 60));
  return seconds < 172_800 ? t.hours(Math.round(seconds / 3_600)) : t.days(Math.round(seconds / 86_400));
}

/** What was measured and against which limit: `收缩压 186 mmHg` and `限 180`. Empty where there is no number, and for those who may not know. */
export function measured(alarm: Alarm): { what: string; limit: string } {
  const kind = alarm.kind;
  if (!kind) return { what: "", limit: "" };
  if (kind.type === "threshold") {
    const metric = session.metrics.get(kind.metric);
    const name = metric ? i18n.pick(metric) : kind.metric;
    // No judged value is outside of what is plausible: the device said that it was below or above its range, and no number.
    const [least, most] = metric?.plausible ?? [-Infinity, Infinity];
    const beyond = kind.value < least ? "under_range" : kind.value > most ? "over_range" : "";
    if (beyond) return { what: `${name} ${word(i18n.t.qualities, beyond)}`, limit: i18n.t.limit_of(limit(kind.limit)) };
    return { what: `${name} ${number(kind.value, metric)} ${unit(metric, i18n.isZh)}`.trim(), limit: i18n.t.limit_of(limit(kind.limit)) };
  }
  if (kind.type === "score") return { what: i18n.t.rules_more.score_of(kind.min, kind.max), limit: kind.single_three ? i18n.t.rules_more.single_three : "" };
  if (kind.type === "trend" || kind.type === "count") {
    const metric = session.metrics.get(kind.metric);
    const name = metric ? i18n.pick(metric) : kind.metric;
    const signed = (value: number) => `${value > 0 ? "+" : ""}${limit(value)} ${unit(metric, i18n.isZh)}`.trim();
    return kind.type === "trend" ? { what: i18n.t.rules_more.trend_of(name, signed(kind.change), kind.days), limit: i18n.t.limit_of(limit(kind.by)) }
      : { what: i18n.t.rules_more.count_of(name, kind.count, span(kind.within_s)), limit: i18n.t.limit_of(limit(kind.limit)) };
  }
  if (kind.type === "silence") return { what: i18n.t.silent_for(span(kind.silent_s)), limit: "" };
  // An event has no number: its title says all.
  return { what: "", limit: "" };
}

export const nameOf = (what: string | Named | null): string => (what === null ? "" : typeof what === "string" ? what : what.name);
export const sexOf = (sex: Sex | null | undefined): string => word(i18n.t.sex, sex ?? "unknown");
export const ageOf = (age: number | null | undefined): string => (age === null || age === undefined ? i18n.t.unknown : i18n.t.years(age));

export function elderLine(alarm: Alarm): { name: string; rest: string } {
  const elder = alarm.elder;
  if (!elder) return { name: i18n.t.no_elder, rest: "" };
  return { name: elder.name_masked, rest: `${ageOf(elder.age)} ${sexOf(elder.sex)}` };
}

/** Whether the cause is still there. An event (fall, SOS) happens once and has no such state. */
export const conditionOf = (alarm: Alarm): string => (alarm.kind?.type === "event" ? "" : word(i18n.t.condition, alarm.condition));
/** The condition, or when the event happened. */
export const stateOf = (alarm: Alarm): string =>
  alarm.kind?.type === "event" ? i18n.t.happened(clock(Date.parse(alarm.started_at))) : conditionOf(alarm);

/** `网关本地已报警 02:10`: it was heard at home while the server was out of reach. Empty when it was not. */
export function soundedLine(alarm: Alarm): string {
  if (!alarm.sounded_at) return "";
  const at = clock(Date.parse(alarm.sounded_at));
  return alarm.sounded_ok ? i18n.t.sounded(at) : i18n.t.sounded_not(at);
}

/** Where the page stands: `已发出`, then who accepted. */
export function pageLine(alarm: Alarm): string {
  const urgent = alarm.priority === "P1" || alarm.priority === "P2";
  // Raised, waiting for a person, and not one page was written: there is nobody to page.
  if (urgent && alarm.handling === "open" && !alarm.page_state && (!alarm.late || alarm.sounded_at)) return i18n.t.nobody_to_page;
  const state = word(i18n.t.page_states, alarm.page_state);
  if (!alarm.accepted_by) return state;
  const who = i18n.t.accepted_by(alarm.accepted_by.name);
  return alarm.page_state === "accepted" || !state ? who : `${state} → ${who}`;
}

/** `收缩压 186 mmHg, 限 180`; empty for an event. */
export function measuredLine(alarm: Alarm): string {
  const { what, limit: at } = measured(alarm);
  return at ? `${what}, ${at}` : what;
}

/** One line for screen readers and the strip. */
export function sentence(alarm: Alarm): string {
  const { what, limit: at } = measured(alarm);
  const elder = elderLine(alarm);
  return [i18n.t.priority[alarm.priority], elder.name, elder.rest, title(alarm), what, at].filter(Boolean).join(" ");
}

/** "3 分钟前" against a given now. */
export function ago(at: string | null, now: number): string {
  if (!at) return "";
  const seconds = (now - Date.parse(at)) / 1000;
  return seconds < 10 ? i18n.t.just_now : i18n.t.ago(span(seconds));
}
