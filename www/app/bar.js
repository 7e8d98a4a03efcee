// @ts-check
// The segment bar under the player: each segment's length to scale, its kind as colour, its priority as
// height, its period as pattern; what is here, what plays and what is at risk. The same in words beside it.

import { byId, element, setText } from "./dom.js";
import { formatBytes, formatCount, formatDuration, formatShare } from "./format.js";
import { draw } from "./picture.js";

/** @import { Chapter, Content, Levels, Placed, Segment } from "./types.js" */

/** @type {Record<Segment["kind"], string>} */
const KINDS = { header: "headers", index: "index", media: "media", data: "data" };

/** @type {Record<Segment["period"], string>} */
const PERIODS = { start: "before anything else", playback: "in its turn", background: "with spare capacity only" };

export class Bar {
  /** @type {Placed[]} */
  #segments = [];
  /** @type {Chapter[]} */
  #chapters = [];
  /** @type {Levels} */
  #levels = { cells: new Uint8Array(), shares: new Uint8Array(), risks: new Uint8Array(), playhead: null };
  /** Whether others were ever linked: before, everything would be at risk. */
  #hasMetOthers = false;
  /** @type {number | undefined} the segment that is described */
  #chosen;
  #canvas = byId("bar-picture", HTMLCanvasElement);
  /** Called with the second to play from. @type {(seconds: number) => void} */
  onSeek = () => {};

  constructor() {
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    this.#canvas.addEventListener("pointermove", (event) => this.#choose(this.#at(this.#place(event))));
    this.#canvas.addEventListener("pointerleave", () => this.#choose(undefined));
    this.#canvas.addEventListener("blur", () => this.#choose(undefined));
    this.#canvas.addEventListener("click", (event) => this.#seek(this.#place(event)));
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Content} content */
  content({ segments, chapters, length_bytes }) {
    let left = 0;
    this.#segments = segments.map((segment) => {
      const right = left + segment.length_bytes / length_bytes;
      const placed = { ...segment, left, right };
      left = right;
      return placed;
    });
    this.#chapters = chapters;
    byId("bar").hidden = false;
    this.#canvas.setAttribute("aria-valuemax", String(segments.length));
    this.#canvas.classList.toggle("is-seekable", segments.some(({ time_ms }) => time_ms !== null));
    this.#legend();
    this.#draw();
  }

  /**
   * @param {Levels} levels
   * @param {boolean} hasLinks
   */
  levels(levels, hasLinks) {
    this.#levels = levels;
    this.#hasMetOthers ||= hasLinks;
    this.#draw();
  }

  /** @param {number} index */
  #isAtRisk(index) {
    return this.#hasMetOthers && this.#levels.risks[index] === 1;
  }

  /** @param {MouseEvent} event */
  #place({ clientX }) {
    const { left, width } = this.#canvas.getBoundingClientRect();
    return Math.min(Math.max((clientX - left) / width, 0), 1);
  }

  /** @param {number} place */
  #at(place) {
    const index = this.#segments.findIndex(({ right }) => place < right);
    return index < 0 ? this.#segments.length - 1 : index;
  }

  /** @param {number | undefined} index */
  #choose(index) {
    if (this.#chosen === index) return;
    this.#chosen = index;
    this.#draw();
  }

  /** @param {number} place */
  #seek(place) {
    const segment = this.#segments[this.#at(place)];
    if (!segment || segment.time_ms === null) return;
    const share = (place - segment.left) / Math.max(segment.right - segment.left, Number.EPSILON);
    this.onSeek((segment.time_ms + share * (segment.duration_ms ?? 0)) / 1000);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const from = this.#chosen ?? this.#at(this.#levels.playhead ?? 0);
    const last = this.#segments.length - 1;
    /** @type {Record<string, number | undefined>} */
    const targets = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: last };
    const target = targets[event.key];
    if (event.key === "Enter" && this.#segments[from]) this.#seek(this.#segments[from].left);
    else if (target !== undefined) this.#choose(Math.min(Math.max(target, 0), last));
    else return;
    event.preventDefault();
  }

  #draw() {
    if (this.#segments.length === 0) return;
    this.#words();
    draw(this.#canvas, {
      segments: this.#segments,
      chapters: this.#chapters,
      levels: this.#levels,
      isAtRisk: (index) => this.#isAtRisk(index),
      chosen: this.#chosen,
    });
  }

  /** Says what the picture shows: of the chosen segment, else of all. */
  #words() {
    const words = this.#chosen === undefined ? this.#summary() : this.#describe(this.#chosen);
    setText(byId("bar-words"), words);
    const { playhead } = this.#levels;
    const now = this.#chosen ?? (playhead === null ? 0 : this.#at(playhead));
    this.#canvas.setAttribute("aria-valuenow", String(now + 1));
    this.#canvas.setAttribute("aria-valuetext", words);
  }

  #summary() {
    const { cells, playhead } = this.#levels;
    const words = [formatCount(this.#segments.length, "segment", "segments")];
    const held = cells.reduce((sum, cell) => sum + cell, 0) / Math.max(cells.length * 255, 1);
    words.push(`${formatShare(held)} here`);
    if (playhead !== null) words.push(`playing segment ${this.#at(playhead) + 1}`);
    const risky = this.#segments.filter((_, index) => this.#isAtRisk(index)).length;
    if (risky > 0) words.push(`${risky} at risk`);
    return words.join(" · ");
  }

  /** @param {number} index */
  #describe(index) {
    const segment = this.#segments[index];
    if (!segment) return "";
    const words = [`Segment ${index + 1} of ${this.#segments.length}: ${KINDS[segment.kind]}`];
    if (segment.time_ms !== null) {
      const end = segment.duration_ms === null ? "" : `–${formatDuration(segment.time_ms + segment.duration_ms)}`;
      words.push(`${formatDuration(segment.time_ms)}${end}`);
    }
    words.push(formatBytes(segment.length_bytes));
    words.push(`priority ${segment.priority}, ${PERIODS[segment.period]}`);
    words.push(`${formatShare((this.#levels.shares[index] ?? 0) / 255)} here`);
    if (this.#isAtRisk(index)) words.push("at risk: fewer than two peers here have the rest");
    return words.join(" · ");
  }

  /** Lists only what occurs. */
  #legend() {
    const kinds = /** @type {Segment["kind"][]} */ (Object.keys(KINDS));
    const has = (/** @type {(segment: Segment) => boolean} */ test) => this.#segments.some(test);
    /** @type {[string, string][]} */
    const entries = kinds.filter((kind) => has((segment) => segment.kind === kind))
      .map((kind) => [kind, KINDS[kind][0].toUpperCase() + KINDS[kind].slice(1)]);
    entries.push(["absent", "Not here yet"], ["playing", "Playing"], ["risk", "At risk"]);
    if (has((segment) => segment.period === "start")) entries.push(["start", "First of all"]);
    if (has((segment) => segment.period === "background")) entries.push(["background", "Spare capacity only"]);
    if (this.#chapters.length > 0) entries.push(["chapter", "Chapter"]);
    const isVaried = has((segment) => segment.priority !== this.#segments[0].priority);
    if (isVaried) entries.push(["tall", "Taller: more important"]);
    byId("bar-legend").replaceChildren(...entries.map(([name, text]) =>
      element("li", {}, element("span", { className: `swatch is-${name}` }), document.createTextNode(text))));
  }
}
