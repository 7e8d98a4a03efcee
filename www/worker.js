// @ts-check
// Loads the peer into its worker. While the module compiles, the tracker's socket is being opened and the
// manifest fetched; what the page says meanwhile is kept. All else is in peer-wasm.

/** The worker's name says what to play, from when, and who permits it, so that nothing waits for a first message. */
const wishes = new URLSearchParams(self.name);
const swarm = wishes.get("swarm") ?? "";
const time = wishes.get("t") ?? undefined;
const token = wishes.get("token") ?? undefined;
const isReload = wishes.has("reload");

/** @type {MessageEvent[]} */
const early = [];
self.onmessage = (event) => early.push(event);

const glue = import("./peer-wasm.js");
const wasm = fetch("peer-wasm_bg.wasm");
// Relative to this script, which lies beside the page: `peer-wasm` computes the same address when it connects again.
const address = new URL("v1/swarm", location.href);
address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
const socket = new WebSocket(address);
// The permission goes into a header and never into an address, which logs and referrers would show.
const manifest = fetch(`v1/manifests/${swarm}`, token ? { headers: { authorization: `Bearer ${token}` } } : {});
// Whoever takes the promises over hears of their failures.
wasm.catch(() => {});
manifest.catch(() => {});

try {
  const { default: init, start } = await glue;
  await init({ module_or_path: wasm });
  const session = start(swarm, time, token, socket, manifest, isReload);
  self.onmessage = (event) => session.handle(event.data);
  for (const event of early.splice(0)) session.handle(event.data);
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  self.postMessage({ type: "failed", reason: `The peer could not start: ${words}` });
}

export {};
