// @ts-check
// Words of what is loaded before the first frame, in one place. `{name}` is where a value goes.

const WORDS = {
  // Consent
  consent_title: "Connect with other viewers?",
  consent_words: "This film comes from its publisher and other viewers, and your device passes it on. All of them then see your " +
    "network address (IP address). Otherwise it comes from a mirror, if it has one.",
  consent_yes: "Connect",
  consent_no: "Only from a mirror",
  consent_remembered: "Your answer is remembered on this device.",
  consent_waiting: "Waiting for your answer",
  consent_connecting: "Connecting to the tracker …",
  consent_off: "Not connected with other viewers",
  consent_off_alone: "You chose not to connect with other viewers, and this film has no mirror. It comes from them only.",
  consent_offer: "This film has no mirror. It comes from its publisher and other viewers only, who then see your network address " +
    "(IP address).",
  mirrors_only: "No other viewers here: from mirrors only",
  mirrors_only_alone: "This tracker connects no viewers, and this film has no mirror, so it cannot be had here.",

  // Embed
  embed_bad_link: "Bad link: after the # there must be 64 hexadecimal digits.",
  embed_joining: "Joining …",
  embed_watch: "Watch on the film's own page",
  embed_open: "Open it on its own page",
  embed_kind: "This kind of content is not played here.",
  embed_stopped: "Playback stopped: {reason}.",
  embed_refused_storage: "This browser keeps this player from working inside another site: {reason}",

  // Trying out
  try_title: "Try the player",
  try_none: "Put the link of a content here: after the # there are 64 hexadecimal digits.",
  try_said: "{name}: {detail}",

  // Catalogue
  catalogue_search: "Search titles",
  catalogue_none: "Nothing is published here yet.",
  catalogue_none_how: "A publisher starts with: seeder seed FILE --tracker ADDRESS --list",
  catalogue_no_match: "Nothing here is called “{words}”.",
  catalogue_clear: "Show everything",
  catalogue_closed: "This tracker shows no list: {reason}",
  catalogue_failed: "The tracker's list cannot be had just now: {reason}. Trying again in {seconds} s …",
  catalogue_unreachable: "it cannot be reached",
  catalogue_status: "it answered with status {status}",
  catalogue_loading: "Asking the tracker …",
  catalogue_watching: "{count} watching",
  catalogue_away: "its publisher is away",

  // On this device
  library_total: "{size} in all",
  library_kept: "{size} · kept",
  library_part: "{held} of {size}",
  library_forget: "Forget",
  library_forget_named: "Forget {title}",
  library_forget_all: "Forget all",
  library_open: "It is open in another tab. Close that tab, then forget it.",
};

/**
 * @param {keyof typeof WORDS} key
 * @param {Record<string, string | number>} [values]
 */
export function say(key, values = {}) {
  return WORDS[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}
