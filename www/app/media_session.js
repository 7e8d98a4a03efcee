// @ts-check
// Keys of the lock screen and of headphones, and what the system shows of what plays.

import { posterUrl } from "./attachments.js";
import { speed } from "./start_buffer.js";

/** @import { Content } from "./types.js" */

const STEP_SECONDS = 10;

/**
 * @param {Content} content
 * @param {HTMLMediaElement} media
 */
export function tellSystem(content, media) {
  if (!("mediaSession" in navigator)) return;
  const poster = posterUrl(content.attachments);
  navigator.mediaSession.metadata = new MediaMetadata({
    title: content.title || content.name,
    artist: content.author ?? "",
    artwork: poster ? [{ src: poster }] : [],
  });
  const starts = content.chapters.map(({ time_ms }) => time_ms / 1000);
  /** @param {number | undefined} seconds */
  const go = (seconds) => { if (seconds !== undefined) media.currentTime = seconds; };
  /** @type {[MediaSessionAction, MediaSessionActionHandler][]} */
  const actions = [
    ["play", () => void media.play().catch(() => {})],
    ["pause", () => media.pause()],
    ["seekbackward", ({ seekOffset }) => go(media.currentTime - (seekOffset || STEP_SECONDS))],
    ["seekforward", ({ seekOffset }) => go(media.currentTime + (seekOffset || STEP_SECONDS))],
    ["seekto", ({ seekTime }) => go(seekTime)],
  ];
  if (starts.length > 1) {
    // The chapter before, unless this one has only begun.
    actions.push(["previoustrack", () => go(starts.findLast((start) => start < media.currentTime - 3) ?? 0)]);
    actions.push(["nexttrack", () => go(starts.find((start) => start > media.currentTime + 0.5))]);
  }
  for (const [action, handler] of actions) {
    try {
      navigator.mediaSession.setActionHandler(action, handler);
    } catch {
      // This system has no such key.
    }
  }
  media.addEventListener("timeupdate", () => {
    const { duration, currentTime } = media;
    if (!(duration > 0) || !Number.isFinite(duration)) return;
    navigator.mediaSession.setPositionState({ duration, playbackRate: speed(media), position: Math.min(currentTime, duration) });
  });
}
