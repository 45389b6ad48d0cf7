/** An ECG strip on paper: which seconds a page holds, where each sample lies, where the pen is lifted. Pure. */
import type { Heart, Strip, StripLead, Stretch } from "../lib/types";

/** Paper speed and gain of the printed standard. */
export const MM_PER_S = 25;
export const MM_PER_MV = 10;
/** Longest strip the server answers, milliseconds. */
export const STRIP_MS_MAX = 60_000;
/** CSS pixels of a millimetre: at 100 % a print has true millimetres. */
const PX_PER_MM = 96 / 25.4;
export const ZOOMS = [0.5, 0.75, 1, 1.5, 2] as const;
/** Height of one lead's row, millimetres: at least the usual three squares, more for high waves, with a limit. */
const ROW_MM_MIN = 25;
const ROW_MM_MAX = 60;
const ROW_AIR_MM = 6;

export const pxPerMm = (zoom: number): number => PX_PER_MM * zoom;

/** What a page of this width shows, milliseconds. */
export function pageMs(width: number, zoom: number): number {
  const ms = (width / (pxPerMm(zoom) * MM_PER_S)) * 1000;
  // Whole tenths of a second, so that pages meet on a small square.
  return Math.min(STRIP_MS_MAX, Math.max(1_000, Math.floor(ms / 100) * 100));
}

/** Recordings that belong together: leads of one device, joined while they overlap or nearly touch. Latest first. */
export interface Recording { device: string | null; from: number; to: number; labels: string[] }
const TOUCH_MS = 1_000;
export function recordings(stretches: readonly Stretch[]): Recording[] {
  const rows = stretches.map((one) => ({ device: one.device, from: Date.parse(one.from), to: Date.parse(one.to), label: one.label ?? "" })).sort((a, b) => a.from - b.from);
  const out: Recording[] = [];
  for (const row of rows) {
    const last = out.filter((one) => one.device === row.device).at(-1);
    if (last && row.from - last.to <= TOUCH_MS) {
      last.to = Math.max(last.to, row.to);
      if (!last.labels.includes(row.label)) last.labels.push(row.label);
    } else out.push({ device: row.device, from: row.from, to: row.to, labels: [row.label] });
  }
  return out.sort((a, b) => b.to - a.to);
}

/** The page `by` pages from this one; paging past the end of a recording goes to the next one, over the gap. */
export function turn(at: number, by: number, page: number, all: readonly Recording[]): number {
  const next = at + by * page;
  const inside = (from: number) => all.some((one) => one.to > from && one.from < from + page);
  if (inside(next)) return next;
  const after = all.filter((one) => one.from >= next);
  if (by > 0) return after.length === 0 ? at : Math.min(...after.map((one) => one.from));
  const before = all.filter((one) => one.to <= next + page);
  return before.length === 0 ? at : Math.max(...before.map((one) => one.to)) - page;
}

/** The beginning of the last page of a recording. */
export const lastPage = (one: Recording, page: number): number => Math.max(one.from, one.to - page);

/** Runs of `[ms, value]` the pen draws without being lifted. */
export function runs(lead: StripLead): [number, number][][] {
  const step = (1000 * lead.rate[1]) / lead.rate[0];
  const out: [number, number][][] = [];
  for (const part of lead.parts) {
    let run: [number, number][] = [];
    part.counts.forEach((count, i) => {
      if (count !== null) return void run.push([part.at + i * step, count * lead.scale + lead.offset]);
      if (run.length > 0) out.push(run);
      run = [];
    });
    if (run.length > 0) out.push(run);
  }
  return out;
}

/** One lead, ready to draw: millimetres from the left edge and from the row's middle (up is positive). */
export interface Row { label: string; mm: number; lines: [number, number][][] }
export interface Sheet { rows: Row[]; /** Beats, millimetres from the left edge; none of a strip from which nothing may be concluded. */ beats: number[]; /** Parts of the page in which no lead has a sample, in millimetres. */ gaps: [number, number][] }

export function sheet(strip: Strip, from: number, to: number, mmPerUnit = MM_PER_MV): Sheet {
  const rows = strip.leads.map((lead) => {
    const lines = runs(lead);
    const middle = median(lines.flat().map(([, value]) => value));
    const placed = lines.map((run) => run.map(([at, value]): [number, number] => [((at - from) / 1000) * MM_PER_S, (value - middle) * mmPerUnit]));
    const reach = placed.flat().reduce((most, [, y]) => Math.max(most, Math.abs(y)), 0);
    return { label: lead.label ?? "", mm: Math.min(ROW_MM_MAX, Math.max(ROW_MM_MIN, 2 * (reach + ROW_AIR_MM / 2))), lines: placed };
  });
  const beats = strip.heart && strip.heart.verdict !== "unusable" ? strip.heart.beats : [];
  return { rows, beats: beats.map((at) => ((at - from) / 1000) * MM_PER_S), gaps: gaps(rows, ((to - from) / 1000) * MM_PER_S) };
}

/** Two millimetres without a sample of any lead are a gap. */
const GAP_MM = 2;
function gaps(rows: readonly Row[], width: number): [number, number][] {
  const spans = rows.flatMap((row) => row.lines.map((line): [number, number] => [line[0]?.[0] ?? 0, line.at(-1)?.[0] ?? 0])).sort((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  let end = 0;
  for (const [from, to] of [...spans, [width, width] as [number, number]]) {
    if (from - end > GAP_MM) out.push([end, from]);
    end = Math.max(end, to);
  }
  return out;
}

/** Words for what a strip says about the heart: the rate, then the verdict with its reason. */
export interface HeartWords { ecg_rate: (rate: string) => string; ecg_pause: (s: string) => string; ecg_verdicts: Record<string, string>; ecg_reasons: Record<string, string> }
export function heartLine(heart: Heart | null | undefined, words: HeartWords): string {
  if (!heart) return "";
  const why = heart.reason ? words.ecg_reasons[heart.reason] : undefined;
  const verdict = (words.ecg_verdicts[heart.verdict] ?? heart.verdict) + (why ? ` (${why})` : "");
  const rate = heart.heart_rate === null ? [] : [words.ecg_rate(heart.heart_rate.toFixed(0))];
  const pause = heart.pause_s === null ? [] : [words.ecg_pause(heart.pause_s.toFixed(1))];
  return [...rate, ...pause, verdict].join(" · ");
}

/** The line at rest: half of the samples lie above it. */
export function median(values: number[]): number {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length >> 1] ?? 0;
}
