import { expect, it } from "vitest";
import { burst } from "./sound.svelte";

it("P1 has ten pulses as 3+2, pause, 3+2; P2 three; the others none", () => {
  const { starts, length_s } = burst("P1");
  expect(starts).toHaveLength(10);
  const rests = starts.slice(1).map((start, i) => start - (starts[i] ?? 0));
  const [inner, group, pause] = [rests[0] ?? 0, rests[2] ?? 0, rests[4] ?? 0];
  expect(inner).toBeGreaterThan(length_s);
  expect(group).toBeGreaterThan(inner * 1.5);
  expect(pause).toBeGreaterThan(group * 1.5);
  expect(burst("P2").starts).toHaveLength(3);
  expect(burst("P3").starts).toEqual([]);
  expect(burst("T").starts).toEqual([]);
});
