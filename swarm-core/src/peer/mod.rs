//! One peer of one swarm as a state machine without I/O.
//!
//! # Contract
//!
//! ```text
//! socket, channel, timer, player ─→ driver ─Input→ Peer ─Output→ driver ─→ socket, channel, store, player
//! ```
//!
//! * [`Peer::handle_input`] takes what happened; [`Peer::handle_timeout`] says that time has passed.
//! * After either, the driver drains [`Peer::poll_output`] until `None` and does each thing in order.
//! * [`Peer::poll_timeout`] then says when to call `handle_timeout` at the latest.
//! * `now` never goes back. The first input is [`Input::Start`].
//!
//! Nothing in here blocks, and no input can make it panic.
//!
//! # Where things are
//!
//! [`Peer`] wires components and holds little else. A component has private fields, reads others through `&` views and
//! returns actions.
//!
//! | component | owns |
//! |---|---|
//! | `neighbours` | links, who holds what, copies, round trips, bans |
//! | `content` | manifest, hash tree, held groups, changes that are not announced yet |
//! | `receive` | readers and deadlines, open requests, credit, repair |
//! | `mirrors` | fetches from HTTP servers, their successes and failures |
//! | `send` | queues of requests, data channels, uplink, upload limit |
//! | `inject` | an initial peer's first push of each group |
//! | `tracker` | the conversation with the tracker and its advice; how a manifest is found |
//! | `outposts` | an initial peer's conversations with further trackers |
//! | `news` | when neighbours hear of gained groups |
//! | `wiring` | passes each input to its component: the tracker's messages, links, their messages, sending |
//! | `tuning` | every constant of the method |

mod agenda;
mod backoff;
mod building;
mod chance;
mod content;
mod flow;
mod inject;
mod input;
mod mirrors;
mod neighbours;
mod news;
mod outposts;
mod output;
mod receive;
mod send;
mod sorted;
mod stats;
#[cfg(test)]
mod tests;
mod tracker;
mod tuning;
mod wiring;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use chance::Chance;
pub use input::{
    Appetite, Consent, Economy, FetchError, Input, MirrorUse, MoveInput, OutpostInput, PeerConfig,
    PublishError, Publisher, UploadLimit,
};
pub use mirrors::{AnswerHead, FetchId, MirrorError, RangeFetch};
pub use outposts::OutpostId;
pub use output::{Event, MoveOutput, OutpostOutput, Output};
pub use stats::{LinkState, LinkStats, MirrorState, MirrorStats, Stats};

use crate::group_set::GroupSet;
use crate::id::LinkId;
use crate::manifest::Manifest;
use crate::time::Timestamp;
use crate::tracker_message::Role;
use crate::tree::HashTree;
use agenda::{Agenda, Asking};
use building::Building;
use content::Content;
use inject::Inject;
use mirrors::Mirrors;
use neighbours::Neighbours;
use news::News;
use outposts::Outposts;
use receive::{Receive, View, appetite};
use send::{Sender, standing::StandingTold};
use stats::Totals;
use tracker::{ManifestSource, TrackerSide};
use tuning::{READING_TICK, START_BUFFER_MIN};

/// Outputs for which room is kept between bursts.
const OUTPUTS_KEPT: usize = 8;

/// The manifest, once it is known.
#[derive(Debug, Default)]
struct KnownManifest {
    manifest: Option<Arc<Manifest>>,
    /// Its canonical bytes, for neighbours and the tracker.
    bytes: Bytes,
    source: ManifestSource,
}

/// State that exists once the store is open.
#[derive(Debug)]
struct Live {
    content: Content,
    receive: Receive,
    mirrors: Mirrors,
    /// Only at an initial peer.
    inject: Option<Inject>,
}

/// Deadlines beside those of components.
#[derive(Debug, Default)]
struct Timers {
    /// When the upload limit admits the next frame, if one waits for it.
    serve_at: Option<Timestamp>,
    /// When to examine deadlines again, while a reader is open.
    tick_at: Option<Timestamp>,
    /// When to examine requests again.
    receive_at: Option<Timestamp>,
    /// When to examine mirrors again.
    mirrors_at: Option<Timestamp>,
}

/// One peer of one swarm. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Peer {
    config: PeerConfig,
    chance: Chance,
    outputs: VecDeque<Output>,
    tracker: TrackerSide,
    outposts: Outposts,
    manifest: KnownManifest,
    live: Option<Live>,
    neighbours: Neighbours,
    building: Building,
    sender: Sender,
    standing: StandingTold,
    news: News,
    agenda: Agenda,
    timers: Timers,
    totals: Totals,
    is_complete_told: bool,
}

impl Peer {
    /// A peer that has not started.
    pub fn new(config: PeerConfig) -> Self {
        let mut chance = Chance::new(config.seed);
        let outposts = config.publisher.as_ref().map_or_else(Outposts::default, |publisher| {
            Outposts::new(&publisher.outposts, config.token.as_ref(), &mut chance)
        });
        Self {
            chance,
            outposts,
            outputs: VecDeque::new(),
            tracker: TrackerSide::new(config.token.clone(), config.role == Role::Viewer),
            manifest: KnownManifest::default(),
            live: None,
            neighbours: Neighbours::default(),
            building: Building::default(),
            sender: Sender::new(config.upload, config.uplink_hint),
            standing: StandingTold::default(),
            news: News::default(),
            agenda: Agenda::default(),
            timers: Timers::default(),
            totals: Totals::default(),
            is_complete_told: false,
            config,
        }
    }

    /// Takes one thing that happened.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        if !input.schedules_own_work() {
            self.agenda.everything();
        }
        match input {
            Input::Start => self.start(now),
            Input::Stop => self.stop(now),
            Input::Consent(consent) => self.consent(now, consent),
            Input::TrackerOpen => self.tracker_opened(now),
            Input::TrackerClosed(reason) => self.tracker_lost(now, reason),
            Input::Tracker(message) => self.tracker_message(now, message),
            Input::TrackerMoved { token } => self.tracker.session.moved(token),
            Input::Move(input) => self.move_told(now, input),
            Input::Outpost(outpost, input) => self.outpost_told(now, outpost, input),
            Input::ManifestFetched(result) => self.manifest_fetched(now, result),
            Input::ManifestPublished(result) => self.manifest_published(now, result),
            Input::LocalSignal(link, signal) => self.local_signal(now, link, signal),
            Input::LinkOpen(link) => self.link_opened(now, link),
            Input::LinkClosed(link, _) => self.link_failed(now, link),
            Input::Control(link, message) => self.control_message(now, link, message),
            Input::Data(link, message) => self.data_message(now, link, message),
            Input::Malformed(link, error) => self.malformed(now, link, error),
            Input::Buffered(link, bytes) => self.drained(now, link, bytes),
            Input::Fetched(fetch, result) => self.mirror_fetched(now, fetch, result),
            Input::StoreReady { held, tree } => self.store_ready(now, &held, *tree),
            Input::StoreFailed(range, _) => self.lose(now, range),
            Input::ReaderAt { reader, group, ahead_ms } => {
                if let Some(live) = &mut self.live {
                    live.receive.reader_moved(now, reader, group, Duration::from_millis(u64::from(ahead_ms)));
                }
            }
            Input::ReaderClosed(reader) => {
                if let Some(live) = &mut self.live {
                    live.receive.reader_closed(reader);
                }
            }
            Input::Upload(limit) => {
                self.config.upload = limit;
                self.sender.set_limit(limit);
            }
            Input::Appetite(appetite) => {
                self.config.appetite = appetite;
                self.keep_within_budget(now);
            }
        }
        self.settle(now);
    }

    /// Takes notice that time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.tracker_timeout(now);
        self.outposts_timeout(now);
        self.manifest_timeout(now);
        self.link_timeouts(now);
        self.building_timeout(now);
        self.receive_timeout(now);
        self.mirrors_timeout(now);
        self.inject_timeout(now);
        self.agenda.everything();
        self.settle(now);
    }

    /// The next thing to do; `None` when all is done for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() && self.outputs.capacity() > OUTPUTS_KEPT {
            // A burst, such as a greeting to all neighbours, is rare, so its memory is given back.
            self.outputs = VecDeque::new();
        }
        output
    }

    /// When to call [`Peer::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let inject = self.live.as_ref().and_then(|live| live.inject.as_ref());
        let deadlines = [
            self.neighbours.due(),
            self.building.deadline(),
            self.tracker.deadline(),
            self.outposts.deadline(),
            self.manifest.source.deadline(),
            self.news.deadline(),
            inject.and_then(Inject::deadline),
            self.standing.deadline(),
            self.timers.serve_at,
            self.timers.tick_at,
            self.timers.receive_at,
            self.timers.mirrors_at,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Totals and links at this moment.
    pub fn stats(&self) -> Stats {
        let receive = self.live.as_ref().map(|live| &live.receive);
        let links = self.neighbours.iter().map(|(id, link)| LinkStats {
            link: id,
            peer: link.peer,
            kind: link.role,
            rate: receive.and_then(|receive| receive.source(id)?.rate().measured()).unwrap_or(0),
            rtt_ms: link.rtt.smoothed().map(tracker::millis),
            state: link.state(),
            received: self.totals.links.get(id).map_or(0, |tally| tally.received),
            sent: self.sender.sent_bytes(id),
        });
        Stats {
            swarm: self.config.swarm,
            bytes_total: self.manifest.manifest.as_ref().map_or(0, |manifest| manifest.length_bytes),
            bytes_verified: self.live.as_ref().map_or(0, |live| live.content.held_bytes()),
            from_initial: self.totals.from_initial,
            from_peers: self.totals.from_peers,
            from_mirrors: self.totals.from_mirrors,
            uploaded: self.totals.uploaded,
            duplicate_bytes: self.totals.duplicate_bytes,
            proof_bytes: self.totals.proof_bytes,
            is_tracker_up: self.tracker.session.is_up(),
            scarcity: self.tracker.scarcity(),
            uplink: self.sender.uplink_settled().unwrap_or(0),
            start_buffer_ms: tracker::millis(self.start_buffer()),
            links: links.collect(),
            mirrors: self.mirror_stats(),
        }
    }

    /// The role of a link's neighbour; `None` if there is no such link.
    pub fn role(&self, link: LinkId) -> Option<Role> {
        self.neighbours.get(link).map(|link| link.role)
    }

    /// Media that a player needs before it plays, and again after a stall, so that it does not stop for a group that comes late.
    pub fn start_buffer(&self) -> Duration {
        self.live.as_ref().map_or(START_BUFFER_MIN, |live| live.receive.demand().start_buffer())
    }

    /// The groups held; `None` until the store is ready.
    pub fn held(&self) -> Option<&GroupSet> {
        self.live.as_ref().map(|live| live.content.held())
    }

    /// The groups that are not at risk as seen from here: held, or held by at least two linked peers. `None`
    /// until the store is ready.
    pub fn well_held(&self) -> Option<GroupSet> {
        let held = self.held()?;
        let haves = self.neighbours.open().filter_map(|(_, link)| link.have());
        let mut well = GroupSet::in_two_of(held.capacity(), haves);
        well.union_with(held);
        Some(well)
    }

    /// The tree of the content as far as it is known; `None` until the store is ready. For stores that
    /// want to resume: see [`HashTree::export`].
    pub fn tree(&self) -> Option<&HashTree> {
        self.live.as_ref().map(|live| live.content.tree())
    }

    /// Follows up any change: sends news, makes requests, answers requests.
    fn settle(&mut self, now: Timestamp) {
        self.tell_news(now);
        self.tell_tracker(now);
        self.tell_outposts(now);
        self.survey(now);
        self.tell_standing(now);
        match self.agenda.take_asking() {
            Asking::Nothing => {}
            Asking::Link(link, is_needed) => self.request_of(now, link, is_needed),
            Asking::Everything => self.look_around(now),
        }
        if self.agenda.take_serving() {
            self.serve(now);
        }
        self.tell_completion();
    }

    /// Examines all links.
    fn look_around(&mut self, now: Timestamp) {
        self.retire_links(now);
        self.look_for(now);
        if !self.is_complete_told
            && let Some((receive, view, chance)) = self.receiving(now)
        {
            let orders = receive.plan(&view, chance);
            self.carry_out(orders);
        }
        self.attend_mirrors(now);
        let live = self.live.as_ref();
        let is_reading = live.is_some_and(|live| live.receive.demand().has_readers());
        self.timers.tick_at = (is_reading && !self.is_complete_told).then(|| now + READING_TICK);
        // A request that moved may have set the deadline of others to before this moment. They are still examined, but not
        // again in the same moment.
        let receive_at = self.viewing(now).and_then(|(receive, view)| receive.deadline(&view));
        self.timers.receive_at = receive_at.map(|at| at.max(now + Duration::from_micros(1)));
        self.timers.mirrors_at = self.mirrors_deadline(now).map(|at| at.max(now + Duration::from_micros(1)));
    }

    /// The receiving half, with the state that it reads.
    fn receiving(&mut self, now: Timestamp) -> Option<(&mut Receive, View<'_>, &mut Chance)> {
        let Live { content, receive, .. } = self.live.as_mut()?;
        let wanted = appetite::wanted(self.config.appetite, content, receive.demand());
        let (neighbours, advice) = (&self.neighbours, &self.tracker.advice);
        Some((receive, View { now, content, neighbours, advice, wanted }, &mut self.chance))
    }

    /// The same, read only.
    fn viewing(&self, now: Timestamp) -> Option<(&Receive, View<'_>)> {
        let Live { content, receive, .. } = self.live.as_ref()?;
        let wanted = appetite::wanted(self.config.appetite, content, receive.demand());
        let (neighbours, advice) = (&self.neighbours, &self.tracker.advice);
        Some((receive, View { now, content, neighbours, advice, wanted }))
    }

    fn tell_completion(&mut self) {
        let is_complete = self.live.as_ref().is_some_and(|live| live.content.held().is_full());
        if is_complete && !self.is_complete_told {
            self.event(Event::Complete);
        }
        self.is_complete_told = is_complete;
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
