//! Messages from and to the tracker.

use std::time::Duration;

use crate::id::{Challenge, LinkId, PeerId};
use crate::limits::{ERROR_TEXT_CHARS_SHOWN, RUNS_MAX};
use crate::peer::input::{Consent, PublishError};
use crate::peer::output::{Event, Output};
use crate::peer::tracker::{Refusal, State, millis};
use crate::peer::{Live, Peer};
use crate::publisher::Statement;
use crate::time::Timestamp;
use crate::tracker_message::{
    ErrorCode, PeerEntry, PeerRequestBody, Role, SegmentRun, Share, TRACKER_VERSION, TrackerMessage,
    TrackerMessageBody,
};

/// Text for a publisher that a closed tracker does not admit.
const WITHOUT_TOKEN: &str = "publishing here takes the tracker's publish token (--publish-token) or its token for all (--token); ask its operator";
const WRONG_TOKEN: &str = "publishing here takes its publish token (--publish-token) or a permission for initial peers (--token), and what was \
     shown is neither";

impl Peer {
    pub(in crate::peer) fn start(&mut self, now: Timestamp) {
        if let Some(manifest) = self.config.manifest.clone() {
            self.manifest_known(now, manifest);
        } else {
            self.outputs.push_back(Output::FetchManifest);
        }
        match self.tracker.session.consent {
            Consent::Given | Consent::Open => self.connect_tracker(now),
            Consent::Refused => self.tracker.session.state = State::Withheld,
        }
        self.start_outposts(now);
    }

    /// The person says whether this peer may connect with others. If not, it goes on with mirrors.
    pub(in crate::peer) fn consent(&mut self, now: Timestamp, consent: Consent) {
        self.tracker.session.consent = consent;
        match (consent, self.tracker.session.state) {
            (_, State::Idle) => {}
            (Consent::Refused, _) => {
                self.leave_peers(now);
                self.tracker.session.state = State::Withheld;
            }
            (Consent::Given | Consent::Open, State::Withheld) => self.connect_tracker(now),
            (Consent::Given | Consent::Open, _) => {}
        }
    }

    /// Leaves. The tracker hears of it first, so that it introduces no more peers to this one.
    pub(in crate::peer) fn stop(&mut self, now: Timestamp) {
        self.leave_peers(now);
        self.stop_outposts(now);
        let aborted = self.live.as_mut().map(|live| live.mirrors.leave()).unwrap_or_default();
        self.outputs.extend(aborted.into_iter().map(Output::AbortFetch));
    }

    /// Ends the conversation with the tracker, then every link.
    fn leave_peers(&mut self, now: Timestamp) {
        if self.tracker.session.is_up() {
            let leave = self.tracker.session.request(now, PeerRequestBody::Leave);
            self.outputs.push_back(Output::Tracker(leave));
        }
        self.part_from_tracker(State::Idle);
        let ids: Vec<LinkId> = self.neighbours.iter().map(|(id, _)| id).collect();
        ids.into_iter().for_each(|id| self.close_link(now, id, "leaving"));
    }

    /// Ends the conversation with the tracker, and with the one that it named. It does not begin again by itself.
    fn part_from_tracker(&mut self, state: State) {
        self.abandon_move();
        self.outputs.push_back(Output::DisconnectTracker);
        self.tracker.session.state = state;
    }

    fn connect_tracker(&mut self, now: Timestamp) {
        self.tracker.session.connecting(now);
        self.outputs.push_back(Output::ConnectTracker);
    }

    pub(in crate::peer) fn tracker_opened(&mut self, now: Timestamp) {
        if matches!(self.tracker.session.state, State::Connecting(_)) {
            let hello = self.tracker.session.hello(now, TRACKER_VERSION, self.uplink_bps());
            self.outputs.push_back(Output::Tracker(hello));
            if self.config.role == Role::Viewer {
                self.join(now);
            }
        }
    }

    pub(in crate::peer) fn tracker_lost(&mut self, now: Timestamp, reason: String) {
        if matches!(self.tracker.session.state, State::Idle | State::Withheld | State::Waiting(_)) {
            return;
        }
        if self.arrive(now) {
            return;
        }
        let wait = self.tracker.session.lost(now, &mut self.chance);
        self.tracker.signals.forget();
        let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.event(Event::TrackerDown { reason, retry_ms });
    }

    pub(in crate::peer) fn tracker_timeout(&mut self, now: Timestamp) {
        self.move_timeout(now);
        if self.tracker.session.is_silent(now) {
            self.outputs.push_back(Output::DisconnectTracker);
            return self.tracker_lost(now, "the tracker has gone silent".to_owned());
        }
        match self.tracker.session.state {
            State::Waiting(at) if now >= at => self.connect_tracker(now),
            State::Connecting(at) | State::Greeting(at) if now >= at => {
                self.outputs.push_back(Output::DisconnectTracker);
                self.tracker_lost(now, "the tracker does not answer".to_owned());
            }
            State::Joining(at) if now >= at => self.publish_or_join(now),
            State::Joined => self.resend_signals(now),
            State::Idle
            | State::Withheld
            | State::Waiting(_)
            | State::Connecting(_)
            | State::Greeting(_)
            | State::Publishing
            | State::Joining(_) => {}
        }
    }

    pub(in crate::peer) fn tracker_message(&mut self, now: Timestamp, message: TrackerMessage) {
        self.tracker.session.heard(now, message.id);
        if let (Some(id), TrackerMessageBody::Ok) = (message.id, &message.body) {
            self.tracker.signals.answered(id);
        }
        match message.body {
            TrackerMessageBody::Welcome {
                peer, resume, challenge, ice_servers, report_interval_ms, ..
            } => {
                if matches!(self.tracker.session.state, State::Greeting(_)) {
                    self.tracker.session.welcomed(now, peer, resume, ice_servers, report_interval_ms);
                    self.tracker.session.challenge = challenge;
                    if !self.tracker.session.goes_on_joining(now) {
                        self.publish_or_join(now);
                    }
                    self.event(Event::TrackerUp);
                }
            }
            TrackerMessageBody::Swarm { leechers, at_risk, share, scarcity, .. } => {
                if matches!(self.tracker.session.state, State::Joining(_)) {
                    self.tracker.session.joined();
                }
                self.swarm_state(leechers, &at_risk, share);
                if self.tracker.set_scarcity(scarcity) {
                    self.event(Event::Scarcity(scarcity));
                }
            }
            TrackerMessageBody::Connect { peer, role, offer } => self.connect(now, peer, role, offer),
            TrackerMessageBody::Unlink { peer } => self.unlink(now, peer),
            TrackerMessageBody::Signal { from, signal } => self.remote_signal(now, from, signal),
            TrackerMessageBody::Gone { peer } => self.gone(now, peer),
            TrackerMessageBody::Assign { segments, source, lease_ms } => {
                self.assigned(now, &segments, source, lease_ms);
            }
            TrackerMessageBody::Move { to } => self.told_to_move(now, to),
            // It precedes the close of the connection that is being left.
            TrackerMessageBody::Error { .. }
                if message.id.is_none() && self.tracker.moving.is_under_way() => {}
            TrackerMessageBody::Error { code, text, retry_after_ms } => {
                let text = text.chars().take(ERROR_TEXT_CHARS_SHOWN).collect::<String>();
                let retry_after = Duration::from_millis(u64::from(retry_after_ms.unwrap_or(1000)));
                self.tracker_refused(now, message.id, code, text, retry_after);
            }
            TrackerMessageBody::Peers { providing, looking } => self.listed(&providing, &looking),
            TrackerMessageBody::Ok => {}
        }
    }

    /// The tracker's message `swarm`: how many viewers lack something, which segments are rare, and our part of the injection.
    fn swarm_state(&mut self, leechers: u32, at_risk: &[SegmentRun], share: Option<Share>) {
        self.tracker.leechers = leechers;
        let Some(Live { content, inject, .. }) = &mut self.live else { return };
        let rare = at_risk.iter().take(RUNS_MAX).map(|run| content.groups_of(*run));
        self.tracker.advice.set_at_risk(rare);
        if let Some(inject) = inject {
            inject.told(leechers.saturating_add(self.outposts.leechers()), share, content);
            self.agenda.surveying();
        }
    }

    fn tracker_refused(
        &mut self,
        now: Timestamp,
        id: Option<u32>,
        code: ErrorCode,
        text: String,
        retry_after: Duration,
    ) {
        match self.tracker.session.refused(now, id, code, retry_after) {
            Refusal::Ignored => {
                if let (Some(id), ErrorCode::RateLimited) = (id, code) {
                    self.tracker.signals.refused(now, id, retry_after);
                }
                id.into_iter().for_each(|id| self.tracker.signals.answered(id));
            }
            Refusal::UnknownSwarm => {
                let is_unknown = self.manifest.manifest.is_none();
                self.event(if is_unknown { Event::UnknownSwarm } else { Event::Waiting { reason: text } });
            }
            Refusal::Later => {
                self.outputs.push_back(Output::DisconnectTracker);
                self.tracker_lost(now, text);
            }
            Refusal::Withheld => {
                self.part_from_tracker(State::Withheld);
                let is_consent_required = code == ErrorCode::ConsentRequired;
                self.event(Event::PeersWithheld { is_consent_required, reason: text });
            }
            Refusal::Never if self.config.role == Role::Viewer && self.tracker.session.is_joined() => {
                self.part_from_tracker(State::Idle);
                self.tracker.signals.forget();
                self.event(Event::Dismissed { reason: text });
            }
            Refusal::Never => {
                let is_publisher = self.config.role == Role::Initial && code == ErrorCode::Forbidden;
                // A tracker that greets does not know yet that this is a publisher. Its words are for viewers.
                let text = match &self.config.token {
                    None if is_publisher => WITHOUT_TOKEN.to_owned(),
                    Some(_) if is_publisher => format!("{WRONG_TOKEN}; to viewers it says: {text}"),
                    None | Some(_) => text,
                };
                self.tracker_refuses(format!("the tracker refuses: {text}"));
            }
        }
    }

    /// The tracker will never admit this peer, so it does not ask again.
    fn tracker_refuses(&mut self, reason: String) {
        self.part_from_tracker(State::Idle);
        self.event(Event::Failed(reason));
    }

    /// A lease: until it ends, these groups are requested from its source first.
    fn assigned(&mut self, now: Timestamp, segments: &[SegmentRun], source: PeerId, lease_ms: u32) {
        let Some(content) = self.live.as_ref().map(|live| &live.content) else { return };
        let until = now + Duration::from_millis(u64::from(lease_ms));
        let groups = segments.iter().map(|run| content.groups_of(*run));
        self.tracker.advice.assigned(groups, source, until);
    }

    /// The peers that provide the segments that we look for, and the peers that look for them, too.
    fn listed(&mut self, providing: &[PeerEntry], looking: &[PeerEntry]) {
        let advice = &mut self.tracker.advice;
        advice.listed(providing, looking);
        let Some(live) = &mut self.live else { return };
        for (id, link) in self.neighbours.iter() {
            if let Some(rate) = advice.expected(link.peer) {
                live.receive.expect(id, rate);
            }
        }
    }

    /// Tells the tracker which segments this peer looks for, if they are new or cannot come in time.
    pub(in crate::peer) fn look_for(&mut self, now: Timestamp) {
        self.tracker.advice.pass(now);
        let can_ask = self.tracker.session.is_joined() && !self.tracker.moving.is_joining();
        if !can_ask || !self.tracker.wants.is_open(now) || self.is_complete_told {
            return;
        }
        let mut wants = std::mem::take(&mut self.tracker.wants);
        let taken = self.viewing(now).and_then(|(receive, view)| {
            wants.take(now, (view.content, receive.demand()), |group, time| {
                receive.is_missed(&view, group, time)
            })
        });
        self.tracker.wants = wants;
        if let Some(segments) = taken {
            let request = self.tracker.session.request(now, PeerRequestBody::Want { segments });
            self.outputs.push_back(Output::Tracker(request));
        }
    }

    /// An initial peer first makes sure that the tracker has the manifest. Others join at once.
    fn publish_or_join(&mut self, now: Timestamp) {
        if self.config.role == Role::Initial && !self.manifest.bytes.is_empty() {
            self.tracker.session.state = State::Publishing;
            self.outputs.push_back(Output::PublishManifest(self.manifest.bytes.clone()));
        } else {
            self.join(now);
        }
    }

    pub(in crate::peer) fn manifest_published(&mut self, now: Timestamp, result: Result<(), PublishError>) {
        if self.tracker.session.state != State::Publishing {
            return;
        }
        match result {
            Ok(()) => self.join(now),
            Err(PublishError::Failed(reason)) => {
                self.outputs.push_back(Output::DisconnectTracker);
                self.tracker_lost(now, format!("the tracker does not take the manifest: {reason}"));
            }
            Err(PublishError::Refused(reason)) => self.tracker_refuses(reason),
        }
    }

    fn join(&mut self, now: Timestamp) {
        let body = self.join_body(self.tracker.session.challenge);
        let join = self.tracker.session.join(now, body);
        self.outputs.push_back(Output::Tracker(join));
    }

    /// What is said to a tracker that knows nothing of this peer. What is held counts as told.
    pub(in crate::peer) fn join_body(&mut self, challenge: Challenge) -> PeerRequestBody {
        let have = self.live.as_mut().map_or_else(Vec::new, |live| live.content.tell_segments());
        // Runs that did not fit the message follow as news.
        self.tracker.note_segments();
        let playhead = self.playhead_segment();
        let (swarm, role) = (self.config.swarm, self.config.role);
        let proof = self.config.publisher.as_ref().map(|publisher| {
            publisher.key.sign(&Statement::Join { swarm, tracker: publisher.tracker, challenge })
        });
        PeerRequestBody::Join { swarm, role, have, playhead, proof }
    }

    fn playhead_segment(&self) -> Option<u32> {
        let live = self.live.as_ref()?;
        live.content.segment_of(live.receive.demand().playhead()?)
    }

    /// Media from the playhead to the first lacking group.
    fn ahead_ms(&self, now: Timestamp) -> Option<u32> {
        let live = self.live.as_ref()?;
        Some(millis(live.receive.demand().ahead(now, live.content.held())?))
    }

    pub(in crate::peer) fn uplink_bps(&self) -> u64 {
        self.sender.uplink_at_least().saturating_mul(8)
    }

    /// Sends due messages to the tracker: gained segments, and reports about transfers.
    pub(in crate::peer) fn tell_tracker(&mut self, now: Timestamp) {
        if self.tracker.take_segments_due(now) {
            self.tell_segments(now);
        }
        if self.tracker.session.take_report_due(now, self.uplink_bps() > 0) {
            let received = self.received_by(None);
            let (uplink_bps, playhead) = (self.uplink_bps(), self.playhead_segment());
            let ahead_ms = self.ahead_ms(now);
            let body = PeerRequestBody::Report { received, uplink_bps, playhead, ahead_ms };
            let request = self.tracker.session.request(now, body);
            self.outputs.push_back(Output::Tracker(request));
        }
    }

    /// Tells which segments became whole, and which no longer are.
    pub(in crate::peer) fn tell_segments(&mut self, now: Timestamp) {
        let news = self.live.as_mut().map(|live| live.content.take_segment_news());
        match news.filter(|(gained, dropped)| !gained.is_empty() || !dropped.is_empty()) {
            None => self.tracker.segments_told(),
            Some((gained, dropped)) => {
                let body = PeerRequestBody::Have { gained, dropped };
                let request = self.tracker.session.request(now, body);
                self.outputs.push_back(Output::Tracker(request));
            }
        }
    }
}
