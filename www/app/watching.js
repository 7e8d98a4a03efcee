// @ts-check
// Everything of a visit that is loaded after the first frame, put together: the player's controls, the timeline, keys, the
// panel that shows where things come from, chapters.

import { Bar } from "./bar.js";
import { Chapters } from "./chapters.js";
import { Controls, loadLibrary } from "./controls.js";
import { copyButton, linkAt } from "./copying.js";
import { byId, element } from "./dom.js";
import { formatDuration } from "./format.js";
import { helpDialog } from "./help.js";
import { Keys } from "./keys.js";
import { offerLanguages } from "./language_choice.js";
import { button, make } from "./make.js";
import { tellSystem } from "./media_session.js";
import { remember } from "./memory.js";
import { Proof } from "./proof.js";
import { notePlace } from "./resume.js";
import { say } from "./words.js";

/** @import { Content, Diagnosis, Failure, Levels, PeerStats, Stats, Way } from "./types.js" */

/**
 * @typedef {object} Visit what the parts that are loaded late can ask of the session
 * @property {HTMLVideoElement | undefined} media
 * @property {boolean} isResumed whether the start is where an earlier visit ended
 * @property {(seconds: number) => void} seek
 * @property {() => Promise<Stats>} fresh
 * @property {() => Promise<Map<number, Way>>} ways
 * @property {() => Failure[]} failures
 * @property {() => Promise<Diagnosis>} diagnose
 */

/** How much of the film the word stays that playback was resumed. */
const RESUMED_SECONDS = 10;

export class Watching {
  #bar;
  #chapters = new Chapters();
  #proof;

  /**
   * @param {Content} content
   * @param {Visit} visit
   */
  constructor(content, visit) {
    offerLanguages();
    const { media } = visit;
    // Of many kinds of files, no times are known; then the segments lie below the player, by bytes.
    const isOfTime = media !== undefined && content.segments.some(({ time_ms }) => time_ms !== null);
    const bar = new Bar(isOfTime);
    this.#bar = bar;
    this.#proof = new Proof(visit, bar.caption);
    bar.onSeek = this.#chapters.onSeek = visit.seek;
    this.#chapters.content(content.chapters);
    byId("late").replaceChildren(this.#proof.panel, this.#chapters.section);
    // The controls come to life with their style, not before it.
    void styled().then(async () => {
      if (!isOfTime) byId("late").prepend(element("figure", { className: "bar" }, bar.canvas));
      if (media) await this.#control(media, content, isOfTime ? bar : undefined);
      bar.content(content);
    });
    if (media) accompany(media, content, visit);
  }

  /** @param {number} seconds */
  playing(seconds) {
    this.#chapters.at(seconds);
  }

  /**
   * @param {number} at when that was, in ms of the page's clock
   * @param {PeerStats} stats
   * @param {Levels} levels
   */
  stats(at, stats, levels) {
    this.#bar.levels(levels, stats.links.some(({ state }) => state === "open"));
    this.#proof.stats(at, stats);
  }

  /**
   * @param {HTMLVideoElement} video
   * @param {Content} content
   * @param {Bar | undefined} bar what lies behind the timeline
   */
  async #control(video, content, bar) {
    await loadLibrary();
    const controls = new Controls(video, bar, content);
    const help = helpDialog();
    controls.onHelp = help;
    new Keys(video, controls, help);
  }
}

/**
 * What goes along with anything that plays: memory, links, the system's keys.
 * @param {HTMLVideoElement} media
 * @param {Content} content
 * @param {Visit} visit
 */
function accompany(media, content, visit) {
  notePlace(content.swarm, media);
  tellSystem(content, media);
  // Only what the person changes: a browser may have insisted on silence before.
  let { muted } = media;
  media.addEventListener("volumechange", () => {
    remember("volume", String(media.volume));
    if (muted !== media.muted) remember("muted", media.muted ? "on" : "off");
    ({ muted } = media);
  });
  byId("actions").prepend(copyButton(say("copy_link"), async () => ({
    text: linkAt(content.swarm, media.currentTime),
    done: say("copied_link", { time: formatDuration(media.currentTime * 1000) }),
  })));
  if (visit.isResumed && content.start_ms !== null) sayResumed(content.start_ms, visit);
}

/**
 * @param {number} startMs
 * @param {Visit} visit
 */
function sayResumed(startMs, visit) {
  const line = make("p", { class: "resumed", role: "status" }, element("span", { text: say("resumed", { time: formatDuration(startMs) }) }));
  line.append(button(say("from_start"), () => {
    visit.seek(0);
    line.remove();
  }));
  byId("stage").append(line);
  visit.media?.addEventListener("timeupdate", () => {
    const seconds = (visit.media?.currentTime ?? 0) - startMs / 1000;
    if (seconds > RESUMED_SECONDS && !line.contains(document.activeElement)) line.remove();
  });
}

/** Adds the style of all this. */
function styled() {
  const link = element("link");
  link.rel = "stylesheet";
  link.href = "watching.css";
  return new Promise((resolve) => {
    link.onload = link.onerror = resolve;
    document.head.append(link);
  });
}
