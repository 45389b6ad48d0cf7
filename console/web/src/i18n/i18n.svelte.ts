/** The language of the screen. Every string lives in zh.ts and en.ts; a key missing in one is a type error. */
import type { Language } from "../lib/types";
import { en } from "./en";
import { zh, type Strings } from "./zh";

const STORE = "vigil.language";
const ALL: Record<Language, Strings> = { zh, en };

function stored(): Language | null {
  try {
    const word = localStorage.getItem(STORE);
    return word === "zh" || word === "en" ? word : null;
  } catch {
    return null;
  }
}

class I18n {
  private chosen = stored();
  language = $state<Language>(this.chosen ?? "zh");

  get t(): Strings {
    return ALL[this.language];
  }
  get isZh(): boolean {
    return this.language === "zh";
  }
  /** Picks one of two texts that the server sent. */
  pick(texts: { zh: string; en: string }): string {
    return this.isZh ? texts.zh : texts.en;
  }
  /** A person's choice: kept in this browser. */
  choose(language: Language): void {
    this.chosen = language;
    this.language = language;
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    try {
      localStorage.setItem(STORE, language);
    } catch {
      // Storage is off: the choice lasts until the page is closed.
    }
  }
  /** The account's language, unless the person chose one here. */
  prefer(language: Language): void {
    if (!this.chosen) this.language = language;
    document.documentElement.lang = this.isZh ? "zh-CN" : "en";
  }
}

export const i18n = new I18n();

/** A word of a table, or the slug itself when the server is newer than this page. */
export function word(table: Readonly<Record<string, string>>, slug: string | null | undefined): string {
  return slug ? (table[slug] ?? slug) : "";
}
