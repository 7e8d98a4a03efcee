// @ts-check
// One content, watched without the page around it: the peer, its connections, the service worker and, if there is one, the
// media element that plays. The embed uses this. Other sites import it through tributary.js.

import { posterUrl, tracks } from "./attachments.js";
import { Connections } from "./connections.js";
import { contentName } from "./content_name.js";
import { startService } from "./service.js";
import { secondsAhead } from "./start_buffer.js";

/** @import { Content, FromWorker, PeerStats, ReadAsk, Stored, ToWorker, Upload } from "./types.js" */

/**
 * @typedef {object} Options
 * @property {string} [token] permission to use a closed tracker
 * @property {string} [start] where playback begins: `135`, `2:15` or `2m15s`
 * @property {boolean} [peers] whether the person agreed to connections with other peers; `false`: none, mirrors only
 * @property {HTMLMediaElement} [video] what is to play it
 * @property {string | URL} [serviceWorker] the page's own service worker, if the page is not of the tracker's site
 *
 * @typedef {"content" | "stats" | "storage" | "tracker" | "waiting" | "withheld" | "complete" | "notice" | "failed"} Name
 */

/** Where the tracker, its workers and this folder are. */
const BASE = new URL("../", import.meta.url);

/** How often the peer hears what plays and how much media lies ahead. */
const TELL_INTERVAL_MS = 250;

/** What is watched in this page, by swarm: whose reads the service worker asks for. @type {Map<string, Watching>} */
const watched = new Map();

/** Service workers that were started, by their addresses. @type {Map<string, Promise<void>>} */
const services = new Map();

/**
 * Begins to watch a content.
 * @param {string} swarm its id, or a link whose part behind the # begins with it
 * @param {Options} [options]
 * @returns {Promise<Watching>} once it can be played: `url` is then what a player loads
 */
export async function watch(swarm, options = {}) {
  const watching = new Watching(swarm, options);
  await watching.ready;
  return watching;
}

export class Watching extends EventTarget {
  /** @type {string} */
  swarm;
  /** What is known of it; nothing before `ready`. @type {Content | undefined} */
  content;
  /** Where a player loads it from; nothing before `ready`. @type {string | undefined} */
  url;
  /** Resolves once the content is known and can be read; rejects with words for a person. @type {Promise<Content>} */
  ready;
  #worker;
  #connections;
  #service;
  /** @type {PeerStats | undefined} */
  #stats;
  /** @type {(error: Error) => void} */
  #fail = () => {};
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #telling;

  /**
   * @param {string} link
   * @param {Options} [options]
   */
  constructor(link, { token, start, peers, video, serviceWorker } = {}) {
    super();
    const swarm = link.slice(link.indexOf("#") + 1).split("&")[0].toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(swarm)) throw new Error("a content is named by 64 hexadecimal digits");
    if (typeof RTCPeerConnection !== "function" || typeof Worker !== "function") {
      throw new Error("This browser has no WebRTC, or it is turned off; without it no peer can be reached.");
    }
    if (watched.has(swarm)) throw new Error("this content is watched in this page already");
    this.swarm = swarm;
    watched.set(swarm, this);
    this.#service = new URL(serviceWorker ?? "sw.js", serviceWorker ? document.baseURI : BASE).href;
    const name = new URLSearchParams({ swarm });
    if (token) name.set("token", token);
    if (start) name.set("t", start);
    if (peers !== undefined) name.set("peers", peers ? "on" : "off");
    this.#worker = worker(name.toString());
    this.#connections = new Connections((message, transfer) => this.#post(message, transfer));
    this.#worker.onerror = ({ message }) => this.#end(`The peer stopped: ${message || "its script cannot be loaded"}.`);
    const known = new Promise((/** @type {(content: Content) => void} */ resolve, reject) => {
      this.#fail = reject;
      this.#worker.onmessage = ({ data }) => this.#hear(data, resolve);
    });
    this.ready = this.#begin(known, video);
    this.ready.catch(() => {}); // who waits for it hears of it as well
    addEventListener("beforeunload", () => { if (watched.get(this.swarm) === this) this.#post({ type: "leaving" }); });
    addEventListener("pagehide", () => this.stop(), { once: true });
  }

  /** @returns {PeerStats | undefined} the last account, at most a quarter of a second old */
  stats() {
    return this.#stats;
  }

  /** @param {Upload} limit how much may be passed on */
  upload(limit) {
    this.#post({ type: "upload", limit });
  }

  /** @param {boolean} isKept whether the content stays on this device */
  keep(isKept) {
    this.#post({ type: "keep", is_kept: isKept });
  }

  /** @param {boolean} isGiven whether the person agrees to connections with other peers */
  consent(isGiven) {
    this.#post({ type: "consent", is_given: isGiven });
  }

  /**
   * Has an element play it, and tells the peer where it is. A player that does not use this calls `playing`.
   * @param {HTMLMediaElement} media
   * @param {(number: number) => string} [nameless] the label of subtitles that have neither a name nor a language
   */
  attach(media, nameless = (number) => `Subtitles ${number}`) {
    if (!this.content || !this.url) throw new Error("not ready");
    const poster = posterUrl(this.content.attachments);
    if (media instanceof HTMLVideoElement && poster && !media.poster) media.poster = poster;
    const { start_ms } = this.content;
    media.src = start_ms === null ? this.url : `${this.url}#t=${start_ms / 1000}`;
    media.append(...tracks(this.content.attachments, nameless));
    let told = "";
    clearInterval(this.#telling);
    this.#telling = setInterval(() => {
      const now = `${media.currentTime} ${secondsAhead(media)}`;
      if (now !== told) this.playing(media.currentTime, secondsAhead(media));
      told = now;
    }, TELL_INTERVAL_MS);
  }

  /**
   * Tells the peer what plays, so that it knows what is needed soon.
   * @param {number} seconds
   * @param {number} aheadSeconds media that the player has buffered beyond it
   */
  playing(seconds, aheadSeconds) {
    this.#post({ type: "player", at_ms: Math.round(seconds * 1000), ahead_ms: Math.round(aheadSeconds * 1000) });
  }

  /** Leaves the swarm. Nothing can be read any more. */
  stop() {
    if (watched.get(this.swarm) !== this) return;
    watched.delete(this.swarm);
    clearInterval(this.#telling);
    this.#post({ type: "stop" });
    this.#connections.closeAll();
  }

  /**
   * A read of the service worker.
   * @param {ReadAsk} ask
   * @param {MessagePort} port
   */
  read(ask, port) {
    this.#post({ ...ask, port }, [port]);
  }

  /**
   * @param {Promise<Content>} known
   * @param {HTMLMediaElement} [video]
   */
  async #begin(known, video) {
    const service = services.get(this.#service) ?? startService(answer, this.#service);
    services.set(this.#service, service);
    service.catch(() => services.delete(this.#service));
    const [content] = await Promise.all([known, service]);
    this.url = new URL(`content/${content.swarm}/${contentName(content.name)}`, this.#service).href;
    this.content = content;
    if (video) this.attach(video);
    this.#say("content", content);
    return content;
  }

  /**
   * @param {FromWorker} message
   * @param {(content: Content) => void} onContent
   */
  #hear(message, onContent) {
    switch (message.type) {
      case "connect": return this.#connections.connect(message);
      case "signal": return this.#connections.signal(message.link, message.signal);
      case "close": return this.#connections.close(message.link);
      case "content": return onContent(message);
      case "stats":
        this.#stats = message.stats;
        return this.#say("stats", message.stats);
      case "storage": return this.#say("storage", /** @type {Stored} */ (message));
      case "tracker_up": return this.#say("tracker", { state: "up" });
      case "tracker_down": return this.#say("tracker", { state: "down", reason: message.reason });
      case "unknown_swarm": return this.#say("waiting", { reason: "nobody here knows this content" });
      case "waiting": return this.#say("waiting", { reason: message.reason });
      case "peers_withheld":
        return this.#say("withheld", { isConsentRequired: message.is_consent_required, reason: message.reason });
      case "complete": return this.#say("complete", undefined);
      case "bad_start":
      case "banned":
        return this.#say("notice", { reason: message.reason });
      case "mirror_lost": return this.#say("notice", { reason: `the mirror ${message.host} sent wrong bytes` });
      case "digest": return;
      case "failed": return this.#end(message.reason);
    }
  }

  /** @param {string} reason */
  #end(reason) {
    this.#fail(new Error(reason));
    this.#say("failed", { reason });
  }

  /**
   * @param {Name} name
   * @param {unknown} detail
   */
  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  /**
   * @param {ToWorker} message
   * @param {Transferable[]} [transfer]
   */
  #post(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }
}

/**
 * The peer's worker. A page of another site may load the script but not start a worker from it, so a script of the page's own
 * loads it there.
 * @param {string} name
 */
function worker(name) {
  const script = new URL("worker.js", BASE);
  if (script.origin === location.origin) return new Worker(script, { type: "module", name });
  const loader = new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(loader), { type: "module", name });
}

/**
 * @param {ReadAsk} ask
 * @param {MessagePort} port
 */
function answer(ask, port) {
  const watching = watched.get(ask.swarm);
  if (watching) watching.read(ask, port);
  else port.postMessage({ type: "fail", reason: "this page plays something else" });
}
