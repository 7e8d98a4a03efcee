// @ts-check
// Messages in the viewer's language, with their values. Where the language lacks one, it is said in English.

import { LANGUAGES, language } from "./language.js";

/** @import { Message } from "./types.js" */

/** @typedef {Record<string, string | number>} Values */

/**
 * What says the messages of an English table in the viewer's language.
 * @template {Record<string, Message>} T
 * @param {T} english
 */
export function speaker(english) {
  return (/** @type {keyof T & string} */ key, /** @type {Values} */ values = {}) =>
    fill(language.translation?.MESSAGES[key] ?? english[key], values);
}

/**
 * A reason that came in English (from the peer, the tracker, or a script that other sites use too), in the viewer's language
 * where it is known there. The translation lists them by their English words.
 * @param {string} text
 * @returns {string}
 */
export function reason(text) {
  const reasons = language.translation?.REASONS;
  if (!reasons) return text;
  const exact = reasons[text];
  if (exact !== undefined) return exact;
  for (const [english, translated] of Object.entries(reasons)) {
    const values = match(english, text);
    // What is inside may be a reason itself.
    if (values) return fill(translated, Object.fromEntries(Object.entries(values).map(([name, value]) => [name, reason(value)])));
  }
  return text;
}

/**
 * The values in a text that an English message was filled with.
 * @param {string} message
 * @param {string} text
 * @returns {Record<string, string> | undefined}
 */
function match(message, text) {
  if (!message.includes("{")) return undefined;
  const parts = message.split(/\{(\w+)\}/);
  // Every second part is the name of a value.
  const pattern = parts.map((part, index) => (index % 2 === 0 ? part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : `(?<${part}>.+)`));
  return new RegExp(`^${pattern.join("")}$`, "s").exec(text)?.groups;
}

/**
 * @param {Message} message
 * @param {Values} values
 */
function fill(message, values) {
  const text = typeof message === "string" ? message : form(message, Number(values.count));
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name] ?? "";
    return typeof value === "number" ? new Intl.NumberFormat(language.locale).format(value) : value;
  });
}

/**
 * @param {Exclude<Message, string>} forms
 * @param {number} count
 */
function form(forms, count) {
  return forms[new Intl.PluralRules(language.locale).select(count)] ?? forms.other;
}

/**
 * Puts the viewer's language into what the page says by itself, which is English: `data-say` names the message of a text,
 * `data-say-NAME` of an attribute.
 */
export function translatePage() {
  const { translation, tag } = language;
  if (!translation) return;
  Object.assign(document.documentElement, { lang: tag, dir: LANGUAGES[tag]?.dir ?? "ltr" });
  for (const element of document.querySelectorAll("[data-say], [data-say-aria-label], [data-say-placeholder], [data-say-content]")) {
    for (const { name, value } of [...element.attributes]) {
      const message = translation.MESSAGES[value];
      if (!name.startsWith("data-say") || typeof message !== "string") continue;
      if (name === "data-say") element.textContent = message;
      else element.setAttribute(name.slice("data-say-".length), message);
    }
  }
}
