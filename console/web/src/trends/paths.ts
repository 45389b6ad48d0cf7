/** Lines and bands of small charts as SVG paths. Pure; a missing value of a stream is a break, never a line across. */

export interface Box { width: number; height: number; low: number; high: number }

const y = (box: Box, value: number): number => box.height - ((value - box.low) / (box.high - box.low || 1)) * box.height;
const x = (box: Box, i: number, count: number): number => (count < 2 ? box.width / 2 : (i / (count - 1)) * box.width);
const at = (box: Box, i: number, count: number, value: number): string => `${x(box, i, count).toFixed(1)} ${y(box, value).toFixed(1)}`;

/** Limits inside the box: a far one would flatten the curve, and without rules there are none. */
export const near = (lines: { low: number | null; high: number | null } | null, box: Box): number[] =>
  [lines?.low ?? null, lines?.high ?? null].filter((value): value is number => value !== null && value > box.low && value < box.high);

/** Lowest and highest of the values with some air; null when there is none. */
export function limits(values: readonly (number | null)[], also: readonly (number | null)[] = []): { low: number; high: number } | null {
  const all = [...values, ...also].filter((value): value is number => value !== null);
  if (all.length === 0) return null;
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const air = Math.max((high - low) * 0.1, Math.abs(high) * 0.01, 0.5);
  return { low: low - air, high: high + air };
}

/**
 * A line through the values; one that stands alone becomes a dot (a line of no length with round ends). With `join` a missing
 * value is passed over: between two measurements of a cuff nothing is missing.
 */
export function line(values: readonly (number | null)[], box: Box, join = false): string {
  const points = values.flatMap((value, i) => (value === null ? [] : [{ i, text: at(box, i, values.length, value) }]));
  return points.map(({ i, text }, k) => {
    const [before, after] = [points[k - 1], points[k + 1]];
    const starts = !before || (!join && before.i < i - 1);
    const ends = !after || (!join && after.i > i + 1);
    return `${starts ? "M" : "L"}${text}${starts && ends ? "h0" : ""}`;
  }).join("");
}

/** The ground between two lines, piece by piece where both are there. */
export function band(low: readonly (number | null)[], high: readonly (number | null)[], box: Box): string {
  const count = low.length;
  let out = "";
  let piece: number[] = [];
  const close = () => {
    if (piece.length > 1) {
      const up = piece.map((i) => at(box, i, count, high[i] ?? 0));
      const down = [...piece].reverse().map((i) => at(box, i, count, low[i] ?? 0));
      out += `M${[...up, ...down].join("L")}Z`;
    }
    piece = [];
  };
  for (let i = 0; i < count; i++) {
    if ((low[i] ?? null) === null || (high[i] ?? null) === null) close();
    else piece.push(i);
  }
  close();
  return out;
}
