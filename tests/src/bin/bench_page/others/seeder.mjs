// A tracker of WebTorrent's kind, and a WebTorrent that has the film and speaks WebRTC.
//
//     node seeder.mjs FILM METADATA
//
// Writes the metadata of the film and prints one line of JSON: the address of the tracker, and where the number of bytes sent so far
// can be read.

import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { register } from "node:module";

// WebTorrent takes WebRTC from `webrtc-polyfill`, whose program is not in a package. That of @roamhq/wrtc is.
const polyfill = JSON.stringify(new URL("webrtc.mjs", import.meta.url).href);
register(`data:text/javascript,${encodeURIComponent(`export const resolve = (name, context, next) =>
  name === "webrtc-polyfill" ? { url: ${polyfill}, shortCircuit: true } : next(name, context);`)}`);

const [film, metadata] = process.argv.slice(2);
const { Server } = await import("bittorrent-tracker");
const { default: WebTorrent } = await import("webtorrent");

const listening = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const tracker = new Server({ http: true, udp: false, ws: true, stats: false });
await listening(tracker);
const address = `ws://127.0.0.1:${tracker.http.address().port}`;

const peer = new WebTorrent({
  dht: false, lsd: false, utp: false, natUpnp: false, natPmp: false, tracker: { rtcConfig: { iceServers: [] } },
});
const seeded = await new Promise((resolve) => peer.seed(film, { announceList: [[address]] }, resolve));
await writeFile(metadata, seeded.torrentFile);

const counter = createServer((_, answer) => answer.end(String(seeded.uploaded)));
await listening(counter);
console.log(JSON.stringify({ tracker: address, uploaded: `http://127.0.0.1:${counter.address().port}/` }));
