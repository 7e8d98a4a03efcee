// @ts-check
// For sites that embed the player: `<script type="module" src="https://TRACKER/embed.js"></script>`, then
// `<tributary-player swarm="…"></tributary-player>`. Who has an iframe already controls it with `new TributaryPlayer(iframe)`.
// docs/embedding.md has attributes, methods and events.

/** Attributes that become parameters of the embed's address, with the names that these have there. */
const PARAMETERS = /** @type {const} */ ({
  start: "start", stop: "stop", controls: "controls", muted: "muted", loop: "loop", subtitle: "subtitle",
  autoplay: "autoplay", playbackrate: "playbackRate", showtitle: "title", p2p: "p2p", lang: "lang",
});

/** What the frame of a player may do. */
const ALLOW = "autoplay; fullscreen; picture-in-picture";

/** How often a player that does not answer yet is asked again, and how often at most. Its scripts may still be loading. */
const CONNECT_INTERVAL_MS = 250;
const CONNECTS_MAX = 40;

/** Where this script is, and with it the tracker. */
const HERE = new URL("./", import.meta.url);

/**
 * Controls a player in a frame. Only messages of that frame, and of the origin that its address has, are listened to.
 */
export class TributaryPlayer {
  /** Resolves once the player listens. @type {Promise<void>} */
  ready;
  #frame;
  #origin;
  #callId = 0;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  #calls = new Map();
  /** @type {Map<string, Set<(detail: any) => void>>} */
  #listeners = new Map();
  #hear = (/** @type {MessageEvent} */ event) => this.#take(event);

  /** @param {HTMLIFrameElement} frame its address has `api=1` */
  constructor(frame) {
    this.#frame = frame;
    this.#origin = new URL(frame.src, document.baseURI).origin;
    addEventListener("message", this.#hear);
    this.ready = this.#connect();
    this.ready.catch(() => {}); // each call says so
  }

  play() { return this.#call("play"); }
  pause() { return this.#call("pause"); }
  /** @param {number} seconds */
  seek(seconds) { return this.#call("seek", seconds); }
  /** @returns {Promise<{position: number, volume: number, muted: boolean, duration: number | null, playbackState: string}>} */
  getStatus() { return this.#call("getStatus"); }
  /** @returns {Promise<number[]>} */
  getPlaybackRates() { return this.#call("getPlaybackRates"); }
  /** @returns {Promise<number>} */
  getPlaybackRate() { return this.#call("getPlaybackRate"); }
  /** @param {number} rate */
  setPlaybackRate(rate) { return this.#call("setPlaybackRate", rate); }
  /** @returns {Promise<number>} */
  getVolume() { return this.#call("getVolume"); }
  /** @param {number} volume 0 to 1 */
  setVolume(volume) { return this.#call("setVolume", volume); }
  /** @param {boolean} isMuted */
  setMuted(isMuted) { return this.#call("setMuted", isMuted); }
  /** @returns {Promise<{id: string, label: string, language: string, mode: string}[]>} */
  getCaptions() { return this.#call("getCaptions"); }
  /** @param {string | null} id of `getCaptions`; null turns captions off */
  setCaption(id) { return this.#call("setCaption", id); }
  getStats() { return this.#call("getStats"); }

  /**
   * @param {string} name
   * @param {(detail: any) => void} listener
   */
  addEventListener(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
  }

  /**
   * @param {string} name
   * @param {(detail: any) => void} listener
   */
  removeEventListener(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  /** Lets go of the frame. What was asked and not answered fails. */
  destroy() {
    removeEventListener("message", this.#hear);
    for (const { reject } of this.#calls.values()) reject(new Error("the player was let go of"));
    this.#calls.clear();
  }

  /** Asks the player whether it listens: now, and each time that the frame has loaded something. */
  async #connect() {
    for (let load = 0; ; load += 1) {
      const loaded = new Promise((resolve) => this.#frame.addEventListener("load", resolve, { once: true }));
      for (let attempt = 0; attempt < CONNECTS_MAX; attempt += 1) {
        if (await this.#isListening()) return;
      }
      if (load > 0) throw new Error("the player does not answer: its site may not allow this page to embed it, or its address lacks api=1");
      await loaded;
    }
  }

  async #isListening() {
    const id = this.#callId + 1;
    const answered = this.#send("connect", []).then(() => true);
    const isListening = await Promise.race([
      answered,
      new Promise((resolve) => setTimeout(() => resolve(false), CONNECT_INTERVAL_MS)),
    ]);
    this.#calls.delete(id);
    return isListening;
  }

  /**
   * @param {string} method
   * @param {unknown[]} params
   * @returns {Promise<any>}
   */
  async #call(method, ...params) {
    await this.ready;
    return this.#send(method, params);
  }

  /**
   * @param {string} method
   * @param {unknown[]} params
   * @returns {Promise<any>}
   */
  #send(method, params) {
    this.#callId += 1;
    const id = this.#callId;
    const answered = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    // A frame that still has its first, empty document is of this page's origin and gets nothing.
    this.#frame.contentWindow?.postMessage({ tributary: 1, id, method, params }, this.#origin);
    return answered;
  }

  /** @param {MessageEvent} message */
  #take({ source, origin, data }) {
    if (source !== this.#frame.contentWindow || origin !== this.#origin || data?.tributary !== 1) return;
    if (typeof data.event === "string") {
      for (const listener of this.#listeners.get(data.event) ?? []) listener(data.detail);
      return;
    }
    const call = this.#calls.get(data.id);
    this.#calls.delete(data.id);
    if (typeof data.error === "string") call?.reject(new Error(data.error));
    else call?.resolve(data.result);
  }
}

/** Events of a player that the element fires as its own. */
const EVENTS = ["playbackStatusUpdate", "playbackStatusChange", "volumeChange", "stats", "consentRequired", "error"];

/** `<tributary-player swarm="…">` or `<tributary-player src="https://TRACKER/#…">`. */
class TributaryPlayerElement extends HTMLElement {
  static observedAttributes = ["src", "swarm", "token", ...Object.keys(PARAMETERS)];

  /** The player inside; nothing while the element is not in a document. @type {TributaryPlayer | undefined} */
  player;

  connectedCallback() {
    if (this.player) return;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const style = new CSSStyleSheet();
    style.replaceSync(":host { display: block; aspect-ratio: 16 / 9; background: #000; } :host([hidden]) { display: none; } " +
      "iframe { display: block; width: 100%; height: 100%; border: 0; }");
    root.adoptedStyleSheets = [style];
    const frame = document.createElement("iframe");
    frame.allow = ALLOW;
    frame.loading = "lazy";
    frame.title = this.getAttribute("aria-label") ?? "Video player";
    frame.src = this.#address();
    root.replaceChildren(frame);
    this.player = new TributaryPlayer(frame);
    for (const name of EVENTS) {
      this.player.addEventListener(name, (detail) => this.dispatchEvent(new CustomEvent(name, { detail })));
    }
    const { player } = this;
    player.ready.then(() => this.dispatchEvent(new CustomEvent("ready")), (reason) => {
      if (this.player === player) this.dispatchEvent(new CustomEvent("error", { detail: { message: reason.message } }));
    });
  }

  disconnectedCallback() {
    this.player?.destroy();
    this.player = undefined;
    this.shadowRoot?.replaceChildren();
  }

  attributeChangedCallback() {
    if (!this.player) return;
    this.disconnectedCallback();
    this.connectedCallback();
  }

  /** The address of the embed that the attributes describe. */
  #address() {
    const link = new URL(this.getAttribute("src") ?? `#${this.getAttribute("swarm") ?? ""}`, this.hasAttribute("src") ? document.baseURI : HERE);
    const [swarm, ...settings] = link.hash.slice(1).split("&");
    const address = new URL("embed", link);
    for (const [attribute, parameter] of Object.entries(PARAMETERS)) {
      const value = this.getAttribute(attribute);
      if (value !== null) address.searchParams.set(parameter, value === "" ? "1" : value);
    }
    address.searchParams.set("api", "1");
    const token = this.getAttribute("token");
    if (token) settings.push(`token=${token}`);
    address.hash = [swarm, ...settings].join("&");
    return address.href;
  }
}

if (!customElements.get("tributary-player")) customElements.define("tributary-player", TributaryPlayerElement);
