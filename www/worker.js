// @ts-check
// Loads the peer into its worker. While the module compiles, the tracker's socket is being opened and the
// manifest fetched; what the page says meanwhile is kept. All else is in peer-wasm.

/** The worker's name says what to play and from when, so that nothing waits for a first message. */
const [swarm, time] = self.name.split("&t=", 2);

/** @type {MessageEvent[]} */
const early = [];
self.onmessage = (event) => early.push(event);

const glue = import("./peer-wasm.js");
const wasm = fetch("peer-wasm_bg.wasm");
const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/swarm`);
const manifest = fetch(`/v1/manifests/${swarm}`);
// Whoever takes the promises over hears of their failures.
wasm.catch(() => {});
manifest.catch(() => {});

try {
  const { default: init, start } = await glue;
  await init({ module_or_path: wasm });
  const session = start(swarm, time, socket, manifest);
  self.onmessage = (event) => session.handle(event.data);
  for (const event of early.splice(0)) session.handle(event.data);
} catch (error) {
  const words = error instanceof Error ? error.message : String(error);
  self.postMessage({ type: "failed", reason: `The peer could not start: ${words}` });
}

export {};
