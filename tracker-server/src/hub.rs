//! Where sockets meet decisions: one lock around the pure state, and the outboxes its messages go to.
//!
//! The lock is held for one decision and the filing of its messages, so that what two decisions say to one
//! connection arrives in the order in which they were made. Nothing is awaited under it.

mod bridge;
mod guests;
mod homing;
mod leases;
mod publications;
mod requests;
mod rooms;
mod sharing;
mod siblings;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use swarm_core::publisher::TrackerName;
use swarm_core::relays::{self, Relays};
use swarm_core::tracker_message::{TrackerMessage, TrackerMessageBody};
use swarm_core::{Manifest, SwarmId, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::archive::{Archive, ArchiveError, Saved};
use crate::catalogue::{Catalogue, Page, PageRequest};
use crate::cluster::Cluster;
use crate::cluster::wire::FrameKey;
use crate::config::ServerConfig;
use crate::decision::network::Site;
use crate::decision::paces::Paces;
use crate::decision::token_bucket::Rate;
use crate::decision::{CloseReason, ConnectionId, Outgoing, Tracker, Visits, Wish};
use crate::engine::TrackerId;
use crate::limits::{PUBLICATION_BURST, PUBLICATION_RATE_PER_S, RELAY_LIFETIME};
use crate::manifests::Manifests;
use crate::metrics::{ClusterLevels, Levels, Metrics};
use crate::outbox::Outbox;
use crate::proof::Challenges;
use crate::removed::Removed;
use crate::siblings::greetings::Greetings;
use crate::socket::MessageRoom;
use crate::turns::Turns;
use guests::deliver_to_guest;
pub(crate) use leases::{OTHER_SECRET, Questions};
use rooms::{counts, rooms_of_cut_swarms};
pub(crate) use sharing::Telling;

/// The way to one connection.
#[derive(Debug)]
struct Line {
    /// Of a socket that is here. The way to a guest is known to the cluster.
    outbox: Option<Arc<Outbox>>,
    /// When its peer is to be given credentials for relays.
    relays_due: Timestamp,
}

#[derive(Debug)]
struct State {
    tracker: Tracker,
    manifests: Manifests,
    publishers: Paces,
    removed: Removed,
    /// Titles that the disk did not take; they are kept in memory.
    unsaved: BTreeSet<SwarmId>,
    lines: HashMap<ConnectionId, Line>,
    /// Number of the latest connection.
    connection: u64,
    /// Where there are several trackers: what this one knows of the others.
    cluster: Option<Box<Cluster>>,
    siblings: siblings::Siblings,
    visits: Visits,
    returning: rooms::Returning,
}

/// Wakes those who carry out what the cluster decided.
#[derive(Debug, Default)]
pub(crate) struct Due {
    /// Messages wait to be sent.
    pub(crate) wires: Notify,
    /// The engine is to be asked for homes.
    pub(crate) asks: Notify,
    /// The list of publications changed here.
    pub(crate) lists: Notify,
    /// The engine knows what changed here.
    pub(crate) shared: Notify,
}

/// Whose WebSocket it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// The name by which it calls the tracker.
    pub(crate) name: TrackerName,
}

/// What all connections of one tracker share.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) config: ServerConfig,
    pub(crate) metrics: Metrics,
    /// Cancelled when the tracker begins to stop.
    pub(crate) stopping: CancellationToken,
    /// Counts the WebSockets that are not closed yet.
    pub(crate) sockets: TaskTracker,
    /// Manifests that may be received at this moment.
    pub(crate) turns: Turns,
    /// Connections that have not shown yet that they are siblings.
    pub(crate) greetings: Arc<Greetings>,
    /// Memory for long messages that are on their way.
    pub(crate) room: Arc<MessageRoom>,
    pub(crate) due: Due,
    /// Where it listens, once it does.
    pub(crate) name: OnceLock<String>,
    challenges: Challenges,
    catalogue: Catalogue,
    archive: Option<Archive>,
    requests: Mutex<Paces>,
    handshakes: Mutex<Paces>,
    started: Instant,
    is_among_several: bool,
    state: Mutex<State>,
}

impl Hub {
    /// A hub that knows what its data directory keeps, if it has one. `me` is its name among several trackers.
    pub(crate) fn new(config: ServerConfig, me: Option<TrackerId>) -> Result<Self, ArchiveError> {
        let shared_key = |context| config.tracker.resume_key.derived(context);
        let frame_key = shared_key("tributary 2026 frames between trackers");
        let mut state = State {
            tracker: Tracker::new(config.tracker.clone()),
            manifests: Manifests::default(),
            publishers: Paces::new(Rate { per_s: PUBLICATION_RATE_PER_S, burst: PUBLICATION_BURST }),
            removed: Removed::default(),
            unsaved: BTreeSet::new(),
            lines: HashMap::new(),
            connection: 0,
            siblings: siblings::Siblings::default(),
            visits: Visits::default(),
            returning: rooms::Returning::default(),
            cluster: me.map(|me| Box::new(Cluster::new(me, FrameKey::new(frame_key)))),
        };
        let archive = config.data_dir.as_deref().map(Archive::open).transpose()?;
        let archive = archive.map(|(archive, before)| {
            before.removed.into_iter().for_each(|(swarm, owner)| _ = state.removed.insert(swarm, owner));
            restore(&mut state, before.saved);
            archive
        });
        // A publisher may be given its challenge by one tracker and show it to another.
        let challenges = match me {
            Some(_) => Challenges::new(&shared_key("tributary 2026 challenges of several trackers")),
            None => Challenges::new(&config.tracker.seed.to_le_bytes()),
        };
        Ok(Self {
            requests: Mutex::new(Paces::new(config.requests)),
            handshakes: Mutex::new(Paces::new(config.handshakes)),
            config,
            metrics: Metrics::new(),
            stopping: CancellationToken::new(),
            sockets: TaskTracker::new(),
            turns: Turns::default(),
            greetings: Arc::default(),
            room: Arc::default(),
            due: Due::default(),
            name: OnceLock::new(),
            challenges,
            catalogue: Catalogue::default(),
            archive,
            started: Instant::now(),
            is_among_several: me.is_some(),
            state: Mutex::new(state),
        })
    }

    /// Registers a WebSocket. It may be told to close at once.
    pub(crate) fn open(&self, Caller { address, name }: Caller) -> (ConnectionId, Arc<Outbox>) {
        let outbox = Arc::new(Outbox::default());
        let mut state = self.lock();
        state.connection += 1;
        let connection = ConnectionId(state.connection);
        let line = Line { outbox: Some(Arc::clone(&outbox)), relays_due: Timestamp::ZERO };
        state.lines.insert(connection, line);
        let outgoing = state.tracker.connected(self.now(), connection, address);
        state.tracker.called(connection, name);
        self.deliver(&mut state, outgoing);
        // `stop` closes what is registered; a socket that comes after it must not be left out.
        if self.stopping.is_cancelled() {
            outbox.close(CloseReason::Stopping);
        }
        (connection, outbox)
    }

    /// Forgets a WebSocket that is closing.
    pub(crate) fn close(&self, connection: ConnectionId) {
        let mut state = self.lock();
        self.end_visits(&mut state, connection);
        state.lines.remove(&connection);
        Self::call_back(&mut state, connection);
        if let Some(cluster) = &mut state.cluster {
            cluster.dismiss(connection);
        }
        let outgoing = state.tracker.disconnected(self.now(), connection);
        self.deliver(&mut state, outgoing);
        self.wake(&state);
    }

    /// Whether a WebSocket has said an accepted `hello`.
    pub(crate) fn is_greeted(&self, connection: ConnectionId) -> bool {
        self.lock().tracker.is_greeted(connection)
    }

    /// For how long a WebSocket may stay with the permission that it showed; none if that has no end.
    pub(crate) fn permitted_for(&self, connection: ConnectionId) -> Option<Duration> {
        let until = self.lock().tracker.permitted_until(connection)?;
        Some(until.since(self.now()))
    }

    /// Ends a WebSocket whose permission is over.
    pub(crate) fn expire(&self, connection: ConnectionId) {
        let mut state = self.lock();
        let outgoing = state.tracker.expire(self.now(), connection);
        self.deliver(&mut state, outgoing);
        self.wake(&state);
    }

    /// Counts a publication of an address, or says after how many ms it may be tried again.
    pub(crate) fn admit_publication(&self, site: Site) -> Result<(), u32> {
        let now = self.now();
        self.lock().publishers.admit(now, site)
    }

    /// Counts an HTTP request of an address, or says after how many ms it may be tried again.
    pub(crate) fn admit_request(&self, address: IpAddr) -> Result<(), u32> {
        admit(&self.requests, self.now(), address)
    }

    /// Counts a search of the catalogue as the requests that it costs, or says after how many ms it may be tried again.
    pub(crate) fn admit_search(&self, address: IpAddr, request: &PageRequest) -> Result<(), u32> {
        let titles = self.lock().manifests.len();
        let cost = request.search_cost(titles);
        if cost == 0 {
            return Ok(());
        }
        let mut paces = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        paces.admit_several(self.now(), Site::of(address), cost)
    }

    /// Counts a TLS handshake of an address, or says after how many ms it may be tried again.
    pub(crate) fn admit_handshake(&self, address: IpAddr) -> Result<(), u32> {
        admit(&self.handshakes, self.now(), address)
    }

    pub(crate) fn catalogue_page(&self, request: &PageRequest) -> Page {
        self.catalogue.page(request, || {
            let state = self.lock();
            state.manifests.catalogue(|swarm| counts(&state, swarm))
        })
    }

    pub(crate) fn metrics_text(&self) -> Result<String, fmt::Error> {
        let state = self.lock();
        let (members, guests) = state.cluster.as_ref().map_or((0, 0), |cluster| cluster.counts());
        let (unshared, is_engine_full) = Self::unshared_levels(&state);
        let levels = Levels {
            connections: state.lines.len() - guests - state.siblings.hosts.len(),
            peers: state.tracker.peer_count(),
            manifests: state.manifests.len(),
            balance: state.tracker.balance(),
            rooms: rooms_of_cut_swarms(&state),
            visits: state.visits.len(),
            cluster: ClusterLevels {
                is_engine_up: state.cluster.as_ref().is_some_and(|cluster| cluster.is_leased()),
                trackers: state.cluster.as_ref().map_or(0, |cluster| cluster.records.iter().count()),
                homes: state.cluster.as_ref().map_or(0, |cluster| cluster.seats.homes().len()),
                members,
                guests,
                unshared,
                is_engine_full,
            },
        };
        drop(state);
        self.metrics.text(levels)
    }

    /// Begins to stop: not ready any more, every WebSocket is closed.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
        for outbox in self.lock().lines.values().filter_map(|line| line.outbox.as_ref()) {
            outbox.close(CloseReason::Stopping);
        }
        self.sockets.close();
    }

    fn deliver(&self, state: &mut State, outgoing: Vec<(ConnectionId, Outgoing)>) {
        for (connection, outgoing) in outgoing {
            if let Outgoing::Send(message) = &outgoing
                && let TrackerMessageBody::Error { code, .. } = &message.body
            {
                self.metrics.count_error(*code);
            }
            let Some(connection) = self.heard_by(state, connection, &outgoing) else { continue };
            let State { tracker, lines, cluster, siblings, .. } = &mut *state;
            let Some(line) = lines.get_mut(&connection) else { continue };
            let is_of_sibling = line.outbox.is_none() && siblings.hosts.has(connection);
            match outgoing {
                Outgoing::Send(message) if is_of_sibling => siblings.deliver(connection, &message),
                Outgoing::Close(_) if is_of_sibling => {
                    siblings.hosts.forget(connection, true);
                    lines.remove(&connection);
                }
                Outgoing::Send(message) => {
                    let relays = self.relays_due(line, &message, || {
                        let site = tracker.joined_site(connection)?;
                        Some((site, tracker.is_relay_required(connection)))
                    });
                    let frame = match relays {
                        Some(relays) => relays::encode_with(&message, &relays),
                        None => message.encode(),
                    };
                    match &line.outbox {
                        Some(outbox) => file(outbox, connection, frame),
                        None => deliver_to_guest(cluster.as_deref_mut(), connection, &message, frame),
                    }
                }
                Outgoing::Close(reason) => match &line.outbox {
                    Some(outbox) => outbox.close(reason),
                    None => self.close_guest(state, connection, reason),
                },
            }
        }
    }

    /// Relays for a peer whose `join` or `report` is answered, if it is time to give it credentials.
    fn relays_due(
        &self,
        line: &mut Line,
        message: &TrackerMessage,
        receiver: impl FnOnce() -> Option<(Site, bool)>,
    ) -> Option<Relays> {
        let is_state = matches!(message.body, TrackerMessageBody::Swarm { .. });
        if !is_state || self.config.relays.is_empty() || line.relays_due > self.now() {
            return None;
        }
        let (site, is_required) = receiver()?;
        let servers = self.config.relays.of(site);
        line.relays_due = self.now() + RELAY_LIFETIME / 2;
        Some(Relays { servers, is_required })
    }

    /// The time since this hub began.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn admit(paces: &Mutex<Paces>, now: Timestamp, address: IpAddr) -> Result<(), u32> {
    paces.lock().unwrap_or_else(PoisonError::into_inner).admit(now, Site::of(address))
}

/// Files a frame for a socket.
fn file(outbox: &Outbox, connection: ConnectionId, frame: String) {
    if !outbox.push(frame) {
        tracing::debug!(connection = connection.0, "a message was dropped: the connection closes");
    }
}

/// Takes in what was saved by an earlier life of the tracker.
fn restore(state: &mut State, saved: Vec<Saved>) {
    for Saved { swarm, provenance, number, bytes } in saved {
        let manifest = match Manifest::from_bytes(swarm, &bytes) {
            Ok(manifest) => manifest,
            Err(error) => {
                tracing::warn!(%swarm, "a saved manifest is left out: {error}");
                continue;
            }
        };
        if state.manifests.restore(swarm, &manifest, bytes, provenance, number) {
            let wishes = manifest.segments.iter().map(Wish::from);
            state.tracker.add_swarm(swarm, manifest.seal.publisher, wishes, media_bps(&manifest));
        }
    }
}

/// Rate of the media, bits a second; 0 if not known.
fn media_bps(manifest: &Manifest) -> u64 {
    manifest.rate_bytes_per_s().unwrap_or(0).saturating_mul(8)
}
