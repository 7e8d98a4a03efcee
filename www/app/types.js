// @ts-check
// Shapes that cross between window, worker and service worker. The Rust side is peer-wasm/src/page.rs.

/**
 * @typedef {object} Segment
 * @property {number} length_bytes
 * @property {"header" | "index" | "media" | "data"} kind
 * @property {number} priority 0 to 7
 * @property {"start" | "playback" | "background"} period
 * @property {number | null} time_ms
 * @property {number | null} duration_ms
 *
 * @typedef {Segment & {left: number, right: number, from: number, to: number}} Placed a segment with its place in the bytes
 *   (`left` to `right`) and in the picture (`from` to `to`), each 0 to 1
 *
 * @typedef {object} Chapter
 * @property {number} time_ms
 * @property {string} name
 * @property {number | null} place where it begins, in parts of the content
 *
 * @typedef {{columns: number, count: number, width: number, height: number}} Tiles how a storyboard is divided: tiles in a row,
 *   tiles in all, pixels of each. Tile `i` shows a moment between `i / count` and `(i + 1) / count` of the duration
 *
 * @typedef {object} Attachment
 * @property {"poster" | "subtitles" | "storyboard"} kind
 * @property {string} media_type
 * @property {string | null} language
 * @property {string | null} label
 * @property {Tiles | null} tiles of a storyboard
 * @property {Uint8Array<ArrayBuffer>} bytes
 *
 * @typedef {object} Levels what is here; see peer-wasm/src/bar.rs
 * @property {Uint8Array} cells
 * @property {Uint8Array} shares
 * @property {Uint8Array} risks
 * @property {Uint8Array} cell_origins where most of each cell came from: an index of `Origin`
 * @property {Uint8Array} segment_origins
 * @property {number | null} playhead
 *
 * @typedef {{kind: "offer", sdp: string} | {kind: "answer", sdp: string}
 *   | {kind: "candidate", candidate: string, sdp_mid: string | null, sdp_m_line_index: number | null}
 *   | {kind: "end_of_candidates"}} Signal
 *
 * @typedef {{urls: string[], username?: string, credential?: string}} IceServer
 *
 * @typedef {"unknown" | "device" | "publisher" | "viewer" | "mirror"} Origin where verified bytes came from, in the order of
 *   the numbers in peer-wasm/src/origins.rs
 *
 * @typedef {object} LinkStats
 * @property {number} link
 * @property {string} peer
 * @property {"initial" | "viewer"} kind
 * @property {number} rate bytes a second that it sends to us
 * @property {number | null} rtt_ms
 * @property {"connecting" | "greeting" | "open"} state
 * @property {number} received verified bytes
 * @property {number} sent bytes
 *
 * @typedef {object} MirrorStats
 * @property {string} host
 * @property {"idle" | "fetching" | "failing" | "lost"} state
 * @property {number} received verified bytes
 * @property {number} rate bytes a second that it sends
 * @property {string | null} word what failed last
 *
 * @typedef {object} PeerStats what the peer says of itself
 * @property {string} swarm
 * @property {number} bytes_total
 * @property {number} bytes_verified
 * @property {number} from_initial
 * @property {number} from_peers
 * @property {number} from_mirrors
 * @property {number} uploaded
 * @property {number} duplicate_bytes
 * @property {number} proof_bytes
 * @property {boolean} is_tracker_up
 * @property {{supply_bps: number, demand_bps: number} | null} scarcity what the swarm can send, if its players need more
 * @property {number} uplink bytes a second, 0 if not known
 * @property {number} start_buffer_ms media that a player needs before it plays, and again after a stall
 * @property {LinkStats[]} links
 * @property {MirrorStats[]} mirrors
 *
 * @typedef {object} PlaybackStats what only the window can measure
 * @property {number | null} first_frame_ms from the start of the navigation
 * @property {number | null} first_frame_at_s where in the media that was
 * @property {number} stalls
 * @property {number} stall_ms
 *
 * @typedef {PeerStats & PlaybackStats & {tracker: "connecting" | "up" | "down", storage: Stored | null}} Stats
 *
 * @typedef {object} Content
 * @property {string} swarm
 * @property {string} name
 * @property {string | null} title
 * @property {string | null} author
 * @property {string} media_type
 * @property {number} length_bytes
 * @property {number | null} duration_ms
 * @property {number | null} start_ms
 * @property {Segment[]} segments
 * @property {Chapter[]} chapters
 * @property {Attachment[]} attachments
 *
 * @typedef {{mode: "unlimited"} | {mode: "capped", bits_per_s: number} | {mode: "off"}} Upload
 *
 * @typedef {object} Stored where the content is stored
 * @property {boolean} is_on_disk
 * @property {boolean} is_kept
 * @property {number} resumed_bytes what an earlier visit left
 *
 * @typedef {{type: "connect", link: number, is_offerer: boolean, ice_servers: IceServer[], is_relayed: boolean}
 *   | {type: "signal", link: number, signal: Signal}
 *   | {type: "close", link: number}
 *   | ({type: "content"} & Content)
 *   | {type: "bad_start", reason: string}
 *   | ({type: "stats", id: number | null, stats: PeerStats} & Levels)
 *   | ({type: "storage"} & Stored)
 *   | {type: "digest", id: number, digest: string | null}
 *   | {type: "tracker_up"}
 *   | {type: "tracker_down", reason: string, retry_ms: number}
 *   | {type: "unknown_swarm"}
 *   | {type: "waiting", reason: string}
 *   | {type: "peers_withheld", is_consent_required: boolean, reason: string}
 *   | {type: "complete"}
 *   | {type: "banned", link: number, reason: string}
 *   | {type: "mirror_lost", host: string}
 *   | {type: "dismissed", reason: string}
 *   | {type: "failed", reason: string}} FromWorker
 *
 * @typedef {{type: "signal", link: number, signal: Signal}
 *   | {type: "channel", link: number, label: string, channel?: RTCDataChannel, port?: MessagePort}
 *   | {type: "closed", link: number, reason: string}
 *   | {type: "read", swarm: string, range: string | null, is_download: boolean, port: MessagePort}
 *   | {type: "player", at_ms: number, ahead_ms: number}
 *   | {type: "upload", limit: Upload}
 *   | {type: "keep", is_kept: boolean}
 *   | {type: "consent", is_given: boolean}
 *   | {type: "fresh", id: number}
 *   | {type: "digest", id: number}
 *   | {type: "leaving"}
 *   | {type: "stop"}} ToWorker
 *
 * @typedef {{type: "read", swarm: string, range: string | null, is_download: boolean}} ReadAsk
 *   what the service worker posts to a page, with the port to answer on
 *
 * @typedef {{type: "head", status: number, headers: [string, string][]} | {type: "alive"} | {type: "end"}
 *   | {type: "fail", reason: string} | ArrayBuffer} ReadAnswer what comes back on that port
 *
 * @typedef {object} Way how a link's connection reaches the other side
 * @property {boolean} is_relayed
 * @property {string} protocol
 * @property {string} local kind of our candidate
 * @property {string} remote kind of theirs
 *
 * @typedef {object} Failure a connection that did not come about or broke
 * @property {number} link
 * @property {number} at_ms
 * @property {"unanswered" | "no_path" | "relay_failed" | "lost"} why
 *
 * @typedef {object} Network what attempts to connect with peers told of this network
 * @property {number} attempts connections that were begun
 * @property {number} opened of those, how many came about
 * @property {Record<Failure["why"], number>} failed of those, how many failed or broke, and why
 * @property {string[]} gathered kinds of our own candidates: `host`, `srflx` (a STUN server answered), `relay`
 * @property {string[]} unreachable STUN servers and relays that did not answer, or refused
 * @property {boolean} has_stun whether the tracker names servers that tell a peer its public address
 * @property {boolean} has_relay whether the tracker offers relays
 * @property {boolean} is_relay_required whether the tracker wants relays used for everything
 *
 * @typedef {object} Finding one way by which content can come
 * @property {"works" | "trying" | "fails" | "unused"} state
 * @property {string} why for programs: one word, see app/diagnosis.js
 * @property {string} words for people
 *
 * @typedef {object} Diagnosis
 * @property {"direct" | "relayed" | "mirror" | null} source the best way that works now
 * @property {boolean} is_blocked whether peers were tried and none was ever reached
 * @property {string} words for people
 * @property {Finding} direct
 * @property {Finding} relayed
 * @property {Finding} mirror
 * @property {Network} network
 *
 * @typedef {object} Started what app/start.js leaves for app/main.js
 * @property {string} swarm
 * @property {Worker} worker
 * @property {boolean} isResumed whether playback begins where an earlier visit ended
 * @property {(MessageEvent | ErrorEvent)[]} early what the worker has said so far
 *
 * @typedef {string | ({other: string} & Partial<Record<Intl.LDMLPluralRule, string>>)} Message in words, with forms where it counts
 *
 * @typedef {object} Translation what a file of messages/ has, but English
 * @property {Record<string, Message>} MESSAGES
 * @property {Record<string, string>} REASONS what comes in English, by its English words
 * @property {Record<string, string>} PLAYER words of the player library, by its English ones
 */

export {};
