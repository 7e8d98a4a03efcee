// @ts-check
// The list of chapters: where each begins, which one plays; a click plays from there.

import { element } from "./dom.js";
import { formatDuration } from "./format.js";
import { say } from "./words.js";

/** @import { Chapter } from "./types.js" */

export class Chapters {
  /** @type {Chapter[]} */
  #chapters = [];
  #list = element("ol");
  section = element("section", { className: "chapters" }, element("h2", { text: say("chapters") }), this.#list);
  /** Called with the second to play from. @type {(seconds: number) => void} */
  onSeek = () => {};

  /** @param {Chapter[]} chapters */
  content(chapters) {
    this.#chapters = chapters;
    this.section.hidden = chapters.length === 0;
    this.#list.id = "chapters-list";
    this.#list.replaceChildren(...chapters.map(({ time_ms, name }, index) => {
      const time = element("span", { className: "time", text: formatDuration(time_ms) });
      const title = element("span", { text: name || say("chapter", { number: index + 1 }) });
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
    [...this.#list.children].forEach((item, index) => {
      const button = item.firstElementChild;
      if (index === playing) button?.setAttribute("aria-current", "true");
      else button?.removeAttribute("aria-current");
    });
  }
}
