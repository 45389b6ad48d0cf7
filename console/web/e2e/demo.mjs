// The first-minute story against the real server (`make demo`): the dispatcher's list shows a fall, a hypertensive crisis and a
// desaturation with names and P1; the doctor's phone shows a page; accepting it shows in the list; claim and resolve work.
//
//   BASE=http://127.0.0.1:8080 DISPATCHER=.. DISPATCHER_PW=.. DOCTOR=.. DOCTOR_PW=.. VIGIL_SHOTS=dir node e2e/demo.mjs
//
// DOCTOR and DOCTOR_PW may hold several logins, comma-separated: an elder's page goes to the doctor of the elder's team.
import { check, launch, open, shot, signIn, step } from "./browser.mjs";

const need = (name) => {
  const value = process.env[name];
  if (!value) {
    console.error(`set ${name} (see the head of e2e/demo.mjs)`);
    process.exit(2);
  }
  return value;
};
const base = process.env.BASE ?? "http://127.0.0.1:8080";
const [dispatcher, dispatcherPw, doctors, doctorPws] = ["DISPATCHER", "DISPATCHER_PW", "DOCTOR", "DOCTOR_PW"].map(need);
/** The promise: one minute from the sign-in. */
const MINUTE_MS = 60_000;
const PAGE_MS = 60_000;
const WANTED = [["fall", "跌倒"], ["systolic", "收缩压"], ["spo2", "血氧"]];

const rows = (page, kind) => page.locator(`[data-testid=alarm-row][data-kind=${kind}][data-priority=P1]`);

async function listShows(page) {
  const until = Date.now() + MINUTE_MS;
  for (const [kind, word] of WANTED) {
    await step(`within a minute: P1 ${word}, with a name`, async () => {
      const row = rows(page, kind).first();
      await row.waitFor({ timeout: Math.max(1_000, until - Date.now()) }).catch(async () => {
        const seen = await page.locator("[data-testid=alarm-row]").evaluateAll((all) => all.map((one) => `${one.dataset.priority} ${one.dataset.kind} ${one.dataset.rule}`));
        throw new Error(`no P1 row of ${kind} within ${MINUTE_MS / 1000} s; the list has: ${seen.join("; ") || "nothing"}`);
      });
      const text = await row.innerText();
      check(text.includes(word), `the row of ${kind} does not say ${word}: ${text}`);
      check(text.includes("紧急"), `the row of ${kind} does not say 紧急: ${text}`);
      const name = await row.getByTestId("elder-name").innerText();
      check(/^[\u4e00-\u9fff]\*|^[\u4e00-\u9fff].*\*.*/u.test(name), `the row of ${kind} has no masked name but “${name}”`);
    });
  }
  await shot(page, "demo-desk");
}

/** The first doctor with an open page whose alarm nobody resolved. */
async function findPage(browser) {
  const [logins, passwords] = [doctors.split(","), doctorPws.split(",")];
  const phones = [];
  for (const [i, login] of logins.entries()) {
    const phone = await open(browser, base, { width: 390, height: 844 }, { isMobile: true, hasTouch: true, deviceScaleFactor: 2 });
    await signIn(phone, login, passwords[i] ?? passwords[0]);
    check(phone.url().endsWith("/phone"), `the doctor ${login} must land on /phone, not ${phone.url()}`);
    phones.push(phone);
  }
  const until = Date.now() + PAGE_MS;
  while (Date.now() < until) {
    for (const phone of phones) if ((await phone.getByTestId("page-row").count()) > 0) return phone;
    await phones[0].waitForTimeout(500);
  }
  throw new Error(`no doctor of ${doctors} was paged within ${PAGE_MS / 1000} s`);
}

async function accept(browser, page) {
  const phone = await step("the phone shows a page", () => findPage(browser));
  await shot(phone, "demo-phone-list");
  const alarm = await phone.getByTestId("page-row").first().getAttribute("data-alarm");
  await step("the doctor accepts it", async () => {
    await phone.getByTestId("page-row").first().tap();
    await phone.getByTestId("elder-card").locator("a[href^='tel:']").waitFor();
    await shot(phone, "demo-phone-page");
    await phone.getByTestId("page-accept").tap();
    await phone.getByTestId("page-result").getByText("您已接手").waitFor();
    await shot(phone, "demo-phone-accepted");
  });
  await step("the dispatcher's list shows who accepted", async () => {
    await page.locator(`#row-${alarm}`).getByTestId("page-state").getByText("已接手").waitFor();
    await shot(page, "demo-desk-accepted");
  });
  return phone;
}

async function handle(page) {
  await step("the dispatcher claims an alarm and resolves it with an outcome", async () => {
    const row = page.locator("[data-testid=alarm-row][data-handling=open]").first();
    await row.waitFor({ timeout: MINUTE_MS });
    const id = await row.getAttribute("data-alarm");
    await page.locator(`#row-${id}`).getByTestId("claim").click();
    await page.locator(`#row-${id}[data-handling=claimed], #row-${id}[data-handling=engaged]`).waitFor();
    await page.locator(`#row-${id}`).getByTestId("open").click();
    await page.getByTestId("timeline").getByText("接单").first().waitFor();
    await shot(page, "demo-drawer");
    await page.getByTestId("drawer-resolve").click();
    await page.getByTestId("outcome-true_handled").check();
    await page.getByTestId("resolve-note").fill("已电话联系,家属到场");
    await shot(page, "demo-resolve");
    await page.getByTestId("resolve-go").click();
    await page.getByTestId("resolve-dialog").waitFor({ state: "detached" });
    await page.getByTestId("timeline").getByText("处置完成").first().waitFor();
  });
}

async function trend(phone) {
  await step("the elder's page shows latest values and a trend", async () => {
    await phone.setViewportSize({ width: 1440, height: 1000 });
    await phone.goto("/elders");
    // Somebody with an alarm has data.
    await phone.locator("[data-testid=elders] tbody tr").first().waitFor();
    const alarmed = phone.locator("[data-testid=elders] tbody tr", { hasText: "未结告警" }).first();
    await ((await alarmed.count()) > 0 ? alarmed : phone.locator("[data-testid=elders] tbody tr").first()).locator("a").click();
    await phone.getByTestId("trends").locator("canvas").first().waitFor();
    await shot(phone, "demo-elder");
    await phone.getByTestId("range-month").click();
    await phone.getByTestId("trends").locator("canvas").first().waitFor();
    await shot(phone, "demo-elder-30d");
  });
}

const browser = await launch();
try {
  const page = await open(browser, base);
  await step("the dispatcher signs in", () => signIn(page, dispatcher, dispatcherPw));
  await page.getByTestId("duty").click();
  await listShows(page);
  const phone = await accept(browser, page);
  await handle(page);
  await trend(phone);
  check(page.troubles.length + phone.troubles.length === 0, `script errors or CSP violations: ${[...page.troubles, ...phone.troubles].join("\n")}`);
  console.log("the demo does what it promises");
} catch (error) {
  console.error(`demo story failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
