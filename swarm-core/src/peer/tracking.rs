//! What the tracker says and what it is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Peer;
use super::advice::Advice;
use super::copies::Copies;
use super::demand::Demand;
use super::holdings::Holdings;
use super::injection::Injection;
use super::input::FetchError;
use super::manifest_source::Progress;
use super::output::{Event, Output};
use super::stats::LinkState;
use super::tracker_session::{Refusal, State};
use crate::group_set::GroupSet;
use crate::id::{LinkId, PeerId};
use crate::limits::RUNS_MAX;
use crate::manifest::Manifest;
use crate::peer_message::PeerMessage;
use crate::time::Timestamp;
use crate::tracker_message::{
    ErrorCode, PeerEntry, PeerRequestBody, Received, Role, SegmentRun, Share, TRACKER_VERSION,
    TrackerMessage, TrackerMessageBody,
};
use crate::tree::HashTree;

impl Peer {
    pub(super) fn connect_tracker(&mut self, now: Timestamp) {
        self.tracker.connecting(now);
        self.outputs.push_back(Output::ConnectTracker);
    }

    pub(super) fn tracker_opened(&mut self, now: Timestamp) {
        if matches!(self.tracker.state, State::Connecting(_)) {
            let hello = self.tracker.hello(now, TRACKER_VERSION, self.uplink_bps());
            self.outputs.push_back(Output::Tracker(hello));
            if self.config.role == Role::Viewer {
                self.join(now);
            }
        }
    }

    pub(super) fn tracker_lost(&mut self, now: Timestamp, reason: String) {
        if matches!(self.tracker.state, State::Idle | State::Waiting(_)) {
            return;
        }
        let wait = self.tracker.lost(now, &mut self.chance);
        let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.event(Event::TrackerDown { reason, retry_ms });
    }

    pub(super) fn tracker_timeout(&mut self, now: Timestamp) {
        match self.tracker.state {
            State::Waiting(at) if now >= at => self.connect_tracker(now),
            State::Connecting(at) | State::Greeting(at) if now >= at => {
                self.outputs.push_back(Output::DisconnectTracker);
                self.tracker_lost(now, "the tracker does not answer".to_owned());
            }
            State::Joining(at) if now >= at => self.publish_or_join(now),
            State::Idle
            | State::Waiting(_)
            | State::Connecting(_)
            | State::Greeting(_)
            | State::Publishing
            | State::Joining(_)
            | State::Joined => {}
        }
    }

    pub(super) fn tracker_says(&mut self, now: Timestamp, message: TrackerMessage) {
        match message.body {
            TrackerMessageBody::Welcome { peer, resume, ice_servers, report_interval_ms, .. } => {
                if matches!(self.tracker.state, State::Greeting(_)) {
                    self.tracker.welcomed(now, peer, resume, ice_servers, report_interval_ms);
                    if !self.tracker.goes_on_joining(now) {
                        self.publish_or_join(now);
                    }
                    self.event(Event::TrackerUp);
                }
            }
            TrackerMessageBody::Swarm { at_risk, share, .. } => {
                if matches!(self.tracker.state, State::Joining(_)) {
                    self.tracker.state = State::Joined;
                }
                self.swarm_state(&at_risk, share);
            }
            TrackerMessageBody::Connect { peer, role, offer } => self.connect(now, peer, role, offer),
            TrackerMessageBody::Unlink { peer } => self.unlink(now, peer),
            TrackerMessageBody::Signal { from, signal } => self.remote_signal(from, signal),
            TrackerMessageBody::Gone { peer } => {
                // An open link outlives the tracker's knowledge of it; one being built cannot.
                let link = self.links.iter().find(|(_, link)| link.peer == peer);
                if let Some((id, _)) = link.filter(|(_, link)| link.state == LinkState::Connecting) {
                    let id = *id;
                    self.close_link(id, "the other side left");
                }
            }
            TrackerMessageBody::Assign { segments, source, lease_ms } => {
                self.assigned(now, &segments, source, lease_ms);
            }
            TrackerMessageBody::Error { code, text, retry_after_ms } => {
                let retry_after = Duration::from_millis(u64::from(retry_after_ms.unwrap_or(1000)));
                self.tracker_refused(now, message.id, code, text, retry_after);
            }
            TrackerMessageBody::Peers { providing, looking } => self.listed(&providing, &looking),
            TrackerMessageBody::Ok => {}
        }
    }

    /// What is rare in the whole swarm, and which part of the injection is ours.
    fn swarm_state(&mut self, at_risk: &[SegmentRun], share: Option<Share>) {
        let Some(holdings) = &self.holdings else { return };
        let count = holdings.geometry().group_count();
        let mut groups = GroupSet::empty(count);
        for run in at_risk.iter().take(RUNS_MAX) {
            groups.insert(holdings.groups_of(*run));
        }
        self.at_risk = groups;
        if let Some(share) = share.filter(|share| self.share != Some(*share) && share.count > 0) {
            self.share = Some(share);
            self.injection.set_own(holdings.share(share));
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
        match self.tracker.refused(now, id, code, retry_after) {
            Refusal::Ignored => {}
            Refusal::UnknownSwarm => {
                let event = if self.manifest.is_none() {
                    Event::UnknownSwarm
                } else {
                    Event::Waiting { reason: text }
                };
                self.event(event);
            }
            Refusal::Later => {
                self.outputs.push_back(Output::DisconnectTracker);
                self.tracker_lost(now, text);
            }
            Refusal::Never => {
                self.outputs.push_back(Output::DisconnectTracker);
                self.tracker.state = State::Idle;
                self.event(Event::Failed(format!("the tracker refuses: {text}")));
            }
        }
    }

    /// A lease: until it ends its source is asked for these groups before others.
    fn assigned(&mut self, now: Timestamp, segments: &[SegmentRun], source: PeerId, lease_ms: u32) {
        let Some(holdings) = &self.holdings else { return };
        let is_initial = self.links.values().any(|link| link.peer == source && link.role == Role::Initial);
        let until = now + Duration::from_millis(u64::from(lease_ms));
        let groups = segments.iter().map(|run| holdings.groups_of(*run));
        self.advice.assigned(groups, source, is_initial, until);
    }

    /// Who provides what we look for, and who looks for it, too: links that have not shown yet what they carry are
    /// judged by it.
    fn listed(&mut self, providing: &[PeerEntry], looking: &[PeerEntry]) {
        self.advice.listed(providing, looking);
        for link in self.links.values_mut() {
            if let Some(rate) = self.advice.expected(link.peer) {
                link.rate.expect(rate);
            }
        }
    }

    /// An initial peer first makes sure that the tracker has the manifest; anybody else joins at once.
    fn publish_or_join(&mut self, now: Timestamp) {
        if self.config.role == Role::Initial && !self.manifest_bytes.is_empty() {
            self.tracker.state = State::Publishing;
            self.outputs.push_back(Output::PublishManifest(self.manifest_bytes.clone()));
        } else {
            self.join(now);
        }
    }

    pub(super) fn manifest_published(&mut self, now: Timestamp, result: Result<(), String>) {
        if self.tracker.state != State::Publishing {
            return;
        }
        match result {
            Ok(()) => self.join(now),
            Err(reason) => {
                self.outputs.push_back(Output::DisconnectTracker);
                self.tracker_lost(now, format!("the tracker does not take the manifest: {reason}"));
            }
        }
    }

    fn join(&mut self, now: Timestamp) {
        let have = self.holdings.as_mut().map_or_else(Vec::new, Holdings::tell_segments);
        // Runs that did not fit the message follow as news.
        self.has_segment_news = true;
        let playhead = self.playhead_segment();
        let (swarm, role) = (self.config.swarm, self.config.role);
        let join = self.tracker.join(now, PeerRequestBody::Join { swarm, role, have, playhead });
        self.outputs.push_back(Output::Tracker(join));
    }

    fn playhead_segment(&self) -> Option<u32> {
        self.holdings.as_ref()?.segment_of(self.demand.as_ref()?.playhead()?)
    }

    /// Estimated upload capacity, bits a second.
    fn uplink_bps(&self) -> u64 {
        self.uplink_bytes_per_s().saturating_mul(8)
    }

    /// Tells the tracker what is due: segments gained, and how transfers went.
    pub(super) fn tell_tracker(&mut self, now: Timestamp) {
        if self.has_segment_news && self.tracker.take_have_due(now) {
            let news = self.holdings.as_mut().map(Holdings::take_segment_news);
            let news = news.filter(|(gained, dropped)| !gained.is_empty() || !dropped.is_empty());
            self.has_segment_news = news.is_some();
            if let Some((gained, dropped)) = news {
                let request = self.tracker.request(PeerRequestBody::Have { gained, dropped });
                self.outputs.push_back(Output::Tracker(request));
            }
        }
        if self.tracker.take_report_due(now) {
            let received =
                self.links.values_mut().filter(|link| link.received > link.reported || link.failures > 0);
            let received = received.map(|link| {
                let bytes = link.received - std::mem::replace(&mut link.reported, link.received);
                Received { peer: link.peer, bytes, failures: std::mem::take(&mut link.failures) }
            });
            let received = received.collect();
            let (uplink_bps, playhead) = (self.uplink_bps(), self.playhead_segment());
            let request = self.tracker.request(PeerRequestBody::Report { received, uplink_bps, playhead });
            self.outputs.push_back(Output::Tracker(request));
        }
    }

    pub(super) fn segment_news_deadline(&self) -> Option<Timestamp> {
        (self.has_segment_news && self.tracker.state == State::Joined).then_some(self.tracker.next_have)
    }

    pub(super) fn manifest_fetched(&mut self, now: Timestamp, result: Result<Bytes, FetchError>) {
        if self.manifest.is_some() {
            return;
        }
        match result {
            Ok(bytes) => self.manifest_arrived(&bytes),
            Err(error) => {
                self.manifest_source.failed(now, &mut self.chance);
                self.event(match error {
                    FetchError::NotFound => Event::UnknownSwarm,
                    FetchError::Failed(reason) => {
                        Event::Waiting { reason: format!("the manifest cannot be fetched: {reason}") }
                    }
                });
                self.ask_links_for_manifest();
            }
        }
    }

    pub(super) fn manifest_timeout(&mut self, now: Timestamp) {
        if self.manifest.is_none() && self.manifest_source.retry_at.take_if(|at| now >= *at).is_some() {
            self.outputs.push_back(Output::FetchManifest);
        }
    }

    /// With HTTP out of reach, some open link is asked.
    pub(super) fn ask_links_for_manifest(&mut self) {
        if self.manifest.is_some() {
            return;
        }
        let link = self.links.iter().find(|(_, link)| link.is_open()).map(|(id, _)| *id);
        if let Some(link) = link.filter(|link| self.manifest_source.take_turn(*link)) {
            self.outputs.push_back(Output::Control(link, PeerMessage::ManifestAsk { part: 0 }));
        }
    }

    pub(super) fn manifest_part(&mut self, link: LinkId, part: u16, part_count: u16, bytes: &[u8]) {
        match self.manifest_source.part(link, part, part_count, bytes) {
            Progress::Ignored | Progress::Nothing => {}
            Progress::Next(part) => {
                self.outputs.push_back(Output::Control(link, PeerMessage::ManifestAsk { part }))
            }
            Progress::Whole(whole) => {
                if Manifest::from_bytes(self.config.swarm, &whole).is_ok() {
                    self.manifest_arrived(&whole);
                } else {
                    self.ban(link, "it sent a manifest that is not this swarm's".to_owned());
                }
            }
        }
    }

    fn manifest_arrived(&mut self, bytes: &Bytes) {
        match Manifest::from_bytes(self.config.swarm, bytes) {
            Ok(manifest) => self.manifest_known(Arc::new(manifest)),
            Err(error) => {
                self.event(Event::Failed(format!("the tracker's manifest cannot be used: {error}")))
            }
        }
    }

    pub(super) fn manifest_known(&mut self, manifest: Arc<Manifest>) {
        match manifest.to_bytes() {
            Ok(bytes) => {
                self.manifest_bytes = bytes.into();
                self.manifest = Some(Arc::clone(&manifest));
                self.manifest_source.retry_at = None;
                self.event(Event::ManifestReady(manifest));
            }
            Err(error) => self.event(Event::Failed(error.to_string())),
        }
    }

    pub(super) fn store_ready(&mut self, now: Timestamp, held: &GroupSet, tree: HashTree) {
        let Some(manifest) = self.manifest.clone().filter(|_| self.holdings.is_none()) else { return };
        let geometry = manifest.geometry();
        if tree.root() != manifest.root || tree.geometry() != geometry {
            self.event(Event::Failed("the store holds another content than the manifest names".to_owned()));
            return;
        }
        self.copies = Copies::new(geometry.group_count());
        self.injection = Injection::new(geometry.group_count(), self.config.policy.forward);
        self.advice = Advice::new(geometry.group_count());
        self.demand = Some(Demand::new(&manifest));
        let holdings = Holdings::new(manifest, held, tree, self.config.policy.forward);
        let runs = holdings.announced();
        self.holdings = Some(holdings);
        self.has_segment_news = true;
        let ids: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.is_open()).map(|(id, _)| *id).collect();
        for id in ids {
            for gained in runs.chunks(RUNS_MAX) {
                let have = PeerMessage::Have { gained: gained.to_vec(), dropped: Vec::new() };
                self.outputs.push_back(Output::Control(id, have));
            }
            self.link_geometry(id, geometry);
        }
        // From now on there is somewhere to put what is injected.
        self.tell_status(self.standing(now));
        self.tell_tracker(now);
    }

    /// Leaves: the tracker hears it first, so that nobody is sent here any more.
    pub(super) fn stop(&mut self) {
        if self.tracker.is_up() {
            let leave = self.tracker.request(PeerRequestBody::Leave);
            self.outputs.push_back(Output::Tracker(leave));
        }
        self.outputs.push_back(Output::DisconnectTracker);
        self.tracker.state = State::Idle;
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        ids.into_iter().for_each(|id| self.close_link(id, "leaving"));
    }
}
