// @ts-check
// Who one is connected with, how, at what rates; and with whom not, and why.

import { element, setText } from "./dom.js";
import { formatAgo, formatBytes, formatMs, formatRate } from "./format.js";
import { say } from "./words.js";

/** @import { Failure, LinkStats, PeerStats, Way } from "./types.js" */

/** Rates are means over this long. */
const WINDOW_MS = 2000;

/** Peers whose name is remembered after their link ended. */
const NAMES_MAX = 200;

const COLUMNS = /** @type {const} */ (["peer", "kind", "way", "down", "up", "round_trip", "received", "passed"]);
const NUMBERS_FROM = 3;

export class Peers {
  #none = element("p", { className: "quiet", text: say("peers_none") });
  #body = element("tbody");
  #failures = element("ul");
  #failed = element("div", { className: "failures" }, element("h3", { text: say("failures") }), this.#failures);
  #scroll;
  section;
  /** @type {{at: number, bytes: Map<number, {received: number, sent: number}>}[]} */
  #past = [];
  /** Names of peers by link. @type {Map<number, string>} */
  #names = new Map();

  constructor() {
    const heads = COLUMNS.map((key, index) => {
      const head = element("th", { text: say(key), className: index >= NUMBERS_FROM ? "number" : "" });
      head.scope = "col";
      return head;
    });
    const table = element("table", {}, element("caption", { text: say("peers") }),
      element("thead", {}, element("tr", {}, ...heads)), this.#body);
    this.#body.id = "links";
    this.#scroll = element("div", { className: "scroll" }, table);
    this.#scroll.tabIndex = 0;
    this.#scroll.setAttribute("role", "region");
    this.#scroll.setAttribute("aria-label", say("peers"));
    this.section = element("div", {}, this.#scroll, this.#none, this.#failed);
  }

  /**
   * @param {PeerStats} stats
   * @param {Map<number, Way>} ways
   * @param {Failure[]} failures
   */
  show({ links }, ways, failures) {
    this.#note(links);
    this.#none.hidden = links.length > 0;
    this.#scroll.hidden = links.length === 0;
    while (this.#body.childElementCount > links.length) this.#body.lastElementChild?.remove();
    links.forEach((link, index) => {
      const row = this.#body.children[index] ?? this.#body.appendChild(newRow());
      this.#cells(link, ways.get(link.link)).forEach((text, column) => setText(/** @type {HTMLElement} */ (row.children[column]), text));
    });
    this.#failed.hidden = failures.length === 0;
    const lines = failures.slice(-5).reverse().map(({ link, at_ms, why }) => say("failed", {
      peer: this.#names.get(link) ?? say("some_peer"),
      ago: formatAgo(Date.now() - at_ms),
      why: say(`why_${why}`),
    }));
    this.#failures.replaceChildren(...lines.map((text) => element("li", { text })));
  }

  /** @param {LinkStats[]} links */
  #note(links) {
    const now = performance.now();
    this.#past.push({ at: now, bytes: new Map(links.map((link) => [link.link, link])) });
    while (this.#past.length > 2 && now - this.#past[0].at > WINDOW_MS) this.#past.shift();
    for (const { link, peer } of links) this.#names.set(link, peer.slice(0, 8));
    while (this.#names.size > NAMES_MAX) this.#names.delete(/** @type {number} */ (this.#names.keys().next().value));
  }

  /**
   * @param {LinkStats} link
   * @param {Way | undefined} way
   */
  #cells({ link, peer, kind, rtt_ms, state, received, sent }, way) {
    const { at, bytes } = this.#past[0];
    const before = bytes.get(link) ?? { received, sent };
    const seconds = Math.max((performance.now() - at) / 1000, 0.1);
    const [down, up] = [(received - before.received) / seconds, (sent - before.sent) / seconds];
    const how = way ? `${say(way.is_relayed ? "way_relayed" : "way_direct")} (${way.protocol.toUpperCase()})` : say(`state_${state}`);
    return [peer.slice(0, 8), say(`peer_${kind}`), how, formatRate(down), formatRate(up),
      rtt_ms === null ? "–" : formatMs(rtt_ms), formatBytes(received), formatBytes(sent)];
  }
}

function newRow() {
  const classes = ["peer", "", "", "number", "number", "number", "number", "number"];
  return element("tr", {}, ...classes.map((className) => element("td", { className })));
}
