import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { alarm } from "../lib/fixtures";
import { SILENT_MS, Stream, type Source, type StreamHandlers } from "./stream";

class Fake implements Source {
  readyState = 0;
  onopen: Source["onopen"] = null;
  onerror: Source["onerror"] = null;
  closed = false;
  private then = new Map<string, (event: MessageEvent<string>) => void>();
  constructor(readonly url: string) {}
  addEventListener(type: string, then: (event: MessageEvent<string>) => void) { this.then.set(type, then); }
  close() { this.closed = true; }
  send(type: string, data: unknown) { this.then.get(type)?.({ data: typeof data === "string" ? data : JSON.stringify(data) } as MessageEvent<string>); }
  open() { this.onopen?.({} as Event); }
  fail(state: number) { this.readyState = state; this.onerror?.({} as Event); }
}

let made: Fake[];
let log: string[];
let after: number;
const newest = () => made[made.length - 1] as Fake;
const handlers: StreamHandlers = {
  after: () => after,
  event: (event) => { after = event.seq; log.push(`event ${event.seq}`); },
  hello: (_time, last) => log.push(`hello ${last}`),
  storm: (storm) => log.push(storm ? `storm ${storm.alarms}` : "no storm"),
  reset: () => log.push("reset"),
  state: (up) => log.push(up ? "up" : "down"),
};
const begin = () => {
  const stream = new Stream(handlers, (url) => { const fake = new Fake(url); made.push(fake); return fake; });
  stream.start();
  return stream;
};

beforeEach(() => { vi.useFakeTimers(); [made, log, after] = [[], [], 7]; });
afterEach(() => vi.useRealTimers());

describe("the live connection", () => {
  it("starts after the list's last event", () => {
    begin();
    expect(newest().url).toBe("/api/stream?after=7");
    newest().open();
    newest().send("hello", { server_time: "2026-11-22T00:00:00Z", last_event: 7 });
    newest().send("alarm", { seq: 8, kind: "raised", at: "", by: null, alarm: alarm("a") });
    expect(log).toEqual(["up", "hello 7", "no storm", "event 8"]);
  });
  it("hears that a storm began, stands and is over", () => {
    begin();
    newest().send("hello", { server_time: "2026-11-22T00:00:00Z", last_event: 7, storm: { since: "", seats: 1, alarms: 40 } });
    newest().send("storm", { storm: null });
    newest().send("storm", { storm: { since: "", seats: 1, alarms: 12 } });
    expect(log).toEqual(["hello 7", "storm 40", "no storm", "storm 12"]);
  });
  it("leaves a short break to the browser, which resends Last-Event-ID", () => {
    begin();
    newest().open();
    newest().fail(0);
    vi.advanceTimersByTime(60_000);
    expect(made.length).toBe(1);
    expect(log).toEqual(["up", "down"]);
  });
  it("opens a new one after the last event seen when the browser gave up, with growing pauses", () => {
    begin();
    newest().send("alarm", { seq: 12, kind: "raised", at: "", by: null, alarm: alarm("a") });
    newest().fail(2);
    vi.advanceTimersByTime(999);
    expect(made.length).toBe(1);
    vi.advanceTimersByTime(1);
    expect(newest().url).toBe("/api/stream?after=12");
    newest().fail(2);
    vi.advanceTimersByTime(1_999);
    expect(made.length).toBe(2);
    vi.advanceTimersByTime(1);
    expect(made.length).toBe(3);
  });
  it("asks for the list on reset, and on an event it cannot read", () => {
    begin();
    newest().send("reset", {});
    newest().send("alarm", "{half");
    expect(log).toEqual(["reset", "reset"]);
  });
  it("does not listen to a connection it has replaced, nor reconnect after stop", () => {
    const stream = begin();
    const old = newest();
    stream.reopen();
    expect(old.closed).toBe(true);
    old.send("alarm", { seq: 99, kind: "raised", at: "", by: null, alarm: alarm("a") });
    old.fail(2);
    expect(log).toEqual([]);
    stream.stop();
    newest().fail(2);
    vi.advanceTimersByTime(60_000);
    expect(made.length).toBe(2);
  });
  it("takes a silent connection for dead, and a sign of life for life", () => {
    const stream = begin();
    newest().open();
    vi.advanceTimersByTime(SILENT_MS - 1);
    newest().send("alive", {});
    vi.advanceTimersByTime(SILENT_MS - 1);
    expect([made.length, log]).toEqual([1, ["up"]]);
    vi.advanceTimersByTime(1);
    expect(log).toEqual(["up", "down"]);
    expect([made.length, made[0]?.closed]).toEqual([2, true]);
    stream.stop();
    vi.advanceTimersByTime(2 * SILENT_MS);
    expect(made.length).toBe(2);
  });
});
