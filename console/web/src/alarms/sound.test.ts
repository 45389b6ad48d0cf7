import { beforeEach, describe, expect, it } from "vitest";
import { burst, MUTE_MS, sound } from "./sound.svelte";

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

describe("mute", () => {
  let now = 1_000_000;
  /** Bursts of one beat at `now`. */
  const heard = (p1: string[], p2 = 0) => {
    const before = sound.bursts;
    sound.beat(p1, p2, now);
    return sound.bursts - before;
  };
  beforeEach(() => {
    now += 1_000_000;
    sound.unmute();
    sound.running = true;
    heard([]);
  });
  it("keeps still over what stood at the press, for a minute", () => {
    expect(heard(["a"])).toBe(1);
    sound.mute(now);
    now += MUTE_MS - 1;
    expect(heard(["a"], 3)).toBe(0);
    now += 1;
    expect(heard(["a"])).toBe(1);
  });
  it("ends at once with a P1 that was not there at the press, a new P2 does not end it", () => {
    heard(["a"]);
    sound.mute(now);
    now += 1_000;
    expect(heard(["a"], 1)).toBe(0);
    expect(heard(["a", "b"], 1)).toBe(1);
    expect(sound.mutedUntil).toBe(0);
  });
  it("ends with a P1 that came back to the queue", () => {
    heard(["a", "b"]);
    heard(["a"]);
    sound.mute(now);
    now += 1_000;
    expect(heard(["a", "b"])).toBe(1);
  });
  it("cannot be drawn out by pressing again", () => {
    heard(["a"]);
    sound.mute(now);
    const until = sound.mutedUntil;
    now += MUTE_MS / 2;
    sound.mute(now);
    expect(sound.mutedUntil).toBe(until);
  });
});
