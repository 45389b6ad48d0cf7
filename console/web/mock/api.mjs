// The endpoints of the mock, one function a group, as in the console's contract.
import { judgement, numbers } from "./figures.mjs";
import { card, iso, latest, seen, stretches, strip, trend } from "./state.mjs";
import { population, profile, team } from "./trends.mjs";
import { board, channels, helpers, incident, incidents, policies, quiet } from "./work.mjs";
import { writer } from "./writer.mjs";
import { ELDERS, EVENTS, METRICS, PEOPLE, mask } from "./words.mjs";

const say = (response, status, value, headers = {}) => response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(value === undefined ? "" : JSON.stringify(value));
const refuse = (response, status, code, message_zh, message_en, more = {}) => say(response, status, { error: { code, message_zh, message_en, ...more } });
/** All that somebody may ask for who only goes there. */
const VISITS = /^\/api\/(logout|me|metrics|teams|rota|pages)(\/|$)/;
const shown = ({ password, login, ...me }) => me;

export async function api(world, request, response, url, body) {
  const { state } = world;
  const path = url.pathname;
  const parts = path.split("/").slice(2);
  if (path.startsWith("/mock/")) return steer(world, response, parts, url);
  if (path === "/api/health") return say(response, 200, { status: "ok", version: "0.1.0-mock", checks: [{ name: "journal", ok: true, detail: "fsync p99 4 ms" }, { name: "readings", ok: true, detail: "12,400,113" }, { name: "pager", ok: true, detail: "0 due" }] });
  if (path === "/api/login") {
    const given = await body(request);
    const person = PEOPLE.find((one) => one.login === given.login && one.password === given.password);
    if (!person) return given.login === "locked" ? refuse(response, 429, "locked", "错误次数过多", "Too many attempts") : refuse(response, 401, "bad_credentials", "账号或密码不对", "Wrong account or password");
    const token = world.uuid();
    world.sessions.set(token, person);
    return say(response, 200, shown(person), { "Set-Cookie": `vigil_session=${token}; HttpOnly; SameSite=Strict; Path=/` });
  }
  const token = /vigil_session=([^;]+)/.exec(request.headers.cookie ?? "")?.[1];
  const me = world.sessions.get(token);
  if (!me) return refuse(response, 401, "not_signed_in", "请先登录", "Please sign in");
  if (me.role === "responder" && !VISITS.test(path)) return refuse(response, 403, "not_allowed", "您的角色不能使用此功能", "Your role cannot use this");
  if (path === "/api/logout") { world.sessions.delete(token); return say(response, 204); }
  if (path === "/api/me") return say(response, 200, shown(me));
  if (path === "/api/metrics") return say(response, 200, { metrics: METRICS, qualities: [], outcomes: [], priorities: [], events: EVENTS });
  if (path === "/api/stream") return stream(world, request, response, url);
  if (request.method === "POST" || request.method === "PUT") {
    const key = request.headers["idempotency-key"];
    if (!key) return refuse(response, 400, "no_key", "缺少 Idempotency-Key", "Idempotency-Key is missing");
    if (world.done.has(key)) return say(response, 200, world.done.get(key));
    request.remember = (value) => world.done.set(key, value);
  }
  if (parts[0] === "alarms") return alarms(world, request, response, url, parts, me, body);
  if (parts[0] === "elders") return elders(world, request, response, url, parts, me, body);
  if (parts[0] === "pages") return pages(world, request, response, parts, me, body);
  if (path === "/api/unattributed") return say(response, 200, { devices: [{ device: "bp-9", gateway: "cabin-07", last_seen: iso(), latest: latest().slice(3, 5) }] });
  if (path === "/api/writer") return state.writer === "refused" ? refuse(response, 500, "internal", "服务器内部错误", "Internal error") : say(response, 200, writer(state.writer));
  if (path === "/api/custody") return say(response, 200, { gaps: state.gaps, losses: state.losses, lost_frames: 120, thinned_readings: 5400 });
  if (parts[0] === "custody" && parts[2] === "ask") { const gap = state.gaps.find((one) => one.id === Number(parts[1])); gap.asks += 1; gap.state = "asked"; return say(response, 200, { id: gap.id }); }
  if (path === "/api/gateways") return say(response, 200, { gateways: state.gateways, all: state.gateways.length });
  if (path === "/api/rota") return say(response, 200, board());
  if (path === "/api/teams") return say(response, 200, { teams: [{ id: 1, name: "城东第一团队" }] });
  if (parts[0] === "rota") { await body(request); return say(response, 200, { id: 5, problems: [] }); }
  if (path === "/api/channels") return say(response, 200, { channels });
  if (parts[0] === "channels") return say(response, 200, { ok: true, detail: "" });
  if (path === "/api/policies") return say(response, 200, { policies, channels: [] });
  if (path === "/api/incidents") return say(response, 200, { incidents: state.outage ? incidents : [] });
  if (parts[0] === "incidents") return say(response, 200, incident());
  if (path === "/api/helpers") return say(response, 200, { helpers });
  if (path === "/api/quiet" && request.method === "GET") return say(response, 200, { quiet });
  if (path === "/api/quiet") { const one = await body(request); quiet.push({ id: quiet.length + 1, from: iso(), by: me.name, in_force: true, ended_at: null, ...one }); return say(response, 200, quiet.at(-1)); }
  if (parts[0] === "quiet") { await body(request); quiet.find((one) => one.id === Number(parts[1])).ended_at = iso(); return say(response, 200, {}); }
  if (path === "/api/numbers") return say(response, 200, numbers(url.searchParams.get("from"), url.searchParams.get("to")));
  if (parts[0] === "teams" && parts[2] === "trends") return say(response, 200, team(url.searchParams.get("metric"), Number(url.searchParams.get("days")), url.searchParams.get("sort")));
  if (path === "/api/population") { const answer = population(url.searchParams.get("metric"), url.searchParams.get("by")); return say(response, answer.state === "ready" ? 200 : 202, answer); }
  if (path === "/api/quarantine") return say(response, 200, { frames: state.frames });
  if (parts[0] === "quarantine" && parts[2] === "replay") { state.frames.find((one) => one.id === Number(parts[1])).replayed_at = iso(); return say(response, 200, {}); }
  return refuse(response, 404, "not_found", "没有找到", "Not found");
}

function steer(world, response, [verb], url) {
  const { state } = world;
  const number = (name, otherwise) => Number(url.searchParams.get(name) ?? otherwise);
  if (verb === "raise") return say(response, 200, state.raise(url.searchParams.get("kind"), number("elder", 1)));
  if (verb === "writer") { state.writer = url.searchParams.get("as"); return say(response, 204); }
  if (verb === "storm") { state.flood(number("alarms", 0)); return say(response, 204); }
  if (verb === "expire") { world.sessions.clear(); return say(response, 204); }
  if (verb === "outage") { state.outage = true; return say(response, 204); }
  if (verb === "drop") { for (const socket of world.sockets) socket.destroy(); world.refuse = url.searchParams.get("refuse") === "1"; return say(response, 204); }
  if (verb === "accept_connections") { world.refuse = false; return say(response, 204); }
  if (verb === "flood") { for (let i = 0; i < number("n", 200); i++) state.raise(["high", "pulse", "watch", "removed"][i % 4], 1 + (i % 60), { ago: i * 1000, page: false }); return say(response, 204); }
  if (verb === "churn") {
    const all = [...state.alarms.values()].filter((one) => one.handling === "open");
    let left = number("n", 100);
    const timer = setInterval(() => { const one = all[left % all.length]; one.repeats++; state.change(one, "repeated", null); if (--left <= 0) clearInterval(timer); }, 1000 / number("rate", 50));
    return say(response, 204);
  }
  return say(response, 404);
}

function stream(world, request, response, url) {
  const { state } = world;
  const after = Number(request.headers["last-event-id"] ?? url.searchParams.get("after") ?? 0);
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  world.sockets.add(request.socket);
  const send = ({ seq, kind, at, by, view, storm }) => storm !== undefined ? response.write(`event: storm\ndata: ${JSON.stringify({ storm })}\n\n`) : response.write(`event: alarm\nid: ${seq}\ndata: ${JSON.stringify({ seq, kind, at, by, alarm: view })}\n\n`);
  response.write(`retry: 1000\nevent: hello\ndata: ${JSON.stringify({ server_time: iso(Date.now() + world.skew_ms), last_event: state.seq, storm: state.storm })}\n\n`);
  if (state.seq - after > state.keep) response.write("event: reset\ndata: {}\n\n");
  else for (const event of state.events) if (event.seq > after) send(event);
  state.listeners.add(send);
  const beat = setInterval(() => response.write("event: alive\ndata: {}\n\n"), 15_000);
  request.on("close", () => { state.listeners.delete(send); clearInterval(beat); world.sockets.delete(request.socket); });
}

async function alarms({ state }, request, response, url, [, id, ...verbs], me, body) {
  const verb = verbs.join("/");
  if (!id) {
    const asked = (name, otherwise) => url.searchParams.get(name) ?? otherwise;
    const search = { q: asked("q", "").trim(), priorities: asked("priority", "").split(",").filter(Boolean), limit: Number(asked("limit", 200)) };
    return say(response, 200, state.list(asked("state", "open"), Number(asked("elder", 0)), search));
  }
  const alarm = state.alarms.get(id);
  if (!alarm) return refuse(response, 404, "not_found", "没有这条告警", "No such alarm");
  if (!verb) return say(response, 200, state.detail(alarm));
  const { outcome, note, to, person, who, reason } = await body(request);
  const other = alarm.claimed_by && alarm.claimed_by.id !== me.id;
  if (verb !== "note" && verb !== "hand-over/accept" && other && alarm.handling === "claimed") return refuse(response, 409, "claimed_by_other", `${alarm.claimed_by.name} 已接单`, `Claimed by ${alarm.claimed_by.name}`, { by: alarm.claimed_by.name });
  if (verb === "claim") Object.assign(alarm, { handling: "claimed", claimed_by: { id: me.id, name: me.name }, claim_until: iso(Date.now() + 180_000) });
  if (verb === "release") Object.assign(alarm, { handling: "open", claimed_by: null, claim_until: null });
  if (verb === "hand-over") Object.assign(alarm, { offered_to: helpers.find((one) => one.id === to), offer_until: iso(Date.now() + 60_000) });
  if (verb === "hand-over/accept") Object.assign(alarm, { claimed_by: { id: me.id, name: me.name }, offered_to: null, offer_until: null });
  if (verb === "dispatch") Object.assign(alarm, { handling: "engaged", sent: { person: helpers.find((one) => one.id === person) ?? null, words: who ?? "", at: iso() }, arrive_by: iso(Date.now() + 45 * 60_000) });
  if (verb === "arrived") alarm.arrived_at = iso();
  if (verb === "reopen") Object.assign(alarm, { handling: "open", outcome: null, claimed_by: null, reopened: reason });
  if (verb === "resolve") {
    if (!outcome) return refuse(response, 409, "needs_outcome", "请选择处置结果", "Choose an outcome");
    Object.assign(alarm, { handling: "resolved", outcome });
    for (const page of state.pages) if (page.alarm === id && page.state !== "accepted") page.state = "superseded";
  }
  const kind = { claim: "claimed", release: "returned", resolve: "resolved", note: "note" }[verb];
  state.change(alarm, kind, me.name, note || outcome ? { note, outcome } : null);
  request.remember(structuredClone(alarm));
  say(response, 200, alarm);
}

async function elders({ state }, request, response, url, [, id, what], me, body) {
  if (!id) {
    const q = (url.searchParams.get("q") ?? "").trim();
    const open = state.list("open", 0).alarms;
    const all = state.crowd ? Array.from({ length: state.crowd }, (_, i) => ({ ...ELDERS[i % ELDERS.length], id: i + 1 })) : ELDERS;
    const rows = all.filter((one) => !q || one.name.includes(q) || one.address.includes(q) || one.phone.includes(q)).slice(0, Number(url.searchParams.get("limit") ?? 100));
    return say(response, 200, { elders: rows.map(({ id, name, age, sex, team }, i) => ({ id, name_masked: mask(name), age, sex, team: team.name, latest_at: i % 11 === 10 ? null : iso(Date.now() - i * 50_000), open_alarms: open.filter((a) => a.elder?.id === id).length })) });
  }
  const elder = ELDERS[Number(id) - 1];
  if (!elder) return refuse(response, 404, "not_found", "没有这位老人", "No such elder");
  if (!what) return say(response, 200, { ...card(elder.id), birth_date: elder.birth_date, team: elder.team.name, devices: [{ id: 1, name: "monitor-1", kind: "bedside", last_seen: iso() }] });
  if (what === "latest") return say(response, 200, { latest: elder.id % 11 === 0 ? [] : latest() });
  const at = (name) => Date.parse(url.searchParams.get(name));
  if (what === "waveforms") return say(response, 200, elder.id % 11 === 0 ? { stretches: [], cut: false } : stretches(at("from"), at("to")));
  if (what === "strip") return say(response, 200, elder.id % 11 === 0 ? { leads: [], from: iso(at("from")), to: iso(at("to")), unit: "mV", metric: "ecg" } : strip(at("from"), at("to")));
  if (what === "trend") {
    return say(response, 200, trend(url.searchParams.get("metrics").split(","), at("from"), at("to"), Number(url.searchParams.get("width") ?? 600)));
  }
  if (what === "profile") return say(response, 200, profile(url.searchParams.get("metric"), Number(url.searchParams.get("days")), elder.id));
  if (request.method === "GET") return say(response, 200, state.rules);
  if (what === "judge") return say(response, 200, judgement((await body(request)).set));
  const { set, reason } = await body(request);
  if (Object.keys(set).some((key) => !["name", "version", "source", "rules"].includes(key))) return refuse(response, 400, "bad_request", "多余的字段", "Unknown field");
  const bad = set.rules.find((rule) => rule.test.threshold?.levels.some((level) => level.limit < 1 || level.limit > 300));
  if (bad) return refuse(response, 422, "bad_rule", `规则「${bad.zh}」:界限超出合理范围`, `Rule “${bad.en}”: the limit is out of range`, { rule: bad.slug });
  state.rules = { ...set, version: set.version + 1, own: true, author: me.name, saved_at: iso(), reason };
  say(response, 200, state.rules);
}

async function pages({ state }, request, response, [, id, verb], me, body) {
  const mine = state.pages.filter((page) => page.person === me.name);
  const all = request.url.includes("state=all");
  if (!id) return say(response, 200, { pages: mine.filter((page) => all || !["accepted", "declined", "superseded"].includes(page.state)).map((page) => state.pageRow(page, me)) });
  const page = mine.find((one) => one.id === Number(id));
  if (!page) return refuse(response, 404, "not_found", "没有这条寻呼", "No such page");
  const alarm = state.alarms.get(page.alarm);
  const set = (to) => { page.state = to; alarm.page_state = to; };
  if (!verb) {
    if (page.state === "provider_accepted") { set("read"); state.change(alarm, "page_sent", null, { person: page.person, note: "read" }); }
    return say(response, 200, { page: state.pageRow(page, me), alarm: seen(alarm, me), elder: alarm.elder ? card(alarm.elder.id, me) : null, latest: me.role === "responder" ? [] : latest() });
  }
  const { reason } = await body(request);
  if (verb === "arrived") {
    if (alarm.accepted_by?.id !== me.id && alarm.sent?.person?.id !== me.id) return refuse(response, 403, "not_allowed", "请先接手", "Accept first");
    set("accepted");
    alarm.arrived_at ??= iso();
  } else {
    set(verb === "accept" ? "accepted" : "declined");
    if (verb === "accept") Object.assign(alarm, { handling: "engaged", accepted_by: { id: me.id, name: me.name, at: iso() } });
  }
  state.change(alarm, { accept: "accepted", decline: "declined" }[verb] ?? verb, me.name, reason ? { reason } : null);
  request.remember({});
  say(response, 200, state.pageRow(page, me));
}
