// @ts-check
// What a page around the embed can ask of the player: the methods of the API, checked and applied to the media element.

import { RATES } from "./embed-options.js";
import { speed } from "./start_buffer.js";

/** @import { Methods } from "./api.js" */

/**
 * @typedef {object} Status what the page around hears twice a second
 * @property {number} position seconds
 * @property {number} volume 0 to 1; 0 while muted
 * @property {boolean} muted
 * @property {number | null} duration seconds, once known
 * @property {"unstarted" | "playing" | "paused" | "ended"} playbackState
 *
 * @typedef {object} Subject
 * @property {() => HTMLMediaElement} media
 * @property {() => Promise<void>} play
 * @property {() => Status} status
 * @property {() => unknown} stats
 */

/**
 * @param {HTMLMediaElement} media
 * @returns {Status["playbackState"]}
 */
export function playbackState(media) {
  if (media.ended) return "ended";
  if (!media.paused) return "playing";
  return media.played.length > 0 ? "paused" : "unstarted";
}

/**
 * @param {HTMLMediaElement} media
 * @returns {Status}
 */
export function status(media) {
  const { currentTime, duration, muted, volume } = media;
  return {
    position: currentTime,
    volume: muted ? 0 : volume,
    muted,
    duration: Number.isFinite(duration) ? duration : null,
    playbackState: playbackState(media),
  };
}

/**
 * @param {Subject} subject
 * @returns {Methods}
 */
export function methods({ media, play, status, stats }) {
  return {
    play,
    pause: () => media().pause(),
    seek: (/** @type {unknown} */ seconds) => { media().currentTime = number(seconds, 0, Number.MAX_SAFE_INTEGER); },
    getStatus: status,
    getPlaybackRates: () => RATES,
    getPlaybackRate: () => speed(media()),
    setPlaybackRate: (/** @type {unknown} */ rate) => { media().playbackRate = number(rate, RATES[0], RATES[RATES.length - 1]); },
    getVolume: () => (media().muted ? 0 : media().volume),
    setVolume: (/** @type {unknown} */ volume) => {
      media().volume = number(volume, 0, 1);
      media().muted = volume === 0;
    },
    setMuted: (/** @type {unknown} */ isMuted) => { media().muted = isMuted === true; },
    getCaptions: () => captions(media()),
    setCaption: (/** @type {unknown} */ id) => {
      [...media().textTracks].forEach((track, index) => { track.mode = String(index) === id ? "showing" : "disabled"; });
    },
    getStats: stats,
  };
}

/** @param {HTMLMediaElement} media */
function captions({ textTracks }) {
  return [...textTracks].map(({ label, language, mode }, index) => ({ id: String(index), label, language, mode }));
}

/**
 * @param {unknown} value
 * @param {number} least
 * @param {number} most
 */
function number(value, least, most) {
  if (typeof value !== "number" || !(value >= least && value <= most)) throw new Error(`a number from ${least} to ${most} is expected`);
  return value;
}
