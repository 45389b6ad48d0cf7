/** JSON of profiles, teams' trends and groups (docs/api.md, "Trends"). */
import type { Named, Priority } from "../lib/types";

export interface HourRow { hour: number; n: number; days: number; p10: number | null; p25: number | null; p50: number | null; p75: number | null; p90: number | null }
export interface Half { from: string; to: string; n: number; mean: number | null }
/** The 24 hours that dipping is judged by. */
export interface Recording { from: string; to: string; day: Half; night: Half }
export interface DayNight { day: Half; night: Half; recording: Recording | null; dip_percent: number | null; dipping: string | null; why: string | null; needs: Record<string, number>; source: string }
export interface PressurePart { from: string; to: string; days: number; n: number; systolic: number | null; diastolic: number | null }
export interface Pressure {
  days: number; from: string; to: string; morning: PressurePart; evening: PressurePart;
  average: { days: number; n: number; systolic: number | null; diastolic: number | null };
  morning_evening_difference: number | null; elevated: boolean | null; limit: { systolic: number; diastolic: number };
  needs: Record<string, number>; why: string | null; source: string;
}
export interface GlucoseRange { name: string; from: number | null; to: number | null; share: number | null }
export interface GlucoseTarget { name: string; at_least: number | null; at_most: number | null; share: number | null; met: boolean | null }
export interface Glucose {
  basis: "time" | "measurements"; days: number; coverage: number | null; enough: boolean; ranges: GlucoseRange[]; targets: GlucoseTarget[];
  target_group: string | null; mean: number | null; cv_percent: number | null; gmi_percent: number | null; why: string | null; source: string;
}
export interface Week {
  from: string; n: number; days: number; mean: number | null; min: number | null; max: number | null;
  below: number | null; within: number | null; above: number | null; mean_change: number | null; whole: boolean;
}
export interface Baseline {
  weeks: number; days: number; median: number | null; spread: number | null; now: number | null; now_days: number; z: number | null;
  unusual: string | null; percentile: number | null; needs: Record<string, number>; why: string | null; source: string;
}
export interface Band { low: number | null; high: number | null; low_priority: Priority | null; high_priority: Priority | null }
export interface Profile {
  metric: string; from: string; to: string; unit: string; decimals: number; basis: "readings" | "five_minutes"; hours: HourRow[]; day_night: DayNight;
  blood_pressure: Pressure | null; glucose: Glucose | null; weeks: Week[];
  /** Null while no rules are saved. */
  band: Band | null; baseline: Baseline;
}

/** `[elder, name, latest, latest_at ms, mean, change, z, days_silent, beyond, priority, points]`, as `columns` says. */
export type TeamRow = [number, string, number | null, number | null, number | null, number | null, number | null, number | null, number | null, Priority | null, (number | null)[]];
export interface TeamTrends {
  metric: string; from: string; to: string; buckets: number; team: Named; total: number; left_out: number; columns: string[]; rows: TeamRow[];
}

export interface Group {
  key: string; zh: string; en: string; elders: number | null; measured: number | null;
  mean: number | null; p10: number | null; p25: number | null; p50: number | null; p75: number | null; p90: number | null;
  below: number | null; above: number | null; hidden: string | null;
}
export type Population =
  | { state: "running"; done: number; of: number; retry_s: number }
  | {
      state: "ready"; metric: string; by: string; days: number; made_at: string; decimals: number;
      range: { low: number | null; high: number | null; source: string }; total: Group; groups: Group[]; hidden_groups: number;
      rule: { k: number; zh: string; en: string; source: string };
    };
