// @ts-check
// What is stored on this device: the list below the catalogue. The files are the peer's; see peer-wasm/src/store/open.rs. Only
// `about`, which is JSON, is read here.

import { byId, element, notice, setText } from "./dom.js";
import { formatBytes } from "./format.js";
import { FORGET } from "./keeping.js";
import { say } from "./words.js";

/** The folder of all contents in the origin-private file system. */
const FOLDER = "tributary";

/** How often a content is tried to be removed: the page that had it open may not have let go of it yet. */
const ATTEMPTS = 20;
const ATTEMPT_INTERVAL_MS = 250;

/**
 * A stored content, as peer-wasm/src/store/about.rs writes it.
 * @typedef {object} About
 * @property {string} name
 * @property {string | null} title
 * @property {number} length_bytes
 * @property {number} held_bytes
 * @property {number} watched_ms
 * @property {boolean} is_kept
 */

/** Shows what is stored, after what is to be forgotten is gone. */
export async function startLibrary() {
  const root = await folder();
  if (!root) return;
  const forgotten = sessionStorage.getItem(FORGET);
  if (forgotten) {
    sessionStorage.removeItem(FORGET);
    await remove(root, forgotten);
  }
  await show(root);
}

/** @returns {Promise<FileSystemDirectoryHandle | null>} */
async function folder() {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER);
  } catch {
    return null; // nothing is stored, or this browser stores nothing
  }
}

/** @param {FileSystemDirectoryHandle} root */
async function show(root) {
  const list = byId("library-list");
  const contents = await stored(root);
  contents.sort((one, other) => other.about.watched_ms - one.about.watched_ms);
  list.replaceChildren(...contents.map(({ swarm, about }) => item(root, swarm, about)));
  byId("library").hidden = contents.length === 0;
  const held = contents.reduce((sum, { about }) => sum + about.held_bytes, 0);
  setText(byId("library-total"), say("library_total", { size: formatBytes(held) }));
  const forgetAll = byId("library-forget", HTMLButtonElement);
  setText(forgetAll, say("library_forget_all"));
  forgetAll.hidden = contents.length < 2;
  forgetAll.onclick = async () => {
    forgetAll.disabled = true;
    for (const { swarm } of contents) await remove(root, swarm);
    forgetAll.disabled = false;
    await show(root);
  };
}

/** @param {FileSystemDirectoryHandle} root */
async function stored(root) {
  /** @type {{swarm: string, about: About}[]} */
  const contents = [];
  for await (const [swarm, handle] of root.entries()) {
    if (handle.kind !== "directory") continue;
    try {
      const file = await (await /** @type {FileSystemDirectoryHandle} */ (handle).getFileHandle("about")).getFile();
      const about = /** @type {About} */ (JSON.parse(await file.text()));
      if (about.held_bytes > 0) contents.push({ swarm, about });
    } catch {
      // It was not written whole; the peer removes it when it needs the room.
    }
  }
  return contents;
}

/**
 * @param {FileSystemDirectoryHandle} root
 * @param {string} swarm
 * @param {About} about
 */
function item(root, swarm, { name, title, length_bytes, held_bytes, is_kept }) {
  const words = title || name;
  const link = element("a", { text: words });
  link.href = `./#${swarm}`;
  const size = held_bytes < length_bytes ? say("part_of", { part: formatBytes(held_bytes), whole: formatBytes(length_bytes) }) : formatBytes(held_bytes);
  const facts = element("span", { className: "quiet", text: is_kept ? say("library_kept", { size }) : size });
  const forget = element("button", { className: "button", text: say("page_forget") });
  forget.type = "button";
  forget.setAttribute("aria-label", say("library_forget_named", { title: words }));
  forget.addEventListener("click", async () => {
    forget.disabled = true;
    await remove(root, swarm);
    await show(root);
  });
  return element("li", {}, link, facts, forget);
}

/**
 * @param {FileSystemDirectoryHandle} root
 * @param {string} swarm
 */
async function remove(root, swarm) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await root.removeEntry(swarm, { recursive: true });
      return notice(FORGET, "");
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotFoundError") return;
      if (attempt >= ATTEMPTS) {
        return notice(FORGET, say("library_open"));
      }
      await new Promise((resolve) => setTimeout(resolve, ATTEMPT_INTERVAL_MS));
    }
  }
}
