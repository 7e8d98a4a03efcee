//! How far the list of publications of this tracker and that of the engine agree.

use std::collections::BTreeSet;

use swarm_core::SwarmId;

/// The state of the agreement.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Which life of the engine was read last.
    life: Option<u64>,
    /// The last change that was read.
    revision: u64,
    /// What was read in this life of the engine, until everything was.
    seen: Option<BTreeSet<SwarmId>>,
    /// What changed here and is not known to the engine yet.
    unshared: BTreeSet<SwarmId>,
}

impl Sharing {
    /// Something was published or removed here.
    pub(crate) fn note(&mut self, swarm: SwarmId) {
        self.unshared.insert(swarm);
    }

    /// The engine has it.
    pub(crate) fn shared(&mut self, swarm: SwarmId) {
        self.unshared.remove(&swarm);
    }

    /// Whether the engine does not know yet what changed here.
    pub(crate) fn is_unshared(&self, swarm: SwarmId) -> bool {
        self.unshared.contains(&swarm)
    }

    /// Everything that the engine does not know yet.
    pub(crate) fn unshared(&self) -> Vec<SwarmId> {
        self.unshared.iter().copied().collect()
    }

    /// After which change to read on, if there is more. Another life of the engine is read from the beginning.
    pub(crate) fn next(&mut self, life: u64, revision: u64) -> Option<u64> {
        if self.life != Some(life) {
            *self = Self { life: Some(life), seen: Some(BTreeSet::new()), ..std::mem::take(self) };
            self.revision = 0;
        }
        (self.revision < revision).then_some(self.revision)
    }

    /// A change was read.
    pub(crate) fn read(&mut self, swarm: SwarmId, revision: u64) {
        self.revision = self.revision.max(revision);
        if let Some(seen) = &mut self.seen {
            seen.insert(swarm);
        }
    }

    /// Everything was read. What is `known` here and was not among it is told to the engine.
    pub(crate) fn all_read(&mut self, known: impl FnOnce() -> Vec<SwarmId>) {
        if let Some(seen) = self.seen.take() {
            self.unshared.extend(known().into_iter().filter(|swarm| !seen.contains(swarm)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swarm(number: u8) -> SwarmId {
        SwarmId([number; 32])
    }

    #[test]
    fn an_engine_that_forgot_everything_is_told_again_and_one_that_did_not_is_read_on() {
        let mut sharing = Sharing::default();
        assert_eq!(sharing.next(7, 2), Some(0));
        sharing.read(swarm(1), 1);
        sharing.read(swarm(2), 2);
        assert_eq!(sharing.next(7, 2), None);
        sharing.all_read(|| vec![swarm(1), swarm(3)]);
        assert_eq!(sharing.unshared(), [swarm(3)]);
        sharing.shared(swarm(3));
        sharing.all_read(|| vec![swarm(1), swarm(3)]);
        assert!(sharing.unshared().is_empty());
        assert_eq!(sharing.next(7, 3), Some(2));
        assert_eq!(sharing.next(8, 0), None, "another life");
        sharing.all_read(|| vec![swarm(1), swarm(3)]);
        assert_eq!(sharing.unshared(), [swarm(1), swarm(3)]);
    }
}
