// @ts-check
// The player's controls over the video: elements of Media Chrome around the timeline of segments. Without them, the browser's
// own controls are there.

import { captionTracks } from "./attachments.js";
import { byId, element, setText } from "./dom.js";
import { language } from "./language.js";
import { icon, make } from "./make.js";
import { Settings } from "./settings.js";
import { storyboardTrack } from "./storyboard.js";
import { say } from "./words.js";

/** @import { Bar } from "./bar.js" */
/** @import { Chapter, Content } from "./types.js" */

/** Made by xtask/src/page/bundle.mjs. */
const LIBRARY = "../vendor/media-chrome.js";

/** Values of `autohide`: seconds until the controls go away, or never. */
const HIDES = "3";
const STAYS = "-1";

/** How long words about what a key did stay. */
const SAID_MS = 1200;

const WIDE = "M3 6h18v12H3zm2 2v8h14V8z";
const NARROW = "M6 8h12v8H6zm2 2v4h8v-4z";
const GEAR = "M10.6 2h2.8l.4 2.6 1.6.7 2.2-1.6 2 2-1.6 2.2.7 1.6 2.6.4v2.8l-2.6.4-.7 1.6 1.6 2.2-2 2-2.2-1.6-1.6.7-.4 " +
  "2.6h-2.8l-.4-2.6-1.6-.7-2.2 1.6-2-2L6 14.7l-.7-1.6-2.6-.4V9.9l2.6-.4L6 7.9 4.4 5.7l2-2 2.2 1.6 1.6-.7zM12 " +
  "8a3.6 3.6 0 1 0 0 7.2A3.6 3.6 0 0 0 12 8z";

/** Loads the library, which defines its elements; those that are in the page come to life. */
export async function loadLibrary() {
  const { tag, translation } = language;
  const { addTranslation, setLanguage } = await import(LIBRARY);
  if (translation) addTranslation(tag, translation.PLAYER);
  // Of itself, the library would speak the first of the browser's languages.
  setLanguage(tag);
}

export class Controls {
  #controller;
  #said = make("p", { class: "said", role: "status" });
  /** @type {number | undefined} */
  #saidTimer;
  #theatre;
  #isAudio;
  settings;
  /** Called when the person asks for the list of keys. */
  onHelp = () => {};

  /**
   * @param {HTMLVideoElement} video
   * @param {Bar | undefined} bar what lies behind the timeline
   * @param {Content} content
   */
  constructor(video, bar, content) {
    const controller = /** @type {HTMLElement} */ (video.parentElement);
    this.#controller = controller;
    // The library named it before it knew the language.
    this.#isAudio = byId("stage").classList.contains("is-audio");
    controller.setAttribute("aria-label", say(this.#isAudio ? "player_audio" : "player_video"));
    for (const [name, value] of [["lang", language.tag], ["nohotkeys", ""], ["novolumepref", ""], ["nomutedpref", ""], ["nosubtitleslangpref", ""],
      ["autohide", this.#rest()]]) {
      controller.setAttribute(name, value);
    }
    if (content.chapters.length > 0) video.append(chapterTrack(content.chapters));
    const storyboard = storyboardTrack(content);
    if (storyboard) video.append(storyboard);
    this.settings = new Settings(video, (isOpen) => controller.setAttribute("autohide", isOpen ? STAYS : this.#rest()));
    this.#theatre = own("theatre", [icon(WIDE)], () => this.toggleTheatre());
    const help = own("help", [make("span", { class: "help-mark", "aria-hidden": "true" }, text("?"))], () => this.onHelp());
    const settings = own("settings", [icon(GEAR)], () => this.settings.toggle());
    this.settings.opener = settings;
    const captions = captionTracks(video).length > 0 ? [make("media-captions-button")] : [];
    // Sound alone fills no screen.
    const screens = this.#isAudio ? [] : [make("media-pip-button"), this.#theatre, make("media-fullscreen-button")];
    const strip = make("media-control-bar", {},
      make("media-play-button"), make("media-mute-button"), make("media-volume-range"),
      make("media-time-display", { showduration: "", notoggle: "" }), make("span", { class: "gap" }),
      ...captions, settings, help, ...screens);
    const spinner = element("span", { className: "spinner" });
    spinner.slot = "icon";
    controller.append(
      make("media-loading-indicator", { slot: "centered-chrome", noautohide: "" }, spinner),
      make("div", { slot: "top-chrome", noautohide: "", class: "said-place" }, this.#said),
      make("div", { class: "settings-place" }, this.settings.panel),
      make("div", { class: "controls" }, timeline(bar, storyboard !== undefined), strip),
    );
    // It says whether it is on, which a mere button cannot.
    captions[0]?.setAttribute("role", "switch");
    video.controls = false;
    controller.addEventListener("dblclick", (event) => this.#double(event, video));
    document.addEventListener("fullscreenchange", () => void turn(document.fullscreenElement !== null));
  }

  /** How long the controls stay without a movement. Over sound there is nothing that they hide. */
  #rest() {
    return this.#isAudio ? STAYS : HIDES;
  }

  /** @param {string} name of a request that the library understands */
  ask(name) {
    if (this.#isAudio) return;
    this.#controller.dispatchEvent(new CustomEvent(name, { composed: true, bubbles: true }));
  }

  toggleTheatre() {
    if (this.#isAudio) return;
    const isTheatre = document.body.classList.toggle("is-theatre");
    const words = say(isTheatre ? "theatre_end" : "theatre");
    this.#theatre.setAttribute("aria-label", words);
    this.#theatre.replaceChildren(icon(isTheatre ? NARROW : WIDE), tip(words));
  }

  /** @param {string} words shown for a moment, and read out */
  say(words) {
    setText(this.#said, words);
    clearTimeout(this.#saidTimer);
    this.#saidTimer = setTimeout(() => setText(this.#said, ""), SAID_MS);
  }

  /**
   * Two taps beside the middle go back or on; elsewhere, or with a mouse, to the full screen.
   * @param {MouseEvent} event
   * @param {HTMLVideoElement} video
   */
  #double(event, video) {
    if (event.target !== video && event.target !== this.#controller) return;
    const { left, width } = this.#controller.getBoundingClientRect();
    const place = (event.clientX - left) / width;
    const isTouch = event instanceof PointerEvent && event.pointerType === "touch";
    if (isTouch && (place < 0.35 || place > 0.65)) {
      video.currentTime += place < 0.5 ? -10 : 10;
      return this.say(say(place < 0.5 ? "back" : "forward", { seconds: 10 }));
    }
    this.ask(document.fullscreenElement ? "mediaexitfullscreenrequest" : "mediaenterfullscreenrequest");
  }
}

/**
 * The segments with the player's own slider over them.
 * @param {Bar | undefined} bar
 * @param {boolean} hasStoryboard
 */
function timeline(bar, hasStoryboard) {
  const hover = make("div", { slot: "preview", class: "hover" });
  // The library's picture has no words; the time below it is read instead.
  const thumbnail = hasStoryboard ? [make("media-preview-thumbnail", { "slot": "preview", "aria-hidden": "true" })] : [];
  const range = make("media-time-range", {}, ...thumbnail, make("media-preview-chapter-display", { slot: "preview" }),
    make("media-preview-time-display", { slot: "preview" }), hover);
  if (!bar) return make("div", { class: "timeline" }, range);
  range.addEventListener("pointermove", ({ clientX }) => {
    const { left, width } = bar.canvas.getBoundingClientRect();
    setText(hover, bar.hover(Math.min(Math.max((clientX - left) / width, 0), 1)));
  });
  return make("div", { class: "timeline" }, bar.canvas, range);
}

/**
 * A button of ours among the library's.
 * @param {"theatre" | "settings" | "help"} key
 * @param {Node[]} children
 * @param {() => void} onClick
 */
function own(key, children, onClick) {
  const words = say(key === "help" ? "help_key" : key);
  const button = make("media-chrome-button", { "aria-label": words, class: key }, ...children, tip(words));
  // The library calls it for clicks and for keys.
  return Object.assign(button, { handleClick: onClick });
}

/** @param {string} words */
function tip(words) {
  return make("span", { slot: "tooltip-content" }, text(words));
}

/** @param {string} words */
function text(words) {
  return document.createTextNode(words);
}

/**
 * The chapters as the library's preview reads them.
 * @param {Chapter[]} chapters
 */
function chapterTrack(chapters) {
  const track = element("track");
  track.kind = "chapters";
  track.default = true;
  const stamp = (/** @type {number} */ ms) => new Date(Math.min(ms, 86_399_999)).toISOString().slice(11, 23);
  const cues = chapters.map(({ time_ms, name }, index) => {
    const end = chapters[index + 1]?.time_ms ?? 86_399_000;
    const title = (name || say("chapter", { number: index + 1 })).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\n", " ");
    return `${stamp(time_ms)} --> ${stamp(end)}\n${title.replaceAll("-->", "→")}\n`;
  });
  track.src = URL.createObjectURL(new Blob([`WEBVTT\n\n${cues.join("\n")}`], { type: "text/vtt" }));
  return track;
}

/**
 * On a phone, the full screen lies on its side.
 * @param {boolean} isFull
 */
async function turn(isFull) {
  const orientation = /** @type {{lock?: (to: string) => Promise<void>, unlock?: () => void}} */ (
    /** @type {unknown} */ (screen.orientation));
  try {
    if (isFull) await orientation.lock?.("landscape");
    else orientation.unlock?.();
  } catch {
    // Only phones turn.
  }
}
