import { describe, expect, it } from "vitest";
import { bytes, count, drained, isEmpty, percent, quantile, type Writing } from "./writing";

describe("the writer's figures", () => {
  it("say how much of a backlog is stored, and never all of it too early", () => {
    expect(drained({ entries: 0, peak_entries: 0 })).toBe(null);
    expect(drained({ entries: 250, peak_entries: 1_000 })).toBe(0.75);
    expect(percent(drained({ entries: 1, peak_entries: 1_000_000 }) ?? 0)).toBe("99 %");
  });
  it("begin at nothing when the peak is not known", () => {
    expect(drained({ entries: 10, peak_entries: 0 })).toBe(0);
  });
  it("take quantiles as the bucket's bound, and say when there is none", () => {
    const bounds = [0.01, 0.1, 1];
    expect(quantile([90, 8, 2, 0], bounds, 0.5)).toEqual({ s: 0.01, over: false });
    expect(quantile([90, 8, 2, 0], bounds, 0.95)).toEqual({ s: 0.1, over: false });
    expect(quantile([0, 0, 0, 4], bounds, 0.5)).toEqual({ s: 1, over: true });
    expect(quantile([0, 0, 0, 0], bounds, 0.5)).toBe(null);
  });
  it("write sizes and counts", () => {
    expect([0, 999, 1_000, 3_440_000_000, 150_000_000].map(bytes)).toEqual(["0 B", "999 B", "1.0 KB", "3.4 GB", "150 MB"]);
    expect(bytes(999_700)).toBe("1.0 MB");
    expect(count(12_400_113)).toBe("12,400,113");
  });
  it("are empty only before the first reading, and not when the store fails", () => {
    const lane = { entries: 0, lag_s: 0, rows_per_s: 0, batch_rows: 0 };
    const one: Writing = {
      store: "embedded", rows: 0, sizes: null, cursors: [], bounds_s: [],
      writer: { state: "live", trouble: null, done: 0, oldest_unstored_s: 0, rows_per_s: 0, live: { ...lane, worst_lag_s: 0 }, backlog: { ...lane, peak_entries: 0, ranges: 0, eta_s: null }, commits: { counts: [], sum_s: 0 }, retries: {}, refused_entries: 0 },
    };
    expect(isEmpty(one)).toBe(true);
    expect(isEmpty({ ...one, rows: 1 })).toBe(false);
    expect(isEmpty({ ...one, writer: { ...one.writer, trouble: { cause: "unreachable", text: "", since: "" } } })).toBe(false);
  });
});
