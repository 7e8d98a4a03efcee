// @ts-check
// What an address of the embed says: `embed?start=10s&muted=1#SWARM&token=…`. The names and values are PeerTube's, as far as they
// mean something here. What stands behind the # is not sent to any server, and counts more than what stands before it.

/**
 * @typedef {object} EmbedOptions
 * @property {string | undefined} swarm nothing if the link is bad
 * @property {string | undefined} token
 * @property {number | undefined} start seconds
 * @property {number | undefined} stop seconds
 * @property {boolean} hasControls
 * @property {boolean} isMuted
 * @property {boolean} isLooping
 * @property {string | undefined} subtitle language
 * @property {boolean} isAutoplaying
 * @property {number} rate
 * @property {boolean} hasTitle
 * @property {boolean} hasPeers
 * @property {boolean} hasApi
 * @property {string | undefined} apiOrigin the only page that may use it, if the address names one
 */

/** Speeds that a player offers. */
export const RATES = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2];

/**
 * @param {string} query
 * @param {string} fragment
 * @returns {EmbedOptions}
 */
export function readOptions(query, fragment) {
  const [id, ...settings] = fragment.replace(/^#/, "").split("&");
  const values = new URLSearchParams(query);
  for (const [name, value] of new URLSearchParams(settings.join("&"))) values.set(name, value);
  const swarm = id.toLowerCase();
  const api = values.get("api") ?? "";
  return {
    swarm: /^[0-9a-f]{64}$/.test(swarm) ? swarm : undefined,
    // Only behind the #: what stands before it is sent, and logged.
    token: new URLSearchParams(settings.join("&")).get("token") ?? undefined,
    start: seconds(values.get("start") ?? values.get("t")),
    stop: seconds(values.get("stop")),
    hasControls: is(values, "controls", true),
    isMuted: is(values, "muted", false),
    isLooping: is(values, "loop", false),
    subtitle: values.get("subtitle") ?? undefined,
    isAutoplaying: is(values, "autoplay", false),
    rate: rate(values.get("playbackRate")),
    hasTitle: is(values, "title", true),
    hasPeers: is(values, "p2p", true),
    hasApi: api !== "" && api !== "0",
    apiOrigin: /^https?:\/\//.test(api) ? api.replace(/\/+$/, "") : undefined,
  };
}

/**
 * @param {URLSearchParams} values
 * @param {string} name
 * @param {boolean} usual
 */
function is(values, name, usual) {
  const value = values.get(name);
  return value === null ? usual : value !== "0" && value !== "false";
}

/** @param {string | null} text */
function rate(text) {
  const value = Number(text ?? 1);
  return value >= RATES[0] && value <= RATES[RATES.length - 1] ? value : 1;
}

/**
 * Reads `12`, `12.5s`, `3m4s`, `1h2m3s` and `2:15`.
 * @param {string | null} text
 * @returns {number | undefined}
 */
export function seconds(text) {
  if (text === null) return undefined;
  const clock = /^(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:\.\d+)?)$/.exec(text);
  const units = /^(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6}(?:\.\d+)?)s?)?$/.exec(text);
  const parts = clock ?? (text === "" ? null : units);
  if (!parts) return undefined;
  const [hours, minutes, rest] = parts.slice(1).map((part) => Number(part ?? 0));
  return hours * 3600 + minutes * 60 + rest;
}
