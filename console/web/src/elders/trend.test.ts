import { describe, expect, it } from "vitest";
import type { Trend } from "../lib/types";
import { drawnBands, spread } from "./bands";
import { paneData, panesFor, ticks } from "./trend";

const trend: Trend = {
  from: "1970-01-01T00:00:00Z", to: "1970-01-01T01:00:00Z", bucket_s: 60, alarms_cut: false,
  alarms: [{ id: "a", priority: "P2", at: 5, metric: "systolic", rule_zh: "", rule_en: "" }, { id: "b", priority: "P1", at: 6, metric: null, rule_zh: "", rule_en: "" }],
  series: [
    { metric: "systolic", points: [[0, 2, 110, 120, 130], [600_000, 1, 140, 140, 140]], gaps: [[60_000, 600_000, "sensor_off"]], absent: [[120_000, "sensor_off"]], bands: [], doubtful: [[30_000, 200, "motion"]], doubtful_n: 1, doubtful_until: null },
    { metric: "diastolic", points: [[0, 2, 70, 75, 80], [600_000, 1, 90, 90, 90]], gaps: [[60_000, 600_000, "gateway_offline"]], absent: [], bands: [], doubtful: [], doubtful_n: 0, doubtful_until: null },
  ],
};

describe("a pane's columns", () => {
  it("break at a gap, in the middle of it", () => {
    const data = paneData(trend, ["systolic"]);
    expect(data.xs).toEqual([30, 330, 630]);
    expect(data.lines[0]?.mean).toEqual([120, null, 140]);
    expect(data.lines[0]?.max).toEqual([130, null, 140]);
    expect(data.count).toBe(2);
  });
  it("carry the cause that the server gives, doubtful values and the alarms of their metric", () => {
    const data = paneData(trend, ["systolic"]);
    expect(data.gaps).toEqual([{ from: 60_000, to: 600_000, why: "sensor_off" }]);
    expect(data.doubts).toEqual([{ at: 30_000, value: 200, quality: "motion", metric: "systolic" }]);
    expect(data.alarms.map((alarm) => alarm.id)).toEqual(["a"]);
    expect(paneData(trend, ["diastolic"]).alarms).toEqual([]);
  });
  it("shade a gap of a shared pane only where both lines have it, once", () => {
    expect(paneData(trend, ["systolic", "diastolic"]).gaps).toHaveLength(1);
    const half = { ...trend, series: [trend.series[0]!, { ...trend.series[1]!, gaps: [] }] };
    expect(paneData(half, ["systolic", "diastolic"]).gaps).toHaveLength(0);
  });
  it("join a line over the other line's times instead of breaking it", () => {
    const other = { ...trend, series: [{ ...trend.series[0]!, gaps: [] }, { ...trend.series[1]!, points: [[300_000, 1, 80, 80, 80] as [number, number, number, number, number]], gaps: [] }] };
    expect(paneData(other, ["systolic", "diastolic"]).lines[0]?.mean).toEqual([120, undefined, 140]);
  });
  it("say so when there is nothing before the first reading, or a stream has ended", () => {
    const day = { ...trend, from: "2026-11-21T00:00:00Z", to: "2026-11-22T12:00:00Z" };
    const t = Date.parse("2026-11-22T00:00:00Z");
    const one = { ...trend.series[0]!, metric: "heart_rate", gaps: [], points: [0, 1, 2, 3].map((i) => [t + i * 60_000, 1, 70, 70, 70] as [number, number, number, number, number]) };
    const edges = (stream: boolean) => paneData({ ...day, series: [one] }, ["heart_rate"], () => stream).gaps.map((gap) => [gap.edge, gap.from, gap.to]);
    expect(edges(true)).toEqual([["before", t - 86_400_000, t], ["since", t + 240_000, t + 43_200_000]]);
    expect(edges(false)).toEqual([["before", t - 86_400_000, t]]);
    const near = { ...day, from: "2026-11-21T23:58:00Z", to: "2026-11-22T00:05:00Z", series: [one] };
    expect(paneData(near, ["heart_rate"]).gaps).toEqual([]);
  });
  it("are empty for a metric without a series", () => {
    expect(paneData(trend, ["glucose"])).toEqual({ xs: [], lines: [], gaps: [], count: 0, doubts: [], alarms: [] });
  });
});

it("panes: pressure together, unknown metrics last, battery left out", () => {
  expect(panesFor(["battery", "new_metric", "diastolic", "heart_rate", "systolic"])).toEqual([["systolic", "diastolic"], ["heart_rate"], ["new_metric"]]);
});

it("ticks stand on round hours of China Standard Time", () => {
  const from = Date.parse("2026-11-22T01:10:00Z") / 1000;
  const out = ticks(from, from + 86_400, 8);
  expect(out.map((t) => new Date((t + 8 * 3_600) * 1000).getUTCHours() % 3)).toEqual(out.map(() => 0));
  expect(out.length).toBe(8);
});

it("a shared pane tints only its outer sides, so that one metric's limits never colour the other's ground", () => {
  const limits = [{ side: "high" as const, priority: "P1" as const, limit: 180 }, { side: "low" as const, priority: "P2" as const, limit: 60 }];
  const two = { ...trend, series: trend.series.map((one) => ({ ...one, bands: limits })) };
  const drawn = drawnBands(two, ["systolic", "diastolic"], (metric) => metric);
  expect(drawn.map((band) => [band.name, band.side, band.wash])).toEqual([["systolic ", "high", true], ["systolic ", "low", false], ["diastolic ", "high", false], ["diastolic ", "low", true]]);
  expect(drawnBands(two, ["systolic"], () => "").every((band) => band.wash && band.name === "")).toBe(true);
});

it("labels keep clear of each other and stay inside", () => {
  expect(spread([10, 12, 50], 13, 5, 100)).toEqual([10, 23, 50]);
  expect(spread([90, 95, 99], 13, 5, 100)).toEqual([74, 87, 100]);
  expect(spread([], 13, 5, 100)).toEqual([]);
});
