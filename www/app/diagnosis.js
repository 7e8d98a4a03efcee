// @ts-check
// Says which ways bring the film to this page (a direct connection, a relay, a mirror) and why the others do not. Draws its
// conclusions from what connections and mirrors told; tries nothing itself.

import { reason } from "./say.js";
import { say } from "./words.js";

/** @import { Diagnosis, Finding, MirrorStats, Network, PeerStats, Way } from "./types.js" */

/**
 * @typedef {object} Known
 * @property {PeerStats} stats
 * @property {Iterable<Way>} ways how each open connection runs
 * @property {Network} network
 * @property {boolean} isTrackerUp
 * @property {boolean} isWithheld whether the tracker connects this viewer with no peer
 *
 * @typedef {{known: Known, direct: number, relayed: number}} Counted
 */

/**
 * @param {Known} known
 * @returns {Diagnosis}
 */
export function diagnose(known) {
  const ways = [...known.ways];
  const relayedCount = ways.filter(({ is_relayed }) => is_relayed).length;
  const counted = { known, direct: ways.length - relayedCount, relayed: relayedCount };
  const [direct, relayed, mirror] = [directly(counted), byRelay(counted), byMirror(counted)];
  const works = (/** @type {Finding} */ { state }) => state === "works";
  /** @type {Diagnosis["source"]} */
  const source = works(direct) ? "direct" : works(relayed) ? "relayed" : works(mirror) ? "mirror" : null;
  const { network } = known;
  const is_blocked = network.opened === 0 && network.failed.no_path + network.failed.relay_failed > 0;
  const found = { source, is_blocked, direct, relayed, mirror, network };
  return { ...found, words: summary(found, known) };
}

/**
 * @param {Counted} counted
 * @returns {Finding}
 */
function directly({ known: { network, isTrackerUp, isWithheld }, direct }) {
  const { attempts, failed, gathered, has_stun } = network;
  if (direct > 0) return finding("works", "connected", say("direct_works"));
  if (isWithheld) return finding("unused", "withheld", say("direct_withheld"));
  if (attempts === 0) return isTrackerUp ? finding("unused", "no_peer", say("no_peer")) : finding("fails", "no_tracker", say("no_tracker"));
  if (network.is_relay_required) return finding("unused", "relay_required", say("direct_relay_required"));
  if (failed.no_path + failed.relay_failed > 0) {
    // A machine with a public address has no `srflx` of its own, but it has an address at the relay if it reaches that.
    const isUnanswered = network.unreachable.length > 0 || (network.has_relay && !gathered.includes("relay"));
    const isMute = has_stun && !gathered.includes("srflx") && isUnanswered;
    return isMute ? finding("fails", "no_udp", say("direct_no_udp")) : finding("fails", "no_path", say("direct_no_path"));
  }
  if (failed.unanswered > 0) return finding("fails", "unanswered", say("direct_unanswered"));
  if (network.opened > 0) return finding("unused", "gone", say("direct_gone"));
  return finding("trying", "trying", say("direct_trying"));
}

/**
 * @param {Counted} counted
 * @returns {Finding}
 */
function byRelay({ known: { network }, direct, relayed }) {
  const { attempts, failed, gathered, has_relay } = network;
  if (relayed > 0) return finding("works", "connected", say("relay_works"));
  if (attempts === 0) return finding("unused", "untried", say("relay_untried"));
  if (!has_relay) return finding("unused", "none", say("relay_none"));
  if (direct > 0) return finding("unused", "unneeded", say("relay_unneeded"));
  if (!gathered.includes("relay")) {
    const isRefused = network.unreachable.some((url) => url.startsWith("turn")) || failed.no_path + failed.relay_failed > 0;
    return isRefused ? finding("fails", "unreachable", say("relay_unreachable")) : finding("trying", "trying", say("relay_trying"));
  }
  if (failed.relay_failed > 0) return finding("fails", "no_path", say("relay_no_path"));
  return finding("trying", "trying", say("relay_trying"));
}

/**
 * @param {Counted} counted
 * @returns {Finding}
 */
function byMirror({ known: { stats: { mirrors } }, direct, relayed }) {
  const source = sender(mirrors);
  if (source) return finding("works", "sends", say("mirror_works", { host: source.host }));
  if (mirrors.length === 0) return finding("unused", "none", say("mirror_none"));
  const failed = mirrors.filter(({ word }) => word !== null).map(({ host, word }) => say("mirror_reason", { host, word: reason(word ?? "") }));
  if (failed.length > 0) return finding("fails", "failing", say("mirror_fails", { reasons: failed.join("; ") }));
  return direct + relayed > 0 ? finding("unused", "unneeded", say("mirror_unneeded")) : finding("trying", "trying", say("mirror_trying"));
}

/**
 * The line for the page: how peers are reached, then where the film comes from.
 * @param {Omit<Diagnosis, "words">} found
 * @param {Known} known
 */
function summary({ source, is_blocked, direct, relayed, mirror, network }, { stats }) {
  if (source === "direct") return say("reach_direct");
  if (source === "relayed") return `${say(is_blocked || direct.state === "fails" ? "reach_no_direct" : "reach_relayed")} ${relayed.words}`;
  const peers = is_blocked ? say("reach_blocked") : network.opened > 0 ? say("no_peer") : direct.words;
  const host = sender(stats.mirrors)?.host;
  if (host) return `${peers} ${say("reach_from", { host })}`;
  if (mirror.why !== "none") return `${peers} ${mirror.words}`;
  return is_blocked ? `${peers} ${relayed.words} ${say("reach_advice")}` : peers;
}

/**
 * The mirror that has sent something and may send more.
 * @param {MirrorStats[]} mirrors
 */
function sender(mirrors) {
  return mirrors.find(({ state, received }) => state !== "lost" && received > 0);
}

/**
 * @param {Finding["state"]} state
 * @param {string} why
 * @param {string} words
 * @returns {Finding}
 */
function finding(state, why, words) {
  return { state, why, words };
}
