// A stand-in for the server while building and testing the web app: the console's JSON contract, in memory, without
// dependencies. Serves dist/ under the same strict CSP. `/mock/*` steers it. Not part of the product.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { api } from "./api.mjs";
import { State } from "./state.mjs";

const DIST = join(fileURLToPath(new URL(".", import.meta.url)), "..", "dist");
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
export const CSP = "default-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

export function seeded() {
  const state = new State();
  state.raise("watch", 9, { ago: 5.2e6 });
  state.raise("silent", 14, { ago: 2.6e6 });
  state.raise("high", 5, { ago: 1.5e6, repeats: 2 });
  state.raise("pulse", 21, { ago: 7e5, condition: "cleared" });
  state.raise("watch", 30, { ago: 4e5, late: true });
  state.raise("removed", 17, { ago: 3e5 });
  state.raise("desaturation", 12, { ago: 95_000 });
  state.raise("fall", 3, { ago: 40_000 });
  state.raise("crisis", 7, { ago: 21_000, repeats: 1 });
  const taken = state.raise("sos", 26, { ago: 3e5 });
  Object.assign(taken, { handling: "engaged", claimed_by: { id: 2, name: "张工" }, accepted_by: { id: 3, name: "李医生", at: new Date().toISOString() }, page_state: "accepted" });
  state.change(taken, "accepted", "李医生");
  return state;
}

async function body(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text ? JSON.parse(text) : {};
}

async function file(path, response) {
  const inside = normalize(join(DIST, path));
  const name = inside.startsWith(DIST) && extname(inside) ? inside : join(DIST, "index.html");
  try {
    const bytes = await readFile(name);
    response.writeHead(200, { "Content-Type": TYPES[extname(name)] ?? "application/octet-stream", "Content-Security-Policy": CSP, "Cache-Control": "no-store" });
    response.end(bytes);
  } catch {
    response.writeHead(404, { "Content-Security-Policy": CSP }).end("npm run build first");
  }
}

/** Starts the mock; `port` 0 takes any. */
export function start(port = 0, state = seeded()) {
  const world = { state, sessions: new Map(), done: new Map(), sockets: new Set(), refuse: false, skew_ms: 0, uuid: randomUUID };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, "http://mock");
    try {
      if (world.refuse && url.pathname.startsWith("/api/")) return request.socket.destroy();
      if (url.pathname.startsWith("/api/") || url.pathname.startsWith("/mock/")) return await api(world, request, response, url, body);
      await file(url.pathname, response);
    } catch (error) {
      console.error(error);
      if (!response.headersSent) response.writeHead(500).end();
    }
  });
  return new Promise((ready) => server.listen(port, "127.0.0.1", () => ready({ server, world, base: `http://127.0.0.1:${server.address().port}` })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { base, world } = await start(Number(process.env.PORT ?? 8091));
  console.log(`mock at ${base}; logins: zuoxi/zuoxi-pw (dispatcher), zhang/zhang-pw, doctor/doctor-pw, wangge/wangge-pw (responder), admin/admin-pw`);
  setInterval(() => world.state.raise(["high", "watch", "fall", "removed"][Math.floor(Math.random() * 4)], 1 + Math.floor(Math.random() * 60)), 20_000);
}
