//! Publications under the hub's lock: kept, given out, removed, and written to disk in the order of the decisions.

use bytes::Bytes;
use swarm_core::publisher::Action;
use swarm_core::{Challenge, Manifest, PublisherKey, SwarmId};

use super::sharing::owner_of;
use super::{Hub, State, media_bps};
use crate::archive::{Saved, Slot, Written};
use crate::cluster::sharing::Why;
use crate::decision::Wish;
use crate::manifests::{CatalogueEntry, Poster, Provenance, Put};
use crate::proof::Proof;
use crate::removed::Owner;

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
    /// Whether that is on disk, where there is one. `told` is the owner as another tracker told it.
    pub(crate) async fn remove(&self, swarm: SwarmId, told: Owner) -> bool {
        let slot = match &self.archive {
            Some(archive) => archive.slot().await,
            None => None,
        };
        let (written, forgotten) = {
            let mut state = self.lock();
            let owner = owner_of(&state, swarm, told);
            state.manifests.remove(swarm);
            state.tracker.retire_swarm(swarm);
            state.unsaved.remove(&swarm);
            let forgotten = state.removed.insert(swarm, owner);
            (slot.map(|slot| slot.remove(swarm, owner, forgotten.clone())), forgotten)
        };
        self.share_forgotten(&forgotten);
        self.is_done(written).await
    }

    /// Whether a change is on disk, or there is none.
    async fn is_done(&self, written: Option<Written>) -> bool {
        match written {
            Some(written) => written.await.unwrap_or(false),
            None => self.archive.is_none(),
        }
    }

    /// Removes a manifest here and at all trackers. Whether that is on disk here.
    pub(crate) async fn remove_everywhere(&self, swarm: SwarmId) -> bool {
        let is_saved = self.remove(swarm, Owner::default()).await;
        self.share(swarm, Why::Changed).await;
        is_saved
    }

    /// Publishes here and at all trackers. `is_brought_back`: its publisher wants it there, whether or not it was removed.
    pub(crate) async fn publish_everywhere(
        &self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        provenance: (Provenance, bool),
        is_brought_back: bool,
    ) -> Put {
        let put = self.publish(swarm, manifest, bytes, (provenance, self.shared_number())).await;
        if let Put::Added(_) | Put::Unsaved | Put::Known { is_listing_changed: true } = put {
            self.share(swarm, if is_brought_back { Why::BroughtBack } else { Why::Changed }).await;
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
        let Some(written) = written else { return put };
        if self.is_done(written).await {
            self.lock().unsaved.remove(&swarm);
            return put;
        }
        // It is kept in memory all the same: who joins meanwhile does so until the next restart.
        let mut state = self.lock();
        if state.manifests.publisher(swarm).is_some() {
            state.unsaved.insert(swarm);
        }
        Put::Unsaved
    }

    /// Decides upon a manifest. What is to be saved is filed under the lock, so that the disk gets it in order; the second is none
    /// if nothing is.
    fn keep(
        &self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        (provenance, number): ((Provenance, bool), Option<u64>),
        slot: Option<Slot>,
    ) -> (Put, Option<Option<Written>>) {
        let mut state = self.lock();
        let State { tracker, manifests, removed, unsaved, cluster, .. } = &mut *state;
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
                    if !tracker.remove_swarm(*evicted) {
                        tracker.retire_swarm(*evicted);
                    }
                    unsaved.remove(evicted);
                }
                number.into_iter().for_each(|number| manifests.renumber(swarm, number));
                let wishes = manifest.segments.iter().map(Wish::from);
                tracker.add_swarm(swarm, manifest.seal.publisher, wishes, media_bps(manifest));
                evicted.clone()
            }
            Put::Known { is_listing_changed: true } => Vec::new(),
            Put::Known { is_listing_changed: false } if unsaved.contains(&swarm) => Vec::new(),
            Put::Known { is_listing_changed: false } | Put::Full | Put::Quota | Put::Unsaved => {
                return (put, None);
            }
        };
        let kept = manifests.provenance(swarm).zip(slot);
        let written = kept.map(|((provenance, number), slot)| {
            slot.save(Saved { swarm, provenance, number, bytes }, evicted)
        });
        (put, Some(written))
    }

    pub(crate) fn manifest(&self, swarm: SwarmId) -> Option<Bytes> {
        self.lock().manifests.bytes(swarm)
    }

    pub(crate) fn poster(&self, swarm: SwarmId) -> Option<Poster> {
        self.lock().manifests.poster(swarm)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use swarm_core::group::Geometry;
    use swarm_core::manifest::{Mirrors, Seal};
    use swarm_core::segmentation::doubling;
    use swarm_core::{ContentRoot, SecretKey};

    use super::*;
    use crate::ServerConfig;
    use crate::archive::Archive;
    use crate::archive::tests::on_disk;
    use crate::decision::network::Site;

    fn film() -> (SwarmId, Manifest, Bytes) {
        let manifest = Manifest {
            seal: Seal::default(),
            name: "film".into(),
            title: None,
            media_type: "video/mp4".into(),
            length_bytes: 1000,
            root: ContentRoot([0; 32]),
            segments: doubling(Geometry::new(1000)),
            duration_ms: None,
            chapters: Vec::new(),
            author: None,
            created_s: 5,
            trackers: vec![],
            attachments: Vec::new(),
            mirrors: Mirrors::default(),
        };
        let manifest = manifest.signed_by(&SecretKey::from_bytes(&[7; 32])).unwrap();
        let bytes = manifest.to_bytes().unwrap().into();
        (manifest.swarm_id().unwrap(), manifest, bytes)
    }

    #[tokio::test]
    async fn a_title_counts_as_published_only_once_the_disk_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let is_full = Arc::new(AtomicBool::new(true));
        let mut hub = Hub::new(ServerConfig::new(1, b"secret"), None).unwrap();
        hub.archive = Some(on_disk(folder.path(), &is_full));
        let (swarm, manifest, bytes) = film();
        let publisher = Some(Site::of(Ipv4Addr::LOCALHOST.into()));
        let provenance = (Provenance { publisher, is_listed: true }, true);
        let publish = || hub.publish_everywhere(swarm, &manifest, bytes.clone(), provenance, true);
        assert_eq!(publish().await, Put::Unsaved);
        assert_eq!(publish().await, Put::Unsaved, "it is asked for again, and still not there");
        assert!(hub.manifest(swarm).is_some(), "who comes meanwhile finds it");
        is_full.store(false, Ordering::Relaxed);
        assert_eq!(publish().await, Put::Known { is_listing_changed: false });
        is_full.store(true, Ordering::Relaxed);
        assert_eq!(publish().await, Put::Known { is_listing_changed: false }, "it is on the disk already");
        assert!(!hub.remove_everywhere(swarm).await, "a restart would bring it back");
        drop(hub);
        let (_, before) = Archive::open(folder.path()).unwrap();
        assert_eq!(before.saved.len(), 1);
    }
}
