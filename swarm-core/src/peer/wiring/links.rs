//! How links begin and end.

use crate::fingerprint;
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::id::PeerId;
use crate::limits::RUNS_MAX;
use crate::peer::inject::Inject;
use crate::peer::neighbours::{Due, Greeting, Link, Opening};
use crate::peer::output::{Event, Output};
use crate::peer::receive::clock_ms;
use crate::peer::stats::LinkState;
use crate::peer::tuning::UPLINK_GUESS;
use crate::peer::{Content, Live, Peer};
use crate::peer_message::{PEER_VERSION, PeerDecodeError, PeerMessage, Standing};
use crate::publisher::{Signature, Statement};
use crate::time::Timestamp;
use crate::tracker_message::{PeerRequestBody, Role, Signal};

/// Why a neighbour with a wrong proof is banned.
const FORGED: &str = "it claims to be the publisher's with a signature that is not";

impl Peer {
    /// The tracker took a link out of the graph.
    pub(in crate::peer) fn unlink(&mut self, now: Timestamp, peer: PeerId) {
        self.building.forget_peer(peer);
        if let Some(id) = self.neighbours.unlinked(now, peer) {
            self.close_link(now, id, "no longer a neighbour");
        }
    }

    /// The tracker no longer knows a peer. An open link stays. A link that is being built cannot open any more, and none is
    /// built again.
    pub(in crate::peer) fn gone(&mut self, now: Timestamp, peer: PeerId) {
        self.building.forget_peer(peer);
        let link = self.neighbours.named(peer).filter(|(_, link)| link.state() == LinkState::Connecting);
        if let Some(id) = link.map(|(id, _)| id) {
            self.close_link(now, id, "the other side left");
        }
    }

    /// Closes links that were taken out of the graph and have no open requests.
    pub(in crate::peer) fn retire_links(&mut self, now: Timestamp) {
        let is_idle = |id: LinkId| {
            let source = self.live.as_ref().and_then(|live| live.receive.source(id));
            source.is_none_or(crate::peer::receive::Source::is_idle) && self.sender.is_idle(id)
        };
        let retired = self.neighbours.open().filter(|(id, link)| link.is_retiring() && is_idle(*id));
        let retired: Vec<LinkId> = retired.map(|(id, _)| id).collect();
        retired.into_iter().for_each(|id| self.close_link(now, id, "no longer a neighbour"));
    }

    /// A signal of our own connection, for the other side.
    pub(in crate::peer) fn local_signal(&mut self, now: Timestamp, id: LinkId, signal: Signal) {
        if let Some(fingerprint) = signal.description().and_then(fingerprint::of_description) {
            self.neighbours.described(id, true, fingerprint);
        }
        let met_at = self.neighbours.get(id).and_then(|link| self.outposts.met_at(link.peer));
        if let Some(outpost) = met_at {
            if signal.is_within_limits() {
                self.signal_by_outpost(now, outpost, id, signal);
            }
        } else if signal.is_within_limits()
            && self.tracker.session.is_up()
            && self.neighbours.get(id).is_some()
            && !self.tracker.signals.take_behind(id, &signal)
        {
            self.send_signal(now, id, signal);
        }
    }

    /// Sends signals again that the tracker refused for now, if their connections are still being built.
    pub(in crate::peer) fn resend_signals(&mut self, now: Timestamp) {
        for (id, signal) in self.tracker.signals.take_due(now) {
            if self.neighbours.get(id).is_some_and(|link| !link.is_open()) {
                self.send_signal(now, id, signal);
            }
        }
    }

    fn send_signal(&mut self, now: Timestamp, id: LinkId, signal: Signal) {
        let Some(to) = self.neighbours.get(id).map(|link| link.peer) else { return };
        let body = PeerRequestBody::Signal { to, signal: signal.clone() };
        let request = self.tracker.session.request(now, body);
        self.tracker.signals.left(request.id, id, signal);
        self.outputs.push_back(Output::Tracker(request));
    }

    /// Both channels are open: introduce ourselves.
    pub(in crate::peer) fn link_opened(&mut self, now: Timestamp, id: LinkId) {
        match self.neighbours.opened(now, id) {
            Opening::Nothing => return,
            Opening::Closed(reason) => return self.close_link(now, id, reason),
            Opening::Greet => self.building.forget_link(id),
        }
        let runs = self.live.as_ref().map_or_else(Vec::new, |live| live.content.announced());
        let mut messages = runs.chunks(RUNS_MAX);
        let hello = PeerMessage::Hello {
            version: PEER_VERSION,
            swarm: self.config.swarm,
            peer: self.tracker.peer().unwrap_or(PeerId(0)),
            standing: self.standing_now(now),
            have: messages.next().unwrap_or_default().to_vec(),
            proof: self.own_proof(id),
        };
        self.outputs.push_back(Output::Control(id, hello));
        for gained in messages {
            let have = PeerMessage::Have { gained: gained.to_vec(), dropped: Vec::new() };
            self.outputs.push_back(Output::Control(id, have));
        }
    }

    /// The proof for a neighbour that this is an initial peer, if it is one.
    fn own_proof(&self, id: LinkId) -> Option<Signature> {
        let publisher = self.config.publisher.as_ref()?;
        let (signer, verifier) = self.neighbours.get(id)?.fingerprints()?;
        Some(publisher.key.sign(&Statement::Link { swarm: self.config.swarm, signer, verifier }))
    }

    /// Whether a proof is the publisher's; `None` while the manifest, which names the publisher, is not known.
    fn is_proven(&self, id: LinkId, proof: &Signature) -> Option<bool> {
        let publisher = self.manifest.manifest.as_ref()?.seal.publisher;
        let (verifier, signer) = self.neighbours.get(id)?.fingerprints()?;
        let statement = Statement::Link { swarm: self.config.swarm, signer, verifier };
        Some(publisher.has_signed(&statement, proof))
    }

    /// The manifest is known: checks the proofs that came before it.
    pub(in crate::peer) fn check_proofs(&mut self, now: Timestamp) {
        for (id, proof) in self.neighbours.take_proofs() {
            match self.is_proven(id, &proof) {
                Some(true) => self.neighbours.set_role(id, Role::Initial),
                Some(false) | None => self.ban(now, id, FORGED.to_owned()),
            }
        }
    }

    /// A neighbour introduced itself. It is an initial peer only if it proves that, whatever the tracker says.
    pub(in crate::peer) fn greeted(
        &mut self,
        now: Timestamp,
        id: LinkId,
        standing: Standing,
        have: &[GroupRange],
        proof: Option<Signature>,
    ) {
        let claimed = self.neighbours.get(id).map_or(Role::Viewer, Link::claimed);
        let is_proven = proof.and_then(|proof| self.is_proven(id, &proof));
        let role = match (proof, is_proven) {
            (None, _) if claimed == Role::Initial => {
                return self.close_link(now, id, "it does not prove that it is the publisher's");
            }
            (Some(_), Some(false)) => return self.ban(now, id, FORGED.to_owned()),
            (Some(_), Some(true)) => Role::Initial,
            (None, _) | (Some(_), None) => Role::Viewer,
        };
        if let Greeting::Closed(reason) = self.neighbours.greeted(now, id, role, standing) {
            return self.close_link(now, id, reason);
        }
        let peer = self.neighbours.get(id).map(|link| link.peer);
        peer.into_iter().for_each(|peer| self.building.opened(now, peer));
        self.neighbours.keep_proof(id, proof.filter(|_| is_proven.is_none()));
        self.sender.link_opened(now, id);
        if let Some(geometry) = self.live.as_ref().map(|live| live.content.geometry()) {
            self.neighbours.set_link_geometry(id, geometry);
            self.account_for(now, id);
        }
        self.announced(now, id, have, &[], true);
        self.note_neighbours();
        self.ask_links_for_manifest(now);
        for message in self.neighbours.take_early(id) {
            self.data_message(now, id, message);
        }
        self.answer_ahead(now, id);
    }

    /// A rich publisher sends a waiting player the first groups for which it waits before a request comes: the request is on
    /// its way and would take half a round trip longer.
    fn answer_ahead(&mut self, now: Timestamp, id: LinkId) {
        self.survey(now);
        let (Some(live), Some(link)) = (&self.live, self.neighbours.get(id)) else { return };
        let is_rich = live.inject.as_ref().is_some_and(Inject::is_rich);
        let Some(playing) = link.playing().filter(|_| is_rich) else { return };
        let range = live.receive.demand().answered_ahead(playing).and(link.standing().wants);
        let is_lacking = |group: &u32| live.content.held().has(*group) && !link.holds(*group);
        let lacking = range.iter().filter(is_lacking);
        for group in lacking.collect::<Vec<_>>() {
            self.sender.answers_ahead(now, id, group);
        }
        self.agenda.serving();
    }

    /// Begins to keep account of a link's requests.
    pub(in crate::peer) fn account_for(&mut self, now: Timestamp, id: LinkId) {
        let (Some(live), Some(link)) = (&mut self.live, self.neighbours.get(id)) else { return };
        let expected = self.tracker.advice.expected(link.peer);
        live.receive.link_opened(now, id, link, expected, UPLINK_GUESS);
    }

    /// Closes a link from our side; its pair is not tried again.
    pub(in crate::peer) fn close_link(&mut self, now: Timestamp, id: LinkId, reason: &str) {
        let peer = self.neighbours.get(id).map(|link| link.peer);
        peer.into_iter().for_each(|peer| self.building.forget_peer(peer));
        self.drop_link(now, id);
        self.outputs.push_back(Output::CloseLink(id, reason.to_owned()));
    }

    /// A frame that is no message.
    pub(in crate::peer) fn malformed(&mut self, now: Timestamp, id: LinkId, error: PeerDecodeError) {
        match error {
            PeerDecodeError::OtherVersion(_) => {
                let is_known = self.neighbours.get(id).is_some();
                is_known.then(|| self.close_link(now, id, &error.to_string()));
            }
            PeerDecodeError::TooLong(_) | PeerDecodeError::Malformed | PeerDecodeError::Invalid(_) => {
                self.ban(now, id, error.to_string());
            }
        }
    }

    /// Closes a link whose neighbour broke the rules, and remembers the neighbour.
    pub(in crate::peer) fn ban(&mut self, now: Timestamp, id: LinkId, reason: String) {
        if self.neighbours.get(id).is_none() {
            return;
        }
        self.neighbours.ban(id);
        self.close_link(now, id, &reason);
        self.event(Event::Banned { link: id, reason });
    }

    /// Forgets a link. Groups requested from it may be requested elsewhere.
    pub(in crate::peer) fn drop_link(&mut self, now: Timestamp, id: LinkId) {
        if self.neighbours.remove(id).is_none() {
            return;
        }
        self.agenda.everything();
        self.building.forget_link(id);
        self.manifest.source.forget(id);
        self.sender.link_closed(id);
        self.news.link_closed(id);
        self.totals.links.remove(id);
        if let Some(Live { receive, inject, .. }) = &mut self.live {
            receive.link_closed(now, id);
            inject.iter_mut().for_each(|inject| inject.link_closed(id));
        }
        self.note_neighbours();
    }

    /// Neighbours changed: an initial peer surveys its swarm again.
    pub(in crate::peer) fn note_neighbours(&mut self) {
        self.agenda.surveying();
    }

    /// Carries out the actions that links need because time has passed.
    pub(in crate::peer) fn link_timeouts(&mut self, now: Timestamp) {
        for due in self.neighbours.handle_timeout(now) {
            match due {
                Due::Close(id, reason) => {
                    self.link_failed(now, id);
                    self.outputs.push_back(Output::CloseLink(id, reason.to_owned()));
                }
                Due::Ping(id) => {
                    let nonce = self.chance.below(u32::MAX);
                    self.neighbours.pinged(now, id, nonce);
                    let ping = PeerMessage::Ping { nonce, sent_ms: clock_ms(now) };
                    self.outputs.push_back(Output::Control(id, ping));
                }
            }
        }
    }

    /// Groups the store cannot read or keep, or that are beyond the budget.
    pub(in crate::peer) fn lose(&mut self, now: Timestamp, range: GroupRange) {
        let Some(content) = self.live.as_mut().map(|live| &mut live.content) else { return };
        Content::lose(content, range);
        let dropped = self.sender.lost(range);
        self.reject(&dropped, crate::peer_message::RejectReason::NotHeld);
        self.news.changed(now, false);
        self.tracker.note_segments();
    }
}
