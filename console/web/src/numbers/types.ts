/** What `/api/numbers` and `/api/elders/{id}/judge` answer (docs/api.md). */
import type { Priority } from "../lib/types";

export interface Times { count: number; p50_s: number | null; p95_s: number | null; within_60_s: number | null; within_180_s: number | null }
export interface ByPriority { priority: Priority; alarms: number; late: number; answer: Times; accept: Times; arrive: Times; resolve: Times }
export interface ByHour { hour: string; seats: number; P1: number; P2: number; P3: number; T: number }
export interface Value { name: string; zh: string; en: string; alarms: number; labelled_true: number; labelled_false: number; predictive: number | null }
export interface Numbers {
  from: string; to: string; seats: number; by_priority: ByPriority[]; by_hour: ByHour[]; rules: Value[]; device_kinds: Value[]; teams: Value[];
  elders: { elder: number; alarms: number }[]; top_tenth_share: number | null; chattering: number; standing: number;
  floods: { from: string; to: string; alarms: number }[];
  targets: { within_60_s: number; within_180_s: number; alarms_per_seat_and_hour: number };
}

export interface Count { alarms: number; per_day: number; by_priority: Partial<Record<Priority, number>>; by_rule: Record<string, number> }
export interface JudgedLine { elder: number; rule: string; priority: Priority; started_at: string; worst: number | null; outcome: string | null }
export interface Judgement { readings: number; now: Count; proposed: Count; gained: JudgedLine[]; lost: JudgedLine[]; lost_true: number; listed_max: number }
