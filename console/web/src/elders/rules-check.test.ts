import { expect, it } from "vitest";
import type { Rule } from "../lib/types";
import { firstFault } from "./rules-check";

const rule = (side: "low" | "high", limits: number[], metric = "systolic"): Rule => ({
  slug: `${metric}_${side}`, zh: "规则", en: "Rule", latching: false,
  test: { threshold: { metric, side, clear_margin: 5, levels: limits.map((limit, i) => ({ priority: (["P1", "P2", "P3"] as const)[i] ?? "P3", limit, hold_s: 60 })) } },
});

it("accepts limits that make sense", () => {
  expect(firstFault([rule("high", [180, 160, 140]), rule("low", [90, 100])])).toBeNull();
  expect(firstFault([rule("high", [180]), rule("low", [190], "spo2")])).toBeNull();
});
it("finds an emptied field, levels out of order, and a low limit above a high one", () => {
  expect(firstFault([rule("high", [180, null as unknown as number])])?.kind).toBe("number");
  expect(firstFault([rule("high", [160, 180])])).toMatchObject({ kind: "levels", rule: { slug: "systolic_high" } });
  expect(firstFault([rule("low", [100, 90])])?.kind).toBe("levels");
  expect(firstFault([rule("high", [180, 160]), rule("low", [150, 165])])).toMatchObject({ kind: "sides", rule: { slug: "systolic_low" }, other: { slug: "systolic_high" } });
});
