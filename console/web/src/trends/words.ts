/** What a figure lacks, in the words of the screen. */
import { i18n } from "../i18n/i18n.svelte";

export const needsText = (needs: Record<string, number>): string =>
  Object.entries(needs).flatMap(([name, n]) => i18n.t.trend.needs[name]?.(n) ?? []).join(i18n.isZh ? "、" : ", ");

/** A number with its sign: `+1.2`, `−3`. */
export const signed = (value: number, decimals: number): string => {
  const shown = Math.abs(value).toFixed(decimals);
  const sign = Number(shown) === 0 ? "±" : value > 0 ? "+" : "−";
  return sign + shown;
};
