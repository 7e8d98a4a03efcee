// @ts-check
// The person's word on connections with other peers: asked for where the tracker requires it, remembered, and open to be
// changed at any time. `app/start.js` reads what is remembered before anything is connected.

import { byId, notice, setText } from "./dom.js";
import { recall, remember } from "./memory.js";
import { onPress } from "./presses.js";
import { say } from "./words.js";

/** @import { PeerStats } from "./types.js" */

/** @typedef {{consent: (isGiven: boolean) => void}} Peer */

export class Consent {
  #peer;
  #tell;
  /** What holds; undefined: nobody was asked. @type {boolean | undefined} */
  #isGiven = remembered();
  /** Whether the tracker connects no viewers at all. */
  #isMirrorsOnly = false;
  #hasMirrors = true;
  #isStuck = false;

  /**
   * @param {Peer} peer
   * @param {(words: string) => void} tell says in the page's head what holds instead of the tracker's state
   */
  constructor(peer, tell) {
    this.#peer = peer;
    this.#tell = tell;
    setText(byId("consent-title"), say("consent_title"));
    setText(byId("consent-yes"), say("consent_yes"));
    setText(byId("consent-no"), say("consent_no"));
    onPress(byId("consent-yes"), () => this.answer(true));
    onPress(byId("consent-no"), () => this.answer(false));
    this.#show();
  }

  /**
   * The tracker connects this viewer with nobody.
   * @param {boolean} isRequired whether it would with consent
   */
  withheld(isRequired) {
    if (!isRequired) {
      this.#isMirrorsOnly = true;
      return this.#show();
    }
    setText(byId("consent-words"), `${say("consent_words")} ${say("consent_remembered")}`);
    byId("consent").hidden = false;
    this.#tell(say("consent_waiting"));
    byId("consent-yes").focus();
  }

  /** @param {PeerStats} stats */
  account({ mirrors, bytes_total, bytes_verified }) {
    const isStuck = bytes_total > bytes_verified;
    const hasMirrors = mirrors.length > 0;
    if (this.#isStuck === isStuck && this.#hasMirrors === hasMirrors) return;
    [this.#isStuck, this.#hasMirrors] = [isStuck, hasMirrors];
    this.#show();
  }

  /** @param {boolean} isGiven */
  answer(isGiven) {
    remember("peers", isGiven ? "on" : "off");
    this.#isGiven = isGiven;
    byId("consent").hidden = true;
    this.#peer.consent(isGiven);
    if (isGiven) this.#tell(say("tracker_connecting"));
    this.#show();
  }

  #show() {
    byId("peers-on", HTMLInputElement).checked = this.#isGiven !== false;
    const isAlone = this.#isStuck && !this.#hasMirrors;
    let words = "";
    if (this.#isMirrorsOnly) {
      words = say("mirrors_only_alone");
      this.#tell(say("mirrors_only"));
    } else if (this.#isGiven === false) {
      words = say("consent_off_alone");
      this.#tell(say("consent_off"));
    }
    notice("peers", isAlone ? words : "");
  }
}

/** @returns {boolean | undefined} */
function remembered() {
  const said = recall("peers");
  return said === null ? undefined : said === "on";
}
