// Starts Debian's Chromium and carries what both stories need: waiting with a clear message, screenshots, sign-in.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const SHOTS = process.env.VIGIL_SHOTS ?? "";
if (SHOTS) mkdirSync(SHOTS, { recursive: true });

export const launch = () => chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio"],
});

/** A page whose script errors and CSP violations are collected: both are failures. */
export async function open(browser, base, size = { width: 1920, height: 1080 }, more = {}) {
  const context = await browser.newContext({ viewport: size, baseURL: base, locale: "zh-CN", timezoneId: "America/New_York", ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.troubles = [];
  page.on("pageerror", (error) => page.troubles.push(String(error)));
  page.on("console", (line) => /Content Security Policy|Refused to/i.test(line.text()) && page.troubles.push(line.text()));
  return page;
}

export async function signIn(page, login, password) {
  await page.goto("/login");
  await page.getByTestId("login-name").fill(login);
  await page.getByTestId("login-password").fill(password);
  await page.getByTestId("login-go").click();
  await page.getByTestId("logout").waitFor();
}

export async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** Runs one step under its name, so that a failure says which. */
export async function step(name, run) {
  const began = Date.now();
  try {
    const out = await run();
    console.log(`ok   ${name} (${Date.now() - began} ms)`);
    return out;
  } catch (error) {
    console.error(`FAIL ${name}: ${error.message}`);
    throw error;
  }
}

export function check(condition, message) {
  if (!condition) throw new Error(message);
}
