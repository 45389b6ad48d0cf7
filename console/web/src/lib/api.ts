/** The only place that talks HTTP: time-out, typed errors, idempotency keys, and the "signed out" signal. */
import { uuid } from "./uuid";

/** Longest wait for an answer, milliseconds. */
const TIMEOUT_MS = 15_000;

/** What the server (or the network) said, in both languages. `code` is a stable word. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly zh: string,
    readonly en: string,
    /** Who has the alarm (409 `claimed_by_other`). */
    readonly by: string | null = null,
    /** Rule a 422 is about. */
    readonly rule: string | null = null,
  ) {
    super(code);
  }
}

let signedOut: () => void = () => {};
/** Called once at start: what to do when the server says the session is gone. */
export function onSignedOut(then: () => void): void {
  signedOut = then;
}

async function once(method: string, path: string, body: unknown, key: string | null): Promise<Response> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  try {
    const init: RequestInit = { method, headers, signal: abort.signal, credentials: "same-origin", cache: "no-store" };
    if (body !== undefined) init.body = JSON.stringify(body);
    return await fetch(path, init);
  } catch {
    throw new ApiError(0, "network", "连接不上服务器,请检查网络后重试", "Cannot reach the server. Check the network and try again.");
  } finally {
    clearTimeout(timer);
  }
}

async function failure(response: Response): Promise<ApiError> {
  let error: Record<string, unknown> = {};
  let by: unknown = null;
  try {
    const body = (await response.json()) as { error?: Record<string, unknown>; by?: unknown };
    error = body.error ?? {};
    by = error["by"] ?? body.by;
  } catch {
    // Not JSON (a proxy's page, say): the status alone has to do.
  }
  const text = (name: string, otherwise: string) => (typeof error[name] === "string" ? (error[name] as string) : otherwise);
  return new ApiError(
    response.status,
    text("code", `http_${response.status}`),
    text("message_zh", `服务器返回 ${response.status}`),
    text("message_en", `The server answered ${response.status}`),
    typeof by === "string" ? by : null,
    text("rule", "") || null,
  );
}

async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  // One key for the action and its retry: the server does it once.
  const key = method === "GET" ? null : uuid();
  let response: Response;
  try {
    response = await once(method, path, body, key);
  } catch (error) {
    if (method === "GET" || path === "/api/login") throw error;
    response = await once(method, path, body, key);
  }
  if (!response.ok) {
    const error = await failure(response);
    if (error.status === 401 && error.code !== "bad_credentials") signedOut();
    throw error;
  }
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

export const get = <T>(path: string): Promise<T> => request<T>("GET", path);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => request<T>("POST", path, body);
export const put = <T>(path: string, body: unknown): Promise<T> => request<T>("PUT", path, body);
