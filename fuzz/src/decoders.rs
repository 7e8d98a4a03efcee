//! What reads single messages and texts of strangers: nothing panics, what is read keeps its limits, and writing it gives
//! what was read.

use std::collections::BTreeSet;

use bytes::Bytes;
use peer_native::address::ContentAddress;
use swarm_core::group::{GroupRange, merged};
use swarm_core::group_set::GroupSet;
use swarm_core::limits::{FRAME_BYTES_MAX, TRACKER_MESSAGE_BYTES_MAX};
use swarm_core::manifest::{AttachmentKind, swarm_id_of};
use swarm_core::peer_message::{DataMessage, PeerMessage};
use swarm_core::publisher::Statement;
use swarm_core::tracker_message::{PeerRequest, TrackerMessage};
use swarm_core::{HashTree, Manifest, PublisherKey, SwarmId, fingerprint, relays};
use tracker_server::proxies::entries;

use crate::content::{CONTENT, frame, key};
use crate::engine::Seen;
use crate::source::Source;

/// What a value is, without what is in it.
pub fn word_of(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// A request to a tracker is read as it is written.
pub fn tracker_request(input: &[u8], seen: &mut Seen) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match PeerRequest::decode(text) {
        Ok(request) => {
            seen.note(word_of(&request.body));
            let written = request.encode();
            assert_eq!(PeerRequest::decode(&written).as_ref(), Ok(&request), "{written}");
        }
        Err(error) => seen.note(error),
    }
}

/// A tracker's message is read as it is written.
pub fn tracker_message(input: &[u8], seen: &mut Seen) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match TrackerMessage::decode(text) {
        Ok(message) => {
            seen.note(word_of(&message.body));
            let written = message.encode();
            if written.len() <= TRACKER_MESSAGE_BYTES_MAX {
                assert_eq!(TrackerMessage::decode(&written).as_ref(), Ok(&message), "{written}");
            }
        }
        Err(error) => seen.note(error),
    }
    seen.note_count("relays", relays::of(text).map_or(0, |relays| relays.servers.len() + 1));
}

/// A message between peers is read as it is written.
pub fn peer_message(input: &[u8], seen: &mut Seen) {
    match PeerMessage::decode(input) {
        Ok(message) => {
            seen.note(word_of(&message));
            let written = message.encode();
            assert!(written.len() <= FRAME_BYTES_MAX, "it became longer than a frame");
            assert_eq!(PeerMessage::decode(&written).as_ref(), Ok(&message));
        }
        Err(error) => seen.note(error),
    }
}

/// A frame with data is read as it is written, and its payload is what is left of it.
pub fn data_message(input: &[u8], seen: &mut Seen) {
    match DataMessage::decode(Bytes::copy_from_slice(input)) {
        Ok(message) => {
            seen.note_count("groups", message.head.range.len() as usize);
            seen.note_count("hashes", message.head.proof.hashes.len());
            assert!(input.ends_with(&message.payload), "the payload is not what came");
            let again = DataMessage::decode(message.encode().into());
            assert_eq!(again.as_ref(), Ok(&message));
        }
        Err(error) => seen.note(error),
    }
}

/// A manifest has one form and tiles its content; to get past its digest and its signature, inputs are also signed here.
pub fn manifest(input: &[u8], seen: &mut Seen) {
    let check = |bytes: &[u8], seen: &mut Seen| match Manifest::from_bytes(swarm_id_of(bytes), bytes) {
        Ok(manifest) => {
            seen.note("read");
            seen.note_count("segments", manifest.segments.len());
            seen.note_count("attachments", manifest.attachments.len());
            seen.note_count("mirrors", manifest.mirrors.servers.len());
            let hosts = manifest.mirrors.servers.iter().all(|mirror| !mirror.host().is_empty());
            assert!(hosts, "a mirror without a host");
            assert_eq!(manifest.to_bytes().as_deref(), Ok(bytes), "one form");
            let tiled: u64 = manifest.segment_ranges().map(|(range, _)| u64::from(range.len())).sum();
            assert_eq!(tiled, u64::from(manifest.geometry().group_count()));
            let _ = (manifest.rate_bytes_per_s(), manifest.poster());
            for attachment in &manifest.attachments {
                seen.note(attachment.kind.name());
                let is_storyboard = matches!(attachment.kind, AttachmentKind::Storyboard(_));
                assert_eq!(attachment.tiles().is_some(), is_storyboard, "tiles that nobody checked");
            }
            let mut clean = manifest;
            clean.clean_texts();
        }
        Err(error) => seen.note(error),
    };
    check(input, seen);
    if let Some(signed) = signed(input) {
        check(&signed, seen);
    }
}

/// The same manifest as the key of these tests would sign it: the publisher and the signature are put into place.
fn signed(input: &[u8]) -> Option<Vec<u8>> {
    let good = CONTENT.manifest.to_bytes().ok()?;
    let place = good.windows(32).position(|window| window == key().public().0)?;
    let (body, _) = input.split_at_checked(input.len().checked_sub(64)?)?;
    let mut bytes = body.to_vec();
    bytes.get_mut(place..place + 32)?.copy_from_slice(&key().public().0);
    let id = SwarmId(*blake3::hash(&bytes).as_bytes());
    bytes.extend(key().sign(&Statement::Manifest(id)).0);
    Some(bytes)
}

/// Only the content's own bytes ever verify, whatever proof comes with them and whatever was known before.
pub fn proof(input: &[u8], seen: &mut Seen) {
    let content = &*CONTENT;
    let mut source = Source::new(input);
    let mut tree = HashTree::unknown(content.tree.geometry(), content.tree.root());
    if source.byte() & 1 == 1 {
        tree = HashTree::import(content.tree.geometry(), content.tree.root(), source.some());
    }
    while !source.is_empty() {
        let start = source.number();
        let range = GroupRange::new(start, start.saturating_add(u32::from(source.byte() % 6)));
        let good = frame(range);
        let mut proof = good.head.proof;
        match source.byte() % 5 {
            0 => proof.top = source.byte(),
            1 => drop(proof.hashes.pop()),
            2 => proof.hashes.push([source.byte(); 32]),
            3 => proof.hashes.iter_mut().take(1).for_each(|hash| hash[0] ^= source.byte()),
            _ => {}
        }
        let mut payload = good.payload.to_vec();
        let at = usize::from(source.short());
        if let Some(byte) = payload.get_mut(at) {
            *byte ^= source.byte();
        }
        payload.truncate(payload.len().saturating_sub(usize::from(source.byte() % 3)));
        match tree.verify(range, &proof, payload.into()) {
            Ok(verified) => {
                seen.note("verified");
                assert_eq!(
                    verified.bytes(),
                    &frame(verified.range()).payload,
                    "other bytes than the content's"
                );
            }
            Err(error) => seen.note(error),
        }
    }
    let again = HashTree::import(tree.geometry(), tree.root(), &tree.export());
    assert_eq!(again.export(), tree.export(), "a tree is kept as it is");
}

/// Sets of groups are what a plain set is.
pub fn ranges(input: &[u8], seen: &mut Seen) {
    let mut source = Source::new(input);
    let capacity = u32::from(source.short()) % 400;
    let mut set = GroupSet::empty(capacity);
    let mut model: BTreeSet<u32> = BTreeSet::new();
    let mut told = Vec::new();
    while !source.is_empty() {
        let operation = source.byte() % 4;
        let range = GroupRange::new(source.number(), source.number());
        let within = range.and(GroupRange::new(0, capacity));
        let before = model.len();
        match operation {
            0 => {
                model.extend(within.iter());
                assert_eq!(set.insert(range) as usize, model.len() - before);
            }
            1 => {
                model.retain(|group| !within.has(*group));
                assert_eq!(set.remove(range) as usize, before - model.len());
            }
            2 => {
                let runs: Vec<u32> = set.runs(range).flat_map(|run| run.iter().collect::<Vec<_>>()).collect();
                assert!(runs.iter().eq(model.iter().filter(|group| within.has(**group))), "runs {runs:?}");
                assert_eq!(set.count_in(range) as usize, runs.len());
                assert_eq!(set.has_any(range), !runs.is_empty());
            }
            _ => {
                assert_eq!(set.next(range.start), model.range(range.start..).next().copied());
                let missing = (range.start..capacity).find(|group| !model.contains(group));
                assert_eq!(set.next_missing(range.start), missing);
                told.push(within);
            }
        }
        seen.note_count("held", model.len());
    }
    assert!(set.iter().eq(model.iter().copied()));
    let all: BTreeSet<u32> = told.iter().flat_map(|range| range.iter()).collect();
    let merged = merged(told);
    assert!(merged.iter().flat_map(|range| range.iter()).eq(all.iter().copied()), "{merged:?}");
    seen.note_count("merged", merged.len());
}

/// Session descriptions, links and ids that a person typed.
pub fn text(input: &[u8], seen: &mut Seen) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    seen.note(if fingerprint::of_description(text).is_some() { "a certificate" } else { "no certificate" });
    match text.parse::<ContentAddress>() {
        Ok(address) => {
            seen.note(if address.token.is_some() { "a link with a token" } else { "a link" });
            if let Some(tracker) = address.tracker {
                let written = tracker.link(address.swarm);
                let again: ContentAddress =
                    written.parse().unwrap_or_else(|error| panic!("{written} is not read again: {error}"));
                assert_eq!(again.swarm, address.swarm);
                seen.note(format!("local: {}", tracker.is_local()));
            }
        }
        Err(error) => seen.note(error),
    }
    let hops = entries::of_list(text);
    assert_eq!(hops.len(), text.split(',').count(), "one entry a hop");
    for hop in hops.into_iter().chain(entries::of_forwarded(text)).flatten() {
        seen.note(if hop.is_ipv4() { "a hop of IPv4" } else { "a hop of IPv6" });
        assert_eq!(entries::of_list(&hop.to_string()), [Some(hop)]);
    }
    if let Ok(id) = text.parse::<SwarmId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(id) = text.parse::<PublisherKey>() {
        seen.note("an id");
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
