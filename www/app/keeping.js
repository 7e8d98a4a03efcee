// @ts-check
// The person's word on keeping and forgetting what plays. What is stored is shown by app/library.js.

import { byId, setText } from "./dom.js";
import { say } from "./first_words.js";

/** @import { Session } from "./session.js" */

/** The name under which a page says to the next one what is to be forgotten. */
export const FORGET = "forget";

/**
 * The buttons of the page that plays.
 * @param {Session} session
 * @param {string} swarm
 */
export function controlKeeping(session, swarm) {
  const keep = byId("keep", HTMLButtonElement);
  const forget = byId("forget", HTMLButtonElement);
  session.onStorage = ({ is_on_disk, is_kept }) => {
    keep.hidden = forget.hidden = !is_on_disk;
    keep.setAttribute("aria-pressed", String(is_kept));
    setText(keep, () => say(is_kept ? "kept" : "keep"));
  };
  keep.addEventListener("click", () => {
    const isKept = keep.getAttribute("aria-pressed") !== "true";
    session.keep(isKept);
    // Asked for now, when the person sees why: the browser then does not clear the site's files by itself.
    if (isKept) void navigator.storage.persist().catch(() => {});
  });
  forget.addEventListener("click", () => {
    sessionStorage.setItem(FORGET, swarm);
    location.href = "./";
  });
}
