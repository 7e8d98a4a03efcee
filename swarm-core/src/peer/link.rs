//! Our state for one connected peer: what it holds, what we asked of it, what it asked of us.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::asks::Asks;
use super::news::Untold;
use super::rate::Rate;
use super::request::{Ask, Serve};
use super::round_trip::RoundTrip;
use super::sizing::{RequestSize, channel_bytes_max, pipeline_target_bytes};
use super::stats::LinkState;
use crate::group::{Geometry, GroupRange};
use crate::group_set::GroupSet;
use crate::id::{Instance, PeerId};
use crate::limits::{RUNS_MAX, SIGNALS_PER_LINK_MAX};
use crate::peer_message::{Class, DataMessage, Serving, Standing};
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// Data messages kept that overtook the greeting: a data channel's buffer full of single groups.
const EARLY_DATA_MAX: usize = 32;
/// Shortest silence that counts as a stall.
const STALL_MIN: Duration = Duration::from_millis(750);
/// The same where only background is outstanding.
const BACKGROUND_STALL_MIN: Duration = Duration::from_secs(5);

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    /// Who the tracker says it is.
    pub(crate) peer: PeerId,
    pub(crate) role: Role,
    pub(crate) state: LinkState,
    /// When the state was entered.
    pub(crate) since: Timestamp,
    pub(crate) instance: Option<Instance>,
    /// How it says that it stands.
    pub(crate) standing: Standing,
    /// Whether the tracker took it out of the graph: it is closed once nothing is under way on it.
    pub(crate) is_retiring: bool,
    /// Bytes pushed to it for each of its upload capacity, on the injection's clock.
    pub(crate) injected: u64,
    /// Pushes to it of which nobody else came to hold anything; whether any other push spread.
    pub(crate) kept: u32,
    pub(crate) has_spread: bool,
    /// Whether it keeps to itself what it is given, or claims what it cannot have from here: what it holds counts as nothing.
    pub(crate) is_hoarding: bool,
    /// Signals passed to its connection so far.
    signals: usize,

    /// What it holds; `None` until the geometry is known.
    have: Option<GroupSet>,
    /// What it ever held or was sent: it knows the tree above these.
    knows: Option<GroupSet>,
    /// Announcements from before the geometry was known.
    early: Vec<GroupRange>,

    /// Payload that overtook the greeting: the two channels are not ordered against one another.
    early_data: Vec<DataMessage>,

    asks: Asks,
    /// When the last payload came, or the first request of a busy period was made.
    pub(crate) last_progress: Timestamp,
    /// Whether it stopped sending; it is not asked again until it sends.
    pub(crate) is_stalled: bool,
    pub(crate) rate: Rate,
    pub(crate) size: RequestSize,
    pub(crate) rtt: RoundTrip,
    /// The ping under way: nonce and when it left.
    pub(crate) ping: Option<(u32, Timestamp)>,
    pub(crate) next_ping: Timestamp,

    /// What it asked of us, oldest first.
    pub(crate) serves: VecDeque<Serve>,
    /// The last request it made: they are numbered.
    last_serve: u32,
    /// Bytes on its data channel that have not left.
    pub(crate) buffered_bytes: u64,
    pub(crate) upload_rate: Rate,
    /// When bytes last left its data channel, or began to wait there.
    pub(crate) last_drain: Timestamp,
    /// The low-water mark the driver was told.
    pub(crate) low_water_bytes: u64,

    /// What it has yet to hear of what we gained.
    pub(crate) untold: Untold,

    /// Verified payload bytes it sent to us.
    pub(crate) received: u64,
    /// `received` and failures as last reported to the tracker.
    pub(crate) reported: u64,
    pub(crate) failures: u32,
    /// Payload bytes we sent to it.
    pub(crate) sent: u64,
}

impl Link {
    pub(crate) fn new(now: Timestamp, peer: PeerId, role: Role, rate_guess: u64) -> Self {
        Self {
            peer,
            role,
            state: LinkState::Connecting,
            since: now,
            instance: None,
            standing: Standing { serving: Serving::Everything, wants: GroupRange::new(0, 0), uplink: 0 },
            is_retiring: false,
            injected: 0,
            kept: 0,
            has_spread: false,
            is_hoarding: false,
            signals: 0,
            have: None,
            knows: None,
            early: Vec::new(),
            early_data: Vec::new(),
            asks: Asks::new(),
            last_progress: now,
            is_stalled: false,
            rate: Rate::new(rate_guess),
            size: RequestSize::new(),
            rtt: RoundTrip::default(),
            ping: None,
            next_ping: now,
            serves: VecDeque::new(),
            last_serve: 0,
            untold: Untold::default(),
            buffered_bytes: 0,
            upload_rate: Rate::new(rate_guess),
            last_drain: now,
            low_water_bytes: 0,
            received: 0,
            reported: 0,
            failures: 0,
            sent: 0,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == LinkState::Open
    }

    /// Whether it was taken out of the graph and has nothing under way.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retiring && self.asks().is_empty() && self.serves.is_empty() && self.buffered_bytes == 0
    }

    /// Counts a signal; whether it is still within the limit.
    pub(crate) fn admit_signal(&mut self) -> bool {
        self.signals += 1;
        self.signals <= SIGNALS_PER_LINK_MAX
    }

    /// Whether what it holds counts as a copy in the swarm.
    pub(crate) fn counts_as_holder(&self) -> bool {
        self.role == Role::Viewer && !self.is_hoarding
    }

    /// Whether it is not to be asked for what viewers hold.
    pub(crate) fn is_spared(&self) -> bool {
        self.role == Role::Initial && self.standing.serving != Serving::Freely
    }

    /// Whether groups can be asked of it now.
    pub(crate) fn is_provider(&self) -> bool {
        self.is_open() && self.standing.serving != Serving::Nothing && !self.is_stalled && !self.is_retiring
    }

    /// Whether a group can be asked of it now.
    pub(crate) fn provides(&self, group: u32) -> bool {
        self.is_provider() && self.have().is_some_and(|have| have.has(group))
    }

    /// Whether it answers requests of a class now.
    pub(crate) fn serves(&self, class: Class) -> bool {
        match self.standing.serving {
            Serving::Everything | Serving::Freely => true,
            Serving::Urgent => class == Class::Urgent,
            Serving::Nothing | Serving::Needs => false,
        }
    }

    pub(crate) fn rtt_or_guess(&self) -> Duration {
        self.rtt.or_guess()
    }

    /// The geometry became known: announcements made before are taken in. `false` if one was impossible.
    pub(crate) fn set_geometry(&mut self, geometry: Geometry) -> bool {
        let count = geometry.group_count();
        self.have.get_or_insert_with(|| GroupSet::empty(count));
        self.knows.get_or_insert_with(|| GroupSet::empty(count));
        let early = std::mem::take(&mut self.early);
        self.may_hold(&early) && self.gained(&early)
    }

    /// Whether all these groups exist, as far as is known.
    pub(crate) fn may_hold(&self, ranges: &[GroupRange]) -> bool {
        self.have.as_ref().is_none_or(|have| ranges.iter().all(|range| range.end <= have.capacity()))
    }

    /// It announced that it holds these groups. `false` if it announces without end.
    pub(crate) fn gained(&mut self, ranges: &[GroupRange]) -> bool {
        let (Some(have), Some(knows)) = (&mut self.have, &mut self.knows) else {
            self.early.extend_from_slice(ranges);
            return self.early.len() <= 4 * RUNS_MAX;
        };
        for range in ranges {
            have.insert(*range);
            knows.insert(*range);
        }
        true
    }

    /// It announced that it no longer holds these groups. What it knows of the tree it goes on knowing.
    pub(crate) fn dropped(&mut self, ranges: &[GroupRange]) {
        if let Some(have) = &mut self.have {
            for range in ranges {
                have.remove(*range);
            }
        }
    }

    pub(crate) fn have(&self) -> Option<&GroupSet> {
        self.have.as_ref()
    }

    /// Whether it knows the tree above these groups.
    pub(crate) fn knows(&self, groups: GroupRange) -> bool {
        self.knows.as_ref().is_some_and(|knows| knows.has_any(groups))
    }

    /// Groups were handed to its data channel: whatever requests of its name them are answered.
    pub(crate) fn handed_over(&mut self, now: Timestamp, range: GroupRange, bytes: u64) {
        if let Some(knows) = &mut self.knows {
            knows.insert(range);
        }
        self.serves.retain_mut(|serve| !serve.sent(range));
        self.upload_rate.begin(now);
        if self.buffered_bytes == 0 {
            self.last_drain = now;
        }
        self.buffered_bytes += bytes;
    }

    /// The driver says how much is still buffered.
    /// Returns how many bytes have left.
    pub(crate) fn drained(&mut self, now: Timestamp, buffered_bytes: u64) -> u64 {
        let buffered_bytes = buffered_bytes.min(self.buffered_bytes);
        let carried = self.buffered_bytes - buffered_bytes;
        self.upload_rate.carried(now, carried);
        self.buffered_bytes = buffered_bytes;
        if carried > 0 {
            self.last_drain = now;
        }
        if buffered_bytes == 0 {
            self.upload_rate.end(now);
        }
        carried
    }

    /// Most bytes that may wait on its data channel.
    pub(crate) fn buffer_bytes_max(&self) -> u64 {
        channel_bytes_max(self.upload_rate.bytes_per_s(), self.rtt_or_guess(), self.rtt.least())
    }

    /// Whether another frame may be handed to its data channel.
    pub(crate) fn has_channel_room(&self) -> bool {
        self.buffered_bytes < self.buffer_bytes_max()
    }

    /// Bytes of a class that may be asked for now. What is outstanding of lower classes takes no room: it waits.
    pub(crate) fn room_bytes(&self, class: Class) -> u64 {
        let target = pipeline_target_bytes(self.rate.bytes_per_s(), self.rtt_or_guess());
        let target = target.min(self.size.earned_bytes());
        target.saturating_sub(self.asks.ahead_of(class))
    }

    /// Estimated time until `bytes` more of a class would have come.
    pub(crate) fn time_to_deliver(&self, bytes: u64, class: Class) -> Duration {
        let micros = (self.asks.ahead_of(class) + bytes).saturating_mul(1_000_000) / self.rate.bytes_per_s();
        Duration::from_micros(micros) + self.rtt_or_guess() / 2
    }

    /// Estimated time until what is outstanding of a class has come. Silence lasts as long again as it did.
    pub(crate) fn time_left(&self, now: Timestamp, class: Class) -> Duration {
        let silence = now.since(self.last_progress);
        self.time_to_deliver(0, class).saturating_sub(silence).max(silence)
    }

    /// Registers a request and names it. The range has 1 to 64 groups.
    pub(crate) fn ask(&mut self, now: Timestamp, geometry: Geometry, range: GroupRange, class: Class) -> u32 {
        if self.asks().is_empty() {
            self.last_progress = now;
            self.rate.begin(now);
        }
        self.asks.add(geometry, range, class)
    }

    /// Keeps payload that overtook the greeting. `false` if there is too much of it.
    pub(crate) fn keep_early(&mut self, message: DataMessage) -> bool {
        self.early_data.push(message);
        self.early_data.len() <= EARLY_DATA_MAX
    }

    /// What overtook the greeting.
    pub(crate) fn take_early(&mut self) -> Vec<DataMessage> {
        std::mem::take(&mut self.early_data)
    }

    /// The open requests by name.
    pub(crate) const fn asks(&self) -> &BTreeMap<u32, Ask> {
        self.asks.open()
    }

    pub(crate) fn asks_mut(&mut self) -> impl Iterator<Item = (&u32, &mut Ask)> {
        self.asks.open_mut()
    }

    /// Groups came in the name of a request, or of none (0): an injection. `false` if that is an intrusion.
    pub(crate) fn came(&mut self, now: Timestamp, geometry: Geometry, id: u32, range: GroupRange) -> bool {
        self.last_progress = now;
        self.is_stalled = false;
        let completed = self.asks.came(geometry, id, range);
        (0..completed.unwrap_or(0)).for_each(|_| self.size.completed());
        completed.is_some()
    }

    /// What a request asks for is needed sooner than it was.
    pub(crate) fn hasten(&mut self, geometry: Geometry, id: u32, class: Class) {
        self.asks.hasten(geometry, id, class);
    }

    /// Strikes a request off; the groups that had not come.
    pub(crate) fn end_ask(&mut self, geometry: Geometry, id: u32) -> Vec<u32> {
        self.asks.end(geometry, id)
    }

    /// How long it may stay silent with something outstanding: background waits its turn behind all others.
    pub(crate) fn stall_after(&self) -> Duration {
        let is_pressing = self.asks.ahead_of(Class::Window) > 0;
        let least = if is_pressing { STALL_MIN } else { BACKGROUND_STALL_MIN };
        least.max(self.rtt_or_guess() * 4).max(self.time_to_deliver(0, Class::Window) * 2)
    }

    /// Registers a request of the other side, but for what was sent to it already; or, if it made it before, how
    /// urgent it has become. What was answered meanwhile stays answered.
    pub(crate) fn serve(
        &mut self,
        id: u32,
        range: GroupRange,
        urgency: (Class, Timestamp),
        sent: &[GroupRange],
    ) {
        if id <= self.last_serve {
            if let Some(serve) = self.serves.iter_mut().find(|serve| serve.id == id) {
                serve.remind(urgency);
            }
            return;
        }
        self.last_serve = id;
        let mut serve = Serve::new(id, range, urgency);
        if !sent.iter().any(|run| serve.sent(*run)) {
            self.serves.push_back(serve);
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const GEOMETRY: Geometry = Geometry::new(100 * 16384);

    fn link() -> Link {
        let mut link = Link::new(Timestamp::ZERO, PeerId(1), Role::Viewer, 250_000);
        assert!(link.set_geometry(GEOMETRY));
        link
    }

    #[test]
    fn groups_are_served_as_they_become_held() {
        let mut link = link();
        link.serve(
            9,
            GroupRange::new(30, 32),
            (Class::Window, Timestamp::ZERO),
            &[GroupRange::one(30), GroupRange::new(31, 40)],
        );
        assert!(link.serves.is_empty(), "both groups are on their way");
        link.serve(10, GroupRange::new(20, 26), (Class::Window, Timestamp::ZERO), &[]);
        let mut held = GroupSet::empty(100);
        held.insert(GroupRange::new(22, 26));
        let serve = link.serves.front_mut().unwrap();
        assert_eq!(serve.next_run(&held, 3), Some(GroupRange::new(22, 25)));
        assert!(!serve.sent(GroupRange::new(22, 25)));
        assert_eq!(serve.next_run(&held, 3), Some(GroupRange::one(25)));
        assert!(!serve.sent(GroupRange::one(25)));
        assert_eq!(serve.next_run(&held, 3), None);
        held.insert(GroupRange::new(20, 22));
        assert!(serve.sent(serve.clone().next_run(&held, 3).unwrap()));
    }

    #[test]
    fn a_request_made_again_is_as_urgent_as_it_says_last_and_is_answered_once() {
        let mut link = link();
        let due = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        link.serve(1, GroupRange::one(5), (Class::Background, due(1_000_000)), &[]);
        link.serve(1, GroupRange::one(5), (Class::Window, due(60)), &[]);
        let class_at = |link: &Link, seconds: u64| link.serves[0].class_at(due(seconds));
        assert_eq!((link.serves.len(), class_at(&link, 10)), (1, Class::Window));
        assert_eq!(class_at(&link, 59), Class::Urgent, "its time has come");
        link.handed_over(due(59), GroupRange::one(5), 16384);
        link.serve(1, GroupRange::one(5), (Class::Urgent, due(60)), &[]);
        assert!(link.serves.is_empty(), "the answer and the reminder crossed");
    }

    #[test]
    fn outstanding_background_leaves_room_for_what_is_urgent() {
        let mut link = link();
        (0..10).for_each(|_| link.size.completed());
        let request = link.ask(Timestamp::ZERO, GEOMETRY, GroupRange::new(0, 4), Class::Background);
        let left = |link: &Link| [Class::Urgent, Class::Background].map(|class| link.room_bytes(class));
        let [urgent, background] = left(&link);
        assert_eq!(urgent - background, 4 * 16384);
        link.hasten(GEOMETRY, request, Class::Urgent);
        assert_eq!(left(&link), [background, background]);
        link.end_ask(GEOMETRY, request);
        assert_eq!(left(&link), [urgent, urgent]);
    }

    #[test]
    fn announcements_from_before_the_manifest_are_kept_and_checked_later() {
        let mut link = Link::new(Timestamp::ZERO, PeerId(1), Role::Viewer, 250_000);
        assert!(link.gained(&[GroupRange::new(0, 5)]));
        assert!(link.set_geometry(GEOMETRY));
        assert!(link.have().unwrap().has(4) && link.knows(GroupRange::new(0, 64)));
        assert!(!link.may_hold(&[GroupRange::new(0, 101)]));
        link.dropped(&[GroupRange::new(0, 5)]);
        assert!(link.have().unwrap().is_empty() && link.knows(GroupRange::one(1)));
        let mut liar = Link::new(Timestamp::ZERO, PeerId(2), Role::Viewer, 250_000);
        assert!(liar.gained(&[GroupRange::new(200, 201)]));
        assert!(!liar.set_geometry(GEOMETRY));
    }
}
