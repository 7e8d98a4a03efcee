// @ts-check
// The list of what is published at this tracker: searched, sorted, a page at a time, and fresh.

import { byId, element, setText } from "./dom.js";
import { formatBytes, formatDuration } from "./format.js";
import { recall, remember } from "./memory.js";
import { reason } from "./say.js";
import { say } from "./words.js";

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

/** How long after the last letter a search begins. */
const TYPING_MS = 250;

/** The tracker says who may not see the list, and why. */
class Refusal extends Error {}

/** How many pages are shown: one more with each click. */
let pages = 1;

/** Counts what was asked for, so that an answer that another question overtook is not shown. */
let questions = 0;

/** Whether the tracker gives its list to nobody without a permission. */
let isClosed = false;

/** @type {ReturnType<typeof setTimeout> | undefined} */
let typing;

/** Shows the list and keeps it fresh. */
export function startCatalogue() {
  const search = byId("catalogue-search", HTMLInputElement);
  const sort = byId("catalogue-sort", HTMLSelectElement);
  search.value = new URLSearchParams(location.search).get("q") ?? "";
  sort.value = recall("catalogue-sort") ?? "new";
  if (sort.selectedIndex < 0) sort.value = "new";
  byId("catalogue-form").addEventListener("submit", (event) => {
    event.preventDefault();
    restart();
  });
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(restart, TYPING_MS);
  });
  sort.addEventListener("change", () => {
    remember("catalogue-sort", sort.value);
    restart();
  });
  byId("catalogue-clear").addEventListener("click", () => {
    search.value = "";
    search.focus();
    restart();
  });
  byId("catalogue-more").addEventListener("click", () => {
    pages += 1;
    void refresh();
  });
  setText(byId("catalogue-note"), say("catalogue_loading"));
  void refresh();
  setInterval(() => { if (!document.hidden) void refresh(); }, REFRESH_MS);
}

/** Another question: from its first page on. The address names it, so that it can be given on. */
function restart() {
  pages = 1;
  const words = byId("catalogue-search", HTMLInputElement).value.trim();
  const query = new URLSearchParams(location.search);
  if (words === "") query.delete("q");
  else query.set("q", words);
  // Both forms mean a space; this one also where a link is copied into other programs.
  const text = query.toString().replaceAll("+", "%20");
  history.replaceState(null, "", text === "" ? "./" : `./?${text}`);
  void refresh();
}

async function refresh() {
  if (isClosed) return;
  questions += 1;
  const question = questions;
  const words = byId("catalogue-search", HTMLInputElement).value.trim();
  const sort = byId("catalogue-sort", HTMLSelectElement).value;
  try {
    const { swarms, next } = await read(words, sort);
    if (question !== questions) return;
    byId("catalogue-more").hidden = !next;
    byId("catalogue-form").hidden = swarms.length === 0 && words === "";
    byId("catalogue-clear").hidden = swarms.length > 0 || words === "";
    note(swarms.length > 0 ? [] : words === "" ? [say("catalogue_none"), say("catalogue_none_how")] : [say("catalogue_no_match", { words })]);
    show(swarms);
  } catch (error) {
    if (question !== questions) return;
    if (error instanceof Refusal) {
      isClosed = true;
      byId("catalogue-form").hidden = true;
      return note([say("catalogue_closed", { reason: reason(error.message) })]);
    }
    const why = error instanceof TypeError ? say("catalogue_unreachable") : error instanceof Error ? error.message : String(error);
    note([say("catalogue_failed", { reason: why, seconds: REFRESH_MS / 1000 })]);
  }
}

/** @param {string[]} lines what is said in place of a list; nothing if there is one */
function note(lines) {
  const note = byId("catalogue-note");
  const text = lines.join("\n");
  note.hidden = text === "";
  setText(note, text);
}

/**
 * The pages that are shown, as one. A page that did not change costs a few bytes: the browser asks by its tag.
 * @param {string} words
 * @param {string} sort
 * @returns {Promise<Page>}
 */
async function read(words, sort) {
  /** @type {Page} */
  const all = { swarms: [] };
  for (let page = 0; page < pages && (page === 0 || all.next); page += 1) {
    const query = new URLSearchParams();
    if (words !== "") query.set("q", words);
    if (sort !== "new") query.set("sort", sort);
    if (all.next) query.set("after", all.next);
    const response = await fetch(query.size > 0 ? `v1/swarms?${query}` : "v1/swarms");
    if (response.status === 401) throw new Refusal((await response.text()).trim());
    if (!response.ok) throw new Error(say("catalogue_status", { status: String(response.status) }));
    /** @type {Page} */
    const { swarms, next } = await response.json();
    all.swarms.push(...swarms);
    all.next = next;
  }
  return all;
}

/** @typedef {{item: HTMLElement, live: HTMLElement}} Shown */

/** What is shown, by swarm: kept, so that nothing flickers and no picture is asked for twice. @type {Map<string, Shown>} */
const shown = new Map();

/** @param {Entry[]} swarms */
function show(swarms) {
  const items = swarms.map((entry) => {
    const known = shown.get(entry.swarm) ?? item(entry);
    shown.set(entry.swarm, known);
    setText(known.live, live(entry));
    known.live.classList.toggle("is-live", watching(entry) > 0);
    return known.item;
  });
  const list = byId("catalogue-list");
  const isSame = items.length === list.children.length && items.every((item, index) => item === list.children[index]);
  if (!isSame) list.replaceChildren(...items);
}

/**
 * Viewers that are there, with those who have everything by now. One who has everything is the publisher's seeder.
 * @param {Entry} entry
 */
function watching({ leechers, seeders }) {
  return leechers + Math.max(0, seeders - 1);
}

/** @param {Entry} entry */
function live(entry) {
  const count = watching(entry);
  if (count > 0) return say("catalogue_watching", { count });
  return entry.seeders > 0 ? "" : say("catalogue_away");
}

/**
 * @param {Entry} entry
 * @returns {Shown}
 */
function item({ swarm, name, title, has_poster, length_bytes, duration_ms }) {
  const facts = element("span", { className: "quiet", text: formatBytes(length_bytes) });
  const live = element("span", { className: "live quiet" });
  const text = element("span", { className: "entry-text" }, element("strong", { text: title || name }), facts, live);
  const picture = element("span", { className: "entry-picture" });
  if (duration_ms) picture.append(element("span", { className: "entry-time", text: formatDuration(duration_ms) }));
  const link = element("a", {}, picture, text);
  link.href = `./#${swarm}`;
  if (has_poster) addPoster(picture, swarm);
  return { item: element("li", {}, link), live };
}

/**
 * Adds the poster, which the browser gets only when it comes into view.
 * @param {HTMLElement} picture
 * @param {string} swarm
 */
function addPoster(picture, swarm) {
  const poster = element("img");
  poster.alt = "";
  poster.loading = "lazy";
  poster.decoding = "async";
  poster.onerror = () => poster.remove();
  picture.prepend(poster);
  poster.src = `v1/manifests/${swarm}/poster`;
}
