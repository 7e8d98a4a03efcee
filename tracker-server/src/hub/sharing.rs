//! The list of publications that several trackers share: what is told to the engine, and what it tells.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use swarm_core::{Manifest, SwarmId, Timestamp};
use tokio::time::{Instant, timeout_at};

use super::Hub;
use crate::archive::{Saved, decode, encode};
use crate::cluster::sharing::Sharing;
use crate::engine::Change;
use crate::limits::SHARING_PATIENCE;

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
    pub(super) async fn share(&self, swarm: SwarmId) {
        let deadline = Instant::now() + SHARING_PATIENCE;
        let is_noted = self.with_sharing(|sharing| sharing.note(swarm)).is_some();
        while is_noted && self.with_sharing(|sharing| sharing.is_unshared(swarm)) == Some(true) {
            let shared = self.due.shared.notified();
            self.due.lists.notify_one();
            if timeout_at(deadline, shared).await.is_err() {
                return;
            }
        }
    }

    /// What is to be told to the engine: a publication, or a removal where there are no bytes.
    pub(crate) fn unshared(&self) -> Vec<(SwarmId, Option<Bytes>)> {
        let mut state = self.lock();
        let Some(cluster) = &state.cluster else { return Vec::new() };
        let mut told = Vec::new();
        let mut forgotten = Vec::new();
        for swarm in cluster.sharing.unshared() {
            let kept = state.manifests.provenance(swarm).zip(state.manifests.bytes(swarm));
            match kept {
                Some(((provenance, number), bytes)) => {
                    let saved = Saved { swarm, provenance, number, bytes };
                    told.push((swarm, Some(encode(&saved).into())));
                }
                None if state.removed.contains(swarm) => told.push((swarm, None)),
                // It had to go for another one.
                None => forgotten.push(swarm),
            }
        }
        if let Some(cluster) = &mut state.cluster {
            forgotten.iter().for_each(|swarm| cluster.sharing.shared(*swarm));
        }
        told
    }

    /// The engine has a publication or a removal.
    pub(crate) fn shared(&self, swarm: SwarmId) {
        self.with_sharing(|sharing| sharing.shared(swarm));
        self.due.shared.notify_waiters();
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
        let Change { revision, swarm, bytes } = change;
        let is_own = self.with_sharing(|sharing| {
            sharing.read(swarm, revision);
            sharing.is_unshared(swarm)
        });
        if is_own != Some(false) {
            return;
        }
        match bytes {
            Some(bytes) => self.learn_publication(swarm, &bytes).await,
            None if self.publisher(swarm).is_some() || !self.is_removed(swarm) => {
                _ = self.remove(swarm).await;
            }
            None => {}
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

    fn with_sharing<T>(&self, act: impl FnOnce(&mut Sharing) -> T) -> Option<T> {
        self.lock().cluster.as_mut().map(|cluster| act(&mut cluster.sharing))
    }
}

fn unix_micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}
