//! Which viewer gets the next push: the one that was given least for its uplink (start-time fair queueing, Goyal, Vin, Cheng
//! 1996). A viewer that comes later starts at the present clock, not at zero.

use std::collections::{BTreeSet, VecDeque};

use super::spread::Reputation;
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer::neighbours::Link;
use crate::peer::sorted::ByLink;
use crate::peer::tuning::{ANNOUNCE_TIMEOUT, PUSH_TIME};
use crate::time::Timestamp;

/// Groups that were pushed to a viewer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Push {
    pub(crate) at: Timestamp,
    pub(crate) to: LinkId,
    pub(crate) range: GroupRange,
    /// Whether no viewer held them when they left: any later holder has them from this viewer.
    pub(crate) is_only: bool,
}

/// One viewer as a receiver of pushes.
#[derive(Debug, Default)]
struct Receiver {
    /// Virtual time until which it has been served.
    served: u64,
    /// Pushed and not announced yet.
    under_way: BTreeSet<u32>,
    /// When it announced something last, or when the first group under way left.
    progress_at: Timestamp,
    reputation: Reputation,
}

/// All receivers, and the pushes that have not expired.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    receivers: ByLink<Receiver>,
    pushes: VecDeque<Push>,
    clock: u64,
}

impl Shares {
    /// When, on the virtual clock, the next push to a viewer begins.
    pub(super) fn start_of(&self, link: LinkId) -> u64 {
        self.receivers.get(link).map_or(self.clock, |receiver| receiver.served.max(self.clock))
    }

    /// Groups pushed to a viewer that it has not announced.
    pub(super) fn under_way(&self, link: LinkId) -> u64 {
        self.receivers.get(link).map_or(0, |receiver| receiver.under_way.len() as u64)
    }

    /// Whether a group was pushed to a viewer that has not announced it.
    pub(super) fn is_under_way(&self, link: LinkId, group: u32) -> bool {
        self.receivers.get(link).is_some_and(|receiver| receiver.under_way.contains(&group))
    }

    pub(super) fn reputation(&mut self, link: LinkId) -> &mut Reputation {
        &mut self.receivers.entry(link, Receiver::default).reputation
    }

    pub(super) fn is_doubted(&self, link: LinkId) -> bool {
        self.receivers.get(link).is_some_and(|receiver| receiver.reputation.is_doubted())
    }

    /// The first turn begins at this time of the virtual clock.
    pub(super) fn advance(&mut self, first: u64) {
        self.clock = self.clock.max(first);
    }

    /// Since when a viewer that groups were pushed to has announced none of them.
    fn waits_since(&self, link: LinkId) -> Option<Timestamp> {
        let receiver = self.receivers.get(link)?;
        (!receiver.under_way.is_empty()).then_some(receiver.progress_at)
    }

    /// When the first turn of these viewers begins, on the virtual clock. While the publisher's uplink is scarce, no other turn
    /// begins much later: the publisher waits for a strong viewer that has no room for a moment. If a weak viewer got the
    /// group instead, it would spread at that viewer's low rate.
    pub(super) fn first_turn(&self, now: Timestamp, takers: &[(LinkId, &Link)]) -> Option<u64> {
        let is_waited_for = |(id, link): &&(LinkId, &Link)| {
            self.waits_since(*id).is_none_or(|at| now < at + link.rtt_or_guess() + PUSH_TIME)
        };
        takers.iter().filter(is_waited_for).map(|(id, _)| self.start_of(*id)).min()
    }

    /// Groups leave for a viewer with this uplink, bytes a second.
    pub(super) fn pushed(&mut self, push: Push, uplink: u64) {
        let start = self.start_of(push.to);
        let receiver = self.receivers.entry(push.to, Receiver::default);
        if receiver.under_way.is_empty() {
            receiver.progress_at = push.at;
        }
        receiver.served = start + (u64::from(push.range.len()) << 32) / uplink.max(1);
        receiver.under_way.extend(push.range.iter());
        self.pushes.push_back(push);
    }

    /// A group leaves again: later holders may have it from another viewer than its first receiver.
    pub(super) fn repeated(&mut self, range: GroupRange) {
        let earlier = self.pushes.iter_mut().filter(|push| push.is_only && !push.range.and(range).is_empty());
        earlier.for_each(|push| push.is_only = false);
    }

    /// A viewer announced groups. Returns those that were under way to it.
    pub(super) fn announced(&mut self, now: Timestamp, link: LinkId, gained: &[GroupRange]) -> Vec<u32> {
        let Some(receiver) = self.receivers.value_mut(link) else { return Vec::new() };
        receiver.progress_at = now;
        receiver.under_way.extract_if(.., |group| gained.iter().any(|range| range.has(*group))).collect()
    }

    /// Whether the last push went to a viewer and holds the group's sibling in the tree: the two share a proof.
    pub(super) fn has_sibling(&self, link: LinkId, group: u32) -> bool {
        self.pushes.back().is_some_and(|push| push.to == link && push.range.has(group ^ 1))
    }

    /// Pushes that are old enough to judge whether they spread.
    pub(super) fn expired(&mut self, now: Timestamp) -> Vec<Push> {
        let mut expired = Vec::new();
        while let Some(push) = self.pushes.pop_front_if(|push| now >= push.at + ANNOUNCE_TIMEOUT) {
            if let Some(receiver) = self.receivers.value_mut(push.to) {
                receiver.under_way.retain(|group| !push.range.has(*group));
            }
            expired.push(push);
        }
        expired
    }

    /// When the oldest push expires.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.pushes.front().map(|push| push.at + ANNOUNCE_TIMEOUT)
    }

    /// Pushes to a viewer that have not expired.
    pub(super) fn to(&self, link: LinkId) -> impl Iterator<Item = &Push> {
        self.pushes.iter().filter(move |push| push.to == link)
    }

    /// A viewer left. Returns the groups that were under way to it.
    pub(super) fn closed(&mut self, link: LinkId) -> Vec<Push> {
        self.receivers.remove(link);
        let (lost, live): (VecDeque<_>, _) = self.pushes.drain(..).partition(|push| push.to == link);
        self.pushes = live;
        lost.into()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn push(to: u32, group: u32) -> Push {
        Push { at: Timestamp::ZERO, to: LinkId(to), range: GroupRange::one(group), is_only: true }
    }

    #[test]
    fn viewers_are_given_in_proportion_to_their_uplinks() {
        let mut shares = Shares::default();
        let uplinks = [(1u32, 1_000_000), (2, 3_000_000)];
        let mut given = [0; 2];
        for group in 0..400 {
            let (link, uplink) =
                uplinks.into_iter().min_by_key(|(link, _)| (shares.start_of(LinkId(*link)), *link)).unwrap();
            shares.advance(shares.start_of(LinkId(link)));
            shares.pushed(push(link, group), uplink);
            given[link as usize - 1] += 1;
        }
        assert_eq!(given, [100, 300]);
        // A newcomer starts here, and is not given all that the others were.
        assert!(
            shares.start_of(LinkId(3))
                >= shares.start_of(LinkId(1)).min(shares.start_of(LinkId(2))) - (1 << 32) / 1_000_000
        );
    }

    #[test]
    fn what_is_announced_or_expired_is_no_longer_under_way() {
        let mut shares = Shares::default();
        (0..4).for_each(|group| shares.pushed(push(1, group), 1000));
        assert_eq!(shares.waits_since(LinkId(1)), Some(Timestamp::ZERO));
        let later = Timestamp::from_millis(70);
        shares.announced(later, LinkId(1), &[GroupRange::new(1, 3)]);
        assert_eq!((shares.under_way(LinkId(1)), shares.waits_since(LinkId(1))), (2, Some(later)));
        let at = shares.deadline().unwrap();
        assert_eq!(shares.expired(at).len(), 4);
        assert_eq!((shares.under_way(LinkId(1)), shares.deadline()), (0, None));
        assert_eq!(shares.waits_since(LinkId(1)), None);
        shares.pushed(push(1, 9), 1000);
        assert_eq!(shares.closed(LinkId(1)).len(), 1);
    }
}
