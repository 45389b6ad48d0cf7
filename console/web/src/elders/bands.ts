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
