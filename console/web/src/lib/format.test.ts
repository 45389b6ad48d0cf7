import { describe, expect, it } from "vitest";
import { dateTime, elapsed, limit, monthDayTime, number, shortAddress, unit } from "./format";
import { match } from "./router-match";
import type { MetricInfo } from "./types";
import { uuid } from "./uuid";

const temperature: MetricInfo = { id: 8, slug: "body_temperature", zh: "体温", en: "Body temperature", unit: "Cel", unit_shown: "℃", decimals: 1, plausible: [25, 45], shape: "spot" };

describe("times", () => {
  it("are China Standard Time wherever the browser stands", () => {
    expect(dateTime(Date.parse("2026-11-21T16:00:01Z"))).toBe("2026-11-22 00:00:01");
    expect(monthDayTime(Date.parse("2026-12-31T23:30:00Z"))).toBe("01-01 07:30");
  });
  it("run as timers", () => {
    expect([7_000, 760_000, 11_109_000, 183_600_000, -5_000].map((ms) => elapsed(ms))).toEqual(["0:07", "12:40", "3:05:09", "2 天 03:00", "0:00"]);
  });
});

describe("numbers", () => {
  it("have the metric's decimals, limits no needless zeros", () => {
    expect(number(36.54, temperature)).toBe("36.5");
    expect(number(7.126)).toBe("7.13");
    expect([limit(180), limit(37.5)]).toEqual(["180", "37.5"]);
  });
  it("have units in the reader's language", () => {
    expect(unit({ ...temperature, unit_shown: "次/分" }, false)).toBe("/min");
    expect(unit({ ...temperature, unit_shown: "mmHg" }, true)).toBe("mmHg");
    expect(unit(undefined, true)).toBe("");
  });
});

it("short addresses keep the end that finds the door", () => {
  expect(shortAddress("河北省石家庄市长安区和平路12号")).toBe("长安区和平路12号");
  expect(shortAddress("河北省石家庄市长安区和平路12号院3单元402室东户西厢房")).toHaveLength(18);
});

it("routes match by parts", () => {
  expect(match("/elders/7", "/elders/:id")).toBe("7");
  expect(match("/elders", "/elders/:id")).toBeNull();
  expect(match("/phone/pages/12", "/phone/pages/:id")).toBe("12");
  expect(match("/phone/other/12", "/phone/pages/:id")).toBeNull();
});

it("uuid works without a secure context", () => {
  const bare = { getRandomValues: (bytes: Uint8Array) => bytes.fill(255) } as unknown as Crypto;
  expect(uuid(bare)).toBe("ffffffff-ffff-4fff-bfff-ffffffffffff");
  expect(uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
});
