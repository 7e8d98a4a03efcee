//! Links as they come and go, and the copies that follow from what they announce.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::*;
use crate::peer::tests::scene::Scene;
use crate::peer_message::{Class, Serving};

const GROUPS: u32 = 64;

fn standing() -> Standing {
    let wants = GroupRange::new(0, GROUPS);
    Standing {
        serving: Serving::Everything,
        is_rich: false,
        wants,
        uplink: 0,
        is_uplink_known: false,
        downlink: 0,
        credit: 0,
        playing: None,
    }
}

/// Neighbours of a content of 64 groups; of four links the last two are open.
fn neighbours() -> Neighbours {
    let mut neighbours = Neighbours::default();
    let now = Timestamp::ZERO;
    neighbours.set_geometry(Geometry::new(u64::from(GROUPS) * 16384));
    for peer in 1..=4 {
        let role = if peer == 4 { Role::Initial } else { Role::Viewer };
        neighbours.introduced(now, PeerId(peer), role, 24);
    }
    for id in [LinkId(3), LinkId(4)] {
        open(&mut neighbours, id);
    }
    neighbours
}

fn open(neighbours: &mut Neighbours, id: LinkId) {
    describe(neighbours, id, u8::try_from(id.0).unwrap());
    neighbours.opened(Timestamp::ZERO, id);
    let role = neighbours.get(id).map_or(Role::Viewer, Link::claimed);
    neighbours.greeted(Timestamp::ZERO, id, role, standing());
    neighbours.set_link_geometry(id, Geometry::new(u64::from(GROUPS) * 16384));
}

/// Both ends of a link are described; the neighbour has the certificate of that number.
fn describe(neighbours: &mut Neighbours, id: LinkId, number: u8) {
    neighbours.described(id, true, Fingerprint([99; 32]));
    neighbours.described(id, false, Fingerprint([number; 32]));
}

impl Neighbours {
    /// The copies are what the links hold, counted again.
    pub(crate) fn check_invariants(&self) {
        let mut again = Tally::new(self.copies().present().capacity());
        for (_, link) in self.iter() {
            runs(link).for_each(|run| again.change(run, Counts::No, link.counts()));
        }
        let counts = |copies: &Copies| {
            (0..copies.present().capacity()).map(|group| copies.of(group)).collect::<Vec<_>>()
        };
        for (copies, again) in [(self.copies(), again.all()), (self.prompt_copies(), again.prompt())] {
            assert_eq!((counts(copies), copies.present()), (counts(again), again.present()));
        }
    }
}

#[test]
fn viewers_count_as_opening_until_they_greet() {
    let mut neighbours = neighbours();
    assert_eq!((neighbours.opening_viewers(), neighbours.viewers().count()), (2, 1));
    open(&mut neighbours, LinkId(1));
    assert_eq!((neighbours.opening_viewers(), neighbours.viewers().count()), (1, 2));
    neighbours.remove(LinkId(2));
    assert_eq!(neighbours.opening_viewers(), 0);
}

#[test]
fn the_newer_introduction_replaces_an_attempt_that_hangs() {
    let mut neighbours = neighbours();
    let (introduction, replaced) = neighbours.introduced(Timestamp::ZERO, PeerId(1), Role::Viewer, 24);
    assert_eq!((introduction, replaced), (Introduction::Connect(LinkId(5)), Some(LinkId(1))));
    let again = neighbours.introduced(Timestamp::ZERO, PeerId(3), Role::Viewer, 24);
    assert_eq!(again, (Introduction::Nothing, None));
}

#[test]
fn a_banned_certificate_is_refused_under_any_link() {
    let mut neighbours = neighbours();
    neighbours.ban(LinkId(3));
    neighbours.remove(LinkId(3));
    describe(&mut neighbours, LinkId(1), 3);
    assert_eq!(neighbours.opened(Timestamp::ZERO, LinkId(1)), Opening::Closed("banned earlier"));
    describe(&mut neighbours, LinkId(2), 4);
    assert_eq!(neighbours.opened(Timestamp::ZERO, LinkId(2)), Opening::Greet);
}

#[test]
fn a_link_keeps_the_certificate_that_it_was_first_described_with() {
    let mut neighbours = neighbours();
    describe(&mut neighbours, LinkId(1), 7);
    assert!(!neighbours.described(LinkId(1), false, Fingerprint([3; 32])));
    assert_eq!(neighbours.get(LinkId(1)).and_then(Link::fingerprint), Some(Fingerprint([7; 32])));
    let nameless = neighbours.opened(Timestamp::ZERO, LinkId(2));
    assert!(matches!(nameless, Opening::Closed(_)), "{nameless:?}");
}

#[test]
fn a_range_that_is_repeated_in_one_message_counts_once() {
    let mut neighbours = neighbours();
    let range = GroupRange::new(3, 9);
    neighbours.announced(LinkId(3), &[range; 5], &[]).unwrap();
    assert_eq!(neighbours.copies().of(4), 1);
    neighbours.announced(LinkId(3), &[], &[range; 2]).unwrap();
    assert_eq!(neighbours.copies().of(4), 0);
}

#[test]
fn a_neighbour_that_turns_requests_down_serves_one_step_less_however_many_it_turned_down() {
    let turned_down = |classes: &[Class]| {
        let mut scene = Scene::film();
        let link = scene.viewer(1_000_000, &[]);
        classes.iter().for_each(|class| scene.neighbours.serves_not(link, *class));
        scene.of(link).standing().serving
    };
    assert_eq!(turned_down(&[]), Serving::Everything);
    assert_eq!(turned_down(&[Class::Background]), Serving::Deadlines);
    assert_eq!(turned_down(&[Class::Marked, Class::Background, Class::Background]), Serving::Deadlines);
    assert_eq!(turned_down(&[Class::Urgent]), Serving::Nothing);
    assert_eq!(turned_down(&[Class::Urgent, Class::Background]), Serving::Nothing);
}

proptest! {
    #[test]
    fn copies_are_what_the_links_hold(
        steps in prop::collection::vec((0u8..5, 1u32..5, 0u32..70, 0u32..20), 0..60),
    ) {
        let mut neighbours = neighbours();
        for (kind, link, start, len) in steps {
            let (id, range) = (LinkId(link), GroupRange::from((start, len)));
            match kind {
                0 => drop(neighbours.announced(id, &[range, range], &[])),
                1 => drop(neighbours.announced(id, &[], &[range, range])),
                2 if neighbours.get(id).is_some_and(|link| link.role == Role::Viewer) => {
                    neighbours.set_counts(id, [Counts::No, Counts::Later, Counts::Fully][len as usize % 3]);
                }
                3 if len == 0 => drop(neighbours.remove(id)),
                _ => {}
            }
            neighbours.check_invariants();
        }
    }
}
