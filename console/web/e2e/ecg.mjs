// An imported ECG on the elder's page of the real server: the strip is drawn, pages turn by keyboard, the print is the sheet.
//
//   BASE=http://127.0.0.1:8080 LOGIN=.. PW=.. ELDER=1 VIGIL_SHOTS=dir node e2e/ecg.mjs
import { check, launch, open, shot, signIn, step } from "./browser.mjs";

const { BASE, LOGIN, PW, ELDER } = process.env;
if (!BASE || !LOGIN || !PW || !ELDER) {
  console.error("set BASE, LOGIN, PW and ELDER (see the head of e2e/ecg.mjs)");
  process.exit(2);
}
/** Dark pixels of the sheet: ink, where the grid is light red. */
const ink = (page) => page.getByTestId("ecg-paper").locator("canvas").evaluate((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let dark = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] < 80 && data[i + 1] < 80) dark++;
  return dark;
});

const browser = await launch();
try {
  const page = await open(browser, BASE);
  await step("the strip is drawn on the elder's page", async () => {
    await signIn(page, LOGIN, PW);
    await page.goto(`/elders/${ELDER}`);
    await page.getByTestId("ecg-paper").locator("canvas").waitFor();
    await page.getByTestId("ecg-sheet").scrollIntoViewIfNeeded();
    const dark = await ink(page);
    check(dark > 2_000, `an empty sheet: ${dark} dark pixels`);
    await shot(page, "ecg");
  });
  await step("pages turn by keyboard", async () => {
    const first = await page.getByTestId("ecg-time").innerText();
    await page.getByTestId("ecg-sheet").focus();
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction((was) => document.querySelector("[data-testid=ecg-time]").innerText < was, first);
    check((await ink(page)) > 2_000, "the page before must be drawn too");
  });
  check(page.troubles.length === 0, page.troubles.join("\n"));
} finally {
  await browser.close();
}
