/** A trend as columns for the chart: gaps become breaks, absent values become reasons. Pure. */
import type { Trend, TrendAlarm, TrendSeries } from "../lib/types";

export type Column = (number | null)[];
export interface Line { metric: string; min: Column; mean: Column; max: Column; n: Column }
export interface Gap { from: number; to: number; /** Cause as the server says it; null: at an edge. */ why: string | null; /** Open on one side: nothing before the first, or nothing since the last reading. */ edge?: "before" | "since" }
/** A doubtful value or an alarm; times in milliseconds. */
export interface Doubt { at: number; value: number; quality: string; metric: string }
export interface PaneData { xs: number[]; lines: Line[]; gaps: Gap[]; count: number; doubts: Doubt[]; alarms: TrendAlarm[] }

/** A pause of a stream longer than this, and than so many usual distances, is a gap (as on the server), milliseconds. */
const GAP_MS = 300_000;
const GAP_FACTOR = 5;
/** Usual distance where there is but one point. */
const LONE_MS = 86_400_000;

/** Metrics that share a pane, in the order of the page. Anything else gets a pane of its own behind them. */
export const PANES: readonly (readonly string[])[] = [
  ["systolic", "diastolic"], ["heart_rate"], ["pulse_rate"], ["spo2"], ["respiratory_rate"], ["body_temperature"], ["glucose"],
  ["arterial_systolic", "arterial_diastolic"], ["weight"], ["steps"],
];

/** The panes for the metrics an elder has. */
export function panesFor(metrics: Iterable<string>): string[][] {
  const left = new Set(metrics);
  const skip = new Set(["ecg", "ppg", "battery", "perfusion_index", "height"]);
  const panes: string[][] = [];
  for (const group of PANES) {
    const here = group.filter((metric) => left.delete(metric));
    if (here.length > 0) panes.push(here);
  }
  for (const metric of left) if (!skip.has(metric)) panes.push([metric]);
  return panes;
}

/** Milliseconds in, seconds out (what uPlot wants). Between two points with a gap between them stands a row of nulls. */
export function paneData(trend: Trend, metrics: readonly string[], isStream: (metric: string) => boolean = () => true): PaneData {
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
  const doubts = series.flatMap((one) => (one.doubtful ?? []).map(([at, value, quality]) => ({ at, value, quality, metric: one.metric })));
  const alarms = (trend.alarms ?? []).filter((alarm) => alarm.metric !== null && metrics.includes(alarm.metric));
  return { xs: xs.map((ms) => ms / 1000), lines, gaps: [...unique, ...edges(trend, series, isStream)], count: series.reduce((sum, one) => sum + one.points.length, 0), doubts, alarms };
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

/** The empty ends of a pane. The server tells of pauses between readings only: it cannot know when a device was handed out. */
function edges(trend: Trend, series: TrendSeries[], isStream: (metric: string) => boolean): Gap[] {
  const times = [...new Set(series.flatMap((one) => one.points.map((point) => point[0])))].sort((a, b) => a - b);
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined) return [];
  const apart = times.slice(1).map((at, i) => at - (times[i] ?? at)).sort((a, b) => a - b);
  const width = trend.bucket_s * 1000;
  const least = Math.max(GAP_MS, 2 * width, GAP_FACTOR * (apart[apart.length >> 1] ?? LONE_MS));
  const known = series.flatMap((one) => one.gaps);
  const [from, to] = [Date.parse(trend.from), Date.parse(trend.to)];
  const begin = known.reduce((at, gap) => Math.min(at, gap[0]), first);
  const end = known.reduce((at, gap) => Math.max(at, gap[1]), last + width);
  const out: Gap[] = [];
  if (begin - from > least) out.push({ from, to: begin, why: null, edge: "before" });
  // A cuff waits for its next measurement: only a stream that has ended is missing.
  if (to - end > least && series.some((one) => isStream(one.metric))) out.push({ from: end, to, why: null, edge: "since" });
  return out;
}

const gapsOf = (one: TrendSeries | undefined): Gap[] =>
  (one?.gaps ?? []).map(([from, to, why]) => ({ from, to, why }));
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
