// @ts-check
// The embed's side of the conversation with the page around it, over `postMessage`. Names of methods and events are PeerTube's
// where it has them; docs/embedding.md has them all.
//
// ```text
// page:  { tributary: 1, id: 7, method: "seek", params: [32] }
// embed: { tributary: 1, id: 7, result: null }   or   { tributary: 1, id: 7, error: "…" }
// embed: { tributary: 1, event: "playbackStatusUpdate", detail: {…} }
// ```
// The browser shows this player only inside pages that the operator allows. It listens to that page alone, from the first
// `connect` on to that page's origin alone, and never speaks to any other.

/** @import { EmbedOptions } from "./embed-options.js" */

/** @typedef {Record<string, (...parameters: any[]) => unknown>} Methods */

/** Answers that may be awaited at a time; a page that asks faster is not answered. */
const PENDING_MAX = 64;

export class Api {
  /** The origin that connected. @type {string | undefined} */
  #origin;
  #methods;
  #options;
  #pendingCount = 0;

  /**
   * @param {EmbedOptions} options
   * @param {Methods} methods
   */
  constructor(options, methods) {
    this.#options = options;
    this.#methods = methods;
    if (options.hasApi && window.parent !== window) addEventListener("message", (event) => void this.#hear(event));
  }

  /**
   * Tells the page of something.
   * @param {string} event
   * @param {unknown} [detail]
   */
  tell(event, detail = null) {
    this.#post({ event, detail });
  }

  /** @param {MessageEvent} message */
  async #hear({ source, origin, data }) {
    const isCall = data?.tributary === 1 && typeof data.method === "string" && Number.isSafeInteger(data.id);
    if (source !== window.parent || !isCall || !this.#isAllowed(origin)) return;
    if (data.method === "connect") this.#origin = origin;
    if (origin !== this.#origin || this.#pendingCount >= PENDING_MAX) return;
    this.#pendingCount += 1;
    try {
      const result = await this.#call(data.method, Array.isArray(data.params) ? data.params : []);
      this.#post({ id: data.id, result: result ?? null });
    } catch (error) {
      this.#post({ id: data.id, error: error instanceof Error ? error.message : String(error) });
    } finally {
      this.#pendingCount -= 1;
    }
  }

  /** @param {string} origin */
  #isAllowed(origin) {
    if (origin === "null") return false;
    if (this.#options.apiOrigin !== undefined && origin !== this.#options.apiOrigin) return false;
    // Where the browser tells, only the page that holds the frame speaks for it.
    const [holder] = location.ancestorOrigins ?? [];
    return (holder === undefined || holder === origin) && (this.#origin === undefined || this.#origin === origin);
  }

  /**
   * @param {string} name
   * @param {unknown[]} parameters
   */
  #call(name, parameters) {
    if (name === "connect") return { version: 1, methods: Object.keys(this.#methods) };
    if (!Object.hasOwn(this.#methods, name)) throw new Error(`there is no method ${name}`);
    return this.#methods[name](...parameters);
  }

  /** @param {object} message */
  #post(message) {
    if (this.#origin !== undefined) window.parent.postMessage({ tributary: 1, ...message }, this.#origin);
  }
}
