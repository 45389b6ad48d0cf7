// The web app against the mock: the P1 story by keyboard alone, a lost connection that loses no row, a flood, every screen
// under axe, and screenshots into $VIGIL_SHOTS.
import { AxeBuilder } from "@axe-core/playwright";
import { start } from "../mock/server.mjs";
import { check, launch, open, shot, signIn, step } from "./browser.mjs";
import { responder, signedOut, storm } from "./seats.mjs";

const { base, server, world } = await start();
const browser = await launch();
const troubles = [];
const steer = (what) => fetch(`${base}/mock/${what}`);
const row = (page, kind) => page.locator(`[data-testid=alarm-row][data-kind=${kind}]`).first();

/** `only`: a part of the page, where the whole would repeat the same thousand cells. */
async function axe(page, name, only = "html") {
  const found = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]).include(only).analyze();
  const lines = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => `${node.target.join(" ")} ${node.failureSummary ?? ""}`).slice(0, 3).join(" | ")}`);
  check(lines.length === 0, `${name}: ${lines.join("\n  ")}`);
}

const tools = { world, steer, axe };

/** The ECG pane by keyboard: pages, zoom; and what is drawn is ink, not an empty sheet. */
async function ecg(page) {
  const time = () => page.getByTestId("ecg-time").innerText();
  const inked = () => page.getByTestId("ecg-paper").locator("canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let dark = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] < 80 && data[i + 1] < 80) dark++;
    return dark;
  });
  await page.getByTestId("ecg-sheet").focus();
  const [first, ink] = [await time(), await inked()];
  check(ink > 2_000, `the strip must be drawn: ${ink} dark pixels`);
  await page.keyboard.press("ArrowLeft");
  await page.waitForFunction((was) => document.querySelector("[data-testid=ecg-time]").innerText !== was, first);
  const before = await time();
  check(before < first, `left goes back: ${first} to ${before}`);
  await page.getByTestId("ecg-after").click();
  await page.waitForFunction((was) => document.querySelector("[data-testid=ecg-time]").innerText === was, first);
  const width = () => page.getByTestId("ecg-paper").locator("canvas").evaluate((canvas) => canvas.getBoundingClientRect().height);
  await page.getByTestId("ecg-sheet").focus();
  const small = await width();
  await page.keyboard.press("+");
  await page.waitForFunction((was) => document.querySelector("[data-testid=ecg-paper] canvas").getBoundingClientRect().height > was + 10, small);
  await page.keyboard.press("-");
  await page.getByTestId("ecg").scrollIntoViewIfNeeded();
  await shot(page, "elder-ecg");
}

async function login(page) {
  await step("login: clear errors, nothing filled in, axe", async () => {
    await page.goto("/");
    check((await page.getByTestId("login-name").inputValue()) === "", "the account must be empty");
    await page.keyboard.press("Enter");
    await page.getByTestId("login-error").getByText("请填写").waitFor();
    await page.keyboard.type("zuoxi");
    await page.keyboard.press("Tab");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await page.getByTestId("login-error").getByText("账号或密码不对").waitFor();
    await axe(page, "login");
    await shot(page, "login");
    await page.keyboard.type("zuoxi-pw");
    await page.keyboard.press("Enter");
    await row(page, "fall").waitFor();
  });
}

async function keyboard(page) {
  await step("P1 story by keyboard alone", async () => {
    await page.getByTestId("sound-off").waitFor();
    await axe(page, "desk");
    await shot(page, "desk-silent");
    await page.getByTestId("duty").focus();
    await page.keyboard.press("Enter");
    await page.getByTestId("sound-on").waitFor();
    await page.keyboard.press("j");
    const first = page.locator("[data-testid=alarm-row]:focus");
    const id = await first.getAttribute("data-alarm");
    check((await first.getAttribute("data-priority")) === "P1", "the first row must be a P1");
    const mine = page.locator(`#row-${id}`);
    await page.keyboard.press("Enter");
    await page.locator(`#row-${id}[data-handling=claimed]`).waitFor();
    await page.keyboard.press("o");
    await page.getByTestId("timeline").getByText("接单").waitFor();
    await page.locator(".drawer canvas").first().waitFor();
    await page.waitForTimeout(300);
    await axe(page, "drawer");
    await shot(page, "desk-drawer");
    await page.keyboard.press("Escape");
    check((await page.evaluate(() => document.activeElement?.id)) === `row-${id}`, "closing must give the focus back to the row");
    await page.keyboard.press("r");
    await page.getByTestId("resolve-dialog").waitFor();
    await axe(page, "resolve dialog");
    await page.getByTestId("resolve-go").focus();
    await page.keyboard.press("Enter");
    await page.getByTestId("resolve-error").getByText("请选择").waitFor();
    await shot(page, "resolve");
    await page.getByTestId("outcome-true_handled").focus();
    await page.keyboard.press("Space");
    await page.getByTestId("resolve-go").focus();
    await page.keyboard.press("Enter");
    await page.getByTestId("resolve-dialog").waitFor({ state: "detached" });
    await mine.evaluate((node) => node.blur()).catch(() => {});
    await mine.waitFor({ state: "detached" });
    await page.keyboard.press("?");
    await page.getByTestId("help").waitFor();
    await axe(page, "help");
    await page.keyboard.press("Escape");
  });
}

async function steady(page) {
  await step("a new alarm does not move the row under the pointer; a P1 shows in the strip", async () => {
    const target = page.locator("[data-testid=alarm-row][data-priority=P2]").first();
    const id = await target.getAttribute("data-alarm");
    await target.hover();
    const before = (await page.locator(`#row-${id}`).boundingBox()).y;
    await steer("raise?kind=sos&elder=33");
    await steer("raise?kind=high&elder=34");
    await page.getByTestId("strip").getByText("紧急呼叫").first().waitFor();
    await page.getByTestId("show-new").getByText("1 条新告警").waitFor();
    const after = (await page.locator(`#row-${id}`).boundingBox()).y;
    check(before === after, `the row moved by ${after - before} px`);
    await shot(page, "desk-strip");
    await axe(page, "strip");
    await page.getByTestId("show-new").click();
    await page.getByTestId("strip").waitFor({ state: "detached" });
    await row(page, "sos").waitFor();
    await page.mouse.move(5, 500);
  });
}

async function otherSeat(page, second) {
  await step("a second seat sees who has it", async () => {
    await signIn(second, "zhang", "zhang-pw");
    const open = second.locator("[data-testid=alarm-row][data-handling=open]").first();
    const id = await open.getAttribute("data-alarm");
    await second.locator(`#row-${id} [data-testid=claim]`).click();
    await page.locator(`#row-${id}`).getByText("张工 已接单").waitFor();
    const answer = await page.evaluate(async (which) => (await fetch(`/api/alarms/${which}/claim`, { method: "POST", headers: { "Idempotency-Key": "k1" }, body: "{}" })).status, id);
    check(answer === 409, `expected 409, got ${answer}`);
  });
}

async function handOver(page, second) {
  await step("hand-over: offered, accepted at the other seat; somebody is sent and arrives; an outage is one line", async () => {
    const row = page.locator("[data-testid=alarm-row][data-handling=open]").first();
    const id = await row.getAttribute("data-alarm");
    await page.locator(`#row-${id} [data-testid=claim]`).click();
    await page.locator(`#row-${id}`).focus();
    await page.keyboard.press("o");
    await page.getByTestId("act-hand-over").click();
    await page.getByTestId("act-go").click();
    await page.getByTestId("act-form").getByText("请填写").waitFor();
    await page.getByTestId("act-person").selectOption({ label: "张工 ●" });
    await axe(page, "hand-over", "[data-testid=drawer]");
    await page.getByTestId("act-go").click();
    await page.getByTestId("acts").getByText("已向 张工 移交").waitFor();
    await second.locator(`#row-${id}`).focus();
    await second.keyboard.press("o");
    await second.getByTestId("offer-accept").click();
    await page.getByTestId("drawer").getByText("张工 已接单").waitFor();
    await second.getByTestId("act-dispatch").click();
    await second.getByTestId("act-person").selectOption({ label: "陈网格员 · 城东第一团队" });
    await second.getByTestId("act-go").click();
    await second.getByTestId("acts").getByText("陈网格员 正在前往").waitFor();
    await shot(second, "drawer-acts");
    await second.getByTestId("arrived").click();
    await second.getByTestId("acts").getByText("已到达").waitFor();
    await second.getByTestId("drawer-close").click();
    await page.getByTestId("drawer-close").click();
    await steer("outage");
    world.state.raise("removed", 44);
    await page.getByTestId("incidents").getByText("柳林镇 整片停联,298 位老人无人看护").waitFor({ timeout: 40_000 });
    await page.getByTestId("incident-open").click();
    await page.getByTestId("incident-dialog").getByText("高风险").waitFor();
    await axe(page, "outage", "[data-testid=incident-dialog]");
    await shot(page, "outage");
    await page.keyboard.press("Escape");
  });
}

async function reconnect(page) {
  await step("a lost connection is shown, and no row is lost over it", async () => {
    await steer("drop?refuse=1");
    await page.getByTestId("connection").getByText("连接中断").waitFor();
    for (const elder of [41, 42, 43]) world.state.raise("fall", elder);
    await page.waitForTimeout(1_200);
    await shot(page, "desk-lost");
    await axe(page, "connection lost");
    await steer("accept_connections");
    await page.getByTestId("connection").getByText("已连接").waitFor({ timeout: 20_000 });
    const want = world.state.list("open", 0).alarms.length;
    await page.waitForFunction((n) => document.querySelectorAll("[data-testid=alarm-row]").length === n, want);
  });
  await step("a reset refetches the list", async () => {
    world.state.keep = -1;
    for (const socket of world.sockets) socket.destroy();
    await page.waitForTimeout(200);
    world.state.raise("fall", 44);
    await page.waitForTimeout(1_500);
    world.state.keep = 5_000;
    const want = world.state.list("open", 0).alarms.length;
    await page.waitForFunction((n) => document.querySelectorAll("[data-testid=alarm-row]").length === n, want);
  });
}

async function clockSkew(page) {
  await step("a clock difference over 5 s shows a banner", async () => {
    world.skew_ms = 12_000;
    await page.reload();
    await page.getByTestId("skew").getByText("12 秒").waitFor();
    await axe(page, "skew");
    world.skew_ms = 0;
    await page.reload();
    await row(page, "fall").waitFor();
  });
}

async function flood(page) {
  await step("over 200 open alarms with 50 updates/s: the frame rate, and every alarm listed once", async () => {
    await steer("flood?n=220");
    await page.waitForFunction(() => document.querySelectorAll("[data-testid=alarm-row]").length > 220);
    await shot(page, "desk-flood");
    await steer("churn?n=150&rate=50");
    const frames = await page.evaluate(() => new Promise((done) => {
      const times = [];
      const end = performance.now() + 3_000;
      const turn = (now) => { times.push(now); now < end ? requestAnimationFrame(turn) : done(times); };
      requestAnimationFrame(turn);
    }));
    const gaps = frames.slice(1).map((at, i) => at - frames[i]).sort((a, b) => a - b);
    console.log(`     frames in 3 s: ${frames.length}, p50 ${gaps[Math.floor(gaps.length / 2)].toFixed(1)} ms, p95 ${gaps[Math.floor(gaps.length * 0.95)].toFixed(1)} ms, max ${gaps.at(-1).toFixed(1)} ms`);
    const shown = await page.evaluate(() => Array.from(document.querySelectorAll("[data-testid=alarm-row]"), (one) => one.dataset.alarm));
    check(new Set(shown).size === world.state.list("open", 0).alarms.length, "every open alarm must be listed once");
  });
  await step("filters", async () => {
    await page.getByTestId("filter-P1").click();
    check((await page.locator("[data-testid=alarm-row]:not([data-priority=P1])").count()) === 0, "only P1 may be left");
    await page.getByTestId("filter-P1").click();
    await page.getByTestId("filter-T").click();
    await page.getByTestId("filter-text").fill("没有这个人");
    await page.getByText("没有符合筛选条件的告警").waitFor();
    const waiting = world.state.list("open", 0).alarms.filter((one) => one.priority === "P1" && one.handling === "open").length;
    check(waiting > 0, "the story needs an unclaimed P1");
    check((await page.getByTestId("outside").count()) === waiting, "every unclaimed P1 stands there, marked as outside the filter");
    world.state.raise("crisis", 51);
    await page.waitForFunction((n) => document.querySelectorAll("[data-testid=outside]").length === n, waiting + 1);
    await axe(page, "empty filter with P1s outside of it", ".desk");
    await shot(page, "desk-outside");
    for (const one of world.state.alarms.values()) if (one.priority === "P1" && one.handling === "open") { one.handling = "engaged"; world.state.change(one, "accepted", "李医生"); }
    await page.locator("[data-testid=alarm-row]").first().waitFor({ state: "detached" });
    await axe(page, "empty filter", ".desk");
    await page.getByText("清除筛选").click();
    await page.getByTestId("state-all").click();
    await page.locator("[data-testid=alarm-row][data-handling=resolved]").first().waitFor();
  });
}

async function elders() {
  const page = await open(browser, base);
  await step("a dispatcher sees one day of trends, not months", async () => {
    await signIn(page, "zuoxi", "zuoxi-pw");
    await page.goto("/elders/7");
    await page.getByTestId("range-day").waitFor();
    check((await page.getByTestId("range-month").count()) === 0, "30 days are for care teams");
    await page.getByTestId("p1-bar").getByText("紧急告警未接单").waitFor();
    await axe(page, "elder, with the P1 bar");
    await page.getByTestId("logout").click();
    await page.getByTestId("login-form").waitFor();
  });
  await step("elders, search, one elder with trends, table and gaps", async () => {
    await signIn(page, "doctor", "doctor-pw");
    await page.getByRole("link", { name: "老人" }).first().click();
    await page.getByTestId("elders").waitFor();
    check((await page.getByTestId("elders-cut").count()) === 0, "sixty elders are all");
    await axe(page, "elders");
    await shot(page, "elders");
    world.state.crowd = 250;
    // Asked again by itself, without a word in the search.
    await page.getByTestId("elders-cut").getByText("只列出前 200 位").waitFor({ timeout: 45_000 });
    world.state.crowd = 0;
    await steer("drop?refuse=1");
    await page.getByTestId("elders-stale").getByText("显示的是").waitFor({ timeout: 45_000 });
    await steer("accept_connections");
    await page.getByTestId("elders-search").fill("13800001006");
    await page.waitForFunction(() => document.querySelectorAll("[data-testid=elders] tbody tr").length === 1);
    await page.locator("[data-testid=elders] a").first().click();
    await page.getByTestId("pane-systolic-diastolic").locator("canvas").waitFor();
    check(await page.getByTestId("latest").getByText("探头脱落").isVisible(), "an absent value must be a word");
    // What comes below may bring a scroll bar, and then the charts are drawn anew.
    await page.getByTestId("weeks").waitFor();
    const plot = await page.getByTestId("pane-heart_rate").locator("canvas").boundingBox();
    await page.mouse.move(plot.x + 46 + (plot.width - 46) * 0.58, plot.y + 60);
    await page.getByTestId("pane-heart_rate").getByText("缺口:探头脱落").waitFor();
    await page.getByTestId("ecg-paper").locator("canvas").waitFor();
    await axe(page, "elder");
    await shot(page, "elder");
    await ecg(page);
    await page.getByTestId("home-pressure").getByText("达到或超过家庭血压界值").waitFor();
    await page.getByTestId("baseline").getByText("明显不同").waitFor();
    await page.getByTestId("day-night").getByText("数据不足:夜间读数不足").waitFor();
    await page.getByTestId("hours").getByRole("button").click();
    await page.getByTestId("hours").locator("tbody tr").nth(23).waitFor();
    await axe(page, "profile", "[data-testid=profile]");
    await page.getByTestId("profile").scrollIntoViewIfNeeded();
    await shot(page, "profile");
    // Without saved rules there are no limits to draw.
    await page.getByTestId("profile-metric").selectOption("heart_rate");
    await page.getByTestId("hours").locator("path.median").waitFor({ state: "attached" });
    await page.getByTestId("profile-metric").selectOption("glucose");
    await page.getByTestId("glucose").getByText("目标:老年或高危").waitFor();
    await axe(page, "glucose", "[data-testid=glucose]");
    await page.getByTestId("range-year").click();
    await page.getByTestId("range-month").click();
    await page.getByTestId("pane-heart_rate").locator("canvas").waitFor();
    await shot(page, "elder-30d");
    await page.getByTestId("as-table").click();
    await page.getByTestId("pane-heart_rate").getByText("缺口:探头脱落").waitFor();
    await axe(page, "elder table", "[data-testid=pane-systolic-diastolic]");
    await steer("drop?refuse=1");
    await page.getByTestId("elder-stale").getByText("显示的是").waitFor();
    await axe(page, "elder, the server is gone", "header, [data-testid=elder-stale]");
    await shot(page, "elder-stale");
    await steer("accept_connections");
    await page.getByTestId("elder-stale").waitFor({ state: "detached" });
    await page.goto("/elders/11");
    await page.getByText("这段时间没有数据").waitFor();
    await page.getByText("这段时间没有心电图").waitFor();
    await axe(page, "elder without data");
    await page.goto("/trends");
    await page.getByTestId("team-rows").locator("tbody tr").nth(59).waitFor();
    await page.getByTestId("team-sort").selectOption("change");
    await page.getByTestId("team-shown").getByText("60 / 60").waitFor();
    await page.getByText("从未测量").first().waitFor();
    await axe(page, "team trends");
    await shot(page, "team-trends");
    await page.goto("/nowhere");
    await page.getByText("没有这个页面").waitFor();
    await axe(page, "not found");
  });
  troubles.push(...page.troubles);
  await page.context().close();
}

async function doctor() {
  const page = await open(browser, base, { width: 390, height: 844 }, { isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
  await step("phone: list, page, decline asks a reason, accept", async () => {
    await signIn(page, "doctor", "doctor-pw");
    await page.getByTestId("page-row").first().waitFor();
    check(page.url().endsWith("/phone"), "a doctor lands on the phone list");
    await axe(page, "phone list");
    await shot(page, "phone-list");
    await page.getByTestId("page-row").first().tap();
    await page.getByTestId("page-decline").tap();
    await page.getByTestId("decline-go").tap();
    await page.getByText("请选择或填写原因").waitFor();
    await axe(page, "decline");
    await shot(page, "phone-decline");
    await page.getByText("不在辖区").tap();
    await page.getByTestId("decline-go").tap();
    await page.getByTestId("page-result").getByText("无法接手").waitFor();
    await page.getByTestId("page-back").tap();
    await page.getByTestId("page-row").first().tap();
    await page.getByTestId("page-accept").waitFor();
    await axe(page, "phone page");
    await shot(page, "phone-page");
    await page.getByTestId("page-accept").tap();
    await page.getByTestId("page-result").getByText("您已接手").waitFor();
    await shot(page, "phone-accepted");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    check(wide <= 390, `the phone page is ${wide} px wide`);
  });
  await step("doctor edits thresholds; the server's refusal is shown", async () => {
    await page.goto("/elders/7");
    await page.getByTestId("edit-rules").tap();
    await page.getByTestId("limit-systolic_high-P1").fill("900");
    await page.getByTestId("rules-save").tap();
    await page.getByTestId("rules-error").getByText("请写明修改理由").waitFor();
    await page.getByTestId("rules-reason").fill("随访后放宽");
    await page.getByTestId("rules-save").tap();
    await page.getByTestId("rules-error").getByText("界限超出合理范围").waitFor();
    await axe(page, "rules form");
    await page.getByTestId("limit-systolic_high-P1").fill("190");
    await page.getByTestId("rules-try").tap();
    await page.getByTestId("rules-preview").getByText("现行规则 5 条,改后 3 条").waitFor();
    await page.getByTestId("rules-preview").getByText("曾被确认属实").waitFor();
    await axe(page, "rules preview", "[data-testid=rules-preview]");
    await shot(page, "phone-rules-preview");
    await page.getByTestId("rules-save").tap();
    await page.getByTestId("rules").getByText("个人规则").waitFor();
    await page.getByTestId("quiet").getByText("探亲").waitFor();
    await page.getByTestId("quiet-end").tap();
    await page.getByTestId("quiet").getByText("已结束").waitFor();
    await axe(page, "quiet", "[data-testid=quiet]");
    await shot(page, "phone-elder");
  });
  troubles.push(...page.troubles);
  await page.context().close();
}

async function admin() {
  const page = await open(browser, base);
  await step("administrator: health, unbound devices, quarantine with replay; English", async () => {
    await signIn(page, "admin", "admin-pw");
    await page.getByRole("link", { name: "管理" }).click();
    await page.getByTestId("ask-again").first().click();
    await page.getByText("已再次请求").first().waitFor();
    await page.getByTestId("gateways").getByText("已拒绝:it did not connect within 120 s").waitFor();
    await page.getByTestId("replay").first().click();
    await page.getByTestId("quarantine").getByText("已重放").first().waitFor();
    await page.getByTestId("channels").getByText("腾讯云短信").waitFor();
    await page.getByTestId("policies").getByText("阿里云电话未配置").waitFor();
    await page.getByTestId("channel-test-webhook").click();
    await page.getByText("测试已发出").first().waitFor();
    await axe(page, "admin");
    await shot(page, "admin");
    await page.getByRole("link", { name: "排班" }).click();
    await page.getByTestId("rota-holes").getByText("值班人请假").waitFor();
    await page.getByText("缺少 2027 年的节假日数据").waitFor();
    await axe(page, "rota");
    await shot(page, "rota");
    await page.getByRole("link", { name: "统计" }).click();
    await page.getByTestId("numbers-answer").getByText("未达标").first().waitFor();
    await page.getByTestId("numbers-days").selectOption("30");
    await page.getByTestId("numbers-noise").waitFor();
    await axe(page, "numbers");
    await shot(page, "numbers");
    await page.getByTestId("to-population").click();
    await page.getByTestId("population-running").getByText("正在计算").waitFor();
    await page.getByTestId("population-rows").getByText("人数太少,不显示").waitFor();
    await axe(page, "population");
    await shot(page, "population");
    await page.getByRole("link", { name: "管理" }).click();
    await page.getByTestId("language").click();
    await page.getByRole("heading", { name: "Administration" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Administration" }).waitFor();
    await page.getByRole("link", { name: "Alarms" }).click();
    await page.getByTestId("alarm-row").first().waitFor();
    await axe(page, "desk in English");
    await shot(page, "desk-en");
  });
  await storing(page);
  troubles.push(...page.troubles);
  await page.context().close();
}

/** The writer of readings in each of its states, in English as the administrator left it. */
async function storing(page) {
  await step("storing readings: empty, away, draining with its bar, live, and an error with a way to try again", async () => {
    const as = async (state, text) => {
      await steer(`writer?as=${state}`);
      await page.goto("/admin");
      await page.getByTestId("writer").getByText(text).first().waitFor();
      await axe(page, `writer ${state}`, "[data-testid=writer]");
      await page.getByTestId("writer").scrollIntoViewIfNeeded();
      await shot(page, `writer-${state}`);
    };
    await as("empty", "No readings yet");
    await as("failing", "Not reachable, since");
    check((await page.getByTestId("writer-progress").count()) === 0, "nothing drains while the store is away");
    await as("draining", "62 % stored, 900,000 entries left · about 7 min to go");
    const bar = await page.getByTestId("writer-progress").locator("progress").evaluate((one) => [one.value, one.getBoundingClientRect().width]);
    check(bar[0] > 62 && bar[0] < 63 && bar[1] > 200, `the bar must show 62.5: ${bar}`);
    await page.getByTestId("writer-figures").getByText("3.5 bytes").waitFor();
    await page.getByTestId("writer-store").getByText("TimescaleDB").waitFor();
    await page.getByTestId("writer-cursors").getByText("900,014").waitFor();
    await as("refused", "Internal error");
    await steer("writer?as=embedded");
    await page.getByTestId("writer").getByRole("button").click();
    await page.getByTestId("writer-state").getByText("Live").waitFor();
    await page.getByTestId("writer-store").getByText("Embedded").waitFor();
    await page.getByTestId("language").click();
    await page.getByTestId("writer").getByText("全部已入库").waitFor();
    await axe(page, "writer", "[data-testid=writer]");
    await shot(page, "writer-live");
  });
}

try {
  const page = await open(browser, base);
  const second = await open(browser, base);
  await login(page);
  await keyboard(page);
  await steady(page);
  await shot(page, "desk");
  await otherSeat(page, second);
  await handOver(page, second);
  await reconnect(page);
  await clockSkew(page);
  await doctor();
  const phone = await open(browser, base, { width: 390, height: 844 }, { isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
  await responder(phone, tools);
  troubles.push(...phone.troubles);
  await phone.context().close();
  troubles.push(...second.troubles);
  await second.context().close();
  await elders();
  await admin();
  await flood(page);
  await storm(page, tools);
  await signedOut(page, tools);
  troubles.push(...page.troubles);
  check(troubles.length === 0, `script errors or CSP violations: ${troubles.join("\n")}`);
  console.log("all good");
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
