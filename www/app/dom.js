// @ts-check
// The few things the page does with its document. Text only ever enters as text.

import { language, settled } from "./language.js";

/** @typedef {string | (() => string)} Words a function where they may have to be said again once the viewer's language is here */

/** What was said before that. @type {Map<HTMLElement, () => string>} */
const early = new Map();

void settled.then(() => {
  for (const [target, words] of early) target.textContent = words();
  early.clear();
});

/**
 * The element of that id; the page is written so that it is there.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} [kind]
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!found || (kind && !(found instanceof kind))) throw new Error(`the page has no #${id}`);
  return /** @type {T} */ (found);
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {{className?: string, text?: string}} [options]
 * @param {...Node} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  if (options.className) made.className = options.className;
  if (options.text !== undefined) made.textContent = options.text;
  made.append(...children);
  return made;
}

/**
 * Writes only what changed, so that a screen reader is not told the same again.
 * @param {HTMLElement} target
 * @param {Words} words
 */
export function setText(target, words) {
  const text = typeof words === "string" ? words : words();
  early.delete(target);
  // From here on it says something else than what the page began with.
  delete target.dataset.say;
  if (typeof words !== "string" && !language.isSettled) early.set(target, words);
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Says something in words above the content, in place of what `topic` said before. Empty words take it away.
 * @param {string} topic
 * @param {Words} words
 * @param {boolean} [isFatal]
 */
export function notice(topic, words, isFatal = false) {
  const notices = byId("notices");
  // In the page and not in a variable: this script may be there twice, once of them in vendor/main.js.
  const shown = [...notices.children].find((line) => line instanceof HTMLElement && line.dataset.topic === topic);
  if (!words) return shown?.remove();
  const line = shown instanceof HTMLElement ? shown : element("p", { className: "notice" });
  line.classList.toggle("is-fatal", isFatal);
  setText(line, words);
  if (!shown) {
    line.dataset.topic = topic;
    notices.append(line);
  }
}
