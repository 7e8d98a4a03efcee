// @ts-check
// Loaded first and alone, as vendor/start.js: sets going what takes longest, while the rest of the page is still being fetched.
// That is the peer's worker, its module, the service worker and the viewer's language.

import "./language.js";

/** @import { Started } from "./types.js" */

/** What was started; nothing without a good link, or where the browser lacks what it takes. */
export const started = start(location.hash.slice(1));

/**
 * @param {string} link what follows the #
 * @returns {Started | undefined}
 */
function start(link) {
  const [id, ...settings] = link.split("&");
  const swarm = id.toLowerCase();
  const wishes = new URLSearchParams(settings.join("&"));
  if (!/^[0-9a-f]{64}$/.test(swarm) || typeof Worker !== "function" || typeof RTCPeerConnection !== "function") {
    return undefined;
  }
  // Some browsers turn it off for safety.
  if (typeof WebAssembly !== "object" || typeof WebAssembly.compileStreaming !== "function") return undefined;
  // The worker takes all this from its name, so that it need not wait for a message.
  const name = new URLSearchParams({ swarm });
  const t = wishes.get("t");
  const place = t === null ? leftAt(swarm) : null;
  for (const [key, value] of [["t", t ?? place], ["token", wishes.get("token")]]) {
    if (key && value) name.set(key, value);
  }
  const peers = answer();
  if (peers !== null) name.set("peers", peers);
  const [visit] = performance.getEntriesByType("navigation");
  if (visit instanceof PerformanceNavigationTiming && visit.type !== "navigate") name.set("reload", "1");
  name.set("handed", "1");
  // index.html has the browser load the module already. Without one from here, the worker gets it.
  const compiled = WebAssembly.compileStreaming(fetch("peer-wasm_bg.wasm"));
  const worker = new Worker("worker.js", { type: "module", name: name.toString() });
  compiled.then(
    (module) => worker.postMessage({ type: "module", module }),
    () => worker.postMessage({ type: "module" }),
  );
  // The first question to the browser's store takes longest; the worker asks more of it (peer-wasm/src/store/open.rs).
  navigator.storage?.getDirectory?.().catch(() => {});
  // app/service.js waits for it, and says what fails.
  navigator.serviceWorker?.register("sw.js", { updateViaCache: "none" }).catch(() => {});
  /** @type {(MessageEvent | ErrorEvent)[]} */
  const early = [];
  worker.onmessage = (event) => early.push(event);
  worker.onerror = (event) => early.push(event);
  return { swarm, worker, early, isResumed: place !== null };
}

/**
 * Where an earlier visit left off, in seconds. Written by app/resume.js.
 * @param {string} swarm
 * @returns {string | null}
 */
function leftAt(swarm) {
  try {
    return JSON.parse(localStorage.getItem("places") ?? "{}")[swarm]?.[0]?.toString() ?? null;
  } catch {
    return null; // storage is switched off, or holds something else
  }
}

/**
 * What the person said earlier about connections with other peers: `on` or `off`. Written by app/consent.js.
 * @returns {string | null}
 */
function answer() {
  try {
    return localStorage.getItem("peers");
  } catch {
    return null; // storage is switched off
  }
}
