/** Numbers and times as people read them. Screens show China Standard Time wherever the browser stands. */
import type { MetricInfo } from "./types";

/** UTC+8 without summer time since 1991. */
export const CST_MS = 8 * 3_600_000;

const shifted = (ms: number) => new Date(ms + CST_MS).toISOString();

/** `2026-11-22 14:03:09` */
export const dateTime = (ms: number): string => shifted(ms).slice(0, 19).replace("T", " ");
/** `14:03:09` */
export const clock = (ms: number): string => shifted(ms).slice(11, 19);
/** `14:03` */
export const clockShort = (ms: number): string => shifted(ms).slice(11, 16);
/** `11-22` */
export const monthDay = (ms: number): string => shifted(ms).slice(5, 10);
/** `11-22 14:03` */
export const monthDayTime = (ms: number): string => `${monthDay(ms)} ${clockShort(ms)}`;

/** A running timer: `0:07`, `12:40`, `3:05:09`, `2 d 03:00` (days as given by `dayWord`). */
export function elapsed(ms: number, dayWord = "天"): string {
  const all = Math.max(0, Math.floor(ms / 1000));
  const [d, h, m, s] = [Math.floor(all / 86_400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  if (d > 0) return `${d} ${dayWord} ${two(h)}:${two(m)}`;
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** The value with the metric's decimals; without a known metric, at most two. */
export function number(value: number, metric?: MetricInfo): string {
  return metric ? value.toFixed(metric.decimals) : String(Math.round(value * 100) / 100);
}

/** A limit without needless zeros: `180`, `37.5`. */
export const limit = (value: number): string => String(Math.round(value * 100) / 100);

const UNIT_EN: Record<string, string> = { "次/分": "/min", 步: "steps", "℃": "°C" };
/** The unit in the reader's language. */
export function unit(metric: MetricInfo | undefined, zh: boolean): string {
  if (!metric) return "";
  return zh ? metric.unit_shown : (UNIT_EN[metric.unit_shown] ?? metric.unit_shown);
}

/** A street address short enough for a row: county and city prefixes go first. */
export function shortAddress(address: string, max = 18): string {
  const tail = address.replace(/^.*?(?:省|自治区)/u, "").replace(/^[^\s]{2,4}?市/u, "");
  return tail.length <= max ? tail : `…${tail.slice(-(max - 1))}`;
}
