//! Messages between two peers on the data channels of a link (docs/protocol.md).
//!
//! `control` carries [`PeerMessage`] in `postcard` form. `data` carries [`DataMessage`]: a `postcard` head,
//! then the payload to the end of the frame, so that the payload is neither copied nor measured twice.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::group::GroupRange;
use crate::id::{PeerId, SwarmId};
use crate::limits::{FRAME_BYTES_MAX, FRAME_GROUPS_MAX, MANIFEST_PART_BYTES, REQUEST_GROUPS_MAX, RUNS_MAX};
use crate::publisher::Signature;
use crate::tree::{NodeHash, PROOF_HASHES_MAX, Proof};

/// Version of the peer protocol that this crate speaks.
pub const PEER_VERSION: u16 = 3;

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
    /// A greeting of another version. The link is to be closed, and nobody is to be blamed.
    #[error("it speaks version {0} of the protocol and this peer version 3; the older one is to be updated")]
    OtherVersion(u16),
    /// A field is beyond its limit, or ranges are not sorted and disjoint.
    #[error("a message breaks a rule: {0}")]
    Invalid(&'static str),
}

/// How urgently a group is needed; orders the sender's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A player needs it soon. Senders serve the earliest deadline first.
    Urgent,
    /// The author marked it: it goes before other background.
    Marked,
    /// Anything else that is lacking.
    Background,
}

/// Why requested groups will not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RejectReason {
    /// Too many groups wait already; ask elsewhere or later.
    Busy,
    /// The groups are not held.
    NotHeld,
    /// This peer does not upload, or not groups of this class.
    NotServing,
}

/// What a peer serves just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Serving {
    /// Nothing: it does not upload.
    Nothing,
    /// Urgent groups only: an initial peer that injects, or that is thrifty.
    Deadlines,
    /// Whatever is asked for.
    Everything,
}

impl Serving {
    /// Whether requests of a class are answered.
    pub(crate) fn answers(self, class: Class) -> bool {
        match self {
            Self::Everything => true,
            Self::Deadlines => class == Class::Urgent,
            Self::Nothing => false,
        }
    }
}

/// Where a player is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Playing {
    /// Next group that it needs.
    pub group: u32,
    /// How long it can wait for it, ms.
    pub ahead_ms: u32,
}

/// How a peer stands towards its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// What it serves.
    pub serving: Serving,
    /// Whether it is an initial peer that could serve everything its viewers play by itself: it may be asked for urgent
    /// groups that viewers hold, too.
    pub is_rich: bool,
    /// Groups that may be pushed to it: its appetite. Empty without a store to put them in.
    pub wants: GroupRange,
    /// What it can upload, bytes a second; if that is not known, the most that it has uploaded so far.
    pub uplink: u64,
    /// Whether that is its capacity: its uplink was busy. Otherwise it had less to upload than it could.
    pub is_uplink_known: bool,
    /// Most that it received of late, bytes a second; 0 if not known.
    pub downlink: u64,
    /// Bytes of pushes that it accepts at a time, sent and not yet announced by it.
    pub credit: u32,
    /// What its player is doing, if it plays.
    pub playing: Option<Playing>,
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
        /// How it stands.
        standing: Standing,
        /// Groups that it holds, ascending and disjoint: the first runs; more follow in `Have`.
        have: Vec<GroupRange>,
        /// Of an initial peer: the publisher's signature over [`Statement::Link`](crate::publisher::Statement::Link).
        proof: Option<Signature>,
    },
    /// Groups gained and dropped since the last `Hello` or `Have`; both lists are ascending and disjoint.
    Have {
        /// Now held.
        gained: Vec<GroupRange>,
        /// No longer held.
        dropped: Vec<GroupRange>,
    },
    /// Asks for groups that the other side announced.
    Request {
        /// The groups, 1 to 64.
        range: GroupRange,
        /// How urgent they are.
        class: Class,
        /// Milliseconds until the first group is due; 2³² − 1 if no player waits for it.
        remaining_ms: u32,
    },
    /// Requested groups have become urgent. Those that have been sent meanwhile, or were not asked for, do not matter.
    Hasten {
        /// The groups.
        range: GroupRange,
        /// Milliseconds until the first group is due.
        remaining_ms: u32,
    },
    /// Takes requests back. Groups on their way may still arrive.
    Cancel {
        /// The groups.
        range: GroupRange,
    },
    /// Requested groups that will not be sent.
    Reject {
        /// The groups.
        range: GroupRange,
        /// Why.
        reason: RejectReason,
    },
    /// How the sender of this message is doing.
    Status {
        /// How it stands.
        standing: Standing,
        /// When the message left, ms on the sender's clock, modulo 2³²: payload that left earlier may come later.
        sent_ms: u32,
        /// How long its urgent backlog takes to leave, ms.
        backlog_ms: u32,
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
        /// When it left, ms on the sender's clock, modulo 2³².
        sent_ms: u32,
    },
    /// Answers a `Ping` at once.
    Pong {
        /// From the `Ping`.
        nonce: u32,
        /// When it left, ms on the clock of who answers, modulo 2³².
        sent_ms: u32,
    },
}

impl PeerMessage {
    /// Reads a frame of the control channel.
    pub fn decode(frame: &[u8]) -> Result<Self, PeerDecodeError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(PeerDecodeError::TooLong(frame.len()));
        }
        check_version(frame)?;
        let (message, rest) = postcard::take_from_bytes(frame).map_err(|_| PeerDecodeError::Malformed)?;
        if !rest.is_empty() {
            return Err(PeerDecodeError::Malformed);
        }
        let is_within_limits = match &message {
            Self::Hello { have, .. } => have.len() <= RUNS_MAX,
            Self::Have { gained, dropped } => gained.len() <= RUNS_MAX && dropped.len() <= RUNS_MAX,
            Self::Request { range, .. }
            | Self::Hasten { range, .. }
            | Self::Cancel { range }
            | Self::Reject { range, .. } => (1..=REQUEST_GROUPS_MAX).contains(&range.len()),
            Self::ManifestPart { part, part_count, bytes } => {
                bytes.len() <= MANIFEST_PART_BYTES && (part < part_count || *part_count == 0)
            }
            Self::Status { .. } | Self::ManifestAsk { .. } | Self::Ping { .. } | Self::Pong { .. } => true,
        };
        if !is_within_limits {
            return Err(PeerDecodeError::Invalid("a list or range is too long or empty"));
        }
        let is_ordered = match &message {
            Self::Hello { have, .. } => is_ascending(have),
            Self::Have { gained, dropped } => is_ascending(gained) && is_ascending(dropped),
            Self::Request { .. }
            | Self::Hasten { .. }
            | Self::Cancel { .. }
            | Self::Reject { .. }
            | Self::Status { .. }
            | Self::ManifestAsk { .. }
            | Self::ManifestPart { .. }
            | Self::Ping { .. }
            | Self::Pong { .. } => true,
        };
        if is_ordered {
            Ok(message)
        } else {
            Err(PeerDecodeError::Invalid("ranges are not sorted and disjoint"))
        }
    }

    /// The frame. Callers keep the limits, so that it has at most 65,535 bytes.
    pub fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).unwrap_or_default().into()
    }
}

/// A greeting of another version need not have the form of this one's, so its version is looked at first.
fn check_version(frame: &[u8]) -> Result<(), PeerDecodeError> {
    let Some((0, rest)) = frame.split_first() else { return Ok(()) };
    let (version, _) = postcard::take_from_bytes::<u16>(rest).map_err(|_| PeerDecodeError::Malformed)?;
    if version == PEER_VERSION { Ok(()) } else { Err(PeerDecodeError::OtherVersion(version)) }
}

/// Whether ranges are sorted and disjoint and none is empty. So a list names each group once at most, and its groups
/// can be counted without an upper bound on the work.
fn is_ascending(ranges: &[GroupRange]) -> bool {
    ranges.iter().all(|range| !range.is_empty()) && ranges.is_sorted_by(|left, right| left.end <= right.start)
}

/// What precedes the payload of a data message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataHead {
    /// The groups, 1 to 4 and no more than fit the frame. Groups that were not asked for are a push, which only an
    /// initial peer may send.
    pub range: GroupRange,
    /// When the frame was handed to the transport, ms on the sender's clock, modulo 2³².
    pub sent_ms: u32,
    /// How long the request waited at the sender before that, ms; 0 for a push.
    pub waited_ms: u32,
    /// How long frames waited of late in front of the sender's uplink, ms: part of the delay that the receiver sees, and
    /// no fault of its downlink.
    pub queued_ms: u32,
    /// How long the sender's urgent backlog takes to leave, ms.
    pub backlog_ms: u32,
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
        let head_bytes = 40 + self.proof.hashes.len() * size_of::<NodeHash>();
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
    use crate::limits::GROUPS_MAX;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_seven_bytes_on_the_wire() {
        let range = GroupRange::new(300, 364);
        let request = PeerMessage::Request { range, class: Class::Marked, remaining_ms: 1000 };
        let frame = request.encode();
        assert_eq!(frame[..], [2, 0xac, 0x02, 64, 1, 0xe8, 0x07]);
        assert_eq!(PeerMessage::decode(&frame).unwrap(), request);
    }

    #[test]
    fn standings_and_heads_are_the_bytes_of_the_protocols_examples() {
        let standing = Standing {
            serving: Serving::Everything,
            is_rich: false,
            wants: GroupRange::new(0, 2560),
            uplink: 1_250_000,
            is_uplink_known: true,
            downlink: 3_000_000,
            credit: 131_072,
            playing: Some(Playing { group: 300, ahead_ms: 1875 }),
        };
        let mut expected = vec![6, 2, 0, 0, 0x80, 0x14, 0xd0, 0xa5, 0x4c, 1, 0xc0, 0x8d, 0xb7, 0x01];
        expected.extend([0x80, 0x80, 0x08, 1, 0xac, 0x02, 0xd3, 0x0e, 0xc0, 0xc4, 0x07, 0]);
        let status = PeerMessage::Status { standing, sent_ms: 123_456, backlog_ms: 0 };
        assert_eq!(status.encode()[..], expected);
        let head = DataHead {
            range: GroupRange::one(300),
            sent_ms: 123_456,
            waited_ms: 1200,
            queued_ms: 20,
            backlog_ms: 0,
            proof: Proof { top: 1, hashes: vec![[7; 32]] },
        };
        let frame = DataMessage { head, payload: Bytes::new() }.encode();
        assert_eq!(frame[..12], [0xac, 0x02, 1, 0xc0, 0xc4, 0x07, 0xb0, 0x09, 20, 0, 1, 1]);
        assert_eq!(frame[12..], [7; 32]);
    }

    #[test]
    fn a_data_message_survives_its_frame_without_copying_the_payload() {
        let message = DataMessage {
            head: DataHead {
                range: GroupRange::new(9, 12),
                sent_ms: u32::MAX,
                waited_ms: 300,
                queued_ms: 20,
                backlog_ms: 0,
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
        let range = |len| GroupRange::new(0, len);
        let request = |len| PeerMessage::Request { range: range(len), class: Class::Urgent, remaining_ms: 0 };
        let cancel = PeerMessage::Cancel { range: range(0) };
        for message in [request(65), request(0), cancel] {
            assert!(PeerMessage::decode(&message.encode()).is_err(), "{message:?}");
        }
        assert_eq!(PeerMessage::decode(&[0; 70_000]), Err(PeerDecodeError::TooLong(70_000)));
        let mut trailing = PeerMessage::Cancel { range: GroupRange::one(1) }.encode().to_vec();
        trailing.push(0);
        assert_eq!(PeerMessage::decode(&trailing), Err(PeerDecodeError::Malformed));
    }

    #[test]
    fn a_greeting_of_another_version_is_told_from_garbage() {
        // Version 2 had 16 bytes more, and no proof.
        let old = [&[0, 2][..], &[1; 32], &[5], &[9; 16]].concat();
        assert_eq!(PeerMessage::decode(&old), Err(PeerDecodeError::OtherVersion(2)));
        assert_eq!(PeerMessage::decode(&[0, 3, 1]), Err(PeerDecodeError::Malformed));
        let text = PeerDecodeError::OtherVersion(2).to_string();
        assert!(text.contains(&format!("version {PEER_VERSION};")), "{text}");
    }

    #[test]
    fn ranges_that_are_not_sorted_and_disjoint_are_refused() {
        let range = GroupRange::new;
        let sorted = vec![range(0, 3), range(3, 4), range(9, u32::MAX)];
        let refused = [
            vec![range(5, 6), range(0, 3)],
            vec![range(0, 3), range(2, 5)],
            vec![range(0, 3), range(0, 3)],
            vec![range(4, 4)],
            vec![range(0, 3), range(7, 7), range(8, 9)],
        ];
        let messages = |ranges: &[GroupRange]| {
            let (standing, some) = (STANDING, vec![range(1, 2)]);
            [
                PeerMessage::Hello {
                    version: PEER_VERSION,
                    swarm: SwarmId([1; 32]),
                    peer: PeerId(1),
                    standing,
                    have: ranges.to_vec(),
                    proof: Some(Signature([7; 64])),
                },
                PeerMessage::Have { gained: ranges.to_vec(), dropped: some.clone() },
                PeerMessage::Have { gained: some, dropped: ranges.to_vec() },
            ]
        };
        for message in messages(&sorted).into_iter().chain(messages(&[])) {
            assert_eq!(PeerMessage::decode(&message.encode()), Ok(message));
        }
        for message in refused.iter().flat_map(|ranges| messages(ranges)) {
            let decoded = PeerMessage::decode(&message.encode());
            assert!(matches!(decoded, Err(PeerDecodeError::Invalid(_))), "{message:?}");
        }
    }

    #[test]
    fn the_longest_lists_fit_a_frame_and_longer_ones_are_refused() {
        // Ranges with the longest numbers that exist, as far apart as they can be.
        let ranges = |count: usize| -> Vec<GroupRange> {
            let first = GROUPS_MAX - 2 * u32::try_from(count).unwrap();
            (0..count as u32).map(|index| GroupRange::one(first + 2 * index)).collect()
        };
        let have = |count| PeerMessage::Have { gained: ranges(count), dropped: ranges(count) };
        let longest = have(RUNS_MAX).encode();
        assert!(longest.len() <= FRAME_BYTES_MAX, "{}", longest.len());
        assert!(PeerMessage::decode(&longest).is_ok());
        assert!(PeerMessage::decode(&have(RUNS_MAX + 1).encode()).is_err());
        let part =
            |length| PeerMessage::ManifestPart { part: 0, part_count: 1, bytes: vec![7; length].into() };
        assert!(PeerMessage::decode(&part(MANIFEST_PART_BYTES).encode()).is_ok());
        assert!(PeerMessage::decode(&part(MANIFEST_PART_BYTES + 1).encode()).is_err());
        let beyond = PeerMessage::ManifestPart { part: 3, part_count: 3, bytes: Bytes::new() };
        assert!(PeerMessage::decode(&beyond.encode()).is_err());
    }

    #[test]
    fn data_heads_beyond_their_limits_are_refused() {
        let frame = |groups, hashes| {
            let proof = Proof { top: 0, hashes: vec![[0; 32]; hashes] };
            let range = GroupRange::new(0, groups);
            let head = DataHead { range, sent_ms: 0, waited_ms: 0, queued_ms: 0, backlog_ms: 0, proof };
            Bytes::from(DataMessage { head, payload: Bytes::new() }.encode())
        };
        assert!(DataMessage::decode(frame(FRAME_GROUPS_MAX, PROOF_HASHES_MAX)).is_ok());
        for (groups, hashes) in [(0, 0), (FRAME_GROUPS_MAX + 1, 0), (1, PROOF_HASHES_MAX + 1)] {
            assert!(matches!(DataMessage::decode(frame(groups, hashes)), Err(PeerDecodeError::Invalid(_))));
        }
    }

    fn any_range() -> impl Strategy<Value = GroupRange> {
        (any::<u32>(), 0..70u32).prop_map(GroupRange::from)
    }

    fn any_message() -> impl Strategy<Value = PeerMessage> {
        let class = prop_oneof![Just(Class::Urgent), Just(Class::Marked), Just(Class::Background)];
        let ranges = || prop::collection::vec(any_range(), 0..4);
        prop_oneof![
            (ranges(), ranges()).prop_map(|(gained, dropped)| PeerMessage::Have { gained, dropped }),
            (any_range(), class, any::<u32>())
                .prop_map(|(range, class, remaining_ms)| PeerMessage::Request { range, class, remaining_ms }),
            (any_range(), any::<u32>())
                .prop_map(|(range, remaining_ms)| PeerMessage::Hasten { range, remaining_ms }),
            any_range().prop_map(|range| PeerMessage::Cancel { range }),
            any_range().prop_map(|range| PeerMessage::Reject { range, reason: RejectReason::NotHeld }),
            (any::<u32>(), any::<u32>()).prop_map(|(nonce, sent_ms)| PeerMessage::Ping { nonce, sent_ms }),
            (any::<u32>(), any::<u32>()).prop_map(|(nonce, sent_ms)| PeerMessage::Pong { nonce, sent_ms }),
            (any::<u32>(), any::<u32>()).prop_map(|(group, backlog_ms)| PeerMessage::Status {
                standing: Standing { playing: Some(Playing { group, ahead_ms: backlog_ms }), ..STANDING },
                sent_ms: backlog_ms ^ 77,
                backlog_ms,
            }),
        ]
    }

    const STANDING: Standing = Standing {
        serving: Serving::Deadlines,
        is_rich: true,
        wants: GroupRange::new(3, 70_000),
        uplink: u64::MAX,
        is_uplink_known: true,
        downlink: 0,
        credit: 1 << 20,
        playing: None,
    };

    proptest! {
        #[test]
        fn a_message_survives_its_frame_or_is_refused(message in any_message()) {
            match PeerMessage::decode(&message.encode()) {
                Ok(decoded) => prop_assert_eq!(decoded, message),
                Err(error) => prop_assert!(matches!(error, PeerDecodeError::Invalid(_)), "{:?}", error),
            }
        }

        #[test]
        fn hostile_frames_never_panic(frame in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = PeerMessage::decode(&frame);
            let _ = DataMessage::decode(frame.into());
        }
    }
}
