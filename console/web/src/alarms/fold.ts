/** In a storm alarms of one cause stand in one row that opens. Nothing above the row under the hand changes its place. Pure. */
import type { Alarm } from "../lib/types";
import { isUnclaimed, mustShow } from "./order";

/** The row that stands for several alarms of one cause and one priority. */
export interface Group { key: string; /** Unclaimed alarms of this cause. */ count: number; elders: number; open: boolean }
/** One row of the list: an alarm, or a group with its first alarm. */
export interface Line { id: string; alarm: Alarm; group: Group | null; /** Drawn under the row of its cause. */ inside: boolean }
/** Where an alarm stood when the list was last drawn: in which group, and whether an open group drew it. */
export interface Seat { key: string; drawn: boolean }
export interface Folded { lines: Line[]; seats: Map<string, Seat> }

/** Begins the id of a group's row; an alarm's is 16 hex digits. */
const PREFIX = "group:";
export const isGroupId = (id: string | null): id is string => id?.startsWith(PREFIX) ?? false;
export const groupKey = (id: string): string => id.slice(PREFIX.length);

/** What stands for many must wait for a person and may wait: never a P1, a call for help, or what somebody has. */
const causeOf = (alarm: Alarm): string | null => (isUnclaimed(alarm) && !mustShow(alarm) && alarm.group ? `${alarm.priority}:${alarm.group}` : null);

/**
 * `order` as rows. Up to the anchor (the alarm under the hand) every alarm stays in the seat it had; what is new in a group
 * above it is counted there and drawn when the hand has left.
 */
export function fold(order: readonly Alarm[], storm: boolean, opened: ReadonlySet<string>, was: ReadonlyMap<string, Seat>, anchor: string | null): Folded {
  const cause = new Map(order.map((alarm) => [alarm.id, causeOf(alarm)]));
  const now = storm ? cause : new Map<string, string | null>();
  const lines: Line[] = [];
  const seats = new Map<string, Seat>();
  const done = new Set<string>();
  const groups = new Set<string>();
  let frozen = anchor !== null && cause.has(anchor);

  const single = (alarm: Alarm) => {
    done.add(alarm.id);
    lines.push({ id: alarm.id, alarm, group: null, inside: false });
  };
  const together = (key: string, members: Alarm[]) => {
    const [first] = members;
    if (!first) return;
    groups.add(key);
    const all = (storm ? order : members).filter((alarm) => cause.get(alarm.id) === key);
    const group = { key, count: all.length, elders: new Set(all.map((alarm) => alarm.elder?.id)).size, open: opened.has(key) };
    lines.push({ id: PREFIX + key, alarm: first, group, inside: false });
    for (const alarm of members) {
      const drawn = !frozen || (was.get(alarm.id)?.drawn ?? false);
      done.add(alarm.id);
      seats.set(alarm.id, { key, drawn });
      if (group.open && drawn) lines.push({ id: alarm.id, alarm, group: null, inside: true });
    }
  };

  for (const alarm of order) {
    if (done.has(alarm.id)) continue;
    const key = (frozen ? was.get(alarm.id)?.key : now.get(alarm.id)) ?? null;
    if (key === null) single(alarm);
    else if (groups.has(key)) {
      done.add(alarm.id);
      seats.set(alarm.id, { key, drawn: false });
    } else {
      const members = order.filter((one) => !done.has(one.id) && (frozen ? was.get(one.id)?.key : now.get(one.id)) === key);
      if (frozen || members.length > 1) together(key, members);
      else single(alarm);
    }
    // Below the hand everything may move.
    if (frozen && anchor !== null && done.has(anchor)) frozen = false;
  }
  return { lines, seats };
}

/** The same lines, with the objects of before where nothing changed: at 50 events a second only rows that changed are drawn anew. */
export function reuse(before: readonly Line[], lines: Line[]): Line[] {
  const known = new Map(before.map((line) => [line.id, line]));
  return lines.map((line) => {
    const old = known.get(line.id);
    return old && old.alarm === line.alarm && old.inside === line.inside && !old.group && !line.group ? old : line;
  });
}
