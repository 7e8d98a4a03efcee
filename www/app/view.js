// @ts-check
// What is seen while watching before the first frame: title, tracker, notices. The rest is app/watching.js, which is loaded
// when there is something to watch.

import { byId, notice, setText } from "./dom.js";
import { formatBytes, formatDuration } from "./format.js";

/** @import { Content, Levels, PeerStats } from "./types.js" */
/** @import { Visit, Watching } from "./watching.js" */

/** Accounts that are kept for the chart: half a minute. */
const EARLY_MAX = 120;

export class View {
  /** @type {number | undefined} */
  #countdown;
  /** Says why no peer is connected. @type {import("./reach.js").Reach | undefined} */
  reach;
  /** @type {Content | undefined} */
  #content;
  /** @type {Promise<Watching> | undefined} */
  #loading;
  /** @type {Watching | undefined} */
  #watching;
  /** What was told before that, for its chart. @type {{at: number, stats: PeerStats, levels: Levels}[]} */
  #early = [];

  constructor() {
    byId("watch").hidden = false;
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
    this.#content = content;
  }

  /**
   * Loads what is not needed before the first frame: controls, timeline, where it comes from.
   * @param {Visit} visit
   */
  complete(visit) {
    const content = this.#content;
    if (!content || this.#loading) return;
    this.#loading = import("./watching.js").then(({ Watching }) => new Watching(content, visit));
    this.#loading.then((watching) => {
      for (const { at, stats, levels } of this.#early.splice(0)) watching.stats(at, stats, levels);
      this.#watching = watching;
    })
      .catch(() => notice("late", "The controls of this page cannot be loaded; the browser's own are shown."));
  }

  /**
   * What plays now.
   * @param {number} seconds
   */
  playing(seconds) {
    this.#watching?.playing(seconds);
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
    if (this.#watching) this.#watching.stats(now, stats, levels);
    else if (this.#early.push({ at: now, stats, levels }) > EARLY_MAX) this.#early.shift();
    this.reach?.account(now, stats);
    notice("scarce", stats.scarcity ? scarcityWords(stats.scarcity) : "");
  }
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
