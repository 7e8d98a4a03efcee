//! The engine for several trackers in one process.
//!
//! `Ledger` is the whole of it, without a clock; [`MemoryEngine`] gives it one and a way to wait. The Lua scripts of the
//! Redis engine do the same, step by step.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use swarm_core::{SwarmId, Timestamp};
use tokio::sync::mpsc;

use super::{Beat, Change, Claim, Engine, EngineError, Home, Inbox, News, Publication, TrackerId};
use crate::decision::Room;
use crate::limits::{AGREED_FOR, CHANGES_MAX, CHANGES_PAGE_MAX, INBOX_FRAMES_MAX, REMOVAL_SHARED_FOR};

/// What is shared, at a time that the caller tells.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Until when each lease stands, and the record of its tracker.
    trackers: BTreeMap<TrackerId, (Timestamp, Bytes)>,
    homes: HashMap<Room, Home>,
    /// The latest epoch.
    epoch: u64,
    /// Whose secret all have, and until when that is remembered.
    check: Option<(Bytes, Timestamp)>,
    /// What is published, and until when.
    publications: HashMap<SwarmId, (Bytes, Timestamp)>,
    /// Whose titles were removed, and until when that is remembered.
    removals: HashMap<SwarmId, (Bytes, Timestamp)>,
    /// The last change of each swarm.
    changes: BTreeMap<u64, SwarmId>,
    revision: u64,
}

impl Ledger {
    /// See [`Engine::beat`].
    pub(crate) fn beat(&mut self, now: Timestamp, me: TrackerId, record: Bytes, lease: Duration) -> Beat {
        let has_lapsed = !self.has_lease(now, me);
        self.trackers.insert(me, (now + lease, record));
        self.trackers.retain(|_, (until, _)| *until > now);
        let trackers = self.trackers.iter().map(|(tracker, (_, record))| (*tracker, record.clone()));
        Beat { has_lapsed, trackers: trackers.collect(), life: 1, revision: self.revision }
    }

    /// See [`Engine::retire`].
    pub(crate) fn retire(&mut self, me: TrackerId) {
        self.trackers.remove(&me);
    }

    /// See [`Engine::claim`].
    pub(crate) fn claim(&mut self, now: Timestamp, me: TrackerId, room: impl Into<Room>) -> Claim {
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
    pub(crate) fn hand_over(&mut self, me: TrackerId, to: TrackerId, room: impl Into<Room>) -> Option<Home> {
        let room = room.into();
        let is_own = self.homes.get(&room).is_some_and(|home| home.tracker == me);
        is_own.then(|| self.set_home(room, to))
    }

    /// See [`Engine::release`].
    pub(crate) fn release(&mut self, me: TrackerId, room: impl Into<Room>) {
        let room = room.into();
        if self.homes.get(&room).is_some_and(|home| home.tracker == me) {
            self.homes.remove(&room);
        }
    }

    /// See [`Engine::agree`].
    pub(crate) fn agree(&mut self, now: Timestamp, check: Bytes) -> bool {
        let held = self.check.as_ref().filter(|(_, until)| *until > now);
        let agrees = held.is_none_or(|(held, _)| *held == check);
        if agrees {
            self.check = Some((check, now + AGREED_FOR));
        }
        agrees
    }

    /// See [`Engine::publish`].
    pub(crate) fn publish(&mut self, now: Timestamp, swarm: SwarmId, publication: &Publication) -> bool {
        let Publication { bytes, life, let_go, is_brought_back } = publication;
        if !is_brought_back && self.removals.get(&swarm).is_some_and(|(_, until)| *until > now) {
            return false;
        }
        self.publications.insert(swarm, (bytes.clone(), now + *life));
        self.removals.remove(&swarm);
        self.note(swarm);
        for gone in let_go {
            self.publications.remove(gone);
            self.note(*gone);
        }
        true
    }

    /// See [`Engine::remove`].
    pub(crate) fn remove(&mut self, now: Timestamp, swarm: SwarmId, owner: Bytes) {
        self.publications.remove(&swarm);
        self.removals.insert(swarm, (owner, now + REMOVAL_SHARED_FOR));
        self.note(swarm);
    }

    /// See [`Engine::forget`].
    pub(crate) fn forget(&mut self, swarm: SwarmId) {
        self.removals.remove(&swarm);
    }

    /// See [`Engine::refresh`].
    pub(crate) fn refresh(&mut self, now: Timestamp, swarm: SwarmId, life: Option<Duration>) -> News {
        if let (Some(life), Some((_, until))) = (life, self.publications.get_mut(&swarm))
            && *until > now
        {
            *until = now + life;
        }
        let news = match self.news(now, swarm) {
            News::Published { life, .. } => News::Published { bytes: Bytes::new(), life },
            other @ (News::Removed { .. } | News::Absent) => other,
        };
        if news != News::Absent && !self.changes.values().any(|noted| *noted == swarm) {
            self.note(swarm);
        }
        news
    }

    /// See [`Engine::publication`].
    pub(crate) fn publication(&self, now: Timestamp, swarm: SwarmId) -> Option<Bytes> {
        self.publications.get(&swarm).filter(|(_, until)| *until > now).map(|(bytes, _)| bytes.clone())
    }

    /// See [`Engine::changes`].
    pub(crate) fn changes(&self, now: Timestamp, after: u64) -> Vec<Change> {
        let later = self.changes.range(after + 1..).take(CHANGES_PAGE_MAX);
        later
            .map(|(revision, swarm)| Change {
                revision: *revision,
                swarm: *swarm,
                news: self.news(now, *swarm),
            })
            .collect()
    }

    /// Loses a publication, as Redis does that evicts it.
    pub(crate) fn evict(&mut self, swarm: SwarmId) {
        self.publications.remove(&swarm);
    }

    fn news(&self, now: Timestamp, swarm: SwarmId) -> News {
        let held = |held: Option<&(Bytes, Timestamp)>| {
            held.filter(|(_, until)| *until > now).map(|(bytes, until)| (bytes.clone(), until.since(now)))
        };
        if let Some((bytes, life)) = held(self.publications.get(&swarm)) {
            News::Published { bytes, life }
        } else if let Some((owner, life)) = held(self.removals.get(&swarm)) {
            News::Removed { owner, life }
        } else {
            News::Absent
        }
    }

    /// Enters a swarm at the end of the list of changes.
    fn note(&mut self, swarm: SwarmId) {
        self.revision += 1;
        self.changes.retain(|_, noted| *noted != swarm);
        self.changes.insert(self.revision, swarm);
        if self.changes.len() > CHANGES_MAX {
            self.changes.pop_first();
        }
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
    /// Whether it takes no publications, as Redis without memory.
    is_full: bool,
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
            is_full: false,
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

    /// Makes the engine take no more publications, or take them again.
    pub fn set_full(&self, is_full: bool) {
        self.lock().is_full = is_full;
    }

    /// Makes the engine lose a publication.
    pub fn evict(&self, swarm: SwarmId) {
        self.lock().ledger.evict(swarm);
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
    async fn agree(&self, check: Bytes) -> Result<bool, EngineError> {
        self.with(|ledger, now| ledger.agree(now, check))
    }

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

    async fn publish(&self, swarm: SwarmId, publication: &Publication) -> Result<bool, EngineError> {
        if self.lock().is_full {
            return Err(EngineError::Full("it is told to be full".into()));
        }
        self.with(|ledger, now| ledger.publish(now, swarm, publication))
    }

    async fn remove(&self, swarm: SwarmId, owner: Bytes) -> Result<(), EngineError> {
        self.with(|ledger, now| ledger.remove(now, swarm, owner))
    }

    async fn forget(&self, swarm: SwarmId) -> Result<(), EngineError> {
        self.with(|ledger, _| ledger.forget(swarm))
    }

    async fn refresh(&self, swarms: &[(SwarmId, Option<Duration>)]) -> Result<Vec<News>, EngineError> {
        self.with(|ledger, now| {
            swarms.iter().map(|(swarm, life)| ledger.refresh(now, *swarm, *life)).collect()
        })
    }

    async fn publication(&self, swarm: SwarmId) -> Result<Option<Bytes>, EngineError> {
        self.with(|ledger, now| ledger.publication(now, swarm))
    }

    async fn changes(&self, after: u64) -> Result<Vec<Change>, EngineError> {
        self.with(|ledger, now| ledger.changes(now, after))
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
        let life = Duration::from_millis(100);
        let publication = |let_go| Publication { bytes: bytes.clone(), life, let_go, is_brought_back: false };
        for number in 1..=3 {
            assert!(ledger.publish(at(0), swarm(number), &publication(vec![])));
        }
        ledger.remove(at(0), swarm(1), Bytes::from_static(b"owner"));
        let changes = |ledger: &Ledger, now, after| -> Vec<(u64, char)> {
            let letter = |news: &News| match news {
                News::Published { .. } => 'p',
                News::Removed { .. } => 'r',
                News::Absent => 'a',
            };
            ledger.changes(now, after).iter().map(|change| (change.revision, letter(&change.news))).collect()
        };
        assert_eq!(changes(&ledger, at(1), 0), [(2, 'p'), (3, 'p'), (4, 'r')]);
        assert_eq!(changes(&ledger, at(1), 3), [(4, 'r')]);
        assert_eq!(ledger.publication(at(1), swarm(1)), None);
        assert_eq!(ledger.publication(at(1), swarm(2)), Some(bytes.clone()));
        // What goes for another title is told, and is no removal; nor is what is over or lost.
        ledger.publish(at(50), swarm(4), &publication(vec![swarm(2)]));
        assert_eq!(changes(&ledger, at(60), 4), [(5, 'p'), (6, 'a')]);
        ledger.evict(swarm(3));
        assert_eq!(ledger.refresh(at(60), swarm(3), Some(life)), News::Absent);
        assert_eq!(changes(&ledger, at(150), 4), [(5, 'a'), (6, 'a')]);
    }

    #[test]
    fn a_removal_stands_until_its_publisher_brings_the_title_back() {
        let mut ledger = Ledger::default();
        let (life, bytes) = (Duration::from_millis(100), Bytes::from_static(b"film"));
        let publication =
            |is_brought_back| Publication { bytes: bytes.clone(), life, let_go: vec![], is_brought_back };
        assert!(ledger.publish(at(0), SWARM, &publication(false)));
        ledger.remove(at(1), SWARM, Bytes::new());
        assert!(!ledger.publish(at(2), SWARM, &publication(false)));
        assert_eq!(ledger.publication(at(2), SWARM), None);
        assert!(
            ledger.publish(at(3), SWARM, &publication(true))
                && ledger.publish(at(4), SWARM, &publication(false))
        );
    }

    #[test]
    fn what_is_refreshed_lives_on_and_comes_into_the_list_again() {
        let mut ledger = Ledger::default();
        let life = Duration::from_millis(100);
        let bytes = Bytes::from_static(b"film");
        let publication = Publication { bytes, life, let_go: vec![], is_brought_back: false };
        ledger.publish(at(0), SWARM, &publication);
        ledger.changes.clear();
        let news = ledger.refresh(at(90), SWARM, Some(life));
        assert_eq!(news, News::Published { bytes: Bytes::new(), life });
        assert_eq!(ledger.changes(at(90), 1).len(), 1);
        assert!(ledger.publication(at(189), SWARM).is_some() && ledger.publication(at(190), SWARM).is_none());
    }

    #[test]
    fn trackers_agree_on_a_secret_until_none_is_left_that_has_it() {
        let mut ledger = Ledger::default();
        let [one, other] = [Bytes::from_static(b"one"), Bytes::from_static(b"other")];
        assert!(ledger.agree(at(0), one.clone()) && !ledger.agree(at(5_000), other.clone()));
        assert!(ledger.agree(at(5_000), one) && !ledger.agree(at(14_999), other.clone()));
        assert!(ledger.agree(at(15_000), other));
    }
}
