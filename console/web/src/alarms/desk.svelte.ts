/** The state behind the alarm desk: book of alarms, live connection, order on screen, filters, actions. */
import { ApiError, get, post } from "../lib/api";
import { serverClock } from "../lib/clock.svelte";
import type { Alarm, AlarmList, Counts, Outcome, Priority, Storm } from "../lib/types";
import { Book } from "./book";
import { fold, groupKey, isGroupId, reuse, type Line, type Seat } from "./fold";
import { compare, count, isOpen, isUnclaimed, mustShow, passes, place, sameMeasurement } from "./order";
import { Stream } from "./stream";

/** Alarms asked for at once. */
const LIST_MAX = 1_000;
/** The list is compared with the server's this often, and this often while the stream is down (milliseconds). */
const CHECK_MS = 60_000;
const CHECK_DOWN_MS = 5_000;
/** While the server has more open alarms than this page, its counts are asked for this often (milliseconds). */
const COUNT_MS = 10_000;
/** A search goes to the server when nobody has typed for this long. */
const TYPING_MS = 300;
/** Held-back alarms go into the list this long after the hand has left it: time to reach the strip and its buttons. */
const LET_GO_MS = 3_000;

/** A companion that somebody else was quicker with shows that in its row; only our own mistakes go on. */
function unlessBug(error: unknown): void {
  if (!(error instanceof ApiError)) throw error;
}

export class Desk {
  private readonly book = new Book();
  private readonly stream: Stream;
  private frame = 0;
  private hidden: ReturnType<typeof setTimeout> | undefined;
  private checker: ReturnType<typeof setTimeout> | undefined;
  private letGo: ReturnType<typeof setTimeout> | undefined;
  private counter: ReturnType<typeof setTimeout> | undefined;
  private fresh: string[] = [];
  private was: ReadonlyMap<string, Priority> = new Map();
  private seats: Map<string, Seat> = new Map();
  private opened = new Set<string>();
  /** The whole centre's counts, by the server, while this page holds only a part of the alarms. */
  private whole: Counts | null = null;

  /** Alarms in the order shown. */
  rows = $state.raw<Alarm[]>([]);
  /** The same as rows of the list: in a storm one row stands for all of one cause. */
  lines = $state.raw<Line[]>([]);
  /** Shown although the filter would not: unclaimed, and it cannot wait. */
  outside = $state.raw<ReadonlySet<string>>(new Set());
  /** Alarms that are new or got more urgent and are not in their place yet, urgent ones first. */
  held = $state.raw<Alarm[]>([]);
  counts = $state.raw<Counts>({ P1: 0, P2: 0, P3: 0, T: 0, unclaimed: 0 });
  storm = $state.raw<Storm | null>(null);
  /** The server has more open alarms (of what is searched for) than it listed. */
  missing = $state(0);
  unclaimedP1 = $state.raw<Alarm[]>([]);
  unclaimedP2 = $state(0);
  /** Newest event seen: views of one alarm refetch when theirs moved. */
  tick = $state(0);
  loading = $state(true);
  error = $state.raw<ApiError | null>(null);
  connected = $state(false);
  /** Since when the stream is down, browser time in ms. */
  downSince = $state<number | null>(null);

  priorities = $state.raw<ReadonlySet<Priority>>(new Set());
  state = $state<"open" | "all">("open");
  text = $state("");
  /** Row under the pointer or with the keyboard focus: it must not move. */
  anchor = $state<string | null>(null);
  busy = $state.raw<ReadonlySet<string>>(new Set());

  constructor() {
    this.stream = new Stream({
      after: () => this.book.lastEvent,
      event: (event) => this.book.event(event) && this.redraw(),
      hello: (time, last) => {
        serverClock.set(time);
        // Restored from a backup: the server's numbers are behind ours.
        if (last < this.book.lastEvent) void this.reload();
      },
      storm: (storm) => {
        this.storm = storm;
        this.redraw();
      },
      reset: () => void this.reload(),
      state: (up) => {
        this.connected = up;
        this.downSince = up ? null : (this.downSince ?? Date.now());
        if (!up) this.check(CHECK_DOWN_MS);
        // What could not be fetched meanwhile can be fetched now.
        else if (this.error) this.check(0);
      },
    });
  }

  async start(): Promise<void> {
    this.loading = true;
    if (await this.fetchOpen()) this.stream.start();
    this.loading = false;
    this.check(this.error ? CHECK_DOWN_MS : CHECK_MS);
  }
  stop(): void {
    this.stream.stop();
    for (const timer of [this.checker, this.hidden, this.letGo, this.counter]) clearTimeout(timer);
    cancelAnimationFrame(this.frame);
  }
  /** The gap is too long for the stream: the list anew, then go on from there. */
  private async reload(): Promise<void> {
    this.book.lastEvent = 0;
    if (await this.fetchOpen()) this.stream.reopen();
  }
  private async fetchOpen(): Promise<boolean> {
    try {
      const list = await get<AlarmList>(`/api/alarms?state=open&limit=${LIST_MAX}`);
      const total = list.counts.P1 + list.counts.P2 + list.counts.P3 + list.counts.T;
      const missing = Math.max(0, total - list.alarms.length);
      // The filter of this page knows only what it has: of a part of the alarms the server has to search.
      const found = missing > 0 && this.isFiltered ? await get<AlarmList>(`/api/alarms?${this.search()}`) : null;
      this.storm = list.storm ?? null;
      this.missing = found ? Math.max(0, (found.matched ?? 0) - found.alarms.length) : missing;
      this.book.replaceOpen(found ? { ...list, alarms: [...list.alarms, ...found.alarms] } : list);
      this.whole = missing > 0 ? list.counts : null;
      this.recount();
      this.error = null;
      this.redraw(true);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.error = error;
      return false;
    }
  }
  private search(): URLSearchParams {
    const asked = new URLSearchParams({ state: "open", limit: String(LIST_MAX) });
    if (this.text.trim()) asked.set("q", this.text.trim());
    if (this.priorities.size > 0) asked.set("priority", [...this.priorities].join(","));
    return asked;
  }
  get isFiltered(): boolean {
    return this.priorities.size > 0 || this.text.trim() !== "";
  }
  /** Somebody changed the filter. */
  narrow(): void {
    this.flush();
    if (this.whole) this.check(TYPING_MS);
  }
  /** What the page does not hold it cannot count. */
  private recount(): void {
    clearTimeout(this.counter);
    if (!this.whole) return;
    this.counter = setTimeout(async () => {
      try {
        const { counts } = await get<AlarmList>("/api/alarms?state=open&limit=1");
        if (this.whole) this.whole = counts;
        this.redraw();
      } catch (error) {
        // The check of the list says when the server is out of reach.
        if (!(error instanceof ApiError)) throw error;
      }
      this.recount();
    }, COUNT_MS);
  }
  /** Safety net under the stream: a connection can die without a word. */
  private check(after: number): void {
    clearTimeout(this.checker);
    this.checker = setTimeout(async () => {
      const seen = this.book.lastEvent;
      const ok = await this.fetchOpen();
      // The list was ahead of a stream that says it is up: that stream is dead.
      if (ok && this.connected && this.book.lastEvent > seen) this.stream.reopen();
      if (ok && !this.connected && this.loading === false) this.stream.reopen();
      this.check(this.connected ? CHECK_MS : CHECK_DOWN_MS);
    }, after);
  }

  /** At most one rebuild a frame, whatever the rate of events; hidden tabs get no frames, so a timer stands in. */
  redraw(now = false): void {
    if (now) return this.rebuild();
    if (document.hidden) this.hidden ??= setTimeout(() => this.rebuild(), 250);
    else this.frame ||= requestAnimationFrame(() => this.rebuild());
  }
  private rebuild(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.hidden);
    this.frame = 0;
    this.hidden = undefined;
    this.book.trim();
    const all = [...this.book.alarms.values()];
    const filter = { priorities: this.priorities, state: this.state, text: this.text };
    const kept = new Set(this.anchor === null ? [] : this.fresh);
    const wanted = all.filter((alarm) => passes(alarm, filter) || mustShow(alarm) || kept.has(alarm.id));
    const placed = place(this.fresh, wanted, this.anchor, this.was);
    [this.fresh, this.was] = [placed.shown, placed.was];
    const rows = (ids: string[]) => ids.flatMap((id) => this.book.alarms.get(id) ?? []);
    this.rows = rows(placed.shown);
    this.held = rows(placed.held);
    const outside = this.rows.filter((alarm) => mustShow(alarm) && !passes(alarm, filter));
    // Every row looks at the set: a new empty one would draw them all.
    if (outside.length > 0 || this.outside.size > 0) this.outside = new Set(outside.map((alarm) => alarm.id));
    const folded = fold(this.rows, this.storm !== null, this.opened, this.seats, this.anchor);
    [this.lines, this.seats] = [reuse(this.lines, folded.lines), folded.seats];
    this.counts = this.whole ?? count(all);
    this.unclaimedP1 = all.filter((alarm) => alarm.priority === "P1" && isUnclaimed(alarm)).sort(compare);
    this.unclaimedP2 = all.filter((alarm) => alarm.priority === "P2" && isUnclaimed(alarm)).length;
    this.tick = this.book.lastEvent;
  }
  /** Shows what was held back: everything sorted anew, whoever points where. */
  flush(now = true): void {
    clearTimeout(this.letGo);
    this.anchor = null;
    this.redraw(now);
  }
  /** The hand is on this row, or (null) has left the list. */
  hold(id: string | null): void {
    clearTimeout(this.letGo);
    if (id !== null) this.anchor = id;
    else if (this.held.length > 0) this.letGo = setTimeout(() => this.flush(), LET_GO_MS);
    else if (this.anchor !== null) this.flush(false);
  }
  /** The hand is on the strip: nothing may change under it. */
  keep(): void {
    clearTimeout(this.letGo);
  }
  alarm(id: string): Alarm | undefined {
    return this.book.alarms.get(id);
  }

  async setState(state: "open" | "all"): Promise<void> {
    this.state = state;
    this.flush();
    if (state === "open") return;
    try {
      const list = await get<AlarmList>("/api/alarms?state=all&limit=200");
      for (const alarm of list.alarms) this.book.merge(alarm);
      this.redraw(true);
    } catch (error) {
      if (error instanceof ApiError) this.error = error;
      else throw error;
    }
  }

  /** What a person does with an alarm; the answer is the alarm as it is now. */
  act = async (id: string, verb: string, body: unknown = {}): Promise<Alarm> => {
    this.busy = new Set(this.busy).add(id);
    try {
      const alarm = await post<Alarm>(`/api/alarms/${id}/${verb}`, body);
      this.book.merge(alarm);
      return alarm;
    } finally {
      this.busy = new Set([...this.busy].filter((other) => other !== id));
      this.redraw(true);
    }
  };

  /** Other open alarms of the same measurement: one incident, handled by one person. */
  others(id: string): Alarm[] {
    const alarm = this.book.alarms.get(id);
    return alarm ? [...this.book.alarms.values()].filter((other) => isOpen(other) && sameMeasurement(alarm, other)) : [];
  }
  claim = async (id: string): Promise<Alarm> => {
    const claimed = await this.act(id, "claim");
    for (const other of this.others(id).filter(isUnclaimed)) await this.act(other.id, "claim").catch(unlessBug);
    return claimed;
  };
  release = (id: string): Promise<Alarm> => this.act(id, "release");
  resolve = (id: string, outcome: Outcome, note: string): Promise<Alarm> => this.act(id, "resolve", { outcome, note });
  note = (id: string, note: string): Promise<Alarm> => this.act(id, "note", { note });

  /** Opens or closes the row of one cause. */
  toggle(id: string): void {
    if (!isGroupId(id)) return;
    const key = groupKey(id);
    if (!this.opened.delete(key)) this.opened.add(key);
    for (const seat of this.seats.values()) if (seat.key === key) seat.drawn = true;
    this.redraw(true);
  }
  /** First row below (or above) `id`, for the keyboard. */
  neighbour(id: string | null, step: 1 | -1): string | null {
    const at = this.lines.findIndex((line) => line.id === id);
    const to = at < 0 ? 0 : Math.min(this.lines.length - 1, Math.max(0, at + step));
    return this.lines[to]?.id ?? null;
  }
}
