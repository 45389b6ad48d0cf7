/** The JSON of the console's API, as the server sends it. Times are RFC 3339 in UTC. */

export type Priority = "P1" | "P2" | "P3" | "T";
export type Condition = "present" | "cleared" | "unknown";
export type Handling = "open" | "claimed" | "engaged" | "resolved" | "closed" | "parked" | "void";
export type Outcome = "true_emergency" | "true_handled" | "referred" | "false_alarm" | "test" | "no_answer";
export type Role = "dispatcher" | "doctor" | "nurse" | "administrator" | "supervisor" | "responder";
export type Language = "zh" | "en";
export type Sex = "male" | "female" | "unknown";

export interface Named { id: number; name: string }

export interface Me {
  id: number; name: string; role: Role; role_zh: string; role_en: string; team: Named | null; language: Language;
}

export type AlarmKind =
  | { type: "threshold"; metric: string; high: boolean; value: number; limit: number }
  | { type: "event"; kind: string }
  | { type: "silence"; silent_s: number }
  | { type: "trend"; metric: string; high: boolean; value: number; change: number; by: number; days: number }
  | { type: "score"; score: string; min: number; max: number; at_least: number; single_three: boolean }
  | { type: "count"; metric: string; high: boolean; limit: number; count: number; within_s: number };

export interface AlarmElder { id: number; name_masked: string; age: number | null; sex: Sex; address: string }

export interface Alarm {
  id: string;
  elder: AlarmElder | null;
  device: string | null;
  team: string | Named | null;
  priority: Priority;
  condition: Condition;
  handling: Handling;
  rule: string;
  title_zh: string;
  title_en: string;
  /** null: not for this role (responders learn what it is only of a call for help). */
  kind: AlarmKind | null;
  started_at: string;
  raised_at: string;
  updated_at: string;
  late: boolean;
  /** When the gateway sounded it at home, because it could not reach the server; whether that worked. */
  sounded_at: string | null;
  sounded_ok: boolean | null;
  /** Times it came again after the first. */
  repeats: number;
  claimed_by: Named | null;
  claim_until: string | null;
  accepted_by: (Named & { at: string }) | null;
  outcome: Outcome | null;
  page_state: string | null;
  /** To whom the claimant offers it, until when. */
  offered_to?: Named | null;
  offer_until?: string | null;
  parked?: { until: string; reason: string } | null;
  /** Who is on the way: a person, or words. */
  sent?: { person: Named | null; words: string; at: string } | null;
  arrive_by?: string | null;
  arrived_at?: string | null;
  /** How often it was told that nobody arrived, or that there is no outcome, in time. */
  overdue?: number;
  /** Of the escalation policy, from 1. */
  step?: number | null;
  level?: number | null;
  next_due?: string | null;
  incident?: number | null;
  /** Alarms of one cause have the same; null: always by itself (P1, calls for help). */
  group?: string | null;
  /** Last event of this alarm; a view with a higher one is newer. */
  seq: number;
}

export interface Counts { P1: number; P2: number; P3: number; T: number; unclaimed: number }
/** More alarms in 10 minutes than the seats can take. */
export interface Storm { since: string; seats: number; alarms: number }
export interface AlarmList {
  alarms: Alarm[]; last_event: number;
  /** Of the whole centre, whatever the list was cut to. */
  counts: Counts; storm?: Storm | null;
  /** Alarms that fit what was searched for, before the list was cut. Only where something was. */
  matched?: number | null;
}
export interface StreamEvent { seq: number; kind: string; at: string; by: string | null; alarm: Alarm }

export interface AlarmEvent {
  seq: number; kind: string; kind_zh: string; kind_en: string; at: string; by: string | null; detail: unknown;
}
export interface PageAttempt { at: string; result: string; detail: string | null }
export interface AlarmPage {
  id: number; person: string; channel: string; state: string; state_zh: string; state_en: string; queued_at: string;
  attempts: PageAttempt[];
}
export interface ElderCardData {
  id: number; name: string; phone: string | null; age: number | null; sex: Sex; address: string; notes: string | null;
}
/** Who is paged next, unless a person has the alarm before. */
export interface NextStep { policy: string; policy_version: number; step: number; steps: number; due: string; people: string[]; channels: string[] }
export interface AlarmDetail { alarm: Alarm; elder: ElderCardData | null; events: AlarmEvent[]; pages: AlarmPage[]; next?: NextStep | null }

export interface Helper { id: number; name: string; role: Role; team: Named | null; signed_in: boolean }
export interface Incident { id: number; kind: "gateway" | "site"; gateway_name: string | null; site_name: string | null; alarm: string; since: string; until: string | null; count: number; standing: number }
export interface IncidentDetail {
  incident: Incident; unwatched: number;
  elders: { id: number; name_masked: string; age: number | null; address: string | null; risk: { ability: number | null; lives_alone: boolean }; high_risk: boolean; worst: Priority | null; silent_since: string | null }[];
}

export interface ElderRow {
  id: number; name_masked: string; age: number | null; sex: Sex; team: string | Named | null; latest_at: string | null; open_alarms: number;
}
export interface Elder extends ElderCardData {
  birth_date: string | null; team: string | Named | null;
  devices: { id: number; name: string; kind: string | null; last_seen: string | null }[];
}
/** What the device itself wrote of a reading; its clock is a wall clock without a zone. */
export interface Origin { raw: string | null; unit: string | null; device_time: string | null; uncertainty_ms: number | null }
export interface Latest { metric: string; value: number | null; quality: string; taken_at: string; device: string | null; origin?: Origin | null }

export interface Stretch { device: string | null; lead: number; label: string | null; from: string; to: string }
/** Latest first; `cut`: older ones are left out. */
export interface Waveforms { stretches: Stretch[]; cut: boolean }
export interface StripLead {
  device: string | null; lead: number; label: string | null;
  /** Samples in so many seconds. */
  rate: [number, number];
  scale: number; offset: number;
  /** Without a gap from `at` (ms); value = count × scale + offset; null: no sample. */
  parts: { at: number; counts: (number | null)[] }[];
}
/** What a strip says about the heart, by the first lead that can be read; beats in ms. */
export interface Heart {
  lead: number; label: string | null; verdict: "usable" | "doubtful" | "unusable"; reason: string | null;
  heart_rate: number | null; pause_s: number | null; beats: number[]; rr_ms: number[];
}
export interface Strip { metric: string; unit: string; from: string; to: string; leads: StripLead[]; heart?: Heart | null }

/** `[start ms, count, min, mean, max]` of one bucket. */
export type TrendPoint = [number, number, number, number, number];
/** In force within `[from, until)`; null: since before, or still. */
export interface Band { side: "high" | "low"; priority: Priority; limit: number; rule?: string; from?: string | null; until?: string | null; origin?: { layer: string; version: number; zh: string; en: string } | null }
export interface TrendSeries {
  metric: string; points: TrendPoint[];
  /** `[from, to, cause]`, disjoint. */
  gaps: [number, number, string][];
  absent: [number, string][]; bands: Band[];
  /** `[at, value, quality]`: kept, never judged. */
  doubtful: [number, number, string][]; doubtful_n: number; doubtful_until: string | null;
}
/** An alarm in the range; `metric` null: about none. */
export interface TrendAlarm { id: string; priority: Priority; at: number; metric: string | null; rule_zh: string; rule_en: string }
export interface Trend { from: string; to: string; bucket_s: number; series: TrendSeries[]; alarms: TrendAlarm[]; alarms_cut: boolean }

export interface Level { priority: Priority; limit: number; hold_s: number }
export interface Threshold { metric: string; side: "high" | "low"; levels: Level[]; clear_margin: number; confirm?: { within_s: number; unconfirmed: Priority } }
export type RuleTest =
  | { threshold: Threshold }
  | { event: { event: string; priority: Priority; repeat_within_s: number } }
  | { silence: { after_s: number; priority: Priority; metric?: string } }
  | { trend: { metric: string; side: "high" | "low"; by: number; against: { last_days: { days: number } } | { baseline: { days: number; at_least: number } }; priority: Priority } }
  | { score: { score: string; window_s: number; spo2_scale2?: boolean; single_three?: Priority; levels: { priority: Priority; at_least: number }[] } }
  | { count: { metric: string; side: "high" | "low"; limit: number; count: number; within_s: number; priority: Priority } };
export interface Rule { slug: string; zh: string; en: string; test: RuleTest; latching: boolean; /** Time of day in which it may raise. */ hours?: string }
export interface RuleSet { name: string; version: number; source: string; rules: Rule[] }
/** Where rules come from: who put this layer there, why, from when until when. */
export interface Layer { layer: string; version: number; zh: string; en: string; source: string; year: number | null; by: string | null; why: string | null; from: string | null; until: string | null }
export interface Rules extends RuleSet {
  own: boolean; author: string | null; saved_at: string | null; reason: string | null;
  layers?: Layer[];
  /** Numbers are places in `layers`. */
  origins?: { rule: string; origin: number; levels?: { priority: Priority; origin: number }[] }[];
  off?: { rule: string; origin: number }[];
}
export interface QuietPeriod { id: number; kind: string; from: string; until: string; by: string | null; reason: string; in_force: boolean; ended_at: string | null }

export interface PageRow { id: number; alarm: Alarm; state: string; queued_at: string; repeat: number }
export interface PageDetail { page: PageRow; alarm: Alarm; elder: ElderCardData | null; latest: Latest[] }

export interface MetricInfo {
  id: number; slug: string; zh: string; en: string; unit: string; unit_shown: string; decimals: number;
  plausible: [number, number]; shape: "stream" | "spot" | "waveform";
}
export interface Vocabulary {
  metrics: MetricInfo[]; qualities: { slug: string; zh: string; en?: string }[];
  outcomes: { slug: Outcome; zh: string; en: string }[]; events: { slug: string; zh: string; en: string }[];
}

export interface QuarantineFrame {
  id: number; gateway: string | number; topic: string; cause: string; at: string; bytes: number; replayed_at: string | null;
}
export interface Gap {
  id: number; gateway: string | null; epoch: number; lane: string; first: number; last: number; missing_first: number; missing_last: number;
  missing: number; lost: number; state: "open" | "asked" | "filled" | "lost"; cause: string | null; opened_at: string; asks: number;
  asked_at: string | null; closed_at: string | null;
}
export interface Loss {
  gateway: string | null; epoch: number; lane: string; first: number; last: number; cause: string; by_server: boolean; thinned: boolean;
  readings: number; kept: number; declared_at: string;
}
export interface CustodyList { gaps: Gap[]; losses: Loss[]; lost_frames: number; thinned_readings: number }
export interface PushState {
  what: "config" | "rules" | "devices"; wanted: number; saved_at: string; sent_at: string | null; applied: number | null; refused: string | null;
}
export interface Gateway {
  id: number; site: string; name: string; dialect: string; disabled: boolean; state: "up" | "sleeping" | "lost" | null; firmware: string | null;
  since: string | null; seen_at: string | null; devices: number; in_force: Record<string, number>; pushes: PushState[];
  health: { metric: string; value: number | null; at: string }[];
}
export interface GatewayList { gateways: Gateway[]; all: number }
export interface UnattributedDevice {
  id?: number; device: string | number; gateway: string | number; last_seen?: string | null; latest?: Latest[];
}
export interface MeasuredValue { metric: string; value: number | null; quality: string; taken_at: string }
/** One frame of a shared device. `elder` null: nobody's yet, for `cause`. */
export interface Measurement {
  id: number; device: string | null; gateway: string | null; site: string | null; taken_at: string; received_at: string;
  elder: number | null; cause: { slug: string; zh: string; en: string } | null;
  /** It came with a card or code that nobody is registered with. */
  has_key: boolean;
  values: MeasuredValue[]; waveform_blocks: number;
  moves: { at: string; by: { id: number; name: string }; from: number | null; to: number | null; reason: string }[];
}
export interface Health { status: "ok" | "degraded"; version: string; checks: { name: string; ok: boolean; detail: string }[] }

export interface Channel {
  name: string; zh: string; en: string; configured: boolean;
  /** `window_s` null: a calendar day. */
  quota: { count: number; window_s: number | null; per_person: boolean; used_most: number; used: number }[];
}
export type PolicyTarget = string | { on_call: { duty?: string; backup?: boolean } } | { team: { team: number } } | { person: { person: number } };
export interface Policy {
  name: string; version: number; priorities: Priority[]; repeat_s: number;
  steps: { wait_s: number; targets: PolicyTarget[]; channels: string[] }[];
  warnings: { place: string; code: string; zh: string; en: string }[];
}
