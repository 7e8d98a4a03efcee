// @ts-check
// The segments: each one's length to scale, its priority as height, where it came from as colour and pattern; what is here,
// what plays and what is at risk. The same in words beside it. In the player the scale is time, elsewhere it is bytes.

import { element, setText } from "./dom.js";
import { formatBytes, formatDuration, formatShare } from "./format.js";
import { draw } from "./picture.js";
import { say } from "./words.js";

/** @import { Chapter, Content, Levels, Origin, Placed, Segment } from "./types.js" */

/** By number; see peer-wasm/src/origins.rs. @type {Origin[]} */
const ORIGINS = ["unknown", "device", "publisher", "viewer", "mirror"];

/** The legend, in its order. @type {Origin[]} */
const LEGEND = ["publisher", "viewer", "mirror", "device", "unknown"];

const NOTHING = new Uint8Array();

export class Bar {
  /** @type {Placed[]} */
  #segments = [];
  /** @type {Chapter[]} */
  #chapters = [];
  /** @type {Levels} */
  #levels = {
    cells: NOTHING, shares: NOTHING, risks: NOTHING, cell_origins: NOTHING, segment_origins: NOTHING, playhead: null,
  };
  /** Whether others were ever linked: before, everything would be at risk. */
  #hasMetOthers = false;
  /** @type {number | undefined} the segment that is described */
  #chosen;
  #durationMs = 0;
  #isOfTime;
  canvas = element("canvas");
  /** The words and the legend. */
  caption = element("div", { className: "bar-caption" });
  #words = element("p", { className: "bar-words" });
  #legend = element("ul", { className: "bar-legend" });
  /** Called with the second to play from. @type {(seconds: number) => void} */
  onSeek = () => {};

  /** @param {boolean} isOfTime whether the scale is time */
  constructor(isOfTime) {
    this.#isOfTime = isOfTime;
    this.#words.id = "bar-words";
    this.#legend.id = "bar-legend";
    this.#legend.setAttribute("aria-label", say("legend"));
    this.caption.append(this.#words, this.#legend);
    const { canvas } = this;
    canvas.id = "bar-picture";
    canvas.tabIndex = 0;
    const attributes = { "role": "slider", "aria-label": say("bar_label"), "aria-orientation": "horizontal", "aria-valuemin": "1" };
    for (const [name, value] of Object.entries(attributes)) canvas.setAttribute(name, value);
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    canvas.addEventListener("pointermove", (event) => this.#choose(this.#at(this.#place(event))));
    canvas.addEventListener("pointerleave", () => this.#choose(undefined));
    canvas.addEventListener("blur", () => this.#choose(undefined));
    canvas.addEventListener("click", (event) => this.#seek(this.#at(this.#place(event)), this.#place(event)));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Content} content */
  content({ segments, chapters, length_bytes, duration_ms }) {
    const last = segments.reduce((end, { time_ms, duration_ms: lasts }) => Math.max(end, (time_ms ?? 0) + (lasts ?? 0)), 0);
    this.#durationMs = duration_ms ?? last;
    let left = 0;
    this.#segments = segments.map((segment) => {
      const right = left + segment.length_bytes / length_bytes;
      const [from, to] = this.#isOfTime ? this.#span(segment, segments) : [left, right];
      const placed = { ...segment, left, right, from, to };
      left = right;
      return placed;
    });
    this.#chapters = chapters;
    this.canvas.setAttribute("aria-valuemax", String(segments.length));
    this.canvas.classList.toggle("is-seekable", segments.some(({ time_ms }) => time_ms !== null));
    this.#explain();
    this.#draw();
  }

  /**
   * @param {Levels} levels
   * @param {boolean} hasLinks
   */
  levels(levels, hasLinks) {
    const hadRisk = this.#riskCount() > 0;
    const origins = this.#present();
    this.#levels = levels;
    this.#hasMetOthers ||= hasLinks;
    if (hadRisk !== this.#riskCount() > 0 || origins !== this.#present()) this.#explain();
    this.#draw();
  }

  /**
   * What lies at a place of the timeline, in a few words.
   * @param {number} place 0 to 1
   */
  hover(place) {
    const index = this.#at(place);
    const origin = ORIGINS[this.#levels.segment_origins[index] ?? 0] ?? "unknown";
    return this.#segments.length === 0 ? "" : say("hover", { number: index + 1, origin: say(`origin_${origin}`) });
  }

  /**
   * Where a segment lies in time, 0 to 1; nowhere if it has none.
   * @param {Segment} segment
   * @param {Segment[]} all
   * @returns {[number, number]}
   */
  #span({ time_ms, duration_ms }, all) {
    if (time_ms === null || this.#durationMs <= 0) return [0, 0];
    const later = all.map(({ time_ms: next }) => next ?? 0).filter((next) => next > time_ms);
    const end = duration_ms === null ? Math.min(this.#durationMs, ...later) : time_ms + duration_ms;
    return [time_ms / this.#durationMs, Math.min(end / this.#durationMs, 1)];
  }

  /** @param {number} index */
  #isAtRisk(index) {
    return this.#hasMetOthers && this.#levels.risks[index] === 1;
  }

  #riskCount() {
    return this.#segments.filter((_, index) => this.#isAtRisk(index)).length;
  }

  /** @param {MouseEvent} event */
  #place({ clientX }) {
    const { left, width } = this.canvas.getBoundingClientRect();
    return Math.min(Math.max((clientX - left) / width, 0), 1);
  }

  /** @param {number} place */
  #at(place) {
    const index = this.#segments.findIndex(({ from, to }) => from <= place && place < to);
    return index < 0 ? this.#segments.length - 1 : index;
  }

  /** The index of what plays. */
  #playing() {
    const { playhead } = this.#levels;
    if (playhead === null) return undefined;
    const index = this.#segments.findIndex(({ right }) => playhead < right);
    return index < 0 ? this.#segments.length - 1 : index;
  }

  /** @param {number | undefined} index */
  #choose(index) {
    if (this.#chosen === index) return;
    this.#chosen = index;
    this.#draw();
  }

  /**
   * @param {number} index
   * @param {number} place
   */
  #seek(index, place) {
    const segment = this.#segments[index];
    if (!segment || segment.time_ms === null) return;
    const share = Math.min(Math.max((place - segment.from) / Math.max(segment.to - segment.from, Number.EPSILON), 0), 1);
    this.onSeek((segment.time_ms + share * (segment.duration_ms ?? 0)) / 1000);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const from = this.#chosen ?? this.#playing() ?? 0;
    const last = this.#segments.length - 1;
    /** @type {Record<string, number | undefined>} */
    const targets = {
      ArrowLeft: from - 1, ArrowDown: from - 1, ArrowRight: from + 1, ArrowUp: from + 1, Home: 0, End: last,
    };
    const target = targets[event.key];
    if (event.key === "Enter" && this.#segments[from]) this.#seek(from, this.#segments[from].from);
    else if (target !== undefined) this.#choose(Math.min(Math.max(target, 0), last));
    else return;
    event.preventDefault();
  }

  #draw() {
    if (this.#segments.length === 0 || document.hidden) return;
    this.#tell();
    draw(this.canvas, {
      segments: this.#segments,
      chapters: this.#chapters,
      chapterPlace: ({ time_ms, place }) => (this.#isOfTime && this.#durationMs > 0 ? time_ms / this.#durationMs : place),
      levels: this.#levels,
      // The player's own timeline shows it.
      playhead: this.#isOfTime ? null : this.#levels.playhead,
      isAtRisk: (index) => this.#isAtRisk(index),
      chosen: this.#chosen,
    });
  }

  /** Says what the picture shows: of the chosen segment, else of all. */
  #tell() {
    const words = this.#chosen === undefined ? this.#summary() : this.#describe(this.#chosen);
    setText(this.#words, words);
    this.canvas.setAttribute("aria-valuenow", String((this.#chosen ?? this.#playing() ?? 0) + 1));
    this.canvas.setAttribute("aria-valuetext", words);
  }

  #summary() {
    const { cells } = this.#levels;
    const words = [say("segments", { count: this.#segments.length })];
    const held = cells.reduce((sum, cell) => sum + cell, 0) / Math.max(cells.length * 255, 1);
    words.push(say("here", { share: formatShare(held) }));
    const playing = this.#playing();
    if (playing !== undefined) words.push(say("playing_segment", { number: playing + 1 }));
    const risky = this.#riskCount();
    if (risky > 0) words.push(say("at_risk", { count: risky }));
    return words.join(" · ");
  }

  /** @param {number} index */
  #describe(index) {
    const segment = this.#segments[index];
    if (!segment) return "";
    const kind = say(`kind_${segment.kind}`);
    const words = [say("segment_of", { number: index + 1, total: this.#segments.length, kind })];
    if (segment.time_ms !== null) {
      const end = segment.duration_ms === null ? "" : `–${formatDuration(segment.time_ms + segment.duration_ms)}`;
      words.push(`${formatDuration(segment.time_ms)}${end}`);
    }
    words.push(formatBytes(segment.length_bytes));
    words.push(say("priority", { priority: segment.priority, period: say(`period_${segment.period}`) }));
    words.push(say("here", { share: formatShare((this.#levels.shares[index] ?? 0) / 255) }));
    const origin = ORIGINS[this.#levels.segment_origins[index] ?? 0];
    if (origin && origin !== "unknown") words.push(say(`origin_${origin}`));
    if (this.#isAtRisk(index)) words.push(say("at_risk_why"));
    return words.join(" · ");
  }

  /** The origins that occur, as one word. */
  #present() {
    const { cell_origins, segment_origins } = this.#levels;
    return ORIGINS.map((_, origin) => Number(cell_origins.includes(origin) || segment_origins.includes(origin))).join("");
  }

  /** Lists only what occurs. */
  #explain() {
    const has = (/** @type {(segment: Segment) => boolean} */ test) => this.#segments.some(test);
    const present = this.#present();
    const origins = LEGEND.filter((origin) => origin === "unknown" || present[ORIGINS.indexOf(origin)] === "1");
    /** @type {[string, string][]} */
    const entries = origins.map((origin) => [origin, say(`legend_${origin}`)]);
    if (this.#riskCount() > 0) entries.push(["risk", say("legend_risk")]);
    if (!this.#isOfTime) entries.push(["playing", say("legend_playing")]);
    const isDrawn = (/** @type {Segment} */ { time_ms }) => !this.#isOfTime || time_ms !== null;
    if (has((segment) => isDrawn(segment) && segment.period === "start")) entries.push(["start", say("legend_start")]);
    if (has((segment) => segment.period === "background")) entries.push(["background", say("legend_background")]);
    if (this.#chapters.length > 1) entries.push(["chapter", say("legend_chapter")]);
    if (has((segment) => segment.priority !== this.#segments[0].priority)) entries.push(["tall", say("legend_tall")]);
    this.#legend.replaceChildren(...entries.map(([name, text]) =>
      element("li", {}, element("span", { className: `swatch is-${name}` }), document.createTextNode(text))));
  }
}
