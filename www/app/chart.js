// @ts-check
// The chart of the last minutes: what came, by source, above the line; what was passed on, below it.

/** Seconds that are shown: as few of these as hold all samples. */
const SPANS = [60, 120, 300];

export const SAMPLES_MAX = 300;

/** @param {number} count of samples */
export function spanSeconds(count) {
  return SPANS.find((span) => count <= span) ?? SAMPLES_MAX;
}

/**
 * @typedef {object} Sample bytes in one second
 * @property {number} publisher
 * @property {number} viewers
 * @property {number} mirrors
 * @property {number} sent
 */

/** What came, from the line upwards. @type {["publisher" | "viewers" | "mirrors", string][]} */
const LAYERS = [["publisher", "publisher"], ["viewers", "viewer"], ["mirrors", "mirror"]];

/** Room at the bottom for the words of the time line. */
const FOOT = 18;

const SMALLEST_TOP = 50_000;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Sample[]} samples one a second, the last is now
 * @param {{now: string, ago: string, received: (rate: number) => string, sent: (rate: number) => string}} words
 */
export function drawChart(canvas, samples, words) {
  const context = canvas.getContext("2d");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!context || width === 0) return;
  Object.assign(canvas, { width: Math.round(width * devicePixelRatio), height: Math.round(height * devicePixelRatio) });
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  const style = getComputedStyle(canvas);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(`--bar-${name}`);
  const top = Math.max(SMALLEST_TOP, ...samples.map(({ publisher, viewers, mirrors }) => publisher + viewers + mirrors));
  const below = Math.max(SMALLEST_TOP, ...samples.map(({ sent }) => sent));
  const room = height - FOOT;
  // Both sides have the same scale, and room for their words.
  const line = Math.min(Math.round((room * top) / (top + below)), room - FOOT);
  const scale = Math.min((line - 4) / top, (room - line) / below);
  const step = width / (spanSeconds(samples.length) - 1);
  const x = (/** @type {number} */ index) => width - (samples.length - 1 - index) * step;
  /** @param {string} name @param {number[]} from @param {number[]} to */
  const area = (name, from, to) => {
    context.beginPath();
    to.forEach((value, index) => context.lineTo(x(index), line - value * scale));
    for (let index = from.length - 1; index >= 0; index -= 1) context.lineTo(x(index), line - (from[index] ?? 0) * scale);
    context.closePath();
    context.fillStyle = colour(name);
    context.fill();
  };
  let base = samples.map(() => 0);
  for (const [field, name] of LAYERS) {
    const next = samples.map((sample, index) => (base[index] ?? 0) + sample[field]);
    area(name, base, next);
    base = next;
  }
  area("sent", samples.map(() => 0), samples.map(({ sent }) => -sent));
  context.fillStyle = colour("quiet");
  context.fillRect(0, line, width, 1);
  context.direction = "ltr";
  context.font = `12px ${style.fontFamily}`;
  context.textBaseline = "top";
  context.fillText(words.received(top), 4, 2);
  context.textBaseline = "bottom";
  context.fillText(words.sent(below), 4, room - 2);
  context.fillText(words.ago, 4, height);
  context.textAlign = "right";
  context.fillText(words.now, width - 4, height);
}
