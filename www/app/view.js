// @ts-check
// What is seen while watching before the first frame: title, tracker, notices. The rest is app/watching.js, which is loaded
// when there is something to watch.

import { byId, notice, setText } from "./dom.js";
import { say } from "./first_words.js";
import { formatBytes, formatDuration, formatMegabits } from "./format.js";
import { part } from "./part.js";
import { reason } from "./say.js";

/** @import { Words } from "./dom.js" */
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
    this.tracker("connecting", () => say("tracker_connecting"));
  }

  /** @param {Content} content */
  content(content) {
    notice("unknown", "");
    const title = content.title || content.name;
    document.title = `${title} · Tributary`;
    setText(byId("title"), title);
    setText(byId("facts"), () => {
      const facts = [formatBytes(content.length_bytes), content.media_type];
      if (content.duration_ms) facts.unshift(formatDuration(content.duration_ms));
      if (content.author) facts.unshift(say("facts_author", { author: content.author }));
      if (title !== content.name) facts.push(content.name);
      return facts.join(" · ");
    });
    this.#content = content;
  }

  /**
   * Loads what is not needed before the first frame: controls, timeline, where it comes from.
   * @param {Visit} visit
   */
  complete(visit) {
    const content = this.#content;
    if (!content || this.#loading) return;
    this.#loading = part(() => import("./watching.js")).then(({ Watching }) => new Watching(content, visit));
    this.#loading.then((watching) => {
      for (const { at, stats, levels } of this.#early.splice(0)) watching.stats(at, stats, levels);
      this.#watching = watching;
    })
      .catch(() => notice("late", say("controls_lacking")));
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
   * @param {Words} words
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
   * @param {string} why
   * @param {number} retryMs
   */
  trackerDown(why, retryMs) {
    const due = performance.now() + retryMs;
    const words = () => {
      const seconds = Math.max(0, Math.ceil((due - performance.now()) / 1000));
      return say(seconds > 0 ? "tracker_lost" : "tracker_lost_now", { reason: reason(why), seconds });
    };
    this.tracker("down", words);
    const line = byId("tracker");
    this.#countdown = setInterval(() => setText(line, words()), 1000);
  }

  /**
   * The tracker takes this viewer no longer; those already connected go on.
   * @param {string} why
   */
  dismissed(why) {
    this.tracker("down", () => say("tracker_stopped"));
    notice("dismissed", () => say("tracker_dismissed", { reason: reason(why) }));
  }

  /** Says that nobody knows the swarm; forgotten when somebody does. */
  unknown() {
    notice("unknown", () => say("unknown"));
    this.waiting(() => say("unknown_waiting"));
  }

  /** @param {Words} words */
  waiting(words) {
    const note = document.getElementById("stage-note");
    if (note) setText(note, words);
  }

  /** @param {Words} words */
  fatal(words) {
    notice("fatal", words, true);
    const note = document.getElementById("stage-note");
    if (note) {
      note.classList.add("is-still");
      setText(note, () => say("nothing_to_play"));
      // Nothing is tried any more, so nothing may say that it is.
      this.tracker("down", () => say("tracker_stopped"));
      setText(byId("title"), () => say("not_joined"));
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
    const { scarcity } = stats;
    notice("scarce", scarcity ? () => say("scarce",
      { supply: formatMegabits(scarcity.supply_bps), demand: formatMegabits(scarcity.demand_bps) }) : "");
  }
}
