/** A trend as columns for the chart: gaps become breaks, absent values become reasons. Pure. */
import type { Trend, TrendSeries } from "../lib/types";

export type Column = (number | null)[];
export interface Line { metric: string; min: Column; mean: Column; max: Column; n: Column }
export interface Gap { from: number; to: number; /** Quality slug that explains it, or null: nothing was sent. */ why: string | null }
export interface PaneData { xs: number[]; lines: Line[]; gaps: Gap[]; count: number }

/** Metrics that share a pane, in the order of the page. Anything else gets a pane of its own behind them. */
export const PANES: readonly (readonly string[])[] = [
  ["systolic", "diastolic"], ["heart_rate"], ["pulse_rate"], ["spo2"], ["respiratory_rate"], ["body_temperature"], ["glucose"],
  ["arterial_systolic", "arterial_diastolic"], ["weight"], ["steps"],
];

/** The panes for the metrics an elder has. */
export function panesFor(metrics: Iterable<string>): string[][] {
  const left = new Set(metrics);
  const skip = new Set(["ecg", "battery", "perfusion_index", "height"]);
  const panes: string[][] = [];
  for (const group of PANES) {
    const here = group.filter((metric) => left.delete(metric));
    if (here.length > 0) panes.push(here);
  }
  for (const metric of left) if (!skip.has(metric)) panes.push([metric]);
  return panes;
}

/** Why a gap: the quality that was seen most often in it. */
export function reason(gap: [number, number], absent: readonly [number, string][]): string | null {
  const seen = new Map<string, number>();
  for (const [at, quality] of absent) {
    if (at >= gap[0] && at <= gap[1]) seen.set(quality, (seen.get(quality) ?? 0) + 1);
  }
  let best: string | null = null;
  for (const [quality, times] of seen) if (best === null || times > (seen.get(best) ?? 0)) best = quality;
  return best;
}

/** Milliseconds in, seconds out (what uPlot wants). Between two points with a gap between them stands a row of nulls. */
export function paneData(trend: Trend, metrics: readonly string[]): PaneData {
  const series = metrics.flatMap((metric) => trend.series.find((one) => one.metric === metric) ?? []);
  const half = (trend.bucket_s * 1000) / 2;
  const times = new Set<number>();
  for (const one of series) {
    for (const point of one.points) times.add(point[0] + half);
    for (const gap of one.gaps) times.add((gap[0] + gap[1]) / 2);
  }
  const xs = [...times].sort((a, b) => a - b);
  const at = new Map(xs.map((x, i) => [x, i]));
  const lines = series.map((one) => column(one, xs, at, half));
  const gaps = series.length === 1 ? gapsOf(series[0]) : series.flatMap(gapsOf).filter((gap) => series.every((one) => covers(one, gap)));
  const unique = gaps.filter((gap, i) => gaps.findIndex((other) => other.from === gap.from && other.to === gap.to) === i);
  return { xs: xs.map((ms) => ms / 1000), lines, gaps: unique, count: series.reduce((sum, one) => sum + one.points.length, 0) };
}

function column(one: TrendSeries, xs: number[], at: Map<number, number>, half: number): Line {
  // undefined: this series has nothing to say about that time (uPlot joins over it); null: a break.
  const make = () => new Array<number | null | undefined>(xs.length).fill(undefined);
  const [min, mean, max, n] = [make(), make(), make(), make()];
  for (const gap of one.gaps) {
    const i = at.get((gap[0] + gap[1]) / 2);
    if (i !== undefined) min[i] = mean[i] = max[i] = n[i] = null;
  }
  for (const [start, count, low, middle, high] of one.points) {
    const i = at.get(start + half);
    if (i !== undefined) [min[i], mean[i], max[i], n[i]] = [low, middle, high, count];
  }
  return { metric: one.metric, min: min as Column, mean: mean as Column, max: max as Column, n: n as Column };
}

const gapsOf = (one: TrendSeries | undefined): Gap[] =>
  (one?.gaps ?? []).map((gap) => ({ from: gap[0], to: gap[1], why: reason(gap, one?.absent ?? []) }));
const covers = (one: TrendSeries, gap: Gap): boolean => one.gaps.some(([from, to]) => from <= gap.from && to >= gap.to);

/** Tick times on round hours or days of China Standard Time, in seconds. */
export function ticks(from: number, to: number, most: number): number[] {
  const hour = 3_600;
  const steps = [hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, 24 * hour, 48 * hour, 120 * hour, 240 * hour];
  const step = steps.find((one) => (to - from) / one <= most) ?? 720 * hour;
  const shift = 8 * hour;
  const out: number[] = [];
  for (let t = Math.ceil((from + shift) / step) * step - shift; t <= to; t += step) out.push(t);
  return out;
}
