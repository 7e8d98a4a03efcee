//! Which peers of a room take part in other rooms of the swarm as well: the initial peers in all of them, and a few viewers
//! of good uplinks in each of the rooms that the room is linked with.
//!
//! A visitor carries in both directions: it has a viewer's links in either room. What a room lacks comes in at the rate of
//! the media at most, however large the room is, so a few suffice.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use swarm_core::tracker_message::Role;
use swarm_core::{PeerId, Timestamp};

use super::super::network::Subnet;
use super::super::outgoing::ConnectionId;
use super::super::room::{Around, links_of};
use super::Swarm;
use crate::limits::{ROOM_REVIEW, ROOM_VISITORS, UPLINK_UNKNOWN_BPS};

/// The viewers that visit other rooms.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    /// Which room each visits.
    rooms: BTreeMap<PeerId, u32>,
    /// Who was told to visit a room, and has not been told yet that it need not any more.
    told: BTreeSet<PeerId>,
    /// Whether a room that is linked with this one has fewer than it could have.
    is_lacking: bool,
    /// When better ones are looked for.
    review_at: Timestamp,
}

impl Visitors {
    /// A peer left.
    pub(super) fn remove(&mut self, peer: PeerId) {
        self.rooms.remove(&peer);
        self.told.remove(&peer);
    }
}

impl Swarm {
    /// The swarm around this room is another from now on: what its initial peers carry is shared with more rooms, or fewer.
    pub(in super::super) fn set_around(&mut self, around: Around) {
        let is_same = self.around.rooms == around.rooms;
        self.around = around;
        if !is_same {
            self.graph.set_rooms(around.rooms);
            for initial in self.directory.initial().to_vec() {
                self.reassess(initial);
            }
        }
    }

    /// Which rooms of `others` the peers of this one, which is `number`, are to visit. Names everybody that visits any, and once
    /// those that are to visit none any more.
    pub(in super::super) fn visitors(
        &mut self,
        now: Timestamp,
        number: u32,
        others: &[u32],
    ) -> Vec<(ConnectionId, Vec<u32>)> {
        let linked = links_of(number, others);
        self.visitors.rooms.retain(|_, room| linked.contains(room));
        let is_review = self.visitors.review_at <= now;
        if is_review {
            self.visitors.review_at = now + ROOM_REVIEW;
        }
        self.visitors.is_lacking = false;
        for room in linked {
            self.choose_visitors(room, is_review);
        }
        let mut chosen: BTreeSet<PeerId> = self.visitors.rooms.keys().copied().collect();
        if !others.is_empty() {
            let is_own =
                |peer: &PeerId| self.directory.record(*peer).is_some_and(|record| !record.is_visitor);
            chosen.extend(self.directory.initial().iter().copied().filter(is_own));
        }
        let before = std::mem::replace(&mut self.visitors.told, chosen);
        let named = before.union(&self.visitors.told).filter_map(|peer| {
            let record = self.directory.record(*peer)?;
            let rooms = match record.role {
                Role::Initial => others.to_vec(),
                Role::Viewer => self.visitors.rooms.get(peer).copied().into_iter().collect(),
            };
            Some((record.connection, rooms))
        });
        named.collect()
    }

    /// Whether more peers of this room are to visit others, as soon as there are any.
    pub(in super::super) const fn is_lacking_visitors(&self) -> bool {
        self.visitors.is_lacking
    }

    /// Fills the places for visitors to a room. At a review the weakest of them makes way for one that is much stronger.
    fn choose_visitors(&mut self, room: u32, is_review: bool) {
        let mut present: Vec<PeerId> =
            self.visitors.rooms.iter().filter(|(_, other)| **other == room).map(|(peer, _)| *peer).collect();
        if present.len() >= ROOM_VISITORS && !is_review {
            return;
        }
        let mut candidates: Vec<(Reverse<u64>, PeerId)> = self
            .directory
            .iter()
            .filter(|(peer, record)| {
                record.role == Role::Viewer
                    && !record.is_visitor
                    && !record.is_doubted
                    && !self.visitors.rooms.contains_key(peer)
            })
            .map(|(peer, _)| (Reverse(self.strength(peer)), peer))
            .collect();
        candidates.sort_unstable();
        let subnet = |peer: PeerId| self.directory.record(peer).map(|record| record.site.subnet());
        while present.len() < ROOM_VISITORS {
            let taken: BTreeSet<Option<Subnet>> = present.iter().map(|peer| subnet(*peer)).collect();
            let elsewhere = candidates.iter().position(|(_, peer)| !taken.contains(&subnet(*peer)));
            let Some(at) = elsewhere.or((!candidates.is_empty()).then_some(0)) else { break };
            present.push(candidates.remove(at).1);
        }
        self.visitors.is_lacking |= present.len() < ROOM_VISITORS;
        if is_review
            && let Some((Reverse(best), strong)) = candidates.first().copied()
            && let Some(at) = (0..present.len()).min_by_key(|at| self.strength(present[*at]))
            && best / 2 >= self.strength(present[at])
        {
            self.visitors.rooms.remove(&present[at]);
            present[at] = strong;
        }
        self.visitors.rooms.extend(present.into_iter().map(|peer| (peer, room)));
    }

    /// What a viewer sends, as far as it is believed.
    fn strength(&self, peer: PeerId) -> u64 {
        match self.balance.uplink_bps(peer) {
            0 => UPLINK_UNKNOWN_BPS,
            known => known,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::super::directory::Newcomer;
    use super::super::super::graph::Wiring;
    use swarm_core::manifest::Period;

    use super::super::super::network::Site;
    use super::super::super::rarity::Wish;
    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    fn newcomer(peer: u64, role: Role, uplink_bps: u64) -> Newcomer {
        Newcomer {
            peer: PeerId(peer),
            connection: ConnectionId(peer),
            role,
            have: vec![],
            uplink_bps,
            playhead: None,
            site: Site::of(Ipv4Addr::new(10, 0, u8::try_from(peer).unwrap(), 1).into()),
            is_visitor: false,
        }
    }

    /// A publisher, peer 100, and as many viewers; each next one has more to send.
    fn room(count: u64) -> (Swarm, fastrand::Rng) {
        let wish = Wish { priority: 3, period: Period::Playback };
        let mut swarm = Swarm::new([wish; 4], Wiring::Regular, 2_000_000);
        let mut rng = fastrand::Rng::with_seed(1);
        swarm.join(NOW, newcomer(100, Role::Initial, 80_000_000), &mut rng);
        for peer in 1..=count {
            swarm.join(NOW, newcomer(peer, Role::Viewer, peer * 1_000_000), &mut rng);
        }
        (swarm, rng)
    }

    fn who(named: &[(ConnectionId, Vec<u32>)], room: u32) -> Vec<u64> {
        named.iter().filter(|(_, rooms)| rooms.contains(&room)).map(|(connection, _)| connection.0).collect()
    }

    #[test]
    fn the_publisher_visits_every_room_and_the_strongest_visit_the_next() {
        let count = 3 * ROOM_VISITORS as u64;
        let (mut swarm, mut rng) = room(count);
        assert_eq!(swarm.visitors(NOW, 0, &[]), [], "there is no other room");
        let named = swarm.visitors(NOW, 0, &[1, 2, 3]);
        let (next, far) = (links_of(0, &[1, 2, 3])[0], links_of(0, &[1, 2, 3])[1]);
        assert_eq!((who(&named, next).len(), who(&named, far).len()), (1 + ROOM_VISITORS, 1 + ROOM_VISITORS));
        assert!(who(&named, next).iter().all(|peer| *peer > ROOM_VISITORS as u64), "the weakest visit none");
        assert!((1..=3).all(|room| who(&named, room).contains(&100)));
        assert_eq!(swarm.visitors(NOW, 0, &[1, 2, 3]), named, "they stay");
        // One that leaves is made up for; when the rooms close they are told once.
        let gone = who(&named, next)[0];
        swarm.leave(NOW, PeerId(gone), &mut rng);
        let named = swarm.visitors(NOW, 0, &[1, 2, 3]);
        assert_eq!(who(&named, next).len(), 1 + ROOM_VISITORS);
        let named = swarm.visitors(NOW, 0, &[]);
        assert!(named.len() == 1 + 2 * ROOM_VISITORS && named.iter().all(|(_, rooms)| rooms.is_empty()));
        assert_eq!(swarm.visitors(NOW, 0, &[]), [], "they are told once");
    }

    #[test]
    fn a_much_stronger_viewer_takes_the_place_of_the_weakest_at_a_review() {
        let (mut swarm, mut rng) = room(ROOM_VISITORS as u64);
        swarm.visitors(NOW, 0, &[1]);
        // A stronger one that comes later.
        swarm.join(NOW, newcomer(50, Role::Viewer, 20_000_000), &mut rng);
        assert!(!who(&swarm.visitors(NOW, 0, &[1]), 1).contains(&50));
        let named = swarm.visitors(NOW + ROOM_REVIEW, 0, &[1]);
        assert!(who(&named, 1).contains(&50) && !who(&named, 1).contains(&1), "{named:?}");
        assert!(named.contains(&(ConnectionId(1), vec![])), "it is told");
    }

    #[test]
    fn visitors_are_counted_in_their_own_room_and_take_no_place_at_the_publisher() {
        let (mut swarm, mut rng) = room(3);
        let visitor = Newcomer { is_visitor: true, ..newcomer(60, Role::Viewer, 0) };
        swarm.join(NOW, visitor, &mut rng);
        assert_eq!(swarm.counts(), (1, 3));
        assert!(swarm.graph.neighbours(PeerId(60)).count() == 3, "the viewers, not the publisher");
        let publisher = Newcomer { is_visitor: true, ..newcomer(101, Role::Initial, 80_000_000) };
        swarm.join(NOW, publisher, &mut rng);
        assert_eq!(swarm.counts(), (1, 3));
        assert_eq!(swarm.graph.initial_count(PeerId(101)), 3, "the viewers of this room only");
        let visiting = [60, 101].map(ConnectionId);
        let named = swarm.visitors(NOW, 0, &[1]);
        assert!(named.iter().all(|(connection, _)| !visiting.contains(connection)), "{named:?}");
    }

    #[test]
    fn what_an_initial_peer_carries_is_shared_among_the_rooms() {
        let (mut swarm, _) = room(3);
        let alone = swarm.balance.supply_bps();
        swarm.set_around(Around { rooms: 4, seeders: 1, leechers: 7 });
        assert_eq!(alone - swarm.balance.supply_bps(), 60_000_000, "a quarter of 80 is left");
        assert_eq!(swarm.places(PeerId(100)), 64 / 4);
        swarm.set_around(Around::default());
        assert_eq!((swarm.balance.supply_bps(), swarm.places(PeerId(100))), (alone, 64));
    }
}
