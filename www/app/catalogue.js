// @ts-check
// The list of what is published at this tracker.

import { byId, element, setText } from "./dom.js";
import { formatBytes, formatCount, formatDuration } from "./format.js";

/**
 * One entry of GET /v1/swarms.
 * @typedef {object} Entry
 * @property {string} swarm
 * @property {string} name
 * @property {string | null} [title]
 * @property {string} media_type
 * @property {number} length_bytes
 * @property {number | null} [duration_ms]
 * @property {boolean} has_poster
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
    show(swarms);
  } catch (error) {
    note.hidden = false;
    const reason = error instanceof TypeError ? "it cannot be reached" : String(error);
    setText(note, `The tracker's list cannot be had just now: ${reason}. Trying again in ${REFRESH_MS / 1000} s …`);
  }
}

/** What is shown, by swarm: kept, so that nothing flickers and no picture is asked for twice.
 * @type {Map<string, {item: HTMLElement, facts: HTMLElement}>} */
const shown = new Map();

/** @param {Entry[]} swarms */
function show(swarms) {
  const items = swarms.map((entry) => {
    const known = shown.get(entry.swarm) ?? item(entry);
    shown.set(entry.swarm, known);
    setText(known.facts, facts(entry));
    return known.item;
  });
  const list = byId("catalogue-list");
  const isSame = items.length === list.children.length && items.every((item, index) => item === list.children[index]);
  if (!isSame) list.replaceChildren(...items);
}

/** @param {Entry} entry */
function facts({ length_bytes, duration_ms, leechers, seeders }) {
  const facts = [formatBytes(length_bytes), formatCount(leechers + seeders, "peer", "peers")];
  if (duration_ms) facts.unshift(formatDuration(duration_ms));
  return facts.join(" · ");
}

/** @param {Entry} entry */
function item({ swarm, name, title, has_poster }) {
  const facts = element("span", { className: "quiet" });
  const text = element("span", { className: "entry-text" }, element("strong", { text: title || name }), facts);
  const link = element("a", {}, text);
  link.href = `/#${swarm}`;
  if (has_poster) addPoster(link, swarm);
  return { item: element("li", {}, link), facts };
}

/**
 * Adds the poster once it is here, so that the list does not wait for it.
 * @param {HTMLElement} link
 * @param {string} swarm
 */
function addPoster(link, swarm) {
  const poster = element("img");
  poster.alt = "";
  poster.onload = () => link.prepend(poster);
  poster.src = `/v1/manifests/${swarm}/poster`;
}
