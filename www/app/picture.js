// @ts-check
// Draws the segments on a canvas; its colours are the page's `--bar-…` properties. Each origin has a colour and a pattern.

/** @import { Chapter, Levels, Placed } from "./types.js" */

/** Room for the mark of what is at risk, below the segments, in CSS pixels. */
const RISK_HEIGHT = 3;

/** The least important segment is this part of the height of the most important one. */
const LEAST_SHARE = 0.4;

const PRIORITY_MAX = 7;

/** How faintly what is not here is drawn. */
const ABSENT_ALPHA = 0.3;

/** Names of colours, by the number of the origin. */
const ORIGINS = ["absent", "device", "publisher", "viewer", "mirror"];

/** Edge of a pattern's tile. */
const TILE = 6;

/**
 * @typedef {object} Picture
 * @property {Placed[]} segments
 * @property {Chapter[]} chapters
 * @property {(chapter: Chapter) => number | null} chapterPlace
 * @property {Levels} levels
 * @property {number | null} playhead
 * @property {(index: number) => boolean} isAtRisk
 * @property {number | undefined} chosen the segment that is outlined
 */

/** @typedef {{from: number, to: number, share: number, origin: number}} Run a part of the picture, 0 to 1, and what of it is held */

/** @typedef {{left: number, top: number, wide: number, high: number}} Box */

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
  const pen = new Pen(context, width, height, getComputedStyle(canvas));
  picture.segments.forEach((segment, index) => {
    if (segment.to <= segment.from) return;
    const box = pen.box(segment);
    pen.block(box, segment, held(picture.levels, segment, index));
    if (picture.isAtRisk(index)) pen.risk(box);
    if (picture.chosen === index) pen.outline(box);
  });
  for (const chapter of picture.chapters) pen.chapter(picture.chapterPlace(chapter));
  if (picture.playhead !== null) pen.playhead(picture.playhead);
}

/**
 * What of a segment is here, part by part. Neighbouring parts that look the same are one.
 * @param {Levels} levels
 * @param {Placed} segment
 * @param {number} index
 * @returns {Run[]}
 */
function held({ cells, shares, cell_origins, segment_origins }, { left, right, from, to }, index) {
  const [first, end] = [Math.floor(left * cells.length), Math.ceil(right * cells.length)];
  // A cell that several segments share says little of each.
  if (end - first <= 2) return [{ from, to, share: (shares[index] ?? 0) / 255, origin: segment_origins[index] ?? 0 }];
  const scale = (to - from) / Math.max(right - left, Number.EPSILON);
  const place = (/** @type {number} */ cell) => from + (Math.min(Math.max(cell / cells.length, left), right) - left) * scale;
  /** @type {Run[]} */
  const runs = [];
  for (let cell = first; cell < end; cell += 1) {
    const [share, origin] = [(cells[cell] ?? 0) / 255, cell_origins[cell] ?? 0];
    const last = runs.at(-1);
    if (last && last.share === share && last.origin === origin) last.to = place(cell + 1);
    else runs.push({ from: place(cell), to: place(cell + 1), share, origin });
  }
  return runs;
}

class Pen {
  #context;
  #width;
  #height;
  #style;

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} width
   * @param {number} height
   * @param {CSSStyleDeclaration} style
   */
  constructor(context, width, height, style) {
    this.#context = context;
    this.#width = width;
    this.#height = height - RISK_HEIGHT - 1;
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
  box({ from, to, priority }) {
    const room = (to - from) * this.#width;
    const high = Math.round(this.#height * (LEAST_SHARE + ((1 - LEAST_SHARE) * priority) / PRIORITY_MAX));
    return { left: from * this.#width, top: this.#height - high, wide: Math.max(room > 3 ? room - 1 : room, 1), high };
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
    context.roundRect(box.left, box.top, box.wide, box.high, box.wide > 8 ? 2 : 0);
    context.clip();
    context.globalAlpha = ABSENT_ALPHA;
    this.fill("absent", box.left, box.top, box.wide, box.high);
    for (const { from, to, share, origin } of runs) {
      if (share === 0) continue;
      // Whole pixels, or seams would show between parts.
      const left = Math.floor(from * this.#width);
      const wide = Math.max(Math.ceil(to * this.#width) - left, 1);
      context.clearRect(left, box.top, wide, box.high);
      context.globalAlpha = ABSENT_ALPHA + (1 - ABSENT_ALPHA) * share;
      this.fill(ORIGINS[origin] ?? "absent", left, box.top, wide, box.high);
      this.#pattern(origin, left, box.top, wide, box.high);
    }
    context.globalAlpha = 1;
    if (segment.period === "background") this.#dashes("ground", box.left, box.top + 1, box.wide);
    if (segment.period === "start") this.fill("mark", box.left, box.top, box.wide, 2);
    context.restore();
  }

  /**
   * Tells origins apart without colour: viewers diagonal, mirrors upright, this device dotted, the publisher plain.
   * @param {number} origin
   * @param {number} left
   * @param {number} top
   * @param {number} wide
   * @param {number} high
   */
  #pattern(origin, left, top, wide, high) {
    const context = this.#context;
    context.save();
    context.beginPath();
    context.rect(left, top, wide, high);
    context.clip();
    context.strokeStyle = context.fillStyle = this.#colour("pattern");
    context.lineWidth = 1.5;
    context.beginPath();
    const start = Math.floor((left - high) / TILE) * TILE;
    for (let x = start; x < left + wide; x += TILE) {
      if (ORIGINS[origin] === "viewer") {
        context.moveTo(x, top + high);
        context.lineTo(x + high, top);
      } else if (ORIGINS[origin] === "mirror") {
        context.moveTo(x, top);
        context.lineTo(x, top + high);
      } else if (ORIGINS[origin] === "device") {
        for (let y = top + 3; y < top + high; y += TILE) context.fillRect(x, y, 2, 2);
      }
    }
    context.stroke();
    context.restore();
  }

  /**
   * @param {string} colour
   * @param {number} left
   * @param {number} y
   * @param {number} wide
   */
  #dashes(colour, left, y, wide) {
    for (let x = left; x < left + wide; x += 6) this.fill(colour, x, y, 3, 2);
  }

  /** @param {Box} box */
  risk({ left, wide }) {
    for (let x = left; x < left + wide; x += 5) {
      this.fill("risk", x, this.#height + 1, Math.min(3, left + wide - x), RISK_HEIGHT);
    }
  }

  /** @param {Box} box */
  outline({ left, top, wide, high }) {
    this.#context.strokeStyle = this.#colour("mark");
    this.#context.lineWidth = 2;
    this.#context.strokeRect(left, Math.max(top, 1), wide, high);
  }

  /** @param {number | null} place */
  chapter(place) {
    if (place === null || place <= 0) return;
    this.#context.clearRect(Math.round(place * this.#width) - 2, 0, 4, this.#height);
  }

  /** @param {number} place */
  playhead(place) {
    const x = Math.min(Math.max(place * this.#width, 3), this.#width - 3);
    this.fill("ground", x - 3, 0, 6, this.#height);
    this.fill("mark", x - 1.5, 0, 3, this.#height + RISK_HEIGHT);
  }
}
