//! One swarm: wires directory, graph and assignments together and says what its peers are to be told.

use swarm_core::tracker_message::{PeerEntry, Role, SegmentRun, TrackerMessageBody, Want};
use swarm_core::{PeerId, Timestamp};

use super::assignment::{Assignments, Candidate};
use super::directory::{Directory, Newcomer, Record};
use super::graph::{Change, Graph};
use super::outgoing::ConnectionId;
use super::segment_set::SegmentSet;
use crate::limits::{
    ASSIGNED_PER_WANT_MAX, CONNECTS_PER_WANT_MAX, INITIAL_PEERS_MAX, LEASE_MS, LOOKING_MAX,
    PEERS_PER_SWARM_MAX, PROVIDERS_MAX,
};

/// What peers are told without having asked, in order.
pub(super) type Notices = Vec<(ConnectionId, TrackerMessageBody)>;

/// Everybody who shares one content.
#[derive(Debug)]
pub(super) struct Swarm {
    directory: Directory,
    graph: Graph,
    assignments: Assignments,
}

impl Swarm {
    pub(super) fn new(segment_count: u32) -> Self {
        Self {
            directory: Directory::new(segment_count),
            graph: Graph::default(),
            assignments: Assignments::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.directory.is_empty()
    }

    /// Peers that hold everything, and peers that do not.
    pub(super) fn counts(&self) -> (u32, u32) {
        let seeders = self.directory.seeder_count();
        let count = |peers| u32::try_from(peers).unwrap_or(u32::MAX);
        (count(seeders), count(self.directory.len() - seeders))
    }

    pub(super) fn has_room(&self, role: Role) -> bool {
        let has_initial_room = self.directory.initial().len() < INITIAL_PEERS_MAX;
        self.directory.len() < PEERS_PER_SWARM_MAX && (role == Role::Viewer || has_initial_room)
    }

    pub(super) fn connection(&self, peer: PeerId) -> Option<ConnectionId> {
        self.directory.record(peer).map(|record| record.connection)
    }

    /// Enters a peer that is not in the swarm and for which there is room, and introduces its neighbours.
    pub(super) fn join(&mut self, now: Timestamp, newcomer: Newcomer, rng: &mut fastrand::Rng) -> Notices {
        let Newcomer { peer, role, .. } = newcomer;
        self.directory.insert(newcomer);
        let changes = match role {
            Role::Initial => self.graph.join_initial(now, peer, rng),
            Role::Viewer => self.graph.join_viewer(now, peer, rng),
        };
        self.tell(&changes)
    }

    /// Takes a peer out; its neighbours hear of it, and of what makes up for it.
    pub(super) fn leave(&mut self, now: Timestamp, peer: PeerId, rng: &mut fastrand::Rng) -> Notices {
        self.directory.remove(peer);
        let uplink_bps = |peer| self.directory.uplink_bps(peer);
        let departure = self.graph.leave(now, peer, uplink_bps, rng);
        self.assignments.remove(peer, &departure.neighbours);
        let told = departure.neighbours.iter().filter_map(|neighbour| self.connection(*neighbour));
        let mut notices: Notices =
            told.map(|connection| (connection, TrackerMessageBody::Gone { peer })).collect();
        notices.extend(self.tell(&departure.changes));
        notices
    }

    pub(super) fn change(&mut self, peer: PeerId, gained: &[SegmentRun], dropped: &[SegmentRun]) {
        self.directory.change(peer, gained, dropped);
    }

    /// Notes how a peer is doing; a good moment to look after its links.
    pub(super) fn report(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        uplink_bps: u64,
        playhead: Option<u32>,
        rng: &mut fastrand::Rng,
    ) -> Notices {
        self.directory.report(peer, uplink_bps, playhead);
        let uplink_bps = |peer| self.directory.uplink_bps(peer);
        let mut changes = self.graph.settle(now, peer, rng);
        changes.extend(self.graph.rotate(now, uplink_bps, rng));
        self.tell(&changes)
    }

    /// Answers what a peer looks for: who provides it and who looks for it too; then introduces providers if
    /// it has too few among its neighbours, and assigns a source to each of the most urgent segments.
    pub(super) fn want(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        wants: &[Want],
        rng: &mut fastrand::Rng,
    ) -> (TrackerMessageBody, Notices) {
        let mut wanted = SegmentSet::empty(self.directory.segment_count());
        wants.iter().for_each(|want| wanted.insert(want.segments));
        self.directory.look(peer, wanted.clone());
        let providers = self.providers(peer, &wanted, rng);
        let from = PeerId(rng.u64(..));
        let looking = self.directory.viewers_from(from, LOOKING_MAX, |other, record| {
            other != peer && record.looking.is_overlapping(&wanted)
        });
        let answer = TrackerMessageBody::Peers {
            providing: self.entries(&providers, &wanted, |record| &record.have),
            looking: self.entries(&looking, &wanted, |record| &record.looking),
        };
        let mut notices = self.introduce_providers(now, peer, &providers);
        if let Some(connection) = self.connection(peer) {
            let assigned = self.assign(now, peer, wants, &providers, rng);
            notices.extend(assigned.into_iter().map(|message| (connection, message)));
        }
        (answer, notices)
    }

    /// Peers that hold something of `wanted`: neighbours first, then viewers at random, then initial peers.
    fn providers(&self, peer: PeerId, wanted: &SegmentSet, rng: &mut fastrand::Rng) -> Vec<PeerId> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let is_holder = |record: &Record| record.have.is_overlapping(wanted);
        let mut providers: Vec<PeerId> = self
            .graph
            .neighbours(peer)
            .filter(|neighbour| self.directory.record(*neighbour).is_some_and(is_holder))
            .take(PROVIDERS_MAX)
            .collect();
        let room = PROVIDERS_MAX.saturating_sub(providers.len() + self.directory.initial().len());
        let others = self.directory.viewers_from(PeerId(rng.u64(..)), room, |other, record| {
            other != peer && is_holder(record) && !self.graph.is_linked(peer, other)
        });
        let initial = self.directory.initial().iter().copied();
        let initial = initial.filter(|other| *other != peer && !self.graph.is_linked(peer, *other));
        providers.extend(others.into_iter().chain(initial));
        providers.truncate(PROVIDERS_MAX);
        providers
    }

    fn entries(
        &self,
        peers: &[PeerId],
        wanted: &SegmentSet,
        of: impl Fn(&Record) -> &SegmentSet,
    ) -> Vec<PeerEntry> {
        peers.iter().filter_map(|peer| self.directory.entry(*peer, wanted, &of)).collect()
    }

    fn introduce_providers(&mut self, now: Timestamp, peer: PeerId, providers: &[PeerId]) -> Notices {
        let linked = providers.iter().filter(|provider| self.graph.is_linked(peer, **provider)).count();
        let mut lacking = CONNECTS_PER_WANT_MAX.saturating_sub(linked);
        let mut notices = Notices::new();
        for provider in providers {
            if lacking == 0 {
                break;
            }
            if let Some(changes) = self.graph.link_wanted(now, peer, *provider) {
                lacking -= 1;
                notices.extend(self.tell(&changes));
            }
        }
        notices
    }

    fn assign(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        wants: &[Want],
        providers: &[PeerId],
        rng: &mut fastrand::Rng,
    ) -> Vec<TrackerMessageBody> {
        let mut by_urgency: Vec<&Want> = wants.iter().collect();
        by_urgency.sort_by_key(|want| want.remaining_ms);
        let segment_count = self.directory.segment_count();
        let mut segments: Vec<u32> = by_urgency
            .iter()
            .flat_map(|want| {
                want.segments.0..want.segments.0.saturating_add(want.segments.1).min(segment_count)
            })
            .take(ASSIGNED_PER_WANT_MAX)
            .collect();
        segments.sort_unstable();
        segments.dedup();
        let linked: Vec<&PeerId> =
            providers.iter().filter(|provider| self.graph.is_linked(peer, **provider)).collect();
        let mut by_source: Vec<(PeerId, Vec<SegmentRun>)> = Vec::new();
        for segment in segments {
            let candidates: Vec<Candidate> =
                linked.iter().filter_map(|provider| self.candidate(**provider, segment)).collect();
            let Some(source) = self.assignments.choose(now, peer, segment, &candidates, rng) else {
                continue;
            };
            match by_source.iter_mut().find(|(other, _)| *other == source) {
                Some((_, runs)) => push_segment(runs, segment),
                None => by_source.push((source, vec![SegmentRun(segment, 1)])),
            }
        }
        let message =
            |(source, segments)| TrackerMessageBody::Assign { segments, source, lease_ms: LEASE_MS };
        by_source.into_iter().map(message).collect()
    }

    fn candidate(&self, provider: PeerId, segment: u32) -> Option<Candidate> {
        let record = self.directory.record(provider).filter(|record| record.have.has(segment))?;
        let is_initial = record.role == Role::Initial;
        Some(Candidate { peer: provider, is_initial, uplink_bps: record.uplink_bps })
    }

    /// Tells both sides of each change.
    fn tell(&self, changes: &[Change]) -> Notices {
        changes.iter().flat_map(|change| self.tell_one(*change).into_iter().flatten()).collect()
    }

    fn tell_one(&self, change: Change) -> Option<[(ConnectionId, TrackerMessageBody); 2]> {
        let (Change::Linked(left, right) | Change::Unlinked(left, right)) = change;
        let (left_record, right_record) = (self.directory.record(left)?, self.directory.record(right)?);
        let body = |peer, role, offer| match change {
            Change::Linked(..) => TrackerMessageBody::Connect { peer, role, offer },
            Change::Unlinked(..) => TrackerMessageBody::Unlink { peer },
        };
        // The answering side first: it then knows of the link before the offer can arrive.
        Some([
            (right_record.connection, body(left, left_record.role, false)),
            (left_record.connection, body(right, right_record.role, true)),
        ])
    }
}

/// Adds a segment beyond all of `runs`.
fn push_segment(runs: &mut Vec<SegmentRun>, segment: u32) {
    match runs.last_mut() {
        Some(SegmentRun(first, count)) if *first + *count == segment => *count += 1,
        Some(_) | None => runs.push(SegmentRun(segment, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(peer: u64, have: &[SegmentRun]) -> Newcomer {
        Newcomer {
            peer: PeerId(peer),
            connection: ConnectionId(peer),
            role: Role::Viewer,
            have: have.to_vec(),
            uplink_bps: 10_000_000,
            playhead: None,
        }
    }

    fn joined(newcomers: impl IntoIterator<Item = Newcomer>) -> (Swarm, fastrand::Rng) {
        let mut swarm = Swarm::new(10);
        let mut rng = fastrand::Rng::with_seed(1);
        for newcomer in newcomers {
            swarm.join(Timestamp::ZERO, newcomer, &mut rng);
        }
        (swarm, rng)
    }

    fn want(first: u32, count: u32, remaining_ms: u32) -> Want {
        Want { segments: SegmentRun(first, count), remaining_ms }
    }

    #[test]
    fn a_newcomer_offers_to_everybody_in_a_small_swarm() {
        let (mut swarm, mut rng) = joined([viewer(1, &[]), viewer(2, &[])]);
        let notices =
            swarm.join(Timestamp::ZERO, Newcomer { role: Role::Initial, ..viewer(3, &[]) }, &mut rng);
        let connect = |peer, role, offer| TrackerMessageBody::Connect { peer: PeerId(peer), role, offer };
        assert_eq!(notices.len(), 4);
        for peer in [1, 2] {
            assert!(notices.contains(&(ConnectionId(3), connect(peer, Role::Viewer, true))));
            assert!(notices.contains(&(ConnectionId(peer), connect(3, Role::Initial, false))));
        }
    }

    #[test]
    fn a_want_names_providers_and_those_who_look_for_the_same_and_assigns_the_urgent() {
        let (mut swarm, mut rng) = joined([
            viewer(1, &[SegmentRun(0, 4)]),
            viewer(2, &[SegmentRun(3, 2)]),
            viewer(3, &[]),
            viewer(4, &[]),
        ]);
        swarm.want(Timestamp::ZERO, PeerId(4), &[want(3, 1, 100)], &mut rng);
        let wants = [want(9, 1, 0), want(4, 1, 500), want(2, 2, 1000)];
        let (answer, notices) = swarm.want(Timestamp::ZERO, PeerId(3), &wants, &mut rng);
        let TrackerMessageBody::Peers { providing, looking } = answer else { panic!("{answer:?}") };
        let runs = |entries: Vec<PeerEntry>| -> Vec<_> {
            let mut runs: Vec<_> = entries.into_iter().map(|entry| (entry.peer.0, entry.segments)).collect();
            runs.sort_by_key(|(peer, _)| *peer);
            runs
        };
        assert_eq!(runs(providing), [(1, vec![SegmentRun(2, 2)]), (2, vec![SegmentRun(3, 2)])]);
        assert_eq!(runs(looking), [(4, vec![SegmentRun(3, 1)])]);
        let assigned: Vec<u32> = notices
            .iter()
            .flat_map(|(_, message)| {
                let TrackerMessageBody::Assign { segments, lease_ms: LEASE_MS, .. } = message else {
                    panic!("{message:?}")
                };
                segments
            })
            .flat_map(|run| run.0..run.0 + run.1)
            .collect();
        assert_eq!(assigned.len(), 3);
        assert!(!assigned.contains(&9), "nobody holds it");
    }

    #[test]
    fn a_want_that_no_neighbour_can_meet_introduces_one_that_can() {
        let (mut swarm, mut rng) = joined((1..=60).map(|peer| viewer(peer, &[])));
        let taker = PeerId(60);
        let far = (1..60).find(|peer| !swarm.graph.is_linked(taker, PeerId(*peer))).unwrap();
        swarm.change(PeerId(far), &[SegmentRun(7, 1)], &[]);
        let (_, notices) = swarm.want(Timestamp::ZERO, taker, &[want(7, 1, 0)], &mut rng);
        let connect =
            |peer, offer| TrackerMessageBody::Connect { peer: PeerId(peer), role: Role::Viewer, offer };
        let segments = vec![SegmentRun(7, 1)];
        let assign = TrackerMessageBody::Assign { segments, source: PeerId(far), lease_ms: LEASE_MS };
        let expected = [
            (ConnectionId(far), connect(60, false)),
            (ConnectionId(60), connect(far, true)),
            (ConnectionId(60), assign),
        ];
        assert_eq!(notices, expected);
    }

    #[test]
    fn the_longest_answer_fits_a_message() {
        let holes: Vec<SegmentRun> = (0..8000).map(|index| SegmentRun(index * 2, 1)).collect();
        let mut swarm = Swarm::new(16_384);
        let mut rng = fastrand::Rng::with_seed(1);
        for peer in 1..=100 {
            let newcomer = viewer(u64::MAX - peer, &holes);
            swarm.join(
                Timestamp::ZERO,
                Newcomer { uplink_bps: u64::MAX, playhead: Some(16_383), ..newcomer },
                &mut rng,
            );
            let all = [want(0, 16_384, 0)];
            swarm.want(Timestamp::ZERO, PeerId(u64::MAX - peer), &all, &mut rng);
        }
        let wants = [want(8192, 8192, 0)];
        let (body, _) = swarm.want(Timestamp::ZERO, PeerId(u64::MAX - 1), &wants, &mut rng);
        let message = swarm_core::tracker_message::TrackerMessage { id: Some(u32::MAX), body };
        let TrackerMessageBody::Peers { providing, looking } = &message.body else { panic!() };
        assert_eq!((providing.len(), looking.len()), (PROVIDERS_MAX, LOOKING_MAX));
        assert!(message.encode().len() <= swarm_core::limits::TRACKER_MESSAGE_BYTES_MAX);
    }

    #[test]
    fn hostile_wants_neither_panic_nor_assign_more_than_the_limit() {
        let (mut swarm, mut rng) = joined([viewer(1, &[SegmentRun(0, 10)]), viewer(2, &[])]);
        let wants = [want(u32::MAX, u32::MAX, 0), want(0, u32::MAX, u32::MAX), want(5, 0, 0)];
        let (_, notices) = swarm.want(Timestamp::ZERO, PeerId(2), &wants, &mut rng);
        let segments = vec![SegmentRun(0, 10)];
        let assign = TrackerMessageBody::Assign { segments, source: PeerId(1), lease_ms: LEASE_MS };
        assert_eq!(notices, [(ConnectionId(2), assign)]);
    }
}
