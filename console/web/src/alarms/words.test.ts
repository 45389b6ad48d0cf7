import { expect, it } from "vitest";
import { alarm } from "../lib/fixtures";
import { session } from "../lib/session.svelte";
import { sameMeasurement } from "./order";
import { conditionOf, measured, measuredLine, pageLine, sentence, stateOf } from "./words";

it("an alarm whose kind is not for this role has words for all the rest", () => {
  const hidden = alarm("a", { kind: null, rule: "***", title_zh: "健康告警", title_en: "Health alarm" });
  expect(measured(hidden)).toEqual({ what: "", limit: "" });
  expect(measuredLine(hidden)).toBe("");
  expect(conditionOf(hidden)).toBe("持续");
  expect(stateOf(hidden)).toBe("持续");
  expect(sentence(hidden)).toContain("健康告警");
  expect(sameMeasurement(hidden, alarm("b"))).toBe(false);
});

it("who accepted is named, whatever they are", () => {
  const taken = alarm("a", { handling: "engaged", page_state: "accepted", accepted_by: { id: 8, name: "陈网格员", at: "2026-11-22T01:00:00Z" } });
  expect(pageLine(taken)).toBe("陈网格员 已接手");
});

it("what a meter calls LO or HI is said in words, not as a number nobody read", () => {
  session.metrics = new Map([["glucose", { id: 9, slug: "glucose", zh: "血糖", en: "Glucose", unit: "mmol/L", unit_shown: "mmol/L", decimals: 1, plausible: [0.5, 50], shape: "spot" }]]);
  const of = (value: number) => measured(alarm("a", { kind: { type: "threshold", metric: "glucose", high: value > 10, value, limit: 3.9 } })).what;
  expect(of(0.4)).toBe("血糖 低于量程");
  expect(of(50.1)).toBe("血糖 高于量程");
  expect(of(0.5)).toBe("血糖 0.5 mmol/L");
});
