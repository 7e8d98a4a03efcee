// @ts-check
// The list of chapters: where each begins, which one plays; a click plays from there.

import { byId, element } from "./dom.js";
import { formatDuration } from "./format.js";

/** @import { Chapter } from "./types.js" */

export class Chapters {
  /** @type {Chapter[]} */
  #chapters = [];
  /** Called with the second to play from. @type {(seconds: number) => void} */
  onSeek = () => {};

  /** @param {Chapter[]} chapters */
  content(chapters) {
    this.#chapters = chapters;
    byId("chapters").hidden = chapters.length === 0;
    byId("chapters-list").replaceChildren(...chapters.map(({ time_ms, name }, index) => {
      const time = element("span", { className: "time", text: formatDuration(time_ms) });
      const title = element("span", { text: name || `Chapter ${index + 1}` });
      const button = element("button", {}, time, title);
      button.type = "button";
      button.onclick = () => this.onSeek(time_ms / 1000);
      return element("li", {}, button);
    }));
  }

  /**
   * Marks the chapter that plays.
   * @param {number} seconds
   */
  at(seconds) {
    const playing = this.#chapters.findLastIndex(({ time_ms }) => time_ms <= seconds * 1000);
    [...byId("chapters-list").children].forEach((item, index) => {
      const button = item.firstElementChild;
      if (index === playing) button?.setAttribute("aria-current", "true");
      else button?.removeAttribute("aria-current");
    });
  }
}
