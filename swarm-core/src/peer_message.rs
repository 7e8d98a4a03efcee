//! Messages between two peers on the data channels of a link (docs/protocol.md).
//!
//! `control` carries [`PeerMessage`] in `postcard` form. `data` carries [`DataMessage`]: a `postcard` head,
//! then the payload to the end of the frame, so that the payload is neither copied nor measured twice.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::group::GroupRange;
use crate::id::{Instance, PeerId, SwarmId};
use crate::limits::{
    FRAME_BYTES_MAX, FRAME_GROUPS_MAX, MANIFEST_PART_BYTES, NEED_RANGES_MAX, REQUEST_GROUPS_MAX, RUNS_MAX,
};
use crate::tree::{NodeHash, PROOF_HASHES_MAX, Proof};

/// Version of the peer protocol that this crate speaks.
pub const PEER_VERSION: u16 = 1;

/// Label of the data channel that carries [`PeerMessage`]s. Ordered.
pub const CONTROL_LABEL: &str = "control";

/// Label of the data channel that carries [`DataMessage`]s. Ordered.
pub const DATA_LABEL: &str = "data";

/// A frame that is no message of this protocol. The link is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerDecodeError {
    /// The frame is longer than 65,535 bytes.
    #[error("a frame has {0} bytes; at most 65535 are allowed")]
    TooLong(usize),
    /// The bytes are no message.
    #[error("a frame is not a message of this protocol version")]
    Malformed,
    /// A field is beyond its limit.
    #[error("a message breaks a rule: {0}")]
    Invalid(&'static str),
}

/// How urgently a request is needed; orders the sender's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Due within two seconds.
    Urgent,
    /// Soon to be played, or marked by the author.
    Window,
    /// Whatever else is lacking.
    Background,
}

/// Why a request will not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RejectReason {
    /// Too many requests wait already; ask elsewhere or later.
    Busy,
    /// The groups are not held and not about to be.
    NotHeld,
    /// This peer does not upload (any more).
    NotServing,
    /// This initial peer injects, and takes needs only.
    Injecting,
}

/// What a peer serves just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Serving {
    /// Nothing: it does not upload.
    Nothing,
    /// Whatever is asked for.
    Everything,
    /// It is an initial peer that injects and has upload to spare: urgent requests, and needs.
    Urgent,
    /// It is an initial peer that injects: needs only.
    Needs,
    /// It is an initial peer with upload to spare: whatever is asked for, even what viewers hold.
    Freely,
}

/// How a peer stands towards its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What it serves.
    pub serving: Serving,
    /// Groups that may be injected to it: its appetite. Empty without a store to put them.
    pub wants: GroupRange,
    /// What it can upload, bytes a second; 0 if not known.
    pub uplink: u64,
}

/// A message on the control channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerMessage {
    /// First message of each side.
    Hello {
        /// Protocol version, [`PEER_VERSION`].
        version: u16,
        /// The swarm.
        swarm: SwarmId,
        /// Who the sender is, by its tracker.
        peer: PeerId,
        /// Tells two links between the same pair apart from links to others.
        instance: Instance,
        /// How it stands.
        standing: Standing,
        /// Groups that it holds: the first runs; more follow in `Have`.
        have: Vec<GroupRange>,
    },
    /// Groups gained and dropped since the last `Hello` or `Have`.
    Have {
        /// Now held.
        gained: Vec<GroupRange>,
        /// No longer held.
        dropped: Vec<GroupRange>,
    },
    /// Asks for groups; they are sent one by one as they are held.
    Request {
        /// Chosen by the asker, not 0; names the request in what follows.
        id: u32,
        /// The groups, at most 64.
        range: GroupRange,
        /// How urgent it is.
        class: Class,
        /// Milliseconds until the first group is due.
        remaining_ms: u32,
    },
    /// To an initial peer that injects: these groups are needed soon, and no neighbour of the sender holds them.
    /// They are pushed before others, once, to one of those who need them. In place of what was said before.
    Need {
        /// The groups, at most 16 ranges of at most 64.
        ranges: Vec<GroupRange>,
    },
    /// Takes a request back. Groups on their way may still arrive.
    Cancel {
        /// The request.
        id: u32,
    },
    /// The rest of a request will not be served.
    Reject {
        /// The request.
        id: u32,
        /// Why.
        reason: RejectReason,
    },
    /// How the sender of this message is doing; at most once a second.
    Status {
        /// How it stands.
        standing: Standing,
        /// How long its upload queue takes to drain, ms.
        upload_queue_ms: u32,
        /// Group that it plays, if it does.
        playhead: Option<u32>,
    },
    /// Asks for part `part` of the manifest.
    ManifestAsk {
        /// Counted from 0, parts of 48 KiB.
        part: u16,
    },
    /// A part of the manifest's canonical bytes; an empty one if the sender has none.
    ManifestPart {
        /// Counted from 0.
        part: u16,
        /// How many there are; 0 if the sender has no manifest.
        part_count: u16,
        /// The bytes.
        bytes: Bytes,
    },
    /// Asks for a `Pong`.
    Ping {
        /// Echoed.
        nonce: u32,
    },
    /// Answers a `Ping` at once.
    Pong {
        /// From the `Ping`.
        nonce: u32,
    },
}

impl PeerMessage {
    /// Reads a frame of the control channel.
    pub fn decode(frame: &[u8]) -> Result<Self, PeerDecodeError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(PeerDecodeError::TooLong(frame.len()));
        }
        let (message, rest) = postcard::take_from_bytes(frame).map_err(|_| PeerDecodeError::Malformed)?;
        if !rest.is_empty() {
            return Err(PeerDecodeError::Malformed);
        }
        let is_within_limits = match &message {
            Self::Hello { have, .. } => have.len() <= RUNS_MAX,
            Self::Have { gained, dropped } => gained.len() <= RUNS_MAX && dropped.len() <= RUNS_MAX,
            Self::Request { id, range, .. } => *id != 0 && (1..=REQUEST_GROUPS_MAX).contains(&range.len()),
            Self::Need { ranges } => {
                ranges.len() <= NEED_RANGES_MAX
                    && ranges.iter().all(|range| range.len() <= REQUEST_GROUPS_MAX)
            }
            Self::ManifestPart { part, part_count, bytes } => {
                bytes.len() <= MANIFEST_PART_BYTES && (part < part_count || *part_count == 0)
            }
            Self::Cancel { .. }
            | Self::Reject { .. }
            | Self::Status { .. }
            | Self::ManifestAsk { .. }
            | Self::Ping { .. }
            | Self::Pong { .. } => true,
        };
        if is_within_limits {
            Ok(message)
        } else {
            Err(PeerDecodeError::Invalid("a list or range is too long"))
        }
    }

    /// The frame. Callers keep the limits, so that it has at most 65,535 bytes.
    pub fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).unwrap_or_default().into()
    }
}

/// What precedes the payload of a data message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataHead {
    /// The request that this answers; 0 for an injection.
    pub request: u32,
    /// The groups, 1 to 4 and no more than fit the frame.
    pub range: GroupRange,
    /// What the receiver needs to verify them.
    pub proof: Proof,
}

impl DataHead {
    /// The frame: this head, then the payload that `write` appends to it.
    ///
    /// `payload_bytes` sizes the buffer once. The error is that of `write`.
    pub fn encode_with<E>(
        &self,
        payload_bytes: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        let head_bytes = 32 + self.proof.hashes.len() * size_of::<NodeHash>();
        let frame = Vec::with_capacity(head_bytes + payload_bytes);
        let mut frame = postcard::to_extend(self, frame).unwrap_or_default();
        write(&mut frame)?;
        Ok(frame)
    }
}

/// A message on the data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataMessage {
    /// What it says of the payload.
    pub head: DataHead,
    /// The bytes of the groups.
    pub payload: Bytes,
}

impl DataMessage {
    /// Reads a frame of the data channel. The payload shares the frame's memory.
    pub fn decode(frame: Bytes) -> Result<Self, PeerDecodeError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(PeerDecodeError::TooLong(frame.len()));
        }
        let (head, rest): (DataHead, &[u8]) =
            postcard::take_from_bytes(&frame).map_err(|_| PeerDecodeError::Malformed)?;
        let is_within_limits =
            (1..=FRAME_GROUPS_MAX).contains(&head.range.len()) && head.proof.hashes.len() <= PROOF_HASHES_MAX;
        if !is_within_limits {
            return Err(PeerDecodeError::Invalid("a data message has 1 to 4 groups and a short proof"));
        }
        let payload = frame.slice(frame.len() - rest.len()..);
        Ok(Self { head, payload })
    }

    /// The frame.
    pub fn encode(&self) -> Vec<u8> {
        let result: Result<_, std::convert::Infallible> =
            self.head.encode_with(self.payload.len(), |frame| {
                frame.extend_from_slice(&self.payload);
                Ok(())
            });
        let Ok(frame) = result;
        frame
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_eight_bytes_on_the_wire() {
        let request = PeerMessage::Request {
            id: 7,
            range: GroupRange::new(300, 364),
            class: Class::Window,
            remaining_ms: 1000,
        };
        let frame = request.encode();
        assert_eq!(frame[..], [2, 7, 0xac, 0x02, 64, 1, 0xe8, 0x07]);
        assert_eq!(PeerMessage::decode(&frame).unwrap(), request);
    }

    #[test]
    fn a_data_message_survives_its_frame_without_copying_the_payload() {
        let message = DataMessage {
            head: DataHead {
                request: 3,
                range: GroupRange::new(9, 12),
                proof: Proof { top: 3, hashes: vec![[1; 32], [2; 32]] },
            },
            payload: Bytes::from(vec![5; 3 * 16384]),
        };
        let frame = Bytes::from(message.encode());
        assert!(frame.len() <= FRAME_BYTES_MAX);
        let decoded = DataMessage::decode(frame.clone()).unwrap();
        assert_eq!(decoded, message);
        assert_eq!(decoded.payload.as_ptr(), frame[frame.len() - 3 * 16384..].as_ptr());
    }

    #[test]
    fn messages_beyond_their_limits_are_refused() {
        let request = |id, len| PeerMessage::Request {
            id,
            range: GroupRange::new(0, len),
            class: Class::Urgent,
            remaining_ms: 0,
        };
        for message in [request(0, 1), request(1, 65), request(1, 0)] {
            assert!(PeerMessage::decode(&message.encode()).is_err(), "{message:?}");
        }
        assert_eq!(PeerMessage::decode(&[0; 70_000]), Err(PeerDecodeError::TooLong(70_000)));
        let mut trailing = PeerMessage::Cancel { id: 1 }.encode().to_vec();
        trailing.push(0);
        assert_eq!(PeerMessage::decode(&trailing), Err(PeerDecodeError::Malformed));
    }

    proptest! {
        #[test]
        fn hostile_frames_never_panic(frame in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = PeerMessage::decode(&frame);
            let _ = DataMessage::decode(frame.into());
        }
    }
}
