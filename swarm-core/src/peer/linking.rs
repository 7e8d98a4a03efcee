//! Links come and go: building, greeting, recognising the same counterpart twice, pinging, banning.

use std::sync::Arc;
use std::time::Duration;

use super::holdings::Holdings;
use super::link::Link;
use super::output::{Event, Output};
use super::rate::RATE_GUESS;
use super::stats::LinkState;
use super::{BANNED_MAX, Peer};
use crate::id::{Instance, LinkId, PeerId};
use crate::limits::{INITIAL_LINKS_MAX, LINKS_MAX, RUNS_MAX};
use crate::peer_message::{PEER_VERSION, PeerMessage};
use crate::time::Timestamp;
use crate::tracker_message::{PeerRequestBody, Role, Signal};

/// A connection that is not open after this long is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Interval of pings on an open link; also how soon a dead one is noticed.
const PING_INTERVAL: Duration = Duration::from_secs(4);
/// Interval of a new link's first pings.
const PING_INTERVAL_EARLY: Duration = Duration::from_millis(100);
/// An open link that has not answered a ping for this long is dead.
const PONG_TIMEOUT: Duration = Duration::from_secs(15);

/// A neighbour that holds this many groups, 1 MiB, has been here for a while.
const SETTLED_GROUPS_MIN: u32 = 64;
/// A link that was taken out of the graph is closed after this long, whatever is under way.
const RETIRE_TIMEOUT: Duration = Duration::from_secs(5);

impl Peer {
    /// The tracker named a counterpart.
    pub(super) fn connect(&mut self, now: Timestamp, peer: PeerId, role: Role, is_offerer: bool) {
        let known =
            self.links.iter().find(|(_, link)| link.peer == peer).map(|(id, link)| (*id, link.is_open()));
        if let Some((id, is_open)) = known {
            if let Some(link) = self.links.get_mut(&id).filter(|_| is_open) {
                link.is_retiring = false;
                return;
            }
            // Named again while the first attempt hangs: the newer introduction counts.
            self.close_link(id, "introduced again");
        }
        let links_max = if self.config.role == Role::Initial { INITIAL_LINKS_MAX } else { LINKS_MAX };
        if self.links.len() >= links_max || Some(peer) == self.tracker.peer {
            return;
        }
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let rate = self.advice.expected(peer).unwrap_or_else(|| self.median_rate());
        let link = Link::new(now, peer, role, rate);
        self.links.insert(id, link);
        let ice_servers = Arc::clone(&self.tracker.ice_servers);
        self.outputs.push_back(Output::Connect { link: id, is_offerer, ice_servers });
    }

    /// The tracker took a link out of the graph.
    pub(super) fn unlink(&mut self, now: Timestamp, peer: PeerId) {
        let Some((id, link)) = self.links.iter_mut().find(|(_, link)| link.peer == peer) else { return };
        if link.is_open() {
            link.is_retiring = true;
            link.since = now;
        } else {
            let id = *id;
            self.close_link(id, "no longer a neighbour");
        }
    }

    /// Closes links that were taken out of the graph and have nothing under way.
    pub(super) fn retire_links(&mut self) {
        let retired = self.links.iter().filter(|(_, link)| link.is_retired());
        let retired: Vec<LinkId> = retired.map(|(id, _)| *id).collect();
        retired.into_iter().for_each(|id| self.retire_link(id));
    }

    /// Rate of a link about which nothing is known: the median of the others.
    fn median_rate(&self) -> u64 {
        let mut rates: Vec<u64> = self.links.values().filter_map(|link| link.rate.measured()).collect();
        rates.sort_unstable();
        rates.get(rates.len() / 2).copied().unwrap_or(RATE_GUESS)
    }

    /// A signal of the counterpart, by way of the tracker.
    pub(super) fn remote_signal(&mut self, from: PeerId, signal: Signal) {
        let link =
            self.links.iter_mut().find(|(_, link)| link.peer == from && link.state == LinkState::Connecting);
        if let Some((id, link)) = link
            && link.admit_signal()
        {
            self.outputs.push_back(Output::RemoteSignal(*id, signal));
        }
    }

    /// A signal of our own connection, for the counterpart.
    pub(super) fn local_signal(&mut self, link: LinkId, signal: Signal) {
        let Some(link) = self.links.get(&link).filter(|_| self.tracker.is_up()) else { return };
        if signal.is_within_limits() {
            let request = self.tracker.request(PeerRequestBody::Signal { to: link.peer, signal });
            self.outputs.push_back(Output::Tracker(request));
        }
    }

    /// Both channels are open: introduce ourselves.
    pub(super) fn link_opened(&mut self, now: Timestamp, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.state = LinkState::Greeting;
        link.since = now;
        let runs = self.holdings.as_ref().map_or_else(Vec::new, Holdings::announced);
        let mut messages = runs.chunks(RUNS_MAX);
        let hello = PeerMessage::Hello {
            version: PEER_VERSION,
            swarm: self.config.swarm,
            peer: self.tracker.peer.unwrap_or(PeerId(0)),
            instance: self.config.instance,
            standing: self.standing(now),
            have: messages.next().unwrap_or_default().to_vec(),
        };
        self.outputs.push_back(Output::Control(id, hello));
        for gained in messages {
            let have = PeerMessage::Have { gained: gained.to_vec(), dropped: Vec::new() };
            self.outputs.push_back(Output::Control(id, have));
        }
    }

    /// The counterpart introduced itself; whether the link goes on.
    pub(super) fn greeted(&mut self, now: Timestamp, id: LinkId, instance: Instance) -> bool {
        if instance == self.config.instance {
            self.close_link(id, "linked to itself");
            return false;
        }
        if self.banned.contains(&instance) {
            self.close_link(id, "banned earlier");
            return false;
        }
        let twin = self.links.iter().find(|(_, link)| link.is_open() && link.instance == Some(instance));
        let twin = twin.map(|(twin, _)| *twin).filter(|twin| *twin != id);
        let Some(link) = self.links.get_mut(&id) else { return false };
        let peer = link.peer;
        link.instance = Some(instance);
        link.state = LinkState::Open;
        link.since = now;
        link.next_ping = now;
        if let Some(twin) = twin {
            // The same counterpart under a new id, after a tracker lost its memory. The side with the
            // smaller instance drops the newer link; both go on calling it by the newer id.
            if let Some(older) = self.links.get_mut(&twin) {
                older.peer = peer;
            }
            if self.config.instance.0 < instance.0 {
                self.close_link(id, "linked already");
                return false;
            }
        }
        if let Some(holdings) = &self.holdings {
            let geometry = holdings.geometry();
            self.link_geometry(id, geometry);
        }
        true
    }

    /// Once nobody is about to greet, neighbours who have been here for a while are asked for more than one group at
    /// once: not before, so that every one is asked for its first before any is for its second.
    pub(super) fn all_greeted(&mut self) {
        if self.links.values().any(|link| link.state == LinkState::Greeting) {
            return;
        }
        let settled = |link: &&mut Link| link.have().is_some_and(|have| have.count() >= SETTLED_GROUPS_MIN);
        self.links.values_mut().filter(settled).for_each(|link| link.size.settled());
    }

    /// Closes a link from our side.
    pub(super) fn close_link(&mut self, id: LinkId, reason: &str) {
        self.drop_link(id);
        self.outputs.push_back(Output::CloseLink(id, reason.to_owned()));
    }

    /// Closes a link whose counterpart broke the rules, and remembers the counterpart.
    pub(super) fn ban(&mut self, id: LinkId, reason: String) {
        let Some(link) = self.links.get(&id) else { return };
        if let Some(instance) = link.instance {
            self.banned.push_back(instance);
            if self.banned.len() > BANNED_MAX {
                self.banned.pop_front();
            }
        }
        self.close_link(id, &reason);
        self.event(Event::Banned { link: id, reason });
    }

    /// Forgets a link; what was asked of it may be asked elsewhere.
    pub(super) fn drop_link(&mut self, id: LinkId) {
        let Some(mut link) = self.links.remove(&id) else { return };
        self.agenda.everything();
        self.manifest_source.forget(id);
        self.injection.forget(id);
        self.uplink.lost(link.buffered_bytes);
        let Some(holdings) = &mut self.holdings else { return };
        let asks: Vec<(u32, bool)> =
            link.asks().iter().map(|(ask, state)| (*ask, state.is_released)).collect();
        for (ask, is_released) in asks {
            let missing = link.end_ask(holdings.geometry(), ask);
            if !is_released {
                holdings.not_asked(&missing);
            }
        }
        if link.counts_as_holder() {
            let held = link.have().into_iter().flat_map(|have| have.iter());
            held.for_each(|group| self.copies.remove(group));
        }
    }

    pub(super) fn link_timeouts(&mut self, now: Timestamp) {
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            let Some(link) = self.links.get_mut(&id) else { continue };
            if !link.is_open() {
                if now >= link.since + CONNECT_TIMEOUT {
                    self.close_link(id, "no connection within 20 s");
                }
                continue;
            }
            if link.is_retiring && now >= link.since + RETIRE_TIMEOUT {
                self.close_link(id, "no longer a neighbour");
                continue;
            }
            match link.ping {
                Some((_, left)) if now >= left + PONG_TIMEOUT => self.close_link(id, "no answer for 15 s"),
                None if now >= link.next_ping => {
                    let nonce = self.chance.below(u32::MAX);
                    link.ping = Some((nonce, now));
                    self.outputs.push_back(Output::Control(id, PeerMessage::Ping { nonce }));
                }
                Some(_) | None => {}
            }
        }
    }

    /// An answer to a ping.
    pub(super) fn ponged(&mut self, now: Timestamp, id: LinkId, nonce: u32) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if let Some((_, left)) = link.ping.take_if(|(expected, _)| *expected == nonce) {
            link.rtt.measured(now.since(left));
            let interval = if link.rtt.is_settled() { PING_INTERVAL } else { PING_INTERVAL_EARLY };
            link.next_ping = now + interval;
            self.attend(id);
        }
    }

    /// A link may need attention sooner than was thought.
    pub(super) fn attend(&mut self, id: LinkId) {
        let due = self.links.get(&id).and_then(|link| self.link_deadline(link));
        self.links_due = [self.links_due, due].into_iter().flatten().min();
    }

    /// Something ended on a link: if that was all, and it was taken out of the graph, it is closed.
    pub(super) fn retire_link(&mut self, id: LinkId) {
        if self.links.get(&id).is_some_and(Link::is_retired) {
            self.close_link(id, "no longer a neighbour");
        }
    }

    /// When a link needs attention by itself.
    pub(super) fn link_deadline(&self, link: &Link) -> Option<Timestamp> {
        if !link.is_open() {
            return Some(link.since + CONNECT_TIMEOUT);
        }
        let ping = link.ping.map_or(link.next_ping, |(_, left)| left + PONG_TIMEOUT);
        let ping = if link.is_retiring { ping.min(link.since + RETIRE_TIMEOUT) } else { ping };
        Some(self.rescue_deadline(link).map_or(ping, |rescue| ping.min(rescue)))
    }
}
