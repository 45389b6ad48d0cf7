import { describe, expect, it } from "vitest";
import { en } from "../i18n/en";
import type { Heart, Strip, StripLead } from "../lib/types";
import { heartLine, lastPage, median, MM_PER_S, pageMs, pxPerMm, recordings, runs, sheet, turn, type Recording } from "./ecg";

const lead = (label: string, parts: StripLead["parts"]): StripLead => ({ device: "patch-1", lead: 131_074, label, rate: [4, 1], scale: 0.5, offset: 1, parts });
const strip = (leads: StripLead[]): Strip => ({ metric: "ecg", unit: "mV", from: "1970-01-01T00:00:00Z", to: "1970-01-01T00:00:10Z", leads });

describe("the pen", () => {
  it("draws counts as values in their time and is lifted over what is missing", () => {
    const parts = [{ at: 1_000, counts: [0, 2, null, 4] }, { at: 5_000, counts: [null, 6] }];
    expect(runs(lead("II", parts))).toEqual([[[1_000, 1], [1_250, 2]], [[1_750, 3]], [[5_250, 4]]]);
  });
  it("has 25 mm to the second and 10 mm to the millivolt about the line at rest", () => {
    const row = sheet(strip([lead("II", [{ at: 0, counts: [0, 0, 2, 0] }])]), 0, 1_000).rows[0]!;
    expect(row.lines).toEqual([[[0, 0], [0.25 * MM_PER_S, 0], [0.5 * MM_PER_S, 10], [0.75 * MM_PER_S, 0]]]);
    expect(row.label).toBe("II");
  });
  it("gives a row the height it needs, within reason", () => {
    const high = (count: number) => sheet(strip([lead("V5", [{ at: 0, counts: [0, 0, 0, count] }])]), 0, 1_000).rows[0]!.mm;
    expect([high(0), high(4), high(1_000)]).toEqual([25, 46, 60]);
  });
  it("rests in the middle of the samples, whatever the electrode's offset", () => {
    expect([median([5, 5, 5, 90]), median([])]).toEqual([5, 0]);
  });
});

describe("the heart", () => {
  const heart: Heart = { lead: 131_074, label: "II", verdict: "usable", reason: null, heart_rate: 72.6, pause_s: null, beats: [500, 1_300], rr_ms: [800] };
  it("has a tick over every beat, and none where nothing may be concluded", () => {
    const beats = (one: Heart | null) => sheet({ ...strip([]), heart: one }, 300, 2_300).beats;
    expect(beats(heart)).toEqual([0.2 * MM_PER_S, MM_PER_S]);
    expect([beats({ ...heart, verdict: "unusable" }), beats(null)]).toEqual([[], []]);
  });
  it("is said with its rate, its pause, and how good the signal is", () => {
    expect(heartLine(heart, en)).toBe("heart rate 73/min · signal usable");
    expect(heartLine({ ...heart, pause_s: 4.25, verdict: "doubtful", reason: "noise" }, en)).toBe("heart rate 73/min · pause 4.3 s · signal doubtful (noise)");
    expect(heartLine({ ...heart, heart_rate: null, verdict: "unusable", reason: "lead_off" }, en)).toBe("signal unusable: conclude nothing from it (lead off)");
    expect([heartLine(null, en), heartLine(undefined, en)]).toEqual(["", ""]);
  });
});

describe("gaps", () => {
  it("are where no lead has a sample", () => {
    const both = strip([lead("I", [{ at: 0, counts: new Array<number>(9).fill(0) }]), lead("II", [{ at: 1_000, counts: new Array<number>(13).fill(0) }, { at: 8_000, counts: new Array<number>(9).fill(0) }])]);
    expect(sheet(both, 0, 10_000).gaps).toEqual([[4 * MM_PER_S, 8 * MM_PER_S]]);
  });
  it("are the whole page when there is nothing", () => {
    expect(sheet(strip([]), 0, 2_000).gaps).toEqual([[0, 50]]);
  });
});

describe("pages", () => {
  it("hold what fits at 25 mm/s, and never more than the server answers", () => {
    expect(pageMs(10 * MM_PER_S * pxPerMm(1), 1)).toBe(10_000);
    expect(pageMs(10 * MM_PER_S * pxPerMm(1), 0.5)).toBe(20_000);
    expect([pageMs(50, 2), pageMs(20_000, 0.5)]).toEqual([1_000, 60_000]);
  });
  const all: Recording[] = [{ device: "a", from: 100_000, to: 130_000, labels: [] }, { device: "a", from: 0, to: 25_000, labels: [] }];
  it("turn within a recording, leap over gaps, and stay at the ends", () => {
    expect(turn(0, 1, 10_000, all)).toBe(10_000);
    expect(turn(20_000, 1, 10_000, all)).toBe(100_000);
    expect(turn(100_000, -1, 10_000, all)).toBe(15_000);
    expect(turn(120_000, 1, 10_000, all)).toBe(120_000);
    expect(turn(0, -1, 10_000, all)).toBe(0);
    expect(lastPage(all[0]!, 10_000)).toBe(120_000);
    expect(lastPage(all[0]!, 60_000)).toBe(100_000);
  });
  it("of one device's leads are one recording", () => {
    const at = (s: number) => new Date(s * 1000).toISOString();
    const row = (device: string, label: string, from: number, to: number) => ({ device, lead: 1, label, from: at(from), to: at(to) });
    const found = recordings([row("a", "V5", 50, 60), row("a", "II", 0, 30), row("a", "V5", 5, 31), row("b", "I", 8, 20)]);
    expect(found.map((one) => [one.device, one.from / 1000, one.to / 1000, one.labels.join()])).toEqual([["a", 50, 60, "V5"], ["a", 0, 31, "II,V5"], ["b", 8, 20, "I"]]);
  });
});
