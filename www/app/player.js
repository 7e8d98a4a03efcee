// @ts-check
// Shows a content: video, audio, picture, text or a link to save it. Measures what only a player can: the
// first frame, stalls, what plays and how much media lies ahead.

import { posterUrl, tracks } from "./attachments.js";
import { contentName } from "./content_name.js";
import { element, setText } from "./dom.js";
import { say } from "./first_words.js";
import { recall } from "./memory.js";
import { reason } from "./say.js";
import { secondsAhead, StartBuffer } from "./start_buffer.js";

/** @import { Words } from "./dom.js" */
/** @import { Content, PlaybackStats } from "./types.js" */

/** Text shown at most. */
const TEXT_BYTES_MAX = 256 * 1024;

/** How often the peer hears what plays and how much media lies ahead. */
const TELL_INTERVAL_MS = 250;

/** How far before the start the frame may lie that is shown there: two frames of a slow film (12 a second). */
const START_TOLERANCE_SECONDS = 0.17;

/** How often a film that fails is read again, and how long after. */
const ATTEMPTS_MAX = 3;
const AGAIN_MS = 300;

/**
 * Where the service worker answers for a content, relative to the page.
 * @param {Content} content
 */
export function contentUrl({ swarm, name }) {
  return `content/${swarm}/${contentName(name)}`;
}

export class Player {
  /** @type {PlaybackStats} */
  stats = { first_frame_ms: null, first_frame_at_s: null, stalls: 0, stall_ms: 0 };
  #stage;
  #onPlaying;
  /** What plays, if anything does: a video element, for sound too, where it shows the cover. It lies in a `media-controller`, which
   * is nothing yet until app/controls.js is there. @type {HTMLVideoElement | undefined} */
  media;
  /** Called once something is seen or heard, or will not be. @type {() => void} */
  onFirst = () => {};
  #isOver = false;
  #attempts = 0;
  /** @type {StartBuffer | undefined} */
  #startBuffer;

  /**
   * @param {HTMLElement} stage
   * @param {(seconds: number, aheadSeconds: number) => void} onPlaying
   */
  constructor(stage, onPlaying) {
    this.#stage = stage;
    this.#onPlaying = onPlaying;
  }

  /**
   * Plays from there, if anything plays.
   * @param {number} seconds
   */
  seek(seconds) {
    if (!this.media) return;
    this.media.currentTime = seconds;
    void this.#begin(this.media);
  }

  /**
   * The peer says how much media a player needs before it plays, and again after a stall.
   * @param {number} seconds
   */
  needs(seconds) {
    if (this.#startBuffer) this.#startBuffer.seconds = seconds;
  }

  /** The page says why nothing more comes: what the browser would say about it is left out from now on. */
  end() {
    this.#isOver = true;
  }

  /**
   * @param {Content} content
   * @returns {Promise<void>} once it is shown; what fails is said in the stage
   */
  async show(content) {
    const [kind, subtype] = content.media_type.split(";", 1)[0].trim().toLowerCase().split("/");
    switch (kind) {
      case "video":
      case "audio":
        return this.#play(kind, content);
      case "image":
        return this.#picture(content);
      case "text":
        if (subtype === "plain" || subtype === "markdown") return this.#text(content);
    }
    this.#say(() => say("kind_not_shown"));
  }

  /**
   * @param {"video" | "audio"} kind
   * @param {Content} content
   */
  #play(kind, content) {
    const media = this.media = element("video");
    media.controls = true;
    media.preload = "auto";
    media.playsInline = true;
    const poster = posterUrl(content.attachments);
    if (poster) media.poster = poster;
    media.setAttribute("aria-label", content.title || content.name);
    const volume = Number(recall("volume") ?? 1);
    media.volume = volume >= 0 && volume <= 1 ? volume : 1;
    media.muted = recall("muted") === "on";
    const startSeconds = (content.start_ms ?? 0) / 1000;
    this.#measure(media, this.#startBuffer = new StartBuffer(media), kind, startSeconds);
    media.addEventListener("error", () => {
      if (this.#isOver || this.#tryAgain(media, content)) return;
      this.#say(() => say("playback_stopped", { reason: media.error?.message || say("cannot_decode") }));
    });
    // The browser seeks to the fragment's time as soon as it knows the media's index.
    const fragment = content.start_ms === null ? "" : `#t=${startSeconds}`;
    media.src = `${contentUrl(content)}${fragment}`;
    media.append(...tracks(content.attachments, (number) => say("subtitles_number", { number })));
    media.slot = "media";
    const controller = document.createElement("media-controller");
    controller.append(media);
    this.#replace(controller, kind === "video" ? "is-video" : poster ? "is-audio has-cover" : "is-audio");
    this.#begin(media);
  }

  /**
   * Reads the film again from where it is: on a busy machine, Chromium now and then fails a read that the service worker
   * answers. What no browser can decode fails again.
   * @param {HTMLMediaElement} media
   * @param {Content} content
   * @returns {boolean} whether it is tried
   */
  #tryAgain(media, content) {
    if (this.#attempts >= ATTEMPTS_MAX) return false;
    this.#attempts += 1;
    const seconds = media.currentTime || (content.start_ms ?? 0) / 1000;
    setTimeout(() => {
      media.src = `${contentUrl(content)}#t=${seconds}`;
      void this.#begin(media);
    }, AGAIN_MS);
    return true;
  }

  /**
   * Plays, without sound if the browser insists, and then offers the sound.
   * @param {HTMLMediaElement} media
   */
  async #begin(media) {
    try {
      await media.play();
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || media.muted) return;
      media.muted = true;
      const unmute = element("button", { className: "unmute" });
      setText(unmute, () => say("sound_on"));
      unmute.type = "button";
      unmute.onclick = () => { media.muted = false; };
      media.addEventListener("volumechange", () => { if (!media.muted) unmute.remove(); });
      this.#stage.append(unmute);
      await media.play().catch(() => unmute.remove());
    }
  }

  /**
   * @param {HTMLVideoElement} media
   * @param {StartBuffer} startBuffer
   * @param {"video" | "audio"} kind
   * @param {number} startSeconds where playback begins
   */
  #measure(media, startBuffer, kind, startSeconds) {
    /** @param {number} seconds where the media begins to be seen or heard */
    const first = (seconds) => {
      if (this.stats.first_frame_ms !== null) return;
      this.stats.first_frame_ms = Math.round(performance.now());
      this.stats.first_frame_at_s = seconds;
      this.onFirst();
    };
    const showsFrames = kind === "video" && "requestVideoFrameCallback" in media;
    let hasSought = false;
    media.addEventListener("seeked", () => { hasSought = true; });
    // A busy browser may present the frame at 0 before it seeks to the start: that is not the frame the
    // viewer waits for.
    const onFrame = (/** @type {number} */ mediaTime) => {
      const isBeforeStart = mediaTime < startSeconds - START_TOLERANCE_SECONDS;
      if (isBeforeStart && !hasSought) awaitFrame();
      else first(mediaTime);
    };
    const awaitFrame = () => {
      if (showsFrames) media.requestVideoFrameCallback((_, { mediaTime }) => onFrame(mediaTime));
    };
    awaitFrame();
    // A hidden tab presents no frames.
    media.addEventListener("loadeddata", () => { if (!showsFrames || document.hidden) first(media.currentTime); });
    /** @type {number | undefined} */
    let stalledAt;
    let isSeeking = false;
    const resume = () => {
      if (stalledAt === undefined) return;
      this.stats.stall_ms += Math.round(performance.now() - stalledAt);
      stalledAt = undefined;
    };
    media.addEventListener("waiting", () => {
      if (this.stats.first_frame_ms === null || isSeeking || media.seeking || media.ended) return;
      if (stalledAt !== undefined) return;
      stalledAt = performance.now();
      this.stats.stalls += 1;
    });
    startBuffer.onEnd = resume;
    media.addEventListener("seeking", () => { isSeeking = true; resume(); });
    for (const event of ["playing", "canplay"]) {
      media.addEventListener(event, () => { isSeeking = false; if (!startBuffer.isWaiting) resume(); });
    }
    let told = "";
    setInterval(() => {
      const now = /** @type {const} */ ([media.currentTime, secondsAhead(media)]);
      if (now.join() !== told) this.#onPlaying(...now);
      told = now.join();
    }, TELL_INTERVAL_MS);
  }

  /** @param {Content} content */
  async #picture(content) {
    const image = element("img");
    image.alt = content.name;
    image.src = contentUrl(content);
    try {
      await image.decode();
      this.#shown(image);
    } catch {
      this.#say(() => say("picture_not_shown"));
    }
  }

  /** @param {Content} content */
  async #text(content) {
    const end = Math.min(content.length_bytes, TEXT_BYTES_MAX) - 1;
    try {
      const response = await fetch(contentUrl(content), { headers: { Range: `bytes=0-${end}` } });
      if (!response.ok) throw new Error((await response.text()).trim());
      const text = await response.text();
      const isCut = content.length_bytes > TEXT_BYTES_MAX;
      const pre = element("pre", { text: isCut ? `${text}\n…` : text });
      pre.tabIndex = 0;
      this.#shown(pre);
    } catch (error) {
      this.#say(() => reason(error instanceof Error ? error.message : String(error)));
    }
  }

  /** @param {HTMLElement} node */
  #shown(node) {
    this.stats.first_frame_ms ??= Math.round(performance.now());
    this.onFirst();
    this.#replace(node, "is-plain");
  }

  /**
   * @param {HTMLElement} node
   * @param {string} kind classes of the stage
   */
  #replace(node, kind) {
    this.#stage.className = `stage ${kind}`;
    this.#stage.replaceChildren(node);
  }

  /** @param {Words} words what there is to say instead of something to see */
  #say(words) {
    const note = element("p", { className: "stage-note is-still" });
    setText(note, words);
    this.#replace(note, "");
    this.onFirst();
  }
}
