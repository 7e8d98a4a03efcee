// @ts-check
// What is stored on this device: the list below the catalogue, and the person's word on keeping and forgetting. The files are
// the peer's; see peer-wasm/src/store/open.rs. Only `about`, which is JSON, is read here.

import { byId, element, notice, setText } from "./dom.js";
import { formatBytes } from "./format.js";

/** @import { Session } from "./session.js" */

/** The folder of all contents in the origin-private file system. */
const FOLDER = "tributary";

/** The name under which a page says to the next one what is to be forgotten. */
const FORGET = "forget";

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

/**
 * The buttons of the page that plays.
 * @param {Session} session
 * @param {string} swarm
 */
export function controlKeeping(session, swarm) {
  const keep = byId("keep", HTMLButtonElement);
  const forget = byId("forget", HTMLButtonElement);
  session.onStorage = ({ is_on_disk, is_kept }) => {
    keep.hidden = forget.hidden = !is_on_disk;
    keep.setAttribute("aria-pressed", String(is_kept));
    setText(keep, is_kept ? "Kept on this device" : "Keep on this device");
  };
  keep.addEventListener("click", () => {
    const isKept = keep.getAttribute("aria-pressed") !== "true";
    session.keep(isKept);
    // Asked for now, when the person sees why: the browser then does not clear the site's files by itself.
    if (isKept) void navigator.storage.persist().catch(() => {});
  });
  forget.addEventListener("click", () => {
    sessionStorage.setItem(FORGET, swarm);
    location.href = "./";
  });
}

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
  const size = held_bytes < length_bytes ? `${formatBytes(held_bytes)} of ${formatBytes(length_bytes)}` : formatBytes(held_bytes);
  const facts = element("span", { className: "quiet", text: is_kept ? `${size} · kept` : size });
  const forget = element("button", { className: "button", text: "Forget" });
  forget.type = "button";
  forget.setAttribute("aria-label", `Forget ${words}`);
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
        return notice(FORGET, "It is open in another tab. Close that tab, then forget it.");
      }
      await new Promise((resolve) => setTimeout(resolve, ATTEMPT_INTERVAL_MS));
    }
  }
}
