//! What neighbours and a tracker say, out of an input's bytes: sensible numbers mostly, so that it leads somewhere.

use swarm_core::group::GroupRange;
use swarm_core::peer::{FetchError, MoveInput, OutpostId, OutpostInput, PublishError, UploadLimit};
use swarm_core::peer_message::{Class, DataMessage, PeerMessage, Playing, RejectReason, Serving, Standing};
use swarm_core::tracker_message::{
    Role, SegmentRun, Share, Signal, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};

use swarm_core::{Challenge, Input, LinkId, PeerId, ReaderId};

use super::description;
use crate::content::{CONTENT, GROUPS, frame};
use crate::source::Source;

/// How a neighbour says that it stands.
pub(super) fn some_standing(source: &mut Source<'_>) -> Standing {
    let serving = match source.byte() % 3 {
        0 => Serving::Nothing,
        1 => Serving::Deadlines,
        _ => Serving::Everything,
    };
    Standing {
        serving,
        is_rich: source.byte() & 1 == 1,
        wants: GroupRange::new(source.number(), source.number()),
        uplink: source.long(),
        is_uplink_known: source.byte() & 1 == 1,
        downlink: source.long(),
        credit: source.number(),
        playing: (source.byte() & 1 == 1)
            .then(|| Playing { group: source.number(), ahead_ms: source.number() }),
    }
}

fn some_range(source: &mut Source<'_>) -> GroupRange {
    let start = source.byte();
    if start >= 250 {
        return GroupRange::new(source.number(), source.number());
    }
    let start = u32::from(start) % GROUPS;
    GroupRange::new(start, (start + 1 + u32::from(source.byte() % 4)).min(GROUPS))
}

/// Ranges as senders tell them, or as nobody may.
pub(super) fn some_ranges(source: &mut Source<'_>) -> Vec<GroupRange> {
    let count = source.byte();
    let ranges: Vec<GroupRange> = (0..count % 4).map(|_| some_range(source)).collect();
    if count >= 128 { ranges } else { swarm_core::group::merged(ranges) }
}

/// A message of a neighbour, mostly one that makes sense.
pub(super) fn some_message(source: &mut Source<'_>) -> PeerMessage {
    match source.byte() % 12 {
        0..=2 => PeerMessage::Have { gained: some_ranges(source), dropped: some_ranges(source) },
        3..=5 => {
            let class = match source.byte() % 3 {
                0 => Class::Urgent,
                1 => Class::Marked,
                _ => Class::Background,
            };
            PeerMessage::Request { range: some_range(source), class, remaining_ms: source.number() }
        }
        6 => PeerMessage::Hasten { range: some_range(source), remaining_ms: source.number() },
        7 => PeerMessage::Cancel { range: some_range(source) },
        8 => {
            let reason = match source.byte() % 3 {
                0 => RejectReason::Busy,
                1 => RejectReason::NotHeld,
                _ => RejectReason::NotServing,
            };
            PeerMessage::Reject { range: some_range(source), reason }
        }
        9 => PeerMessage::Status {
            standing: some_standing(source),
            sent_ms: source.number(),
            backlog_ms: source.number(),
        },
        10 => PeerMessage::ManifestAsk { part: source.short() },
        _ => {
            let (nonce, sent_ms) = (source.number(), source.number());
            if source.byte() & 1 == 0 {
                PeerMessage::Ping { nonce, sent_ms }
            } else {
                PeerMessage::Pong { nonce, sent_ms }
            }
        }
    }
}

/// What a tracker says.
pub(super) fn some_tracker_message(source: &mut Source<'_>) -> TrackerMessageBody {
    let peer = PeerId(u64::from(source.byte() % 10));
    let run = SegmentRun(source.number(), source.number());
    match source.byte() % 9 {
        0 => TrackerMessageBody::Unlink { peer },
        1 => TrackerMessageBody::Gone { peer },
        2 => TrackerMessageBody::Signal {
            from: peer,
            signal: Signal::Answer { sdp: description(source.byte()) },
        },
        3 => TrackerMessageBody::Signal {
            from: peer,
            signal: Signal::Offer { sdp: description(source.byte()) },
        },
        4 => TrackerMessageBody::Signal { from: peer, signal: Signal::EndOfCandidates },
        5 => TrackerMessageBody::Assign { segments: vec![run], source: peer, lease_ms: source.number() },
        6 => TrackerMessageBody::Swarm {
            seeders: source.number(),
            leechers: source.number(),
            at_risk: vec![run],
            share: Some(Share { index: source.number(), count: source.number() }),
            scarcity: None,
        },
        8 => TrackerMessageBody::Move { to: "wss://tracker.example/v1/swarm".to_owned() },
        _ => TrackerMessageBody::Connect { peer, role: Role::Viewer, offer: source.byte() & 1 == 1 },
    }
}

/// A frame of the right content, with a fault or without.
pub(super) fn some_data(link: LinkId, source: &mut Source<'_>) -> Input {
    let start = u32::from(source.byte()) % (GROUPS + 1);
    let mut message = frame(GroupRange::new(start, start + 1 + u32::from(source.byte() % 4)));
    match source.byte() {
        0 => message.payload = message.payload.slice(..message.payload.len() / 2),
        1 => message.head.proof.hashes.clear(),
        2 => message.head.proof.top = source.byte(),
        3 => message.head.range = GroupRange::new(source.number(), source.number()),
        4 => message.payload = message.payload.iter().map(|byte| byte ^ 1).collect::<Vec<u8>>().into(),
        _ => {}
    }
    match DataMessage::decode(message.encode().into()) {
        Ok(message) => Input::Data(link, message),
        Err(error) => Input::Malformed(link, error),
    }
}

/// What happens at a further tracker of an initial peer; of two numbers one is of none.
fn some_outpost_input(source: &mut Source<'_>) -> OutpostInput {
    match source.byte() % 8 {
        0 => OutpostInput::Open,
        1 => OutpostInput::Closed(String::new()),
        2 => OutpostInput::Published(Ok(())),
        3 => OutpostInput::Published(Err(PublishError::Failed(String::new()))),
        4 => OutpostInput::Message(TrackerMessage::notice(TrackerMessageBody::Welcome {
            version: TRACKER_VERSION,
            peer: PeerId(source.long()),
            resume: String::new(),
            challenge: Challenge([4; 32]),
            ice_servers: Vec::new(),
            report_interval_ms: source.number(),
        })),
        _ => OutpostInput::Message(TrackerMessage::notice(some_tracker_message(source))),
    }
}

/// What the tracker's socket, the manifest's source, a player or the person at the machine does.
pub(super) fn some_input(kind: u8, source: &mut Source<'_>) -> Input {
    match kind {
        0 => Input::TrackerOpen,
        1 => Input::TrackerClosed(String::new()),
        2 => Input::ManifestFetched(Err(FetchError::NotFound)),
        3 => {
            let bytes = match source.byte() {
                0 => source.some().to_vec(),
                _ => CONTENT.manifest.to_bytes().unwrap_or_default(),
            };
            Input::ManifestFetched(Ok(bytes.into()))
        }
        4 => Input::ManifestPublished(Err(PublishError::Failed(String::new()))),
        5 | 6 => {
            let reader = ReaderId(u32::from(source.byte() % 3));
            Input::ReaderAt { reader, group: source.number(), ahead_ms: source.number() }
        }
        7 => Input::ReaderClosed(ReaderId(u32::from(source.byte() % 3))),
        8 => Input::Outpost(OutpostId(usize::from(source.byte() & 1)), some_outpost_input(source)),
        9 => match source.byte() % 5 {
            0 => Input::TrackerMoved { token: None },
            1 => Input::Move(MoveInput::Open),
            2 => Input::Move(MoveInput::Closed),
            _ => Input::Move(MoveInput::Message(TrackerMessage::notice(some_tracker_message(source)))),
        },
        _ => Input::Upload(match source.byte() % 3 {
            0 => UploadLimit::Off,
            1 => UploadLimit::Unlimited,
            _ => UploadLimit::BitsPerSecond(source.long()),
        }),
    }
}
