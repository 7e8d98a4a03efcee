//! When neighbours hear of what was gained and dropped.
//!
//! Whoever lacks a group that came hears of it at once: it may ask for it. So does an initial peer, which goes by it
//! what to inject. Whoever holds it already has no use for the news but to know how rare the group is, and hears of
//! many together: in a swarm that is half of all news, and on slow uplinks a small message with its acknowledgement
//! costs as much as a fiftieth of a group.

use std::time::Duration;

use super::Peer;
use super::demand::Need;
use super::link::Link;
use super::output::Output;
use super::stats::LinkState;
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::limits::{GROUP_BYTES, RUNS_MAX};
use crate::peer_message::PeerMessage;
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// News is told no more often than this: a burst of groups is one message…
const INTERVAL_MIN: Duration = Duration::from_millis(50);
/// …and on a slow uplink than this, where nobody could be served sooner anyway.
const INTERVAL_MAX: Duration = Duration::from_millis(100);
/// Between the two, news is told after this many groups could have left.
const INTERVAL_GROUPS: u64 = 3;
/// News that is of little use waits this long for more.
const PATIENCE: Duration = Duration::from_millis(500);
/// Ranges that wait for a neighbour at most.
const UNTOLD_MAX: usize = 64;

/// What one neighbour has not been told yet, since it holds it itself.
#[derive(Debug, Default)]
pub(crate) struct Untold {
    gained: Vec<GroupRange>,
    due: Option<Timestamp>,
}

impl Untold {
    fn add(&mut self, now: Timestamp, gained: &[GroupRange]) {
        self.gained.extend_from_slice(gained);
        self.due.get_or_insert(now + PATIENCE);
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.gained.len() >= UNTOLD_MAX || self.due.is_some_and(|due| now >= due)
    }

    fn take(&mut self) -> Vec<GroupRange> {
        self.due = None;
        std::mem::take(&mut self.gained)
    }
}

impl Peer {
    /// Groups were gained. What is urgent here is urgent for neighbours who came at the same time: they hear at once.
    pub(super) fn has_gained(&mut self, now: Timestamp, range: GroupRange) {
        let is_urgent = |need: &Need| !need.urgent.and(range).is_empty();
        let is_early = now < self.next_news;
        if is_early && self.demand.as_ref().is_some_and(|demand| demand.needs(now).iter().any(is_urgent)) {
            self.news_at = Some(now);
        }
        self.has_news(now);
    }

    /// Something was gained or dropped.
    pub(super) fn has_news(&mut self, now: Timestamp) {
        self.news_at.get_or_insert(self.next_news.max(now));
        self.has_segment_news = true;
    }

    /// When [`Peer::tell_news`] has something to do.
    pub(super) fn news_deadline(&self) -> Option<Timestamp> {
        let untold = self.links.values().filter_map(|link| link.untold.due);
        untold.chain(self.news_at).min()
    }

    /// Tells neighbours what is due.
    pub(super) fn tell_news(&mut self, now: Timestamp) {
        if let Some(holdings) = self.holdings.as_mut().filter(|_| self.news_at.is_some_and(|at| now >= at)) {
            self.news_at = None;
            self.next_news = now + interval(self.uplink.settled());
            let news = holdings.take_news();
            for (gained, dropped) in &news {
                self.spread(now, gained, dropped);
            }
        }
        for (id, link) in self.links.iter_mut().filter(|(_, link)| link.untold.is_due(now)) {
            self.outputs.extend(messages(*id, &link.untold.take(), &[]));
        }
    }

    /// To those who have a use for it; the others' share waits.
    fn spread(&mut self, now: Timestamp, gained: &[GroupRange], dropped: &[GroupRange]) {
        let told = self.links.iter_mut().filter(|(_, link)| link.state != LinkState::Connecting);
        for (id, link) in told {
            link.untold.add(now, gained);
            if !dropped.is_empty() || has_use_for(link, gained) {
                self.outputs.extend(messages(*id, &link.untold.take(), dropped));
            }
        }
    }
}

/// Between two messages of news, at an upload rate in bytes a second, if that is known.
fn interval(uplink: Option<u64>) -> Duration {
    let micros = |rate: u64| INTERVAL_GROUPS * u64::from(GROUP_BYTES) * 1_000_000 / rate.max(1);
    let worth = uplink.map_or(INTERVAL_MIN, |rate| Duration::from_micros(micros(rate)));
    worth.clamp(INTERVAL_MIN, INTERVAL_MAX)
}

/// As few messages as the limit on ranges allows.
fn messages(id: LinkId, gained: &[GroupRange], dropped: &[GroupRange]) -> Vec<Output> {
    let have = |gained: &[GroupRange], dropped: &[GroupRange]| {
        Output::Control(id, PeerMessage::Have { gained: gained.to_vec(), dropped: dropped.to_vec() })
    };
    let gained = gained.chunks(RUNS_MAX).map(|runs| have(runs, &[]));
    gained.chain(dropped.chunks(RUNS_MAX).map(|runs| have(&[], runs))).collect()
}

/// Whether a neighbour may act upon groups that this peer gained.
fn has_use_for(link: &Link, gained: &[GroupRange]) -> bool {
    let Some(have) = link.have().filter(|_| link.is_open() && link.role == Role::Viewer) else { return true };
    !gained.iter().all(|range| have.has_all(*range))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::group::Geometry;
    use crate::id::PeerId;

    fn neighbour(role: Role, have: GroupRange) -> Link {
        let mut link = Link::new(Timestamp::ZERO, PeerId(1), role, 1000);
        assert!(link.set_geometry(Geometry::new(100 * 16384)) && link.gained(&[have]));
        link.state = LinkState::Open;
        link
    }

    #[test]
    fn only_a_viewer_that_holds_everything_of_it_can_wait_for_news() {
        let viewer = neighbour(Role::Viewer, GroupRange::new(10, 20));
        assert!(!has_use_for(&viewer, &[GroupRange::new(10, 12), GroupRange::new(18, 20)]));
        assert!(has_use_for(&viewer, &[GroupRange::new(10, 12), GroupRange::new(18, 21)]));
        assert!(has_use_for(&neighbour(Role::Initial, GroupRange::new(0, 100)), &[GroupRange::one(0)]));
        let mut greeting = neighbour(Role::Viewer, GroupRange::new(10, 20));
        greeting.state = LinkState::Greeting;
        assert!(has_use_for(&greeting, &[GroupRange::one(10)]));
    }

    #[test]
    fn what_waits_is_told_after_a_while_or_when_it_is_much() {
        let mut untold = Untold::default();
        assert!(!untold.is_due(Timestamp::from_millis(10_000)));
        untold.add(Timestamp::ZERO, &[GroupRange::one(0)]);
        untold.add(Timestamp::from_millis(300), &[GroupRange::one(1)]);
        assert!(!untold.is_due(Timestamp::from_millis(499)) && untold.is_due(Timestamp::from_millis(500)));
        assert_eq!(untold.take(), [GroupRange::one(0), GroupRange::one(1)]);
        untold.add(Timestamp::ZERO, &[GroupRange::one(3); UNTOLD_MAX]);
        assert!(untold.is_due(Timestamp::ZERO));
    }

    #[test]
    fn news_is_rarer_where_the_uplink_is_slow() {
        let millis = |mbit: u64| interval(Some(mbit * 125_000)).as_millis();
        assert_eq!([millis(100), millis(10), millis(4), millis(1)], [50, 50, 98, 100]);
        assert_eq!(interval(None), INTERVAL_MIN);
    }

    #[test]
    fn no_message_names_more_ranges_than_allowed() {
        let gained = vec![GroupRange::one(1); RUNS_MAX + 1];
        let sizes = messages(LinkId(1), &gained, &[GroupRange::one(2)]).into_iter().map(|output| {
            let Output::Control(_, PeerMessage::Have { gained, dropped }) = output else {
                panic!("{output:?}")
            };
            (gained.len(), dropped.len())
        });
        assert_eq!(sizes.collect::<Vec<_>>(), [(RUNS_MAX, 0), (1, 0), (0, 1)]);
    }
}
