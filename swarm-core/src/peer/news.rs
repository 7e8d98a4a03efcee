//! When neighbours hear of gained and dropped groups.
//!
//! A neighbour that lacks a group may request it, so it hears of the group at once. So does an initial peer, because
//! announcements decide its injection. A neighbour that holds the group already uses the news only to know how rare the group
//! is, so it hears of many groups together. Half of all news in a swarm is of this kind, and on slow uplinks a small message
//! with its acknowledgement costs as much as a fiftieth of a group.

use std::time::Duration;

use super::neighbours::{Link, Neighbours};
use super::sorted::ByLink;
use super::stats::LinkState;
use super::tuning::{GROUP, NEWS_GROUPS, NEWS_MAX, NEWS_MIN, NEWS_PATIENCE, UNTOLD_MAX};
use crate::group::{GroupRange, merged};
use crate::id::LinkId;
use crate::limits::RUNS_MAX;
use crate::peer_message::PeerMessage;
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Changes that one neighbour has not been told yet.
#[derive(Debug)]
struct Untold {
    gained: Vec<GroupRange>,
    due: Timestamp,
}

/// Changes that neighbours have not been told yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// When the next news is sent, if there is any.
    at: Option<Timestamp>,
    next: Timestamp,
    untold: ByLink<Untold>,
}

impl News {
    /// Groups were gained or dropped. `is_urgent`: neighbours that joined at the same time need them, too.
    pub(crate) fn changed(&mut self, now: Timestamp, is_urgent: bool) {
        if is_urgent {
            self.at = Some(now);
        }
        self.at.get_or_insert(self.next.max(now));
    }

    pub(crate) fn link_closed(&mut self, id: LinkId) {
        self.untold.remove(id);
    }

    /// When [`News::take_due`] has something to say.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.untold.values().iter().map(|untold| untold.due).chain(self.at).min()
    }

    /// Whether to announce the changes now. `uplink`: bytes a second, if known.
    pub(crate) fn is_due(&mut self, now: Timestamp, uplink: Option<u64>) -> bool {
        let is_due = self.at.take_if(|at| now >= *at).is_some();
        if is_due {
            self.next = now + interval(uplink);
        }
        is_due
    }

    /// Announces the changes to neighbours that can use them, and to others once the changes have waited long enough.
    pub(crate) fn tell(
        &mut self,
        now: Timestamp,
        neighbours: &Neighbours,
        changes: &[(Vec<GroupRange>, Vec<GroupRange>)],
    ) -> Vec<(LinkId, PeerMessage)> {
        let mut messages = Vec::new();
        for (gained, dropped) in changes {
            for (id, link) in neighbours.iter().filter(|(_, link)| link.state() != LinkState::Connecting) {
                let untold = || Untold { gained: Vec::new(), due: now + NEWS_PATIENCE };
                self.untold.entry(id, untold).gained.extend_from_slice(gained);
                if !dropped.is_empty() || has_use_for(link, gained) {
                    let all = self.untold.remove(id).map_or_else(Vec::new, |untold| untold.gained);
                    messages.extend(haves(id, all, dropped));
                }
            }
        }
        let due =
            self.untold.iter().filter(|(_, untold)| now >= untold.due || untold.gained.len() >= UNTOLD_MAX);
        let due: Vec<LinkId> = due.map(|(id, _)| id).collect();
        for id in due {
            let untold = self.untold.remove(id).map_or_else(Vec::new, |untold| untold.gained);
            messages.extend(haves(id, untold, &[]));
        }
        messages
    }
}

/// Time between two messages of news, at an uplink in bytes a second, if that is known.
fn interval(uplink: Option<u64>) -> Duration {
    let worth = |rate: u64| Duration::from_micros(NEWS_GROUPS * GROUP * 1_000_000 / rate.max(1));
    uplink.map_or(NEWS_MIN, worth).clamp(NEWS_MIN, NEWS_MAX)
}

/// Divides the news into as few messages as the limit on ranges allows.
fn haves(id: LinkId, gained: Vec<GroupRange>, dropped: &[GroupRange]) -> Vec<(LinkId, PeerMessage)> {
    let have = |gained: &[GroupRange], dropped: &[GroupRange]| {
        (id, PeerMessage::Have { gained: gained.to_vec(), dropped: dropped.to_vec() })
    };
    let gained = merged(gained);
    let gained = gained.chunks(RUNS_MAX).map(|runs| have(runs, &[]));
    gained.chain(dropped.chunks(RUNS_MAX).map(|runs| have(&[], runs))).collect()
}

/// Whether a neighbour can use the news that this peer gained groups.
fn has_use_for(link: &Link, gained: &[GroupRange]) -> bool {
    let Some(have) = link.have().filter(|_| link.is_open() && link.role == Role::Viewer) else { return true };
    !gained.iter().all(|range| have.has_all(*range))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn news_is_rarer_on_a_slow_uplink() {
        let at = |mbps: u64| interval(Some(mbps * 125_000));
        assert_eq!([at(1), at(5), at(100)], [NEWS_MAX, Duration::from_micros(78_643), NEWS_MIN]);
        assert_eq!(interval(None), NEWS_MIN);
    }

    #[test]
    fn what_came_in_any_order_is_told_in_order_and_once() {
        let gained = vec![GroupRange::new(7, 9), GroupRange::one(3), GroupRange::new(4, 8)];
        let [(_, PeerMessage::Have { gained, .. })] = &haves(LinkId(1), gained, &[])[..] else {
            panic!("one")
        };
        assert_eq!(gained[..], [GroupRange::new(3, 9)]);
    }
}
