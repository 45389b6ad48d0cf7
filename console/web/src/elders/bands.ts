/** The limits of a pane, ready to draw. Pure. */
import type { Trend } from "../lib/types";
import type { DrawnBand } from "./chart";

/** With several metrics in one pane (first the upper one) only the upper one's high side and the lower one's low side are tinted. */
export function drawnBands(trend: Trend, metrics: readonly string[], nameOf: (metric: string) => string): DrawnBand[] {
  const many = metrics.length > 1;
  return metrics.flatMap((metric, i) => {
    const bands = trend.series.find((one) => one.metric === metric)?.bands ?? [];
    return bands.map((band) => ({
      ...band,
      name: many ? `${nameOf(metric)} ` : "",
      wash: !many || (band.side === "high" ? i === 0 : i === metrics.length - 1),
    }));
  });
}

/** Places labels of the wanted heights so that each has `step` for itself, as near as can be, within `top..bottom`. `wanted` ascends. */
export function spread(wanted: readonly number[], step: number, top: number, bottom: number): number[] {
  const out: number[] = [];
  for (const at of wanted) out.push(Math.max(at, top, (out.at(-1) ?? -Infinity) + step));
  let limit = bottom;
  for (let i = out.length - 1; i >= 0; i--) {
    out[i] = Math.min(out[i] ?? 0, limit);
    limit = (out[i] ?? 0) - step;
  }
  return out;
}
