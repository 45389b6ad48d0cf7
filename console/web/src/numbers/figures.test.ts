import { describe, expect, it } from "vitest";
import { meets, perSeat, share } from "./figures";

describe("figures", () => {
  it("writes shares with one decimal, and nothing for nothing", () => {
    expect(share(0.975)).toBe("97.5 %");
    expect(share(1)).toBe("100.0 %");
    expect(share(null)).toBe("–");
  });
  it("does not round a figure up to its target", () => {
    expect(meets(0.97499, 0.975)).toBe(false);
    expect(meets(0.975, 0.975)).toBe(true);
    expect(meets(null, 0.975)).toBe(null);
  });
  it("counts for a seat what people handle", () => {
    expect(perSeat({ seats: 2, P1: 1, P2: 2, P3: 3 })).toBe(3);
    expect(perSeat({ seats: 0, P1: 1, P2: 0, P3: 0 })).toBe(null);
  });
});
