// @ts-check
// Where each film was left off, for the next visit; app/start.js reads it before anything else is loaded.

import { recall, remember } from "./memory.js";

/** What was seen for less than this begins from the start again. */
const SHORT_SECONDS = 10;

/** So near the end, a film counts as seen. */
const END_SECONDS = 15;

/** How often the place is written down. */
const NOTE_INTERVAL_MS = 5000;

/** Films whose place is known; the one not seen for longest is forgotten. */
const PLACES_MAX = 100;

/**
 * Writes down from time to time where playback is.
 * @param {string} swarm
 * @param {HTMLMediaElement} media
 */
export function notePlace(swarm, media) {
  let noted = Number.NaN;
  const note = () => {
    const seconds = Math.floor(media.currentTime);
    if (seconds === noted || !Number.isFinite(media.duration)) return;
    noted = seconds;
    const isWorth = seconds >= SHORT_SECONDS && seconds < media.duration - END_SECONDS;
    const places = read();
    delete places[swarm];
    if (isWorth) places[swarm] = [seconds, Date.now()];
    const kept = Object.entries(places).sort(([, [, one]], [, [, other]]) => other - one).slice(0, PLACES_MAX);
    remember("places", JSON.stringify(Object.fromEntries(kept)));
  };
  setInterval(note, NOTE_INTERVAL_MS);
  media.addEventListener("pause", note);
  addEventListener("pagehide", note);
}

/** @returns {Record<string, [number, number]>} seconds, and when that was noted, by swarm */
function read() {
  try {
    const places = JSON.parse(recall("places") ?? "{}");
    return typeof places === "object" && places !== null ? places : {};
  } catch {
    return {};
  }
}
