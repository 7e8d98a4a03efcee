//! The directory of one swarm: who is in it, what each peer holds and what it looks for (M4, M6).
//!
//! Owns the records; who is introduced to whom is the graph's business, who sends what the assignments'.

use std::collections::BTreeMap;
use std::ops::Bound;

use swarm_core::PeerId;
use swarm_core::tracker_message::{PeerEntry, Role, SegmentRun};

use super::network::{Network, Site};
use super::outgoing::ConnectionId;
use super::rarity::{Rarity, Wish};
use super::segment_set::SegmentSet;
use crate::limits::{AT_RISK_HOLDERS_MAX, LOOKED_AT_MAX, RUNS_PER_ENTRY_MAX, SHORT_MS, UPLINK_MAX_BPS};

/// What the tracker knows of one peer.
#[derive(Debug)]
pub(super) struct Record {
    /// Where it can be reached.
    pub connection: ConnectionId,
    /// What it says it is.
    pub role: Role,
    /// Segments that it holds whole.
    pub have: SegmentSet,
    /// Whether its neighbours report that it hardly delivers. Then what it holds does not count: it makes no segment less
    /// rare, it is no seeder, and it is not named as a provider.
    pub is_doubted: bool,
    /// Segments that it looked for last and has not got since.
    pub looking: SegmentSet,
    /// Its upload capacity, bits a second; 0 if not known.
    pub uplink_bps: u64,
    /// Segment that it plays.
    pub playhead: Option<u32>,
    /// Media that its player has ahead, ms, by its last report.
    pub ahead_ms: Option<u32>,
    /// Where it comes from.
    pub site: Site,
    /// Whether it takes part here beside its own room, where it is counted.
    pub is_visitor: bool,
}

impl Record {
    /// What it adds to the number of seeders.
    fn seeding(&self) -> usize {
        usize::from(self.have.is_full() && !self.is_visitor)
    }

    /// Whether its player needs what it does not hold.
    pub(super) fn is_playing(&self) -> bool {
        self.role == Role::Viewer && self.playhead.is_some() && !self.have.is_full()
    }

    /// Whether its player has hardly anything ahead.
    pub(super) fn is_short(&self) -> bool {
        self.is_playing() && self.ahead_ms.is_some_and(|ahead| ahead < SHORT_MS)
    }

    /// The network that it is in.
    pub(super) fn network(&self) -> Network {
        Network::of(self.site.address())
    }
}

/// What a peer says of itself when it joins.
#[derive(Debug, Clone)]
pub(super) struct Newcomer {
    /// The peer.
    pub peer: PeerId,
    /// Where it can be reached.
    pub connection: ConnectionId,
    /// What it says it is.
    pub role: Role,
    /// Segments that it says it holds; not read of an initial peer, which holds everything.
    pub have: Vec<SegmentRun>,
    /// Its upload capacity, bits a second; 0 if not known.
    pub uplink_bps: u64,
    /// Segment that it plays.
    pub playhead: Option<u32>,
    /// Where it comes from.
    pub site: Site,
    /// Whether it takes part beside its own room.
    pub is_visitor: bool,
}

/// Everybody in one swarm.
#[derive(Debug)]
pub(super) struct Directory {
    /// How rare each segment is, by what the records say.
    pub(super) rarity: Rarity,
    peers: BTreeMap<PeerId, Record>,
    initial: Vec<PeerId>,
    seeder_count: usize,
    visitor_count: usize,
}

impl Directory {
    /// The directory of a content that nobody shares yet; a wish for each segment.
    pub(super) fn new(wishes: impl IntoIterator<Item = Wish>) -> Self {
        Self::of(Rarity::new(wishes))
    }

    const fn of(rarity: Rarity) -> Self {
        Self { rarity, peers: BTreeMap::new(), initial: Vec::new(), seeder_count: 0, visitor_count: 0 }
    }

    /// Number of peers.
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether nobody is in the swarm.
    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Peers that hold everything, and peers that do not, without visitors.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.seeder_count, self.peers.len() - self.visitor_count - self.seeder_count)
    }

    /// The initial peers.
    pub(super) fn initial(&self) -> &[PeerId] {
        &self.initial
    }

    /// What is known of a peer.
    pub(super) fn record(&self, peer: PeerId) -> Option<&Record> {
        self.peers.get(&peer)
    }

    /// Everybody, in the order of ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerId, &Record)> {
        self.peers.iter().map(|(peer, record)| (*peer, record))
    }

    /// The directory of the same content without its peers.
    pub(super) fn emptied(&self) -> Self {
        Self::of(self.rarity.emptied())
    }

    /// Enters a peer. The caller has checked the bounds and that it is not in the swarm.
    pub(super) fn insert(&mut self, newcomer: Newcomer) {
        let segment_count = self.rarity.segment_count();
        let have = match newcomer.role {
            Role::Initial => SegmentSet::full(segment_count),
            Role::Viewer => SegmentSet::of(segment_count, &newcomer.have),
        };
        if newcomer.role == Role::Initial {
            self.initial.push(newcomer.peer);
        } else {
            self.rarity.held(&SegmentSet::default(), &have);
        }
        let record = Record {
            connection: newcomer.connection,
            role: newcomer.role,
            have,
            is_doubted: false,
            looking: SegmentSet::default(),
            uplink_bps: newcomer.uplink_bps.min(UPLINK_MAX_BPS),
            playhead: self.checked(newcomer.playhead),
            ahead_ms: None,
            site: newcomer.site,
            is_visitor: newcomer.is_visitor,
        };
        self.seeder_count += record.seeding();
        self.visitor_count += usize::from(record.is_visitor);
        self.peers.insert(newcomer.peer, record);
    }

    /// Takes a peer out.
    pub(super) fn remove(&mut self, peer: PeerId) -> Option<Record> {
        self.doubt(peer, false);
        let record = self.peers.remove(&peer)?;
        self.seeder_count -= record.seeding();
        self.visitor_count -= usize::from(record.is_visitor);
        self.initial.retain(|initial| *initial != peer);
        if record.role == Role::Viewer {
            self.rarity.held(&record.have, &SegmentSet::default());
        }
        self.rarity.looked(&record.looking, &SegmentSet::default());
        Some(record)
    }

    /// A peer is reached on another connection from now on.
    pub(super) fn reconnect(&mut self, peer: PeerId, connection: ConnectionId) {
        if let Some(record) = self.peers.get_mut(&peer) {
            record.connection = connection;
        }
    }

    /// Notes what a peer gained and dropped. An initial peer always holds everything.
    pub(super) fn change(&mut self, peer: PeerId, gained: &[SegmentRun], dropped: &[SegmentRun]) {
        let Some(record) = self.peers.get_mut(&peer).filter(|record| record.role == Role::Viewer) else {
            return;
        };
        let (held, looked, seeding) = (record.have.clone(), record.looking.clone(), record.seeding());
        for run in dropped {
            record.have.remove(*run);
        }
        for run in gained {
            record.have.insert(*run);
            record.looking.remove(*run);
        }
        self.rarity.looked(&looked, &record.looking);
        if record.is_doubted {
            return;
        }
        self.rarity.held(&held, &record.have);
        self.seeder_count += record.seeding();
        self.seeder_count -= seeding;
    }

    /// Begins or ends to doubt what a viewer says it holds. An initial peer is never doubted.
    pub(super) fn doubt(&mut self, peer: PeerId, is_doubted: bool) {
        let record = self.peers.get_mut(&peer).filter(|record| record.role == Role::Viewer);
        let Some(record) = record.filter(|record| record.is_doubted != is_doubted) else { return };
        record.is_doubted = is_doubted;
        let (nothing, full) = (SegmentSet::default(), record.seeding());
        if is_doubted {
            self.rarity.held(&record.have, &nothing);
            self.seeder_count -= full;
        } else {
            self.rarity.held(&nothing, &record.have);
            self.seeder_count += full;
        }
    }

    /// Notes what a peer looks for, in place of what it looked for before.
    pub(super) fn look(&mut self, peer: PeerId, wanted: SegmentSet) {
        if let Some(record) = self.peers.get_mut(&peer) {
            self.rarity.looked(&record.looking, &wanted);
            record.looking = wanted;
        }
    }

    /// Notes how a peer is doing.
    pub(super) fn report(
        &mut self,
        peer: PeerId,
        uplink_bps: u64,
        playhead: Option<u32>,
        ahead_ms: Option<u32>,
    ) {
        let playhead = self.checked(playhead);
        if let Some(record) = self.peers.get_mut(&peer) {
            record.playhead = playhead;
            record.ahead_ms = ahead_ms;
            // A peer that has not sent anything yet has measured nothing; keep its estimate.
            if uplink_bps > 0 {
                record.uplink_bps = uplink_bps.min(UPLINK_MAX_BPS);
            }
        }
    }

    /// The first `count_max` viewers from `from` on, in the order of ids and round the end, that `is_meant`.
    ///
    /// Ids are drawn at random, so that a random `from` gives a random choice. Stops when it has enough, or has
    /// looked at `looked_max`.
    pub(super) fn viewers_from(
        &self,
        from: PeerId,
        looked_max: usize,
        count_max: usize,
        is_meant: impl Fn(PeerId, &Record) -> bool,
    ) -> Vec<PeerId> {
        let behind = self.peers.range((Bound::Included(from), Bound::Unbounded));
        let before = self.peers.range((Bound::Unbounded, Bound::Excluded(from)));
        behind
            .chain(before)
            .take(looked_max)
            .filter(|(peer, record)| record.role == Role::Viewer && is_meant(**peer, record))
            .take(count_max)
            .map(|(peer, _)| *peer)
            .collect()
    }

    /// What of `wanted` viewers hold, and what of that so few hold that these are hardly met by looking at some.
    pub(super) fn held_and_scarce(&self, wanted: &SegmentSet) -> (SegmentSet, SegmentSet) {
        let scarce_max = self.peers.len() * 4 / LOOKED_AT_MAX;
        let scarce_max = u32::try_from(scarce_max).unwrap_or(u32::MAX).max(AT_RISK_HOLDERS_MAX);
        let segment_count = self.rarity.segment_count();
        let (mut held, mut scarce) = (SegmentSet::empty(segment_count), SegmentSet::empty(segment_count));
        for segment in wanted.iter() {
            let holders = self.rarity.holders(segment);
            if holders > 0 {
                held.insert(SegmentRun(segment, 1));
            }
            if (1..=scarce_max).contains(&holders) {
                scarce.insert(SegmentRun(segment, 1));
            }
        }
        (held, scarce)
    }

    /// Whether a peer holds something of `wanted`.
    pub(super) fn is_holding(&self, peer: PeerId, wanted: &SegmentSet) -> bool {
        self.record(peer).is_some_and(|record| !record.is_doubted && record.have.is_overlapping(wanted))
    }

    /// Takes what a peer holds out of `wanted`.
    pub(super) fn cover(&self, peer: PeerId, wanted: &mut SegmentSet) {
        if let Some(record) = self.record(peer).filter(|record| !record.is_doubted) {
            wanted.remove_all(&record.have);
        }
    }

    /// A peer as it is described to one that provides or wants `wanted`: `of` picks the set that counts.
    pub(super) fn entry(
        &self,
        peer: PeerId,
        wanted: &SegmentSet,
        of: impl Fn(&Record) -> &SegmentSet,
    ) -> Option<PeerEntry> {
        let record = self.peers.get(&peer)?;
        Some(PeerEntry {
            peer,
            role: record.role,
            segments: of(record).runs_in_both(wanted, RUNS_PER_ENTRY_MAX),
            uplink_bps: record.uplink_bps,
            playhead: record.playhead,
        })
    }

    fn checked(&self, playhead: Option<u32>) -> Option<u32> {
        playhead.filter(|segment| *segment < self.rarity.segment_count())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use swarm_core::Timestamp;
    use swarm_core::manifest::Period;

    use super::*;

    const PLAIN: Wish = Wish { priority: 3, period: Period::Playback };

    fn viewer(peer: u64, have: &[SegmentRun]) -> Newcomer {
        Newcomer {
            peer: PeerId(peer),
            connection: ConnectionId(peer),
            role: Role::Viewer,
            have: have.to_vec(),
            uplink_bps: 0,
            playhead: None,
            site: Site::of(Ipv4Addr::LOCALHOST.into()),
            is_visitor: false,
        }
    }

    fn swarm_of(peers: &[u64]) -> Directory {
        let mut directory = Directory::new([PLAIN; 10]);
        peers.iter().for_each(|peer| directory.insert(viewer(*peer, &[])));
        directory
    }

    #[test]
    fn a_viewer_that_gained_the_last_segment_counts_as_a_seeder_until_it_drops_one() {
        let mut directory = swarm_of(&[1]);
        directory.change(PeerId(1), &[SegmentRun(0, 9)], &[]);
        assert_eq!(directory.counts().0, 0);
        directory.change(PeerId(1), &[SegmentRun(9, 1)], &[]);
        assert_eq!(directory.counts().0, 1);
        directory.change(PeerId(1), &[], &[SegmentRun(0, 1)]);
        assert_eq!(directory.counts().0, 0);
        directory.change(PeerId(1), &[SegmentRun(0, 1)], &[]);
        directory.remove(PeerId(1));
        assert_eq!((directory.counts().0, directory.len()), (0, 0));
    }

    #[test]
    fn an_initial_peer_holds_everything_whatever_it_says() {
        let mut directory = swarm_of(&[]);
        directory.insert(Newcomer { role: Role::Initial, ..viewer(1, &[]) });
        directory.change(PeerId(1), &[], &[SegmentRun(0, 10)]);
        assert!(directory.record(PeerId(1)).unwrap().have.is_full());
        assert_eq!((directory.counts().0, directory.initial()), (1, &[PeerId(1)][..]));
        directory.remove(PeerId(1));
        assert!(directory.initial().is_empty());
    }

    #[test]
    fn what_a_doubted_peer_holds_does_not_count_until_it_is_believed_again() {
        let mut directory = swarm_of(&[1, 2]);
        let all = SegmentSet::full(10);
        directory.change(PeerId(1), &[SegmentRun(0, 10)], &[]);
        let standing = |directory: &Directory| {
            (directory.counts().0, directory.rarity.holders(4), directory.is_holding(PeerId(1), &all))
        };
        assert_eq!(standing(&directory), (1, 1, true));
        directory.doubt(PeerId(1), true);
        directory.doubt(PeerId(1), true);
        assert_eq!(standing(&directory), (0, 0, false));
        directory.change(PeerId(1), &[], &[SegmentRun(0, 1)]);
        directory.change(PeerId(1), &[SegmentRun(0, 1)], &[]);
        assert_eq!(standing(&directory), (0, 0, false));
        directory.doubt(PeerId(1), false);
        assert_eq!(standing(&directory), (1, 1, true));
        directory.doubt(PeerId(1), true);
        directory.remove(PeerId(1));
        assert_eq!((directory.counts().0, directory.rarity.holders(4)), (0, 0));
        directory.insert(Newcomer { role: Role::Initial, ..viewer(3, &[]) });
        directory.doubt(PeerId(3), true);
        assert_eq!(directory.counts().0, 1, "an initial peer is never doubted");
    }

    #[test]
    fn what_a_peer_gained_it_no_longer_looks_for() {
        let mut directory = swarm_of(&[1]);
        directory.look(PeerId(1), SegmentSet::of(10, &[SegmentRun(2, 3)]));
        directory.change(PeerId(1), &[SegmentRun(2, 2)], &[]);
        assert_eq!(directory.record(PeerId(1)).unwrap().looking.iter().collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn rarity_follows_what_viewers_hold_and_look_for_and_does_not_count_initial_peers() {
        let mut directory = swarm_of(&[1, 2]);
        let at_risk =
            |directory: &mut Directory, at_ms| directory.rarity.at_risk(Timestamp::from_millis(at_ms));
        directory.insert(Newcomer { role: Role::Initial, ..viewer(3, &[]) });
        directory.look(PeerId(1), SegmentSet::of(10, &[SegmentRun(4, 2)]));
        assert_eq!(at_risk(&mut directory, 0), [SegmentRun(4, 2)]);
        directory.change(PeerId(2), &[SegmentRun(4, 1)], &[]);
        directory.insert(viewer(4, &[SegmentRun(0, 5)]));
        assert_eq!(at_risk(&mut directory, 2000), [SegmentRun(5, 1)]);
        let (held, scarce) = directory.held_and_scarce(&SegmentSet::of(10, &[SegmentRun(3, 4)]));
        assert_eq!((held.iter().collect(), scarce.iter().collect()), (vec![3, 4], vec![3]));
        directory.remove(PeerId(4));
        assert_eq!(at_risk(&mut directory, 4000), [SegmentRun(4, 2)]);
        directory.change(PeerId(1), &[SegmentRun(0, 10)], &[]);
        assert!(at_risk(&mut directory, 6000).is_empty(), "nobody looks for it any more");
        directory.remove(PeerId(1));
        assert!(at_risk(&mut directory, 8000).is_empty());
    }

    #[test]
    fn a_choice_goes_round_the_end_and_stops_when_it_has_enough() {
        let directory = swarm_of(&[1, 5, 9]);
        let from = |from, count_max| directory.viewers_from(PeerId(from), 9, count_max, |_, _| true);
        assert_eq!(from(5, 2), [PeerId(5), PeerId(9)]);
        assert_eq!(from(6, 9), [PeerId(9), PeerId(1), PeerId(5)]);
        let not_five = directory.viewers_from(PeerId(0), 9, 9, |peer, _| peer != PeerId(5));
        assert_eq!(not_five, [PeerId(1), PeerId(9)]);
        assert_eq!(directory.viewers_from(PeerId(0), 2, 9, |peer, _| peer != PeerId(5)), [PeerId(1)]);
    }

    #[test]
    fn a_playhead_beyond_the_content_and_a_boundless_uplink_are_not_believed() {
        let mut directory = swarm_of(&[1]);
        directory.report(PeerId(1), u64::MAX, Some(10), None);
        let record = directory.record(PeerId(1)).unwrap();
        assert_eq!((record.playhead, record.uplink_bps), (None, UPLINK_MAX_BPS));
        directory.report(PeerId(1), 0, Some(9), Some(SHORT_MS - 1));
        let record = directory.record(PeerId(1)).unwrap();
        assert_eq!((record.playhead, record.uplink_bps), (Some(9), UPLINK_MAX_BPS));
        assert!(record.is_short());
        directory.change(PeerId(1), &[SegmentRun(0, 10)], &[]);
        assert!(!directory.record(PeerId(1)).unwrap().is_short(), "it lacks nothing");
    }
}
