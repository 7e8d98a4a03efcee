// @ts-check
// The language of the page: which one, and its words. English is in the scripts; another one is a file, which is asked for as
// soon as this script runs. It is there several times (in vendor/start.js, vendor/main.js and app/): each picks the same, and the
// browser loads the file once.

/** @import { Translation } from "./types.js" */

/** The languages that the page speaks, by their own names, and where their words are. English needs no file.
 * @type {Record<string, {name: string, dir: "ltr" | "rtl", load?: () => Promise<Translation>}>} */
export const LANGUAGES = {
  en: { name: "English", dir: "ltr" },
  de: { name: "Deutsch", dir: "ltr", load: () => import("../messages/de.js") },
};

/** The name under which the viewer's choice is remembered. */
export const CHOICE = "lang";

/** A language that is not here after this long is not waited for: what is loaded after the first frame then speaks English. */
const PATIENCE_MS = 10_000;

const picked = pick();

/** What is spoken: English until another language is here. */
export const language = {
  tag: "en",
  /** For numbers and dates, with the viewer's region. */
  locale: regional("en"),
  /** @type {Translation | undefined} */
  translation: undefined,
  /** Whether it stays like this. */
  isSettled: LANGUAGES[picked]?.load === undefined,
};

/** Resolves once the words are here, or will not be. @type {Promise<void>} */
export const settled = settle();

/** The same, but no later than a viewer waits. @type {Promise<void>} */
export const settledSoon = language.isSettled ? settled : Promise.race([settled, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);

async function settle() {
  const load = LANGUAGES[picked]?.load;
  if (!load) return;
  const translation = await load().catch(() => undefined);
  if (translation) Object.assign(language, { tag: picked, locale: regional(picked), translation });
  language.isSettled = true;
}

/**
 * The language of the address (`?lang=de`, or `&lang=de` behind the #), else the viewer's choice, else the first of the
 * browser's languages that the page speaks.
 */
function pick() {
  const behind = new URLSearchParams(location.hash.split("&").slice(1).join("&"));
  const wishes = [new URLSearchParams(location.search).get("lang"), behind.get("lang"), chosen(), ...navigator.languages];
  return wishes.map((tag) => base(tag ?? "")).find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? "en";
}

/** @param {string} tag */
function base(tag) {
  return tag.toLowerCase().split("-")[0] ?? "";
}

/**
 * The tag as the browser has it, with a region: numbers are written otherwise in Switzerland.
 * @param {string} tag
 */
function regional(tag) {
  return navigator.languages.find((own) => base(own) === tag) ?? tag;
}

function chosen() {
  try {
    return localStorage.getItem(CHOICE);
  } catch {
    return null; // storage is switched off
  }
}
