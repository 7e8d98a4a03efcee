// @ts-check
// The person's word on uploading: on or off, how fast, how much. It is remembered. Where the browser says that data is dear,
// nothing is passed on until the person turns it on.

import { byId, notice, setText } from "./dom.js";
import { say } from "./first_words.js";
import { formatBytes } from "./format.js";
import { recall, remember } from "./memory.js";

/** @import { Upload } from "./types.js" */

/** @typedef {EventTarget & {saveData?: boolean, type?: string}} Connection what some browsers tell of the network */

/** How often what was sent is written down. */
const NOTE_INTERVAL_MS = 5000;

/** Controls that are remembered, with what holds until the person says otherwise. */
const CHOICES = /** @type {const} */ ({ "sharing-cap": "0", "sharing-visit": "0", "sharing-month": "0" });

export class Sharing {
  #apply;
  #applied = "";
  #sentBytes = 0;
  #receivedBytes = 0;
  #notedBytes = 0;
  #notedAt = 0;
  #on = byId("sharing-on", HTMLInputElement);
  #hidden = byId("sharing-hidden", HTMLInputElement);

  /** @param {(limit: Upload) => void} apply */
  constructor(apply) {
    this.#apply = apply;
    byId("sharing", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
    for (const [id, usual] of Object.entries(CHOICES)) {
      const select = byId(id, HTMLSelectElement);
      select.value = recall(id) ?? usual;
      if (select.selectedIndex < 0) select.value = usual;
      this.#hear(select, () => remember(id, select.value));
    }
    this.#hidden.checked = recall("sharing-hidden") === "on";
    this.#hear(this.#hidden, () => remember("sharing-hidden", this.#hidden.checked ? "on" : "off"));
    this.#hear(this.#on, () => {
      remember("sharing", this.#on.checked ? "on" : "off");
      notice("metered", "");
    });
    addEventListener("visibilitychange", () => this.#change());
    addEventListener("pagehide", () => this.#note());
    connection()?.addEventListener("change", () => this.#heedNetwork());
    this.#heedNetwork();
  }

  /**
   * So much was passed on in this visit, and so much was received.
   * @param {number} bytes
   * @param {number} receivedBytes
   */
  sent(bytes, receivedBytes) {
    this.#sentBytes = bytes;
    this.#receivedBytes = receivedBytes;
    if (performance.now() - this.#notedAt > NOTE_INTERVAL_MS) this.#note();
    this.#change();
  }

  /**
   * @param {HTMLElement} control
   * @param {() => void} keep
   */
  #hear(control, keep) {
    control.addEventListener("change", () => {
      keep();
      this.#change();
    });
  }

  /** On a metered connection nothing is passed on, unless the person said so. */
  #heedNetwork() {
    const isMetered = isConnectionMetered();
    this.#on.checked = (recall("sharing") ?? (isMetered ? "off" : "on")) === "on";
    const isHeld = isMetered && !this.#on.checked;
    notice("metered", isHeld ? () => say("sharing_metered") : "");
    this.#change();
  }

  /** Adds to the month's account what it lacks: other tabs write there, too. */
  #note() {
    this.#notedAt = performance.now();
    if (this.#sentBytes === this.#notedBytes) return;
    remember(month(), String(sentThisMonth() + this.#sentBytes - this.#notedBytes));
    this.#notedBytes = this.#sentBytes;
  }

  /** Says what was sent, and applies what follows. */
  #change() {
    const monthBytes = sentThisMonth() + this.#sentBytes - this.#notedBytes;
    const visit = part(this.#sentBytes, "sharing-visit");
    const ofMonth = part(monthBytes, "sharing-month");
    const isSpent = visit.isSpent || ofMonth.isSpent;
    setText(byId("sharing-sent"), () => say(isSpent ? "sharing_spent" : "sharing_sent",
      { visit: visit.words(), month: ofMonth.words(), received: formatBytes(this.#receivedBytes) }));
    const isPaused = this.#hidden.checked && document.hidden;
    const bits = Number(byId("sharing-cap", HTMLSelectElement).value);
    byId("sharing-cap", HTMLSelectElement).disabled = !this.#on.checked;
    const isOff = !this.#on.checked || isSpent || isPaused;
    /** @type {Upload} */
    const limit = isOff ? { mode: "off" } : bits > 0 ? { mode: "capped", bits_per_s: bits } : { mode: "unlimited" };
    const text = JSON.stringify(limit);
    if (text === this.#applied) return;
    this.#applied = text;
    this.#apply(limit);
  }
}

/**
 * What was sent of a budget, in words, and whether it is spent.
 * @param {number} bytes
 * @param {string} id of the budget's control
 */
function part(bytes, id) {
  const budget = Number(byId(id, HTMLSelectElement).value);
  const words = () => (budget > 0 ? say("part_of", { part: formatBytes(bytes), whole: formatBytes(budget) }) : formatBytes(bytes));
  return { words, isSpent: budget > 0 && bytes >= budget };
}

/** The name under which the month's account is remembered. */
function month() {
  const now = new Date();
  return `sent-${now.getFullYear()}-${now.getMonth() + 1}`;
}

function sentThisMonth() {
  const bytes = Number(recall(month()) ?? 0);
  return Number.isFinite(bytes) ? bytes : 0;
}

/** @returns {Connection | undefined} */
function connection() {
  return /** @type {{connection?: Connection}} */ (navigator).connection;
}

function isConnectionMetered() {
  const network = connection();
  return network?.saveData === true || network?.type === "cellular";
}
