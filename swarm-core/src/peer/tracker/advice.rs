//! What the tracker advises (M5, M6): whom to ask for what while a lease lasts, what neighbours may be expected to send
//! before anything was measured, and which groups are rare in the whole swarm.
//!
//! Advice is no command. A source that is not there, lacks the group, or is much later than the one the picker would
//! choose is not asked; without a tracker everything is decided by what neighbours say.

use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::PeerId;
use crate::limits::PEERS_PER_MESSAGE_MAX;
use crate::time::Timestamp;
use crate::tracker_message::PeerEntry;

/// Leases that are remembered: a tracker gives 16 a second for 5 s each.
const LEASES_MAX: usize = 128;
/// Most that a neighbour is expected to send before it was measured, bytes a second: 100 Mbit/s. Uplinks are what peers
/// say of themselves; a peer that boasts gets the first group of each newcomer and no more.
const EXPECTED_MAX: u64 = 12_500_000;

#[derive(Debug)]
struct Lease {
    groups: GroupRange,
    source: PeerId,
    until: Timestamp,
}

/// What the tracker said last of sources.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    /// Newest last.
    leases: Vec<Lease>,
    /// Groups of segments that are rare in the whole swarm.
    at_risk: GroupSet,
    /// Providers of what was looked for last, and what they may be expected to send, bytes a second.
    expected: Vec<(PeerId, u64)>,
}

impl Advice {
    /// Nothing advised yet, of a content of so many groups.
    pub(crate) fn new(group_count: u32) -> Self {
        Self { at_risk: GroupSet::empty(group_count), ..Self::default() }
    }

    /// Groups that are rare in the whole swarm.
    pub(crate) const fn at_risk(&self) -> &GroupSet {
        &self.at_risk
    }

    /// The tracker said which groups are rare.
    pub(crate) fn set_at_risk(&mut self, groups: impl Iterator<Item = GroupRange>) {
        self.at_risk = GroupSet::empty(self.at_risk.capacity());
        for range in groups {
            self.at_risk.insert(range);
        }
    }

    /// Whom to ask for a group: the source of its newest lease.
    pub(crate) fn source(&self, group: u32) -> Option<PeerId> {
        self.leases.iter().rev().find(|lease| lease.groups.has(group)).map(|lease| lease.source)
    }

    /// The tracker assigned groups to a source; what is beyond the bound is left out.
    pub(crate) fn assigned(
        &mut self,
        groups: impl Iterator<Item = GroupRange>,
        source: PeerId,
        until: Timestamp,
    ) {
        let room = LEASES_MAX.saturating_sub(self.leases.len());
        self.leases.extend(groups.take(room).map(|groups| Lease { groups, source, until }));
    }

    /// Leases that ended no longer count.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        if self.leases.iter().any(|lease| now >= lease.until) {
            self.leases.retain(|lease| now < lease.until);
        }
    }

    /// Who provides what is looked for, and who looks for it, too: as many as look share what all providers upload.
    pub(crate) fn listed(&mut self, providing: &[PeerEntry], looking: &[PeerEntry]) {
        let providers = providing.len() as u64;
        let askers = looking.len() as u64 + 1;
        let share = |uplink_bps: u64| (uplink_bps / 8).min(EXPECTED_MAX) * providers / providers.max(askers);
        let known = providing.iter().filter(|entry| entry.uplink_bps > 0).take(PEERS_PER_MESSAGE_MAX);
        self.expected = known.map(|entry| (entry.peer, share(entry.uplink_bps))).collect();
    }

    /// What a neighbour may be expected to send, bytes a second, if it was listed.
    pub(crate) fn expected(&self, peer: PeerId) -> Option<u64> {
        self.expected.iter().find(|(listed, _)| *listed == peer).map(|(_, rate)| *rate)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::tracker_message::Role;

    const NEAR: PeerId = PeerId(1);
    const FAR: PeerId = PeerId(2);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn entry(peer: u64, uplink_bps: u64) -> PeerEntry {
        PeerEntry { peer: PeerId(peer), role: Role::Viewer, segments: Vec::new(), uplink_bps, playhead: None }
    }

    #[test]
    fn the_newest_lease_names_the_source_until_it_ends() {
        let mut advice = Advice::new(100);
        advice.assigned([GroupRange::new(0, 50)].into_iter(), FAR, at(9));
        advice.assigned([GroupRange::new(10, 20)].into_iter(), NEAR, at(5));
        assert_eq!([5, 15, 60].map(|group| advice.source(group)), [Some(FAR), Some(NEAR), None]);
        advice.pass(Timestamp::from_millis(4999));
        assert_eq!(advice.source(15), Some(NEAR));
        advice.pass(at(5));
        assert_eq!(advice.source(15), Some(FAR));
        advice.pass(at(9));
        assert_eq!(advice.source(15), None);
    }

    #[test]
    fn the_rare_groups_are_those_of_the_last_message_and_lie_in_the_content() {
        let mut advice = Advice::new(100);
        advice.set_at_risk([GroupRange::new(3, 5), GroupRange::new(90, u32::MAX)].into_iter());
        assert_eq!((advice.at_risk().count(), advice.at_risk().has(4)), (12, true));
        advice.set_at_risk([GroupRange::one(7)].into_iter());
        assert_eq!(advice.at_risk().iter().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn leases_beyond_the_bound_are_left_out() {
        let mut advice = Advice::new(1000);
        let each = (0..1000).map(GroupRange::one);
        advice.assigned(each, NEAR, at(5));
        assert_eq!([127, 128].map(|group| advice.source(group)), [Some(NEAR), None]);
    }

    #[test]
    fn those_who_look_share_what_all_providers_upload() {
        let mut advice = Advice::new(100);
        let providing = [entry(1, 8_000_000), entry(2, 0), entry(3, u64::MAX)];
        advice.listed(&providing, &[entry(4, 0)]);
        assert_eq!(advice.expected(PeerId(1)), Some(1_000_000), "two ask three");
        assert_eq!(advice.expected(PeerId(2)), None, "its uplink is not known");
        assert_eq!(advice.expected(PeerId(3)), Some(EXPECTED_MAX));
        advice.listed(&providing[..1], &[entry(4, 0), entry(5, 0), entry(6, 0)]);
        assert_eq!(advice.expected(PeerId(1)), Some(250_000), "four ask one");
        assert_eq!(advice.expected(PeerId(3)), None, "it was not listed again");
    }
}
