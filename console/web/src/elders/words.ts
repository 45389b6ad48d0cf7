/** Empty stretches of a trend in the words of the screen. */
import { i18n, word } from "../i18n/i18n.svelte";
import type { Gap } from "./trend";

export const edgeWords = (): { before: string; since: string } => ({ before: i18n.t.no_data_before, since: i18n.t.no_data_since });

export function gapText(gap: Gap): string {
  if (gap.edge) return edgeWords()[gap.edge];
  const { causes } = i18n.t.trend;
  return i18n.t.gap_why(gap.why ? (causes[gap.why] ?? word(i18n.t.qualities, gap.why)) : i18n.t.no_data);
}
