/** How figures are written: shares, loads, and whether a target is met. Pure, tested. */

/** "97.5 %"; a dash when there is nothing to take a share of. */
export const share = (value: number | null): string => (value === null ? "–" : `${(Math.round(value * 1000) / 10).toFixed(1)} %`);

/** Whether a share reaches its target; null when there is none. Not rounded: 97.49 % is not 97.5 %. */
export const meets = (value: number | null, target: number): boolean | null => (value === null ? null : value >= target);

/** Alarms that people at seats had in an hour, for one seat. Technical ones have a queue of their own. */
export function perSeat(hour: { seats: number; P1: number; P2: number; P3: number }): number | null {
  return hour.seats > 0 ? (hour.P1 + hour.P2 + hour.P3) / hour.seats : null;
}
