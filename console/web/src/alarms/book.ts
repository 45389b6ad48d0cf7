/** All alarms this page knows, merged from the list and from the stream. Pure: no clock, no network. */
import type { Alarm, AlarmList, StreamEvent } from "../lib/types";
import { isOpen } from "./order";

/** Done alarms kept for the "all" view; the oldest go first. */
export const DONE_MAX = 500;

export class Book {
  readonly alarms = new Map<string, Alarm>();
  /** Highest stream event seen: where to go on after a lost connection. */
  lastEvent = 0;

  /** A view goes in unless a newer one is known: list and stream may overtake each other. Says if anything changed. */
  merge(alarm: Alarm): boolean {
    const known = this.alarms.get(alarm.id);
    if (known && known.seq > alarm.seq) return false;
    this.alarms.set(alarm.id, alarm);
    return true;
  }
  /** One stream event. A repeat (the server resends from Last-Event-ID) changes nothing. */
  event(event: StreamEvent): boolean {
    this.lastEvent = Math.max(this.lastEvent, event.seq);
    return this.merge({ ...event.alarm, seq: Math.max(event.alarm.seq, event.seq) });
  }
  /**
   * A fresh list of all open alarms as of `last_event`. Open ones that it does not name are gone, except what the stream
   * brought after that moment. Returns the ids that vanished.
   */
  replaceOpen(list: AlarmList): string[] {
    const listed = new Set(list.alarms.map((alarm) => alarm.id));
    const gone: string[] = [];
    for (const alarm of this.alarms.values()) {
      if (isOpen(alarm) && !listed.has(alarm.id) && alarm.seq <= list.last_event) gone.push(alarm.id);
    }
    for (const id of gone) this.alarms.delete(id);
    for (const alarm of list.alarms) this.merge(alarm);
    this.lastEvent = Math.max(this.lastEvent, list.last_event);
    return gone;
  }
  /** Bounds memory of a page that stays open for weeks. */
  trim(): void {
    const done = [...this.alarms.values()].filter((alarm) => !isOpen(alarm));
    if (done.length <= DONE_MAX) return;
    done.sort((a, b) => a.seq - b.seq);
    for (const alarm of done.slice(0, done.length - DONE_MAX)) this.alarms.delete(alarm.id);
  }
}
