//! The swarms that a tracker knows, whose they are, and who may join them as what.

use std::collections::BTreeMap;

use swarm_core::publisher::{Signature, Statement, TrackerName};
use swarm_core::{Challenge, PublisherKey, SwarmId};

use super::super::refusal::Refusal;
use super::super::swarm::Swarm;

/// One swarm.
#[derive(Debug)]
struct Known {
    swarm: Swarm,
    publisher: PublisherKey,
    /// Nobody may join it any more: it is forgotten when its peers have left.
    is_retired: bool,
}

/// All swarms.
#[derive(Debug, Default)]
pub(super) struct Swarms(BTreeMap<SwarmId, Known>);

impl Swarms {
    /// Makes a swarm known; one that was retired can be joined again.
    pub(super) fn add(&mut self, id: SwarmId, publisher: PublisherKey, swarm: impl FnOnce() -> Swarm) {
        let known =
            self.0.entry(id).or_insert_with(|| Known { swarm: swarm(), publisher, is_retired: false });
        known.is_retired = false;
    }

    /// Forgets a swarm that has no peers. Whether it was forgotten.
    pub(super) fn remove(&mut self, id: SwarmId) -> bool {
        !self.has_peers(id) && self.0.remove(&id).is_some()
    }

    /// Lets nobody join a swarm any more.
    pub(super) fn retire(&mut self, id: SwarmId) {
        if !self.remove(id)
            && let Some(known) = self.0.get_mut(&id)
        {
            known.is_retired = true;
        }
    }

    /// Forgets a swarm if it is retired and its last peer has left.
    pub(super) fn left(&mut self, id: SwarmId) {
        if self.0.get(&id).is_some_and(|known| known.is_retired) {
            self.remove(id);
        }
    }

    /// Whether a swarm can be joined.
    pub(super) fn is_joinable(&self, id: SwarmId) -> bool {
        self.0.get(&id).is_some_and(|known| !known.is_retired)
    }

    pub(super) fn has_peers(&self, id: SwarmId) -> bool {
        self.get(id).is_some_and(|swarm| !swarm.is_empty())
    }

    /// The swarms that have peers, in order.
    pub(super) fn occupied(&self) -> Vec<SwarmId> {
        self.0.iter().filter(|(_, known)| !known.swarm.is_empty()).map(|(swarm, _)| *swarm).collect()
    }

    pub(super) fn get(&self, id: SwarmId) -> Option<&Swarm> {
        self.0.get(&id).map(|known| &known.swarm)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Swarm> {
        self.0.values().map(|known| &known.swarm)
    }

    pub(super) fn known_mut(&mut self, id: SwarmId) -> Option<&mut Swarm> {
        self.0.get_mut(&id).map(|known| &mut known.swarm)
    }

    /// Takes the state of a swarm and leaves it without peers.
    pub(super) fn emptied(&mut self, id: SwarmId) -> Option<Swarm> {
        let known = self.0.get_mut(&id)?;
        let emptied = known.swarm.emptied();
        Some(std::mem::replace(&mut known.swarm, emptied))
    }

    /// The swarm, for somebody who wants to join it.
    pub(super) fn joinable(&mut self, id: SwarmId) -> Result<&mut Swarm, Refusal> {
        let known = self.0.get_mut(&id).ok_or_else(|| Refusal::unknown_swarm(id))?;
        if known.is_retired { Err(Refusal::removed(id)) } else { Ok(&mut known.swarm) }
    }

    /// Anybody may be a viewer; an initial peer shows that the publisher's key is its own.
    pub(super) fn check_initial(
        &self,
        swarm: SwarmId,
        tracker: TrackerName,
        challenge: Challenge,
        proof: Option<Signature>,
    ) -> Result<(), Refusal> {
        let known = self.0.get(&swarm).ok_or_else(|| Refusal::unknown_swarm(swarm))?;
        let statement = Statement::Join { swarm, tracker, challenge };
        let is_proven = proof.is_some_and(|proof| known.publisher.has_signed(&statement, &proof));
        if is_proven { Ok(()) } else { Err(Refusal::unproven(tracker)) }
    }
}
