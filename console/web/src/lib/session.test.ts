import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { get } from "./api";
import { session } from "./session.svelte";
import type { Role } from "./types";

const me = (role: Role) => ({ id: 1, name: "王座席", role, role_zh: "", role_en: "", team: null, language: "zh" });
let alive: boolean;
let asked: string[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", { documentElement: { lang: "" } });
  [alive, asked] = [true, []];
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function signIn(role: Role) {
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    if (!alive) return Response.json({ error: { code: "not_signed_in", message_zh: "", message_en: "" } }, { status: 401 });
    return path === "/api/logout" ? new Response(null, { status: 204 }) : Response.json(path === "/api/metrics" ? { metrics: [] } : me(role));
  });
  await session.login("zuoxi", "pw");
}

it("a seat that is signed out by the server is told that the desk has stopped, until somebody says that they know", async () => {
  await signIn("dispatcher");
  alive = false;
  await expect(get("/api/alarms")).rejects.toThrow("not_signed_in");
  expect(session.me).toBe(null);
  expect(session.deskStopped).toBe(true);
  session.dismiss();
  expect(session.ended).toBe(null);
});

it("somebody with a phone is told too, but not of a desk; signing in again ends it", async () => {
  await signIn("responder");
  alive = false;
  await expect(get("/api/pages")).rejects.toThrow("not_signed_in");
  expect([session.ended?.role, session.deskStopped]).toEqual(["responder", false]);
  alive = true;
  await session.login("wangge", "pw");
  expect(session.ended).toBe(null);
});

it("who signs out by themselves is told nothing, nor who was never signed in", async () => {
  await signIn("dispatcher");
  await session.logout();
  alive = false;
  await session.start();
  expect([session.me, session.ended]).toEqual([null, null]);
});

it("an answer that crosses the sign-out is no end of the session", async () => {
  await signIn("dispatcher");
  const gone = session.logout();
  alive = false;
  await expect(get("/api/alarms")).rejects.toThrow("not_signed_in");
  await gone;
  expect([session.me, session.ended]).toEqual([null, null]);
});

it("asks who we are while signed in, which renews the cookie, and not afterwards", async () => {
  await signIn("dispatcher");
  asked = [];
  await vi.advanceTimersByTimeAsync(3_600_000);
  const times = asked.filter((path) => path === "/api/me").length;
  expect(times).toBeGreaterThanOrEqual(2);
  await session.logout();
  asked = [];
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(asked).toEqual([]);
});
