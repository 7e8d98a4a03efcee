// @ts-check
// What keys do while watching. A person can turn them off (WCAG 2.1.4); `?` always opens the list, where they are turned on.

import { formatDuration, formatShare } from "./format.js";
import { recall, remember } from "./memory.js";
import { SPEEDS } from "./settings.js";
import { speed } from "./start_buffer.js";
import { say } from "./words.js";

/** @import { Controls } from "./controls.js" */

/** The list of the help dialog: keys, and what they do. @type {[string[], Parameters<typeof say>[0]][]} */
export const LIST = [
  [[say("key_space"), "K"], "key_play"],
  [["J", "L"], "key_back"],
  [["←", "→"], "key_arrows"],
  [["↑", "↓"], "key_volume"],
  [["M"], "key_mute"],
  [["F"], "key_full"],
  [["T"], "key_theatre"],
  [["I"], "key_picture"],
  [["C"], "key_captions"],
  [["0", "9"], "key_digits"],
  [["<", ">"], "key_speed"],
  [["?"], "key_help"],
];

const VOLUME_STEP = 0.05;

/** Whether keys are used. */
export function areUsed() {
  return recall("keys") !== "off";
}

/** @param {boolean} areWanted */
export function use(areWanted) {
  remember("keys", areWanted ? "on" : "off");
}

export class Keys {
  #video;
  #controls;
  #help;

  /**
   * @param {HTMLVideoElement} video
   * @param {Controls} controls
   * @param {() => void} help
   */
  constructor(video, controls, help) {
    this.#video = video;
    this.#controls = controls;
    this.#help = help;
    document.addEventListener("keydown", (event) => this.#press(event), { capture: true });
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const [target] = event.composedPath();
    if (!(target instanceof Element) || takesKey(target, event.key)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "?") this.#help();
    else if (!areUsed() || !this.#act(key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /**
   * @param {string} key
   * @returns {boolean} whether it does something
   */
  #act(key) {
    const [video, controls] = [this.#video, this.#controls];
    if (/^[0-9]$/.test(key)) {
      const seconds = (Number(key) / 10) * (video.duration || 0);
      this.#go(seconds, say("at_time", { time: formatDuration(seconds * 1000) }));
      return true;
    }
    switch (key) {
      case " ": case "k": this.#play(); break;
      case "j": this.#go(video.currentTime - 10, say("back", { seconds: 10 })); break;
      case "l": this.#go(video.currentTime + 10, say("forward", { seconds: 10 })); break;
      case "ArrowLeft": this.#go(video.currentTime - 5, say("back", { seconds: 5 })); break;
      case "ArrowRight": this.#go(video.currentTime + 5, say("forward", { seconds: 5 })); break;
      case "ArrowUp": this.#louder(VOLUME_STEP); break;
      case "ArrowDown": this.#louder(-VOLUME_STEP); break;
      case "m": this.#mute(); break;
      case "f": controls.ask(document.fullscreenElement ? "mediaexitfullscreenrequest" : "mediaenterfullscreenrequest"); break;
      case "t": controls.toggleTheatre(); break;
      case "i": controls.ask(document.pictureInPictureElement ? "mediaexitpiprequest" : "mediaenterpiprequest"); break;
      case "c": controls.say(controls.settings.toggleCaptions()); break;
      case "<": this.#faster(-1); break;
      case ">": this.#faster(1); break;
      default: return false;
    }
    return true;
  }

  #play() {
    if (this.#video.paused) void this.#video.play().catch(() => {});
    else this.#video.pause();
    this.#controls.say(say(this.#video.paused ? "paused" : "playing"));
  }

  /**
   * @param {number} seconds
   * @param {string} words
   */
  #go(seconds, words) {
    this.#video.currentTime = Math.min(Math.max(seconds, 0), this.#video.duration || 0);
    this.#controls.say(words);
  }

  /** @param {number} by */
  #louder(by) {
    this.#video.volume = Math.min(Math.max(this.#video.volume + by, 0), 1);
    if (by > 0) this.#video.muted = false;
    this.#controls.say(say("volume_is", { share: formatShare(this.#video.volume + 0.001) }));
  }

  #mute() {
    this.#video.muted = !this.#video.muted;
    this.#controls.say(say(this.#video.muted ? "muted" : "unmuted"));
  }

  /** @param {1 | -1} by */
  #faster(by) {
    const now = speed(this.#video);
    const next = by > 0 ? SPEEDS.find((other) => other > now) : SPEEDS.findLast((other) => other < now);
    if (next) this.#video.playbackRate = next;
    this.#controls.say(say("speed_is", { rate: next ?? now }));
  }
}

/**
 * Whether the element has its own use for the key.
 * @param {Element} target
 * @param {string} key
 */
function takesKey(target, key) {
  if (target.closest("input[type=text], input:not([type]), select, textarea, [contenteditable]")) return true;
  const isArrow = key.startsWith("Arrow");
  if (target instanceof HTMLInputElement) {
    // The seek slider goes by seconds like everything else; the volume's by its own steps; radio buttons choose.
    const isSeek = target.getRootNode() instanceof ShadowRoot &&
      /** @type {ShadowRoot} */ (target.getRootNode()).host.localName === "media-time-range";
    return target.type === "range" ? isArrow && !isSeek : isArrow || key === " ";
  }
  if (target.getAttribute("role") === "slider") return isArrow;
  const isPressed = target.matches("button, a, summary, [role=button], media-chrome-button, [role=switch]");
  return key === " " && (isPressed || target.localName.endsWith("-button"));
}
