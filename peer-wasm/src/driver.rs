//! The driver: feeds the core what happens in this worker and has done what it asks.
//!
//! Everything that happens, from whatever callback, is put into one queue and taken out by whoever is not
//! already doing so. So the state is borrowed in one place, and no callback can find it borrowed. What channels, promises and the page
//! tell is taken out in the next [turn](crate::turns), the rest before the callback returns; what bounds the queue is what neighbours
//! may have in flight, and what one happening can cause.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use js_sys::Promise;
use swarm_core::peer::{FetchId, MirrorError, PeerConfig, PublishError};
use swarm_core::relays::Relays;
use swarm_core::{Input, LinkId, Peer, ReaderId, Timestamp};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{DedicatedWorkerGlobalScope, WebSocket};

use crate::channel::ChannelEvent;
use crate::digest::Digest;
use crate::link::Lane;
use crate::page::{Attachment, FromPage, ToPage};
use crate::reader::Call;
use crate::state::State;
use crate::store::open::{Storage, open};
use crate::turns::Turns;

/// Time between two accounts of how things stand, µs.
const SNAPSHOT_INTERVAL_US: u64 = 250_000;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Happening {
    /// Straight to the core.
    Input(Input),
    /// The page said something.
    Page(FromPage, Attachment),
    /// Something happened on a link's channel.
    Channel(LinkId, Lane, ChannelEvent),
    /// A tracker's socket, by its number, said something.
    Tracker(u32, Input),
    /// The tracker gave relays, in place of those it gave before.
    Relays(u32, Relays),
    /// A mirror answered.
    Fetched(FetchId, Result<Bytes, MirrorError>),
    /// A request is over whose result nothing depends on.
    Done,
    /// The service worker asks something of a reader.
    Reader(ReaderId, Call),
    /// The browser gave files for the content, or none.
    Storage(Option<Box<Storage>>),
    /// More of a digest can be computed.
    Digest(Digest),
    /// Time has passed.
    Timer,
}

/// What the link says beside the swarm, and what the loader began before this module was compiled.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// Where playback is to begin.
    pub(crate) start_ms: Option<u64>,
    /// Permission to use a closed tracker.
    pub(crate) token: Option<String>,
    /// The address of the folder that the tracker and the page's files are in.
    pub(crate) base: String,
    /// The tracker's socket.
    pub(crate) socket: Option<WebSocket>,
    /// A response that brings the manifest.
    pub(crate) manifest: Option<Promise>,
}

/// Drives one peer for as long as the worker lives.
pub(crate) struct Driver {
    scope: DedicatedWorkerGlobalScope,
    state: RefCell<State>,
    queue: RefCell<VecDeque<Happening>>,
    is_running: Cell<bool>,
    turns: Turns,
    started_ms: f64,
    snapshot_due: Cell<Timestamp>,
    /// The timer that is set: its number and when it fires.
    timer: Cell<Option<(i32, Timestamp)>>,
    on_timer: Closure<dyn FnMut()>,
}

impl Driver {
    /// A driver whose peer has not started.
    pub(crate) fn new(scope: DedicatedWorkerGlobalScope, config: PeerConfig, early: Early) -> Rc<Self> {
        Rc::new_cyclic(|this: &Weak<Self>| {
            let timer = this.clone();
            let on_timer = Closure::new(move || {
                if let Some(driver) = timer.upgrade() {
                    driver.timer.set(None);
                    driver.tell(Happening::Timer);
                }
            });
            let turn = this.clone();
            let turns = Turns::new(move || {
                if let Some(driver) = turn.upgrade() {
                    driver.run();
                }
            });
            let named = (config.swarm, config.seed);
            let state = State::new(scope.clone(), named, Peer::new(config), early, this.clone());
            Self {
                started_ms: now_ms(&scope),
                scope,
                state: RefCell::new(state),
                queue: RefCell::default(),
                is_running: Cell::new(false),
                turns,
                snapshot_due: Cell::new(Timestamp::ZERO),
                timer: Cell::new(None),
                on_timer,
            }
        })
    }

    /// Takes something that happened in a task that ends with this worker, and does whatever follows from it.
    pub(crate) fn tell(&self, happening: Happening) {
        self.queue.borrow_mut().push_back(happening);
        self.run();
    }

    /// Takes something that a channel, a promise or the page told. It may come when the worker's context is gone.
    pub(crate) fn tell_in_turn(&self, happening: Happening) {
        self.queue.borrow_mut().push_back(happening);
        if !self.turns.ask() {
            self.run();
        }
    }

    /// The page says that it goes away or may do so. That comes before whatever waits: what waits would write to files, and the
    /// worker's context may be gone already.
    pub(crate) fn leave(&self, message: FromPage) {
        self.queue.borrow_mut().push_front(Happening::Page(message, Attachment::None));
        self.run();
    }

    /// Does what follows from all that happened, unless that is being done.
    fn run(&self) {
        if self.is_running.replace(true) {
            return;
        }
        let mut state = self.state.borrow_mut();
        while let Some(happening) = self.next() {
            state.handle(self.now(), happening);
        }
        let now = self.now();
        if self.snapshot_due.get() <= now {
            state.post_snapshot(None);
            self.snapshot_due.set(Timestamp::from_micros(now.as_micros() + SNAPSHOT_INTERVAL_US));
        }
        self.is_running.set(false);
        let due =
            state.poll_timeout().map_or(self.snapshot_due.get(), |due| due.min(self.snapshot_due.get()));
        self.set_timer(now, due);
    }

    /// Asks the browser for files to keep the content in.
    pub(crate) fn open_storage(&self, is_reload: bool) {
        let state = self.state.borrow();
        let opening = open(self.scope.clone(), state.swarm, is_reload);
        state.later(async move { Happening::Storage(opening.await.map(Box::new)) });
    }

    fn next(&self) -> Option<Happening> {
        self.queue.borrow_mut().pop_front()
    }

    fn now(&self) -> Timestamp {
        let micros = (now_ms(&self.scope) - self.started_ms).max(0.0) * 1000.0;
        Timestamp::from_micros(micros as u64)
    }

    /// Sees to it that the timer fires at `due` at the latest. One that fires earlier is left alone: setting
    /// a timer costs more than waking once in vain.
    fn set_timer(&self, now: Timestamp, due: Timestamp) {
        match self.timer.get() {
            Some((_, set)) if set <= due => return,
            Some((timer, _)) => self.scope.clear_timeout_with_handle(timer),
            None => {}
        }
        let wait_ms = due.since(now).as_micros().div_ceil(1000);
        let wait_ms = i32::try_from(wait_ms).unwrap_or(i32::MAX);
        let callback = self.on_timer.as_ref().unchecked_ref();
        let set = self.scope.set_timeout_with_callback_and_timeout_and_arguments_0(callback, wait_ms);
        match set {
            Ok(timer) => self.timer.set(Some((timer, due.max(now)))),
            Err(_) => {
                ToPage::Failed { reason: "the browser refuses to set a timer; reload the page" }
                    .post(&self.scope);
            }
        }
    }
}

/// The browser's monotonic clock.
fn now_ms(scope: &DedicatedWorkerGlobalScope) -> f64 {
    scope.performance().map_or(0.0, |performance| performance.now())
}

/// The answer where a browser is asked to publish, which it never does.
pub(crate) fn cannot_publish() -> Input {
    Input::ManifestPublished(Err(PublishError::Refused(
        "a browser does not publish; use the seeder".to_owned(),
    )))
}
