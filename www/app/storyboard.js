// @ts-check
// The storyboard as the player library's preview reads it: a track whose cues name tiles of one picture. The browser decodes the picture
// when the preview shows a tile for the first time.

import { element } from "./dom.js";

/** @import { Content } from "./types.js" */

/**
 * @param {Content} content
 * @returns {HTMLTrackElement | undefined}
 */
export function storyboardTrack({ attachments, duration_ms }) {
  const storyboard = attachments.find(({ kind }) => kind === "storyboard");
  if (!storyboard?.tiles || !duration_ms) return undefined;
  const { columns, count, width, height } = storyboard.tiles;
  const picture = URL.createObjectURL(new Blob([storyboard.bytes], { type: storyboard.media_type }));
  const cues = Array.from({ length: count }, (_, index) => {
    const [from, to] = [index, index + 1].map((edge) => stamp(Math.round((edge * duration_ms) / count)));
    const place = [(index % columns) * width, Math.floor(index / columns) * height, width, height];
    return `${from} --> ${to}\n${picture}#xywh=${place.join(",")}\n`;
  });
  const track = element("track");
  track.kind = "metadata";
  track.default = true;
  // By this label the library finds it.
  track.label = "thumbnails";
  track.src = URL.createObjectURL(new Blob([`WEBVTT\n\n${cues.join("\n")}`], { type: "text/vtt" }));
  return track;
}

/**
 * A time as WebVTT writes it: hours have two digits or more.
 * @param {number} ms
 */
function stamp(ms) {
  const two = (/** @type {number} */ number) => String(Math.floor(number)).padStart(2, "0");
  return `${two(ms / 3_600_000)}:${two((ms / 60_000) % 60)}:${two((ms / 1000) % 60)}.${String(ms % 1000).padStart(3, "0")}`;
}
