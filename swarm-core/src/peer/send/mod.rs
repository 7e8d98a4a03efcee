//! Sending: the requests of neighbours, whose turn it is, and when uplink and upload limit admit a frame.
//!
//! [`Sender`] owns the queues, the data channels, the measured uplink and the budget. Urgent groups leave first, by
//! deadline; then groups that the author marked; then the rest, each neighbour in turn. Pushes without a request are
//! decided in `inject`.

mod budget;
mod capacity;
mod channel;
mod outlet;
mod outlets;
mod queues;
pub(crate) mod refusal;
pub(crate) mod standing;
mod uplink;

use std::time::Duration;

use budget::Budget;
use outlet::Outlet;
use outlets::Outlets;
use queues::Waiting;
use uplink::Uplink;

use super::input::UploadLimit;
use super::neighbours::{Link, Neighbours};
use super::tuning::{
    AGED, BEHIND_WEIGHT, CHANNEL_MIN, DUE_TOGETHER, GROUP, PATH_GUESS, PATH_SLACK, RAREST_OF,
};
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer_message::Class;
use crate::time::{Timestamp, micros};

/// Shares are counted in this many parts.
const SCALE: u64 = 1000;

/// A frame that is about to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) link: LinkId,
    pub(crate) range: GroupRange,
    /// How long its first group waited here.
    pub(crate) waited: Duration,
}

/// Whether a frame may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// One may.
    Open,
    /// Not before this time, by the upload limit.
    Until(Timestamp),
    /// Not before something has left.
    Closed,
}

/// The sending half of one peer.
#[derive(Debug)]
pub(crate) struct Sender {
    outlets: Outlets,
    uplink: Uplink,
    budget: Budget,
    /// The neighbour served last; the next turn starts after it.
    last: Option<LinkId>,
    /// Fresh groups that go before urgent requests, bytes.
    pressing_bytes: u64,
}

impl Sender {
    /// `hint`: uplink known from an earlier run, bytes a second.
    pub(crate) fn new(limit: UploadLimit, hint: Option<u64>) -> Self {
        Self {
            outlets: Outlets::default(),
            uplink: Uplink::new(hint),
            budget: Budget::new(limit),
            last: None,
            pressing_bytes: 0,
        }
    }

    pub(crate) fn set_limit(&mut self, limit: UploadLimit) {
        self.budget.set(limit);
    }

    /// Whether nothing is uploaded.
    pub(crate) fn is_off(&self) -> bool {
        self.budget.is_off()
    }

    /// This many bytes of fresh groups go before urgent requests, which meanwhile get one frame in [`URGENT_EVERY`].
    pub(crate) const fn set_pressing_bytes(&mut self, bytes: u64) {
        self.pressing_bytes = bytes;
    }

    pub(crate) fn link_opened(&mut self, now: Timestamp, id: LinkId) {
        self.outlets.open(now, id);
    }

    pub(crate) fn link_closed(&mut self, id: LinkId) {
        self.outlets.close(id);
    }

    /// Whether nothing waits for a neighbour.
    pub(crate) fn is_idle(&self, id: LinkId) -> bool {
        self.outlets.get(id).is_none_or(|outlet| !outlet.is_used())
    }

    /// Whether a neighbour waits for an answer.
    pub(crate) fn has_requests(&self) -> bool {
        self.outlets.sums().groups > 0
    }

    /// Whether a neighbour waits whose channel has room.
    pub(crate) fn has_open_requests(&self, neighbours: &Neighbours) -> bool {
        let is_open =
            |id: LinkId, outlet: &Outlet| neighbours.get(id).is_some_and(|link| outlet.has_room(link));
        self.has_requests()
            && self.outlets.iter().any(|(id, outlet)| !outlet.queue.is_empty() && is_open(id, outlet))
    }

    /// Bytes of background groups that are requested.
    pub(crate) fn background_bytes(&self) -> u64 {
        (self.outlets.sums().groups - self.outlets.sums().urgent) * GROUP
    }

    /// A neighbour requests groups that are held. Returns the groups for which its queue has no room.
    pub(crate) fn requested(
        &mut self,
        now: Timestamp,
        id: LinkId,
        range: GroupRange,
        urgency: (Class, Timestamp),
    ) -> Vec<GroupRange> {
        self.outlets.change(id, |outlet| outlet.requested(now, range, urgency)).unwrap_or_default()
    }

    /// A group that a neighbour is about to request goes to it at once. The request, when it comes, counts as answered.
    pub(crate) fn answers_ahead(&mut self, now: Timestamp, id: LinkId, group: u32) {
        self.outlets.change(id, |outlet| outlet.answers_ahead(now, group));
    }

    /// Groups that a neighbour requested, and that still wait, have become urgent.
    pub(crate) fn hastened(&mut self, now: Timestamp, id: LinkId, range: GroupRange, due: Timestamp) {
        self.outlets.change(id, |outlet| outlet.hastened(now, range, due));
    }

    pub(crate) fn cancelled(&mut self, id: LinkId, range: GroupRange) {
        self.outlets.change(id, |outlet| outlet.queue.remove_all(range));
    }

    /// Drops groups that are no longer held from all queues. Returns the groups to reject, for each neighbour.
    pub(crate) fn lost(&mut self, range: GroupRange) -> Vec<(LinkId, GroupRange)> {
        self.outlets.drop_where(|group, _| range.has(group))
    }

    /// Drops the requests of a class that is no longer answered. Returns the groups to reject, for each neighbour.
    pub(crate) fn drop_background(&mut self) -> Vec<(LinkId, GroupRange)> {
        self.outlets.drop_where(|_, class| class != Class::Urgent)
    }

    /// Drops all requests.
    pub(crate) fn drop_all(&mut self) -> Vec<(LinkId, GroupRange)> {
        self.outlets.drop_where(|_, _| true)
    }

    /// Whether a frame may leave now.
    pub(crate) fn gate(&mut self, now: Timestamp) -> Gate {
        match self.budget.ready_at() {
            None => return Gate::Closed,
            Some(at) if at > now => return Gate::Until(at),
            Some(_) => {}
        }
        let waiting = self.waiting_bytes(now);
        if self.uplink.has_room(waiting) { Gate::Open } else { Gate::Closed }
    }

    /// Whether something would leave at once if the uplink had room.
    pub(crate) const fn set_blocked(&mut self, is_blocked: bool) {
        self.uplink.set_blocked(is_blocked);
    }

    /// Bytes in flight over all channels, except stuck ones: these do not hold up others.
    fn waiting_bytes(&mut self, now: Timestamp) -> u64 {
        self.outlets.waiting_bytes(now, self.uplink.carried_bytes())
    }

    /// One channel's share of the bytes that may be in flight, for a number of channels. Bytes on a channel beyond its share
    /// only wait there for those of others.
    fn channel_share(&self, channels: u64) -> u64 {
        (self.uplink.window_bytes() / channels.max(1)).max(CHANNEL_MIN)
    }

    /// Whether another frame may be handed to a neighbour's channel.
    pub(crate) fn has_channel_room(&self, id: LinkId, link: &Link) -> bool {
        self.outlets.get(id).is_some_and(|outlet| outlet.has_room(link))
    }

    /// One channel's share among all that are in use.
    fn share(&self) -> u64 {
        self.channel_share(self.outlets.sums().used)
    }

    /// Whether nothing waits on a neighbour's channel.
    pub(crate) fn is_channel_empty(&self, id: LinkId) -> bool {
        self.outlets.get(id).is_some_and(|outlet| outlet.channel.buffered_bytes() == 0)
    }

    /// Bytes in flight to a neighbour, requested or pushed.
    pub(crate) fn buffered_bytes(&self, id: LinkId) -> u64 {
        self.outlets.get(id).map_or(0, |outlet| outlet.channel.buffered_bytes())
    }

    /// Groups in a frame for a neighbour, at most.
    pub(crate) fn frame_groups(&self, id: LinkId) -> u32 {
        self.outlets.get(id).map_or(1, |outlet| outlet.channel.frame_groups())
    }

    /// The next urgent frame: the earliest deadline; among groups due together, the one with the fewest copies.
    pub(crate) fn next_urgent(&self, now: Timestamp, neighbours: &Neighbours) -> Option<Departure> {
        let copies = neighbours.copies();
        let with_urgent = self.outlets.sums().with_urgent;
        if with_urgent == 0 {
            return None;
        }
        let share = self.channel_share(with_urgent);
        let firsts = self.turn().filter_map(|(id, outlet)| {
            let first = outlet.queue.first(Class::Urgent)?;
            outlet.has_room(neighbours.get(id)?).then_some((id, outlet, first))
        });
        let rank = |due_us: u64, group: u32| (due_us / micros(DUE_TOGETHER), copies.of(group));
        let (id, outlet, first) = firsts
            .min_by_key(|(_, outlet, first)| (outlet.is_above(share), rank(first.due_us, first.group)))?;
        let range = outlet.queue.run(first.group, Class::Urgent, outlet.channel.frame_groups());
        Some(Departure { link: id, range, waited: now.since(first.since) })
    }

    /// The next frame of background: marked groups first; then neighbours that are behind, and of those that are alike rare
    /// groups. A slow uplink would otherwise send a group to several neighbours before it sends what only it has, and a
    /// neighbour with few good sources would fall behind the others.
    pub(crate) fn next_background(&self, now: Timestamp, neighbours: &Neighbours) -> Option<Departure> {
        if self.background_bytes() == 0 {
            return None;
        }
        let copies = neighbours.copies();
        let viewers = neighbours.viewers().count() as u64;
        let share = self.share();
        // A request that has waited twice as long as the whole queue takes has been passed over too often.
        let queue =
            Duration::from_micros(self.background_bytes() * 1_000_000 / self.uplink_estimate().max(1000));
        let aged = AGED.max(queue * 2);
        [Class::Marked, Class::Background].into_iter().find_map(|class| {
            let open = self.turn().filter_map(|(id, outlet)| {
                let link = neighbours.get(id).filter(|link| outlet.has_room(link))?;
                let held = link
                    .have()
                    .map_or(0, |have| u64::from(have.count()) * SCALE / u64::from(have.capacity().max(1)));
                Some((id, outlet, held))
            });
            let waiting = open.flat_map(|(id, outlet, held)| {
                outlet.queue.firsts(class, RAREST_OF).map(move |waiting| (id, outlet, held, waiting))
            });
            // Requests that have waited for long go first. Otherwise a common group might wait for ever.
            let rank = |held: u64, waiting: &Waiting| {
                let age = now.since(waiting.since);
                let copies = u64::from(copies.of(waiting.group)) * SCALE / viewers.max(1);
                if age >= aged { (0, u64::MAX - micros(age)) } else { (1, copies + held * BEHIND_WEIGHT) }
            };
            let (id, outlet, _, first) = waiting
                .min_by_key(|(_, outlet, held, waiting)| (outlet.is_above(share), rank(*held, waiting)))?;
            let range = outlet.queue.run(first.group, class, outlet.channel.frame_groups());
            Some(Departure { link: id, range, waited: now.since(first.since) })
        })
    }

    /// All neighbours, beginning with the one after the neighbour served last.
    fn turn(&self) -> impl Iterator<Item = (LinkId, &Outlet)> {
        self.outlets.turn(self.last)
    }

    /// A frame is handed to a neighbour's channel, answering a request or not.
    pub(crate) fn handed_over(
        &mut self,
        now: Timestamp,
        departure: &Departure,
        (payload_bytes, frame_bytes): (u64, u64),
    ) {
        let waiting = self.waiting_bytes(now);
        self.uplink.handed_over(now, waiting);
        let (carried, filled) = (self.uplink.carried_bytes(), self.outlets.sums().filled);
        let rate = self.uplink.settled().unwrap_or(u64::MAX);
        let handed_over = self.outlets.change_channel(departure.link, |outlet| {
            outlet.queue.remove_all(departure.range);
            let turn = Duration::from_micros(outlet.channel.buffered_bytes() * filled * 1_000_000 / rate);
            outlet.channel.handed_over(now, frame_bytes, carried, turn);
            outlet.sent_bytes += payload_bytes;
        });
        if handed_over.is_none() {
            return;
        }
        self.budget.spend(now, frame_bytes);
        self.last = Some(departure.link);
    }

    /// Some of what waited on a channel has left; `is_injecting`: more would be pushed if there were room.
    pub(crate) fn drained(
        &mut self,
        now: Timestamp,
        (id, link): (LinkId, &Link),
        buffered_bytes: u64,
        is_injecting: bool,
    ) {
        let path = self.path(link);
        let waiting = self.waiting_bytes(now);
        let is_wanted = is_injecting || self.has_requests();
        let rtt = link.rtt.least().unwrap_or(PATH_GUESS);
        let uplink = (self.uplink.queue(), self.uplink.carried_bytes());
        let drained = self
            .outlets
            .change_channel(id, |outlet| outlet.channel.drained(now, buffered_bytes, (rtt, path), uplink));
        if let Some(drained) = drained {
            self.uplink.carried(now, drained.bytes, drained.delay, rtt, (waiting, is_wanted));
        }
    }

    /// Time of a frame of one group on an idle path: the round trip, and the transmission at both ends as far as their rates
    /// are known.
    fn path(&self, link: &Link) -> Option<Duration> {
        let transmission =
            |rate: u64| Duration::from_micros((GROUP * 1_000_000).checked_div(rate).unwrap_or(0));
        let ends = transmission(self.uplink.bytes_per_s()) + transmission(link.standing().downlink);
        Some(link.rtt.least()? + ends + PATH_SLACK)
    }

    /// New low-water marks for the driver.
    pub(crate) fn low_water(&mut self, neighbours: &Neighbours) -> Vec<(LinkId, u64)> {
        self.outlets.low_water(|id| neighbours.get(id).is_some())
    }

    /// Payload bytes sent to a neighbour.
    pub(crate) fn sent_bytes(&self, id: LinkId) -> u64 {
        self.outlets.get(id).map_or(0, |outlet| outlet.sent_bytes)
    }
}

#[cfg(test)]
mod tests;
