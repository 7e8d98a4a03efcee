// @ts-check
// What a person can take away: a link to this moment, and the report.

import { element } from "./dom.js";
import { button } from "./make.js";
import { say } from "./words.js";

/** How long a button says that it did its work. */
const DONE_MS = 2000;

/**
 * The link of this content from that second. A permission in the link is the person's own and is left out.
 * @param {string} swarm
 * @param {number} seconds
 */
export function linkAt(swarm, seconds) {
  const { origin, pathname } = location;
  const whole = Math.floor(seconds);
  return `${origin}${pathname}#${swarm}${whole > 0 ? `&t=${whole}` : ""}`;
}

/**
 * A button that copies a text, or shows it where the browser does not let a page copy.
 * @param {string} words
 * @param {() => Promise<{text: string, done: string}>} make
 */
export function copyButton(words, make) {
  const made = button(words, async () => {
    const { text, done } = await make();
    try {
      await navigator.clipboard.writeText(text);
      made.textContent = done;
      setTimeout(() => { made.textContent = words; }, DONE_MS);
    } catch {
      show(text);
    }
  });
  made.setAttribute("aria-live", "polite");
  return made;
}

/** @param {string} text */
function show(text) {
  const area = element("textarea");
  area.readOnly = true;
  area.value = text;
  area.rows = 8;
  const label = element("label", {}, element("span", { text: say("copy_failed") }), area);
  const dialog = element("dialog", { className: "copy-dialog" }, label);
  dialog.setAttribute("aria-label", say("copy_failed"));
  dialog.append(element("div", { className: "dialog-foot" }, button(say("close"), () => dialog.close())));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  area.select();
}
