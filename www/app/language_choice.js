// @ts-check
// The choice of the page's language at its foot. It is remembered, and holds once the page is loaded again.

import { byId, element } from "./dom.js";
import { CHOICE, LANGUAGES } from "./language.js";
import { recall, remember } from "./memory.js";
import { say } from "./words.js";

/** Fills the choice and shows it. */
export function offerLanguages() {
  const choice = byId("language", HTMLSelectElement);
  const names = Object.entries(LANGUAGES).map(([tag, { name }]) => {
    const option = element("option", { text: name });
    Object.assign(option, { value: tag, lang: tag });
    return option;
  });
  const own = element("option", { text: say("page_language_own") });
  own.value = "";
  choice.replaceChildren(own, ...names);
  const address = new URL(location.href);
  choice.value = address.searchParams.get("lang") ?? recall(CHOICE) ?? "";
  if (choice.selectedIndex < 0) choice.value = "";
  choice.onchange = () => {
    remember(CHOICE, choice.value);
    // The address counts more than the choice, so it must not name another one.
    address.searchParams.delete("lang");
    address.hash = address.hash.split("&").filter((setting) => !setting.startsWith("lang=")).join("&");
    if (address.href === location.href) location.reload();
    else location.replace(address);
  };
  byId("language-choice").hidden = false;
}
