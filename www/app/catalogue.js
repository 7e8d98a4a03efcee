// @ts-check
// The list of what is published at this tracker.

import { byId, element, setText } from "./dom.js";
import { formatBytes, formatCount, formatDuration } from "./format.js";

/**
 * A page of GET /v1/swarms. `next` names the one after it.
 * @typedef {object} Page
 * @property {Entry[]} swarms
 * @property {string} [next]
 */

/**
 * One entry of a page.
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

/** The tracker says who may not see the list, and why. */
class Refusal extends Error {}

/** How many pages are shown: one more with each click. */
let pages = 1;

/** Shows the list and keeps it fresh. */
export function startCatalogue() {
  byId("catalogue").hidden = false;
  byId("catalogue-more").addEventListener("click", () => {
    pages += 1;
    void refresh();
  });
  void refresh();
  setInterval(() => { if (!document.hidden) void refresh(); }, REFRESH_MS);
}

/** Whether the tracker gives its list to nobody without a permission. */
let isClosed = false;

async function refresh() {
  if (isClosed) return;
  const note = byId("catalogue-note");
  try {
    const { swarms, next } = await read();
    byId("catalogue-more").hidden = !next;
    setText(note, swarms.length > 0 ? "" : "Nothing yet. A publisher starts with: seeder seed FILE --tracker ADDRESS --list");
    note.hidden = swarms.length > 0;
    show(swarms);
  } catch (error) {
    note.hidden = false;
    if (error instanceof Refusal) {
      isClosed = true;
      setText(note, `This tracker shows no list: ${error.message}`);
      return;
    }
    const reason = error instanceof TypeError ? "it cannot be reached" : String(error);
    setText(note, `The tracker's list cannot be had just now: ${reason}. Trying again in ${REFRESH_MS / 1000} s …`);
  }
}

/**
 * The pages that are shown, as one. A page that did not change costs a few bytes: the browser asks by its tag.
 * @returns {Promise<Page>}
 */
async function read() {
  /** @type {Page} */
  const all = { swarms: [] };
  for (let page = 0; page < pages && (page === 0 || all.next); page += 1) {
    const response = await fetch(all.next ? `v1/swarms?after=${encodeURIComponent(all.next)}` : "v1/swarms");
    if (response.status === 401) throw new Refusal((await response.text()).trim());
    if (!response.ok) throw new Error(`it answered with status ${response.status}`);
    /** @type {Page} */
    const { swarms, next } = await response.json();
    all.swarms.push(...swarms);
    all.next = next;
  }
  return all;
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
  link.href = `./#${swarm}`;
  if (has_poster) addPoster(link, swarm);
  return { item: element("li", {}, link), facts };
}

/**
 * Adds the poster, which the browser gets only when it comes into view.
 * @param {HTMLElement} link
 * @param {string} swarm
 */
function addPoster(link, swarm) {
  const poster = element("img");
  poster.alt = "";
  poster.loading = "lazy";
  poster.onerror = () => poster.remove();
  link.prepend(poster);
  poster.src = `v1/manifests/${swarm}/poster`;
}
