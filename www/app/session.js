// @ts-check
// One visit to one swarm: starts the worker, hands each of its messages to whom it concerns, and keeps what
// the page can be asked about.

import { Connections } from "./connections.js";
import { notice } from "./dom.js";
import { say } from "./first_words.js";
import { recall } from "./memory.js";
import { part } from "./part.js";
import { Player, contentUrl } from "./player.js";
import { reason } from "./say.js";

/** @import { Content, Diagnosis, FromWorker, PeerStats, ReadAsk, Stats, Stored, ToWorker, Upload } from "./types.js" */
/** @import { View } from "./view.js" */

/** Questions to the worker that may be unanswered at a time. */
const QUESTIONS_MAX = 64;

/** The controls come after the first frame, or after this long without one. */
const PATIENCE_MS = 5000;

export class Session {
  #view;
  #worker;
  #connections;
  #player;
  /** @type {Promise<void>} */
  #service;
  /** @type {"connecting" | "up" | "down"} */
  #tracker = "connecting";
  /** @type {PeerStats} */
  #stats;
  /** @type {Map<number, (value: any) => void>} */
  #questions = new Map();
  #questionId = 0;
  #bannedCount = 0;
  #isWithheld = false;
  /** @type {Stored | null} */
  #storage = null;
  /** Called with where the content is stored. @type {(stored: Stored) => void} */
  onStorage = () => {};
  /** Called with the bytes that were passed on so far. @type {(bytes: number) => void} */
  onUploaded = () => {};
  /** @type {(content: Content) => void} */
  onContent = () => {};
  /** Called with each account. @type {(stats: PeerStats) => void} */
  onAccount = () => {};
  /** Called when the tracker connects this viewer with no peer; whether it would with consent, and why.
   * @type {(isConsentRequired: boolean, reason: string) => void} */
  onWithheld = () => {};

  /**
   * @param {import("./types.js").Started} started
   * @param {View} view
   * @param {HTMLElement} stage
   */
  constructor({ swarm, worker, early, isResumed }, view, stage) {
    this.#view = view;
    this.#stats = {
      swarm, bytes_total: 0, bytes_verified: 0, from_initial: 0, from_peers: 0, from_mirrors: 0,
      uploaded: 0, duplicate_bytes: 0, proof_bytes: 0, is_tracker_up: false, scarcity: null, uplink: 0, start_buffer_ms: 0, links: [],
      mirrors: [],
    };
    this.#worker = worker;
    this.#connections = new Connections((message, transfer) => this.post(message, transfer));
    this.#player = new Player(stage, (seconds, aheadSeconds) => {
      view.playing(seconds);
      this.post({ type: "player", at_ms: Math.round(seconds * 1000), ahead_ms: Math.round(aheadSeconds * 1000) });
    });
    this.#player.onFirst = () => view.complete(this.#visit(isResumed));
    this.#service = Promise.resolve();
    worker.onmessage = (event) => this.#take(event);
    worker.onerror = (event) => this.#take(event);
    for (const event of early.splice(0)) this.#take(event);
  }

  /**
   * @param {boolean} isResumed
   * @returns {import("./watching.js").Visit}
   */
  #visit(isResumed) {
    return {
      media: this.#player.media,
      isResumed,
      seek: (seconds) => this.#player.seek(seconds),
      fresh: () => this.fresh(),
      ways: () => this.#connections.ways(),
      failures: () => this.#connections.failures,
      diagnose: () => this.diagnose(),
    };
  }

  /** @param {MessageEvent | ErrorEvent} event */
  #take(event) {
    if (event instanceof MessageEvent) return this.#hear(event.data);
    this.#view.fatal(() => say("peer_stopped", { reason: event.message || say("peer_no_script") }));
  }

  /**
   * Says what must be there before anything is shown.
   * @param {Promise<void>} service
   */
  await(service) {
    this.#service = service;
    service.catch((error) => this.#view.fatal(() => reason(error instanceof Error ? error.message : String(error))));
  }

  /**
   * @param {ToWorker} message
   * @param {Transferable[]} [transfer]
   */
  post(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }

  /**
   * A read of the service worker: the bytes go from the peer's worker to it, not through here.
   * @param {ReadAsk} ask
   * @param {MessagePort} port
   */
  read(ask, port) {
    this.post({ ...ask, port }, [port]);
  }

  /** @param {Upload} limit */
  upload(limit) {
    this.post({ type: "upload", limit });
  }

  /** @param {boolean} isKept whether the content stays on this device */
  keep(isKept) {
    this.post({ type: "keep", is_kept: isKept });
  }

  /** @param {boolean} isGiven whether the person agrees to connections with other peers */
  consent(isGiven) {
    this.#isWithheld = !isGiven;
    this.post({ type: "consent", is_given: isGiven });
  }

  /** The page may be about to go away: nothing is written to files for a while. */
  leaving() {
    this.post({ type: "leaving" });
  }

  /** Leaves the swarm, as far as a page that goes away still can. */
  stop() {
    this.post({ type: "stop" });
    this.#connections.closeAll();
  }

  /** @returns {Stats} the last account, at most a quarter of a second old */
  stats() {
    return { ...this.#stats, ...this.#player.stats, tracker: this.#tracker, storage: this.#storage };
  }

  /** @returns {Promise<Stats>} the account of this moment */
  async fresh() {
    await this.#ask((id) => ({ type: "fresh", id }));
    return this.stats();
  }

  /** @returns {Promise<Diagnosis>} which ways bring the content here, and why the others do not */
  async diagnose() {
    const [{ diagnose }, ways] = await Promise.all([part(() => import("./diagnosis.js")), this.#connections.ways()]);
    const { network } = this.#connections;
    return diagnose({
      stats: this.#stats, ways: ways.values(), network, isTrackerUp: this.#tracker === "up", isWithheld: this.#isWithheld || recall("peers") === "off",
    });
  }

  /** @returns {Promise<string | null>} BLAKE3 of all bytes, if all are held */
  digest() {
    return this.#ask((id) => ({ type: "digest", id }));
  }

  /**
   * @param {(id: number) => ToWorker} question
   * @returns {Promise<any>}
   */
  #ask(question) {
    if (this.#questions.size >= QUESTIONS_MAX) return Promise.reject(new Error("too many questions at a time"));
    this.#questionId += 1;
    const id = this.#questionId;
    this.post(question(id));
    return new Promise((resolve) => this.#questions.set(id, resolve));
  }

  /**
   * @param {number} id
   * @param {unknown} value
   */
  #settle(id, value) {
    this.#questions.get(id)?.(value);
    this.#questions.delete(id);
  }

  /** @param {FromWorker} message */
  #hear(message) {
    switch (message.type) {
      case "connect": return this.#connections.connect(message);
      case "signal": return this.#connections.signal(message.link, message.signal);
      case "close": return this.#connections.close(message.link);
      case "content": return void this.#show(message);
      case "bad_start": return notice("start", () => say("start_ignored", { reason: capital(reason(message.reason)) }));
      case "stats":
        this.#stats = message.stats;
        this.#player.needs(message.stats.start_buffer_ms / 1000);
        this.#view.stats(message.stats, message);
        this.onUploaded(message.stats.uploaded);
        this.onAccount(message.stats);
        return message.id === null ? undefined : this.#settle(message.id, undefined);
      case "storage":
        this.#storage = message;
        return this.onStorage(message);
      case "digest": return this.#settle(message.id, message.digest);
      case "tracker_up":
        this.#tracker = "up";
        return this.#view.tracker("up", () => say("tracker_up"));
      case "tracker_down":
        this.#tracker = "down";
        return this.#view.trackerDown(message.reason, message.retry_ms);
      case "unknown_swarm": return this.#view.unknown();
      case "waiting": return this.#view.waiting(() => reason(message.reason));
      case "peers_withheld":
        this.#isWithheld = true;
        return this.onWithheld(message.is_consent_required, message.reason);
      case "dismissed":
        this.#tracker = "down";
        return this.#view.dismissed(message.reason);
      case "complete": return;
      case "banned":
        this.#bannedCount += 1;
        return notice("banned", banned(this.#bannedCount, message.reason));
      case "mirror_lost":
        return notice("mirror-lost", () => say("mirror_lost", { host: message.host }));
      case "failed":
        this.#player.end();
        return this.#view.fatal(() => reason(message.reason));
    }
  }

  /** @param {Content} content */
  async #show(content) {
    this.#view.content(content);
    try {
      await this.#service;
    } catch {
      return; // said already
    }
    this.onContent(content);
    setTimeout(this.#player.onFirst, PATIENCE_MS);
    await this.#player.show(content);
  }

  /** Where the content can be saved from. */
  static downloadUrl = (/** @type {Content} */ content) => `${contentUrl(content)}?download=1`;
}

/** @param {string} words */
function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * @param {number} count
 * @param {string} why
 */
function banned(count, why) {
  return () => {
    const words = say("banned", { reason: reason(why) });
    return count > 1 ? `${words} ${say("banned_count", { count })}` : words;
  };
}
