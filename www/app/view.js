// @ts-check
// Everything that is seen while watching, except the player.

import { Bar } from "./bar.js";
import { Chapters } from "./chapters.js";
import { byId, element, notice, setText } from "./dom.js";
import { formatBytes, formatDuration, formatRate } from "./format.js";
import { Reach } from "./reach.js";

/** @import { Content, Levels, LinkStats, PeerStats } from "./types.js" */

/** Rates shown are means over this long. */
const RATE_WINDOW_MS = 2000;

/** @type {Record<LinkStats["kind"], string>} */
const KINDS = { initial: "Seeder", viewer: "Viewer" };

/** @type {Record<LinkStats["state"], string>} */
const STATES = { connecting: "Connecting", greeting: "Greeting", open: "Open" };

const NUMBERS = /** @type {const} */ ([
  ["from_initial", "from-initial"],
  ["from_peers", "from-peers"],
  ["from_mirrors", "from-mirrors"],
  ["uploaded", "uploaded"],
]);

export class View {
  /** @type {{at: number, stats: PeerStats}[]} */
  #past = [];
  /** @type {number | undefined} */
  #countdown;
  #bar = new Bar();
  #chapters = new Chapters();
  #reach = new Reach();
  /** Called with the second to play from. @type {(seconds: number) => void} */
  onSeek = () => {};

  constructor() {
    byId("watch").hidden = false;
    this.#bar.onSeek = this.#chapters.onSeek = (seconds) => this.onSeek(seconds);
    this.tracker("connecting", "Connecting to the tracker …");
  }

  /** @param {Content} content */
  content(content) {
    notice("unknown", "");
    const title = content.title || content.name;
    document.title = `${title} · Tributary`;
    setText(byId("title"), title);
    const facts = [formatBytes(content.length_bytes), content.media_type];
    if (content.duration_ms) facts.unshift(formatDuration(content.duration_ms));
    if (content.author) facts.unshift(`by ${content.author}`);
    if (title !== content.name) facts.push(content.name);
    setText(byId("facts"), facts.join(" · "));
    this.#bar.content(content);
    this.#chapters.content(content.chapters);
  }

  /**
   * What plays now.
   * @param {number} seconds
   */
  playing(seconds) {
    this.#chapters.at(seconds);
  }

  /**
   * @param {"connecting" | "up" | "down"} state
   * @param {string} words
   */
  tracker(state, words) {
    clearInterval(this.#countdown);
    const line = byId("tracker");
    line.hidden = false;
    line.classList.toggle("is-up", state === "up");
    line.classList.toggle("is-down", state === "down");
    setText(line, words);
  }

  /**
   * Says that the tracker is away and counts down to the next attempt.
   * @param {string} reason
   * @param {number} retryMs
   */
  trackerDown(reason, retryMs) {
    const due = performance.now() + retryMs;
    const words = () => {
      const seconds = Math.max(0, Math.ceil((due - performance.now()) / 1000));
      return `Tracker lost: ${reason}. ${seconds > 0 ? `Trying again in ${seconds} s` : "Trying again"} …`;
    };
    this.tracker("down", words());
    const line = byId("tracker");
    this.#countdown = setInterval(() => setText(line, words()), 1000);
  }

  /**
   * The tracker takes this viewer no longer; those already connected go on.
   * @param {string} reason
   */
  dismissed(reason) {
    this.tracker("down", "Stopped");
    notice("dismissed", `The tracker ends this visit: ${reason}. The film goes on with what is stored here and what ` +
      "those already connected send.");
  }

  /** Says that nobody knows the swarm; forgotten when somebody does. */
  unknown() {
    notice("unknown", "Nobody here knows this content: the link is wrong, or its publisher is away. " +
      "It is asked for again from time to time.");
    this.waiting("Waiting for somebody who has it …");
  }

  /** @param {string} words */
  waiting(words) {
    const note = document.getElementById("stage-note");
    if (note) setText(note, words);
  }

  /** @param {string} words */
  fatal(words) {
    notice("fatal", words, true);
    const note = document.getElementById("stage-note");
    if (note) {
      note.classList.add("is-still");
      setText(note, "Nothing to play.");
      // Nothing is tried any more, so nothing may say that it is.
      this.tracker("down", "Stopped");
      setText(byId("title"), "Not joined");
    }
  }

  /**
   * @param {PeerStats} stats
   * @param {Levels} levels
   */
  stats(stats, levels) {
    const now = performance.now();
    this.#past.push({ at: now, stats });
    while (this.#past.length > 2 && now - this.#past[0].at > RATE_WINDOW_MS) this.#past.shift();
    const { at, stats: before } = this.#past[0];
    for (const [field, id] of NUMBERS) {
      setText(byId(id), formatBytes(stats[field]));
      const rate = now > at ? ((stats[field] - before[field]) * 1000) / (now - at) : 0;
      setText(byId(`${id}-rate`), rate < 1 ? "" : formatRate(rate));
    }
    this.#bar.levels(levels, stats.links.some(({ state }) => state === "open"));
    this.#links(stats.links);
    byId("mirrors").hidden = stats.mirrors.length === 0;
    notice("reach", this.#reach.words(now, stats));
    notice("scarce", stats.scarcity ? scarcityWords(stats.scarcity) : "");
  }

  /** @param {LinkStats[]} links */
  #links(links) {
    byId("links-none").hidden = links.length > 0;
    byId("links-table").hidden = links.length === 0;
    const body = byId("links");
    while (body.childElementCount > links.length) body.lastElementChild?.remove();
    links.forEach((link, index) => {
      const row = body.children[index] ?? body.appendChild(newRow());
      const cells = [
        link.peer.slice(0, 8),
        KINDS[link.kind],
        formatRate(link.rate),
        link.rtt_ms === null ? "–" : `${link.rtt_ms} ms`,
        formatBytes(link.received),
        formatBytes(link.sent),
        STATES[link.state],
      ];
      cells.forEach((text, column) => setText(/** @type {HTMLElement} */ (row.children[column]), text));
    });
  }
}

function newRow() {
  const classes = ["peer", "", "number", "number", "number", "number", ""];
  return element("tr", {}, ...classes.map((className) => element("td", { className })));
}

/**
 * What viewers read while the swarm can send less than they need.
 * @param {{supply_bps: number, demand_bps: number}} scarcity
 */
function scarcityWords({ supply_bps, demand_bps }) {
  const [supply, demand] = [supply_bps, demand_bps].map((bps) => (bps / 1e6).toFixed(1));
  return `The publisher and the viewers together can send ${supply} of the ${demand} Mbit/s that all viewers need, ` +
    "so playback may pause.";
}
