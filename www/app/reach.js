// @ts-check
// Where the film comes from when no peer sends it, in words for viewers.

/** @import { MirrorStats, PeerStats } from "./types.js" */

/** Peers have this long to connect before anything is said about them. */
const PATIENCE_MS = 6000;

export class Reach {
  /** @type {number | undefined} since when no link has been open */
  #aloneSince;
  #wasIntroduced = false;

  /**
   * @param {number} now
   * @param {PeerStats} stats
   * @returns {string} empty while there is nothing to say
   */
  words(now, { links, mirrors, bytes_total, bytes_verified }) {
    if (links.length > 0) this.#wasIntroduced = true;
    if (links.some(({ state }) => state === "open")) {
      this.#aloneSince = undefined;
      this.#wasIntroduced = false;
      return "";
    }
    this.#aloneSince ??= now;
    const isWhole = bytes_total > 0 && bytes_verified === bytes_total;
    if (now - this.#aloneSince < PATIENCE_MS || mirrors.length === 0 || isWhole) return "";
    const peers = this.#wasIntroduced
      ? "This network lets no peer connection through"
      : "No other viewer and no seeder is here";
    const source = mirrors.find(({ state, received }) => state !== "lost" && received > 0);
    return source ? `${peers}; the film comes from ${source.host}.` : `${peers}. ${failures(mirrors)}`;
  }
}

/** @param {MirrorStats[]} mirrors */
function failures(mirrors) {
  const said = mirrors.filter(({ word }) => word !== null).map(({ host, word }) => `${host} ${word}`);
  return said.length > 0 ? `The mirrors do not help: ${said.join("; ")}.` : "The mirrors are asked.";
}
