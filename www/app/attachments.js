// @ts-check
// What travels inside the manifest: the poster and the subtitles, as addresses that the player can load.

import { element } from "./dom.js";

/** @import { Attachment } from "./types.js" */

/** @param {Attachment} attachment */
function url({ bytes, media_type }) {
  return URL.createObjectURL(new Blob([bytes], { type: media_type }));
}

/**
 * @param {Attachment[]} attachments
 * @returns {string | undefined}
 */
export function posterUrl(attachments) {
  const poster = attachments.find(({ kind }) => kind === "poster");
  return poster && url(poster);
}

/**
 * The subtitles for the player's menu; none is shown until the viewer asks.
 * @param {Attachment[]} attachments
 * @param {(number: number) => string} nameless the label of a track that has no name and no language
 */
export function tracks(attachments, nameless) {
  return attachments.filter(({ kind }) => kind === "subtitles").map((attachment, index) => {
    const track = element("track");
    track.kind = "subtitles";
    track.src = url(attachment);
    track.srclang = attachment.language ?? "";
    track.label = attachment.label ?? languageName(attachment.language) ?? nameless(index + 1);
    return track;
  });
}

/**
 * Tracks that a viewer reads. The others, chapters and the storyboard, are read by the player.
 * @param {HTMLMediaElement} media
 */
export function captionTracks({ textTracks }) {
  return [...textTracks].filter(({ kind }) => kind === "subtitles" || kind === "captions");
}

/** @param {string | null} tag */
function languageName(tag) {
  if (!tag) return undefined;
  try {
    return new Intl.DisplayNames([document.documentElement.lang, ...navigator.languages].filter(Boolean), { type: "language" }).of(tag);
  } catch {
    return undefined; // no language tag
  }
}
