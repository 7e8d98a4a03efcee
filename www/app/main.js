// @ts-check
// Entry of the page: `./#SWARM` watches, `./` lists. Nothing else is decided here. Every address of the page is relative to
// its own, so that it works below any path.

import { byId, notice } from "./dom.js";
import { say } from "./first_words.js";
import { controlKeeping } from "./keeping.js";
import { settled } from "./language.js";
import { recall } from "./memory.js";
import { part } from "./part.js";
import { refuseReads, startService } from "./service.js";
import { Reach } from "./reach.js";
import { translatePage } from "./say.js";
import { Session } from "./session.js";
import { Sharing } from "./sharing.js";
import { started } from "./start.js";
import { View } from "./view.js";

/** @import { Words } from "./dom.js" */
/** @import { Stats } from "./types.js" */

const fragment = location.hash.slice(1);
addEventListener("hashchange", () => location.reload());
void settled.then(translatePage);

if (fragment === "") void list();
else watch(fragment);

async function list() {
  refuseReads();
  // The page has its heading at once.
  byId("catalogue").hidden = false;
  const load = () => Promise.all([import("./catalogue.js"), import("./library.js"), import("./language_choice.js")]);
  let parts;
  try {
    parts = await part(load);
  } catch {
    return notice("part", () => say("part_lacking"), true);
  }
  const [{ startCatalogue }, { startLibrary }, { offerLanguages }] = parts;
  offerLanguages();
  startCatalogue();
  await startLibrary();
}

/** @param {string} link what follows the # */
function watch(link) {
  if (!/^[0-9a-f]{64}(&|$)/i.test(link)) {
    notice("fatal", () => say("bad_link"), true);
    return void list();
  }
  const view = new View();
  if (!started) {
    const feature = typeof RTCPeerConnection === "function" ? "WebAssembly" : "WebRTC";
    return view.fatal(() => say("lacking", { feature }));
  }
  const session = new Session(started, view, byId("stage"));
  view.reach = new Reach(() => session.diagnose());
  session.await(startService((ask, port) => session.read(ask, port)));
  session.onContent = (content) => {
    const download = byId("download", HTMLAnchorElement);
    download.href = Session.downloadUrl(content);
    download.hidden = false;
  };
  askConsent(session, view);
  const sharing = new Sharing((limit) => session.upload(limit));
  session.onUploaded = (bytes) => {
    const { from_initial, from_peers, from_mirrors } = session.stats();
    sharing.sent(bytes, from_initial + from_peers + from_mirrors);
  };
  controlKeeping(session, started.swarm);
  addEventListener("beforeunload", () => session.leaving());
  addEventListener("pagehide", () => session.stop());
  // A page brought back whole has left the swarm.
  addEventListener("pageshow", ({ persisted }) => { if (persisted) location.reload(); });
  Object.assign(window, {
    tributary: {
      /** @returns {Stats} */ stats: () => session.stats(),
      /** @returns {Promise<Stats>} */ fresh: () => session.fresh(),
      /** @returns {Promise<string | null>} */ digest: () => session.digest(),
      diagnose: () => session.diagnose(),
    },
  });
}

/**
 * Loads what asks the person before peers are connected with. It is needed before the first frame only if the tracker waits
 * for it, or if the person wanted no peers.
 * @param {Session} session
 * @param {View} view
 */
function askConsent(session, view) {
  /** @type {Promise<import("./consent.js").Consent> | undefined} */
  let loading;
  const load = () => (loading ??= part(() => import("./consent.js")).then(
    ({ Consent }) => new Consent(session, (/** @type {Words} */ words) => view.tracker("connecting", words)),
  ));
  session.onWithheld = async (isRequired) => (await load()).withheld(isRequired);
  session.onAccount = async (stats) => (await loading)?.account(stats);
  const choice = byId("peers-on", HTMLInputElement);
  choice.checked = recall("peers") !== "off";
  choice.addEventListener("change", async () => {
    const isGiven = choice.checked;
    (await load()).answer(isGiven);
  });
  if (!choice.checked) void load();
}
