// Stories of one seat each, played by mock.mjs: a responder's phone, a storm over the desk, a list that is cut, a sign-out in mid-shift.
import { check, shot, signIn, step } from "./browser.mjs";

/** Who only goes there: a P1 of a limit, of which a responder hears nothing but that it is about health. */
export async function responder(page, { world, axe }) {
  await step("responder: a P1 of a limit is accepted and arrived at; nothing clinical, nothing the server would refuse", async () => {
    const alarm = world.state.raise("crisis", 31, { page: false });
    world.state.page(alarm, "陈网格员");
    const refusals = [];
    page.on("response", (answer) => answer.status() === 403 && refusals.push(answer.url()));
    await signIn(page, "wangge", "wangge-pw");
    await page.getByTestId("page-row").first().waitFor();
    await axe(page, "responder's list");
    await page.getByTestId("page-row").first().tap();
    await page.getByTestId("page-accept").waitFor();
    await axe(page, "responder's page");
    await page.getByTestId("page-accept").tap();
    await page.getByTestId("page-result").getByText("您已接手").waitFor();
    await shot(page, "phone-responder");
    check((await page.getByTestId("page-resolve").count()) === 0, "a responder resolves nothing");
    check((await page.getByTestId("latest").count()) === 0, "a responder sees no values, and is not told that there are none");
    check((await page.locator("a[href^='/elders']").count()) === 0, "no link to a page that is refused");
    check(!(await page.locator("main").innerText()).includes("收缩压"), "what was measured is the clinic's business");
    await page.getByTestId("page-arrived").tap();
    await page.getByTestId("page-result").getByText("已到达").waitFor();
    check((await page.getByTestId("page-arrived").count()) === 0, "to arrive once is enough");
    Object.assign(alarm, { handling: "resolved", outcome: "true_handled" });
    world.state.change(alarm, "resolved", "王座席");
    await page.getByTestId("page-result").getByText("已处置").waitFor();
    check(alarm.arrived_at, "the server must have heard of it");
    await axe(page, "responder has arrived");
    check(refusals.length === 0, `the page asked for what it may not have: ${refusals.join(", ")}`);
  });
}

/** More than the seats can look at, and more than one list has. */
export async function storm(page, { world, axe, steer }) {
  await step("a storm: rows of one cause share one that opens by click and keyboard; a P1 stands by itself", async () => {
    await steer("flood?n=40");
    await steer("storm?alarms=40");
    await page.getByTestId("storm").getByText("告警风暴").waitFor();
    await page.mouse.move(5, 5);
    const group = page.locator("[data-testid=group-row][data-priority=P3]").first();
    await group.waitFor();
    check((await page.locator("[data-testid=alarm-row][data-priority=P3][data-handling=open]").count()) === 0, "unclaimed P3 of one rule share a row");
    world.state.raise("fall", 52);
    await page.locator("[data-testid=alarm-row][data-kind=fall][data-handling=open]").first().waitFor();
    await axe(page, "storm");
    await shot(page, "desk-storm");
    await group.getByTestId("group-toggle").click();
    await page.locator("[data-testid=alarm-row][data-priority=P3]").nth(5).waitFor();
    await axe(page, "storm, a group open", ".body");
    await group.focus();
    await page.keyboard.press("Enter");
    await page.locator("[data-testid=alarm-row][data-priority=P3]").first().waitFor({ state: "detached" });
    await page.keyboard.press("o");
    await page.keyboard.press("j");
    check((await page.evaluate(() => document.activeElement?.getAttribute("data-priority"))) === "P3", "j goes on into the open group");
    await page.evaluate(() => document.activeElement?.blur());
    await page.mouse.move(5, 5);
    await steer("storm");
    await page.getByTestId("group-row").first().waitFor({ state: "detached" });
  });
  await step("more alarms than one list has: the server counts and searches, and what is missing is said", async () => {
    Object.assign(world.state, { list_max: 4, beyond: 4_000 });
    await page.reload();
    await page.getByTestId("missing").waitFor();
    check(Number(await page.getByTestId("count-P3").locator(".n").innerText()) > 4_000, "the counts are the server's");
    await page.getByTestId("filter-text").fill("fall-1");
    await page.locator("[data-testid=alarm-row][data-kind=device_removed]").first().waitFor();
    await page.getByTestId("filter-text").fill("没有这个人");
    await page.getByText("没有符合筛选条件的告警").waitFor();
    await page.getByTestId("filter-text").fill("");
    await page.getByTestId("missing").waitFor();
    Object.assign(world.state, { list_max: 1_000, beyond: 0 });
    await page.reload();
    await page.getByTestId("alarm-row").first().waitFor();
  });
}

/** Ends all sessions: nothing may follow it on this page. */
export async function signedOut(page, { world, axe, steer }) {
  await step("a seat that the server signs out is told so, and hears it until somebody knows", async () => {
    await page.getByTestId("duty").click();
    await page.getByTestId("sound-on").waitFor();
    await steer("expire");
    for (const socket of world.sockets) socket.destroy();
    await page.getByTestId("session-ended").getByText("登录已过期,告警台已停止").waitFor({ timeout: 30_000 });
    check(Number(await page.getByTestId("session-ended").getAttribute("data-bursts")) > 0, "it must be heard");
    await axe(page, "signed out");
    await shot(page, "signed-out");
    await page.getByTestId("session-ended-seen").click();
    await page.getByTestId("session-ended").waitFor({ state: "detached" });
    await page.getByTestId("login-form").waitFor();
  });
}
