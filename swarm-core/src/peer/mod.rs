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
//! Policies are small and pure: `demand` (what is needed, how soon), `media_times` (when what plays), `picker` (what
//! to ask of whom), `sizing` (how much at once), `sender` (whom to serve next), `injection` (the initial peer's first
//! push), `spreading` (whether it spreads), `spare` (what it gives when all is injected), `unit` and `rests` (what is
//! forwarded together), `uplink`, `rate`, `backoff`, `chance`. State lives in `holdings` (the content), `link` (a
//! counterpart), `asks` and `request` (what is under way there), `advice` (what the tracker advised), `agenda` (what
//! is to be looked at again), `tracker_session` and `manifest_source`. The rest wires them to the outside: `tracking`
//! (the tracker's messages), `linking` (links come and go), `exchange` (messages of links), `news` (when neighbours
//! hear of what is here), `requesting` (asking), `looking` (what the tracker is asked), `rescue` (when a counterpart
//! goes silent or is late), `relief` (when one is slow) and `serving` (sending).

mod advice;
mod agenda;
mod asks;
mod backoff;
mod chance;
mod copies;
mod demand;
mod exchange;
mod holdings;
mod injection;
mod input;
mod link;
mod linking;
mod looking;
mod manifest_source;
mod media_times;
mod needs;
mod news;
mod output;
mod picker;
mod policy;
mod rate;
mod relief;
mod request;
mod requesting;
mod rescue;
mod rests;
mod round_trip;
mod sender;
mod serving;
mod sizing;
mod spare;
mod spreading;
mod standing;
mod stats;
#[cfg(test)]
mod tests;
mod tracker_session;
mod tracking;
mod unit;
mod uplink;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use chance::Chance;
pub use input::{Appetite, FetchError, Input, PeerConfig, UploadLimit};
pub use output::{Event, Output};
pub use policy::{Order, Policy};
pub use stats::{LinkState, LinkStats, Stats};
pub use unit::Unit;

use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::{Instance, LinkId};
use crate::manifest::Manifest;
use crate::peer_message::{PeerMessage, Standing};
use crate::time::Timestamp;
use crate::tracker_message::Share;
use crate::tree::HashTree;
use advice::Advice;
use agenda::{Agenda, Asking};
use copies::Copies;
use demand::Demand;
use holdings::Holdings;
use injection::Injection;
use link::Link;
use looking::Looking;
use manifest_source::ManifestSource;
use sender::{Budget, Turns};
use spare::Spare;
use stats::Totals;
use tracker_session::TrackerSession;
use uplink::Uplink;

/// While somebody reads, deadlines move with time: look again at least this often.
const READING_TICK: Duration = Duration::from_millis(250);
/// Banned counterparts that are remembered; the oldest is forgotten first.
const BANNED_MAX: usize = 256;

/// One peer of one swarm. See the [module](self) for how to drive it.
#[derive(Debug)]
pub struct Peer {
    config: PeerConfig,
    chance: Chance,
    outputs: VecDeque<Output>,
    tracker: TrackerSession,

    manifest: Option<Arc<Manifest>>,
    /// Canonical bytes of the manifest, for neighbours and the tracker.
    manifest_bytes: Bytes,
    manifest_source: ManifestSource,
    /// Present once the store is ready.
    holdings: Option<Holdings>,
    demand: Option<Demand>,
    is_complete_told: bool,

    links: BTreeMap<LinkId, Link>,
    last_link: u32,
    /// When some link may need attention by itself; none does much earlier.
    links_due: Option<Timestamp>,
    agenda: Agenda,
    copies: Copies,
    /// Of an initial peer; idle in others.
    injection: Injection,
    spare: Spare,
    /// What neighbours were told of how we stand.
    standing_told: Option<Standing>,
    next_standing: Timestamp,
    standing_due: Option<Timestamp>,
    /// Until when an initial peer serves nobody apart.
    overloaded_until: Timestamp,
    uplink: Uplink,
    /// Groups that initial peers were told are needed, and when that is to be said again.
    needs_told: Vec<GroupRange>,
    next_need: Timestamp,
    banned: VecDeque<Instance>,

    /// Groups of segments that are rare in the whole swarm, as the tracker said last.
    at_risk: GroupSet,
    /// Of an initial peer, its part of the injection.
    share: Option<Share>,
    advice: Advice,
    /// When neighbours hear of what was gained.
    news_at: Option<Timestamp>,
    next_news: Timestamp,
    looking: Looking,
    window_picks: u32,
    /// Whether segments may have become whole or broken since the tracker was told.
    has_segment_news: bool,
    /// When the upload cap admits the next frame, if one waits for it.
    serve_at: Option<Timestamp>,
    /// When to look at deadlines again, while somebody reads.
    tick_at: Option<Timestamp>,

    turns: Turns,
    budget: Budget,
    totals: Totals,
}

impl Peer {
    /// A peer that has not started.
    pub fn new(config: PeerConfig) -> Self {
        Self {
            chance: Chance::new(config.seed),
            outputs: VecDeque::new(),
            tracker: TrackerSession::new(config.token.clone()),
            manifest: None,
            manifest_bytes: Bytes::new(),
            manifest_source: ManifestSource::new(),
            holdings: None,
            demand: None,
            is_complete_told: false,
            links: BTreeMap::new(),
            last_link: 0,
            links_due: None,
            agenda: Agenda::default(),
            copies: Copies::default(),
            injection: Injection::default(),
            spare: Spare::default(),
            standing_told: None,
            next_standing: Timestamp::ZERO,
            standing_due: None,
            overloaded_until: Timestamp::ZERO,
            uplink: Uplink::new(),
            needs_told: Vec::new(),
            next_need: Timestamp::ZERO,
            banned: VecDeque::new(),
            at_risk: GroupSet::default(),
            share: None,
            advice: Advice::default(),
            news_at: None,
            next_news: Timestamp::ZERO,
            looking: Looking::new(),
            window_picks: 0,
            has_segment_news: false,
            serve_at: None,
            tick_at: None,
            turns: Turns::default(),
            budget: Budget::new(config.upload),
            totals: Totals::default(),
            config,
        }
    }

    /// Takes one thing that happened.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        if !notes_what_it_stirs(&input) {
            self.agenda.everything();
        }
        match input {
            Input::Start => self.start(now),
            Input::Stop => self.stop(),
            Input::TrackerOpen => self.tracker_opened(now),
            Input::TrackerClosed(reason) => self.tracker_lost(now, reason),
            Input::Tracker(message) => self.tracker_says(now, message),
            Input::ManifestFetched(result) => self.manifest_fetched(now, result),
            Input::ManifestPublished(result) => self.manifest_published(now, result),
            Input::LocalSignal(link, signal) => self.local_signal(link, signal),
            Input::LinkOpen(link) => self.link_opened(now, link),
            Input::LinkClosed(link, _) => self.drop_link(link),
            Input::Control(link, message) => self.control_message(now, link, message),
            Input::Data(link, message) => self.data_message(now, link, message),
            Input::Malformed(link, error) => self.ban(link, error.to_string()),
            Input::Buffered(link, bytes) => self.drained(now, link, bytes),
            Input::StoreReady { held, tree } => self.store_ready(now, &held, *tree),
            Input::StoreFailed(range, _) => self.store_failed(now, range),
            Input::ReaderAt { reader, group, ahead_ms } => {
                if let Some(demand) = &mut self.demand {
                    demand.moved(now, reader, group, Duration::from_millis(u64::from(ahead_ms)));
                }
            }
            Input::ReaderClosed(reader) => {
                if let Some(demand) = &mut self.demand {
                    demand.closed(reader);
                }
            }
            Input::Upload(limit) => self.set_upload(limit),
        }
        self.settle(now);
    }

    /// Takes notice that time has passed.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.tracker_timeout(now);
        self.manifest_timeout(now);
        self.link_timeouts(now);
        self.rescue(now);
        self.agenda.everything();
        self.settle(now);
    }

    /// The next thing to do; `None` when all is done for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Peer::handle_timeout`], at the latest.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let deadlines = [
            self.links_due,
            self.tracker.deadline(),
            self.segment_news_deadline(),
            self.manifest_source.retry_at,
            self.news_deadline(),
            self.serve_at,
            self.injection.deadline(),
            self.standing_due,
            self.tick_at,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Totals and links at this moment.
    pub fn stats(&self) -> Stats {
        Stats {
            swarm: self.config.swarm,
            bytes_total: self.manifest.as_ref().map_or(0, |manifest| manifest.length_bytes),
            bytes_verified: self.holdings.as_ref().map_or(0, Holdings::held_bytes),
            from_initial: self.totals.from_initial,
            from_peers: self.totals.from_peers,
            uploaded: self.totals.uploaded,
            duplicate_bytes: self.totals.duplicate_bytes,
            proof_bytes: self.totals.proof_bytes,
            is_tracker_up: self.tracker.is_up(),
            links: self.links.values().map(link_stats).collect(),
        }
    }

    /// The groups held; `None` until the store is ready.
    pub fn held(&self) -> Option<&GroupSet> {
        self.holdings.as_ref().map(Holdings::held)
    }

    /// The groups that are not at risk as seen from here: held, or held by at least two linked peers. `None`
    /// until the store is ready.
    pub fn well_held(&self) -> Option<GroupSet> {
        let held = self.held()?;
        let links = self.links.values().filter(|link| link.is_open());
        let mut well = GroupSet::in_two_of(held.capacity(), links.filter_map(Link::have));
        well.union_with(held);
        Some(well)
    }

    /// The tree of the content as far as it is known; `None` until the store is ready. For stores that
    /// want to resume: see [`HashTree::export`].
    pub fn tree(&self) -> Option<&HashTree> {
        self.holdings.as_ref().map(Holdings::tree)
    }

    fn start(&mut self, now: Timestamp) {
        if let Some(manifest) = self.config.manifest.clone() {
            self.manifest_known(manifest);
        } else {
            self.outputs.push_back(Output::FetchManifest);
        }
        self.connect_tracker(now);
    }

    /// What follows from any change: news are told, requests made, requests served.
    fn settle(&mut self, now: Timestamp) {
        self.tell_news(now);
        self.tell_tracker(now);
        self.tell_standing(now);
        match self.agenda.take_asking() {
            Asking::Nothing => {}
            Asking::Link(link, is_needed) => self.request_of(now, link, is_needed),
            Asking::Everything => self.look_around(now),
        }
        if self.agenda.take_serving() {
            self.serve_more(now);
        }
        self.tell_completion();
    }

    /// Looks at all links.
    fn look_around(&mut self, now: Timestamp) {
        self.retire_links();
        self.request_more(now);
        self.links_due = self.links.values().filter_map(|link| self.link_deadline(link)).min();
        let is_reading = self.demand.as_ref().is_some_and(Demand::has_readers);
        self.tick_at = (is_reading && !self.is_complete_told).then(|| now + READING_TICK);
    }

    fn tell_completion(&mut self) {
        let is_complete = self.holdings.as_ref().is_some_and(|holdings| holdings.held().is_full());
        if is_complete && !self.is_complete_told {
            self.outputs.push_back(Output::Event(Event::Complete));
        }
        self.is_complete_told = is_complete;
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// Inputs that come by the thousand and change little: whoever handles them notes what is to be looked at again.
const fn notes_what_it_stirs(input: &Input) -> bool {
    matches!(
        input,
        Input::Data(..)
            | Input::Buffered(..)
            | Input::LocalSignal(..)
            | Input::Control(
                _,
                PeerMessage::Have { .. }
                    | PeerMessage::Request { .. }
                    | PeerMessage::Cancel { .. }
                    | PeerMessage::Ping { .. }
                    | PeerMessage::Pong { .. }
            )
    )
}

fn link_stats(link: &Link) -> LinkStats {
    LinkStats {
        peer: link.peer,
        kind: link.role,
        rate: link.rate.measured().unwrap_or(0),
        rtt_ms: link.rtt.smoothed().map(|rtt| u32::try_from(rtt.as_millis()).unwrap_or(u32::MAX)),
        state: link.state,
        received: link.received,
        sent: link.sent,
    }
}
