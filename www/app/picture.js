// @ts-check
// Draws the segment bar on a canvas; its colours are the page's `--bar-…` properties.

/** @import { Chapter, Levels, Placed } from "./types.js" */

/** Sizes of the picture, in CSS pixels from its top. */
const TOP = 9;
const BOTTOM = 41;
const LEAST_HEIGHT = 12;
const RISK_TOP = 44;
const RISK_HEIGHT = 3;

const PRIORITY_MAX = 7;

/** How faintly what is not here is drawn. */
const ABSENT_ALPHA = 0.24;

/**
 * @typedef {object} Picture
 * @property {Placed[]} segments
 * @property {Chapter[]} chapters
 * @property {Levels} levels
 * @property {(index: number) => boolean} isAtRisk
 * @property {number | undefined} chosen the segment that is outlined
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Picture} picture
 */
export function draw(canvas, picture) {
  const context = canvas.getContext("2d");
  if (!context) return;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const size = { width: Math.round(width * devicePixelRatio), height: Math.round(height * devicePixelRatio) };
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.clearRect(0, 0, width, height);
  const pen = new Pen(context, width, getComputedStyle(canvas));
  picture.segments.forEach((segment, index) => {
    const box = pen.box(segment);
    pen.block(box, segment, held(picture.levels, segment, index));
    if (picture.isAtRisk(index)) pen.fill("risk", box.left, RISK_TOP, box.wide, RISK_HEIGHT);
    if (picture.chosen === index) pen.outline(box);
  });
  pen.chapters(picture.chapters);
  if (picture.levels.playhead !== null) pen.playhead(picture.levels.playhead);
}

/** @typedef {{left: number, top: number, wide: number, high: number}} Box */

/** @typedef {{from: number, to: number, share: number}} Run a part of the content, 0 to 1, with the share held */

/**
 * What of a segment is here, part by part.
 * @param {Levels} levels
 * @param {Placed} segment
 * @param {number} index
 * @returns {Run[]}
 */
function held({ cells, shares }, { left, right }, index) {
  const [first, end] = [Math.floor(left * cells.length), Math.ceil(right * cells.length)];
  // A cell that several segments share says little of each.
  if (end - first <= 2) return [{ from: left, to: right, share: (shares[index] ?? 0) / 255 }];
  return Array.from(cells.subarray(first, end), (share, offset) => ({
    from: Math.max((first + offset) / cells.length, left),
    to: Math.min((first + offset + 1) / cells.length, right),
    share: share / 255,
  }));
}

class Pen {
  #context;
  #width;
  #style;

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} width
   * @param {CSSStyleDeclaration} style
   */
  constructor(context, width, style) {
    this.#context = context;
    this.#width = width;
    this.#style = style;
  }

  /** @param {string} name */
  #colour(name) {
    return this.#style.getPropertyValue(`--bar-${name}`);
  }

  /**
   * @param {Placed} segment
   * @returns {Box}
   */
  box({ left, right, priority }) {
    const room = (right - left) * this.#width;
    const high = LEAST_HEIGHT + ((BOTTOM - TOP - LEAST_HEIGHT) * priority) / PRIORITY_MAX;
    return { left: left * this.#width, top: BOTTOM - high, wide: Math.max(room > 3 ? room - 1 : room, 1), high };
  }

  /**
   * @param {string} colour
   * @param {number} left
   * @param {number} top
   * @param {number} wide
   * @param {number} high
   */
  fill(colour, left, top, wide, high) {
    this.#context.fillStyle = this.#colour(colour);
    this.#context.fillRect(left, top, wide, high);
  }

  /**
   * @param {Box} box
   * @param {Placed} segment
   * @param {Run[]} runs
   */
  block(box, segment, runs) {
    const context = this.#context;
    context.save();
    context.beginPath();
    context.roundRect(box.left, box.top, box.wide, box.high, box.wide > 8 ? 3 : 0);
    context.clip();
    context.globalAlpha = ABSENT_ALPHA;
    this.fill(segment.kind, box.left, box.top, box.wide, box.high);
    for (const { from, to, share } of runs) {
      if (share === 0) continue;
      // Whole pixels, or seams would show between parts.
      const left = Math.floor(from * this.#width);
      const wide = Math.max(Math.ceil(to * this.#width) - left, 1);
      context.clearRect(left, box.top, wide, box.high);
      context.globalAlpha = ABSENT_ALPHA + (1 - ABSENT_ALPHA) * share;
      this.fill(segment.kind, left, box.top, wide, box.high);
    }
    context.globalAlpha = 1;
    if (segment.period === "background") this.#hatch(box);
    if (segment.period === "start") this.fill("mark", box.left, box.top, box.wide, 2);
    context.restore();
  }

  /** @param {Box} box */
  #hatch({ left, top, wide, high }) {
    const context = this.#context;
    context.strokeStyle = this.#colour("ground");
    context.lineWidth = 1.5;
    context.beginPath();
    for (let x = left - high; x < left + wide; x += 6) {
      context.moveTo(x, top + high);
      context.lineTo(x + high, top);
    }
    context.stroke();
  }

  /** @param {Box} box */
  outline({ left, top, wide, high }) {
    this.#context.strokeStyle = this.#colour("mark");
    this.#context.lineWidth = 1.5;
    this.#context.strokeRect(left - 0.5, top - 1.5, wide + 1, high + 3);
  }

  /** @param {Chapter[]} chapters */
  chapters(chapters) {
    for (const { place } of chapters) {
      if (place !== null) this.fill("quiet", Math.min(place * this.#width, this.#width - 2), 1, 2, TOP - 3);
    }
  }

  /** @param {number} place */
  playhead(place) {
    const x = Math.min(Math.max(place * this.#width, 5), this.#width - 5);
    const [top, high] = [TOP - 4, BOTTOM - TOP + 8];
    this.fill("ground", x - 2, top, 4, high);
    this.fill("mark", x - 1, top, 2, high);
    this.#context.beginPath();
    this.#context.arc(x, 5, 4.5, 0, 2 * Math.PI);
    this.#context.fill();
  }
}
