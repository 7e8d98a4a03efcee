// @ts-check
// The connections of links: all that a browser lets only a window create. Their channels go to the worker
// at once; which to build, and what is said over them, is decided there.

import { relay } from "./relay.js";

/** @import { FromWorker, Signal, ToWorker } from "./types.js" */

/** Labels and order of the two channels of a link. */
const LABELS = ["control", "data"];

/** The kind that browsers make fastest and all of them take. */
const CERTIFICATE = { name: "ECDSA", namedCurve: "P-256" };

/** Candidates kept for a connection that has no description of the other side yet. */
const CANDIDATES_MAX = 64;

/** @typedef {(message: ToWorker, transfer?: Transferable[]) => void} Post */

export class Connections {
  /** @type {Map<number, Connection>} */
  #open = new Map();
  #post;
  /** Made ahead, while the tracker is still being reached; one for all links of this visit.
   * @type {RTCCertificate[]} */
  #certificates = [];

  /** @param {Post} post */
  constructor(post) {
    this.#post = post;
    RTCPeerConnection.generateCertificate(CERTIFICATE)
      .then((certificate) => this.#certificates.push(certificate))
      .catch(() => {}); // each connection makes its own then
  }

  /** @param {Extract<FromWorker, {type: "connect"}>} ask */
  connect({ link, is_offerer, ice_servers, is_relayed }) {
    this.close(link);
    /** @type {RTCConfiguration} */
    const configuration = {
      iceServers: ice_servers,
      certificates: this.#certificates,
      // The tracker may ask that no peer learns the address of another.
      iceTransportPolicy: is_relayed ? "relay" : "all",
    };
    try {
      this.#open.set(link, new Connection(link, is_offerer, configuration, this.#post));
    } catch (error) {
      this.#post({ type: "closed", link, reason: `no connection can be created: ${words(error)}` });
    }
  }

  /**
   * @param {number} link
   * @param {Signal} signal
   */
  signal(link, signal) {
    this.#open.get(link)?.take(signal);
  }

  /** @param {number} link */
  close(link) {
    this.#open.get(link)?.close();
    this.#open.delete(link);
  }

  /** Tells all others at once that this peer is gone; they would need many seconds to notice. */
  closeAll() {
    for (const link of [...this.#open.keys()]) this.close(link);
  }
}

class Connection {
  #link;
  #pc;
  #post;
  /** What the other side says is taken one by one, in order. */
  #turn = Promise.resolve();
  /** @type {RTCIceCandidateInit[]} */
  #candidates = [];
  #isClosed = false;

  /**
   * @param {number} link
   * @param {boolean} isOfferer
   * @param {RTCConfiguration} configuration
   * @param {Post} post
   */
  constructor(link, isOfferer, configuration, post) {
    this.#link = link;
    this.#post = post;
    this.#pc = new RTCPeerConnection(configuration);
    this.#pc.onicecandidate = ({ candidate }) => this.#tell(candidateSignal(candidate));
    this.#pc.onconnectionstatechange = () => {
      if (this.#pc.connectionState === "failed") this.#fail("the connection was lost");
    };
    if (isOfferer) {
      for (const label of LABELS) this.#handOver(this.#pc.createDataChannel(label, { ordered: true }));
      this.#turn = this.#describe().catch((error) => this.#fail(words(error)));
    } else {
      this.#pc.ondatachannel = ({ channel }) => this.#handOver(channel);
    }
  }

  /** @param {Signal} signal */
  take(signal) {
    this.#turn = this.#turn.then(() => this.#apply(signal)).catch((error) => this.#fail(words(error)));
  }

  close() {
    this.#isClosed = true;
    this.#pc.onicecandidate = this.#pc.onconnectionstatechange = this.#pc.ondatachannel = null;
    this.#pc.close();
  }

  /** @param {Signal} signal */
  async #apply(signal) {
    if (this.#isClosed) return;
    switch (signal.kind) {
      case "offer":
      case "answer":
        await this.#pc.setRemoteDescription({ type: signal.kind, sdp: signal.sdp });
        if (signal.kind === "offer") await this.#describe();
        for (const candidate of this.#candidates.splice(0)) await this.#addCandidate(candidate);
        return;
      case "candidate": {
        const { candidate, sdp_mid: sdpMid, sdp_m_line_index: sdpMLineIndex } = signal;
        if (this.#pc.remoteDescription) return this.#addCandidate({ candidate, sdpMid, sdpMLineIndex });
        if (this.#candidates.length < CANDIDATES_MAX) this.#candidates.push({ candidate, sdpMid, sdpMLineIndex });
        return;
      }
      case "end_of_candidates":
        return;
    }
  }

  /** @param {RTCIceCandidateInit} candidate */
  async #addCandidate(candidate) {
    // One that this browser cannot use leaves the others.
    await this.#pc.addIceCandidate(candidate).catch(() => {});
  }

  /** Describes this side, as offer or answer by what was said before, and tells the other. */
  async #describe() {
    await this.#pc.setLocalDescription();
    const description = this.#pc.localDescription;
    if (this.#isClosed || !description) return;
    this.#tell({ kind: description.type === "offer" ? "offer" : "answer", sdp: description.sdp });
  }

  /**
   * Must be called in the task that created the channel: later it cannot be transferred.
   * @param {RTCDataChannel} channel
   */
  #handOver(channel) {
    const message = /** @type {const} */ ({ type: "channel", link: this.#link, label: channel.label });
    try {
      this.#post({ ...message, channel }, [channel]);
    } catch {
      const port = relay(channel);
      this.#post({ ...message, port }, [port]);
    }
  }

  /** @param {Signal} signal */
  #tell(signal) {
    if (!this.#isClosed) this.#post({ type: "signal", link: this.#link, signal });
  }

  /** @param {string} reason */
  #fail(reason) {
    if (this.#isClosed) return;
    this.close();
    this.#post({ type: "closed", link: this.#link, reason });
  }
}

/**
 * @param {RTCIceCandidate | null} candidate
 * @returns {Signal}
 */
function candidateSignal(candidate) {
  // Browsers end with an empty candidate, then none.
  if (!candidate || candidate.candidate === "") return { kind: "end_of_candidates" };
  return {
    kind: "candidate",
    candidate: candidate.candidate,
    sdp_mid: candidate.sdpMid,
    sdp_m_line_index: candidate.sdpMLineIndex,
  };
}

/** @param {unknown} error */
function words(error) {
  return error instanceof Error ? error.message : String(error);
}
