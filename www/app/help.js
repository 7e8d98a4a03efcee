// @ts-check
// The dialog that lists the keys, and turns them on and off.

import { element } from "./dom.js";
import { LIST, areUsed, use } from "./keys.js";
import { language } from "./language.js";
import { button } from "./make.js";
import { say } from "./words.js";

/** The list as a dialog over everything; made once. @returns {() => void} what opens it */
export function helpDialog() {
  const dialog = element("dialog", { className: "help-dialog" });
  const title = element("h2", { text: say("help") });
  title.id = "help-title";
  dialog.setAttribute("aria-labelledby", title.id);
  const check = element("input");
  check.type = "checkbox";
  check.onchange = () => use(check.checked);
  const either = new Intl.ListFormat(language.locale, { type: "disjunction" });
  const rows = LIST.map(([keys, what]) => {
    const parts = what === "key_digits" ? keys.flatMap((key, index) => (index === 0 ? [cap(key)] : [text(" … "), cap(key)]))
      : either.formatToParts(keys).map(({ type, value }) => (type === "element" ? cap(value) : text(value)));
    return element("div", {}, element("dt", {}, ...parts), element("dd", { text: say(what) }));
  });
  const list = element("dl", {}, ...rows);
  list.tabIndex = 0;
  const use_ = element("label", { className: "switch" }, check, text(` ${say("keys_use")}`));
  const foot = element("div", { className: "dialog-foot" }, use_, button(say("close"), () => dialog.close()));
  dialog.append(title, list, foot);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  return () => {
    check.checked = areUsed();
    dialog.showModal();
  };
}

/** @param {string} key */
function cap(key) {
  return element("kbd", { text: key });
}

/** @param {string} words */
function text(words) {
  return document.createTextNode(words);
}
