// @ts-check
// Entry of the page: `./#SWARM` watches, `./` lists. Nothing else is decided here. Every address of the page is relative to
// its own, so that it works below any path.

import { startCatalogue } from "./catalogue.js";
import { byId, notice } from "./dom.js";
import { refuseReads, startService } from "./service.js";
import { Session } from "./session.js";
import { started } from "./start.js";
import { View } from "./view.js";

/** @import { Stats, Upload } from "./types.js" */

const fragment = location.hash.slice(1);
addEventListener("hashchange", () => location.reload());

if (fragment === "") list();
else watch(fragment);

function list() {
  refuseReads();
  startCatalogue();
}

/** @param {string} link what follows the # */
function watch(link) {
  if (!/^[0-9a-f]{64}(&|$)/i.test(link)) {
    notice("fatal", "Bad link: after the # there must be 64 hexadecimal digits. Ask for the link again.", true);
    return list();
  }
  const view = new View();
  if (!started) {
    return view.fatal("This browser has no WebRTC, or it is turned off; without it no peer can be reached.");
  }
  const session = new Session(started, view, byId("stage"));
  session.await(startService((ask, port) => session.read(ask, port)));
  session.onContent = (content) => {
    const download = byId("download", HTMLAnchorElement);
    download.href = Session.downloadUrl(content);
    download.hidden = false;
  };
  controlSharing((limit) => session.upload(limit));
  addEventListener("pagehide", () => session.stop());
  // A page brought back whole has left the swarm.
  addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });
  Object.assign(window, {
    tributary: {
      /** @returns {Stats} */ stats: () => session.stats(),
      /** @returns {Promise<Stats>} */ fresh: () => session.fresh(),
      /** @returns {Promise<string | null>} */ digest: () => session.digest(),
    },
  });
}

/**
 * The person's word on uploading; it is remembered. Where the browser says that data is dear, nothing is
 * passed on until somebody says so.
 * @param {(limit: Upload) => void} apply
 */
function controlSharing(apply) {
  const on = byId("sharing-on", HTMLInputElement);
  const cap = byId("sharing-cap", HTMLSelectElement);
  const isMetered = isConnectionMetered();
  on.checked = (recall("sharing") ?? (isMetered ? "off" : "on")) === "on";
  cap.value = recall("sharing-cap") ?? "0";
  if (cap.selectedIndex < 0) cap.value = "0";
  const change = () => {
    cap.disabled = !on.checked;
    const bits = Number(cap.value);
    if (!on.checked) apply({ mode: "off" });
    else apply(bits > 0 ? { mode: "capped", bits_per_s: bits } : { mode: "unlimited" });
  };
  byId("sharing", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
  for (const control of [on, cap]) {
    control.addEventListener("change", () => {
      remember("sharing", on.checked ? "on" : "off");
      remember("sharing-cap", cap.value);
      notice("metered", "");
      change();
    });
  }
  if (isMetered && !on.checked) {
    notice("metered", "This connection looks metered, so nothing is passed on. You can turn it on below.");
  }
  change();
}

function isConnectionMetered() {
  const { connection } = /** @type {{connection?: {saveData?: boolean, type?: string}}} */ (navigator);
  return connection?.saveData === true || connection?.type === "cellular";
}

/** @param {string} name */
function recall(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // storage is switched off
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It holds for this visit only.
  }
}
