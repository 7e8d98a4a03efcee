//! A viewer whose content is mirrored: a test plays the servers.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use std::time::Duration;

use bytes::Bytes;

use super::{FetchId, MirrorError, RangeFetch};
use crate::group::GroupRange;
use crate::id::ReaderId;
use crate::manifest::{Mirror, MirrorPolicy, Mirrors};
use crate::peer::stats::MirrorState;
use crate::peer::tests::alone::Alone;
use crate::peer::tests::scene::standing;
use crate::peer::{Appetite, Event, Input, Stats};
use crate::peer_message::PeerMessage;
use crate::tracker_message::Role;
use crate::tree::sidecar;

/// The sample lasts 60 s: 600 groups are 10 a second.
const GROUPS: usize = 600;
const VIEWER: Appetite = Appetite::Viewer { budget_bytes: u64::MAX, is_kept: true };

fn mirrors(policy: MirrorPolicy, count: usize) -> Mirrors {
    let server = |number| Mirror::new(format!("https://m{number}.example/film.mp4"));
    Mirrors { policy, servers: (0..count).map(server).collect() }
}

fn viewer(policy: MirrorPolicy, count: usize) -> Alone {
    Alone::mirrored(GROUPS, VIEWER, mirrors(policy, count))
}

fn read(alone: &mut Alone, group: u32, ahead_ms: u32) {
    alone.tell(Input::ReaderAt { reader: ReaderId(1), group, ahead_ms });
}

/// What a good mirror answers.
fn answer(alone: &Alone, fetch: &RangeFetch) -> Bytes {
    let whole: Bytes = if fetch.url.ends_with(".tree") {
        let tree = &alone.net.tree;
        let pages = (0..sidecar::page_count(tree.geometry())).flat_map(|page| tree.page(page).unwrap());
        sidecar::header(tree.geometry(), tree.root()).into_iter().chain(pages).collect()
    } else {
        alone.net.content.clone()
    };
    assert_eq!(fetch.file_bytes, whole.len() as u64);
    whole.slice(fetch.bytes.start as usize..fetch.bytes.end as usize)
}

fn serve(alone: &mut Alone) {
    while !alone.fetches.is_empty() {
        let fetch = alone.fetches.remove(0);
        let bytes = answer(alone, &fetch);
        alone.tell(Input::Fetched(fetch.fetch, Ok(bytes)));
    }
}

fn fail(alone: &mut Alone, error: &MirrorError) {
    while let Some(fetch) = alone.fetches.pop() {
        alone.tell(Input::Fetched(fetch.fetch, Err(error.clone())));
    }
}

/// Plays from the beginning to the end at ten groups a second while a mirror answers at once; how often it stalled.
fn play(alone: &mut Alone, serve: impl Fn(&mut Alone)) -> usize {
    let (mut group, mut stalls) = (0, 0);
    for _ in 0..GROUPS {
        let ahead = (group..GROUPS as u32).take_while(|group| alone.store.contains_key(group)).count() as u32;
        read(alone, group + ahead, ahead * 100);
        serve(alone);
        if alone.store.contains_key(&group) {
            group += 1
        } else {
            stalls += 1
        }
        alone.wait(Duration::from_millis(100));
        serve(alone);
    }
    stalls + GROUPS - group as usize
}

fn stats(alone: &Alone) -> Stats {
    alone.peer.stats()
}

#[test]
fn a_viewer_without_peers_plays_to_the_end_from_a_mirror() {
    for policy in [MirrorPolicy::Assist, MirrorPolicy::Rescue, MirrorPolicy::Full] {
        let mut alone = viewer(policy, 1);
        assert!(play(&mut alone, serve) <= 2, "{policy:?} stalls");
        let stats = stats(&alone);
        assert_eq!((stats.from_mirrors, stats.duplicate_bytes), (stats.bytes_total, 0));
        assert_eq!(stats.bytes_verified, stats.bytes_total);
        assert_eq!(stats.mirrors[0].received, stats.bytes_total);
    }
}

#[test]
fn the_first_groups_are_fetched_before_a_player_asks_and_no_more() {
    let mut alone = viewer(MirrorPolicy::Assist, 1);
    assert_eq!(alone.fetches.iter().filter(|fetch| !fetch.url.ends_with(".tree")).count(), 2);
    serve(&mut alone);
    serve(&mut alone);
    assert!((10..=11).contains(&alone.store.len()), "a second of media: {}", alone.store.len());
    assert_eq!(viewer(MirrorPolicy::Rescue, 1).fetches, []);
    let mut all = Alone::mirrored(GROUPS, Appetite::Everything, mirrors(MirrorPolicy::Assist, 1));
    all.wait(Duration::from_secs(30));
    assert_eq!(all.fetches, [], "nobody reads, so nothing is due");
}

#[test]
fn a_download_without_peers_comes_whole_where_the_policy_says_so() {
    let mut alone = Alone::mirrored(GROUPS, Appetite::Everything, mirrors(MirrorPolicy::Full, 2));
    alone.wait(Duration::from_secs(9));
    assert_eq!(alone.fetches, [], "peers have their time first");
    for _ in 0..100 {
        alone.wait(Duration::from_secs(1));
        serve(&mut alone);
    }
    let stats = stats(&alone);
    assert_eq!(stats.from_mirrors, stats.bytes_total);
    assert!(
        stats.mirrors.iter().all(|mirror| mirror.received > stats.bytes_total / 3),
        "{:?}",
        stats.mirrors
    );
}

#[test]
fn a_mirror_is_not_asked_for_what_a_neighbour_delivers_in_time() {
    let mut alone = viewer(MirrorPolicy::Rescue, 1);
    let all = alone.net.manifest.geometry().all();
    let link = alone.meet(1, Role::Viewer, standing(10_000_000), &[all]);
    for group in (0..GROUPS as u32 - 20).step_by(2) {
        read(&mut alone, group, 1000);
        let said = alone.take_said(link);
        for message in said {
            let PeerMessage::Request { range, .. } = message else { continue };
            for start in range.iter().step_by(3) {
                let frame = alone.frame(GroupRange::new(start, start + 3).and(range));
                alone.tell(Input::Data(link, frame));
            }
        }
        alone.wait(Duration::from_millis(50));
        assert_eq!(alone.fetches, [], "at group {group}");
    }
    assert_eq!(stats(&alone).from_mirrors, 0);
}

#[test]
fn what_a_neighbour_owes_too_long_comes_from_the_mirror_and_is_taken_back() {
    let mut alone = viewer(MirrorPolicy::Rescue, 1);
    let all = alone.net.manifest.geometry().all();
    let link = alone.meet(1, Role::Viewer, standing(1_000_000), &[all]);
    read(&mut alone, 0, 3000);
    let asked = alone.take_said(link);
    assert!(asked.iter().any(|message| matches!(message, PeerMessage::Request { .. })), "{asked:?}");
    assert_eq!(alone.fetches, []);
    alone.wait(Duration::from_millis(2900));
    assert!(!alone.fetches.is_empty(), "it is silent, and the groups are due");
    let cancelled = alone.take_said(link);
    assert!(cancelled.iter().any(|message| matches!(message, PeerMessage::Cancel { .. })), "{cancelled:?}");
    serve(&mut alone);
    assert!(alone.store.contains_key(&0));
}

#[test]
fn groups_that_came_from_a_neighbour_are_not_awaited_from_a_mirror() {
    let mut alone = viewer(MirrorPolicy::Assist, 1);
    let link = alone.meet(1, Role::Initial, standing(1_000_000), &[alone.net.manifest.geometry().all()]);
    let fetches = alone.fetches.clone();
    for group in 0..12 {
        let frame = alone.frame(GroupRange::one(group));
        alone.tell(Input::Data(link, frame));
    }
    let groups = fetches.iter().filter(|fetch| !fetch.url.ends_with(".tree"));
    assert!(groups.into_iter().all(|fetch| alone.aborted.contains(&fetch.fetch)), "{:?}", alone.aborted);
    // An answer that crossed is ignored.
    alone.tell(Input::Fetched(fetches[1].fetch, Ok(Bytes::new())));
    alone.tell(Input::Fetched(FetchId(7777), Err(MirrorError::Slow)));
    assert_eq!(stats(&alone).mirrors[0].word, None);
}

#[test]
fn a_flipped_bit_is_never_stored_and_costs_the_mirror_its_place() {
    for is_tree in [true, false] {
        let mut alone = viewer(MirrorPolicy::Assist, 2);
        // The store of these tests takes the content's bytes only.
        let flip = |alone: &mut Alone| {
            while let Some(fetch) = alone.fetches.pop() {
                let mut bytes = answer(alone, &fetch).to_vec();
                if fetch.url.contains("m0") && fetch.url.ends_with(".tree") == is_tree {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 4;
                }
                alone.tell(Input::Fetched(fetch.fetch, Ok(bytes.into())));
            }
        };
        assert!(play(&mut alone, flip) <= 2);
        let stats = stats(&alone);
        assert_eq!(stats.mirrors[0].state, MirrorState::Lost);
        assert_eq!(stats.mirrors[0].word.as_deref(), Some("sent bytes that are not those of the content"));
        assert_eq!(stats.from_mirrors, stats.bytes_total, "the other one brings everything");
        assert!(
            alone
                .events
                .iter()
                .any(|event| matches!(event, Event::MirrorLost { host } if host == "m0.example"))
        );
    }
}

#[test]
fn a_mirror_that_refuses_is_tried_again_and_then_given_up_in_words() {
    for (error, tries, word) in [
        (MirrorError::Redirect, 3, "redirects"),
        (MirrorError::Whole, 3, "answers 200"),
        (MirrorError::Page, 3, "web page"),
        (MirrorError::Status(404), 3, "404"),
        (MirrorError::Unreachable("no route".into()), 12, "no route"),
    ] {
        let mut alone = viewer(MirrorPolicy::Assist, 1);
        read(&mut alone, 0, 0);
        let mut count = 0;
        for _ in 0..1000 {
            count += usize::from(!alone.fetches.is_empty());
            fail(&mut alone, &error);
            alone.wait(Duration::from_millis(500));
        }
        let mirror = &stats(&alone).mirrors[0];
        assert_eq!((count, mirror.state), (tries, MirrorState::Lost), "{error}");
        assert!(mirror.word.as_ref().unwrap().contains(word), "{mirror:?}");
    }
}

#[test]
fn a_peer_that_left_asks_no_mirror() {
    let mut alone = viewer(MirrorPolicy::Full, 1);
    read(&mut alone, 0, 0);
    let open = alone.fetches.clone();
    alone.tell(Input::Stop);
    assert!(!open.is_empty() && open.iter().all(|fetch| alone.aborted.contains(&fetch.fetch)));
    alone.wait(Duration::from_secs(60));
    assert_eq!(alone.fetches, []);
}

#[test]
fn a_mirror_that_stalls_or_truncates_is_left_for_another_one() {
    let mut alone = viewer(MirrorPolicy::Assist, 2);
    read(&mut alone, 0, 0);
    let stalled: Vec<FetchId> = alone.fetches.drain(..).map(|fetch| fetch.fetch).collect();
    alone.wait(Duration::from_secs(6));
    assert!(stalled.iter().all(|fetch| alone.aborted.contains(fetch)));
    assert!(!alone.fetches.is_empty());
    let states: Vec<_> = stats(&alone).mirrors.iter().map(|mirror| mirror.word.clone()).collect();
    assert!(states.iter().flatten().all(|word| word.contains("longer than it may")), "{states:?}");
    let fetch = alone.fetches.pop().unwrap();
    let short = answer(&alone, &fetch).slice(1..);
    alone.tell(Input::Fetched(fetch.fetch, Ok(short)));
    let words: Vec<_> = stats(&alone).mirrors.iter().filter_map(|mirror| mirror.word.clone()).collect();
    assert!(words.iter().any(|word| word.starts_with("sent ")), "{words:?}");
    for _ in 0..20 {
        serve(&mut alone);
        alone.wait(Duration::from_millis(500));
    }
    assert!(alone.store.contains_key(&0) && stats(&alone).from_mirrors > 0);
}

#[test]
fn a_mirror_that_hangs_again_and_again_is_asked_after_one_that_does_not_whatever_their_weights() {
    let mut mirrors = mirrors(MirrorPolicy::Full, 2);
    mirrors.servers[0].weight = u16::MAX;
    let mut alone = Alone::mirrored(GROUPS, VIEWER, mirrors);
    let hanging = "m0.example";
    let host = |fetch: &RangeFetch| fetch.url.contains(hanging);
    // The first one sends for a while, then nothing.
    for _ in 0..10 {
        read(&mut alone, 0, 0);
        serve(&mut alone);
        alone.wait(Duration::from_millis(100));
    }
    let (mut asked, mut stalls) = (0, 0);
    let mut hang = |alone: &mut Alone| {
        while let Some(place) = alone.fetches.iter().position(|fetch| !host(fetch)) {
            let fetch = alone.fetches.remove(place);
            let bytes = answer(alone, &fetch);
            alone.tell(Input::Fetched(fetch.fetch, Ok(bytes)));
        }
        asked += alone.fetches.drain(..).count();
    };
    for _ in 0..GROUPS {
        let held = |group: &u32| alone.store.contains_key(group);
        let next = (0..GROUPS as u32).find(|group| !held(group));
        let Some(next) = next else { break };
        read(&mut alone, next, 0);
        hang(&mut alone);
        if !alone.store.contains_key(&next) {
            stalls += 1;
        }
        alone.wait(Duration::from_millis(100));
        hang(&mut alone);
    }
    assert_eq!(alone.store.len(), GROUPS);
    // One time limit, and no second one while the other mirror answers.
    assert!(stalls <= 60, "it stood still for {stalls} tenths of a second; {asked} fetches hung");
}
