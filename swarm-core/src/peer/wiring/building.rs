//! How connections are built: introductions, signals, and further attempts.

use crate::fingerprint;
use crate::id::{LinkId, PeerId};
use crate::limits::{INITIAL_LINKS_MAX, LINKS_MAX};
use crate::peer::Peer;
use crate::peer::building::without_candidates;
use crate::peer::neighbours::Introduction;
use crate::peer::output::Output;
use crate::peer::stats::LinkState;
use crate::peer::tuning::RETRY_FIRST;
use crate::time::Timestamp;
use crate::tracker_message::{Role, Signal};

impl Peer {
    /// The tracker named a neighbour.
    pub(in crate::peer) fn connect(&mut self, now: Timestamp, peer: PeerId, role: Role, is_offerer: bool) {
        if Some(peer) == self.tracker.peer() || !self.building.admits(now, self.links_max()) {
            return;
        }
        if self.attempt(now, peer, role, is_offerer) {
            self.building.begun(peer, role, is_offerer);
        }
    }

    /// Begins to build a connection in place of one that did not open. Returns whether it did.
    fn attempt(&mut self, now: Timestamp, peer: PeerId, role: Role, is_offerer: bool) -> bool {
        let (introduction, replaced) = self.neighbours.introduced(now, peer, role, self.links_max());
        replaced.into_iter().for_each(|id| self.replace_link(now, id));
        let Introduction::Connect(link) = introduction else { return false };
        let ice_servers = self.tracker.ice_servers();
        self.outputs.push_back(Output::Connect { link, is_offerer, ice_servers });
        true
    }

    fn links_max(&self) -> usize {
        if self.config.role == Role::Initial { INITIAL_LINKS_MAX } else { LINKS_MAX }
    }

    fn replace_link(&mut self, now: Timestamp, id: LinkId) {
        self.drop_link(now, id);
        self.outputs.push_back(Output::CloseLink(id, "introduced again".to_owned()));
    }

    /// A connection did not open, or ended by itself: the pair is tried again.
    pub(in crate::peer) fn link_failed(&mut self, now: Timestamp, id: LinkId) {
        let peer = self.neighbours.get(id).map(|link| link.peer);
        peer.into_iter().for_each(|peer| self.building.failed(now, peer, &mut self.chance));
        self.drop_link(now, id);
    }

    /// Carries out the due actions of connections that are being built.
    pub(in crate::peer) fn building_timeout(&mut self, now: Timestamp) {
        for pair in self.building.take_retries(now) {
            if !self.is_reachable(pair.peer) {
                self.building.postpone(pair, now + RETRY_FIRST);
            } else if !self.attempt(now, pair.peer, pair.role, true) {
                self.building.forget_peer(pair.peer);
            }
        }
        self.pass_candidates(now);
    }

    fn pass_candidates(&mut self, now: Timestamp) {
        let due = self.building.take_candidates(now);
        self.outputs.extend(due.into_iter().map(|(link, signal)| Output::RemoteSignal(link, signal)));
    }

    /// The other side offers again, because its last attempt failed or its link ended, even if ours still looks good. A new
    /// link takes the offer.
    fn offered_again(&mut self, now: Timestamp, from: PeerId) {
        let Some(role) = self.building.takes_offer(from) else { return };
        if !self.building.admits(now, self.links_max()) {
            return;
        }
        let known = self.neighbours.named(from);
        let state = known.map(|(id, link)| (id, link.state(), link.fingerprint().is_some()));
        match state {
            None => {}
            Some((id, LinkState::Connecting | LinkState::Greeting, true) | (id, LinkState::Open, _)) => {
                self.building.failed(now, from, &mut self.chance);
                self.replace_link(now, id);
                if self.building.takes_offer(from).is_none() {
                    return;
                }
            }
            Some((_, LinkState::Connecting | LinkState::Greeting, false)) => return,
        }
        self.attempt(now, from, role, false);
    }

    /// A signal of another peer, by way of the tracker.
    pub(in crate::peer) fn remote_signal(&mut self, now: Timestamp, from: PeerId, signal: Signal) {
        if matches!(signal, Signal::Offer { .. }) {
            self.offered_again(now, from);
        }
        let Some(link) = self.neighbours.signalled(from) else { return };
        if !self.neighbours.admit_candidates(link, &signal) {
            // Single candidates beyond the limit are left out. A description cannot be used without the candidates in it.
            if signal.description().is_some() {
                self.close_link(now, link, "its session description has too many candidates");
            }
            return;
        }
        if let Some(sdp) = signal.description() {
            let Some(fingerprint) = fingerprint::of_description(sdp) else {
                return self.close_link(now, link, "its session description names no certificate by SHA-256");
            };
            // The connection is checked against the first description. A later one must not change the neighbour.
            if !self.neighbours.described(link, false, fingerprint) {
                return;
            }
        }
        let described = match signal {
            Signal::Offer { sdp } => {
                let (sdp, candidates) = without_candidates(&sdp);
                self.outputs.push_back(Output::RemoteSignal(link, Signal::Offer { sdp }));
                candidates
            }
            Signal::Answer { sdp } => {
                let (sdp, candidates) = without_candidates(&sdp);
                self.outputs.push_back(Output::RemoteSignal(link, Signal::Answer { sdp }));
                candidates
            }
            Signal::Candidate { .. } | Signal::EndOfCandidates => vec![signal],
        };
        described.into_iter().for_each(|signal| self.building.queue(now, link, signal));
        self.pass_candidates(now);
    }
}
