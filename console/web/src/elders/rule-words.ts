/** A rule's test and origin in the words of the screen. */
import { span } from "../alarms/words";
import { i18n } from "../i18n/i18n.svelte";
import { limit, unit } from "../lib/format";
import { session } from "../lib/session.svelte";
import type { Layer, Rule, Rules } from "../lib/types";

function metricName(slug: string): string {
  const metric = session.metrics.get(slug);
  return metric ? i18n.pick(metric) : slug;
}
const withUnit = (value: number, slug: string): string => `${limit(value)} ${unit(session.metrics.get(slug), i18n.isZh)}`.trim();

/** One line for rules that are neither a threshold, an event nor a silence; with the priority of its first level. */
export function otherTest(rule: Rule): { priority: "P1" | "P2" | "P3" | "T"; what: string } | null {
  const t = i18n.t.rules_more;
  const test = rule.test;
  if ("trend" in test) {
    const { metric, by, side, against, priority } = test.trend;
    const [name, change, up] = [metricName(metric), withUnit(by, metric), side === "high"];
    const what = "last_days" in against ? t.trend(name, change, against.last_days.days, up) : t.baseline(name, change, against.baseline.days, up);
    return { priority, what };
  }
  if ("score" in test) {
    const [first] = test.score.levels;
    const parts = test.score.levels.map((level) => `${level.priority} ${t.score(level.at_least)}`);
    if (test.score.single_three) parts.push(`${test.score.single_three} ${t.single_three}`);
    if (test.score.spo2_scale2) parts.push(t.scale2);
    return { priority: first?.priority ?? "P3", what: parts.join("; ") };
  }
  if ("count" in test) {
    const { metric, side, limit: edge, count, within_s, priority } = test.count;
    return { priority, what: t.count(metricName(metric), withUnit(edge, metric), count, span(within_s), side === "high") };
  }
  return null;
}

/** What else a rule says: its time of day, and asking for a second measurement. */
export function extras(rule: Rule): string {
  const t = i18n.t.rules_more;
  const confirm = "threshold" in rule.test ? rule.test.threshold.confirm : undefined;
  return [rule.hours ? t.hours(rule.hours) : "", confirm ? t.confirm(span(confirm.within_s)) : ""].filter(Boolean).join(" · ");
}

/** The layer a rule, or one level of it, comes from. */
export function originOf(rules: Rules, slug: string, priority: string | null): Layer | null {
  const found = rules.origins?.find((one) => one.rule === slug);
  const level = found?.levels?.find((one) => one.priority === priority);
  const place = level?.origin ?? found?.origin;
  return place === undefined ? null : (rules.layers?.[place] ?? null);
}
