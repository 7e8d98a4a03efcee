//! The list of publications that several trackers share: what is told to the engine, and what it tells.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use swarm_core::{Manifest, SwarmId, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::{Hub, State};
use crate::archive::{Saved, decode, decode_owner, encode, encode_owner};
use crate::cluster::sharing::{NoteNumber, Sharing, Why};
use crate::cluster::shelf::Holding;
use crate::engine::{Change, EngineError, News, Publication};
use crate::limits::{PUBLICATION_SHARED_FOR, REMOVAL_SHARED_FOR, SHARING_PATIENCE};
use crate::removed::Owner;

/// What the engine is told of a swarm.
#[derive(Debug)]
pub(crate) enum Telling {
    /// It is published.
    Publish(Publication),
    /// Its publisher removed it; this was the owner.
    Remove(Bytes),
    /// Its removal is not remembered any more.
    Forget,
}

impl Hub {
    /// Where there are several trackers: the number of a new publication, which is its time, so that all agree upon the
    /// order of the catalogue.
    pub(super) fn shared_number(&self) -> Option<u64> {
        self.is_among_several.then(unix_micros)
    }

    /// The time of the challenges. Where a publisher may show one tracker the challenge of another, all go by the clock on
    /// the wall.
    pub(super) fn shared_now(&self) -> Timestamp {
        if self.is_among_several { Timestamp::from_micros(unix_micros()) } else { self.now() }
    }

    /// Tells the other trackers of a publication or a removal. Waits until they can know of it, but not for long.
    pub(super) async fn share(&self, swarm: SwarmId, why: Why) {
        let deadline = Instant::now() + SHARING_PATIENCE;
        let is_noted = self.with_sharing(|sharing| sharing.note(swarm, why)).is_some();
        while is_noted && self.with_sharing(|sharing| sharing.is_unshared(swarm)) == Some(true) {
            let shared = self.due.shared.notified();
            self.due.lists.notify_one();
            if timeout_at(deadline, shared).await.is_err() {
                return;
            }
        }
    }

    /// The swarms that the engine is to be told of: removals first, since they make room.
    pub(crate) fn unshared(&self) -> Vec<SwarmId> {
        let state = self.lock();
        // Without a lease the engine does not answer, or other trackers have another secret.
        let Some(cluster) = state.cluster.as_ref().filter(|cluster| cluster.is_leased()) else {
            return Vec::new();
        };
        let mut swarms = cluster.sharing.unshared();
        swarms.sort_by_key(|swarm| state.manifests.publisher(*swarm).is_some());
        swarms
    }

    /// What the engine is told of a swarm; nothing if there is no room for it, or nothing to tell.
    pub(crate) fn telling(&self, swarm: SwarmId) -> Option<(Telling, NoteNumber)> {
        let now = self.now();
        let mut state = self.lock();
        let is_in_use = is_in_use(&state, swarm);
        let kept = state.manifests.provenance(swarm).zip(state.manifests.bytes(swarm));
        let owner = state.removed.owner(swarm);
        let sharing = &mut state.cluster.as_mut()?.sharing;
        let (why, number) = sharing.noted(swarm)?;
        let telling = match (kept, owner) {
            (Some(((provenance, number), bytes)), _) => {
                let saved = Saved { swarm, provenance, number, bytes };
                let bytes: Bytes = encode(&saved).into();
                let known = sharing.shelf.life(now, swarm).filter(|_| why == Why::Missing && !is_in_use);
                let life = known.unwrap_or(PUBLICATION_SHARED_FOR);
                let room = sharing.shelf.make_room(swarm, (provenance.publisher, bytes.len()));
                let room = room.ok().filter(|let_go| why != Why::Missing || let_go.is_empty());
                let is_brought_back = why == Why::BroughtBack;
                room.map(|let_go| Telling::Publish(Publication { bytes, life, let_go, is_brought_back }))
            }
            (None, Some(owner)) => Some(Telling::Remove(encode_owner(0, owner).into())),
            // Its removal had to go for another one; a title that had to is left to the other trackers.
            (None, None) => {
                (sharing.shelf.holding(swarm) == Some(Holding::Removal)).then_some(Telling::Forget)
            }
        };
        if telling.is_none() {
            sharing.shared(swarm, number);
            self.due.shared.notify_waiters();
        }
        telling.map(|telling| (telling, number))
    }

    /// The engine took what it was told.
    pub(crate) fn told(&self, swarm: SwarmId, telling: &Telling, number: NoteNumber) {
        let now = self.now();
        let mut state = self.lock();
        let site = state.manifests.provenance(swarm).and_then(|(provenance, _)| provenance.publisher);
        let Some(cluster) = &mut state.cluster else { return };
        let sharing = &mut cluster.sharing;
        match telling {
            Telling::Publish(Publication { bytes, life, let_go, .. }) => {
                let_go.iter().for_each(|gone| sharing.shelf.miss(*gone));
                sharing.shelf.put(swarm, Holding::Title { site, bytes: bytes.len() }, now + *life);
            }
            Telling::Remove(_) => sharing.shelf.put(swarm, Holding::Removal, now + REMOVAL_SHARED_FOR),
            Telling::Forget => sharing.shelf.miss(swarm),
        }
        sharing.shared(swarm, number);
        drop(state);
        self.due.shared.notify_waiters();
    }

    /// The engine was told of a publication that its publisher removed at another tracker, before this one could know of it.
    pub(crate) async fn learn_that_it_was_removed(&self, swarm: SwarmId, number: NoteNumber) {
        let now = self.now();
        // Its publisher may have brought it back here since: then the engine is told of that next.
        let latest = self.with_sharing(|sharing| sharing.noted(swarm)).flatten();
        if latest.is_some_and(|(_, latest)| latest != number) {
            return;
        }
        _ = self.remove(swarm, Owner::default()).await;
        self.with_sharing(|sharing| {
            sharing.shelf.put(swarm, Holding::Removal, now + REMOVAL_SHARED_FOR);
            sharing.shared(swarm, number);
        });
        self.due.shared.notify_waiters();
    }

    /// The engine did not take what it was told. It is told again.
    pub(crate) fn not_told(&self, swarm: SwarmId, error: &EngineError) {
        self.metrics.count_engine_failure();
        tracing::debug!(%swarm, "a publication is not shared yet: {error}");
        if !matches!(error, EngineError::Full(_)) {
            return;
        }
        if self.with_sharing(Sharing::refused) == Some(true) {
            tracing::warn!(
                "the engine has no memory left: publications are kept here and not shared with the other trackers until it \
                 has; give it more (`maxmemory` of Redis) ({error})"
            );
        }
    }

    /// After which change the list of the engine is to be read on, if there is more.
    pub(crate) fn next_change(&self, life: u64, revision: u64) -> Option<u64> {
        self.with_sharing(|sharing| sharing.next(life, revision)).flatten()
    }

    /// All changes were read.
    pub(crate) fn all_changes_read(&self) {
        let mut state = self.lock();
        let known: Vec<SwarmId> = state.manifests.swarms().chain(state.removed.iter()).collect();
        state.cluster.iter_mut().for_each(|cluster| cluster.sharing.all_read(|| known.clone()));
    }

    /// Takes over a change that another tracker made. What changed here since counts more.
    pub(crate) async fn learn(&self, change: Change) {
        let Change { revision, swarm, news } = change;
        let is_there = news != News::Absent;
        self.with_sharing(|sharing| sharing.read(swarm, revision, is_there));
        self.note_news(swarm, &news);
        if self.with_sharing(|sharing| sharing.is_unshared(swarm)) != Some(false) {
            return;
        }
        match news {
            News::Published { bytes, .. } => self.learn_publication(swarm, &bytes).await,
            News::Removed { owner, .. } if self.publisher(swarm).is_some() || !self.is_removed(swarm) => {
                let owner = decode_owner(&owner).map(|(_, owner)| owner).unwrap_or_default();
                _ = self.remove(swarm, owner).await;
            }
            News::Removed { .. } | News::Absent => {}
        }
    }

    /// Takes over what another tracker published.
    pub(crate) async fn learn_publication(&self, swarm: SwarmId, bytes: &[u8]) {
        let saved = decode(swarm, bytes).and_then(|saved| {
            let manifest = Manifest::from_bytes(swarm, &saved.bytes).ok()?;
            Some((saved, manifest))
        });
        let Some((Saved { provenance, number, bytes, .. }, manifest)) = saved else {
            tracing::warn!(%swarm, "the engine has a publication that cannot be read; it is left out");
            return;
        };
        self.publish(swarm, &manifest, bytes, ((provenance, true), Some(number))).await;
    }

    /// What the engine is asked about from time to time: everything that is kept here and for how long it is to be held
    /// from now on, if a peer is in the swarm; and the removals.
    pub(crate) fn to_refresh(&self) -> Vec<(SwarmId, Option<Duration>)> {
        let now = self.now();
        let mut state = self.lock();
        if !state.cluster.as_ref().is_some_and(|cluster| cluster.is_leased()) {
            return Vec::new();
        }
        if state.cluster.as_mut().is_some_and(|cluster| cluster.sharing.has_memory_again()) {
            tracing::info!("the engine has memory again: publications are shared with the other trackers");
        }
        state.cluster.iter_mut().for_each(|cluster| cluster.sharing.shelf.prune(now));
        let life = |swarm| is_in_use(&state, swarm).then_some(PUBLICATION_SHARED_FOR);
        let kept = state.manifests.swarms().map(|swarm| (swarm, life(swarm)));
        kept.chain(state.removed.iter().map(|swarm| (swarm, None))).collect()
    }

    /// Notes what the engine has of a swarm. What it lost is told again.
    pub(crate) fn note_news(&self, swarm: SwarmId, news: &News) {
        let now = self.now();
        let mut state = self.lock();
        let is_in_use = is_in_use(&state, swarm);
        let own = state.manifests.provenance(swarm).zip(state.manifests.bytes(swarm));
        let own = own.map(|((provenance, _), bytes)| (provenance.publisher, bytes.len()));
        let is_known = own.is_some() || state.removed.contains(swarm);
        let Some(cluster) = &mut state.cluster else { return };
        let sharing = &mut cluster.sharing;
        match news {
            News::Published { bytes, life } => {
                let told = decode(swarm, bytes).map(|saved| (saved.provenance.publisher, bytes.len()));
                let Some((site, bytes)) = told.or(own) else { return };
                sharing.shelf.put(swarm, Holding::Title { site, bytes }, now + *life);
            }
            News::Removed { life, .. } => sharing.shelf.put(swarm, Holding::Removal, now + *life),
            News::Absent => {
                sharing.shelf.miss(swarm);
                if is_known && ((own.is_some() && is_in_use) || sharing.shelf.life(now, swarm).is_some()) {
                    sharing.note(swarm, Why::Missing);
                }
            }
        }
    }

    /// Publications that are kept here and that the engine does not have, and whether it has no memory for them.
    pub(super) fn unshared_levels(state: &State) -> (usize, bool) {
        let Some(cluster) = &state.cluster else { return (0, false) };
        let shelf = &cluster.sharing.shelf;
        let is_shared = |swarm: &SwarmId| matches!(shelf.holding(*swarm), Some(Holding::Title { .. }));
        let unshared = state.manifests.swarms().filter(|swarm| !is_shared(swarm)).count();
        (unshared, cluster.sharing.is_engine_full())
    }

    /// Removals that are not remembered any more: the engine is to forget them, too.
    pub(super) fn share_forgotten(&self, forgotten: &[SwarmId]) {
        self.with_sharing(|sharing| forgotten.iter().for_each(|swarm| sharing.note(*swarm, Why::Missing)));
    }

    pub(super) fn with_sharing<T>(&self, act: impl FnOnce(&mut Sharing) -> T) -> Option<T> {
        self.lock().cluster.as_mut().map(|cluster| act(&mut cluster.sharing))
    }
}

/// Whether a peer is in a swarm, here or at another tracker.
fn is_in_use(state: &State, swarm: SwarmId) -> bool {
    state.tracker.has_peers(swarm) || state.cluster.as_ref().is_some_and(|cluster| cluster.is_in_use(swarm))
}

/// The owner of a title that another tracker told of, or that of our own copy.
pub(super) fn owner_of(state: &State, swarm: SwarmId, told: Owner) -> Owner {
    let Some(publisher) = state.manifests.publisher(swarm) else { return told };
    let site = state.manifests.provenance(swarm).and_then(|(provenance, _)| provenance.publisher);
    Owner { publisher: Some(publisher), site }
}

fn unix_micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
