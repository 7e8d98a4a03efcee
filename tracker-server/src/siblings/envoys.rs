//! The guest's side: which of the own peers are guests at siblings, and whom they were introduced to there.
//!
//! Ids of peers are a tracker's. Those of a sibling are masked before a peer here hears of them, so that no sibling can speak
//! for, or of, a peer of this tracker.

use std::collections::{BTreeMap, BTreeSet};

use swarm_core::tracker_message::{Received, TrackerMessageBody};
use swarm_core::{PeerId, SwarmId};
use tokio::sync::mpsc;

use super::wire::ToHost;
use crate::decision::ConnectionId;
use crate::limits::SIBLING_LINKS_MAX;

/// A peer that is a guest at a sibling.
#[derive(Debug)]
struct Ambassador {
    swarm: SwarmId,
    /// Whom it was introduced to, by masked ids.
    links: BTreeSet<PeerId>,
}

/// What goes to one sibling.
#[derive(Debug, Default)]
pub(crate) struct Envoy {
    /// While the sibling is reached.
    way: Option<mpsc::Sender<ToHost>>,
    mask: u64,
    hosted: BTreeSet<SwarmId>,
    ambassadors: BTreeMap<ConnectionId, Ambassador>,
}

impl Envoy {
    /// The sibling is reached. The mask is drawn at random.
    pub(crate) fn reached(way: mpsc::Sender<ToHost>, mask: u64) -> Self {
        Self { way: Some(way), mask, ..Self::default() }
    }

    /// Whether the sibling is reached.
    pub(crate) const fn is_reached(&self) -> bool {
        self.way.is_some()
    }

    const fn masked(&self, peer: PeerId) -> PeerId {
        PeerId(peer.0 ^ self.mask)
    }

    /// The sibling told which swarms have peers there.
    pub(crate) fn hosts(&mut self, swarms: Vec<SwarmId>) {
        self.hosted = swarms.into_iter().collect();
    }

    /// The swarms that have peers there, while it is reached.
    pub(crate) fn hosted(&self) -> impl Iterator<Item = SwarmId> {
        self.hosted.iter().copied().filter(|_| self.way.is_some())
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
    pub(crate) fn send_over(&mut self, connection: ConnectionId, guest: super::wire::Guest) {
        let ambassador = Ambassador { swarm: guest.swarm, links: BTreeSet::new() };
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
        let ambassador = self.ambassadors.get(&connection)?;
        ambassador.links.contains(&peer).then(|| self.masked(peer))
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
        connection: ConnectionId,
        body: TrackerMessageBody,
    ) -> Option<TrackerMessageBody> {
        let mask = self.mask;
        let masked = |peer: PeerId| PeerId(peer.0 ^ mask);
        let Ambassador { links, .. } = self.ambassadors.get_mut(&connection)?;
        match body {
            TrackerMessageBody::Connect { peer, role, offer } => {
                let peer = masked(peer);
                let is_known = links.contains(&peer);
                let is_room = is_known || links.len() < SIBLING_LINKS_MAX;
                is_room.then(|| {
                    links.insert(peer);
                    TrackerMessageBody::Connect { peer, role, offer }
                })
            }
            TrackerMessageBody::Unlink { peer } => {
                let peer = masked(peer);
                links.remove(&peer).then_some(TrackerMessageBody::Unlink { peer })
            }
            TrackerMessageBody::Gone { peer } => {
                let peer = masked(peer);
                links.remove(&peer).then_some(TrackerMessageBody::Gone { peer })
            }
            TrackerMessageBody::Signal { from, signal } => {
                let from = masked(from);
                links.contains(&from).then_some(TrackerMessageBody::Signal { from, signal })
            }
            TrackerMessageBody::Welcome { .. }
            | TrackerMessageBody::Swarm { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Ok
            | TrackerMessageBody::Error { .. } => None,
        }
    }

    /// A sibling that does not take what it is sent is let go: the connection is made again.
    fn push(&mut self, message: ToHost) {
        if self.way.as_ref().is_some_and(|way| way.try_send(message).is_err()) {
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

    fn guest() -> Guest {
        let address = "192.0.2.1".parse().unwrap();
        let (guest, peer, have) = (OWN.0, PeerId(9), vec![]);
        Guest { guest, swarm: SWARM, peer, address, uplink_bps: 0, have, playhead: None }
    }

    fn envoy() -> (Envoy, mpsc::Receiver<ToHost>) {
        let (way, queue) = mpsc::channel(2);
        let mut envoy = Envoy::reached(way, 0xff00);
        envoy.hosts(vec![SWARM]);
        envoy.send_over(OWN, guest());
        (envoy, queue)
    }

    fn connect(peer: u64) -> TrackerMessageBody {
        TrackerMessageBody::Connect { peer: PeerId(peer), role: Role::Viewer, offer: true }
    }

    #[test]
    fn what_a_sibling_says_names_no_peer_of_this_tracker() {
        let (mut envoy, _queue) = envoy();
        let told = envoy.heard(OWN, connect(5));
        let peer = PeerId(5 ^ 0xff00);
        assert_eq!(told, Some(TrackerMessageBody::Connect { peer, role: Role::Viewer, offer: true }));
        assert_eq!(envoy.introduced(OWN, peer), Some(PeerId(5)));
        assert_eq!(envoy.introduced(OWN, PeerId(5)), None);
        // Peers that it did not introduce are neither gone nor heard of.
        assert_eq!(envoy.heard(OWN, TrackerMessageBody::Gone { peer: PeerId(6) }), None);
        assert_eq!(envoy.heard(ConnectionId(5), connect(5)), None, "not a guest there");
        assert_eq!(envoy.heard(OWN, TrackerMessageBody::Ok), None);
        assert_eq!(
            envoy.heard(OWN, TrackerMessageBody::Gone { peer: PeerId(5) }),
            Some(TrackerMessageBody::Gone { peer })
        );
        assert_eq!(envoy.introduced(OWN, peer), None);
    }

    #[test]
    fn a_sibling_introduces_no_more_peers_than_a_viewer_has_room_for() {
        let (mut envoy, _queue) = envoy();
        let told = (0..100).filter(|peer| envoy.heard(OWN, connect(*peer)).is_some()).count();
        assert_eq!(told, SIBLING_LINKS_MAX);
    }

    #[test]
    fn what_came_from_peers_of_this_tracker_is_not_told_to_a_sibling() {
        let (mut envoy, _queue) = envoy();
        envoy.heard(OWN, connect(5));
        let entry = |peer| Received { peer: PeerId(peer), bytes: 7, failures: 0 };
        assert_eq!(envoy.received(OWN, &[entry(5 ^ 0xff00), entry(8)]), [entry(5)]);
    }

    #[test]
    fn a_sibling_that_does_not_read_loses_its_guests() {
        let (mut envoy, mut queue) = envoy();
        assert!(matches!(queue.try_recv(), Ok(ToHost::Attach(_))));
        (0..3).for_each(|_| envoy.pass_on(OWN, String::new()));
        assert!(!envoy.has(OWN) && envoy.hosted().next().is_none());
    }
}
