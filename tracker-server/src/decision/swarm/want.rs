//! What follows when a peer wants segments: who provides them, who looks for them too, links and assignments.

use swarm_core::tracker_message::{PeerEntry, Role, SegmentRun, TrackerMessageBody, Want};
use swarm_core::{PeerId, Timestamp};

use super::super::assignment::Candidate;
use super::super::directory::Record;
use super::super::segment_set::SegmentSet;
use super::{Notices, Swarm};
use crate::limits::{
    ASSIGNABLE_PER_WANT_MAX, ASSIGNED_PER_WANT_MAX, CONNECTS_PER_WANT_MAX, LEASE_MS, LOOKED_AT_MAX,
    LOOKING_MAX, PROVIDERS_MAX,
};

impl Swarm {
    /// Answers what a peer looks for: who provides it and who looks for it too; then introduces providers if
    /// it has too few among its neighbours, and assigns a source to each of the segments that matter most.
    pub(in super::super) fn want(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        wants: &[Want],
        rng: &mut fastrand::Rng,
    ) -> (TrackerMessageBody, Notices) {
        let mut wanted = SegmentSet::empty(self.directory.rarity.segment_count());
        wants.iter().for_each(|want| wanted.insert(want.segments));
        self.directory.look(peer, wanted.clone());
        let providers = self.providers(peer, &wanted, rng);
        let from = PeerId(rng.u64(..));
        let looking = self.directory.viewers_from(from, LOOKED_AT_MAX, LOOKING_MAX, |other, record| {
            other != peer && record.looking.is_overlapping(&wanted)
        });
        let answer = TrackerMessageBody::Peers {
            providing: self.entries(&providers, &wanted, |record| &record.have),
            looking: self.entries(&looking, &wanted, |record| &record.looking),
        };
        let mut notices = self.introduce_providers(now, peer, wanted, &providers);
        if let Some(connection) = self.connection(peer) {
            let assigned = self.assign(now, peer, wants, &providers, rng);
            notices.extend(assigned.into_iter().map(|message| (connection, message)));
        }
        (answer, notices)
    }

    /// Peers that hold something of `wanted`: neighbours first, then viewers by chance, those that hold what is
    /// scarce before others, then initial peers.
    fn providers(&self, peer: PeerId, wanted: &SegmentSet, rng: &mut fastrand::Rng) -> Vec<PeerId> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let is_holder = |record: &Record| !record.is_doubted && record.have.is_overlapping(wanted);
        let mut providers: Vec<PeerId> = self
            .graph
            .neighbours(peer)
            .filter(|neighbour| self.directory.record(*neighbour).is_some_and(is_holder))
            .take(PROVIDERS_MAX)
            .collect();
        // A few holders must be found wherever they are; of many, some are soon met.
        let (held, scarce) = self.directory.held_and_scarce(wanted);
        for (sought, looked_max) in [(scarce, usize::MAX), (held, LOOKED_AT_MAX)] {
            let room = PROVIDERS_MAX.saturating_sub(providers.len() + self.directory.initial().len());
            if sought.is_empty() || room == 0 {
                continue;
            }
            let others =
                self.directory.viewers_from(PeerId(rng.u64(..)), looked_max, room, |other, record| {
                    other != peer
                        && !record.is_doubted
                        && record.have.is_overlapping(&sought)
                        && !providers.contains(&other)
                });
            providers.extend(others);
        }
        let initial = self.directory.initial().iter().copied();
        let initial: Vec<PeerId> =
            initial.filter(|other| *other != peer && !providers.contains(other)).collect();
        providers.extend(initial);
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

    /// Links a peer with providers while it has few of them, or none for some of what it wants.
    fn introduce_providers(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        wanted: SegmentSet,
        providers: &[PeerId],
    ) -> Notices {
        let (linked, others): (Vec<PeerId>, Vec<PeerId>) =
            providers.iter().partition(|provider| self.graph.is_linked(peer, **provider));
        let mut uncovered = wanted;
        let mut count = linked.len();
        for provider in linked {
            self.directory.cover(provider, &mut uncovered);
        }
        let mut connects_left = CONNECTS_PER_WANT_MAX;
        let mut notices = Notices::new();
        for provider in others {
            let is_needed = count < CONNECTS_PER_WANT_MAX || self.directory.is_holding(provider, &uncovered);
            if connects_left == 0 || !is_needed {
                continue;
            }
            if let Some(changes) = self.graph.link_wanted(now, peer, provider) {
                connects_left -= 1;
                count += 1;
                self.directory.cover(provider, &mut uncovered);
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
        let linked: Vec<PeerId> =
            providers.iter().copied().filter(|provider| self.graph.is_linked(peer, *provider)).collect();
        let mut assigned: Vec<(u32, PeerId)> = Vec::new();
        for segment in self.most_important(wants) {
            let candidates: Vec<Candidate> =
                linked.iter().filter_map(|provider| self.candidate(peer, *provider, segment)).collect();
            let source = self.assignments.choose(now, peer, segment, &candidates, rng);
            assigned.extend(source.map(|source| (segment, source)));
        }
        assigned.sort_unstable();
        let mut by_source: Vec<(PeerId, Vec<SegmentRun>)> = Vec::new();
        for (segment, source) in assigned {
            match by_source.iter_mut().find(|(other, _)| *other == source) {
                Some((_, runs)) => push_segment(runs, segment),
                None => by_source.push((source, vec![SegmentRun(segment, 1)])),
            }
        }
        let message =
            |(source, segments)| TrackerMessageBody::Assign { segments, source, lease_ms: LEASE_MS };
        by_source.into_iter().map(message).collect()
    }

    /// The segments to assign: what the author wants at the start, then the most urgent, among these what is
    /// rare, then by the author's priority.
    pub(super) fn most_important(&self, wants: &[Want]) -> Vec<u32> {
        let mut by_urgency: Vec<&Want> = wants.iter().collect();
        by_urgency.sort_by_key(|want| want.remaining_ms);
        let rarity = &self.directory.rarity;
        let segments =
            by_urgency.iter().flat_map(|Want { segments: SegmentRun(first, count), remaining_ms }| {
                let end = first.saturating_add(*count).min(rarity.segment_count());
                (*first..end).map(|segment| (segment, *remaining_ms))
            });
        let mut segments: Vec<(u32, u32)> = segments.take(ASSIGNABLE_PER_WANT_MAX).collect();
        segments.sort_unstable();
        segments.dedup_by_key(|(segment, _)| *segment);
        segments.sort_by_key(|(segment, remaining_ms)| {
            let rank = rarity.rank(*segment);
            (!rarity.is_for_start(*segment), *remaining_ms, !rarity.is_rare(*segment), rank)
        });
        segments.into_iter().map(|(segment, _)| segment).take(ASSIGNED_PER_WANT_MAX).collect()
    }

    fn candidate(&self, taker: PeerId, provider: PeerId, segment: u32) -> Option<Candidate> {
        let record = self
            .directory
            .record(provider)
            .filter(|record| !record.is_doubted && record.have.has(segment))?;
        Some(Candidate {
            peer: provider,
            is_initial: record.role == Role::Initial,
            uplink_bps: self.bounded_bps(provider, record.role, record.uplink_bps),
            success: self.successes.of(provider),
            is_near: self.directory.record(taker).is_some_and(|taker| taker.network() == record.network()),
        })
    }
}

/// Adds a segment beyond all of `runs`.
fn push_segment(runs: &mut Vec<SegmentRun>, segment: u32) {
    match runs.last_mut() {
        Some(SegmentRun(first, count)) if *first + *count == segment => *count += 1,
        Some(_) | None => runs.push(SegmentRun(segment, 1)),
    }
}
