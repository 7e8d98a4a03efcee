//! Any order of inputs, by neighbours and a tracker that keep no rule.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use proptest::prelude::*;

use super::alone::Alone;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::{Challenge, LinkId, PeerId, ReaderId, SwarmId};
use crate::peer::neighbours::Link;
use crate::peer::{Appetite, Economy, FetchError, Input, PublishError, UploadLimit};
use crate::peer_message::{
    Class, DataMessage, PEER_VERSION, PeerDecodeError, PeerMessage, Playing, RejectReason, Serving, Standing,
};
use crate::publisher::Signature;
use crate::tracker_message::{
    ErrorCode, PeerEntry, Role, SegmentRun, Share, Signal, TrackerMessage, TrackerMessageBody,
};
use crate::tree::HashTree;

const GROUPS: u32 = 50;

/// What a payload is.
#[derive(Debug, Clone, Copy)]
enum Payload {
    Right,
    Flipped,
    Short,
    WithoutProof,
    WithForeignProof,
}

/// One step of a test. Links are named by their place among those that exist.
#[derive(Debug, Clone)]
enum Step {
    Input(Input),
    LinkOpen(usize),
    LinkClosed(usize),
    /// A link that is being built opens, and a neighbour greets.
    Greet(usize, u8, Standing, Vec<GroupRange>),
    Control(usize, PeerMessage),
    /// A message that would be in its place: the first groups that were asked of the link.
    Answer(usize, u32, Payload),
    Data(usize, GroupRange, Payload),
    Malformed(usize),
    Buffered(usize, u64),
    /// Everything that waits on a channel has left.
    Flush(usize),
    LocalSignal(usize),
    Wait(u64),
}

/// A number that is small, or at an edge.
fn any_count() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..60, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

fn any_bytes() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0u64..2_000_000, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

/// A range that lies mostly in the content.
fn any_range() -> impl Strategy<Value = GroupRange> {
    prop_oneof![
        60 => (0..GROUPS, 1u32..20).prop_map(|range| GroupRange::from(range).and(GroupRange::new(0, GROUPS))),
        1 => (0..GROUPS, 0u32..70).prop_map(GroupRange::from),
        1 => (any::<u32>(), any::<u32>()).prop_map(GroupRange::from),
    ]
}

/// Ranges as senders tell them, or as nobody may.
fn any_ranges() -> impl Strategy<Value = Vec<GroupRange>> {
    let ranges = || prop::collection::vec(any_range(), 0..4);
    let honest = ranges().prop_map(|ranges| {
        let all = GroupRange::new(0, GROUPS);
        crate::group::merged(ranges.into_iter().map(|range| range.and(all)))
    });
    prop_oneof![40 => honest, 1 => ranges()]
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let serving = prop_oneof![1 => Just(Serving::Nothing), 1 => Just(Serving::Deadlines), 3 => Just(Serving::Everything)];
    let rates = (any_bytes(), any::<bool>(), any_bytes(), any_count());
    (serving, any::<bool>(), any_range(), rates).prop_map(
        |(serving, is_rich, wants, (uplink, is_uplink_known, downlink, credit))| Standing {
            serving,
            is_rich,
            wants,
            uplink,
            is_uplink_known,
            downlink,
            credit,
            playing: None,
        },
    )
}

fn any_class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Urgent), Just(Class::Marked), Just(Class::Background)]
}

fn any_message() -> impl Strategy<Value = PeerMessage> {
    let reason =
        prop_oneof![Just(RejectReason::Busy), Just(RejectReason::NotHeld), Just(RejectReason::NotServing)];
    let playing = prop::option::of((any_count(), any_count()));
    prop_oneof![
        1 => any_standing().prop_map(|standing| PeerMessage::Hello {
            version: PEER_VERSION,
            swarm: SwarmId([0; 32]),
            peer: PeerId(1),
            standing,
            have: Vec::new(),
            proof: Some(Signature([7; 64])),
        }),
        60 => (any_ranges(), any_ranges()).prop_map(|(gained, dropped)| PeerMessage::Have { gained, dropped }),
        60 => (any_range(), any_class(), any_count())
            .prop_map(|(range, class, remaining_ms)| PeerMessage::Request { range, class, remaining_ms }),
        20 => (any_range(), any_count())
            .prop_map(|(range, remaining_ms)| PeerMessage::Hasten { range, remaining_ms }),
        20 => any_range().prop_map(|range| PeerMessage::Cancel { range }),
        20 => (any_range(), reason).prop_map(|(range, reason)| PeerMessage::Reject { range, reason }),
        40 => (any_standing(), any_count(), playing).prop_map(|(standing, backlog_ms, playing)| {
            let playing = playing.map(|(group, ahead_ms)| Playing { group, ahead_ms });
            let standing = Standing { playing, ..standing };
            PeerMessage::Status { standing, sent_ms: backlog_ms ^ 77, backlog_ms }
        }),
        10 => any::<u16>().prop_map(|part| PeerMessage::ManifestAsk { part }),
        10 => (0u16..4, 0u16..4).prop_map(|(part, part_count)| {
            PeerMessage::ManifestPart { part, part_count, bytes: vec![1].into() }
        }),
        10 => (any::<u32>(), any::<u32>()).prop_map(|(nonce, sent_ms)| PeerMessage::Ping { nonce, sent_ms }),
        10 => (any::<u32>(), any::<u32>()).prop_map(|(nonce, sent_ms)| PeerMessage::Pong { nonce, sent_ms }),
    ]
}

fn any_tracker_message() -> impl Strategy<Value = TrackerMessage> {
    let peer = || (0u64..8).prop_map(PeerId);
    let role = prop_oneof![1 => Just(Role::Initial), 3 => Just(Role::Viewer)];
    let runs = || {
        prop::collection::vec(
            (any_count(), any_count()).prop_map(|(first, count)| SegmentRun(first, count)),
            0..4,
        )
    };
    let share =
        prop::option::of((any_count(), any_count()).prop_map(|(index, count)| Share { index, count }));
    let entry = || {
        (peer(), any_bytes()).prop_map(|(peer, uplink_bps)| {
            let segments = vec![SegmentRun(0, u32::MAX)];
            PeerEntry { peer, role: Role::Viewer, segments, uplink_bps, playhead: None }
        })
    };
    let entries = move || prop::collection::vec(entry(), 0..4);
    let code = prop_oneof![
        Just(ErrorCode::UnknownSwarm),
        Just(ErrorCode::RateLimited),
        Just(ErrorCode::Full),
        Just(ErrorCode::Unavailable),
        Just(ErrorCode::ConsentRequired),
        Just(ErrorCode::MirrorsOnly),
        Just(ErrorCode::BadRequest),
        Just(ErrorCode::UnknownPeer),
        Just(ErrorCode::Unknown),
        Just(ErrorCode::Forbidden),
        Just(ErrorCode::UnsupportedVersion),
    ];
    let body = prop_oneof![
        1 => (peer(), any::<u32>()).prop_map(|(peer, report_interval_ms)| TrackerMessageBody::Welcome {
            version: 1,
            peer,
            resume: String::new(),
            challenge: Challenge::default(),
            ice_servers: Vec::new(),
            report_interval_ms,
        }),
        2 => (any_count(), runs(), share).prop_map(|(leechers, at_risk, share)| {
            TrackerMessageBody::Swarm { seeders: 1, leechers, at_risk, share, scarcity: None }
        }),
        2 => (entries(), entries()).prop_map(|(providing, looking)| TrackerMessageBody::Peers { providing, looking }),
        4 => (peer(), role, any::<bool>())
            .prop_map(|(peer, role, offer)| TrackerMessageBody::Connect { peer, role, offer }),
        2 => peer().prop_map(|peer| TrackerMessageBody::Unlink { peer }),
        2 => (runs(), peer(), any_count()).prop_map(|(segments, source, lease_ms)| {
            TrackerMessageBody::Assign { segments, source, lease_ms }
        }),
        1 => peer().prop_map(|from| TrackerMessageBody::Signal { from, signal: Signal::EndOfCandidates }),
        1 => peer().prop_map(|peer| TrackerMessageBody::Gone { peer }),
        1 => Just(TrackerMessageBody::Ok),
        1 => (code, prop::option::of(any_count())).prop_map(|(code, retry_after_ms)| {
            TrackerMessageBody::Error { code, text: String::new(), retry_after_ms }
        }),
    ];
    (prop::option::of(0u32..20), body).prop_map(|(id, body)| TrackerMessage { id, body })
}

fn any_input() -> impl Strategy<Value = Input> {
    let upload = prop_oneof![
        Just(UploadLimit::Off),
        Just(UploadLimit::Unlimited),
        any_bytes().prop_map(UploadLimit::BitsPerSecond),
    ];
    prop_oneof![
        2 => Just(Input::TrackerOpen),
        1 => Just(Input::TrackerClosed(String::new())),
        12 => any_tracker_message().prop_map(Input::Tracker),
        1 => Just(Input::ManifestFetched(Err(FetchError::NotFound))),
        1 => Just(Input::ManifestFetched(Ok(vec![1, 2, 3].into()))),
        1 => any::<bool>().prop_map(|is_taken| {
            Input::ManifestPublished(if is_taken { Ok(()) } else { Err(PublishError::Failed("no".into())) })
        }),
        10 => (0u32..20, any_count(), any_count()).prop_map(|(reader, group, ahead_ms)| {
            Input::ReaderAt { reader: ReaderId(reader), group, ahead_ms }
        }),
        2 => (0u32..20).prop_map(|reader| Input::ReaderClosed(ReaderId(reader))),
        3 => upload.prop_map(Input::Upload),
    ]
}

fn any_payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        60 => Just(Payload::Right),
        1 => Just(Payload::Flipped),
        1 => Just(Payload::Short),
        1 => Just(Payload::WithoutProof),
        1 => Just(Payload::WithForeignProof),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let link = || prop_oneof![12 => 0usize..4, 1 => 4usize..8];
    let frame = prop_oneof![
        12 => (0..GROUPS, 1u32..4).prop_map(|range| GroupRange::from(range).and(GroupRange::new(0, GROUPS))),
        1 => any_range(),
    ];
    prop_oneof![
        120 => any_input().prop_map(Step::Input),
        20 => link().prop_map(Step::LinkOpen),
        4 => link().prop_map(Step::LinkClosed),
        80 => (link(), 1u8..9, any_standing(), any_ranges())
            .prop_map(|(link, number, standing, have)| Step::Greet(link, number, standing, have)),
        240 => (link(), any_message()).prop_map(|(link, message)| Step::Control(link, message)),
        160 => (link(), 1u32..4, any_payload()).prop_map(|(link, max, payload)| Step::Answer(link, max, payload)),
        6 => (link(), frame, any_payload()).prop_map(|(link, range, payload)| Step::Data(link, range, payload)),
        2 => link().prop_map(Step::Malformed),
        20 => (link(), any_bytes()).prop_map(|(link, bytes)| Step::Buffered(link, bytes)),
        100 => link().prop_map(Step::Flush),
        6 => link().prop_map(Step::LocalSignal),
        120 => prop_oneof![12 => 0u64..300, 1 => 0u64..25_000].prop_map(Step::Wait),
        10 => any_range().prop_map(|range| Step::Input(Input::StoreFailed(range, String::new()))),
    ]
}

/// A link by its place, or one that does not exist.
fn link_at(alone: &Alone, place: usize) -> LinkId {
    alone.peer.neighbours.iter().nth(place).map_or(LinkId(9999), |(id, _)| id)
}

/// What the driver makes of a frame on the control channel.
fn control(link: LinkId, message: &PeerMessage) -> Input {
    match PeerMessage::decode(&message.encode()) {
        Ok(message) => Input::Control(link, message),
        Err(error) => Input::Malformed(link, error),
    }
}

/// What the driver makes of a frame on the data channel.
fn data(alone: &Alone, link: LinkId, range: GroupRange, payload: Payload) -> Input {
    let mut message = alone.frame(range.and(GroupRange::new(0, GROUPS)));
    match payload {
        Payload::Right => {}
        Payload::Flipped => {
            let mut bytes = message.payload.to_vec();
            bytes.iter_mut().take(1).for_each(|byte| *byte ^= 1);
            message.payload = bytes.into();
        }
        Payload::Short => message.payload = message.payload.slice(..message.payload.len() / 2),
        Payload::WithoutProof => message.head.proof.hashes.clear(),
        Payload::WithForeignProof => message.head.proof.top = message.head.proof.top.wrapping_sub(1),
    }
    message.head.range = range;
    match DataMessage::decode(message.encode().into()) {
        Ok(message) => Input::Data(link, message),
        Err(error) => Input::Malformed(link, error),
    }
}

/// Groups that a link was asked for and has not sent, the first few that follow one another.
fn asked_of(alone: &Alone, link: LinkId, max: u32) -> Option<GroupRange> {
    let asks =
        alone.peer.live.as_ref()?.receive.source(link)?.asks().map(|(group, _)| GroupRange::one(group));
    let run = *crate::group::merged(asks).first()?;
    Some(GroupRange::new(run.start, run.start + max).and(run))
}

fn take(alone: &mut Alone, step: Step) {
    match step {
        Step::Input(Input::StoreFailed(range, reason)) => {
            range.and(GroupRange::new(0, GROUPS)).iter().for_each(|group| drop(alone.store.remove(&group)));
            alone.tell(Input::StoreFailed(range, reason));
        }
        Step::Input(input) => alone.tell(input),
        Step::LinkOpen(place) => alone.open(link_at(alone, place), 77),
        Step::LinkClosed(place) => alone.tell(Input::LinkClosed(link_at(alone, place), String::new())),
        Step::Greet(place, number, standing, have) => {
            let link = link_at(alone, place);
            alone.open(link, number);
            // A link that greeted already is not told to greet twice: `any_message` does.
            if alone.peer.neighbours.get(link).is_some_and(|link| !link.is_open()) {
                let role = alone.peer.neighbours.get(link).map_or(Role::Viewer, Link::claimed);
                alone.tell(control(link, &alone.hello(number, role, standing, &have)));
            }
        }
        Step::Control(place, message) => alone.tell(control(link_at(alone, place), &message)),
        Step::Answer(place, max, payload) => {
            let link = link_at(alone, place);
            if let Some(range) = asked_of(alone, link, max) {
                alone.tell(data(alone, link, range, payload));
            }
        }
        Step::Data(place, range, payload) => {
            let link = link_at(alone, place);
            alone.tell(data(alone, link, range, payload));
        }
        Step::Malformed(place) => {
            alone.tell(Input::Malformed(link_at(alone, place), PeerDecodeError::Malformed));
        }
        Step::Buffered(place, bytes) => alone.tell(Input::Buffered(link_at(alone, place), bytes)),
        Step::Flush(place) => alone.flush(link_at(alone, place)),
        Step::LocalSignal(place) => {
            alone.tell(Input::LocalSignal(link_at(alone, place), Signal::EndOfCandidates));
        }
        Step::Wait(ms) => alone.wait(Duration::from_millis(ms)),
    }
}

proptest! {
    #[test]
    fn no_order_of_inputs_makes_a_peer_panic_or_spin(
        is_initial in any::<bool>(),
        is_limited in any::<bool>(),
        economy in prop_oneof![Just(Economy::Thrifty), Just(Economy::Generous)],
        standings in prop::collection::vec(any_standing(), 3),
        haves in prop::collection::vec(any_range(), 3),
        steps in prop::collection::vec(any_step(), 0..120),
    ) {
        let role = if is_initial { Role::Initial } else { Role::Viewer };
        let budget_bytes = 10 * 16384;
        let appetite = if is_limited { Appetite::Viewer { budget_bytes, is_kept: false } } else { Appetite::Everything };
        let mut alone = Alone::new(GROUPS as usize, role, appetite, economy);
        for (number, (standing, have)) in (1u8..).zip(standings.into_iter().zip(haves)) {
            let role = if number == 1 && !is_initial { Role::Initial } else { Role::Viewer };
            let have = have.and(GroupRange::new(0, GROUPS));
            let have: Vec<GroupRange> = Some(have).filter(|have| !have.is_empty()).into_iter().collect();
            alone.meet(number, role, standing, &have);
        }
        prop_assert_eq!(alone.peer.neighbours.open().count(), 3, "it gets past the greeting");
        for step in steps {
            take(&mut alone, step);
        }
        // A second store changes nothing, and a peer that leaves closes its links.
        let tree = Box::new(HashTree::unknown(alone.net.tree.geometry(), alone.net.tree.root()));
        alone.tell(Input::StoreReady { held: GroupSet::full(GROUPS), tree });
        alone.tell(Input::Stop);
        prop_assert_eq!(alone.peer.neighbours.iter().count(), 0);
        alone.wait(Duration::from_secs(60));
    }
}
