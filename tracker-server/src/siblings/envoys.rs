//! The guest's side: which of the own peers are guests at siblings, and whom they were introduced to there.
//!
//! Ids of peers are a tracker's. Those of a sibling are masked before a peer here hears of them, so that no sibling can speak
//! for, or of, a peer of this tracker.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::tracker_message::{Received, TrackerMessageBody};
use swarm_core::{PeerId, SwarmId, Timestamp};
use tokio::sync::mpsc;

use super::mask::Mask;
use super::wire::{SiblingError, ToHost};
use crate::decision::ConnectionId;
use crate::decision::token_bucket::{Rate, TokenBucket};
use crate::limits::{
    SIBLING_BURST, SIBLING_INTRODUCTION_BURST, SIBLING_INTRODUCTIONS_PER_S, SIBLING_LINKS_MAX,
    SIBLING_MESSAGES_PER_S,
};

/// What one sibling may say.
const RATE: Rate = Rate { per_s: SIBLING_MESSAGES_PER_S, burst: SIBLING_BURST };

/// How many peers it may introduce to one guest.
const INTRODUCTIONS: Rate = Rate { per_s: SIBLING_INTRODUCTIONS_PER_S, burst: SIBLING_INTRODUCTION_BURST };

/// A peer that is a guest at a sibling.
#[derive(Debug)]
struct Ambassador {
    swarm: SwarmId,
    /// Whom it was introduced to, by masked ids, and by the sibling's.
    links: BTreeMap<PeerId, PeerId>,
    introductions: TokenBucket,
}

/// The connection to a sibling.
#[derive(Debug)]
struct Reached {
    way: mpsc::Sender<ToHost>,
    mask: Mask,
    rate: TokenBucket,
}

/// What goes to one sibling.
#[derive(Debug, Default)]
pub(crate) struct Envoy {
    /// While the sibling is reached.
    reached: Option<Reached>,
    hosted: BTreeSet<SwarmId>,
    ambassadors: BTreeMap<ConnectionId, Ambassador>,
}

impl Envoy {
    /// The sibling is reached.
    pub(crate) fn reached(now: Timestamp, way: mpsc::Sender<ToHost>, mask: Mask) -> Self {
        let reached = Some(Reached { way, mask, rate: TokenBucket::new(RATE, now) });
        Self { reached, ..Self::default() }
    }

    /// Whether the sibling is reached.
    pub(crate) const fn is_reached(&self) -> bool {
        self.reached.is_some()
    }

    /// Counts a message of the sibling.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Result<(), SiblingError> {
        let reached = self.reached.as_mut().ok_or(SiblingError::Malformed)?;
        reached.rate.take(RATE, now, 1).map_err(|_| SiblingError::TooMuch)
    }

    /// The sibling told which swarms have peers there.
    pub(crate) fn hosts(&mut self, swarms: Vec<SwarmId>) {
        self.hosted = swarms.into_iter().collect();
    }

    /// The swarms that have peers there, while it is reached.
    pub(crate) fn hosted(&self) -> impl Iterator<Item = SwarmId> {
        self.hosted.iter().copied().filter(|_| self.reached.is_some())
    }

    /// How many guests of a swarm are there.
    pub(crate) fn count(&self, swarm: SwarmId) -> usize {
        self.ambassadors.values().filter(|ambassador| ambassador.swarm == swarm).count()
    }

    /// Whether a peer is a guest there.
    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.ambassadors.contains_key(&connection)
    }

    /// A peer becomes a guest.
    pub(crate) fn send_over(&mut self, now: Timestamp, connection: ConnectionId, guest: super::wire::Guest) {
        let introductions = TokenBucket::new(INTRODUCTIONS, now);
        let ambassador = Ambassador { swarm: guest.swarm, links: BTreeMap::new(), introductions };
        self.ambassadors.insert(connection, ambassador);
        self.push(ToHost::Attach(Box::new(guest)));
    }

    /// A peer left.
    pub(crate) fn call_back(&mut self, connection: ConnectionId) {
        if self.ambassadors.remove(&connection).is_some() {
            self.push(ToHost::Detach { guest: connection.0 });
        }
    }

    /// The sibling does not want a guest any more.
    pub(crate) fn dismissed(&mut self, connection: ConnectionId) {
        self.ambassadors.remove(&connection);
    }

    /// Passes on what a guest said.
    pub(crate) fn pass_on(&mut self, connection: ConnectionId, text: String) {
        self.push(ToHost::Request { guest: connection.0, text });
    }

    /// The id by which the sibling knows a peer that it introduced to a guest.
    pub(crate) fn introduced(&self, connection: ConnectionId, peer: PeerId) -> Option<PeerId> {
        self.ambassadors.get(&connection)?.links.get(&peer).copied()
    }

    /// What a guest received of the peers that the sibling introduced.
    pub(crate) fn received(&self, connection: ConnectionId, received: &[Received]) -> Vec<Received> {
        let of_sibling = received
            .iter()
            .filter_map(|entry| Some(Received { peer: self.introduced(connection, entry.peer)?, ..*entry }));
        of_sibling.collect()
    }

    /// What a guest is told of what the sibling says to it; nothing if that is none of a sibling's business.
    pub(crate) fn heard(
        &mut self,
        now: Timestamp,
        connection: ConnectionId,
        body: TrackerMessageBody,
    ) -> Option<TrackerMessageBody> {
        let mask = &self.reached.as_ref()?.mask;
        let Ambassador { links, introductions, .. } = self.ambassadors.get_mut(&connection)?;
        match body {
            TrackerMessageBody::Connect { peer, role, offer } => {
                let own = mask.of(peer);
                let is_room = links.contains_key(&own) || links.len() < SIBLING_LINKS_MAX;
                // Each makes the guest build a connection.
                let is_paced = is_room && introductions.take(INTRODUCTIONS, now, 1).is_ok();
                is_paced.then(|| {
                    links.insert(own, peer);
                    TrackerMessageBody::Connect { peer: own, role, offer }
                })
            }
            TrackerMessageBody::Unlink { peer } => {
                let peer = mask.of(peer);
                links.remove(&peer).map(|_| TrackerMessageBody::Unlink { peer })
            }
            TrackerMessageBody::Gone { peer } => {
                let peer = mask.of(peer);
                links.remove(&peer).map(|_| TrackerMessageBody::Gone { peer })
            }
            TrackerMessageBody::Signal { from, signal } => {
                let from = mask.of(from);
                links.contains_key(&from).then_some(TrackerMessageBody::Signal { from, signal })
            }
            TrackerMessageBody::Welcome { .. }
            | TrackerMessageBody::Swarm { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Move { .. }
            | TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Ok
            | TrackerMessageBody::Error { .. } => None,
        }
    }

    /// A sibling that does not take what it is sent is let go: the connection is made again.
    fn push(&mut self, message: ToHost) {
        if self.reached.as_ref().is_some_and(|reached| reached.way.try_send(message).is_err()) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::siblings::wire::Guest;
    use swarm_core::tracker_message::Role;

    const SWARM: SwarmId = SwarmId([1; 32]);
    const OWN: ConnectionId = ConnectionId(4);
    const NOW: Timestamp = Timestamp::ZERO;

    fn masked(peer: u64) -> PeerId {
        Mask::new([7; 32]).of(PeerId(peer))
    }

    fn guest() -> Guest {
        let address = "192.0.2.1".parse().unwrap();
        let (guest, peer, have) = (OWN.0, PeerId(9), vec![]);
        Guest { guest, swarm: SWARM, peer, address, uplink_bps: 0, have, playhead: None }
    }

    fn envoy() -> (Envoy, mpsc::Receiver<ToHost>) {
        let (way, queue) = mpsc::channel(2);
        let mut envoy = Envoy::reached(NOW, way, Mask::new([7; 32]));
        envoy.hosts(vec![SWARM]);
        envoy.send_over(NOW, OWN, guest());
        (envoy, queue)
    }

    fn connect(peer: u64) -> TrackerMessageBody {
        TrackerMessageBody::Connect { peer: PeerId(peer), role: Role::Viewer, offer: true }
    }

    #[test]
    fn what_a_sibling_says_names_no_peer_of_this_tracker() {
        let (mut envoy, _queue) = envoy();
        let told = envoy.heard(NOW, OWN, connect(5));
        let peer = masked(5);
        assert_eq!(told, Some(TrackerMessageBody::Connect { peer, role: Role::Viewer, offer: true }));
        assert_eq!(envoy.introduced(OWN, peer), Some(PeerId(5)));
        assert_eq!(envoy.introduced(OWN, PeerId(5)), None);
        // Peers that it did not introduce are neither gone nor heard of.
        assert_eq!(envoy.heard(NOW, OWN, TrackerMessageBody::Gone { peer: PeerId(6) }), None);
        assert_eq!(envoy.heard(NOW, ConnectionId(5), connect(5)), None, "not a guest there");
        assert_eq!(envoy.heard(NOW, OWN, TrackerMessageBody::Ok), None);
        assert_eq!(
            envoy.heard(NOW, OWN, TrackerMessageBody::Gone { peer: PeerId(5) }),
            Some(TrackerMessageBody::Gone { peer })
        );
        assert_eq!(envoy.introduced(OWN, peer), None);
    }

    #[test]
    fn a_sibling_introduces_no_more_peers_than_a_viewer_has_room_for() {
        let (mut envoy, _queue) = envoy();
        let told = (0..100).filter(|peer| envoy.heard(NOW, OWN, connect(*peer)).is_some()).count();
        assert_eq!(told, SIBLING_LINKS_MAX);
    }

    #[test]
    fn what_came_from_peers_of_this_tracker_is_not_told_to_a_sibling() {
        let (mut envoy, _queue) = envoy();
        envoy.heard(NOW, OWN, connect(5));
        let entry = |peer| Received { peer, bytes: 7, failures: 0 };
        assert_eq!(envoy.received(OWN, &[entry(masked(5)), entry(PeerId(8))]), [entry(PeerId(5))]);
    }

    #[test]
    fn a_sibling_introduces_and_takes_back_no_faster_than_a_viewer_can_build_connections() {
        let (mut envoy, _queue) = envoy();
        let mut told = 0;
        for peer in 0..10_000 {
            told += u32::from(envoy.heard(NOW, OWN, connect(peer)).is_some());
            envoy.heard(NOW, OWN, TrackerMessageBody::Gone { peer: PeerId(peer) });
        }
        assert_eq!(told, SIBLING_INTRODUCTION_BURST);
        let later = NOW + std::time::Duration::from_secs(1);
        assert!(envoy.heard(later, OWN, connect(1)).is_some(), "the next ones are heard again");
    }

    #[test]
    fn a_sibling_that_says_too_much_is_let_go() {
        let (mut envoy, _queue) = envoy();
        let admitted = (0..2 * SIBLING_BURST).filter(|_| envoy.admit(NOW).is_ok()).count();
        assert_eq!(admitted, SIBLING_BURST as usize);
        assert_eq!(envoy.admit(NOW), Err(SiblingError::TooMuch));
    }

    #[test]
    fn a_sibling_that_does_not_read_loses_its_guests() {
        let (mut envoy, mut queue) = envoy();
        assert!(matches!(queue.try_recv(), Ok(ToHost::Attach(_))));
        (0..3).for_each(|_| envoy.pass_on(OWN, String::new()));
        assert!(!envoy.has(OWN) && envoy.hosted().next().is_none());
    }
}
