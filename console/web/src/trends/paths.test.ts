import { describe, expect, it } from "vitest";
import { band, limits, line, near } from "./paths";

const box = { width: 100, height: 10, low: 0, high: 10 };

describe("a line", () => {
  it("breaks where there is no value and shows a lone one as a dot", () => {
    expect(line([0, 10, null, 5, null], box)).toBe("M0.0 10.0L25.0 0.0M75.0 5.0h0");
    expect(line([0, null, null, 10, null], box, true)).toBe("M0.0 10.0L75.0 0.0");
    expect(line([], box)).toBe("");
    expect(line([null, null], box)).toBe("");
  });
});

describe("a band", () => {
  it("has a piece wherever both of its edges are known", () => {
    expect(band([0, 0, null, 2], [10, 10, 10, 4], box)).toBe("M0.0 0.0L33.3 0.0L33.3 10.0L0.0 10.0Z");
    expect(band([null], [null], box)).toBe("");
  });
});

it("near limits are drawn, far ones and those of nobody are not", () => {
  expect(near({ low: 2, high: 9 }, box)).toEqual([2, 9]);
  expect(near({ low: null, high: 11 }, box)).toEqual([]);
  expect(near(null, box)).toEqual([]);
});

it("limits leave air, also around equal values, and none where nothing is", () => {
  expect(limits([null, 10, 20])).toEqual({ low: 9, high: 21 });
  expect(limits([7, 7])).toEqual({ low: 6.5, high: 7.5 });
  expect(limits([null])).toBeNull();
  expect(limits([10], [null, 40])).toEqual({ low: 7, high: 43 });
});
