import { describe, expect, it } from "vitest";
import { alarm } from "../lib/fixtures";
import { compare, count, mustShow, passes, place, sameMeasurement, sorted, together } from "./order";

const ids = (alarms: { id: string }[]) => alarms.map((one) => one.id);

describe("order of the list", () => {
  it("puts priority first, then unclaimed, then who waits longest, done ones last", () => {
    const all = [
      alarm("done", { handling: "resolved" }), alarm("p3", { priority: "P3" }), alarm("t", { priority: "T" }), alarm("p2", { priority: "P2" }),
      alarm("p1-taken", { handling: "claimed", raised_at: "2026-11-22T00:00:00Z" }), alarm("p1-new", { raised_at: "2026-11-22T02:00:00Z" }), alarm("p1-old", { raised_at: "2026-11-22T01:00:00Z" }),
    ];
    expect(ids(all.sort(compare))).toEqual(["p1-old", "p1-new", "p1-taken", "p2", "p3", "t", "done"]);
  });
  it("lists history newest first", () => {
    const all = [alarm("a", { handling: "closed", raised_at: "2026-11-22T01:00:00Z" }), alarm("b", { handling: "closed", raised_at: "2026-11-22T02:00:00Z" })];
    expect(ids(all.sort(compare))).toEqual(["b", "a"]);
  });
});

describe("placing new rows", () => {
  const [p1, p2, p3] = [alarm("p1"), alarm("p2", { priority: "P2" }), alarm("p3", { priority: "P3" })];
  it("sorts plainly when nobody points at a row", () => {
    expect(place(["p3", "p2"], [p3, p2, p1], null)).toMatchObject({ shown: ["p1", "p2", "p3"], held: [] });
  });
  it("holds back what belongs above the anchor and inserts what belongs below", () => {
    const t = alarm("t", { priority: "T" });
    expect(place(["p2", "t"], [p2, t, p1, p3], "p2")).toMatchObject({ shown: ["p2", "p3", "t"], held: ["p1"] });
  });
  it("keeps the anchored row's place when its own rank changes", () => {
    const claimed = alarm("p1b", { handling: "claimed" });
    expect(place(["p1b", "p1"], [claimed, p1], "p1b").shown).toEqual(["p1b", "p1"]);
  });
  it("forgets an anchor that is gone", () => {
    expect(place(["gone", "p2"], [p1, p2], "gone")).toMatchObject({ shown: ["p1", "p2"], held: [] });
  });
  it("tells of a row that got more urgent than the one under the hand, and leaves it where it stood", () => {
    const first = place([], [p2, p3], null);
    const worse = { ...p3, priority: "P1" as const };
    const placed = place(first.shown, [p2, worse], "p2", first.was);
    expect(placed).toMatchObject({ shown: ["p2", "p3"], held: ["p3"] });
    expect(place(placed.shown, [p2, worse], "p2", placed.was).held).toEqual(["p3"]);
    expect(place(placed.shown, [p2, worse], null, placed.was)).toMatchObject({ shown: ["p3", "p2"], held: [] });
  });
  it("tells of it above the hand too, and moves it up where nothing under the hand moves", () => {
    const [above, t] = [alarm("above", { priority: "P2" }), alarm("t", { priority: "T" })];
    const first = place([], [above, p3, t], null);
    expect(place(first.shown, [{ ...above, priority: "P1" }, p3, t], "p3", first.was)).toMatchObject({ shown: ["above", "p3", "t"], held: ["above"] });
    const all = place([], [p1, p3, t], null);
    expect(place(all.shown, [p1, p3, { ...t, priority: "P2" }], "p1", all.was)).toMatchObject({ shown: ["p1", "t", "p3"], held: [] });
  });
  it("never loses an alarm: shown and held together are all wanted", () => {
    const many = Array.from({ length: 60 }, (_, i) => alarm(`a${i}`, { priority: (["P1", "P2", "P3", "T"] as const)[i % 4] ?? "T" }));
    for (const anchor of ["a0", "a7", "a39"]) {
      const { shown, held } = place(ids(many.slice(0, 40)), many, anchor);
      expect([...shown, ...held].sort()).toEqual(ids(many).sort());
      expect(shown.indexOf(anchor)).toBe(Number(anchor.slice(1)));
    }
  });
});

describe("counters and filter", () => {
  it("counts open alarms only", () => {
    const all = [alarm("a"), alarm("b", { handling: "claimed" }), alarm("c", { handling: "resolved" }), alarm("d", { priority: "T" })];
    expect(count(all)).toEqual({ P1: 2, P2: 0, P3: 0, T: 1, unclaimed: 2 });
  });
  it("looks at state, priority and text", () => {
    const filter = { priorities: new Set<"P1">(), state: "open" as const, text: "" };
    expect(passes(alarm("a"), filter)).toBe(true);
    expect(passes(alarm("a", { handling: "closed" }), filter)).toBe(false);
    expect(passes(alarm("a", { handling: "closed" }), { ...filter, state: "all" })).toBe(true);
    expect(passes(alarm("a", { priority: "P2" }), { ...filter, priorities: new Set(["P1"]) })).toBe(false);
    expect(passes(alarm("a"), { ...filter, text: " 和平 " })).toBe(true);
    expect(passes(alarm("a"), { ...filter, text: "nobody" })).toBe(false);
  });
});

describe("what no filter may hide", () => {
  it("is an unclaimed P1, and an unclaimed call for help of any priority", () => {
    expect(mustShow(alarm("a"))).toBe(true);
    expect(mustShow(alarm("a", { kind: null }))).toBe(true);
    expect(mustShow(alarm("a", { priority: "P2", kind: { type: "event", kind: "sos" } }))).toBe(true);
    expect(mustShow(alarm("a", { priority: "P2" }))).toBe(false);
    expect(mustShow(alarm("a", { handling: "claimed" }))).toBe(false);
  });
  it("does not list or count what an outage explains", () => {
    const grouped = alarm("g", { priority: "T", incident: 3 });
    expect(passes(grouped, { priorities: new Set(), state: "open", text: "" })).toBe(false);
    expect(count([grouped]).T).toBe(0);
  });
});

describe("alarms of one cuff measurement", () => {
  const diastolic = { type: "threshold" as const, metric: "diastolic", high: true, value: 120, limit: 110 };
  const first = alarm("a1");
  const between = alarm("b1", { elder: { ...first.elder!, id: 2 }, raised_at: "2026-11-22T01:00:05Z" });
  const second = alarm("c1", { kind: diastolic, raised_at: "2026-11-22T01:00:10Z" });
  it("stand next to each other", () => {
    expect(sorted([between, second, first]).map((one) => one.id)).toEqual(["a1", "c1", "b1"]);
  });
  it("are one elder's, of two metrics, and near in time", () => {
    expect(sameMeasurement(first, second)).toBe(true);
    expect(sameMeasurement(first, first)).toBe(false);
    expect(sameMeasurement(first, { ...second, elder: { ...first.elder!, id: 2 } })).toBe(false);
    expect(sameMeasurement(first, { ...second, raised_at: "2026-11-22T01:10:00Z" })).toBe(false);
    expect(sameMeasurement(first, { ...second, kind: { type: "event", kind: "fall" } })).toBe(false);
  });
  it("never jump the queue of a higher priority", () => {
    const lesser = { ...second, priority: "P2" as const };
    expect(together(first, lesser)).toBe(false);
    expect(sorted([lesser, between, first]).map((one) => one.id)).toEqual(["a1", "b1", "c1"]);
  });
});
