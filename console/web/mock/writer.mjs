// The mock's writer of readings: before the first reading, live, away, and draining (`/mock/writer?as=...`).
import { iso } from "./state.mjs";

const bounds_s = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 30];
const counts = [0, 4, 210, 800, 120, 20, 3, 1, 0, 0, 0, 0];
const PEAK = 2_400_000;
const lane = { entries: 0, lag_s: 0, rows_per_s: 0, batch_rows: 0 };

/** `as`: `embedded`, `empty`, `failing`, `draining`, `refused` (the request itself fails). */
export function writer(as) {
  const live = { ...lane, entries: 14, lag_s: 0.2, worst_lag_s: 0.6, rows_per_s: 3_320, batch_rows: 500 };
  const backlog = { ...lane, peak_entries: 0, ranges: 0, eta_s: null };
  const cursors = (behind) => [{ name: "writer", entries: behind }, { name: "alerting", entries: 3 }, { name: "ledger", entries: 90 }];
  const base = { state: "live", trouble: null, done: 12_400_113, live, backlog, oldest_unstored_s: 0, rows_per_s: 3_320, commits: { counts, sum_s: 41.2 }, retries: {}, refused_entries: 0 };
  const embedded = { store: "embedded", rows: 12_400_113, sizes: { bytes: 31_200_000, bytes_per_reading: 2.52, bytes_per_sealed_reading: 1.1 }, cursors: cursors(14), bounds_s, writer: base };
  if (as === "empty") return { ...embedded, rows: 0, sizes: null, cursors: cursors(0), writer: { ...base, done: 0, rows_per_s: 0, live: { ...live, ...lane, worst_lag_s: 0 }, commits: { counts: counts.map(() => 0), sum_s: 0 } } };
  if (as === "failing") {
    const trouble = { cause: "unreachable", text: "the database server is not reachable: connection refused", since: iso(Date.now() - 900_000) };
    return { ...embedded, store: "timescale", sizes: null, cursors: cursors(600_000), writer: { ...base, state: "failing", trouble, live: { ...live, entries: 600_000, lag_s: 900, rows_per_s: 0 }, oldest_unstored_s: 900, rows_per_s: 0, retries: { unreachable: 840, timed_out: 2 } } };
  }
  if (as === "draining") {
    const left = { ...backlog, entries: 900_000, peak_entries: PEAK, ranges: 2, lag_s: 2_700, rows_per_s: 61_000, batch_rows: 5_000, eta_s: 443 };
    return { ...embedded, store: "timescale", sizes: { bytes: 4_200_000_000, bytes_per_reading: 12.4, bytes_per_sealed_reading: 3.5 }, cursors: cursors(900_014), writer: { ...base, state: "draining", backlog: left, oldest_unstored_s: 2_700, rows_per_s: 64_320, retries: { unreachable: 840 }, refused_entries: 3 } };
  }
  return embedded;
}
