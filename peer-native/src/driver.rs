//! The driver of one [`Peer`]: a thread that feeds it what happens and does what it asks.
//!
//! Owns the clock, the order of things and the store; sockets and connections run as tasks of their own and
//! reach the driver through bounded queues. Every decision is the core's.
//!
//! ```text
//! handle ─ commands ─┐                                  ┌─→ tracker task, HTTP
//! tracker ─ events ──┼─→ select ─Input→ Peer ─Output→ act ─→ link tasks
//! links ─── events ──┤      ↑ poll_timeout              ├─→ store
//! clock ─────────────┘                                  └─→ notices ─→ handle
//! ```

mod linking;
mod mirroring;
mod moving;
mod outposts;
mod storing;
mod tracking;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use swarm_core::peer::{
    Event, FetchError, FetchId, Input, MirrorError, OutpostId, OutpostInput, Output, PublishError,
};
use swarm_core::relays::Relays;
use swarm_core::tracker_list::TrackerList;
use swarm_core::tracker_message::Role;
use swarm_core::{Geometry, GroupRange, LinkId, Manifest, Peer, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::address::TrackerAddress;
use crate::handle::{Command, Content, DriverOptions, Notice};
use crate::link::{Link, LinkEvent, LinkOptions};
use crate::network::Network;
use crate::publications::{self, Credentials};
use crate::store::{Opened, Store, StoreError};
use crate::tracker::{Tracker, TrackerEvent};

/// Events of all links that may wait for the driver: 16 MiB of payload at most.
const LINK_EVENTS_MAX: usize = 256;

/// Link events handled between two looks at anything else.
const LINK_EVENTS_AT_ONCE: usize = 32;

/// Events of the tracker's socket that may wait for the driver.
const TRACKER_EVENTS_MAX: usize = 64;

/// Until the next look at the clock while nothing at all is due.
const IDLE: Duration = Duration::from_secs(3600);

/// For sockets and connections to close after a stop.
const STOP_TIMEOUT: Duration = Duration::from_millis(1500);

/// What tasks other than links and the tracker's socket answer.
enum Answer {
    Manifest(Result<Bytes, FetchError>),
    Published(Result<(), PublishError>),
    PublishedAt(OutpostId, Result<(), PublishError>),
    /// The manifest was brought back to a tracker that forgot it, or not.
    Returned(Result<(), PublishError>),
    Opened(Result<Box<Opened>, StoreError>),
    /// A mirror answered.
    Fetched(FetchId, Result<Bytes, MirrorError>),
}

/// The driver's ends of its queues.
pub(crate) struct Queues {
    links: mpsc::Receiver<(LinkId, LinkEvent)>,
    tracker: mpsc::Receiver<(u64, TrackerEvent)>,
    answers: mpsc::Receiver<Answer>,
}

pub(crate) struct Driver {
    peer: Peer,
    swarm: swarm_core::SwarmId,
    started: Instant,
    /// Where tasks run; not this thread.
    runtime: Handle,
    trackers: TrackerList<TrackerAddress>,
    outposts: Vec<outposts::Outpost>,
    is_initial: bool,
    network: Network,
    is_listed: bool,
    /// Whether the tracker took the manifest before.
    has_published: bool,
    credentials: Arc<Credentials>,
    /// Until the manifest is known; then it can be brought back to a tracker that forgot it.
    manifest: Option<Arc<Manifest>>,
    /// When it may be brought back again.
    next_return: Instant,
    /// Relays that the tracker gave with its answer to `join`.
    relays: Relays,
    notices: broadcast::Sender<Notice>,

    links: HashMap<LinkId, Link>,
    link_events: mpsc::Sender<(LinkId, LinkEvent)>,
    /// The socket in use, with its number.
    tracker: Option<(u64, Tracker)>,
    moving: moving::Moving,
    /// How many sockets to trackers were opened.
    sockets: u64,
    tracker_events: mpsc::Sender<(u64, TrackerEvent)>,
    closing: Vec<JoinHandle<()>>,
    answers: mpsc::Sender<Answer>,
    /// What asks mirrors, once one is asked.
    mirrors: Option<ureq::Agent>,
    /// Fetches from mirrors that are awaited; `true`: not any more.
    fetches: HashMap<FetchId, Arc<AtomicBool>>,

    /// Until the manifest is known.
    content: Option<Content>,
    store: Option<Store>,
    geometry: Geometry,
    saved_count: u32,
    next_save: Instant,
    /// What acting on outputs led to; taken in before anything else.
    inputs: VecDeque<Input>,
}

impl Driver {
    /// A driver whose tasks run on `runtime`, and its ends of the queues.
    pub(crate) fn new(
        options: DriverOptions,
        runtime: Handle,
        notices: broadcast::Sender<Notice>,
    ) -> (Self, Queues) {
        let (link_events, links) = mpsc::channel(LINK_EVENTS_MAX);
        let (tracker_events, tracker) = mpsc::channel(TRACKER_EVENTS_MAX);
        let (answer_sender, answers) = mpsc::channel(TRACKER_EVENTS_MAX);
        let started = Instant::now();
        let credentials = Credentials {
            key: options.peer.publisher.as_ref().map(|publisher| publisher.key.clone()),
            publish_token: options.publish_token,
            token: options.peer.token.clone(),
        };
        let (seed, is_initial) = (options.peer.seed, options.peer.role == Role::Initial);
        let driver = Self {
            credentials: Arc::new(credentials),
            swarm: options.peer.swarm,
            peer: Peer::new(options.peer),
            started,
            runtime,
            trackers: TrackerList::new(options.tracker, seed),
            outposts: options.outposts.into_iter().map(outposts::Outpost::new).collect(),
            is_initial,
            network: options.network,
            is_listed: options.is_listed,
            has_published: false,
            manifest: None,
            next_return: started,
            relays: Relays::default(),
            notices,
            links: HashMap::new(),
            link_events,
            tracker: None,
            moving: moving::Moving::default(),
            sockets: 0,
            tracker_events,
            closing: Vec::new(),
            answers: answer_sender,
            mirrors: None,
            fetches: HashMap::new(),
            content: Some(options.content),
            store: None,
            geometry: Geometry::new(0),
            saved_count: 0,
            next_save: started,
            inputs: VecDeque::from([Input::Start]),
        };
        (driver, Queues { links, tracker, answers })
    }

    /// Until it is told to stop, or nobody is left to tell it.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>, mut queues: Queues) {
        let mut batch = Vec::with_capacity(LINK_EVENTS_AT_ONCE);
        self.settle();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    None | Some(Command::Stop) => break,
                    Some(Command::Input(input)) => self.inputs.push_back(input),
                    // The asker may have given up waiting.
                    Some(Command::Stats(reply)) => drop(reply.send(self.peer.stats())),
                    Some(Command::Playable(group, reply)) => drop(reply.send(self.playable(group))),
                },
                Some((number, event)) = queues.tracker.recv() => self.tracker_event(number, event),
                Some(answer) = queues.answers.recv() => self.answered(answer),
                () = tokio::time::sleep_until(deadline.into()) => self.on_time(),
                _ = queues.links.recv_many(&mut batch, LINK_EVENTS_AT_ONCE) => {
                    for (link, event) in batch.drain(..) {
                        self.link_event(link, event);
                        self.settle();
                    }
                }
            }
            self.settle();
        }
        self.stop(queues).await;
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// When to look at the clock, at the latest.
    fn deadline(&self) -> Instant {
        let peer = self.peer.poll_timeout().map(|at| self.started + Duration::from_micros(at.as_micros()));
        let save = self.is_growing().then_some(self.next_save);
        peer.into_iter().chain(save).min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn on_time(&mut self) {
        let now = self.now();
        if self.peer.poll_timeout().is_some_and(|at| at <= now) {
            self.peer.handle_timeout(now);
        }
        if Instant::now() >= self.next_save {
            self.save();
        }
    }

    /// Takes in what is queued and does what follows, until nothing does.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.peer.poll_output() {
                self.act(output);
            }
            let Some(input) = self.inputs.pop_front() else { return };
            self.peer.handle_input(self.now(), input);
        }
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::ConnectTracker => self.connect_tracker(),
            Output::DisconnectTracker => self.give_up_tracker(),
            Output::Tracker(request) => {
                if self.tracker.as_ref().is_some_and(|(_, tracker)| !tracker.send(request)) {
                    self.tracker_ended("the tracker does not keep up".into());
                }
            }
            Output::FetchManifest => {
                let (address, swarm) = (self.trackers.current().clone(), self.swarm);
                let credentials = self.credentials();
                self.ask(move || {
                    Answer::Manifest(publications::fetch_manifest(&address, swarm, &credentials))
                });
            }
            Output::PublishManifest(bytes) => self.publish(bytes),
            Output::Move(output) => self.act_on_move(output),
            Output::Outpost(id, output) => self.act_at_outpost(id, output),
            Output::Connect { link, is_offerer, ice_servers } => {
                let (is_local, network) = (self.trackers.current().is_local(), self.network.clone());
                let is_relayed = self.relays.is_required;
                let ice_servers = ice_servers.iter().chain(&self.relays.servers).cloned().collect();
                let options = LinkOptions { is_offerer, ice_servers, is_relayed, is_local, network };
                let opened = Link::open(&self.runtime, link, options, self.link_events.clone());
                self.links.insert(link, opened);
            }
            Output::RemoteSignal(link, signal) => self.with_link(link, |link| link.signal(signal)),
            Output::CloseLink(link, reason) => {
                tracing::debug!(link = link.0, reason, "closing a link");
                self.links.remove(&link);
            }
            Output::Control(link, message) => self.with_link(link, |link| link.control(&message)),
            Output::Data(link, head) => self.send_data(link, &head),
            Output::LowWater(link, bytes) => self.with_link(link, |link| link.set_low_water(bytes)),
            Output::FetchRange(fetch) => self.fetch_range(fetch),
            Output::AbortFetch(fetch) => self.abort_fetch(fetch),
            Output::Store(verified) => self.keep(&verified),
            // A file that is fetched has room for all of it.
            Output::Evict(range) => tracing::debug!(?range, "not needed any more"),
            Output::Event(event) => self.event(event),
        }
    }

    /// Runs something that blocks where that harms nobody.
    fn ask(&self, question: impl FnOnce() -> Answer + Send + 'static) {
        let answers = self.answers.clone();
        self.runtime.spawn_blocking(move || {
            // An error means that the driver is gone.
            let _ = answers.blocking_send(question());
        });
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Manifest(result) => self.inputs.push_back(Input::ManifestFetched(result)),
            Answer::Published(result) => {
                self.has_published |= result.is_ok();
                self.inputs.push_back(Input::ManifestPublished(result));
            }
            Answer::PublishedAt(id, result) => {
                self.note_published_at(id, result.is_ok());
                self.inputs.push_back(Input::Outpost(id, OutpostInput::Published(result)));
            }
            Answer::Returned(Ok(())) => tracing::info!("the manifest was brought back to the tracker"),
            Answer::Returned(Err(PublishError::Refused(reason) | PublishError::Failed(reason))) => {
                tracing::warn!("the tracker forgot this content and does not take it back: {reason}");
            }
            Answer::Opened(Ok(opened)) => self.store_opened(*opened),
            Answer::Fetched(fetch, result) => {
                if self.fetches.remove(&fetch).is_some() {
                    self.inputs.push_back(Input::Fetched(fetch, result));
                }
            }
            Answer::Opened(Err(error)) => self.notice(Notice::StoreFailed(error.to_string())),
        }
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::ManifestReady(manifest) => {
                self.manifest = Some(Arc::clone(manifest));
                self.learn_trackers(manifest);
                self.open_store(manifest);
            }
            Event::Complete => {
                if let Some(Err(error)) = self.store.as_mut().map(Store::finish) {
                    self.store_failed(GroupRange::new(0, 0), &error);
                } else {
                    self.notice(Notice::Finished);
                }
            }
            Event::TrackerUp
            | Event::TrackerDown { .. }
            | Event::UnknownSwarm
            | Event::Waiting { .. }
            | Event::PeersWithheld { .. }
            | Event::Scarcity(_)
            | Event::Outpost { .. }
            | Event::Banned { .. }
            | Event::MirrorLost { .. }
            | Event::Dismissed { .. }
            | Event::Failed(_) => {}
        }
        self.notice(Notice::Peer(event));
    }

    /// Leaves the swarm and waits, not for ever, until that is carried out.
    async fn stop(mut self, mut queues: Queues) {
        self.inputs.push_back(Input::Stop);
        self.settle();
        self.save();
        self.disconnect_tracker();
        self.disconnect_moving();
        self.disconnect_outposts();
        self.links.clear();
        drop(self.link_events);
        let closing = async {
            for task in self.closing {
                // A task that panicked has closed its socket, too.
                let _ = task.await;
            }
            // The queue ends when the last link's task has.
            while queues.links.recv().await.is_some() {}
        };
        if timeout(STOP_TIMEOUT, closing).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }

    fn notice(&self, notice: Notice) {
        // An error means that nobody listens.
        let _ = self.notices.send(notice);
    }
}
