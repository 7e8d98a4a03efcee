// @ts-check
// Notices that no peer is connected, and then says why and where the film comes from. What it says is app/diagnosis.js, which
// is loaded when it is needed.

import { notice } from "./dom.js";

/** @import { Diagnosis, PeerStats } from "./types.js" */

/** Peers have this long to connect before anything is said about them. */
const PATIENCE_MS = 6000;

/** How often the words may change. */
const INTERVAL_MS = 1000;

export class Reach {
  #diagnose;
  /** @type {number | undefined} since when no link has been open */
  #aloneSince;
  #asked = -Infinity;

  /** @param {() => Promise<Diagnosis>} diagnose */
  constructor(diagnose) {
    this.#diagnose = diagnose;
  }

  /**
   * @param {number} now
   * @param {PeerStats} stats
   */
  account(now, { links, bytes_total, bytes_verified }) {
    const isWhole = bytes_total > 0 && bytes_verified === bytes_total;
    if (isWhole || links.some(({ state }) => state === "open")) {
      this.#aloneSince = undefined;
      return notice("reach", "");
    }
    this.#aloneSince ??= now;
    if (now - this.#aloneSince < PATIENCE_MS || now - this.#asked < INTERVAL_MS) return;
    this.#asked = now;
    void this.#say();
  }

  async #say() {
    const { words, is_blocked, mirror } = await this.#diagnose();
    // Without a mirror and without peers the page says already what it waits for.
    const isWorthSaying = is_blocked || mirror.why !== "none";
    if (this.#aloneSince !== undefined) notice("reach", isWorthSaying ? words : "");
  }
}
