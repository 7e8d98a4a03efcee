// @ts-check
// Loads the peer into its worker. While the module compiles, the tracker's socket is being opened and the
// manifest fetched; what the page says meanwhile is kept. All else is in peer-wasm.

/** The worker's name says what to play, from when, and who permits it, so that nothing waits for a first message. */
const wishes = new URLSearchParams(self.name);
const swarm = wishes.get("swarm") ?? "";
const time = wishes.get("t");
const token = wishes.get("token");
const peers = wishes.get("peers");

/** @type {MessageEvent[]} */
const early = [];
/** The module, if the page compiles it: app/start.js does. @type {Promise<WebAssembly.Module | undefined>} */
const handed = new Promise((resolve) => {
  self.onmessage = (event) => {
    if (event.data?.type === "module") resolve(event.data.module);
    else early.push(event);
  };
});

// All addresses are relative to this script, which lies beside the page and the tracker. A page of another site runs it from
// an address of its own, so the worker's is not taken.
const base = new URL("./", import.meta.url);
const glue = import("./peer-wasm.js");
const download = () => fetch(new URL("peer-wasm_bg.wasm", base));
const wasm = wishes.has("handed") ? handed.then((module) => module ?? download()) : download();
const address = new URL("v1/swarm", base);
address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
const socket = peers === "off" ? undefined : new WebSocket(address);
// The permission goes into a header and never into an address, which logs and referrers would show.
const manifest = fetch(new URL(`v1/manifests/${swarm}`, base), token ? { headers: { authorization: `Bearer ${token}` } } : {});
// Whoever takes the promises over hears of their failures.
wasm.catch(() => {});
manifest.catch(() => {});

try {
  const { default: init, start } = await glue;
  await init({ module_or_path: wasm });
  const consent = peers === "on" ? true : peers === "off" ? false : null;
  const visit = { swarm, time, token, consent, is_reload: wishes.has("reload"), base: base.href };
  const session = start(JSON.stringify(visit), socket, manifest);
  self.onmessage = (event) => session.handle(event.data);
  for (const event of early.splice(0)) session.handle(event.data);
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  self.postMessage({ type: "failed", reason: `The peer could not start: ${words}` });
}

export {};
