// @ts-check
// The player inside other sites: `embed#SWARM`. Until a person plays, it connects to nothing and fetches only a title and a
// picture.

import { Api } from "./api.js";
import { byId, element, setText } from "./dom.js";
import { readOptions } from "./embed-options.js";
import { methods, playbackState, status } from "./embed-player.js";
import { recall, remember } from "./memory.js";
import { onPress } from "./presses.js";
import { reason, translatePage } from "./say.js";
import { StartBuffer } from "./start_buffer.js";
import { Watching } from "./watch.js";
import { say } from "./words.js";

/** @import { Content, PeerStats, Stored } from "./types.js" */

/** How often the page around hears where playback is; PeerTube's interval. */
const STATUS_INTERVAL_MS = 500;

/** How often a film that fails is read again, and how long after. */
const ATTEMPTS_MAX = 3;
const AGAIN_MS = 300;

/** How long the player says where kept films are listed. */
const KEPT_WORDS_MS = 8000;

/** How often the page around hears what came from where. */
const STATS_INTERVAL_MS = 1000;

class Embed {
  #options = readOptions(location.search, location.hash);
  #root = byId("embed");
  #media = element("video");
  #startBuffer = new StartBuffer(this.#media);
  /** @type {Watching | undefined} */
  #watching;
  /** What holds about connections with other peers; undefined: nobody was asked. @type {boolean | undefined} */
  #hasPeers;
  #isOffered = false;
  #attempts = 0;
  /** Whether the tracker connects no viewers at all. */
  #isMirrorsOnly = false;
  /** Set once a person wants to play. @type {Promise<void> | undefined} */
  #begun;
  #api = new Api(this.#options, methods({
    media: () => this.#media,
    play: () => this.play(),
    status: () => this.#status(),
    stats: () => this.#watching?.stats() ?? null,
  }));

  start() {
    addEventListener("hashchange", () => location.reload());
    const { swarm, hasControls, isMuted, isAutoplaying } = this.#options;
    byId("word-link", HTMLAnchorElement).href = byId("title", HTMLAnchorElement).href = this.#pageAddress();
    if (!swarm) return this.#fatal(say("embed_bad_link"));
    this.#media.muted = isMuted;
    this.#listen();
    byId("play").addEventListener("click", () => void this.play().catch(() => {})); // what fails is said by then
    if (!hasControls) byId("stage").addEventListener("click", () => void this.#toggle());
    byId("play").hidden = isAutoplaying || !hasControls;
    this.#listenToConsent();
    void this.#describe();
    if (isAutoplaying) void this.play().catch(() => {});
  }

  /** Plays, and first connects if that has not been done. */
  async play() {
    byId("play").hidden = true;
    this.#begun ??= this.#begin();
    await this.#begun;
    this.#focus();
    await this.#media.play().catch(async (error) => {
      // Sound takes a click; a player that starts by itself starts without.
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || this.#media.muted) throw error;
      this.#media.muted = true;
      await this.#media.play();
    });
  }

  /** The button that was pressed is gone; the keys are the player's now. Inside another page, only if the person is here. */
  #focus() {
    const held = document.activeElement;
    // A browser takes the focus from what was hidden only when it draws again.
    const isLost = held === document.body || held?.closest("[hidden]");
    if (document.hasFocus() && isLost) this.#media.focus({ preventScroll: true });
  }

  #toggle() {
    return this.#media.paused ? this.play() : this.#media.pause();
  }

  async #begin() {
    const { swarm, token, start, hasPeers } = this.#options;
    this.#waiting(say("embed_joining"));
    try {
      const peers = this.#hasPeers = hasPeers ? answer() : false;
      const watching = this.#watching = new Watching(/** @type {string} */ (swarm), { token, start: start?.toString(), peers });
      watching.addEventListener("failed", (event) => this.#fatal(reason(detailOf(event).reason)));
      watching.addEventListener("waiting", (event) => this.#waiting(
        say("embed_waiting", { reason: capital(reason(detailOf(event).reason)) })));
      watching.addEventListener("withheld", (event) => this.#withheld(detailOf(event).isConsentRequired));
      watching.addEventListener("storage", (event) => this.#stored(detailOf(event)));
      watching.addEventListener("stats", (event) => this.#account(detailOf(event)));
      const content = await watching.ready;
      this.#show(content);
    } catch (error) {
      const why = reason(error instanceof Error ? error.message : String(error));
      // Browsers that separate sites by refusing throw one of these when the service worker is registered.
      const isRefused = error instanceof DOMException && ["SecurityError", "NotSupportedError", "InvalidStateError"].includes(error.name);
      this.#fatal(isRefused ? say("embed_refused_storage", { reason: why }) : why);
      throw error;
    }
  }

  /** @param {Content} content */
  #show(content) {
    this.#entitle(content.title || content.name);
    const kind = content.media_type.split("/", 1)[0];
    if (kind !== "video" && kind !== "audio") {
      this.#waiting("");
      return this.#fatal(say("embed_kind"));
    }
    // A video element plays sound as well, and shows the cover meanwhile.
    byId("stage").classList.toggle("is-audio", kind === "audio");
    const { hasControls, isLooping, rate, start, stop, subtitle } = this.#options;
    const media = this.#media;
    media.controls = hasControls;
    media.preload = "auto";
    media.loop = isLooping && stop === undefined;
    media.setAttribute("aria-label", content.title || content.name);
    media.playsInline = true;
    this.#watching?.attach(media, (number) => say("subtitles_number", { number }));
    media.defaultPlaybackRate = media.playbackRate = rate;
    if (subtitle) showSubtitle(media, subtitle);
    if (stop !== undefined) stopAt(media, stop, isLooping ? (start ?? 0) : undefined);
    byId("stage").replaceChildren(media);
  }

  #listen() {
    const media = this.#media;
    const told = () => this.#api.tell("playbackStatusChange", playbackState(media));
    for (const name of ["play", "playing", "pause", "ended"]) {
      media.addEventListener(name, () => {
        this.#root.classList.toggle("is-playing", !media.paused);
        told();
      });
    }
    media.addEventListener("playing", () => this.#waiting(""));
    media.addEventListener("volumechange", () => this.#api.tell("volumeChange", media.muted ? 0 : media.volume));
    media.addEventListener("error", () => {
      if (!byId("word").hidden || !media.src || this.#tryAgain()) return;
      this.#fatal(say("embed_stopped", { reason: media.error?.message || say("cannot_decode") }));
    });
    setInterval(() => this.#api.tell("playbackStatusUpdate", this.#status()), STATUS_INTERVAL_MS);
    setInterval(() => {
      const stats = this.#watching?.stats();
      if (stats) this.#api.tell("stats", stats);
    }, STATS_INTERVAL_MS);
  }

  /**
   * Reads the film again from where it is: on a busy machine, Chromium now and then fails a read that the service worker answers.
   * @returns {boolean} whether it is tried
   */
  #tryAgain() {
    const { url } = this.#watching ?? {};
    if (this.#attempts >= ATTEMPTS_MAX || !url) return false;
    this.#attempts += 1;
    const media = this.#media;
    const seconds = media.currentTime || (this.#options.start ?? 0);
    setTimeout(() => {
      media.src = `${url}#t=${seconds}`;
      void media.play().catch(() => {});
    }, AGAIN_MS);
    return true;
  }

  #status() {
    return status(this.#media);
  }

  /** @param {string} title which is the link to the film's own page: there is none before it has words */
  #entitle(title) {
    setText(byId("title"), title);
    document.title = title;
    byId("heading").hidden = !this.#options.hasTitle;
  }

  /**
   * Offers to keep the film, where the browser stores it.
   * @param {Stored} stored
   */
  #stored({ is_on_disk, is_kept }) {
    const keep = byId("keep", HTMLButtonElement);
    keep.hidden = !is_on_disk || !this.#options.hasControls;
    keep.setAttribute("aria-pressed", String(is_kept));
    setText(keep, say(is_kept ? "kept" : "keep"));
    keep.onclick = () => {
      this.#watching?.keep(!is_kept);
      if (is_kept) return this.#waiting("");
      // Asked for now, when the person sees why: the browser then does not clear the site's files by itself.
      void navigator.storage.persist().catch(() => {});
      this.#waiting(say(isOwnSite() ? "embed_kept" : "embed_kept_apart"));
      setTimeout(() => this.#waiting(""), KEPT_WORDS_MS);
    };
  }

  /** A title and a picture, from the tracker alone. */
  async #describe() {
    const { swarm, token } = this.#options;
    /** @type {RequestInit} */
    const request = token ? { headers: { authorization: `Bearer ${token}` } } : {};
    const link = new URL("./", location.href);
    link.hash = swarm ?? "";
    const answer = await fetch(`oembed?url=${encodeURIComponent(link.href)}`, request).catch(() => undefined);
    if (!answer?.ok || this.#watching?.content) return;
    const { title, has_poster } = await answer.json();
    this.#entitle(title);
    if (!has_poster) return;
    const picture = await fetch(`v1/manifests/${swarm}/poster`, request).catch(() => undefined);
    if (!picture?.ok || this.#watching?.content) return;
    const image = element("img");
    image.alt = "";
    image.src = URL.createObjectURL(await picture.blob());
    byId("stage").replaceChildren(image);
  }

  #listenToConsent() {
    setText(byId("consent-title"), say("consent_title"));
    setText(byId("consent-words"), `${say("consent_words")} ${say("consent_remembered")}`);
    setText(byId("consent-yes"), say("consent_yes"));
    setText(byId("consent-no"), say("consent_no"));
    onPress(byId("consent-yes"), () => this.#consent(true));
    onPress(byId("consent-no"), () => this.#consent(false));
  }

  /** @param {boolean} isGiven */
  #consent(isGiven) {
    remember("peers", isGiven ? "on" : "off");
    byId("consent").hidden = true;
    this.#hasPeers = isGiven;
    this.#watching?.consent(isGiven);
    this.#focus();
  }

  /** @param {boolean} isConsentRequired */
  #withheld(isConsentRequired) {
    if (!isConsentRequired) {
      this.#isMirrorsOnly = true;
      return;
    }
    this.#waiting("");
    byId("consent").hidden = false;
    byId("consent-yes").focus();
    this.#api.tell("consentRequired");
  }

  /**
   * Where nothing can come from, that is said.
   * @param {PeerStats} stats
   */
  #account({ mirrors, bytes_total, bytes_verified, start_buffer_ms }) {
    this.#startBuffer.seconds = start_buffer_ms / 1000;
    const isStuck = bytes_total > bytes_verified && mirrors.length === 0;
    if (!isStuck) return;
    if (this.#isMirrorsOnly && byId("word").hidden) this.#fatal(say("mirrors_only_alone"));
    if (this.#hasPeers !== false || this.#isOffered) return;
    // Nothing comes without other viewers: they are offered once more.
    this.#isOffered = true;
    setText(byId("consent-words"), say("consent_offer"));
    this.#waiting("");
    byId("consent-no").hidden = true;
    byId("consent").hidden = false;
  }

  /** @param {string} words */
  #waiting(words) {
    setText(byId("waiting"), words);
    byId("waiting").hidden = words === "";
  }

  /** @param {string} words */
  #fatal(words) {
    this.#waiting("");
    byId("play").hidden = true;
    byId("consent").hidden = true;
    setText(byId("word-text"), words);
    setText(byId("word-link"), say("embed_open"));
    byId("word").hidden = false;
    this.#api.tell("error", { message: words });
  }

  /** The content's own page. A permission goes there in the fragment, as it came. */
  #pageAddress() {
    const page = new URL("./", location.href);
    const { swarm, token } = this.#options;
    page.hash = swarm ? `${swarm}${token ? `&token=${token}` : ""}` : "";
    return page.href;
  }
}

/**
 * What the person said earlier about connections with other peers.
 * @returns {boolean | undefined}
 */
function answer() {
  const said = recall("peers");
  return said === null ? undefined : said === "on";
}

/** Whether this player stores where the tracker's own pages do: browsers give players inside each other site a storage of its own. */
function isOwnSite() {
  if (window.parent === window) return true;
  const around = [...(location.ancestorOrigins ?? [])];
  return around.length > 0 && around.every((origin) => origin === location.origin);
}

/** @param {Event} event */
function detailOf(event) {
  return /** @type {CustomEvent} */ (event).detail;
}

/** @param {string} words */
function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * @param {HTMLMediaElement} media
 * @param {string} language
 */
function showSubtitle(media, language) {
  const track = [...media.textTracks].find((track) => track.language.split("-")[0] === language.split("-")[0]);
  if (track) track.mode = "showing";
}

/**
 * Stops at a time, or goes back to another one. Who then plays on is not stopped again.
 * @param {HTMLMediaElement} media
 * @param {number} end
 * @param {number | undefined} again
 */
function stopAt(media, end, again) {
  let hasStopped = false;
  media.addEventListener("timeupdate", () => {
    if (media.currentTime < end || hasStopped || media.seeking) return;
    if (again !== undefined) {
      media.currentTime = again;
      return;
    }
    hasStopped = true;
    media.pause();
  });
}

translatePage();
new Embed().start();
