/** The order of the alarm list: priority, then unclaimed, then who waits longest. And how new rows come in without moving
 *  the row a person is about to act on. Pure. */
import type { Alarm, Counts, Priority } from "../lib/types";

const RANK: Record<Priority, number> = { P1: 0, P2: 1, P3: 2, T: 3 };

/** People still have to do something. */
export const isOpen = (alarm: Alarm): boolean => alarm.handling !== "resolved" && alarm.handling !== "closed" && alarm.handling !== "void";
export const isUnclaimed = (alarm: Alarm): boolean => alarm.handling === "open";

/** Event kinds with which an elder calls for help. */
const HELP = new Set(["sos", "fall", "unspecified_alarm"]);
/** Whatever the filter, the grouping or the paging of the list says: nobody has it, and it cannot wait. */
export const mustShow = (alarm: Alarm): boolean =>
  isUnclaimed(alarm) && (alarm.priority === "P1" || (alarm.kind?.type === "event" && HELP.has(alarm.kind.kind)));

/** Parsed once for each view: a sort of hundreds of rows in every frame must not parse thousands of dates. */
const parsed = new WeakMap<Alarm, number>();
function raised(alarm: Alarm): number {
  let at = parsed.get(alarm);
  if (at === undefined) parsed.set(alarm, (at = Date.parse(alarm.raised_at)));
  return at;
}

export function compare(a: Alarm, b: Alarm): number {
  const done = Number(!isOpen(a)) - Number(!isOpen(b));
  if (done !== 0) return done;
  const priority = RANK[a.priority] - RANK[b.priority];
  if (priority !== 0) return priority;
  const unclaimed = Number(isUnclaimed(b)) - Number(isUnclaimed(a));
  if (unclaimed !== 0) return unclaimed;
  const age = raised(a) - raised(b);
  // Done ones are history: newest first.
  if (age !== 0) return isOpen(a) ? age : -age;
  return a.id < b.id ? -1 : 1;
}

const PRESSURE = new Set(["systolic", "diastolic", "mean_arterial_pressure"]);
/** Limits of one cuff measurement may need different times to be sure: raised within this they are one incident, milliseconds. */
export const TOGETHER_MS = 120_000;

const isPressure = (alarm: Alarm): boolean => alarm.kind?.type === "threshold" && PRESSURE.has(alarm.kind.metric);
/** Both limits broken by one cuff measurement (systolic and diastolic): two alarms, one incident for people. */
export function sameMeasurement(a: Alarm, b: Alarm): boolean {
  return a.id !== b.id && a.elder !== null && a.elder.id === b.elder?.id
    && a.kind?.type === "threshold" && b.kind?.type === "threshold" && a.kind.metric !== b.kind.metric
    && PRESSURE.has(a.kind.metric) && PRESSURE.has(b.kind.metric) && Math.abs(raised(a) - raised(b)) <= TOGETHER_MS;
}
/** May stand directly under the other as a part of it: never across priorities, so that nothing jumps the queue. */
export const together = (above: Alarm | undefined, alarm: Alarm): boolean =>
  above !== undefined && above.priority === alarm.priority && isOpen(above) === isOpen(alarm) && sameMeasurement(above, alarm);

/** In the order of the list, alarms of one measurement next to each other. */
export function sorted(alarms: readonly Alarm[]): Alarm[] {
  const all = [...alarms].sort(compare);
  const pressure = all.filter(isPressure);
  const placed = new Set<string>();
  return all.flatMap((alarm) => {
    if (placed.has(alarm.id)) return [];
    placed.add(alarm.id);
    if (!isPressure(alarm)) return [alarm];
    const others = pressure.filter((other) => !placed.has(other.id) && together(alarm, other));
    for (const other of others) placed.add(other.id);
    return [alarm, ...others];
  });
}

export interface Placed {
  /** Ids in the order shown. */
  shown: string[];
  /** Ids held back so that nothing moves, urgent ones first; also those that got more urgent and still stand in their old place. */
  held: string[];
  /** The priority with which each shown one was put in its place. */
  was: Map<string, Priority>;
}

/**
 * Where the wanted alarms go. Without an anchor (nobody points at a row): plainly sorted. With one: rows already shown keep
 * their places, new rows that belong below the anchor are put there, new rows that belong above it are held back. A row that
 * got more urgent than it `was` moves up below the anchor, or is told with those that are held back: its old place hides it.
 */
export function place(shown: readonly string[], wanted: readonly Alarm[], anchor: string | null, was: ReadonlyMap<string, Priority> = new Map()): Placed {
  const byId = new Map(wanted.map((alarm) => [alarm.id, alarm]));
  const anchorAt = anchor === null ? -1 : shown.indexOf(anchor);
  const anchored = anchorAt >= 0 ? byId.get(anchor ?? "") : undefined;
  if (!anchored) return { shown: sorted(wanted).map((alarm) => alarm.id), held: [], was: new Map(wanted.map((alarm) => [alarm.id, alarm.priority])) };

  const risen = (alarm: Alarm) => alarm !== anchored && RANK[alarm.priority] < RANK[was.get(alarm.id) ?? alarm.priority];
  const movable = new Set(shown.slice(anchorAt + 1).filter((id) => { const one = byId.get(id); return one && risen(one) && compare(one, anchored) > 0; }));
  const known = new Set(shown.filter((id) => !movable.has(id)));
  // Rows above the anchor may not vanish under it either: the caller keeps them in `wanted` until it lets go.
  const above = shown.slice(0, anchorAt + 1).filter((id) => byId.has(id));
  const below = shown.slice(anchorAt + 1).filter((id) => byId.has(id) && known.has(id));
  const held = wanted.filter((alarm) => known.has(alarm.id) && risen(alarm));
  for (const alarm of [...wanted].filter((one) => !known.has(one.id)).sort(compare)) {
    if (compare(alarm, anchored) < 0) {
      held.push(alarm);
      continue;
    }
    const at = below.findIndex((id) => {
      const other = byId.get(id);
      return other !== undefined && compare(alarm, other) < 0;
    });
    if (at < 0) below.push(alarm.id);
    else below.splice(at, 0, alarm.id);
  }
  const ids = [...above, ...below];
  const then = (id: string): [string, Priority] => [id, (known.has(id) ? was.get(id) : undefined) ?? byId.get(id)?.priority ?? "T"];
  return { shown: ids, held: held.sort(compare).map((alarm) => alarm.id), was: new Map(ids.map(then)) };
}

export function count(alarms: Iterable<Alarm>): Counts {
  const counts: Counts = { P1: 0, P2: 0, P3: 0, T: 0, unclaimed: 0 };
  for (const alarm of alarms) {
    if (!isOpen(alarm) || alarm.incident) continue;
    counts[alarm.priority] += 1;
    if (isUnclaimed(alarm)) counts.unclaimed += 1;
  }
  return counts;
}

export interface Filter { priorities: ReadonlySet<Priority>; state: "open" | "all"; text: string }

/** What the filter row lets through; what an outage explains has its line there. The text looks at name, address, device and title. */
export function passes(alarm: Alarm, filter: Filter): boolean {
  if (filter.state === "open" && (!isOpen(alarm) || alarm.incident)) return false;
  if (filter.priorities.size > 0 && !filter.priorities.has(alarm.priority)) return false;
  const text = filter.text.trim().toLowerCase();
  if (!text) return true;
  const hay = [alarm.elder?.name_masked, alarm.elder?.address, alarm.device, alarm.title_zh, alarm.title_en, alarm.claimed_by?.name];
  return hay.some((part) => part?.toLowerCase().includes(text) ?? false);
}
