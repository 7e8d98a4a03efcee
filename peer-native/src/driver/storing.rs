//! The driver and its store: opening, reading for others, keeping what came, saving what is known.

use std::sync::Arc;
use std::time::{Duration, Instant};

use swarm_core::peer::Input;
use swarm_core::peer_message::DataHead;
use swarm_core::{GroupRange, GroupSet, LinkId, Manifest, Verified};

use super::{Answer, Driver};
use crate::handle::{Content, Notice, Playable};
use crate::store::{Opened, PartFile, Store, StoreError};

/// What is known of the tree is saved this often while it grows…
const SAVE_INTERVAL: Duration = Duration::from_secs(2);

/// …but at most this many bytes a second of it on average.
const SAVE_BYTES_PER_S: u64 = 2 * 1024 * 1024;

impl Driver {
    pub(super) fn send_data(&mut self, id: LinkId, head: &DataHead) {
        let (Some(store), Some(_)) = (&mut self.store, self.links.get(&id)) else { return };
        let Some(tree) = self.peer.tree() else { return };
        let payload_bytes = usize::try_from(self.geometry.len_bytes(head.range)).unwrap_or(0);
        match head.encode_with(payload_bytes, |frame| store.read(head.range, tree, frame)) {
            Ok(frame) => self.with_link(id, |link| link.data(frame)),
            Err(error) => self.store_failed(self.geometry.all(), &error),
        }
    }

    pub(super) fn keep(&mut self, verified: &Verified) {
        let (Some(store), Some(tree)) = (&mut self.store, self.peer.tree()) else { return };
        if let Err(error) = store.write(verified, tree) {
            self.store_failed(verified.range(), &error);
        }
    }

    pub(super) fn store_failed(&mut self, range: GroupRange, error: &StoreError) {
        self.inputs.push_back(Input::StoreFailed(range, error.to_string()));
        self.notice(Notice::StoreFailed(error.to_string()));
    }

    pub(super) fn open_store(&mut self, manifest: &Arc<Manifest>) {
        self.geometry = manifest.geometry();
        match self.content.take() {
            None => {}
            Some(Content::Full { file, tree }) => {
                let held = GroupSet::full(self.geometry.group_count());
                self.store_opened(Opened { store: Store::Full(file), held, tree: *tree });
            }
            Some(Content::Fetch(target)) => {
                let manifest = Arc::clone(manifest);
                self.ask(move || Answer::Opened(PartFile::open(&target, &manifest).map(Box::new)));
            }
        }
    }

    pub(super) fn store_opened(&mut self, opened: Opened) {
        let Opened { store, held, tree } = opened;
        let held_bytes = held.runs(self.geometry.all()).map(|run| self.geometry.len_bytes(run)).sum();
        self.store = Some(store);
        self.saved_count = held.count();
        self.next_save = Instant::now() + SAVE_INTERVAL;
        self.notice(Notice::StoreReady { held_bytes });
        self.inputs.push_back(Input::StoreReady { held, tree: Box::new(tree) });
    }

    pub(super) fn playable(&self, group: u32) -> Option<Playable> {
        let held = self.peer.held()?;
        let missing = held.next_missing(group).unwrap_or(held.capacity());
        Some(Playable { missing, start_buffer: self.peer.start_buffer() })
    }

    /// Whether something is held that the saved tree does not vouch for.
    pub(super) fn is_growing(&self) -> bool {
        self.peer.held().is_some_and(|held| held.count() != self.saved_count)
    }

    pub(super) fn save(&mut self) {
        self.next_save = Instant::now() + SAVE_INTERVAL;
        let (Some(store), Some(tree), Some(held)) = (&self.store, self.peer.tree(), self.peer.held()) else {
            return;
        };
        if held.count() == self.saved_count {
            return;
        }
        // Two nodes a group, roughly.
        let bytes = u64::from(held.count()) * 64;
        self.next_save += Duration::from_secs(bytes / SAVE_BYTES_PER_S);
        match store.save_tree(tree) {
            Ok(()) => self.saved_count = held.count(),
            Err(error) => self.store_failed(GroupRange::new(0, 0), &error),
        }
    }
}
