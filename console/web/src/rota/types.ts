/** What `/api/rota` answers (docs/api.md). Times are UTC; screens show Asia/Shanghai. */
import type { Named } from "../lib/types";

export interface Shift { post: string; person: number; duty: string; layer: string; version: number; from: string; until: string; why: { override: number | null; instead_of: number | null } }
export interface Hole { post: string; from: string; until: string; cause: { cause: string; year?: number } }
export interface Board {
  team: Named; parent: Named | null; version: number | null; on_call: Shift[]; holes_now: Hole[]; stand_ins: { post: string; person: number }[];
  shifts: Shift[]; holes: Hole[]; missing_years: number[]; quality: { score: number } | null;
  overrides: { id: number; from: string; until: string; post?: string | null; reason: string; cancelled_at?: string | null; in?: number; out?: number | null }[];
  leave: { id: number; person: number; from: string; until: string; reason: string; cancelled_at?: string | null }[];
  people: Named[];
}
