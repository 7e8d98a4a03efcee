//! The conversations of an initial peer with its outposts, the trackers beside the first one.

use std::time::Duration;

use crate::id::{LinkId, PeerId};
use crate::limits::ERROR_TEXT_CHARS_SHOWN;
use crate::peer::input::{OutpostInput, PublishError};
use crate::peer::outposts::{Outpost, OutpostId};
use crate::peer::output::{Event, OutpostOutput, Output};
use crate::peer::tracker::{Refusal, State};
use crate::peer::{Live, Peer};
use crate::publisher::Statement;
use crate::time::Timestamp;
use crate::tracker_message::{
    PeerRequestBody, Received, Role, Signal, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};

impl Peer {
    pub(in crate::peer) fn start_outposts(&mut self, now: Timestamp) {
        self.outposts.ids().for_each(|id| self.connect_outpost(now, id));
    }

    /// Leaves the swarm at all outposts.
    pub(in crate::peer) fn stop_outposts(&mut self, now: Timestamp) {
        for id in self.outposts.ids() {
            if self.outposts.get(id).is_some_and(|post| post.session.is_up()) {
                self.ask_outpost(now, id, PeerRequestBody::Leave);
            }
            self.leave_outpost(id);
        }
    }

    pub(in crate::peer) fn outpost_told(&mut self, now: Timestamp, id: OutpostId, input: OutpostInput) {
        let uplink_bps = self.uplink_bps();
        let Some(post) = self.outposts.post_mut(id) else { return };
        let state = post.session.state;
        match input {
            OutpostInput::Open if matches!(state, State::Connecting(_)) => {
                let hello = post.session.hello(now, TRACKER_VERSION, uplink_bps);
                self.outputs.push_back(Output::Outpost(id, OutpostOutput::Request(hello)));
            }
            OutpostInput::Open => {}
            OutpostInput::Closed(reason) => self.outpost_lost(now, id, reason),
            OutpostInput::Message(message) => self.outpost_says(now, id, message),
            OutpostInput::Published(result) if state == State::Publishing => match result {
                Ok(()) => self.join_at(now, id),
                Err(PublishError::Failed(reason)) => {
                    self.outputs.push_back(Output::Outpost(id, OutpostOutput::Disconnect));
                    self.outpost_lost(now, id, format!("it does not take the manifest: {reason}"));
                }
                Err(PublishError::Refused(reason)) => self.outpost_refuses(id, reason),
            },
            OutpostInput::Published(_) => {}
        }
    }

    /// Carries out actions that are due at outposts because time has passed.
    pub(in crate::peer) fn outposts_timeout(&mut self, now: Timestamp) {
        for id in self.outposts.ids() {
            let Some(post) = self.outposts.get(id) else { continue };
            let is_silent = post.session.is_silent(now);
            match post.session.state {
                _ if is_silent => self.give_up_on(now, id, "it has gone silent"),
                State::Waiting(at) if now >= at => self.connect_outpost(now, id),
                State::Connecting(at) | State::Greeting(at) if now >= at => {
                    self.give_up_on(now, id, "it does not answer");
                }
                State::Joining(at) if now >= at => self.publish_at(id),
                State::Joined => self.resend_signals_to(now, id),
                State::Idle
                | State::Withheld
                | State::Waiting(_)
                | State::Connecting(_)
                | State::Greeting(_)
                | State::Publishing
                | State::Joining(_) => {}
            }
        }
    }

    /// Sends due reports to outposts, about transfers with the peers that each introduced.
    pub(in crate::peer) fn tell_outposts(&mut self, now: Timestamp) {
        let uplink_bps = self.uplink_bps();
        for id in self.outposts.ids() {
            let post = self.outposts.post_mut(id);
            if post.is_some_and(|post| post.session.take_report_due(now, uplink_bps > 0)) {
                let received = self.received_by(Some(id));
                let body = PeerRequestBody::Report { received, uplink_bps, playhead: None, ahead_ms: None };
                self.ask_outpost(now, id, body);
            }
        }
    }

    /// Bytes received since the last report from the peers that one tracker introduced: an outpost or the first tracker.
    pub(in crate::peer) fn received_by(&mut self, introduced_by: Option<OutpostId>) -> Vec<Received> {
        let mut received = Vec::new();
        for (id, link) in self.neighbours.iter() {
            let met_at = self.outposts.met_at(link.peer);
            if met_at != introduced_by {
                continue;
            }
            let bytes = self.totals.take_unreported(id);
            let failures = self.live.as_mut().map_or(0, |live| live.receive.take_failures(id));
            if bytes > 0 || failures > 0 {
                let post = met_at.and_then(|met_at| self.outposts.get(met_at));
                let peer = post.map_or(link.peer, |post| post.masked(link.peer));
                received.push(Received { peer, bytes, failures });
            }
        }
        received
    }

    /// Whether the tracker that introduced a peer can pass signals to it.
    pub(in crate::peer) fn is_reachable(&self, peer: PeerId) -> bool {
        match self.outposts.met_at(peer) {
            Some(id) => self.outposts.get(id).is_some_and(|post| post.session.is_joined()),
            None => self.tracker.session.is_joined(),
        }
    }

    /// Sends a signal of our own connection by way of an outpost.
    pub(in crate::peer) fn signal_by_outpost(
        &mut self,
        now: Timestamp,
        outpost: OutpostId,
        link: LinkId,
        signal: Signal,
    ) {
        let to = self.neighbours.get(link).map(|link| link.peer);
        let Some((to, post)) = to.zip(self.outposts.post_mut(outpost)) else { return };
        if !post.session.is_up() || post.signals.take_behind(link, &signal) {
            return;
        }
        let body = PeerRequestBody::Signal { to: post.masked(to), signal: signal.clone() };
        let request = post.session.request(now, body);
        post.signals.left(request.id, link, signal);
        self.outputs.push_back(Output::Outpost(outpost, OutpostOutput::Request(request)));
    }

    fn outpost_says(&mut self, now: Timestamp, id: OutpostId, message: TrackerMessage) {
        let Some(post) = self.outposts.post_mut(id) else { return };
        post.session.heard(now, message.id);
        match message.body {
            TrackerMessageBody::Welcome {
                peer, resume, challenge, ice_servers, report_interval_ms, ..
            } => {
                if matches!(post.session.state, State::Greeting(_)) {
                    post.session.welcomed(now, peer, resume, ice_servers, report_interval_ms);
                    post.session.challenge = challenge;
                    self.publish_at(id);
                }
            }
            TrackerMessageBody::Swarm { leechers, .. } => {
                if matches!(post.session.state, State::Joining(_)) {
                    post.session.joined();
                }
                post.leechers = leechers;
                self.say_of_outpost(id, None);
                self.count_leechers();
            }
            TrackerMessageBody::Connect { peer, role, offer } => {
                let peer = post.masked(peer);
                let neighbours = &self.neighbours;
                self.outposts.met(peer, id, |peer| neighbours.named(peer).is_some());
                self.connect(now, peer, role, offer);
            }
            TrackerMessageBody::Unlink { peer } => {
                let peer = post.masked(peer);
                self.unlink(now, peer);
            }
            TrackerMessageBody::Signal { from, signal } => {
                let from = post.masked(from);
                self.remote_signal(now, from, signal);
            }
            TrackerMessageBody::Gone { peer } => {
                let peer = post.masked(peer);
                self.gone(now, peer);
            }
            TrackerMessageBody::Ok => message.id.into_iter().for_each(|id| post.signals.answered(id)),
            TrackerMessageBody::Error { code, text, retry_after_ms } => {
                let text = text.chars().take(ERROR_TEXT_CHARS_SHOWN).collect::<String>();
                let retry_after = Duration::from_millis(u64::from(retry_after_ms.unwrap_or(1000)));
                match post.session.refused(now, message.id, code, retry_after) {
                    Refusal::Ignored => {
                        message.id.into_iter().for_each(|id| post.signals.refused(now, id, retry_after));
                    }
                    Refusal::UnknownSwarm => {}
                    Refusal::Later => self.give_up_on(now, id, &text),
                    Refusal::Never | Refusal::Withheld => self.outpost_refuses(id, text),
                }
            }
            // An initial peer lacks nothing.
            TrackerMessageBody::Assign { .. }
            | TrackerMessageBody::Peers { .. }
            | TrackerMessageBody::Move { .. } => {}
        }
    }

    /// How many viewers lack something, at all trackers.
    pub(in crate::peer) fn count_leechers(&mut self) {
        let Some(Live { content, inject: Some(inject), .. }) = &mut self.live else { return };
        let leechers = self.tracker.leechers.saturating_add(self.outposts.leechers());
        inject.told(leechers, None, content);
        self.agenda.surveying();
    }

    fn connect_outpost(&mut self, now: Timestamp, id: OutpostId) {
        let Some(post) = self.outposts.post_mut(id) else { return };
        post.session.connecting(now);
        self.outputs.push_back(Output::Outpost(id, OutpostOutput::Connect));
    }

    fn publish_at(&mut self, id: OutpostId) {
        let Some(post) = self.outposts.post_mut(id) else { return };
        post.session.state = State::Publishing;
        let bytes = self.manifest.bytes.clone();
        self.outputs.push_back(Output::Outpost(id, OutpostOutput::Publish(bytes)));
    }

    fn join_at(&mut self, now: Timestamp, id: OutpostId) {
        let swarm = self.config.swarm;
        let (Some(post), Some(publisher)) = (self.outposts.post_mut(id), &self.config.publisher) else {
            return;
        };
        let statement = Statement::Join { swarm, tracker: post.name, challenge: post.session.challenge };
        let proof = Some(publisher.key.sign(&statement));
        let body =
            PeerRequestBody::Join { swarm, role: Role::Initial, have: Vec::new(), playhead: None, proof };
        let join = post.session.join(now, body);
        self.outputs.push_back(Output::Outpost(id, OutpostOutput::Request(join)));
    }

    fn ask_outpost(&mut self, now: Timestamp, id: OutpostId, body: PeerRequestBody) {
        let Some(post) = self.outposts.post_mut(id) else { return };
        let request = post.session.request(now, body);
        self.outputs.push_back(Output::Outpost(id, OutpostOutput::Request(request)));
    }

    fn resend_signals_to(&mut self, now: Timestamp, id: OutpostId) {
        let due = self.outposts.post_mut(id).map(|post| post.signals.take_due(now)).unwrap_or_default();
        for (link, signal) in due {
            if self.neighbours.get(link).is_some_and(|link| !link.is_open()) {
                self.signal_by_outpost(now, id, link, signal);
            }
        }
    }

    fn give_up_on(&mut self, now: Timestamp, id: OutpostId, reason: &str) {
        self.outputs.push_back(Output::Outpost(id, OutpostOutput::Disconnect));
        self.outpost_lost(now, id, reason.to_owned());
    }

    /// The connection is lost; it is built again after a while. Links stay.
    fn outpost_lost(&mut self, now: Timestamp, id: OutpostId, reason: String) {
        let Some(post) = self.outposts.post_mut(id) else { return };
        if matches!(post.session.state, State::Idle | State::Waiting(_)) {
            return;
        }
        post.leechers = 0;
        post.session.lost(now, &mut self.chance);
        post.signals.forget();
        self.say_of_outpost(id, Some(reason));
    }

    /// The outpost will never admit this peer. The other trackers do, so the peer goes on.
    fn outpost_refuses(&mut self, id: OutpostId, reason: String) {
        self.leave_outpost(id);
        self.say_of_outpost(id, Some(format!("it refuses: {reason}")));
    }

    fn leave_outpost(&mut self, id: OutpostId) {
        self.outposts
            .post_mut(id)
            .into_iter()
            .for_each(|post: &mut Outpost| post.session.state = State::Idle);
        self.outputs.push_back(Output::Outpost(id, OutpostOutput::Disconnect));
    }

    /// Tells the application, once, that a tracker is lost and why, or that it is back.
    fn say_of_outpost(&mut self, id: OutpostId, reason: Option<String>) {
        let Some(post) = self.outposts.post_mut(id).filter(|post| post.told != reason) else { return };
        post.told.clone_from(&reason);
        self.event(Event::Outpost { outpost: id, reason });
    }
}
