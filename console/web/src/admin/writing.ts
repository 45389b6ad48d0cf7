/** The writer's figures as they are shown: shares, sizes, quantiles of a histogram. Pure, tested. */

/** What `/api/writer` answers (docs/api.md). */
export interface Lane { entries: number; lag_s: number; rows_per_s: number; batch_rows: number }
export interface Writing {
  store: "embedded" | "timescale"; rows: number;
  /** Null until a server has told them. */
  sizes: { bytes: number; bytes_per_reading: number; bytes_per_sealed_reading: number } | null;
  cursors: { name: string; entries: number }[];
  /** Upper bounds of `commits.counts`; the last count has none. */
  bounds_s: number[];
  writer: {
    state: string; trouble: { cause: string; text: string; since: string } | null; done: number; oldest_unstored_s: number; rows_per_s: number;
    live: Lane & { worst_lag_s: number };
    backlog: Lane & { peak_entries: number; ranges: number; eta_s: number | null };
    commits: { counts: number[]; sum_s: number }; retries: Record<string, number>; refused_entries: number;
  };
}

/** How much of the backlog is stored, 0 to 1; null when there is none. Never 1 while something is left. */
export function drained(backlog: { entries: number; peak_entries: number }): number | null {
  if (backlog.entries <= 0) return null;
  return Math.max(0, 1 - backlog.entries / Math.max(backlog.peak_entries, backlog.entries));
}

/** "63 %", never rounded up to 100 % while something is left. */
export const percent = (share: number): string => `${Math.floor(share * 100)} %`;

/** The bound under which a share of the transactions stayed; `over`: none did, this is the last bound. Null without any. */
export function quantile(counts: number[], bounds: number[], share: number): { s: number; over: boolean } | null {
  const all = counts.reduce((sum, one) => sum + one, 0);
  const last = bounds.at(-1);
  if (all === 0 || last === undefined) return null;
  let seen = 0;
  for (const [i, count] of counts.entries()) {
    seen += count;
    const bound = bounds[i];
    if (bound !== undefined && seen >= all * share) return { s: bound, over: false };
  }
  return { s: last, over: true };
}

const STEPS = ["B", "KB", "MB", "GB", "TB"] as const;
/** Bytes in steps of 1,000: `3.4 GB`. */
export function bytes(count: number): string {
  let [value, step] = [count, 0];
  while (value >= 999.5 && step < STEPS.length - 1) [value, step] = [value / 1000, step + 1];
  return `${step === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${STEPS[step]}`;
}

/** Whole numbers with commas, the same in both languages. */
export const count = (value: number): string => Math.round(value).toLocaleString("en-US");

/** Nothing was ever to be stored. */
export const isEmpty = (one: Writing): boolean =>
  one.rows === 0 && one.writer.done === 0 && one.writer.live.entries + one.writer.backlog.entries === 0 && one.writer.trouble === null;
