import { expect, test } from "vitest";
import { signed } from "./words";

test("a change that rounds to nothing has no direction", () => {
  expect([signed(0.4, 0), signed(-0.4, 0), signed(0, 1)]).toEqual(["±0", "±0", "±0.0"]);
  expect([signed(1.26, 1), signed(-1.26, 1)]).toEqual(["+1.3", "−1.3"]);
});
