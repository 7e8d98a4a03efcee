//! How this peer stands towards its neighbours: what it serves, what may be injected to it, what it can upload.
//!
//! An initial peer that injects answers no requests: what it would send twice costs the swarm a first copy of
//! something else. Only if it has twice the upload of its viewers, or more than enough for the few there are, it serves
//! what is urgent besides. When all is injected it serves whatever it is asked for, and what viewers hold as long as it has
//! something to spare ([`spare`](super::spare)).

use std::time::Duration;

use super::injection::{is_target, union};
use super::input::{Appetite, UploadLimit};
use super::link::Link;
use super::output::Output;
use super::request::Serve;
use super::stats::LinkState;
use super::{Demand, Peer};
use crate::group::GroupRange;
use crate::limits::GROUP_BYTES;
use crate::peer_message::{Class, PeerMessage, RejectReason, Serving, Standing};
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// What was injected last is on its way through the swarm for about this long: it is not to be asked for.
const SPREAD_TIME: Duration = Duration::from_secs(2);
/// Neighbours hear at most this often of anything but a change of what is served.
const INTERVAL: Duration = Duration::from_secs(1);
/// The upload capacity is told anew when it has changed by more than this share, one in so many.
const UPLINK_CHANGE: u64 = 4;
/// A limited appetite moves on in steps of 4 MiB: neighbours hear of a step, not of every group.
const APPETITE_STEP_GROUPS: u32 = 256;
/// An initial peer that has pushed nothing for this long, since it served what was urgent, serves nobody apart…
const CROWDED_OUT: Duration = Duration::from_secs(2);
/// …for so long.
const OVERLOAD_LASTS: Duration = Duration::from_secs(10);
/// Injection begins anew when this many groups, or this share of the content, is lacking…
const LACKING_GROUPS_MIN: u32 = 64;
/// …one in so many groups.
const LACKING_SHARE: u32 = 16;

impl Peer {
    /// How it stands now.
    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        Standing { serving: self.serving(now), wants: self.wants(), uplink: self.uplink_bytes_per_s() }
    }

    pub(super) fn serving(&self, now: Timestamp) -> Serving {
        if self.budget.is_off() {
            return Serving::Nothing;
        }
        let was_injecting =
            self.standing_told.is_some_and(|told| matches!(told.serving, Serving::Urgent | Serving::Needs));
        let lacking = self.lacking_count();
        let begins_at = LACKING_GROUPS_MIN.min(self.copies.present().capacity() / LACKING_SHARE);
        let is_over = lacking == 0 && self.spread_at().is_none_or(|at| now >= at);
        if is_over || (lacking < begins_at && !was_injecting) {
            self.serving_without_injection()
        } else if self.has_uplink_to_spare() && now >= self.overloaded_until {
            Serving::Urgent
        } else {
            Serving::Needs
        }
    }

    /// When what was pushed last has come to everybody.
    fn spread_at(&self) -> Option<Timestamp> {
        self.injection.pushed_at().map(|at| at + SPREAD_TIME + self.config.policy.forward.delay())
    }

    fn serving_without_injection(&self) -> Serving {
        let is_told = self.standing_told.is_some_and(|told| told.serving == Serving::Freely);
        let asked = self.links.values().flat_map(|link| &link.serves);
        let asked = asked.map(|serve| u64::from(serve.unsent_count()) * u64::from(GROUP_BYTES));
        if self.spare.has_more(is_told, asked) { Serving::Freely } else { Serving::Everything }
    }

    /// Where urgent requests leave no room for injection for a while, this peer serves too many: each gets a copy of its
    /// own of what all of them need, and nothing new comes into the swarm. Then needs are met once for all.
    pub(super) fn note_overload(&mut self, now: Timestamp) {
        let serves_urgent = self.standing_told.is_some_and(|told| told.serving == Serving::Urgent);
        let is_crowded_out = self.injection.pushed_at().is_some_and(|at| now >= at + CROWDED_OUT);
        let mut serves = self.links.values().flat_map(|link| &link.serves);
        if serves_urgent
            && is_crowded_out
            && serves.any(|serve| serve.class_at(now) == Class::Urgent)
            && self.lacking_count() > 0
        {
            self.overloaded_until = now + OVERLOAD_LASTS;
        }
    }

    /// Groups that this initial peer has yet to inject to the viewers it is linked to; 0 in other peers.
    fn lacking_count(&self) -> u32 {
        let present = self.copies.present();
        if self.config.role != Role::Initial || !self.config.policy.has_injection || present.is_full() {
            return 0;
        }
        let all = GroupRange::new(0, present.capacity());
        let wants = self.links.values().filter_map(|link| match link.state {
            // A newcomer has not said yet; most want everything.
            LinkState::Greeting => Some(all),
            LinkState::Open if is_target(link) => Some(link.standing.wants),
            LinkState::Open | LinkState::Connecting => None,
        });
        union(wants).into_iter().map(|range| range.and(all).len() - present.count_in(range)).sum()
    }

    /// Whether there is something to inject, and somebody to inject it to.
    pub(super) fn is_injecting(&self) -> bool {
        !self.budget.is_off() && self.lacking_count() > 0 && self.links.values().any(is_target)
    }

    /// Whether this peer can upload twice what its viewers can on average, or more than all of them watch.
    fn has_uplink_to_spare(&self) -> bool {
        let own = self.uplink_bytes_per_s();
        let viewers = self.links.values().filter(|link| link.is_open() && link.role == Role::Viewer);
        let uplinks: Vec<u64> = viewers.map(|link| link.standing.uplink).collect();
        let known = uplinks.iter().filter(|uplink| **uplink > 0);
        let (sum, count) =
            known.fold((0u64, 0), |(sum, count), uplink| (sum.saturating_add(*uplink), count + 1));
        // A few that are known may be those that had little to do.
        let is_fast = count > 0 && 2 * count >= uplinks.len() as u64 && own >= 2 * (sum / count);
        is_fast || self.has_few_viewers(uplinks.len() as u64)
    }

    /// Whether this peer carries one and a half times what all viewers watch, as far as it was seen to, or by a guess.
    fn has_few_viewers(&self, viewers: u64) -> bool {
        let watched = self.manifest.as_ref().and_then(|manifest| manifest.rate_bytes_per_s());
        let carried = self.within_limit(self.uplink.bytes_per_s());
        watched
            .is_some_and(|rate| carried.saturating_mul(2) >= rate.saturating_mul(3).saturating_mul(viewers))
    }

    /// What may be injected to this peer: its appetite.
    fn wants(&self) -> GroupRange {
        let Some(holdings) = &self.holdings else { return GroupRange::new(0, 0) };
        let all = holdings.geometry().all();
        match self.config.appetite {
            Appetite::Viewer { budget_bytes } if holdings.geometry().length_bytes() > budget_bytes => {
                let wanted = self.wanted(holdings);
                let step = |group: u32| group / APPETITE_STEP_GROUPS * APPETITE_STEP_GROUPS;
                let end = if wanted.end == all.end { all.end } else { step(wanted.end) };
                GroupRange::new(step(wanted.start), end)
            }
            Appetite::Viewer { .. } | Appetite::Everything => all,
        }
    }

    /// Upload capacity, bytes a second: what was carried while there was something to carry, within the cap.
    /// 0 if not known.
    pub(super) fn uplink_bytes_per_s(&self) -> u64 {
        match (self.uplink.settled(), self.config.upload) {
            (None, UploadLimit::BitsPerSecond(bits)) => bits / 8,
            (measured, _) => self.within_limit(measured.unwrap_or(0)),
        }
    }

    /// What may be uploaded of what could be, bytes a second.
    fn within_limit(&self, bytes_per_s: u64) -> u64 {
        match self.config.upload {
            UploadLimit::Off => 0,
            UploadLimit::BitsPerSecond(bits) => bytes_per_s.min(bits / 8),
            UploadLimit::Unlimited => bytes_per_s,
        }
    }

    /// Tells neighbours how this peer stands when that has changed: at once what it serves, the rest in time.
    pub(super) fn tell_standing(&mut self, now: Timestamp) {
        self.standing_due = None;
        self.note_overload(now);
        let standing = self.standing(now);
        let told = self.standing_told;
        if told.is_some_and(|told| is_alike(told, standing)) {
            let over_at = self.spread_at();
            self.standing_due = over_at.filter(|at| *at > now);
            return;
        }
        if told.is_some_and(|told| told.serving == standing.serving) && now < self.next_standing {
            self.standing_due = Some(self.next_standing);
            return;
        }
        self.next_standing = now + INTERVAL;
        self.tell_status(standing);
        match standing.serving {
            Serving::Nothing => self.reject_all(RejectReason::NotServing),
            Serving::Needs => {
                self.note_needs(now);
                self.reject_all(RejectReason::Injecting);
            }
            Serving::Everything | Serving::Urgent | Serving::Freely => {}
        }
    }

    /// What was asked for as urgent is what is needed, when requests are answered no longer.
    fn note_needs(&mut self, now: Timestamp) {
        for (id, link) in &self.links {
            let urgent = link.serves.iter().filter(|serve| serve.class_at(now) == Class::Urgent);
            for range in urgent.flat_map(Serve::unsent) {
                self.injection.needs.told_more(now, *id, range);
            }
        }
    }

    /// Tells neighbours how this peer stands.
    pub(super) fn tell_status(&mut self, standing: Standing) {
        self.standing_told = Some(standing);
        self.agenda.serving();
        let playhead = self.demand.as_ref().and_then(Demand::playhead);
        let status = PeerMessage::Status { standing, upload_queue_ms: self.upload_queue_ms(), playhead };
        let is_told = |link: &Link| link.state != LinkState::Connecting;
        for (id, _) in self.links.iter().filter(|(_, link)| is_told(link)) {
            self.outputs.push_back(Output::Control(*id, status.clone()));
        }
    }
}

/// Whether the difference is not worth a message.
fn is_alike(told: Standing, now: Standing) -> bool {
    told.serving == now.serving
        && told.wants == now.wants
        && told.uplink.abs_diff(now.uplink).saturating_mul(UPLINK_CHANGE) <= told.uplink
}
