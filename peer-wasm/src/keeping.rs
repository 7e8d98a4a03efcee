//! What a visit keeps for the next one: when the store opens, what it finds, and what core and page hear of it.
//!
//! Files are asked for while the manifest is fetched. A manifest that an earlier visit stored needs no tracker, and a store
//! that holds something serves it at once: so a tab seeds again after a restart of its browser, without the publisher.

use std::sync::Arc;
use std::time::Duration;

use swarm_core::peer::Appetite;
use swarm_core::{Input, Manifest, Timestamp};

use crate::driver::Happening;
use crate::origins::Origins;
use crate::page::ToPage;
use crate::state::State;
use crate::store::Store;
use crate::store::open::Storage;

/// How long the store waits for the browser to give files. Playback waits with it, so this is longer than the wait for a
/// page before this one, and not longer than a person takes a page for broken.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long nothing is written after the page said that it may go away. From then on until it is gone, the next page is loaded.
/// What comes meanwhile is kept in memory.
const REST: Duration = Duration::from_secs(3);

/// What was last told of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    is_on_disk: bool,
    is_kept: bool,
    budget_bytes: u64,
}

/// Where things stand with what is kept.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// The browser's answer: files or none.
    answer: Option<Option<Box<Storage>>>,
    /// The manifest, while the answer is awaited, and since when.
    awaited: Option<(Arc<Manifest>, Timestamp)>,
    told: Option<Told>,
    resumed_bytes: u64,
    /// Until when nothing is written.
    rests_until: Timestamp,
}

impl Keeping {
    /// The page may be about to go away: nothing is written for a while.
    pub(crate) fn rest(&mut self, now: Timestamp) {
        self.rests_until = now + REST;
    }

    /// Whether nothing may be written now.
    ///
    /// Chromium 148 goes on calling a worker whose page is being left when its file handles have lost the browser already. A write
    /// then ends the renderer, and with it the next page of the same site: one visit in ten on a busy machine
    /// (`leaving::` in the browser tests).
    pub(crate) fn rests(&self, now: Timestamp) -> bool {
        now < self.rests_until
    }
}

impl State {
    /// The browser gave files, or none.
    pub(crate) fn storage_came(&mut self, now: Timestamp, storage: Option<Box<Storage>>) {
        if self.content.is_some() || self.keeping.answer.is_some() {
            return; // too late
        }
        let manifest = storage.as_ref().and_then(|storage| storage.manifest());
        let manifest = manifest.filter(|bytes| Manifest::from_bytes(self.swarm, bytes).is_ok());
        self.keeping.answer = Some(storage);
        match self.keeping.awaited.take() {
            Some((manifest, _)) => self.open_store(now, manifest),
            None => {
                if let Some(bytes) = manifest {
                    self.input(now, Input::ManifestFetched(Ok(bytes.into())));
                }
            }
        }
    }

    /// Opens the store once there is a manifest and the browser's answer, and says where reading begins before anything
    /// is read.
    pub(crate) fn open_store(&mut self, now: Timestamp, manifest: Arc<Manifest>) {
        let Some(mut storage) = self.keeping.answer.take() else {
            self.keeping.awaited = Some((manifest, now));
            return;
        };
        if let Some(storage) = &mut storage {
            let room = storage.make_room(manifest.length_bytes);
            self.later(async move {
                room.await;
                Happening::Done
            });
        }
        let (store, tree) = Store::open(&manifest, storage.map(|storage| (*storage).into()));
        let held = store.held().clone();
        let geometry = store.geometry();
        self.keeping.resumed_bytes = held.runs(geometry.all()).map(|run| geometry.len_bytes(run)).sum();
        let expected = self.start_ms.and_then(|start_ms| self.readers.expect(&manifest, start_ms));
        self.origins = Origins::new(&held);
        self.content = Some((manifest, store));
        self.tell_storage(now);
        self.input(now, Input::StoreReady { held, tree: Box::new(tree) });
        if let Some(input) = expected {
            self.input(now, input);
        }
        self.serve_readers(now);
    }

    /// Verifies some of what an earlier visit left.
    pub(crate) fn verify_stored(&self) {
        if let Some((_, store)) = &self.content {
            store.verify_some();
        }
    }

    /// Tells what the store lost and has room for, and saves it from time to time.
    pub(crate) fn look_after_store(&mut self, now: Timestamp) {
        if let Some((manifest, _)) = self.keeping.awaited.take_if(|(_, since)| now >= *since + PATIENCE) {
            self.keeping.answer = Some(None);
            self.open_store(now, manifest);
            self.drain(now);
        }
        let Some((_, store)) = &mut self.content else { return };
        let lost = store.take_lost();
        let is_due = store.is_save_due(now);
        for range in &lost {
            let reason = "what was stored is gone or damaged".to_owned();
            self.input(now, Input::StoreFailed(*range, reason));
        }
        let has_changed = self.tell_storage(now);
        if is_due {
            self.save(now);
        }
        if has_changed || !lost.is_empty() {
            self.drain(now);
        }
    }

    fn save(&mut self, now: Timestamp) {
        if self.keeping.rests(now) {
            return;
        }
        let (Some((_, store)), Some(tree)) = (&mut self.content, self.peer.tree()) else { return };
        let date_ms = js_sys::Date::now();
        store.save(tree, date_ms as u64);
        let took_ms = (js_sys::Date::now() - date_ms).max(1.0);
        let took = Duration::from_millis(took_ms as u64);
        store.saved_in(now + took, took);
    }

    /// The person keeps the content, or no longer does. Saved at once: the page may be left before the next save.
    pub(crate) fn keep(&mut self, now: Timestamp, is_kept: bool) {
        if let Some((_, store)) = &mut self.content {
            store.set_kept(is_kept);
        }
        self.save(now);
    }

    /// The page goes away: another page may have the files.
    ///
    /// Nothing is saved here, see [`Keeping::rests`]. What arrived since the last save is fetched again; `store/disk.rs` says when
    /// that is.
    pub(crate) fn close_store(&mut self) {
        self.keeping.answer = Some(None);
        if let Some((_, store)) = &self.content {
            store.close();
        }
    }

    /// Tells core and page how the store is, if that changed.
    fn tell_storage(&mut self, now: Timestamp) -> bool {
        let Some((_, store)) = &self.content else { return false };
        let (is_on_disk, is_kept) = (store.is_on_disk(), store.is_kept());
        let told = Told { is_on_disk, is_kept, budget_bytes: store.budget_bytes() };
        if self.keeping.told.replace(told) == Some(told) {
            return false;
        }
        let Told { budget_bytes, .. } = told;
        self.input(now, Input::Appetite(Appetite::Viewer { budget_bytes, is_kept }));
        let resumed_bytes = self.keeping.resumed_bytes;
        ToPage::Storage { is_on_disk, is_kept, resumed_bytes }.post(&self.scope);
        true
    }
}
