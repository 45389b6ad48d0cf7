import { expect, it } from "vitest";
import { alarm } from "../lib/fixtures";
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
