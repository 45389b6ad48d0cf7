/** Made-up alarms for the unit tests. */
import type { Alarm } from "./types";

export function alarm(id: string, with_: Partial<Alarm> = {}): Alarm {
  return {
    id, elder: { id: 1, name_masked: "王*英", age: 80, sex: "female", address: "河北省石家庄市和平路12号" }, device: "bp-1", team: null, priority: "P1", condition: "present", handling: "open",
    rule: "systolic_high", title_zh: "收缩压偏高", title_en: "Systolic high", kind: { type: "threshold", metric: "systolic", high: true, value: 186, limit: 180 },
    started_at: "2026-11-22T00:59:00Z", raised_at: "2026-11-22T01:00:00Z", updated_at: "2026-11-22T01:00:00Z", late: false, sounded_at: null, sounded_ok: null, repeats: 0, claimed_by: null, claim_until: null, accepted_by: null,
    outcome: null, page_state: null, seq: 1, ...with_,
  };
}
