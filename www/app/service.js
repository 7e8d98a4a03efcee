// @ts-check
// The service worker as the page sees it: registered, in control, awake; its reads are passed on.

/** @import { ReadAsk } from "./types.js" */

/** A service worker may be put to sleep after 30 s without an event. */
const AWAKE_INTERVAL_MS = 10_000;

/**
 * Registers the service worker and waits until it answers for this page.
 * @param {(ask: ReadAsk, port: MessagePort) => void} onRead
 * @param {string} [script] where it is
 */
export async function startService(onRead, script = new URL("sw.js", document.baseURI).href) {
  if (!("serviceWorker" in navigator)) throw new Error(lack());
  const container = navigator.serviceWorker;
  container.onmessage = ({ data, ports: [port] }) => {
    if (data?.type === "read" && port) onRead(data, port);
  };
  const registration = await container.register(script, { updateViaCache: "none" });
  if (!location.href.startsWith(registration.scope)) {
    throw new Error(`The service worker answers below ${registration.scope} only, and this page is not there.`);
  }
  // The worker of another Tributary above this path may control the page. It knows nothing of this one's contents.
  const isControlled = () => container.controller?.scriptURL === script;
  if (!isControlled()) {
    const controlled = new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
      container.addEventListener("controllerchange", () => { if (isControlled()) resolve(); });
    });
    // After a forced reload an active worker controls nothing until it claims.
    registration.active?.postMessage({ type: "claim" });
    await controlled;
  }
  setInterval(() => registration.active?.postMessage({ type: "alive" }), AWAKE_INTERVAL_MS);
}

/** Why there are no service workers here. */
function lack() {
  const isInside = window.parent !== window;
  if (isSecureContext) {
    return isInside
      ? "This browser gives players inside other sites no service worker, through which the player reads."
      : "This browser has no service workers, through which the player reads; a private window may lack them.";
  }
  const page = isInside ? "The page around this player" : "This page";
  return `${page} was opened over plain HTTP, where browsers allow no playback through service workers. ` +
    "Open it by HTTPS or on localhost.";
}

/** Answers at once, where nothing is played, that it is not here: who asks would wait for it otherwise. */
export function refuseReads() {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.onmessage = ({ data, ports: [port] }) => {
    if (data?.type === "read" && port) port.postMessage({ type: "fail", reason: "nothing plays on this page" });
  };
}
