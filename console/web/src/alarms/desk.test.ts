import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { alarm } from "../lib/fixtures";
import type { Alarm, AlarmList, Counts, Storm } from "../lib/types";
import { Desk } from "./desk.svelte";

/** What the server has, and what it was asked. */
let alarms: Alarm[];
let more: Counts | null;
let storm: Storm | null;
let asked: URLSearchParams[];
let sources: Record<string, (event: { data: string }) => void>[];
const NONE: Counts = { P1: 0, P2: 0, P3: 0, T: 0, unclaimed: 0 };

function answer(path: string): AlarmList {
  const query = new URL(path, "http://x").searchParams;
  asked.push(query);
  const q = query.get("q") ?? "";
  const found = alarms.filter((one) => !q || one.device === q);
  return { alarms: q ? found : alarms.slice(0, Math.min(Number(query.get("limit")), more ? 2 : 1_000)), last_event: 100, counts: more ?? { ...NONE, P2: alarms.length }, storm, matched: q ? found.length + 7 : null };
}
const send = (type: string, data: unknown) => sources.at(-1)?.[type]?.({ data: JSON.stringify(data) });
const raise = (one: Alarm, seq = 200) => send("alarm", { seq, kind: "raised", at: one.raised_at, by: null, alarm: { ...one, seq } });
const ids = (desk: Desk) => desk.rows.map((one) => one.id);

let desk: Desk;
beforeEach(async () => {
  vi.useFakeTimers();
  [alarms, more, storm, asked, sources] = [[alarm("p2", { priority: "P2" }), alarm("p3", { priority: "P3" })], null, null, [], []];
  vi.stubGlobal("document", { hidden: true });
  vi.stubGlobal("cancelAnimationFrame", () => {});
  vi.stubGlobal("fetch", async (path: string) => Response.json(answer(path)));
  vi.stubGlobal("EventSource", class {
    constructor() { sources.push({}); }
    addEventListener(type: string, then: (event: { data: string }) => void) { (sources.at(-1) ?? {})[type] = then; }
    close() {}
  });
  desk = new Desk();
});
afterEach(() => {
  desk.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a filter", () => {
  it("hides no unclaimed P1: it is shown, and marked as outside", async () => {
    await desk.start();
    desk.text = "nobody";
    desk.narrow();
    expect(ids(desk)).toEqual([]);
    raise(alarm("p1"));
    await vi.advanceTimersByTimeAsync(300);
    expect(ids(desk)).toEqual(["p1"]);
    expect([...desk.outside]).toEqual(["p1"]);
    raise(alarm("p1", { handling: "claimed" }), 201);
    await vi.advanceTimersByTimeAsync(300);
    expect(ids(desk)).toEqual([]);
  });
});

describe("a hand on a row", () => {
  it("does not bury what becomes a P1 below it: it is held, and in the strip", async () => {
    await desk.start();
    desk.hold("p2");
    raise(alarm("p3", { priority: "P1" }));
    await vi.advanceTimersByTimeAsync(300);
    expect(ids(desk)).toEqual(["p2", "p3"]);
    expect(desk.held.map((one) => [one.id, one.priority])).toEqual([["p3", "P1"]]);
    desk.flush();
    expect([ids(desk), desk.held]).toEqual([["p3", "p2"], []]);
  });
});

describe("more alarms than one list has", () => {
  beforeEach(async () => {
    alarms = [...alarms, alarm("far", { priority: "P3", device: "gw-9" })];
    more = { P1: 0, P2: 900, P3: 4_100, T: 0, unclaimed: 4_990 };
    await desk.start();
  });
  it("the counts are the server's, and follow it", async () => {
    expect([desk.counts.P3, desk.counts.unclaimed, desk.missing]).toEqual([4_100, 4_990, 4_998]);
    more = { ...NONE, P3: 4_200 };
    await vi.advanceTimersByTimeAsync(11_000);
    expect(desk.counts.P3).toBe(4_200);
  });
  it("what is looked for is looked for at the server, and stays when the list is compared", async () => {
    expect(ids(desk)).toEqual(["p2", "p3"]);
    desk.text = "gw-9";
    desk.priorities = new Set(["P3"]);
    desk.narrow();
    await vi.advanceTimersByTimeAsync(400);
    expect(asked.map((query) => [query.get("q"), query.get("priority")])).toContainEqual(["gw-9", "P3"]);
    expect([ids(desk), desk.missing]).toEqual([["far"], 7]);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(ids(desk)).toEqual(["far"]);
    desk.text = "";
    desk.priorities = new Set();
    desk.narrow();
    await vi.advanceTimersByTimeAsync(400);
    expect([ids(desk), desk.missing]).toEqual([["p2", "p3"], 4_998]);
  });
});

describe("a storm", () => {
  const flood = () => ["a", "b", "c"].map((id) => alarm(id, { priority: "P3", group: "rule/x" }));
  const rows = () => desk.lines.map((line) => (line.group ? `[${line.group.count}]` : line.id));
  it("puts alarms of one cause into one row when the stream says so, and takes it apart when it is over", async () => {
    alarms = [alarm("p2", { priority: "P2" }), ...flood()];
    await desk.start();
    expect(rows()).toEqual(["p2", "a", "b", "c"]);
    send("storm", { storm: { since: "", seats: 1, alarms: 40 } });
    await vi.advanceTimersByTimeAsync(300);
    expect(rows()).toEqual(["p2", "[3]"]);
    const group = desk.neighbour("p2", 1);
    desk.toggle(group ?? "");
    expect(rows()).toEqual(["p2", "[3]", "a", "b", "c"]);
    expect(desk.neighbour(group, 1)).toBe("a");
    desk.toggle(group ?? "");
    expect(rows()).toEqual(["p2", "[3]"]);
    send("storm", { storm: null });
    await vi.advanceTimersByTimeAsync(300);
    expect(rows()).toEqual(["p2", "a", "b", "c"]);
  });
  it("that stands when the page connects is known from the first word", async () => {
    alarms = flood();
    await desk.start();
    send("hello", { server_time: "2026-11-22T00:00:00Z", last_event: 100, storm: { since: "", seats: 1, alarms: 40 } });
    await vi.advanceTimersByTimeAsync(300);
    expect(rows()).toEqual(["[3]"]);
  });
});
