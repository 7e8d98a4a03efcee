//! The hub and siblings: own peers that are guests there, and theirs that are guests here.

use swarm_core::publisher::TrackerName;
use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, Role, TrackerMessage, TrackerMessageBody};
use swarm_core::{Challenge, SwarmId, Timestamp};
use tokio::sync::mpsc;

use super::{Hub, Line, State, file};
use crate::decision::network::Site;
use crate::decision::{ConnectionId, Outgoing, Passport};
use crate::limits::{ADVICE_BYTES_MAX, SIBLING_AMBASSADORS_MAX, SIBLING_SWARMS_MAX};
use crate::siblings::envoys::Envoy;
use crate::siblings::hosts::{HostId, Hosts};
use crate::siblings::mask::Mask;
use crate::siblings::wire::{FromHost, Guest, SiblingError, ToHost};

/// The state of both sides.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    pub(super) envoys: Vec<Envoy>,
    pub(super) hosts: Hosts,
}

impl Hub {
    /// A sibling is reached: its first word is which swarms it has.
    pub(crate) fn sibling_reached(&self, index: usize, way: mpsc::Sender<ToHost>, mask: Mask) {
        let now = self.now();
        let mut state = self.lock();
        let count = self.config.siblings.addresses.len();
        state.siblings.envoys.resize_with(count, Envoy::default);
        if let Some(envoy) = state.siblings.envoys.get_mut(index) {
            *envoy = Envoy::reached(now, way, mask);
        }
    }

    /// A sibling is gone. Links that it introduced stand.
    pub(crate) fn sibling_lost(&self, index: usize) {
        self.lock().siblings.envoys.get_mut(index).into_iter().for_each(|envoy| *envoy = Envoy::default());
    }

    /// Where the peers of this tracker, which stops, can go: a sibling that is reached.
    fn reached_sibling(&self, state: &State) -> Option<String> {
        let envoys = state.siblings.envoys.iter().zip(&self.config.siblings.addresses);
        let reached: Vec<_> = envoys.filter(|(envoy, _)| envoy.is_reached()).collect();
        let at = getrandom::u32().unwrap_or(0) as usize % reached.len().max(1);
        reached.get(at).map(|(_, address)| address.peers_url())
    }

    /// Where the peers of this tracker, which stops, can go. At most as long as a close frame has room for.
    pub(crate) fn elsewhere(&self) -> Option<String> {
        let state = self.lock();
        let member = state.cluster.as_ref().and_then(|cluster| {
            let (_, record) = cluster.records.least_loaded_record(cluster.me)?;
            record.url.clone()
        });
        member.or_else(|| self.reached_sibling(&state)).filter(|address| address.len() <= ADVICE_BYTES_MAX)
    }

    /// What is due each second: who is sent over, and which swarms are told.
    pub(crate) fn tick_siblings(&self) {
        let now = self.now();
        let mut state = self.lock();
        let State { tracker, lines, siblings, .. } = &mut *state;
        if !siblings.hosts.is_empty() {
            // The first room of a swarm stands for it: siblings know of no others.
            let occupied = tracker.occupied().into_iter().filter(|room| room.number == 0);
            let occupied: Vec<SwarmId> = occupied.map(|room| room.swarm).take(SIBLING_SWARMS_MAX).collect();
            siblings.hosts.tell(&occupied);
        }
        for envoy in &mut siblings.envoys {
            let shared: Vec<SwarmId> =
                envoy.hosted().filter(|swarm| tracker.is_occupied((*swarm).into())).collect();
            for swarm in shared {
                let missing = SIBLING_AMBASSADORS_MAX.saturating_sub(envoy.count(swarm));
                if missing == 0 {
                    continue;
                }
                // Only peers with a socket here can be sent what the sibling says.
                let is_own = |connection| lines.get(&connection).is_some_and(|line| line.outbox.is_some());
                let eligible = |connection| is_own(connection) && !envoy.has(connection);
                for (connection, passport, standing) in tracker.ambassadors(swarm, missing, eligible) {
                    let Passport { peer, address, .. } = passport;
                    let (have, uplink_bps, playhead) =
                        (standing.have, standing.uplink_bps, standing.playhead);
                    let guest = connection.0;
                    envoy.send_over(
                        now,
                        connection,
                        Guest { guest, swarm, peer, address, uplink_bps, have, playhead },
                    );
                }
            }
        }
    }

    /// A peer said something that concerns siblings where it is a guest. Whether it was for a sibling alone, and is answered.
    pub(super) fn pass_to_siblings(
        &self,
        state: &mut State,
        connection: ConnectionId,
        request: &PeerRequest,
    ) -> bool {
        let now = self.now();
        let State { tracker, siblings, .. } = &mut *state;
        let envoys = siblings.envoys.iter_mut().filter(|envoy| envoy.has(connection));
        let id = request.id;
        for envoy in envoys {
            let body = match &request.body {
                PeerRequestBody::Signal { to, signal } => {
                    let Some(to) = envoy.introduced(connection, *to) else { continue };
                    let outgoing = match tracker.charge(now, connection, (id, &request.body)) {
                        Ok(()) => {
                            let body = PeerRequestBody::Signal { to, signal: signal.clone() };
                            envoy.pass_on(connection, PeerRequest { id, body }.encode());
                            let ok = TrackerMessage { id: Some(id), body: TrackerMessageBody::Ok };
                            vec![(connection, Outgoing::Send(ok))]
                        }
                        Err(refusal) => refusal,
                    };
                    self.deliver(state, outgoing);
                    return true;
                }
                PeerRequestBody::Report { received, uplink_bps, playhead, ahead_ms } => {
                    let received = envoy.received(connection, received);
                    let (uplink_bps, playhead, ahead_ms) = (*uplink_bps, *playhead, *ahead_ms);
                    PeerRequestBody::Report { received, uplink_bps, playhead, ahead_ms }
                }
                PeerRequestBody::Have { .. } => request.body.clone(),
                PeerRequestBody::Leave => {
                    envoy.call_back(connection);
                    continue;
                }
                PeerRequestBody::Hello { .. }
                | PeerRequestBody::Join { .. }
                | PeerRequestBody::Want { .. } => {
                    continue;
                }
            };
            envoy.pass_on(connection, PeerRequest { id, body }.encode());
        }
        false
    }

    /// A socket closed.
    pub(super) fn call_back(state: &mut State, connection: ConnectionId) {
        state.siblings.envoys.iter_mut().for_each(|envoy| envoy.call_back(connection));
    }

    /// A sibling says something about own peers that are guests there. An error ends the connection.
    pub(crate) fn hear_host(&self, index: usize, message: FromHost) -> Result<(), SiblingError> {
        let now = self.now();
        let mut state = self.lock();
        let State { lines, siblings, .. } = &mut *state;
        let Some(envoy) = siblings.envoys.get_mut(index) else { return Ok(()) };
        envoy.admit(now)?;
        match message {
            FromHost::Swarms(swarms) => envoy.hosts(swarms),
            FromHost::Dismissed { guest } => envoy.dismissed(ConnectionId(guest)),
            FromHost::Probe => {}
            FromHost::Deliver { guest, text } => {
                let connection = ConnectionId(guest);
                let Ok(message) = TrackerMessage::decode(&text) else { return Ok(()) };
                let outbox = lines.get(&connection).and_then(|line| line.outbox.as_ref());
                // What a sibling says must not close a peer that does not read it. What is lost is as if it had not been said.
                if let Some(outbox) = outbox.filter(|outbox| outbox.has_signal_room(text.len(), None))
                    && let Some(body) = envoy.heard(now, connection, message.body)
                {
                    file(outbox, connection, TrackerMessage::notice(body).encode());
                }
            }
        }
        Ok(())
    }

    /// A sibling came that has the key.
    pub(crate) fn sibling_came(&self, site: Site, way: mpsc::Sender<FromHost>, mask: Mask) -> Option<HostId> {
        let now = self.now();
        self.lock().siblings.hosts.came(now, (site, way), mask)
    }

    /// A sibling left, and its peers with it. Their links stand.
    pub(crate) fn sibling_left(&self, id: HostId) {
        let mut state = self.lock();
        for connection in state.siblings.hosts.left(id) {
            self.dismiss_guest(&mut state, connection);
        }
    }

    /// A sibling says something about its peers that are guests here. An error ends the connection.
    pub(crate) fn hear_sibling(&self, id: HostId, message: ToHost) -> Result<(), SiblingError> {
        let now = self.now();
        let mut state = self.lock();
        state.siblings.hosts.admit(now, id)?;
        match message {
            ToHost::Attach(guest) => self.take_guest(&mut state, id, *guest),
            ToHost::Request { guest, text } => {
                if let Some(connection) = state.siblings.hosts.connection(id, guest) {
                    let request = PeerRequest::decode(&text).map_err(|_| SiblingError::Malformed)?;
                    let is_of_guest = matches!(
                        request.body,
                        PeerRequestBody::Have { .. }
                            | PeerRequestBody::Report { .. }
                            | PeerRequestBody::Signal { .. }
                    );
                    if is_of_guest {
                        self.decide(&mut state, connection, request, text.len());
                    }
                }
            }
            ToHost::Detach { guest } => {
                if let Some(connection) = state.siblings.hosts.connection(id, guest) {
                    state.siblings.hosts.forget(connection, false);
                    self.dismiss_guest(&mut state, connection);
                }
            }
            ToHost::Probe => {}
        }
        Ok(())
    }

    /// Takes a guest into a swarm like any viewer that joins.
    fn take_guest(&self, state: &mut State, id: HostId, guest: Guest) {
        let now = self.now();
        let Guest { guest, swarm, peer, address, uplink_bps, have, playhead } = guest;
        let hosts = &mut state.siblings.hosts;
        if hosts.connection(id, guest).is_some() {
            return;
        }
        state.connection += 1;
        let connection = ConnectionId(state.connection);
        let peer = hosts.room(now, id, (swarm, peer));
        hosts.admitted(id, guest, connection, swarm);
        let join = PeerRequestBody::Join { swarm, role: Role::Viewer, have, playhead, proof: None };
        // What a socket would have to be able to say.
        let join = PeerRequest::decode(&PeerRequest { id: 0, body: join }.encode());
        if let (Ok(join), Some(peer)) = (join, peer) {
            state.lines.insert(connection, Line { outbox: None, relays_due: Timestamp::ZERO });
            state.tracker.connected_through_another(now, connection, address);
            let (name, challenge) = (TrackerName::of(""), Challenge::default());
            let passport = Passport { peer, address, uplink_bps, name, challenge };
            let outgoing = state.tracker.adopt(now, connection, passport);
            self.deliver(state, outgoing);
            self.decide(state, connection, join, 0);
        }
        if state.tracker.joined_peer(connection).is_none() {
            state.siblings.hosts.forget(connection, true);
            self.dismiss_guest(state, connection);
        }
    }

    fn dismiss_guest(&self, state: &mut State, connection: ConnectionId) {
        state.lines.remove(&connection);
        let outgoing = state.tracker.disconnected(self.now(), connection);
        self.deliver(state, outgoing);
    }
}

impl Siblings {
    /// Sends a guest what the decisions say to it, as far as it concerns its links.
    pub(super) fn deliver(&self, connection: ConnectionId, message: &TrackerMessage) {
        let is_of_links = matches!(
            message.body,
            TrackerMessageBody::Connect { .. }
                | TrackerMessageBody::Unlink { .. }
                | TrackerMessageBody::Gone { .. }
                | TrackerMessageBody::Signal { .. }
        );
        if is_of_links {
            self.hosts.deliver(connection, message.encode());
        }
    }
}

#[cfg(test)]
mod tests {
    use swarm_core::tracker_message::TRACKER_VERSION;
    use swarm_core::{PeerId, PublisherKey};

    use super::*;
    use crate::config::ServerConfig;
    use crate::hub::Caller;
    use crate::limits::SIBLING_BURST;

    #[test]
    fn what_a_sibling_says_never_closes_the_peer_that_it_is_said_to() {
        let mut config = ServerConfig::new(1, b"secret");
        config.siblings.addresses = vec!["ws://127.0.0.1:1/".parse().unwrap()];
        let hub = Hub::new(config, None).unwrap();
        let (way, _queue) = mpsc::channel(8);
        hub.sibling_reached(0, way, Mask::new([7; 32]));
        let address = "192.0.2.1".parse().unwrap();
        let (connection, outbox) = hub.open(Caller { address, name: TrackerName::of("") });
        let (guest, peer, swarm, have) = (connection.0, PeerId(9), SwarmId([1; 32]), vec![]);
        let own = Guest { guest, swarm, peer, address, uplink_bps: 0, have, playhead: None };
        hub.lock().siblings.envoys[0].send_over(hub.now(), connection, own);
        let say = |body| {
            let text = TrackerMessage::notice(body).encode();
            hub.hear_host(0, FromHost::Deliver { guest, text })
        };
        // The peer does not read.
        let mut ended = None;
        for number in 0..u64::from(2 * SIBLING_BURST) {
            let peer = PeerId(number);
            let connect = TrackerMessageBody::Connect { peer, role: Role::Viewer, offer: true };
            let both = say(connect).and_then(|()| say(TrackerMessageBody::Gone { peer }));
            if let Err(error) = both {
                ended.get_or_insert(error);
            }
        }
        assert!(outbox.is_open(), "the peer was closed");
        assert_eq!(ended, Some(SiblingError::TooMuch), "the sibling is let go");
    }

    #[test]
    fn a_sibling_that_knows_the_ids_of_others_peers_cannot_take_the_place_of_one() {
        let mut config = ServerConfig::new(1, b"secret");
        config.siblings.addresses = vec!["ws://127.0.0.1:1/".parse().unwrap()];
        let hub = Hub::new(config, None).unwrap();
        let mask = Mask::new([7; 32]);
        let (way, _queue) = mpsc::channel(8);
        let id = hub.sibling_came(Site::of([198, 51, 100, 7].into()), way, mask.clone()).unwrap();
        let swarm = SwarmId([1; 32]);
        hub.lock().tracker.add_swarm(swarm, PublisherKey([1; 32]), [], 0);
        let address = "192.0.2.1".parse().unwrap();
        let (connection, outbox) = hub.open(Caller { address, name: TrackerName::of("") });
        let hello = PeerRequestBody::Hello {
            version: TRACKER_VERSION,
            uplink_bps: 0,
            token: None,
            resume: None,
            capabilities: Default::default(),
        };
        let (role, have) = (Role::Viewer, vec![]);
        let join = PeerRequestBody::Join { swarm, role, have, playhead: None, proof: None };
        for body in [hello, join] {
            hub.handle_text(connection, &PeerRequest { id: 1, body }.encode());
        }
        let victim = hub.lock().tracker.joined_peer(connection).unwrap();
        // A viewer of the attacker is linked with one of its guests, and so it knows two names of one peer.
        let difference = 9 ^ mask.of(PeerId(9)).0;
        let peer = PeerId(victim.0 ^ difference);
        let guest = Guest { guest: 1, swarm, peer, address, uplink_bps: 0, have: vec![], playhead: None };
        hub.hear_sibling(id, ToHost::Attach(Box::new(guest))).unwrap();
        assert_eq!(hub.lock().siblings.hosts.len(), 1, "the guest is in");
        assert!(outbox.is_open(), "the peer was replaced");
        assert_eq!(hub.lock().tracker.joined_peer(connection), Some(victim));
    }
}
