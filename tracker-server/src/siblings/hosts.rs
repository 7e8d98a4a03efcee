//! The host's side: peers of siblings that are guests here.
//!
//! To the decisions a guest is one more viewer, under an id that its own tracker cannot choose.

use std::collections::{BTreeMap, HashMap};

use swarm_core::{PeerId, SwarmId, Timestamp};
use tokio::sync::mpsc;

use super::mask::Mask;
use super::wire::{FromHost, SiblingError};
use crate::decision::ConnectionId;
use crate::decision::network::Site;
use crate::decision::token_bucket::{Rate, TokenBucket};
use crate::limits::{
    SIBLING_AMBASSADORS_MAX, SIBLING_ATTACH_BURST, SIBLING_ATTACHES_PER_S, SIBLING_BURST, SIBLING_GUESTS_MAX,
    SIBLING_MESSAGES_PER_S, SIBLINGS_MAX, SIBLINGS_PER_ADDRESS_MAX,
};

/// What one sibling may send.
const RATE: Rate = Rate { per_s: SIBLING_MESSAGES_PER_S, burst: SIBLING_BURST };

/// Guests that one sibling may send over.
const ATTACHES: Rate = Rate { per_s: SIBLING_ATTACHES_PER_S, burst: SIBLING_ATTACH_BURST };

/// Names the connection of one sibling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(u64);

#[derive(Debug)]
struct Host {
    site: Site,
    way: mpsc::Sender<FromHost>,
    mask: Mask,
    guests: BTreeMap<u64, (ConnectionId, SwarmId)>,
    rate: TokenBucket,
    attaches: TokenBucket,
    told: Vec<SwarmId>,
}

/// All siblings whose peers are guests here.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    hosts: BTreeMap<HostId, Host>,
    guests: HashMap<ConnectionId, (HostId, u64)>,
    last: u64,
}

impl Hosts {
    /// A sibling came, if there is room.
    pub(crate) fn came(
        &mut self,
        now: Timestamp,
        (site, way): (Site, mpsc::Sender<FromHost>),
        mask: Mask,
    ) -> Option<HostId> {
        let from_there = self.hosts.values().filter(|host| host.site == site).count();
        if self.hosts.len() >= SIBLINGS_MAX || from_there >= SIBLINGS_PER_ADDRESS_MAX {
            return None;
        }
        self.last += 1;
        let (rate, attaches) = (TokenBucket::new(RATE, now), TokenBucket::new(ATTACHES, now));
        let host = Host { site, way, mask, guests: BTreeMap::new(), rate, attaches, told: Vec::new() };
        self.hosts.insert(HostId(self.last), host);
        Some(HostId(self.last))
    }

    /// A sibling left. Returns the connections that stood for its peers.
    pub(crate) fn left(&mut self, id: HostId) -> Vec<ConnectionId> {
        let guests = self.hosts.remove(&id).map(|host| host.guests).unwrap_or_default();
        let connections: Vec<ConnectionId> = guests.into_values().map(|(connection, _)| connection).collect();
        connections.iter().for_each(|connection| _ = self.guests.remove(connection));
        connections
    }

    /// Counts a message of a sibling.
    pub(crate) fn admit(&mut self, now: Timestamp, id: HostId) -> Result<(), SiblingError> {
        let host = self.hosts.get_mut(&id).ok_or(SiblingError::Malformed)?;
        host.rate.take(RATE, now, 1).map_err(|_| SiblingError::TooMuch)
    }

    /// Counts one more guest of a sibling in a swarm. Returns the id that it gets here; none if there is no room for it.
    pub(crate) fn room(
        &mut self,
        now: Timestamp,
        id: HostId,
        (swarm, peer): (SwarmId, PeerId),
    ) -> Option<PeerId> {
        let host = self.hosts.get_mut(&id)?;
        let in_swarm = host.guests.values().filter(|(_, other)| *other == swarm).count();
        let is_room = host.guests.len() < SIBLING_GUESTS_MAX && in_swarm < SIBLING_AMBASSADORS_MAX;
        let is_paced = is_room && host.attaches.take(ATTACHES, now, 1).is_ok();
        is_paced.then(|| host.mask.of(peer))
    }

    /// A guest is in.
    pub(crate) fn admitted(&mut self, id: HostId, guest: u64, connection: ConnectionId, swarm: SwarmId) {
        if let Some(host) = self.hosts.get_mut(&id) {
            host.guests.insert(guest, (connection, swarm));
            self.guests.insert(connection, (id, guest));
        }
    }

    /// The connection that stands for a guest.
    pub(crate) fn connection(&self, id: HostId, guest: u64) -> Option<ConnectionId> {
        self.hosts.get(&id)?.guests.get(&guest).map(|(connection, _)| *connection)
    }

    /// Whether a connection stands for a guest.
    pub(crate) fn has(&self, connection: ConnectionId) -> bool {
        self.guests.contains_key(&connection)
    }

    /// Forgets a guest, and tells its tracker if `is_told`.
    pub(crate) fn forget(&mut self, connection: ConnectionId, is_told: bool) {
        let Some((id, guest)) = self.guests.remove(&connection) else { return };
        if let Some(host) = self.hosts.get_mut(&id) {
            host.guests.remove(&guest);
            if is_told {
                // A queue that is full ends the connection, which its task notices.
                _ = host.way.try_send(FromHost::Dismissed { guest });
            }
        }
    }

    /// Sends a guest something. One that does not read loses it, as a slow reader would.
    pub(crate) fn deliver(&self, connection: ConnectionId, text: String) {
        let Some((id, guest)) = self.guests.get(&connection) else { return };
        if let Some(host) = self.hosts.get(id)
            && host.way.try_send(FromHost::Deliver { guest: *guest, text }).is_err()
        {
            tracing::debug!("a message to a guest of a sibling was dropped: its tracker does not read");
        }
    }

    /// Tells siblings which swarms have peers here, where that changed.
    pub(crate) fn tell(&mut self, swarms: &[SwarmId]) {
        for host in self.hosts.values_mut().filter(|host| host.told != swarms) {
            if host.way.try_send(FromHost::Swarms(swarms.to_vec())).is_ok() {
                host.told = swarms.to_vec();
            }
        }
    }

    /// Number of guests.
    pub(crate) fn len(&self) -> usize {
        self.guests.len()
    }

    /// Whether no sibling is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SWARM: SwarmId = SwarmId([1; 32]);
    const NOW: Timestamp = Timestamp::ZERO;

    fn site(host: u8) -> Site {
        Site::of([192, 0, 2, host].into())
    }

    fn mask() -> Mask {
        Mask::new([7; 32])
    }

    #[test]
    fn a_sibling_has_a_bounded_number_of_guests_and_takes_them_with_it() {
        let mut hosts = Hosts::default();
        let (way, _queue) = mpsc::channel(8);
        let id = hosts.came(Timestamp::ZERO, (site(1), way), mask()).unwrap();
        let mut count = 0;
        while hosts.room(NOW, id, (SWARM, PeerId(count))).is_some() {
            hosts.admitted(id, count, ConnectionId(100 + count), SWARM);
            count += 1;
        }
        assert_eq!(count, SIBLING_AMBASSADORS_MAX as u64);
        assert_eq!(hosts.room(NOW, id, (SwarmId([2; 32]), PeerId(1))), Some(mask().of(PeerId(1))));
        assert_eq!(hosts.left(id).len(), SIBLING_AMBASSADORS_MAX);
        assert!(!hosts.has(ConnectionId(100)) && hosts.is_empty());
    }

    #[test]
    fn a_sibling_that_sends_guests_to_and_fro_is_slowed_down() {
        let mut hosts = Hosts::default();
        let (way, _queue) = mpsc::channel(8);
        let id = hosts.came(NOW, (site(1), way), mask()).unwrap();
        let come = |hosts: &mut Hosts, now| {
            let is_in = hosts.room(now, id, (SWARM, PeerId(1))).is_some();
            hosts.admitted(id, 1, ConnectionId(100), SWARM);
            hosts.forget(ConnectionId(100), false);
            is_in
        };
        let count = (0..3 * SIBLING_ATTACH_BURST).filter(|_| come(&mut hosts, NOW)).count();
        assert_eq!(count, SIBLING_ATTACH_BURST as usize);
        assert!(come(&mut hosts, NOW + std::time::Duration::from_secs(1)), "later ones are taken again");
    }

    #[test]
    fn a_sibling_that_floods_is_noticed_and_no_more_come_than_there_is_room_for() {
        let mut hosts = Hosts::default();
        let (way, _queue) = mpsc::channel(8);
        let id = hosts.came(Timestamp::ZERO, (site(1), way.clone()), mask()).unwrap();
        let admitted = (0..2 * SIBLING_BURST).filter(|_| hosts.admit(Timestamp::ZERO, id).is_ok()).count();
        assert_eq!(admitted, SIBLING_BURST as usize);
        let more = (0..100).filter(|_| hosts.came(Timestamp::ZERO, (site(1), way.clone()), mask()).is_some());
        assert_eq!(more.count(), SIBLINGS_PER_ADDRESS_MAX - 1, "one address leaves places to others");
        let more = (2..100).filter(|host| hosts.came(NOW, (site(*host), way.clone()), mask()).is_some());
        assert_eq!(more.count(), SIBLINGS_MAX - SIBLINGS_PER_ADDRESS_MAX);
    }

    #[test]
    fn the_list_of_swarms_is_told_when_it_changes() {
        let mut hosts = Hosts::default();
        let (way, mut queue) = mpsc::channel(8);
        hosts.came(Timestamp::ZERO, (site(1), way), mask()).unwrap();
        hosts.tell(&[SWARM]);
        hosts.tell(&[SWARM]);
        assert_eq!(queue.try_recv(), Ok(FromHost::Swarms(vec![SWARM])));
        assert!(queue.try_recv().is_err());
    }
}
