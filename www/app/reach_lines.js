// @ts-check
// Which ways bring the film here, as lines of the panel.

import { element, setText } from "./dom.js";
import { say } from "./words.js";

/** @import { Diagnosis } from "./types.js" */

const WAYS = /** @type {const} */ ([["direct", "way_direct"], ["relayed", "way_relayed"], ["mirror", "way_mirror"]]);

export class ReachLines {
  #sentence = element("p");
  #list = element("ul", {}, ...WAYS.map(() => element("li")));
  section = element("div", { className: "reach" }, element("h3", { text: say("reach") }), this.#sentence, this.#list);

  constructor() {
    this.section.id = "reach";
  }

  /** @param {Diagnosis} diagnosis */
  show(diagnosis) {
    setText(this.#sentence, diagnosis.words);
    WAYS.forEach(([way, name], index) => {
      const line = /** @type {HTMLElement} */ (this.#list.children[index]);
      setText(line, say("reach_line", { way: say(name), words: diagnosis[way].words }));
    });
  }
}
