//! Publications under the hub's lock: kept, given out, removed, and written to disk in the order of the decisions.

use bytes::Bytes;
use swarm_core::publisher::Action;
use swarm_core::{Challenge, Manifest, PublisherKey, SwarmId};
use tokio::sync::oneshot;

use super::{Hub, State, media_bps};
use crate::archive::{Saved, Slot};
use crate::decision::Wish;
use crate::manifests::{CatalogueEntry, Poster, Provenance, Put};
use crate::proof::Proof;

impl Hub {
    /// What a publisher is to sign.
    pub(crate) fn challenge(&self) -> Challenge {
        self.challenges.issue(self.shared_now())
    }

    /// Whether a proof shows that `publisher` wants this done.
    pub(crate) fn proves(&self, proof: &Proof, publisher: PublisherKey, what: (Action, SwarmId)) -> bool {
        self.challenges.proves(self.shared_now(), proof, publisher, what)
    }

    /// Whether a proof is no older than those that its publisher used for this content; from now on none older is.
    pub(crate) fn is_latest(&self, proof: &Proof, swarm: SwarmId) -> bool {
        self.challenges.is_latest(self.shared_now(), proof, swarm)
    }

    /// Whether its publisher took it off this tracker.
    pub(crate) fn is_removed(&self, swarm: SwarmId) -> bool {
        self.lock().removed.contains(swarm)
    }

    /// Who published a manifest that is kept.
    pub(crate) fn publisher(&self, swarm: SwarmId) -> Option<PublisherKey> {
        self.lock().manifests.publisher(swarm)
    }

    /// What the catalogue would say of a content, listed or not, without its peers.
    pub(crate) fn entry(&self, swarm: SwarmId) -> Option<CatalogueEntry> {
        self.lock().manifests.entry(swarm)
    }

    /// Forgets a manifest, as its publisher wants it. Who is in its swarm stays; nobody can join it any more.
    pub(crate) async fn remove(&self, swarm: SwarmId) {
        let slot = match &self.archive {
            Some(archive) => archive.slot().await,
            None => None,
        };
        let written = {
            let mut state = self.lock();
            state.manifests.remove(swarm);
            state.tracker.retire_swarm(swarm);
            let forgotten = state.removed.insert(swarm);
            slot.map(|slot| slot.remove(swarm, forgotten))
        };
        if let Some(written) = written {
            _ = written.await;
        }
    }

    /// Removes a manifest here and at all trackers.
    pub(crate) async fn remove_everywhere(&self, swarm: SwarmId) {
        self.remove(swarm).await;
        self.share(swarm).await;
    }

    /// Publishes here and at all trackers.
    pub(crate) async fn publish_everywhere(
        &self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        provenance: (Provenance, bool),
    ) -> Put {
        let put = self.publish(swarm, manifest, bytes, (provenance, self.shared_number())).await;
        if let Put::Added(_) | Put::Known { is_listing_changed: true } = put {
            self.share(swarm).await;
        }
        put
    }

    /// Keeps a manifest, so that its swarm can be joined. Done when it is on disk, where there is one.
    pub(crate) async fn publish(
        &self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        provenance: ((Provenance, bool), Option<u64>),
    ) -> Put {
        let slot = match &self.archive {
            Some(archive) => archive.slot().await,
            None => None,
        };
        let (put, written) = self.keep(swarm, manifest, bytes, provenance, slot);
        if let Some(written) = written {
            // The writer logs what it cannot write; the manifest is kept in memory all the same.
            _ = written.await;
        }
        put
    }

    /// Decides upon a manifest. What is to be saved is filed under the lock, so that the disk gets it in order.
    fn keep(
        &self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        (provenance, number): ((Provenance, bool), Option<u64>),
        slot: Option<Slot>,
    ) -> (Put, Option<oneshot::Receiver<()>>) {
        let mut state = self.lock();
        let State { tracker, manifests, removed, cluster, .. } = &mut *state;
        if provenance.1 {
            removed.take(swarm);
        }
        let has_peers = |swarm| {
            tracker.has_peers(swarm) || cluster.as_ref().is_some_and(|cluster| cluster.is_in_use(swarm))
        };
        let put = manifests.put(swarm, manifest, bytes.clone(), provenance, has_peers);
        let evicted = match &put {
            Put::Added(evicted) => {
                for evicted in evicted {
                    tracker.remove_swarm(*evicted);
                }
                number.into_iter().for_each(|number| manifests.renumber(swarm, number));
                let wishes = manifest.segments.iter().map(Wish::from);
                tracker.add_swarm(swarm, manifest.seal.publisher, wishes, media_bps(manifest));
                evicted.clone()
            }
            Put::Known { is_listing_changed: true } => Vec::new(),
            Put::Known { is_listing_changed: false } | Put::Full | Put::Quota => return (put, None),
        };
        let kept = manifests.provenance(swarm).zip(slot);
        let written = kept.map(|((provenance, number), slot)| {
            slot.save(Saved { swarm, provenance, number, bytes }, evicted)
        });
        (put, written)
    }

    pub(crate) fn manifest(&self, swarm: SwarmId) -> Option<Bytes> {
        self.lock().manifests.bytes(swarm)
    }

    pub(crate) fn poster(&self, swarm: SwarmId) -> Option<Poster> {
        self.lock().manifests.poster(swarm)
    }
}
