//! The digest of everything that is held, taken a slice at a time so that playback does not wait for it.

use swarm_core::GroupRange;

use crate::store::Store;

/// Groups hashed before others get their turn: 4 MiB, a few milliseconds.
const GROUPS_PER_TURN: u32 = 256;

/// A digest that is being taken.
#[derive(Debug)]
pub(crate) struct Digest {
    /// The question that it answers.
    pub(crate) id: u32,
    hasher: Box<blake3::Hasher>,
    next: u32,
}

/// How far a digest came.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Ask again.
    More(Digest),
    /// The digest as hexadecimal digits; `None` while groups are missing.
    Done(u32, Option<String>),
}

impl Digest {
    /// A digest of nothing yet.
    pub(crate) fn new(id: u32) -> Self {
        Self { id, hasher: Box::default(), next: 0 }
    }

    /// Hashes the next groups.
    pub(crate) fn advance(mut self, store: &Store) -> Progress {
        let end = store.geometry().group_count();
        let turn = GroupRange::new(self.next, self.next.saturating_add(GROUPS_PER_TURN).min(end));
        for group in turn.iter() {
            match store.group(group) {
                Ok(bytes) => self.hasher.update(&bytes),
                Err(_) => return Progress::Done(self.id, None),
            };
        }
        self.next = turn.end;
        if self.next < end {
            return Progress::More(self);
        }
        Progress::Done(self.id, Some(self.hasher.finalize().to_hex().to_string()))
    }
}
