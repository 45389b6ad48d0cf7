/** What is wrong with edited thresholds, found before the server has to say so. Pure. */
import type { Rule, Threshold } from "../lib/types";

export interface Fault { kind: "number" | "levels" | "sides"; rule: Rule; /** The other side's rule, for `sides`. */ other?: Rule }

const finite = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const thresholdOf = (rule: Rule): Threshold | null => ("threshold" in rule.test ? rule.test.threshold : null);

/** The first fault in the order of the rules; null: nothing to object to. An emptied field is no number. */
export function firstFault(rules: readonly Rule[]): Fault | null {
  for (const rule of rules) {
    const threshold = thresholdOf(rule);
    if (!threshold) continue;
    const { levels, clear_margin, side } = threshold;
    if (!finite(clear_margin) || clear_margin < 0 || levels.some((level) => !finite(level.limit) || !Number.isInteger(level.hold_s) || level.hold_s < 0)) return { kind: "number", rule };
    // Levels go from the most urgent to the least: each limit nearer to normal than the one before.
    const crossed = levels.some((level, i) => {
      const before = levels[i - 1];
      return before !== undefined && (side === "high" ? level.limit >= before.limit : level.limit <= before.limit);
    });
    if (crossed) return { kind: "levels", rule };
  }
  for (const rule of rules) {
    const low = thresholdOf(rule);
    if (low?.side !== "low") continue;
    const other = rules.find((one) => {
      const high = thresholdOf(one);
      return high?.side === "high" && high.metric === low.metric && Math.max(...low.levels.map((level) => level.limit)) >= Math.min(...high.levels.map((level) => level.limit));
    });
    if (other) return { kind: "sides", rule, other };
  }
  return null;
}
