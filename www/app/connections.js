// @ts-check
// The connections of links: all that a browser lets only a window create. Their channels go to the worker
// at once; which to build, and what is said over them, is decided there.

import { relay } from "./relay.js";

/** @import { Failure, FromWorker, Network, Signal, ToWorker, Way } from "./types.js" */

/** Labels and order of the two channels of a link. */
const LABELS = ["control", "data"];

/** The kind that browsers make fastest and all of them take. */
const CERTIFICATE = { name: "ECDSA", namedCurve: "P-256" };

/** Candidates kept for a connection that has no description of the other side yet. */
const CANDIDATES_MAX = 64;

/** Failures that are remembered. */
const FAILURES_MAX = 20;

/** @typedef {(message: ToWorker, transfer?: Transferable[]) => void} Post */

export class Connections {
  /** @type {Map<number, Connection>} */
  #open = new Map();
  #post;
  /** What did not come about or broke, the last of it. @type {Failure[]} */
  failures = [];
  /** What all attempts so far tell of this network. @type {Network} */
  network = {
    attempts: 0, opened: 0, failed: { unanswered: 0, no_path: 0, relay_failed: 0, lost: 0 }, gathered: [], unreachable: [],
    has_stun: false, has_relay: false, is_relay_required: false,
  };
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
    const { network } = this;
    const urls = ice_servers.flatMap((server) => server.urls);
    network.attempts += 1;
    network.has_relay = urls.some((url) => url.startsWith("turn"));
    // A relay answers the questions of STUN as well.
    network.has_stun = urls.length > 0;
    network.is_relay_required = is_relayed;
    /** @type {RTCConfiguration} */
    const configuration = {
      iceServers: ice_servers,
      certificates: this.#certificates,
      // The tracker may ask that no peer learns the address of another.
      iceTransportPolicy: is_relayed ? "relay" : "all",
    };
    /** @type {Post} */
    const post = (message, transfer) => {
      this.#post(message, transfer);
      if (message.type === "closed") this.close(link);
    };
    try {
      this.#open.set(link, new Connection(link, is_offerer, configuration, post, network));
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
    const connection = this.#open.get(link);
    const why = connection?.failure();
    if (why) {
      this.failures = [...this.failures, { link, at_ms: Date.now(), why }].slice(-FAILURES_MAX);
      this.network.failed[why] += 1;
    }
    connection?.close();
    this.#open.delete(link);
  }

  /** @returns {Promise<Map<number, Way>>} how each connection that is up reaches the other side */
  async ways() {
    const ways = [...this.#open].map(async ([link, connection]) => /** @type {const} */ ([link, await connection.way()]));
    const found = await Promise.all(ways);
    return new Map(found.flatMap(([link, way]) => (way ? [[link, way]] : [])));
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
  #wasUp = false;
  /** @type {Failure["why"] | undefined} */
  #why;
  /** Kinds of candidates that either side has named. @type {Set<string>} */
  #kinds = new Set();

  /**
   * @param {number} link
   * @param {boolean} isOfferer
   * @param {RTCConfiguration} configuration
   * @param {Post} post
   * @param {Network} network what is found out is added to it
   */
  constructor(link, isOfferer, configuration, post, network) {
    this.#link = link;
    this.#post = post;
    this.#pc = new RTCPeerConnection(configuration);
    this.#pc.onicecandidate = ({ candidate }) => {
      if (candidate?.type) {
        this.#kinds.add(candidate.type);
        note(network.gathered, candidate.type);
      }
      this.#tell(candidateSignal(candidate));
    };
    this.#pc.onicecandidateerror = ({ url }) => note(network.unreachable, url);
    this.#pc.onconnectionstatechange = () => {
      if (this.#pc.connectionState === "connected" && !this.#wasUp) {
        this.#wasUp = true;
        network.opened += 1;
      }
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

  /** @returns {Failure["why"] | undefined} why there is no connection, unless there is one */
  failure() {
    if (this.#isClosed) return this.#why;
    const { connectionState, remoteDescription } = this.#pc;
    if (connectionState === "connected") return undefined;
    if (this.#wasUp) return connectionState === "failed" ? "lost" : undefined;
    if (!remoteDescription) return "unanswered";
    return this.#kinds.has("relay") ? "relay_failed" : "no_path";
  }

  /** @returns {Promise<Way | undefined>} */
  async way() {
    if (this.#isClosed || this.#pc.connectionState !== "connected") return undefined;
    const reports = await this.#pc.getStats();
    for (const report of reports.values()) {
      if (report.type !== "candidate-pair" || report.state !== "succeeded" || !report.nominated) continue;
      const [local, remote] = [reports.get(report.localCandidateId), reports.get(report.remoteCandidateId)];
      if (!local || !remote) continue;
      const kinds = [local.candidateType, remote.candidateType];
      return { is_relayed: kinds.includes("relay"), protocol: local.protocol, local: kinds[0], remote: kinds[1] };
    }
    return undefined;
  }

  close() {
    this.#isClosed = true;
    this.#pc.onicecandidate = this.#pc.onicecandidateerror = null;
    this.#pc.onconnectionstatechange = this.#pc.ondatachannel = null;
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
        if (signal.candidate.includes(" typ relay")) this.#kinds.add("relay");
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
    this.#why = this.failure();
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

/** The lists of a `Network` have at most this many entries. */
const NOTES_MAX = 16;

/**
 * @param {string[]} list
 * @param {string} text
 */
function note(list, text) {
  if (!list.includes(text) && list.length < NOTES_MAX) list.push(text);
}

/** @param {unknown} error */
function words(error) {
  return error instanceof Error ? error.message : String(error);
}
