// @ts-check
// Everything that is seen while watching, except the player.

import { byId, element, notice, setText } from "./dom.js";
import { formatBytes, formatDuration, formatRate } from "./format.js";

/** @import { Content, LinkStats, PeerStats } from "./types.js" */

/** Rates shown are means over this long. */
const RATE_WINDOW_MS = 2000;

/** @type {Record<LinkStats["kind"], string>} */
const KINDS = { initial: "Seeder", viewer: "Viewer" };

/** @type {Record<LinkStats["state"], string>} */
const STATES = { connecting: "Connecting", greeting: "Greeting", open: "Open" };

const NUMBERS = /** @type {const} */ ([
  ["from_initial", "from-initial"],
  ["from_peers", "from-peers"],
  ["uploaded", "uploaded"],
]);

export class View {
  /** @type {{at: number, stats: PeerStats}[]} */
  #past = [];
  /** @type {number | undefined} */
  #countdown;

  constructor() {
    byId("watch").hidden = false;
    this.tracker("connecting", "Connecting to the tracker …");
  }

  /** @param {Content} content */
  content(content) {
    notice("unknown", "");
    document.title = `${content.name} · Tributary`;
    setText(byId("title"), content.name);
    const facts = [formatBytes(content.length_bytes), content.media_type];
    if (content.duration_ms) facts.unshift(formatDuration(content.duration_ms));
    setText(byId("facts"), facts.join(" · "));
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
    }
  }

  /**
   * @param {PeerStats} stats
   * @param {number[]} cells
   */
  stats(stats, cells) {
    const now = performance.now();
    this.#past.push({ at: now, stats });
    while (this.#past.length > 2 && now - this.#past[0].at > RATE_WINDOW_MS) this.#past.shift();
    const { at, stats: before } = this.#past[0];
    for (const [field, id] of NUMBERS) {
      setText(byId(id), formatBytes(stats[field]));
      const rate = now > at ? ((stats[field] - before[field]) * 1000) / (now - at) : 0;
      setText(byId(`${id}-rate`), rate < 1 ? "" : formatRate(rate));
    }
    this.#progress(stats, cells);
    this.#links(stats.links);
  }

  /**
   * @param {PeerStats} stats
   * @param {number[]} cells
   */
  #progress(stats, cells) {
    const line = byId("progress");
    const share = stats.bytes_total > 0 ? stats.bytes_verified / stats.bytes_total : 0;
    line.setAttribute("aria-valuenow", String(Math.floor(share * 100)));
    line.title = `${formatBytes(stats.bytes_verified)} of ${formatBytes(stats.bytes_total)} verified`;
    const canvas = line.querySelector("canvas");
    const context = canvas?.getContext("2d");
    if (!canvas || !context) return;
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.clearRect(0, 0, width, height);
    context.fillStyle = getComputedStyle(canvas).color;
    cells.forEach((cell, index) => {
      if (cell === 0) return;
      const [left, right] = [index, index + 1].map((edge) => Math.round((edge * width) / cells.length));
      context.globalAlpha = 0.25 + (0.75 * cell) / 255;
      context.fillRect(left, 0, right - left, height);
    });
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
