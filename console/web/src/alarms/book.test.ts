import { describe, expect, it } from "vitest";
import { alarm } from "../lib/fixtures";
import { Book, DONE_MAX } from "./book";

const counts = { P1: 0, P2: 0, P3: 0, T: 0, unclaimed: 0 };
const event = (seq: number, one: ReturnType<typeof alarm>) => ({ seq, kind: "raised", at: one.raised_at, by: null, alarm: { ...one, seq } });

describe("merging list and stream", () => {
  it("takes the newer view, whoever brings it", () => {
    const book = new Book();
    book.event(event(5, alarm("a", { handling: "claimed" })));
    expect(book.merge(alarm("a", { seq: 4 }))).toBe(false);
    expect(book.alarms.get("a")?.handling).toBe("claimed");
    expect(book.lastEvent).toBe(5);
  });
  it("survives an event sent twice and out of order", () => {
    const book = new Book();
    for (const seq of [3, 1, 3, 2]) book.event(event(seq, alarm("a", { repeats: seq })));
    expect(book.alarms.get("a")?.repeats).toBe(3);
    expect(book.lastEvent).toBe(3);
  });
  it("drops what a fresh list no longer names, but not what the stream brought after it", () => {
    const book = new Book();
    book.event(event(1, alarm("old")));
    book.event(event(9, alarm("new")));
    const gone = book.replaceOpen({ alarms: [alarm("kept", { seq: 4 })], last_event: 7, counts });
    expect(gone).toEqual(["old"]);
    expect([...book.alarms.keys()].sort()).toEqual(["kept", "new"]);
    expect(book.lastEvent).toBe(9);
  });
  it("keeps done alarms over a fresh list of open ones", () => {
    const book = new Book();
    book.event(event(2, alarm("done", { handling: "resolved" })));
    book.replaceOpen({ alarms: [], last_event: 5, counts });
    expect(book.alarms.has("done")).toBe(true);
  });
  it("bounds the done ones, oldest first, and never drops an open one", () => {
    const book = new Book();
    book.event(event(1, alarm("open")));
    for (let i = 0; i < DONE_MAX + 10; i++) book.event(event(10 + i, alarm(`d${i}`, { handling: "closed" })));
    book.trim();
    expect(book.alarms.size).toBe(DONE_MAX + 1);
    expect(book.alarms.has("open")).toBe(true);
    expect(book.alarms.has("d9")).toBe(false);
    expect(book.alarms.has("d10")).toBe(true);
  });
});
