// @ts-check
// The player's settings: speed, captions and how they look. They are remembered, except the speed.

import { captionTracks } from "./attachments.js";
import { element } from "./dom.js";
import { make } from "./make.js";
import { recall, remember } from "./memory.js";
import { speed } from "./start_buffer.js";
import { say } from "./words.js";

export const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

/** Sizes of captions, in parts of the usual one. @type {Record<string, string>} */
const SIZES = { small: "75%", normal: "100%", large: "150%", huge: "200%" };
const SIZE_NAMES = /** @type {const} */ (["small", "normal", "large", "huge"]);

/** What lies behind captions. @type {Record<string, string>} */
const GROUNDS = { solid: "#000", half: "rgb(0 0 0 / .6)", none: "transparent" };
const GROUND_NAMES = /** @type {const} */ (["solid", "half", "none"]);

/** @typedef {{value: string, words: string}} Choice */

export class Settings {
  #video;
  #onToggle;
  #sheet = new CSSStyleSheet();
  panel = make("div", { class: "settings-panel", role: "dialog", "aria-label": say("settings") });
  /** The button that opens them. @type {HTMLElement | undefined} */
  opener;

  /**
   * @param {HTMLVideoElement} video
   * @param {(isOpen: boolean) => void} onToggle
   */
  constructor(video, onToggle) {
    this.#video = video;
    this.#onToggle = onToggle;
    this.panel.hidden = true;
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.#sheet];
    this.#fill();
    this.#style();
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      this.toggle();
    });
    document.addEventListener("pointerdown", (event) => {
      const isOwn = event.composedPath().some((node) => node === this.panel || node === this.opener);
      if (!this.panel.hidden && !isOwn) this.toggle();
    });
    video.addEventListener("ratechange", () => this.#fill());
    const remembered = recall("captions");
    if (remembered) this.#showCaptions(captionTracks(video).find(({ language }) => language === remembered));
    video.textTracks.addEventListener("change", () => {
      remember("captions", captionTracks(video).find(({ mode }) => mode === "showing")?.language ?? "");
      this.#fill();
    });
  }

  /** Opens or closes them. */
  toggle() {
    const isOpen = this.panel.hidden;
    this.panel.hidden = !isOpen;
    this.opener?.setAttribute("aria-expanded", String(isOpen));
    this.#onToggle(isOpen);
    const target = isOpen ? /** @type {HTMLElement | null} */ (this.panel.querySelector("input:checked")) : this.opener;
    target?.focus();
  }

  /** Shows the next choice of captions: the first, or none. Returns what is said. */
  toggleCaptions() {
    const tracks = captionTracks(this.#video);
    const shown = tracks.find(({ mode }) => mode === "showing");
    const wished = navigator.languages.map((tag) =>
      tracks.find(({ language }) => language.split("-")[0] === tag.split("-")[0])).find(Boolean);
    const next = shown ? undefined : wished ?? tracks[0];
    this.#showCaptions(next);
    if (tracks.length === 0) return say("captions_none");
    return say("captions_are", { label: next?.label ?? say("captions_off") });
  }

  /** @param {TextTrack | undefined} chosen */
  #showCaptions(chosen) {
    for (const track of captionTracks(this.#video)) track.mode = track === chosen ? "showing" : "disabled";
  }

  #fill() {
    const focused = document.activeElement;
    const name = focused instanceof HTMLInputElement && this.panel.contains(focused) ? focused.name : "";
    const tracks = captionTracks(this.#video);
    const groups = [this.#choice("speed", SPEEDS.map((rate) => ({ value: String(rate), words: say("speed_times", { rate }) })),
      String(speed(this.#video)), (rate) => { this.#video.playbackRate = Number(rate); })];
    if (tracks.length > 0) {
      const shown = tracks.findIndex(({ mode }) => mode === "showing");
      const offered = tracks.map(({ label }, index) =>
        ({ value: String(index), words: label || say("captions_number", { number: index + 1 }) }));
      groups.push(
        this.#choice("captions", [{ value: "-1", words: say("captions_off") }, ...offered], String(shown),
          (index) => this.#showCaptions(tracks[Number(index)])),
        this.#remembered("caption_size", SIZE_NAMES.map((value) => ({ value, words: say(`size_${value}`) })), "normal"),
        this.#remembered("caption_ground", GROUND_NAMES.map((value) => ({ value, words: say(`ground_${value}`) })), "half"),
      );
    }
    this.panel.replaceChildren(...groups);
    const again = /** @type {HTMLElement | null} */ (name ? this.panel.querySelector(`input[name="${name}"]:checked`) : null);
    again?.focus();
  }

  /**
   * A choice of how captions look.
   * @param {"caption_size" | "caption_ground"} key
   * @param {Choice[]} choices
   * @param {string} usual
   */
  #remembered(key, choices, usual) {
    return this.#choice(key, choices, recall(key) ?? usual, (value) => {
      remember(key, value);
      this.#style();
    });
  }

  /**
   * @param {"speed" | "captions" | "caption_size" | "caption_ground"} key
   * @param {Choice[]} choices
   * @param {string} chosen
   * @param {(value: string) => void} choose
   */
  #choice(key, choices, chosen, choose) {
    const options = choices.map(({ value, words }) => {
      const input = element("input");
      Object.assign(input, { type: "radio", name: key, value, checked: value === chosen });
      input.onchange = () => choose(value);
      return element("label", {}, input, element("span", { text: words }));
    });
    return element("fieldset", {}, element("legend", { text: say(key) }), element("div", { className: "pills" }, ...options));
  }

  #style() {
    const size = SIZES[recall("caption_size") ?? ""] ?? SIZES.normal;
    const ground = GROUNDS[recall("caption_ground") ?? ""] ?? GROUNDS.half;
    const shadow = ground === "transparent" ? "text-shadow: 0 0 4px #000, 0 0 2px #000;" : "";
    this.#sheet.replaceSync(`video::cue { font-size: ${size}; background: ${ground}; color: #fff; ${shadow} }`);
  }
}
