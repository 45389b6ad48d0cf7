import { describe, expect, it } from "vitest";
import { en } from "./en";
import { zh } from "./zh";

const CJK = /[\u3400-\u9fff]/u;
const sample = [3, "x"] as const;

/** All texts of a language as `key -> text`, functions called with something. */
function texts(all: object, prefix = ""): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, value] of Object.entries(all)) {
    if (typeof value === "string") out.set(prefix + key, value);
    else if (typeof value === "function") out.set(prefix + key, String((value as (...args: unknown[]) => unknown)(key === "brief" ? {} : key === "rules_by" || /_of$|^call|^claimed|^accepted|^ago|^gap_why|^trend_pane|^table_of|^silent|^silence|^repeat_within|^new_p1|^updated|^limit/.test(key) ? sample[1] : sample[0], "y")));
    else for (const [k, v] of texts(value as object, `${prefix}${key}.`)) out.set(k, v);
  }
  return out;
}

describe("languages", () => {
  it("have the same keys, down to the words of the model", () => {
    expect([...texts(en).keys()].sort()).toEqual([...texts(zh).keys()].sort());
  });
  it("leave nothing empty", () => {
    for (const all of [texts(zh), texts(en)]) for (const [key, text] of all) expect(text.trim(), key).not.toBe("");
  });
  it("leave no Chinese in English, except the name of Chinese itself", () => {
    for (const [key, text] of texts(en)) if (key !== "other_language") expect(CJK.test(text), `${key}: ${text}`).toBe(false);
  });
  it("have one noun for a page, and none for a lane that a channel has (docs/glossary.md)", () => {
    expect([zh.nav_phone, zh.phone_title, zh.col_pages, zh.pages_title].every((text) => text.includes(zh.page_title))).toBe(true);
    for (const lane of [zh.lane, zh.writer.lane]) expect(lane).not.toBe(zh.rota.channel);
  });
  it("say every sentence in Chinese", () => {
    const latin = new Set(["other_language", "repeats", "rule_high", "rule_low", "repeats_label"]);
    for (const [key, text] of texts(zh)) if (!latin.has(key)) expect(CJK.test(text), `${key}: ${text}`).toBe(true);
  });
});
