import { describe, expect, it } from "vitest";
import { alarm } from "../lib/fixtures";
import type { Alarm } from "../lib/types";
import { fold, isGroupId, reuse, type Folded } from "./fold";

const of = (id: string, group: string | null = "rule/systolic_high", with_: Partial<Alarm> = {}): Alarm =>
  alarm(id, { priority: "P3", group, elder: { id: Number(id.slice(1)) || 1, name_masked: "王*", age: 80, sex: "female", address: "" }, ...with_ });
const ids = (folded: Folded) => folded.lines.map((line) => (line.group ? `[${line.group.count}${line.group.open ? " open" : ""}]` : `${line.inside ? "· " : ""}${line.id}`));
const start = (order: Alarm[], opened: string[] = []) => fold(order, true, new Set(opened), new Map(), null);
const KEY = "P3:rule/systolic_high";

describe("rows of one cause in a storm", () => {
  const order = [of("a1"), of("b2", "rule/other"), of("a3"), of("a4")];
  it("share one row where the first of them stood, which opens", () => {
    expect(ids(start(order))).toEqual(["[3]", "b2"]);
    expect(ids(start(order, [KEY]))).toEqual(["[3 open]", "· a1", "· a3", "· a4", "b2"]);
    expect(start(order).lines[0]?.group?.elders).toBe(3);
    expect(isGroupId(start(order).lines[0]?.id ?? "")).toBe(true);
  });
  it("stand by themselves when there is no storm", () => {
    expect(ids(fold(order, false, new Set(), new Map(), null))).toEqual(["a1", "b2", "a3", "a4"]);
  });
  it("never hold a P1, a call for help, or what somebody has, whatever the server says of its group", () => {
    const sos = of("s", "rule/sos", { priority: "P2", kind: { type: "event", kind: "sos" } });
    const all = [of("p", "rule/x", { priority: "P1" }), of("q", "rule/x", { priority: "P1" }), sos, { ...sos, id: "t" }, of("c", "rule/x", { handling: "claimed" }), of("d", "rule/x", { handling: "claimed" }), of("n", null), of("o", null)];
    expect(ids(start(all))).toEqual(["p", "q", "s", "t", "c", "d", "n", "o"]);
  });
  it("are not mixed over priorities: nothing jumps the queue", () => {
    expect(ids(start([of("a1", "r", { priority: "P2" }), of("a2", "r", { priority: "P2" }), of("b1", "r"), of("b2", "r")]))).toEqual(["[2]", "[2]"]);
  });
});

it("rows that did not change keep their objects, so that they are not drawn anew", () => {
  const [a, b] = [of("a1", null), of("b2", null)];
  const before = start([a, b]).lines;
  const after = reuse(before, start([a, { ...b, repeats: 1 }]).lines);
  expect([after[0] === before[0], after[1] === before[1], after[1]?.alarm.repeats]).toEqual([true, false, 1]);
  expect(reuse(before, start([{ ...a, group: "r" }, { ...b, group: "r" }]).lines).map((line) => line.group?.count)).toEqual([2]);
});

describe("the row under the hand", () => {
  const order = [of("a1"), of("h", null), of("a2")];
  const next = (was: Folded, alarms: Alarm[], anchor: string, opened: string[] = [], storm = true) => fold(alarms, storm, new Set(opened), was.seats, anchor);
  it("keeps its place when one more of an open group above it comes: it is counted, and drawn afterwards", () => {
    const was = start(order, [KEY]);
    expect(ids(was)).toEqual(["[2 open]", "· a1", "· a2", "h"]);
    const then = next(was, [...order, of("a9")], "h", [KEY]);
    expect(ids(then)).toEqual(["[3 open]", "· a1", "· a2", "h"]);
    expect(ids(next(then, [...order, of("a9")], "h", [KEY]))).toEqual(ids(then));
    expect(ids(fold([...order, of("a9")], true, new Set([KEY]), then.seats, null))).toEqual(["[3 open]", "· a1", "· a2", "· a9", "h"]);
  });
  it("keeps its place when the storm ends or begins; below it everything follows at once", () => {
    const tail = [of("b1", "rule/b"), of("b2", "rule/b")];
    const was = start([...order, ...tail]);
    expect(ids(next(was, [...order, ...tail], "h", [], false))).toEqual(["[2]", "h", "b1", "b2"]);
    const calm = fold([...order, ...tail], false, new Set(), new Map(), null);
    expect(ids(next(calm, [...order, ...tail], "h"))).toEqual(["a1", "h", "a2", "[2]"]);
  });
  it("keeps its place when one of a group above it is claimed or becomes a P1", () => {
    const was = start(order, [KEY]);
    const changed = [of("a1", null, { priority: "P1" }), of("h", null), of("a2", KEY, { handling: "claimed" })];
    expect(ids(next(was, changed, "h", [KEY]))).toEqual(["[0 open]", "· a1", "· a2", "h"]);
  });
});
