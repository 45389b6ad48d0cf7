/** uPlot, dressed for vitals: a band from lowest to highest, the mean as a line, limits as tinted ground, gaps hatched. */
import uPlot from "uplot";
import { clockShort, limit as limitText, monthDay } from "../lib/format";
import type { Band, Priority, TrendAlarm } from "../lib/types";
import { spread } from "./bands";
import { ticks, type Doubt, type Gap, type PaneData } from "./trend";

/** Line colours: calm, told apart also by the legend's words and by dashes. */
export const INK = ["#334155", "#7c5e10"] as const;
const LIMIT: Record<Priority, { line: string; wash: string }> = {
  P1: { line: "#b71c1c", wash: "rgba(183, 28, 28, 0.10)" },
  P2: { line: "#8a5a00", wash: "rgba(255, 179, 0, 0.12)" },
  P3: { line: "#006064", wash: "rgba(77, 208, 225, 0.12)" },
  T: { line: "#546e7a", wash: "rgba(176, 190, 197, 0.15)" },
};
const FONT = '12px "Noto Sans SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif';

const LABEL_FONT = FONT.replace("12px", "11px");
/** Height of one limit's label, CSS pixels. */
const LABEL_STEP = 13;

/** A limit as drawn. In a pane of two metrics only the outer sides are tinted: the ground between belongs to both. */
export interface DrawnBand extends Band {
  wash: boolean;
  /** Before the priority, where a pane has several metrics. */
  name: string;
}

export interface ChartInput {
  data: PaneData;
  bands: DrawnBand[];
  from: number;
  to: number;
  width: number;
  height: number;
  sync: string;
  axes: boolean;
  decimals: number;
  /** Why an end of the chart is empty. */
  words: { before: string; since: string };
  /** Called with the index and time (ms) under the cursor; null: the pointer left. */
  hover: (at: { index: number | null; time: number } | null) => void;
}

/** `x, then (max, min, mean)` for every line: uPlot's bands need max before min. */
export function columns(data: PaneData): uPlot.AlignedData {
  return [data.xs, ...data.lines.flatMap((line) => [line.max, line.min, line.mean])] as uPlot.AlignedData;
}

/** Lowest and highest of the data, with the nearest limits in sight, and some air. */
export function span(data: PaneData, bands: readonly Band[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const line of data.lines) {
    for (const value of line.min) if (typeof value === "number") low = Math.min(low, value);
    for (const value of line.max) if (typeof value === "number") high = Math.max(high, value);
  }
  if (low > high) [low, high] = [0, 1];
  const room = Math.max((high - low) * 0.5, Math.abs(high) * 0.08, 1);
  for (const band of bands) {
    if (band.limit > high && band.limit - high < room) high = band.limit;
    if (band.limit < low && low - band.limit < room) low = band.limit;
  }
  const air = Math.max((high - low) * 0.12, 0.5);
  return [low - air, high + air];
}

function hatch(u: uPlot, gaps: readonly Gap[]): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  for (const gap of gaps) {
    const left = Math.max(bbox.left, u.valToPos(gap.from / 1000, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(gap.to / 1000, "x", true));
    if (right - left < 1) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.fillStyle = "#eef0f3";
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.strokeStyle = "#c3c9d2";
    ctx.lineWidth = ratio;
    ctx.beginPath();
    for (let x = left - bbox.height; x < right; x += 8 * ratio) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.stroke();
    ctx.restore();
  }
}

/** Ground beyond each limit; between two limits of one side the ground belongs to the lesser one. */
function limits(u: uPlot, all: readonly DrawnBand[]): void {
  const bands = all.filter((band) => band.wash);
  const { ctx, bbox } = u;
  const clip = (y: number) => Math.min(bbox.top + bbox.height, Math.max(bbox.top, y));
  const edge = (band: Band) => clip(u.valToPos(band.limit, "y", true));
  for (const band of bands) {
    const beyond = bands.filter((other) => other.side === band.side && together(other, band) && (band.side === "high" ? other.limit > band.limit : other.limit < band.limit));
    const far = band.side === "high" ? Math.max(bbox.top, ...beyond.map(edge)) : Math.min(bbox.top + bbox.height, ...beyond.map(edge));
    const near = edge(band);
    ctx.fillStyle = LIMIT[band.priority].wash;
    const [left, right] = reach(u, band);
    ctx.fillRect(left, Math.min(near, far), right - left, Math.abs(near - far));
  }
}

const labelOf = (band: DrawnBand): string => `${band.name}${band.priority} ${limitText(band.limit)}`;

/** Room for the limits' labels on the right of the plot, CSS pixels: outside it they cover no reading. */
function labelRoom(bands: readonly DrawnBand[], width: number): number {
  // The same room in every pane keeps equal times under each other; a phone has none to give away.
  const least = width > 480 ? 88 : 8;
  const ctx = document.createElement("canvas").getContext("2d");
  if (!ctx || bands.length === 0) return least;
  ctx.font = LABEL_FONT;
  return Math.max(least, Math.ceil(Math.max(...bands.map((band) => ctx.measureText(labelOf(band)).width))) + 14);
}

function limitLines(u: uPlot, bands: readonly DrawnBand[]): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  const [right, bottom] = [bbox.left + bbox.width, bbox.top + bbox.height];
  const seen = bands.map((band) => ({ band, y: u.valToPos(band.limit, "y", true) })).filter(({ y }) => y >= bbox.top && y <= bottom);
  seen.sort((a, b) => a.y - b.y);
  const places = spread(seen.map(({ y }) => y), LABEL_STEP * ratio, bbox.top + 5 * ratio, bottom - 5 * ratio);
  ctx.save();
  ctx.font = LABEL_FONT.replace("11px", `${11 * ratio}px`);
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.lineWidth = ratio;
  seen.forEach(({ band, y }, i) => {
    const at = places[i] ?? y;
    ctx.strokeStyle = ctx.fillStyle = LIMIT[band.priority].line;
    ctx.setLineDash([5 * ratio, 4 * ratio]);
    ctx.beginPath();
    const [from, until] = reach(u, band);
    ctx.moveTo(from, y);
    ctx.lineTo(until, y);
    ctx.stroke();
    // A limit of the past has no label of its own: the pane's table of limits names it.
    if (band.until) return;
    // From the line to its label, which may have moved aside for its neighbours.
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(right, y);
    ctx.lineTo(right + 7 * ratio, at);
    ctx.stroke();
    ctx.fillText(labelOf(band), right + 10 * ratio, at);
  });
  ctx.restore();
}

/** Doubtful values as crosses: there, and told apart from what rules judge. */
function doubts(u: uPlot, all: readonly Doubt[]): void {
  const { ctx, bbox } = u;
  const arm = 3.5 * devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = "#6b7280";
  ctx.lineWidth = 1.4 * devicePixelRatio;
  ctx.beginPath();
  for (const { at, value } of all) {
    const [x, y] = [u.valToPos(at / 1000, "x", true), u.valToPos(value, "y", true)];
    if (x < bbox.left || x > bbox.left + bbox.width || y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.moveTo(x - arm, y - arm);
    ctx.lineTo(x + arm, y + arm);
    ctx.moveTo(x - arm, y + arm);
    ctx.lineTo(x + arm, y - arm);
  }
  ctx.stroke();
  ctx.restore();
}

/** Alarms as small triangles along the top edge. */
function marks(u: uPlot, all: readonly TrendAlarm[]): void {
  const { ctx, bbox } = u;
  const half = 4.5 * devicePixelRatio;
  ctx.save();
  for (const { at, priority } of all) {
    const x = u.valToPos(at / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.fillStyle = LIMIT[priority].line;
    ctx.beginPath();
    ctx.moveTo(x - half, bbox.top);
    ctx.lineTo(x + half, bbox.top);
    ctx.lineTo(x, bbox.top + 2 * half);
    ctx.fill();
  }
  ctx.restore();
}

/** Left and right end of a limit in the plot: one that was changed is drawn only while it was in force. */
function reach(u: uPlot, band: Band): [number, number] {
  const { bbox } = u;
  const at = (time: string | null | undefined, otherwise: number) => (time ? u.valToPos(Date.parse(time) / 1000, "x", true) : otherwise);
  const end = bbox.left + bbox.width;
  return [Math.min(end, Math.max(bbox.left, at(band.from, bbox.left))), Math.max(bbox.left, Math.min(end, at(band.until, end)))];
}

/** In force at the same time, for a while at least. */
const together = (a: Band, b: Band): boolean => !(a.until && b.from && a.until <= b.from) && !(b.until && a.from && b.until <= a.from);

/** Says in the chart itself why its first or last part is empty, where there is room for the words. */
function edgeLabels(u: uPlot, gaps: readonly Gap[], words: ChartInput["words"]): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = FONT.replace("12px", `${12 * ratio}px`);
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (const gap of gaps) {
    if (!gap.edge) continue;
    const left = Math.max(bbox.left, u.valToPos(gap.from / 1000, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(gap.to / 1000, "x", true));
    const wide = ctx.measureText(words[gap.edge]).width + 16 * ratio;
    if (right - left < wide) continue;
    const [x, y] = [(left + right) / 2, bbox.top + bbox.height / 2];
    ctx.fillStyle = "#ffffff";
    ctx.fillRect(x - wide / 2, y - 11 * ratio, wide, 22 * ratio);
    ctx.fillStyle = "#4b5563";
    ctx.fillText(words[gap.edge], x, y);
  }
  ctx.restore();
}

function series(input: ChartInput): uPlot.Series[] {
  const edge: uPlot.Series = { width: 0, points: { show: false }, spanGaps: false };
  // Few points (cuff, scale): each one is a measurement and gets its dot.
  const sparse = input.data.count <= input.width / 6;
  return input.data.lines.flatMap((_, i) => {
    const ink = INK[i % INK.length] ?? INK[0];
    const mean: uPlot.Series = { stroke: ink, width: 1.6, spanGaps: false, points: { show: sparse, size: 6, fill: "#ffffff", stroke: ink } };
    if (i > 0) mean.dash = [6, 3];
    if (!sparse) mean.points = { size: 5, fill: ink, stroke: ink };
    return [edge, edge, mean];
  });
}

export function draw(target: HTMLElement, input: ChartInput): uPlot {
  const { data, bands } = input;
  const [low, high] = span(data, bands);
  const spanS = (input.to - input.from) / 1000;
  const fill = ["rgba(51, 65, 85, 0.22)", "rgba(124, 94, 16, 0.22)"];
  const options: uPlot.Options = {
    width: input.width,
    height: input.height,
    legend: { show: false },
    padding: [8, labelRoom(bands.filter((band) => band.limit >= low && band.limit <= high), input.width), 0, 0],
    cursor: { sync: { key: input.sync, scales: ["x", null] }, drag: { x: false, y: false }, y: false },
    scales: { x: { time: true, range: [input.from / 1000, input.to / 1000] }, y: { range: [low, high] } },
    bands: data.lines.map((_, i) => ({ series: [1 + 3 * i, 2 + 3 * i] as [number, number], fill: fill[i % fill.length] ?? "" })),
    series: [{}, ...series(input)],
    axes: [
      {
        show: input.axes, font: FONT, stroke: "#4b5563", size: 26, grid: { stroke: "#e5e7eb", width: 1 }, ticks: { show: false },
        splits: (_u, _i, from, to) => ticks(from, to, Math.max(3, Math.floor(input.width / 90))),
        values: (_u, splits) => splits.map((at) => (spanS <= 2 * 86_400 && clockShort(at * 1000) !== "00:00" ? clockShort(at * 1000) : monthDay(at * 1000))),
      },
      { show: input.axes, font: FONT, stroke: "#4b5563", size: 46, space: 36, grid: { stroke: "#e5e7eb", width: 1 }, ticks: { show: false } },
    ],
    hooks: {
      drawClear: [(u) => { limits(u, bands); hatch(u, data.gaps); }],
      draw: [(u) => { limitLines(u, bands); doubts(u, data.doubts); marks(u, data.alarms); edgeLabels(u, data.gaps, input.words); }],
      setCursor: [(u) => {
        const left = u.cursor.left ?? -1;
        if (left < 0) return input.hover(null);
        input.hover({ index: u.cursor.idx ?? null, time: u.posToVal(left, "x") * 1000 });
      }],
    },
  };
  return new uPlot(options, columns(data), target);
}
