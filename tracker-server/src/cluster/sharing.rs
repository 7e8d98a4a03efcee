//! How far the list of publications of this tracker and that of the engine agree.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::SwarmId;

use super::shelf::Shelf;

/// Why the engine is to be told of a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// The engine does not have what is kept here. It is told only if there is room: others may have let it go.
    Missing,
    /// It was published or removed here.
    Changed,
    /// Its publisher published it here, and showed that it is the publisher. A removal that stands is over.
    BroughtBack,
}

/// Tells one note about a swarm from a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoteNumber(u64);

/// The state of the agreement.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// What the engine holds.
    pub(crate) shelf: Shelf,
    /// Whether the engine has no memory for more publications. At the limit there is room for one more now and then, so this
    /// ends only when nothing was refused between two refreshes.
    is_engine_full: bool,
    /// Whether the engine refused a publication for want of memory since the last refresh.
    was_refused: bool,
    /// Which life of the engine was read last.
    life: Option<u64>,
    /// The last change that was read.
    revision: u64,
    /// What was read in this life of the engine, until everything was.
    seen: Option<BTreeSet<SwarmId>>,
    /// What the engine is to be told.
    unshared: BTreeMap<SwarmId, (Why, NoteNumber)>,
    /// Number of the latest note.
    number: u64,
}

impl Sharing {
    /// The engine is to be told of a swarm.
    pub(crate) fn note(&mut self, swarm: SwarmId, why: Why) {
        self.number += 1;
        let before = self.unshared.get(&swarm).map_or(why, |(before, _)| *before);
        self.unshared.insert(swarm, (why.max(before), NoteNumber(self.number)));
    }

    /// The engine had no memory for a publication. Whether that is new.
    pub(crate) fn refused(&mut self) -> bool {
        self.was_refused = true;
        !std::mem::replace(&mut self.is_engine_full, true)
    }

    /// Whether the engine has no memory for more publications.
    pub(crate) fn is_engine_full(&self) -> bool {
        self.is_engine_full
    }

    /// A refresh begins. Whether the engine, which had no memory, has some again.
    pub(crate) fn has_memory_again(&mut self) -> bool {
        let was_refused = std::mem::take(&mut self.was_refused);
        !was_refused && std::mem::take(&mut self.is_engine_full)
    }

    /// The engine was told what a note was about. A later note stands.
    pub(crate) fn shared(&mut self, swarm: SwarmId, number: NoteNumber) {
        if self.unshared.get(&swarm).is_some_and(|(_, latest)| *latest == number) {
            self.unshared.remove(&swarm);
        }
    }

    /// Whether the engine does not know yet what was published or removed here.
    pub(crate) fn is_unshared(&self, swarm: SwarmId) -> bool {
        self.unshared.get(&swarm).is_some_and(|(why, _)| *why != Why::Missing)
    }

    /// Why the engine is to be told of a swarm.
    pub(crate) fn noted(&self, swarm: SwarmId) -> Option<(Why, NoteNumber)> {
        self.unshared.get(&swarm).copied()
    }

    /// Everything that the engine is to be told.
    pub(crate) fn unshared(&self) -> Vec<SwarmId> {
        self.unshared.keys().copied().collect()
    }

    /// After which change to read on, if there is more. Another life of the engine is read from the beginning.
    pub(crate) fn next(&mut self, life: u64, revision: u64) -> Option<u64> {
        if self.life != Some(life) {
            self.shelf.clear();
            self.life = Some(life);
            self.seen = Some(BTreeSet::new());
            self.revision = 0;
        }
        (self.revision < revision).then_some(self.revision)
    }

    /// A change was read. `is_there`: the engine still has what it is about.
    pub(crate) fn read(&mut self, swarm: SwarmId, revision: u64, is_there: bool) {
        self.revision = self.revision.max(revision);
        if let Some(seen) = self.seen.as_mut().filter(|_| is_there) {
            seen.insert(swarm);
        }
    }

    /// Everything was read. What is `known` here and was not among it is told to the engine.
    pub(crate) fn all_read(&mut self, known: impl FnOnce() -> Vec<SwarmId>) {
        let Some(seen) = self.seen.take() else { return };
        for swarm in known().into_iter().filter(|swarm| !seen.contains(swarm)) {
            self.note(swarm, Why::Missing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(number: u8) -> SwarmId {
        SwarmId([number; 32])
    }

    fn share(sharing: &mut Sharing, swarm: SwarmId) {
        let (_, number) = sharing.noted(swarm).unwrap();
        sharing.shared(swarm, number);
    }

    #[test]
    fn an_engine_has_memory_again_when_nothing_was_refused_between_two_refreshes() {
        let mut sharing = Sharing::default();
        assert!(!sharing.has_memory_again(), "it always had");
        assert!(sharing.refused() && sharing.is_engine_full());
        assert!(!sharing.refused(), "that is known");
        assert!(!sharing.has_memory_again(), "something was refused since the last refresh");
        assert!(!sharing.refused(), "room for one more came and went");
        assert!(!sharing.has_memory_again());
        assert!(sharing.has_memory_again() && !sharing.is_engine_full());
        assert!(!sharing.has_memory_again(), "that is known");
        assert!(sharing.refused());
    }

    #[test]
    fn an_engine_that_forgot_everything_is_told_again_and_one_that_did_not_is_read_on() {
        let mut sharing = Sharing::default();
        assert_eq!(sharing.next(7, 2), Some(0));
        sharing.read(swarm(1), 1, true);
        sharing.read(swarm(2), 2, true);
        assert_eq!(sharing.next(7, 2), None);
        sharing.all_read(|| vec![swarm(1), swarm(3)]);
        assert_eq!(sharing.unshared(), [swarm(3)]);
        share(&mut sharing, swarm(3));
        sharing.all_read(|| vec![swarm(1), swarm(3)]);
        assert!(sharing.unshared().is_empty());
        assert_eq!(sharing.next(7, 3), Some(2));
        assert_eq!(sharing.next(8, 0), None, "another life");
        sharing.all_read(|| vec![swarm(1), swarm(3)]);
        assert_eq!(sharing.unshared(), [swarm(1), swarm(3)]);
    }

    #[test]
    fn what_changes_while_the_engine_is_told_is_told_again() {
        let mut sharing = Sharing::default();
        sharing.note(swarm(1), Why::Missing);
        assert!(!sharing.is_unshared(swarm(1)));
        let (_, first) = sharing.noted(swarm(1)).unwrap();
        sharing.note(swarm(1), Why::Changed);
        sharing.note(swarm(1), Why::Missing);
        sharing.shared(swarm(1), first);
        assert!(sharing.is_unshared(swarm(1)), "a change stays one");
        share(&mut sharing, swarm(1));
        assert!(sharing.unshared().is_empty());
    }
}
