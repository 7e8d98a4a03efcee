// @ts-check
// Answers requests for content/SWARM/NAME, relative to this script, with bytes that a page's peer has verified. It knows no protocol:
// it asks the page, gets the head, then bytes whenever the browser takes some. Everything else goes to the
// network untouched.

/** @import { ReadAnswer, ReadAsk } from "./app/types.js" */

/** Silence on a port after which its page counts as gone; the peer says something every 200 ms. */
const SILENCE_MS = 15_000;

const scope = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

/** What a person reads in place of a file, by language; reasons come from a page, which says them in its own. */
const WORDS = {
  en: {
    refused: "This content cannot be had: {reason}.",
    no_page: "open the page that plays this content, and leave it open",
    page_gone: "its page is gone",
    page_silent: "its page no longer answers",
  },
  de: {
    refused: "Dieser Inhalt ist nicht zu haben: {reason}.",
    no_page: "Öffne die Seite, die ihn abspielt, und lass sie offen",
    page_gone: "Seine Seite ist geschlossen",
    page_silent: "Seine Seite antwortet nicht mehr",
  },
};

/** In the first language of the browser that is there. @type {typeof WORDS.en} */
const words = scope.navigator.languages.map((tag) => Object.entries(WORDS).find(([own]) => tag.split("-")[0] === own)?.[1])
  .find((own) => own !== undefined) ?? WORDS.en;

/** The address in front of every content. */
const CONTENTS = new URL("content/", scope.location.href).href;

scope.addEventListener("install", () => void scope.skipWaiting());
scope.addEventListener("activate", (event) => event.waitUntil(scope.clients.claim()));

// A page says "claim" when nothing controls it (a forced reload), and "alive" so that this worker is not
// put to sleep between two reads.
scope.addEventListener("message", (event) => {
  if (event.data?.type === "claim") event.waitUntil(scope.clients.claim());
});

scope.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (!url.href.startsWith(CONTENTS) || event.request.method !== "GET") return;
  const swarm = /^([0-9a-f]{64})\//.exec(url.href.slice(CONTENTS.length))?.[1];
  if (!swarm) return;
  /** @type {ReadAsk} */
  const ask = {
    type: "read",
    swarm,
    range: event.request.headers.get("Range"),
    is_download: url.searchParams.has("download"),
  };
  event.respondWith(answer(event.clientId, ask));
});

/**
 * @param {string} asker
 * @param {ReadAsk} ask
 */
async function answer(asker, ask) {
  const own = asker ? await scope.clients.get(asker) : undefined;
  // A navigation (a download) has no page of its own: any page that plays this content may answer.
  const pages = own ? [own] : await scope.clients.matchAll({ type: "window" });
  let reason = words.no_page;
  for (const page of pages) {
    try {
      return await read(page, ask);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
  }
  return new Response(`${words.refused.replace("{reason}", () => reason)}\n`, {
    status: 503,
    headers: { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
  });
}

/**
 * Asks one page; rejects if it does not play the content or is gone.
 * @param {Client} page
 * @param {ReadAsk} ask
 * @returns {Promise<Response>}
 */
async function read(page, ask) {
  const { port1: port, port2 } = new MessageChannel();
  const source = new Source(port);
  page.postMessage(ask, [port2]);
  const { status, headers } = await source.head();
  if (status === 416) {
    source.cancel();
    return new Response(null, { status, headers });
  }
  const body = new ReadableStream({ pull: (controller) => source.pull(controller), cancel: () => source.cancel() });
  return new Response(body, { status, headers });
}

/** The answering end of one read: a head, then bytes on demand. */
class Source {
  /** @type {{resolve: (value: any) => void, reject: (error: Error) => void} | undefined} */
  #waiting;
  /** @type {number | undefined} */
  #timer;
  #isEnded = false;
  /** @type {Error | undefined} */
  #failure;
  #port;

  /** @param {MessagePort} port */
  constructor(port) {
    this.#port = port;
    port.onmessage = (event) => this.#hear(event.data);
    port.addEventListener("close", () => this.#fail(words.page_gone));
  }

  /** @returns {Promise<{status: number, headers: [string, string][]}>} */
  head() {
    return this.#wait();
  }

  /** @param {ReadableStreamDefaultController} controller */
  async pull(controller) {
    if (!this.#isEnded && !this.#failure) this.#port.postMessage({ type: "pull" });
    const buffer = await this.#wait();
    if (buffer) controller.enqueue(new Uint8Array(buffer));
    else controller.close();
  }

  cancel() {
    this.#port.postMessage({ type: "cancel" });
    this.#close();
  }

  /** The next head or buffer; nothing at the end. */
  #wait() {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#isEnded) return Promise.resolve(undefined);
    this.#listen();
    return new Promise((resolve, reject) => { this.#waiting = { resolve, reject }; });
  }

  #listen() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#fail(words.page_silent), SILENCE_MS);
  }

  /** @param {ReadAnswer} data */
  #hear(data) {
    if (data instanceof ArrayBuffer) return this.#settle(data);
    switch (data.type) {
      case "head": return this.#settle(data);
      case "alive": return this.#waiting ? this.#listen() : undefined;
      case "fail": return this.#fail(data.reason);
      case "end":
        this.#isEnded = true;
        this.#settle(undefined);
        return this.#close();
    }
  }

  /** @param {unknown} value */
  #settle(value) {
    clearTimeout(this.#timer);
    this.#waiting?.resolve(value);
    this.#waiting = undefined;
  }

  /** @param {string} reason */
  #fail(reason) {
    this.#failure = new Error(reason);
    this.#waiting?.reject(this.#failure);
    this.#waiting = undefined;
    this.#close();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#port.onmessage = null;
    this.#port.close();
  }
}
