//! Messages between a peer and its tracker: JSON text frames, one object each (docs/protocol.md).
//!
//! Every request carries an `id` and is answered: by the message it asks for, by `ok`, or by `error`. The
//! tracker stamps who a message is from; no message names its own sender.

mod fields;
mod scarcity;
mod signal;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::{Challenge, PeerId, SwarmId};
use crate::limits::{RUNS_MAX, TEXT_BYTES_MAX, TRACKER_MESSAGE_BYTES_MAX};
use crate::publisher::Signature;

pub use crate::tracker_error::ErrorCode;
pub use scarcity::Scarcity;
pub use signal::Signal;

/// The capability by which a viewer says that its person agreed to connections with other peers.
pub const CONSENT: &str = "consent";

/// The capability by which a viewer says that it follows [`TrackerMessageBody::Move`].
pub const MOVE: &str = "move";

/// The capability of a connection that follows it: the peer keeps its links, and the connection that it has elsewhere until this
/// one is in the swarm.
pub const MOVING: &str = "moving";

/// Version of the tracker protocol that this crate speaks.
pub const TRACKER_VERSION: u16 = 2;

/// A text frame that is no message of this protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerDecodeError {
    /// Close the connection: the other side does not keep the limits.
    #[error("a tracker message has {0} bytes; at most 65536 are allowed")]
    TooLong(usize),
    /// Answer with an error, or ignore: not JSON, or not a message that this version knows.
    #[error("not a message of this protocol version: {0}")]
    Malformed(String),
    /// Answer with an error: a field is beyond its limit.
    #[error("a tracker message breaks a rule: {0}")]
    Invalid(&'static str),
}

/// What a peer is in its swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The publisher's seeder: holds everything, always.
    Initial,
    /// Anybody else.
    Viewer,
}

/// A run of segments, written `[first, count]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentRun(pub u32, pub u32);

/// An initial peer's share of the injection: of every `count` segments the one that is `index`-th.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Counted from 0.
    pub index: u32,
    /// Initial peers in the swarm, at least 1.
    pub count: u32,
}

/// An ICE server that peers may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:` or `turn:` addresses.
    pub urls: Vec<String>,
    /// User name, for TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password, for TURN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Segments that a peer looks for, with the time it has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The segments.
    pub segments: SegmentRun,
    /// Milliseconds until the first of them is due.
    pub remaining_ms: u32,
}

/// What a peer got from one counterpart since its last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The counterpart.
    pub peer: PeerId,
    /// Verified payload bytes.
    pub bytes: u64,
    /// Requests that timed out, or groups that were corrupt.
    pub failures: u32,
}

/// A request from a peer. `id` is echoed in the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerRequest {
    /// Chosen by the peer; unique among its unanswered requests.
    pub id: u32,
    /// What it asks or says.
    #[serde(flatten)]
    pub body: PeerRequestBody,
}

/// What a peer asks of its tracker or tells it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PeerRequestBody {
    /// First message of a connection; answered by `welcome`.
    Hello {
        /// Protocol version, [`TRACKER_VERSION`].
        version: u16,
        /// Optional abilities; unknown ones are ignored.
        #[serde(default)]
        capabilities: Vec<String>,
        /// Estimated upload capacity, bits a second; 0 if not known.
        #[serde(default)]
        uplink_bps: u64,
        /// Permission to use a closed tracker.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        /// Resume token of an earlier `welcome`: keeps the peer id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resume: Option<String>,
    },
    /// Enters a swarm, once a connection; answered by `swarm`.
    Join {
        /// The swarm.
        swarm: SwarmId,
        /// What the peer is in it.
        role: Role,
        /// Segments it holds whole.
        have: Vec<SegmentRun>,
        /// Segment that plays, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        playhead: Option<u32>,
        /// Of an initial peer: the publisher's signature over
        /// [`Statement::Join`](crate::publisher::Statement::Join).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<Signature>,
    },
    /// Change of the segments held whole, at most once a second; answered by `ok`.
    Have {
        /// Segments that became whole.
        gained: Vec<SegmentRun>,
        /// Segments no longer held.
        dropped: Vec<SegmentRun>,
    },
    /// Segments looked for; answered by `peers`, and by `connect` or `assign` where that helps.
    Want {
        /// The segments.
        segments: Vec<Want>,
    },
    /// A signal for another peer of the swarm; answered by `ok`, or by `error` if that peer is gone.
    Signal {
        /// The receiver.
        to: PeerId,
        /// The signal.
        signal: Signal,
    },
    /// How transfers went; answered by `swarm`.
    Report {
        /// By counterpart.
        received: Vec<Received>,
        /// Measured upload rate, bits a second.
        uplink_bps: u64,
        /// Segment that plays, if one does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        playhead: Option<u32>,
        /// Media that the player can play before it needs something that is not held, ms, if one plays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ahead_ms: Option<u32>,
    },
    /// Leaves the swarm; answered by `ok`.
    Leave,
}

/// A peer as the tracker describes it to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerEntry {
    /// The peer.
    pub peer: PeerId,
    /// What it is.
    pub role: Role,
    /// Segments it holds (in `providing`) or looks for (in `looking`).
    pub segments: Vec<SegmentRun>,
    /// Its upload capacity, bits a second; 0 if not known.
    pub uplink_bps: u64,
    /// Segment that it plays, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playhead: Option<u32>,
}

/// What a tracker says. `id` is present in answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "fields::Fields")]
pub struct TrackerMessage {
    /// The request that this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// What it says.
    #[serde(flatten)]
    pub body: TrackerMessageBody,
}

/// What a tracker tells a peer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TrackerMessageBody {
    /// Answers `hello`.
    Welcome {
        /// Version the tracker speaks.
        version: u16,
        /// Who the peer is from now on.
        peer: PeerId,
        /// Present it in the next `hello` to stay the same peer.
        resume: String,
        /// What an initial peer signs when it joins.
        challenge: Challenge,
        /// Servers for connection building.
        ice_servers: Vec<IceServer>,
        /// Interval of `report`, ms.
        report_interval_ms: u32,
    },
    /// State of the swarm; answers `join` and `report`.
    Swarm {
        /// Peers that hold everything.
        seeders: u32,
        /// Peers that lack something.
        leechers: u32,
        /// Segments that are wanted and that one viewer holds at most, the author's most important first.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        at_risk: Vec<SegmentRun>,
        /// To an initial peer: its share of the injection.
        #[serde(skip_serializing_if = "Option::is_none")]
        share: Option<Share>,
        /// What the swarm can send, if that is less than its players need.
        #[serde(skip_serializing_if = "Option::is_none")]
        scarcity: Option<Scarcity>,
    },
    /// Who provides and who looks for segments; answers `want`.
    Peers {
        /// Peers that hold segments asked for.
        providing: Vec<PeerEntry>,
        /// Peers that look for the same segments.
        looking: Vec<PeerEntry>,
    },
    /// Build a link with this peer.
    Connect {
        /// The peer.
        peer: PeerId,
        /// What it is.
        role: Role,
        /// Whether the receiver of this message makes the offer.
        offer: bool,
    },
    /// The link with this peer is no longer one of the swarm's: close it once nothing is outstanding on it.
    /// A later [`Connect`](Self::Connect) takes this back.
    Unlink {
        /// The peer.
        peer: PeerId,
    },
    /// Get these segments from this source.
    Assign {
        /// The segments.
        segments: Vec<SegmentRun>,
        /// Who sends them.
        source: PeerId,
        /// For how long the assignment stands, ms.
        lease_ms: u32,
    },
    /// A signal from another peer of the swarm.
    Signal {
        /// The sender, stamped by the tracker.
        from: PeerId,
        /// The signal.
        signal: Signal,
    },
    /// A peer left the swarm.
    Gone {
        /// The peer.
        peer: PeerId,
    },
    /// The tracker that decides for this peer is another one, which peers reach at this address. To those that said [`MOVE`].
    Move {
        /// Address of its WebSocket.
        to: String,
    },
    /// Done.
    Ok,
    /// Refused.
    Error {
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        text: String,
        /// When to try again, ms.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u32>,
    },
}

impl PeerRequest {
    /// Reads a text frame that a peer sent.
    pub fn decode(text: &str) -> Result<Self, TrackerDecodeError> {
        let request: Self = decode(text)?;
        let runs = match &request.body {
            PeerRequestBody::Join { have, .. } => have.len(),
            PeerRequestBody::Have { gained, dropped } => gained.len().max(dropped.len()),
            PeerRequestBody::Want { segments } => segments.len(),
            PeerRequestBody::Report { received, .. } => received.len(),
            PeerRequestBody::Signal { signal, .. } if !signal.is_within_limits() => {
                return Err(TrackerDecodeError::Invalid("a signal is too long"));
            }
            PeerRequestBody::Hello { .. } | PeerRequestBody::Signal { .. } | PeerRequestBody::Leave => 0,
        };
        if runs > RUNS_MAX {
            return Err(TrackerDecodeError::Invalid("a list has more than 4096 entries"));
        }
        Ok(request)
    }

    /// The text frame.
    pub fn encode(&self) -> String {
        encode(self)
    }
}

impl TrackerMessage {
    /// A message that answers no request.
    pub const fn notice(body: TrackerMessageBody) -> Self {
        Self { id: None, body }
    }

    /// Whether it answers no request and is no error. Such a message means the same on whatever connection of a peer it comes.
    pub const fn is_notice(&self) -> bool {
        self.id.is_none() && !matches!(self.body, TrackerMessageBody::Error { .. })
    }

    /// Reads a text frame that a tracker sent.
    pub fn decode(text: &str) -> Result<Self, TrackerDecodeError> {
        let message: Self = decode(text)?;
        if let TrackerMessageBody::Signal { signal, .. } = &message.body
            && !signal.is_within_limits()
        {
            return Err(TrackerDecodeError::Invalid("a signal is too long"));
        }
        if let TrackerMessageBody::Swarm { at_risk, .. } = &message.body
            && at_risk.len() > RUNS_MAX
        {
            return Err(TrackerDecodeError::Invalid("a list has more than 4096 entries"));
        }
        if let TrackerMessageBody::Move { to } = &message.body
            && to.len() > TEXT_BYTES_MAX
        {
            return Err(TrackerDecodeError::Invalid("an address is too long"));
        }
        Ok(message)
    }

    /// The text frame.
    pub fn encode(&self) -> String {
        encode(self)
    }
}

fn decode<T: DeserializeOwned>(text: &str) -> Result<T, TrackerDecodeError> {
    if text.len() > TRACKER_MESSAGE_BYTES_MAX {
        return Err(TrackerDecodeError::TooLong(text.len()));
    }
    // serde takes a list of the values for a struct as well.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(TrackerDecodeError::Malformed("not an object".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| TrackerDecodeError::Malformed(error.to_string()))
}

/// These types have string keys only, so that serialisation cannot fail.
fn encode<T: Serialize>(message: &T) -> String {
    serde_json::to_string(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_look_like_this_on_the_wire() {
        let join = PeerRequest {
            id: 2,
            body: PeerRequestBody::Join {
                swarm: SwarmId([0; 32]),
                role: Role::Viewer,
                have: vec![SegmentRun(0, 3)],
                playhead: None,
                proof: None,
            },
        };
        let text = r#"{"id":2,"type":"join","swarm":"0000000000000000000000000000000000000000000000000000000000000000","role":"viewer","have":[[0,3]]}"#;
        assert_eq!(join.encode(), text);
        assert_eq!(PeerRequest::decode(text).unwrap(), join);
        let leave = r#"{"id":9,"type":"leave"}"#;
        assert_eq!(PeerRequest::decode(leave).unwrap(), PeerRequest { id: 9, body: PeerRequestBody::Leave });
    }

    #[test]
    fn tracker_messages_look_like_this_on_the_wire() {
        let signal = TrackerMessage::notice(TrackerMessageBody::Signal {
            from: PeerId(255),
            signal: Signal::Candidate {
                candidate: "candidate:1".into(),
                sdp_mid: Some("0".into()),
                sdp_m_line_index: Some(0),
            },
        });
        let text = r#"{"type":"signal","from":"00000000000000ff","signal":{"kind":"candidate","candidate":"candidate:1","sdp_mid":"0","sdp_m_line_index":0}}"#;
        assert_eq!(signal.encode(), text);
        assert_eq!(TrackerMessage::decode(text).unwrap(), signal);
        let unlink = TrackerMessage::notice(TrackerMessageBody::Unlink { peer: PeerId(255) });
        let text = r#"{"type":"unlink","peer":"00000000000000ff"}"#;
        assert_eq!(unlink.encode(), text);
        assert_eq!(TrackerMessage::decode(text).unwrap(), unlink);
        let at_risk = vec![SegmentRun(7, 2)];
        let body =
            TrackerMessageBody::Swarm { seeders: 1, leechers: 4, at_risk, share: None, scarcity: None };
        let swarm = TrackerMessage { id: Some(7), body };
        let text = r#"{"id":7,"type":"swarm","seeders":1,"leechers":4,"at_risk":[[7,2]]}"#;
        assert_eq!(swarm.encode(), text);
        assert_eq!(TrackerMessage::decode(text).unwrap(), swarm);
        let to = "wss://one.example.org/v1/swarm".to_owned();
        let moving = TrackerMessage::notice(TrackerMessageBody::Move { to });
        let text = r#"{"type":"move","to":"wss://one.example.org/v1/swarm"}"#;
        assert_eq!(moving.encode(), text);
        assert_eq!(TrackerMessage::decode(text).unwrap(), moving);
        let long = format!(r#"{{"type":"move","to":"wss://{}/"}}"#, "x".repeat(TEXT_BYTES_MAX));
        assert!(matches!(TrackerMessage::decode(&long), Err(TrackerDecodeError::Invalid(_))));
        let error = r#"{"id":4,"type":"error","code":"teapot","text":"no","retry_after_ms":5}"#;
        let TrackerMessageBody::Error { code, .. } = TrackerMessage::decode(error).unwrap().body else {
            panic!("not an error")
        };
        assert_eq!(code, ErrorCode::Unknown);
    }

    #[test]
    fn oversized_messages_and_signals_are_refused() {
        let long = format!(
            r#"{{"id":1,"type":"signal","to":"00000000000000ff","signal":{{"kind":"offer","sdp":"{}"}}}}"#,
            "x".repeat(17_000)
        );
        assert_eq!(PeerRequest::decode(&long), Err(TrackerDecodeError::Invalid("a signal is too long")));
        assert!(matches!(PeerRequest::decode(&" ".repeat(70_000)), Err(TrackerDecodeError::TooLong(70_000))));
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,200}") {
            let _ = PeerRequest::decode(&text);
            let _ = TrackerMessage::decode(&text);
        }
    }
}
