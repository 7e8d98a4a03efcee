// @ts-check
// The list of what is published at this tracker.

import { byId, element, setText } from "./dom.js";
import { formatBytes, formatCount, formatDuration } from "./format.js";

/**
 * One entry of GET /v1/swarms.
 * @typedef {object} Entry
 * @property {string} swarm
 * @property {string} name
 * @property {string} media_type
 * @property {number} length_bytes
 * @property {number | null} [duration_ms]
 * @property {number} seeders
 * @property {number} leechers
 */

/** How often the list is asked for again while it is looked at. */
const REFRESH_MS = 5000;

/** Shows the list and keeps it fresh. */
export function startCatalogue() {
  byId("catalogue").hidden = false;
  void refresh();
  setInterval(() => { if (!document.hidden) void refresh(); }, REFRESH_MS);
}

async function refresh() {
  const note = byId("catalogue-note");
  try {
    const response = await fetch("/v1/swarms");
    if (!response.ok) throw new Error(`it answered with status ${response.status}`);
    /** @type {Entry[]} */
    const swarms = await response.json();
    setText(note, swarms.length > 0 ? "" : "Nothing yet. A publisher starts with: seeder seed FILE --tracker ADDRESS");
    note.hidden = swarms.length > 0;
    byId("catalogue-list").replaceChildren(...swarms.map(item));
  } catch (error) {
    note.hidden = false;
    const reason = error instanceof TypeError ? "it cannot be reached" : String(error);
    setText(note, `The tracker's list cannot be had just now: ${reason}. Trying again in ${REFRESH_MS / 1000} s …`);
  }
}

/** @param {Entry} entry */
function item(entry) {
  const facts = [formatBytes(entry.length_bytes)];
  if (entry.duration_ms) facts.push(formatDuration(entry.duration_ms));
  facts.push(formatCount(entry.leechers + entry.seeders, "peer", "peers"));
  const link = element("a", {},
    element("strong", { text: entry.name }), element("span", { className: "quiet", text: facts.join(" · ") }));
  link.href = `/#${entry.swarm}`;
  return element("li", {}, link);
}
