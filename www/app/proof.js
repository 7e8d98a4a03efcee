// @ts-check
// The panel that shows where what is watched comes from: a sentence, a chart of the last minutes, a table, the connections.

import { SAMPLES_MAX, drawChart, spanSeconds } from "./chart.js";
import { copyButton } from "./copying.js";
import { element, setText } from "./dom.js";
import { formatAgo, formatBytes, formatNow, formatRate, formatShare, formatSpan } from "./format.js";
import { make } from "./make.js";
import { Peers } from "./peers.js";
import { ReachLines } from "./reach_lines.js";
import { say } from "./words.js";

/** @import { Sample } from "./chart.js" */
/** @import { PeerStats, Way } from "./types.js" */
/** @import { Visit } from "./watching.js" */

/** How often ways are asked for while the panel is open. */
const WAYS_INTERVAL_MS = 3000;

/** Rates of the table are means over this many samples. */
const RATE_SAMPLES = 3;

const FIELDS = /** @type {const} */ ({ publisher: "from_initial", viewers: "from_peers", mirrors: "from_mirrors", sent: "uploaded" });

/** Rows of the table with the names of their swatches. @type {["publisher" | "viewers" | "mirrors" | "device" | "sent", string][]} */
const ROWS = [["publisher", "publisher"], ["viewers", "viewer"], ["mirrors", "mirror"], ["device", "device"], ["sent", "sent"]];

export class Proof {
  #visit;
  /** @type {PeerStats | undefined} */
  #stats;
  /** @type {Sample[]} */
  #samples = [];
  /** The second of the last sample. */
  #second = 0;
  /** @type {Map<number, Way>} */
  #ways = new Map();
  #asked = -Infinity;
  #sentence = element("span", { className: "proof-sentence", text: say("proof_none") });
  #canvas = element("canvas", { className: "chart" });
  #rows = new Map(ROWS.map(([key, swatch]) => [key, row(key, swatch)]));
  #peers = new Peers();
  #reach = new ReachLines();
  panel;

  /**
   * @param {Visit} visit
   * @param {Node} segments words and legend of the timeline
   */
  constructor(visit, segments) {
    this.#visit = visit;
    this.#canvas.setAttribute("role", "img");
    const heads = [say("source"), say("now"), say("total"), say("share")].map((text, index) => {
      const head = element("th", { text, className: index > 0 ? "number" : "" });
      head.scope = "col";
      return head;
    });
    const table = element("table", { className: "sources" }, element("caption", { text: say("proof") }),
      element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...[...this.#rows.values()].map(({ line }) => line)));
    const sources = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": say("proof") }, table);
    const report = copyButton(say("report"), async () =>
      ({ text: JSON.stringify(await this.report(), null, 2), done: say("report_copied") }));
    const summary = element("summary", {}, element("h2", { text: say("proof") }), this.#sentence);
    const body = element("div", { className: "proof-body" }, this.#canvas, sources, segments,
      this.#reach.section, this.#peers.section, report);
    const panel = element("details", { className: "proof" }, summary, body);
    panel.id = "proof";
    panel.addEventListener("toggle", () => this.#draw());
    this.panel = panel;
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
  }

  /**
   * @param {number} at when that was, in ms of the page's clock
   * @param {PeerStats} stats
   */
  stats(at, stats) {
    const isNewSecond = this.#note(Math.floor(at / 1000), stats);
    this.#stats = stats;
    setText(this.#sentence, sentence(stats, this.#deviceBytes()));
    if (isNewSecond) this.#draw();
  }

  /** All that is known, for whom a person asks for help. */
  async report() {
    const stats = await this.#visit.fresh();
    const ways = Object.fromEntries(await this.#visit.ways());
    const seconds = this.#samples.map(({ publisher, viewers, mirrors, sent }) => [publisher, viewers, mirrors, sent]);
    return {
      at: new Date().toISOString(), agent: navigator.userAgent, stats, ways, failures: this.#visit.failures(),
      diagnosis: await this.#visit.diagnose(),
      history: { columns: ["publisher", "viewers", "mirrors", "sent"], bytes_each_second: seconds },
    };
  }

  /** What an earlier visit stored and this one did not fetch. */
  #deviceBytes() {
    const stats = this.#stats;
    if (!stats) return 0;
    return Math.max(stats.bytes_verified - stats.from_initial - stats.from_peers - stats.from_mirrors, 0);
  }

  /**
   * Adds what came since the last account to this second's sample.
   * @param {number} second
   * @param {PeerStats} stats
   * @returns {boolean} whether a second began
   */
  #note(second, stats) {
    const last = this.#second;
    if (this.#samples.length === 0) this.#second = second - 1;
    const missing = Math.min(second - this.#second, SAMPLES_MAX);
    for (let count = 0; count < missing; count += 1) this.#samples.push({ publisher: 0, viewers: 0, mirrors: 0, sent: 0 });
    this.#samples = this.#samples.slice(-SAMPLES_MAX);
    this.#second = second;
    const [sample, before] = [this.#samples.at(-1), this.#stats];
    for (const key of /** @type {(keyof Sample)[]} */ (Object.keys(FIELDS))) {
      if (sample) sample[key] += Math.max(stats[FIELDS[key]] - (before?.[FIELDS[key]] ?? 0), 0);
    }
    return second !== last;
  }

  #draw() {
    if (!this.panel.open || !this.#stats || document.hidden) return;
    const now = performance.now();
    if (now - this.#asked > WAYS_INTERVAL_MS) {
      this.#asked = now;
      void this.#visit.ways().then((ways) => { this.#ways = ways; });
      void this.#visit.diagnose().then((diagnosis) => this.#reach.show(diagnosis));
    }
    this.#peers.show(this.#stats, this.#ways, this.#visit.failures());
    this.#table(this.#stats);
    const ago = formatAgo(spanSeconds(this.#samples.length) * 1000);
    // This second is not over.
    drawChart(this.#canvas, this.#samples.slice(0, -1), {
      now: formatNow(), ago,
      received: (rate) => say("chart_in", { rate: formatRate(rate) }),
      sent: (rate) => say("chart_out", { rate: formatRate(rate) }),
    });
    const sum = (/** @type {keyof Sample} */ key) => formatBytes(this.#samples.reduce((all, sample) => all + sample[key], 0));
    const time = formatSpan(this.#samples.length * 1000);
    this.#canvas.setAttribute("aria-label", say("chart_label",
      { time, publisher: sum("publisher"), viewers: sum("viewers"), mirrors: sum("mirrors"), sent: sum("sent") }));
  }

  /** @param {PeerStats} stats */
  #table(stats) {
    const recent = this.#samples.slice(-1 - RATE_SAMPLES, -1);
    const device = this.#deviceBytes();
    const all = stats.from_initial + stats.from_peers + stats.from_mirrors + device;
    for (const [key, { line, cells: [rate, total, share] }] of this.#rows) {
      const bytes = key === "device" ? device : stats[FIELDS[key]];
      const mean = key === "device" ? 0 : recent.reduce((sum, sample) => sum + sample[key], 0) / Math.max(recent.length, 1);
      line.hidden = bytes === 0 && (key === "mirrors" || key === "device");
      setText(rate, formatRate(mean));
      setText(total, formatBytes(bytes));
      setText(share, key === "sent" || all === 0 ? "–" : formatShare(bytes / all));
    }
  }
}

/**
 * @param {PeerStats} stats
 * @param {number} deviceBytes
 */
function sentence({ from_initial, from_peers, from_mirrors, uploaded }, deviceBytes) {
  const came = from_initial + from_peers + from_mirrors;
  const passed = uploaded > 0 ? ` ${say("proof_passed", { bytes: formatBytes(uploaded) })}` : "";
  if (came === 0) return say(deviceBytes > 0 ? "proof_device" : "proof_none") + passed;
  if (from_peers === 0) return say(from_mirrors > 0 ? "proof_mirror" : "proof_alone") + passed;
  return say("proof_share", { share: formatShare(from_peers / came) }) + passed;
}

/**
 * @param {"publisher" | "viewers" | "mirrors" | "device" | "sent"} key
 * @param {string} swatch
 */
function row(key, swatch) {
  const name = make("th", { scope: "row" }, element("span", { className: `swatch is-${swatch}` }), document.createTextNode(` ${say(key)}`));
  const cells = [0, 1, 2].map(() => element("td", { className: "number" }));
  return { line: element("tr", {}, name, ...cells), cells };
}
