//! What trackers say to one another, and the frames in which it travels.
//!
//! ```text
//! frame = digest, 16 bytes, keyed by the secret that all trackers share
//!         · postcard: sender, receiver, number, messages
//! ```
//!
//! The way loses frames when it breaks, and never swaps two of one sender. Frames are numbered, so that the receiver
//! notices a loss; then both sides tell one another again what they know.

use std::net::IpAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use swarm_core::limits::{RUNS_MAX, TRACKER_MESSAGE_BYTES_MAX};
use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::{Role, SegmentRun};
use swarm_core::{Challenge, PeerId};

use crate::decision::room::ROOMS_MAX;
use crate::decision::{CloseReason, LinkNote, Passport, Room, Said};
use crate::engine::{Home, TrackerId};
use crate::limits::LINKS_TOLD_MAX;

/// Bytes of the digest.
const DIGEST_BYTES: usize = 16;

/// What one tracker says to another. A *member* is a connection whose socket the sender or receiver has; it is named by its
/// number there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// To the home: a member wants to take part in a room, or goes on taking part.
    Attach(Box<Attach>),
    /// To the home: a member sent this.
    Request { member: u64, epoch: u64, text: String },
    /// To the home: the socket of a member closed.
    Detach { member: u64 },
    /// To the home: these are all members of the sender that it has there.
    Present { members: Vec<u64> },
    /// From the home: a member is to be sent this. `answers` is the request that it answers.
    Deliver { member: u64, epoch: u64, answers: Option<u32>, note: LinkNote, text: String },
    /// From the home: the socket of a member is to be closed.
    Close { member: u64, epoch: u64, reason: CloseReason },
    /// The sender is not the home of this room, at least not in this epoch.
    NotHome { room: Room, epoch: u64 },
    /// The room has a new home.
    Moved { room: Room, home: Home },
    /// From the home of a member's own room: these are all other rooms that it is to visit.
    Visit { member: u64, epoch: u64, rooms: Vec<Room> },
    /// A newcomer was sent to this room, which nobody was in.
    Opened { room: Room },
    /// Frames were lost: say again who is there.
    Resync,
    /// To oneself: the subscription works.
    Probe,
}

/// Everything about a member that its home has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attach {
    pub(crate) member: u64,
    pub(crate) room: Room,
    /// Of the home that is meant.
    pub(crate) epoch: u64,
    peer: PeerId,
    address: IpAddr,
    uplink_bps: u64,
    name: [u8; 32],
    challenge: Challenge,
    said: Option<Told>,
}

/// [`Said`] on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    role: Role,
    have: Vec<SegmentRun>,
    uplink_bps: u64,
    playhead: Option<u32>,
    ahead_ms: Option<u32>,
    links: Vec<PeerId>,
    is_visitor: bool,
}

impl Attach {
    pub(crate) fn new(
        member: u64,
        (room, epoch): (Room, u64),
        passport: Passport,
        said: Option<Said>,
    ) -> Self {
        let Passport { peer, address, uplink_bps, name, challenge } = passport;
        let told = said.map(|said| {
            let Said { role, have, uplink_bps, playhead, ahead_ms, mut links, is_visitor } = said;
            links.truncate(LINKS_TOLD_MAX);
            Told { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor }
        });
        let name = name.0;
        Self { member, room, epoch, peer, address, uplink_bps, name, challenge, said: told }
    }

    /// Who the member is, and what it said.
    pub(crate) fn into_parts(self) -> (Passport, Option<Said>) {
        let Self { peer, address, uplink_bps, name, challenge, said, .. } = self;
        let passport = Passport { peer, address, uplink_bps, name: TrackerName(name), challenge };
        let said = said.map(|told| {
            let Told { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor } = told;
            Said { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor }
        });
        (passport, said)
    }
}

impl Message {
    /// About how many bytes it takes on its way.
    pub(crate) fn len_bytes(&self) -> usize {
        const FIXED: usize = 64;
        let variable = match self {
            Self::Attach(attach) => {
                attach.said.as_ref().map_or(128, |told| 160 + told.have.len() * 6 + told.links.len() * 10)
            }
            Self::Request { text, .. } | Self::Deliver { text, .. } => text.len(),
            Self::Present { members } => members.len() * 4,
            Self::Visit { rooms, .. } => rooms.len() * 36,
            Self::Detach { .. }
            | Self::Close { .. }
            | Self::NotHome { .. }
            | Self::Moved { .. }
            | Self::Opened { .. }
            | Self::Resync
            | Self::Probe => 0,
        };
        FIXED + variable
    }

    /// Whether it keeps the limits of what peers and trackers say.
    fn is_within_limits(&self) -> bool {
        match self {
            Self::Attach(attach) => attach
                .said
                .as_ref()
                .is_none_or(|told| told.have.len() <= RUNS_MAX && told.links.len() <= LINKS_TOLD_MAX),
            Self::Request { text, .. } => text.len() <= TRACKER_MESSAGE_BYTES_MAX,
            Self::Visit { rooms, .. } => rooms.len() <= ROOMS_MAX as usize,
            Self::Deliver { .. }
            | Self::Present { .. }
            | Self::Detach { .. }
            | Self::Close { .. }
            | Self::NotHome { .. }
            | Self::Moved { .. }
            | Self::Opened { .. }
            | Self::Resync
            | Self::Probe => true,
        }
    }
}

/// Messages of one tracker to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub(crate) from: TrackerId,
    pub(crate) to: TrackerId,
    /// Counts the frames of this sender to this receiver, from 1.
    pub(crate) number: u64,
    pub(crate) messages: Vec<Message>,
}

/// The key of frames.
#[derive(Clone)]
pub(crate) struct FrameKey([u8; 32]);

impl std::fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameKey(…)")
    }
}

/// A frame that is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// It was made with another secret.
    #[error("a frame of another tracker has a wrong digest; give all trackers the same --secret")]
    Digest,
    /// It is no frame of this version.
    #[error("a frame of another tracker cannot be read; run the same version everywhere")]
    Form,
}

impl FrameKey {
    /// `key` is derived from the secret that all trackers share.
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The bytes of a frame.
    pub(crate) fn seal(&self, frame: &Frame) -> Bytes {
        // These types have no form that postcard cannot write.
        let body = postcard::to_stdvec(frame).unwrap_or_default();
        let digest = blake3::keyed_hash(&self.0, &body);
        [&digest.as_bytes()[..DIGEST_BYTES], &body].concat().into()
    }

    /// The frame that was sealed with the same key.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<Frame, FrameError> {
        let (digest, body) = bytes.split_at_checked(DIGEST_BYTES).ok_or(FrameError::Digest)?;
        let mut expected = blake3::keyed_hash(&self.0, body).as_bytes().to_owned();
        expected[DIGEST_BYTES..].fill(0);
        let mut given = [0; 32];
        given[..DIGEST_BYTES].copy_from_slice(digest);
        // `blake3::Hash` compares in constant time.
        if blake3::Hash::from(expected) != blake3::Hash::from(given) {
            return Err(FrameError::Digest);
        }
        let frame: Frame = postcard::from_bytes(body).map_err(|_| FrameError::Form)?;
        if frame.messages.iter().all(Message::is_within_limits) { Ok(frame) } else { Err(FrameError::Form) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use swarm_core::SwarmId;

    const ROOM: Room = Room::new(SwarmId([1; 32]), 3);

    fn frame() -> Frame {
        let passport = Passport {
            peer: PeerId(5),
            address: "2001:db8::1".parse().unwrap(),
            uplink_bps: 8_000_000,
            name: TrackerName::of("films.example"),
            challenge: Challenge([3; 32]),
        };
        let said = Said {
            role: Role::Viewer,
            have: vec![SegmentRun(0, 5), SegmentRun(9, 1)],
            uplink_bps: 9_000_000,
            playhead: Some(4),
            ahead_ms: Some(2_000),
            links: vec![PeerId(6), PeerId(7)],
            is_visitor: true,
        };
        let attach = Attach::new(1, (ROOM, 77), passport, Some(said));
        let text = r#"{"id":9,"type":"leave"}"#.to_owned();
        let messages = vec![
            Message::Attach(Box::new(attach)),
            Message::Request { member: 1, epoch: 77, text: text.clone() },
            Message::Deliver {
                member: 1,
                epoch: 77,
                answers: Some(9),
                note: LinkNote::Linked(PeerId(6)),
                text,
            },
            Message::Visit { member: 1, epoch: 77, rooms: vec![ROOM] },
            Message::Opened { room: ROOM },
            Message::Close { member: 1, epoch: 77, reason: CloseReason::Replaced },
        ];
        Frame { from: TrackerId(1), to: TrackerId(2), number: 3, messages }
    }

    #[test]
    fn what_is_sealed_is_opened_with_the_same_secret_only() {
        let key = FrameKey::new([1; 32]);
        let sealed = key.seal(&frame());
        assert_eq!(key.open(&sealed), Ok(frame()));
        assert_eq!(FrameKey::new([2; 32]).open(&sealed), Err(FrameError::Digest));
        let Message::Attach(attach) = frame().messages.remove(0) else { panic!("no attach") };
        let (passport, said) = attach.clone().into_parts();
        assert_eq!(*attach, Attach::new(1, (ROOM, 77), passport, said));
    }

    #[test]
    fn changed_bytes_and_what_is_beyond_limits_are_refused() {
        let key = FrameKey::new([1; 32]);
        let sealed = key.seal(&frame());
        for at in [0, 15, 16, sealed.len() - 1] {
            let mut changed = sealed.to_vec();
            changed[at] ^= 1;
            assert_eq!(key.open(&changed), Err(FrameError::Digest), "{at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(key.open(&sealed[..length]), Err(FrameError::Digest), "{length}");
        }
        let text = "x".repeat(TRACKER_MESSAGE_BYTES_MAX + 1);
        let long = Frame { messages: vec![Message::Request { member: 1, epoch: 1, text }], ..frame() };
        assert_eq!(key.open(&key.seal(&long)), Err(FrameError::Form));
    }

    proptest! {
        /// Who knows the secret may still run another version.
        #[test]
        fn no_bytes_make_it_panic(mut body: Vec<u8>, is_cut: bool) {
            let key = FrameKey::new([1; 32]);
            if is_cut {
                // Begins like a frame, and goes on as it likes.
                let whole = postcard::to_stdvec(&frame()).unwrap();
                body = [&whole[..body.len().min(whole.len())], &body].concat();
            }
            let digest = blake3::keyed_hash(&key.0, &body);
            let sealed = [&digest.as_bytes()[..DIGEST_BYTES], &body].concat();
            prop_assert_ne!(key.open(&sealed), Err(FrameError::Digest));
            _ = (key.open(&body), crate::cluster::record::Record::decode(&body));
        }
    }
}
