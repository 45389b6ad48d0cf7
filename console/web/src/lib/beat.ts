/** The flashing of unclaimed alarms: P1 at 2 Hz, P2 at 0.5 Hz (both below WCAG's three a second). One timer for the whole page:
 *  hundreds of CSS animations would cost a style pass in every frame. */

/** Half a period of the fast flash, milliseconds. */
const HALF_MS = 250;
/** Fast halves in one slow half. */
const SLOW = 4;

export function startBeat(root: HTMLElement = document.documentElement): void {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let turn = 0;
  setInterval(() => {
    if (document.hidden) return;
    turn = (turn + 1) % (2 * SLOW);
    root.toggleAttribute("data-fast", !still.matches && turn % 2 === 1);
    root.toggleAttribute("data-slow", !still.matches && turn >= SLOW);
  }, HALF_MS);
}
