//! The engine for several trackers in one process.
//!
//! [`Ledger`] is the whole of it, without a clock; [`MemoryEngine`] gives it one and a way to wait. The Lua scripts of the
//! Redis engine do the same, step by step.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use swarm_core::{SwarmId, Timestamp};
use tokio::sync::mpsc;

use super::{Beat, Change, Claim, Engine, EngineError, Home, Inbox, TrackerId};
use crate::decision::Room;
use crate::limits::{CHANGES_PAGE_MAX, INBOX_FRAMES_MAX, PUBLICATIONS_SHARED_MAX};

/// What is shared, at a time that the caller tells.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Until when each lease stands, and the record of its tracker.
    trackers: BTreeMap<TrackerId, (Timestamp, Bytes)>,
    homes: HashMap<Room, Home>,
    /// The latest epoch.
    epoch: u64,
    /// What is published, and which change was the last.
    publications: HashMap<SwarmId, (u64, Option<Bytes>)>,
    revision: u64,
}

impl Ledger {
    /// See [`Engine::beat`].
    pub fn beat(&mut self, now: Timestamp, me: TrackerId, record: Bytes, lease: Duration) -> Beat {
        let has_lapsed = !self.has_lease(now, me);
        self.trackers.insert(me, (now + lease, record));
        self.trackers.retain(|_, (until, _)| *until > now);
        let trackers = self.trackers.iter().map(|(tracker, (_, record))| (*tracker, record.clone()));
        Beat { has_lapsed, trackers: trackers.collect(), life: 1, revision: self.revision }
    }

    /// See [`Engine::retire`].
    pub fn retire(&mut self, me: TrackerId) {
        self.trackers.remove(&me);
    }

    /// See [`Engine::claim`].
    pub fn claim(&mut self, now: Timestamp, me: TrackerId, room: impl Into<Room>) -> Claim {
        let room = room.into();
        if let Some(home) = self.homes.get(&room)
            && (home.tracker == me || self.has_lease(now, home.tracker))
        {
            return Claim::Home(*home);
        }
        if !self.has_lease(now, me) {
            return Claim::NoLease;
        }
        Claim::Home(self.set_home(room, me))
    }

    /// See [`Engine::hand_over`].
    pub fn hand_over(&mut self, me: TrackerId, to: TrackerId, room: impl Into<Room>) -> Option<Home> {
        let room = room.into();
        let is_own = self.homes.get(&room).is_some_and(|home| home.tracker == me);
        is_own.then(|| self.set_home(room, to))
    }

    /// See [`Engine::release`].
    pub fn release(&mut self, me: TrackerId, room: impl Into<Room>) {
        let room = room.into();
        if self.homes.get(&room).is_some_and(|home| home.tracker == me) {
            self.homes.remove(&room);
        }
    }

    /// See [`Engine::publish`] and [`Engine::remove`].
    pub fn publish(&mut self, swarm: SwarmId, bytes: Option<Bytes>) {
        self.revision += 1;
        self.publications.insert(swarm, (self.revision, bytes));
        if self.publications.len() > PUBLICATIONS_SHARED_MAX {
            let oldest = self.publications.iter().min_by_key(|(_, (revision, _))| *revision);
            let oldest = oldest.map(|(swarm, _)| *swarm);
            oldest.map(|oldest| self.publications.remove(&oldest));
        }
    }

    /// See [`Engine::publication`].
    pub fn publication(&self, swarm: SwarmId) -> Option<Bytes> {
        self.publications.get(&swarm)?.1.clone()
    }

    /// See [`Engine::changes`].
    pub fn changes(&self, after: u64) -> Vec<Change> {
        let later = self.publications.iter().filter(|(_, (revision, _))| *revision > after);
        let change = |(swarm, (revision, bytes)): (&SwarmId, &(u64, Option<Bytes>))| Change {
            revision: *revision,
            swarm: *swarm,
            bytes: bytes.clone(),
        };
        let mut changes: Vec<Change> = later.map(change).collect();
        changes.sort_by_key(|change| change.revision);
        changes.truncate(CHANGES_PAGE_MAX);
        changes
    }

    fn has_lease(&self, now: Timestamp, tracker: TrackerId) -> bool {
        self.trackers.get(&tracker).is_some_and(|(until, _)| *until > now)
    }

    fn set_home(&mut self, room: Room, tracker: TrackerId) -> Home {
        self.epoch += 1;
        let home = Home { tracker, epoch: self.epoch };
        self.homes.insert(room, home);
        home
    }
}

#[derive(Debug)]
struct Shared {
    started: Instant,
    ledger: Ledger,
    inboxes: HashMap<TrackerId, mpsc::Sender<Bytes>>,
    is_away: bool,
}

/// The engine. Clones share one state.
#[derive(Debug, Clone)]
pub struct MemoryEngine(Arc<Mutex<Shared>>);

impl Default for MemoryEngine {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Shared {
            started: Instant::now(),
            ledger: Ledger::default(),
            inboxes: HashMap::new(),
            is_away: false,
        })))
    }
}

impl MemoryEngine {
    /// Makes the engine fail, as if it could not be reached, or work again. Subscriptions end.
    pub fn set_away(&self, is_away: bool) {
        let mut shared = self.lock();
        shared.is_away = is_away;
        shared.inboxes.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Ledger, Timestamp) -> T) -> Result<T, EngineError> {
        let mut shared = self.lock();
        if shared.is_away {
            return Err(EngineError::Away("it is switched off".into()));
        }
        let now = Timestamp::ZERO + shared.started.elapsed();
        Ok(act(&mut shared.ledger, now))
    }
}

impl Engine for MemoryEngine {
    async fn beat(&self, me: TrackerId, record: Bytes, lease: Duration) -> Result<Beat, EngineError> {
        self.with(|ledger, now| ledger.beat(now, me, record, lease))
    }

    async fn retire(&self, me: TrackerId) -> Result<(), EngineError> {
        self.lock().inboxes.remove(&me);
        self.with(|ledger, _| ledger.retire(me))
    }

    async fn claim(&self, rooms: &[(Room, TrackerId)]) -> Result<Vec<Claim>, EngineError> {
        self.with(|ledger, now| rooms.iter().map(|(room, named)| ledger.claim(now, *named, *room)).collect())
    }

    async fn hand_over(
        &self,
        me: TrackerId,
        to: TrackerId,
        rooms: &[Room],
    ) -> Result<Vec<(Room, Home)>, EngineError> {
        self.with(|ledger, _| {
            let given = |room: &Room| Some((*room, ledger.hand_over(me, to, *room)?));
            rooms.iter().filter_map(given).collect()
        })
    }

    async fn release(&self, me: TrackerId, rooms: &[Room]) -> Result<(), EngineError> {
        self.with(|ledger, _| rooms.iter().for_each(|room| ledger.release(me, *room)))
    }

    async fn send(&self, frames: &[(TrackerId, Bytes)]) -> Result<Vec<bool>, EngineError> {
        self.with(|_, _| ())?;
        let shared = self.lock();
        let sent = |(to, frame): &(TrackerId, Bytes)| {
            shared.inboxes.get(to).is_some_and(|inbox| inbox.try_send(frame.clone()).is_ok())
        };
        Ok(frames.iter().map(sent).collect())
    }

    async fn subscribe(&self, me: TrackerId) -> Result<Inbox, EngineError> {
        self.with(|_, _| ())?;
        let (sender, receiver) = mpsc::channel(INBOX_FRAMES_MAX);
        self.lock().inboxes.insert(me, sender);
        let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        });
        Ok(frames.boxed())
    }

    async fn publish(&self, swarm: SwarmId, bytes: Bytes) -> Result<(), EngineError> {
        self.with(|ledger, _| ledger.publish(swarm, Some(bytes)))
    }

    async fn remove(&self, swarm: SwarmId) -> Result<(), EngineError> {
        self.with(|ledger, _| ledger.publish(swarm, None))
    }

    async fn publication(&self, swarm: SwarmId) -> Result<Option<Bytes>, EngineError> {
        self.with(|ledger, _| ledger.publication(swarm))
    }

    async fn changes(&self, after: u64) -> Result<Vec<Change>, EngineError> {
        self.with(|ledger, _| ledger.changes(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TrackerId = TrackerId(1);
    const B: TrackerId = TrackerId(2);
    const SWARM: SwarmId = SwarmId([7; 32]);
    const LEASE: Duration = Duration::from_secs(5);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn home(claim: Claim) -> (TrackerId, u64) {
        let Claim::Home(Home { tracker, epoch }) = claim else { panic!("{claim:?}") };
        (tracker, epoch)
    }

    #[test]
    fn a_swarm_has_one_home_until_the_lease_of_that_is_over() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.claim(at(0), A, SWARM), Claim::NoLease);
        assert!(ledger.beat(at(0), A, Bytes::new(), LEASE).has_lapsed);
        ledger.beat(at(0), B, Bytes::new(), LEASE);
        let first = home(ledger.claim(at(1), A, SWARM));
        assert_eq!((first.0, home(ledger.claim(at(2), B, SWARM))), (A, first));
        assert!(!ledger.beat(at(4_999), B, Bytes::new(), LEASE).has_lapsed);
        assert_eq!(home(ledger.claim(at(4_999), B, SWARM)), first);
        let (tracker, epoch) = home(ledger.claim(at(5_000), B, SWARM));
        assert!(tracker == B && epoch > first.1, "the lease of A is over");
        let beat = ledger.beat(at(5_001), A, Bytes::new(), LEASE);
        assert!(beat.has_lapsed && beat.trackers.len() == 2);
        assert_eq!(home(ledger.claim(at(5_002), A, SWARM)), (B, epoch), "A comes too late");
    }

    #[test]
    fn a_home_is_handed_over_and_released_by_its_own_tracker_only() {
        let mut ledger = Ledger::default();
        ledger.beat(at(0), A, Bytes::new(), LEASE);
        ledger.beat(at(0), B, Bytes::new(), LEASE);
        let (_, epoch) = home(ledger.claim(at(0), A, SWARM));
        assert_eq!(ledger.hand_over(B, A, SWARM), None);
        ledger.release(B, SWARM);
        assert_eq!(home(ledger.claim(at(1), B, SWARM)), (A, epoch));
        let given = ledger.hand_over(A, B, SWARM).unwrap();
        assert!(given.tracker == B && given.epoch > epoch);
        assert_eq!(home(ledger.claim(at(1), A, SWARM)), (B, given.epoch));
        ledger.release(B, SWARM);
        let (tracker, again) = home(ledger.claim(at(1), A, SWARM));
        assert!(tracker == A && again > given.epoch, "no epoch comes twice");
    }

    #[test]
    fn changes_come_in_order_and_the_last_of_each_swarm_counts() {
        let mut ledger = Ledger::default();
        let swarm = |number: u8| SwarmId([number; 32]);
        let bytes = Bytes::from_static(b"film");
        (1..=3).for_each(|number| ledger.publish(swarm(number), Some(bytes.clone())));
        ledger.publish(swarm(1), None);
        let changes = |after| -> Vec<(u64, bool)> {
            ledger.changes(after).iter().map(|change| (change.revision, change.bytes.is_some())).collect()
        };
        assert_eq!(changes(0), [(2, true), (3, true), (4, false)]);
        assert_eq!(changes(3), [(4, false)]);
        assert_eq!((ledger.publication(swarm(1)), ledger.publication(swarm(2))), (None, Some(bytes)));
    }
}
