//! What one peer in a worker consists of, and how each thing that happens reaches it.
//!
//! What the core asks for in return is carried out in [`execute`](crate::execute).

use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use js_sys::Promise;
use swarm_core::peer::{Consent, FetchId};
use swarm_core::relays::Relays;
use swarm_core::tracker_list::{TrackerList, advice_of, is_permission, is_usable};
use swarm_core::tracker_message::{ErrorCode, TrackerMessage, TrackerMessageBody};
use swarm_core::{Input, LinkId, Manifest, Peer, SwarmId, Timestamp};
use web_sys::{AbortController, DedicatedWorkerGlobalScope, MessagePort};

use crate::bar::{Levels, place_at};
use crate::digest::{Digest, Progress};
use crate::driver::{Driver, Early, Happening};
use crate::keeping::Keeping;
use crate::link::Link;
use crate::origins::{Origin, Origins};
use crate::page::{Attachment, FromPage, ToPage, to_array};
use crate::reader::{Readers, refuse};
use crate::store::Store;
use crate::tracker::{Place, Told, Tracker, bring_back};

/// What the tracker refuses with, if that is what it says.
fn refusal(input: &Input) -> Option<ErrorCode> {
    let Input::Tracker(TrackerMessage { body: TrackerMessageBody::Error { code, .. }, .. }) = input else {
        return None;
    };
    Some(*code)
}

/// Whether the tracker took this peer into the swarm.
fn is_joined(input: &Input) -> bool {
    matches!(input, Input::Tracker(TrackerMessage { body: TrackerMessageBody::Swarm { .. }, .. }))
}

/// A manifest is brought back once in this time: another peer may have done it, and the tracker may refuse it.
const RETURN_INTERVAL: Duration = Duration::from_secs(10);

/// One peer and everything it has a hold of.
pub(crate) struct State {
    pub(crate) scope: DedicatedWorkerGlobalScope,
    pub(crate) swarm: SwarmId,
    pub(crate) peer: Peer,
    pub(crate) tracker: Tracker,
    pub(crate) trackers: TrackerList<Place>,
    pub(crate) early_manifest: Option<Promise>,
    /// Permission to use a closed tracker.
    pub(crate) token: Option<String>,
    /// Relays that the tracker gave with its answer to `join`.
    pub(crate) relays: Relays,
    /// When the manifest may be brought back to the tracker again.
    next_return: Timestamp,
    pub(crate) links: BTreeMap<LinkId, Link>,
    /// Fetches from mirrors that are awaited.
    pub(crate) fetches: BTreeMap<FetchId, AbortController>,
    pub(crate) readers: Readers,
    pub(crate) content: Option<(Arc<Manifest>, Store)>,
    pub(crate) keeping: Keeping,
    /// Where what is held came from.
    pub(crate) origins: Origins,
    /// Where groups come from that are stored now.
    pub(crate) origin: Origin,
    /// Whether groups were stored that readers may wait for.
    pub(crate) has_news: bool,
    /// Links to which bulk was sent since their buffers were last looked at.
    pub(crate) fed: Vec<LinkId>,
    pub(crate) driver: Weak<Driver>,
    /// Where the link says that playback begins.
    pub(crate) start_ms: Option<u64>,
    /// What plays, as the page last said.
    player_ms: Option<u64>,
    /// Why the peer cannot go on, if it cannot.
    pub(crate) failure: Option<String>,
}

impl State {
    pub(crate) fn new(
        scope: DedicatedWorkerGlobalScope,
        (swarm, seed): (SwarmId, u64),
        peer: Peer,
        early: Early,
        driver: Weak<Driver>,
    ) -> Self {
        let told = driver.clone();
        let on_tracker = Rc::new(move |serial, what| match what {
            Told::Input(input) => tell(&told, Happening::Tracker(serial, input)),
            Told::Relays(relays) => tell(&told, Happening::Relays(serial, relays)),
        });
        let told = driver.clone();
        let on_reader = Rc::new(move |id, call| tell(&told, Happening::Reader(id, call)));
        Self {
            tracker: Tracker::new(early.base, early.socket, on_tracker),
            trackers: TrackerList::new(Place::Own, seed),
            scope,
            swarm,
            peer,
            early_manifest: early.manifest,
            token: early.token,
            relays: Relays::default(),
            next_return: Timestamp::ZERO,
            links: BTreeMap::new(),
            fetches: BTreeMap::new(),
            readers: Readers::new(on_reader),
            content: None,
            keeping: Keeping::default(),
            origins: Origins::default(),
            origin: Origin::Mirror,
            has_news: false,
            fed: Vec::new(),
            driver,
            start_ms: early.start_ms,
            player_ms: None,
            failure: None,
        }
    }

    /// Takes something that happened and carries out all that the core asks in return.
    pub(crate) fn handle(&mut self, now: Timestamp, happening: Happening) {
        // What comes on no link comes from a mirror.
        self.origin = Origin::Mirror;
        match happening {
            Happening::Timer => {
                self.peer.handle_timeout(now);
                self.verify_stored();
            }
            Happening::Storage(storage) => self.storage_came(now, storage),
            Happening::Input(input) => self.input(now, input),
            Happening::Tracker(serial, input) if self.tracker.is_current(serial) => {
                self.tracker_told(now, input);
            }
            Happening::Tracker(serial, input) => self.other_socket_told(now, serial, input),
            Happening::Relays(serial, relays) => {
                if self.tracker.is_current(serial) || self.tracker.is_next(serial) {
                    self.relays.update(relays);
                }
            }
            Happening::Done => {}
            Happening::Fetched(fetch, result) => {
                if self.fetches.remove(&fetch).is_some() {
                    self.input(now, Input::Fetched(fetch, result));
                }
            }
            Happening::Channel(id, lane, event) => {
                self.origin = self.peer.role(id).map_or(Origin::Viewer, Origin::from);
                let inputs = self.links.get_mut(&id).map(|link| link.handle(lane, event));
                for input in inputs.unwrap_or_default() {
                    self.input(now, input);
                    self.drain(now);
                }
            }
            Happening::Reader(id, call) => {
                let store = self.content.as_ref().map(|(_, store)| store);
                if let Some(input) = self.readers.handle(id, call, store) {
                    self.input(now, input);
                }
            }
            Happening::Digest(digest) => self.advance_digest(digest),
            Happening::Page(message, attachment) => self.handle_page(now, message, attachment),
        }
        self.drain(now);
        self.look_after_store(now);
    }

    fn tracker_told(&mut self, now: Timestamp, input: Input) {
        let mut input = input;
        match refusal(&input) {
            Some(ErrorCode::UnknownSwarm) => self.bring_back(now),
            // What the link's tracker refuses ends the peer. Another one that refuses is left.
            Some(ErrorCode::Forbidden | ErrorCode::UnsupportedVersion)
                if self.trackers.is_left_if_it_refuses() =>
            {
                input = Input::TrackerClosed("the tracker refuses this peer".to_owned());
            }
            _ if is_joined(&input) => self.trackers.joined(),
            _ => {}
        }
        if let Input::TrackerClosed(reason) = &input
            && !self.go_on_where_it_moves()
        {
            self.tracker.disconnect();
            let advised = advice_of(reason).map(|address| Place::Listed(address.to_owned()));
            let is_advised = advised.is_some_and(|place| self.trackers.advised(now, &place));
            let has_moved = is_advised || self.trackers.ended(now);
            self.note_move(now, has_moved);
        }
        self.input(now, input);
    }

    /// The core wants a connection.
    pub(crate) fn connect_tracker(&mut self, now: Timestamp) {
        let has_moved = self.trackers.begin(now);
        self.note_move(now, has_moved);
        if let Err(reason) = self.tracker.connect(self.trackers.current()) {
            self.tracker_told(now, Input::TrackerClosed(reason));
        }
    }

    /// The core gives up on the connection.
    pub(crate) fn give_up_tracker(&mut self, now: Timestamp) {
        if self.go_on_where_it_moves() {
            return;
        }
        let has_moved = self.tracker.is_open() && self.trackers.ended(now);
        self.note_move(now, has_moved);
        self.tracker.disconnect();
    }

    /// Tells the core that its next connection goes to another tracker.
    fn note_move(&mut self, now: Timestamp, has_moved: bool) {
        if has_moved {
            let token = self.token_shown().map(str::to_owned);
            self.input(now, Input::TrackerMoved { token });
        }
    }

    /// The permission that the tracker in use may see: a secret of the operator of the link's tracker is for that one alone.
    fn token_shown(&self) -> Option<&str> {
        self.token.as_deref().filter(|token| self.trackers.is_own() || is_permission(token))
    }

    /// The manifest lists trackers.
    pub(crate) fn learn_trackers(&mut self, manifest: &Manifest) {
        let own = self.tracker.own_address();
        let usable = manifest.trackers.iter().filter(|listed| **listed != own && is_usable(listed, &own));
        self.trackers.learn(usable.cloned().map(Place::Listed));
    }

    /// Brings the manifest back to a tracker that forgot it, as after a restart: the swarm lives on without its
    /// publisher.
    fn bring_back(&mut self, now: Timestamp) {
        let Some((manifest, _)) = self.content.as_ref().filter(|_| now >= self.next_return) else { return };
        let Ok(bytes) = manifest.to_bytes() else { return };
        self.next_return = now + RETURN_INTERVAL;
        let address = self.tracker.manifest_address(self.trackers.current(), self.swarm);
        let sent = bring_back(self.scope.clone(), &address, bytes, self.token_shown());
        self.later(async move {
            sent.await;
            Happening::Done
        });
    }

    /// Hands one input to the core; a link that ended is let go of first.
    pub(crate) fn input(&mut self, now: Timestamp, input: Input) {
        if let Input::LinkClosed(id, _) = &input
            && self.links.remove(id).is_none()
        {
            return;
        }
        self.peer.handle_input(now, input);
    }

    fn handle_page(&mut self, now: Timestamp, message: FromPage, attachment: Attachment) {
        match message {
            FromPage::Signal { link, signal } => self.input(now, Input::LocalSignal(LinkId(link), signal)),
            FromPage::Channel { link, label } => self.attach(LinkId(link), &label, attachment),
            FromPage::Closed { link, reason } => {
                self.input(now, Input::LinkClosed(LinkId(link), reason));
            }
            FromPage::Read { swarm, range, is_download } => {
                if let Attachment::Port(port) = attachment {
                    self.read(now, &swarm, port, range, is_download);
                }
            }
            FromPage::Player { at_ms, ahead_ms } => {
                self.player_ms = Some(u64::from(at_ms));
                if let Some((_, store)) = &self.content {
                    for input in self.readers.set_ahead(ahead_ms, store) {
                        self.input(now, input);
                    }
                }
            }
            FromPage::Upload { limit } => self.input(now, Input::Upload(limit.into())),
            FromPage::Consent { is_given } => {
                let consent = if is_given { Consent::Given } else { Consent::Refused };
                self.input(now, Input::Consent(consent));
            }
            FromPage::Fresh { id } => self.post_snapshot(Some(id)),
            FromPage::Digest { id } => self.advance_digest(Digest::new(id)),
            FromPage::Keep { is_kept } => self.keep(now, is_kept),
            FromPage::Leaving {} => self.keeping.rest(now),
            FromPage::Stop {} => {
                self.input(now, Input::Stop);
                self.close_store();
            }
        }
    }

    /// Opens a reader, unless it is for another content or nothing will ever come.
    fn read(
        &mut self,
        now: Timestamp,
        swarm: &str,
        port: MessagePort,
        range: Option<String>,
        is_download: bool,
    ) {
        if swarm.parse() != Ok(self.swarm) {
            return refuse(&port, "this page plays something else");
        }
        if let Some(reason) = &self.failure {
            return refuse(&port, reason);
        }
        if let Some(input) = self.readers.open(port, range, is_download) {
            self.input(now, input);
        }
        self.serve_readers(now);
    }

    fn advance_digest(&mut self, digest: Digest) {
        let progress = match &self.content {
            Some((_, store)) => digest.advance(store),
            None => Progress::Done(digest.id, None),
        };
        match progress {
            Progress::Done(id, digest) => ToPage::Digest { id, digest }.post(&self.scope),
            Progress::More(digest) => self.later(async move { Happening::Digest(digest) }),
        }
    }

    /// Tells the page how things stand, and waiting readers that they are not forgotten.
    pub(crate) fn post_snapshot(&self, id: Option<u32>) {
        let stats = self.peer.stats();
        let content = self.content.as_ref().map(|(manifest, _)| manifest);
        let playhead = content.zip(self.player_ms).and_then(|(manifest, at_ms)| place_at(manifest, at_ms));
        let levels = content.zip(self.peer.held().zip(self.peer.well_held()));
        let levels = levels
            .map(|(manifest, (held, well_held))| Levels::new(manifest, held, &well_held, &self.origins));
        let Levels { cells, shares, risks, cell_origins, segment_origins } = levels.unwrap_or_default();
        let arrays = [
            ("cells", cells),
            ("shares", shares),
            ("risks", risks),
            ("cell_origins", cell_origins),
            ("segment_origins", segment_origins),
        ];
        let arrays = arrays.map(|(name, bytes)| (name, to_array(&bytes)));
        ToPage::Stats { id, stats: &stats, playhead }.post_with(&self.scope, &arrays);
        self.readers.say_alive();
    }

    /// When the core wants to be called at the latest.
    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.peer.poll_timeout()
    }

    /// Tells the driver what a future comes to.
    pub(crate) fn later(&self, future: impl Future<Output = Happening> + 'static) {
        let driver = self.driver.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let happening = future.await;
            tell_in_turn(&driver, happening);
        });
    }
}

/// Tells a driver that may be gone what a channel or a promise told.
pub(crate) fn tell_in_turn(driver: &Weak<Driver>, happening: Happening) {
    if let Some(driver) = driver.upgrade() {
        driver.tell_in_turn(happening);
    }
}

/// Tells a driver that may be gone.
pub(crate) fn tell(driver: &Weak<Driver>, happening: Happening) {
    if let Some(driver) = driver.upgrade() {
        driver.tell(happening);
    }
}
