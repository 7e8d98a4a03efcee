//! Carries out what the core asks: on the tracker's socket, in the window, on channels and in the store.

use std::sync::Arc;

use swarm_core::peer::{Event, MirrorError, RangeFetch};
use swarm_core::peer_message::DataHead;
use swarm_core::relays::Relays;
use swarm_core::tracker_message::IceServer;
use swarm_core::{Input, LinkId, Manifest, Output, Timestamp, Verified};
use web_sys::AbortController;

use crate::driver::{Happening, cannot_publish};
use crate::link::{Lane, Link};
use crate::mirror;
use crate::page::{Attachment, ToPage};
use crate::start;
use crate::state::{State, tell_in_turn};
use crate::tracker::{Place, fetch_manifest};

impl State {
    /// Carries out everything the core asks for until it asks no more, then feeds the readers.
    ///
    /// Ends because each turn either uses up room in a channel's buffer or changes nothing.
    pub(crate) fn drain(&mut self, now: Timestamp) {
        loop {
            while let Some(output) = self.peer.poll_output() {
                self.execute(now, output);
            }
            let is_done = self.fed.is_empty() && !self.has_news;
            for id in std::mem::take(&mut self.fed) {
                if let Some(input) = self.links.get(&id).and_then(Link::drained) {
                    self.input(now, input);
                }
            }
            if std::mem::take(&mut self.has_news) {
                self.serve_readers(now);
            }
            if is_done {
                return;
            }
        }
    }

    fn execute(&mut self, now: Timestamp, output: Output) {
        match output {
            Output::ConnectTracker => {
                self.connect_tracker(now);
            }
            Output::DisconnectTracker => self.give_up_tracker(now),
            Output::Tracker(request) => self.tracker.send(&request),
            Output::FetchManifest => {
                let fetch = fetch_manifest(
                    self.scope.clone(),
                    self.tracker.manifest_address(&Place::Own, self.swarm),
                    self.early_manifest.take(),
                    self.token.clone(),
                );
                self.later(async move { Happening::Input(fetch.await) });
            }
            Output::PublishManifest(_) => self.input(now, cannot_publish()),
            // A page is never an initial peer.
            Output::Outpost(..) => {}
            Output::Move(output) => self.act_on_move(now, output),
            Output::Connect { link, is_offerer, ice_servers } => {
                self.links.insert(link, Link::new(link));
                let Relays { servers, is_required } = &self.relays;
                let servers: Vec<IceServer> = ice_servers.iter().chain(servers).cloned().collect();
                let is_relayed = *is_required;
                ToPage::Connect { link, is_offerer, ice_servers: &servers, is_relayed }.post(&self.scope);
            }
            Output::RemoteSignal(link, signal) => {
                ToPage::Signal { link, signal: &signal }.post(&self.scope);
            }
            Output::CloseLink(link, _) => {
                self.links.remove(&link);
                ToPage::Close { link }.post(&self.scope);
            }
            Output::Control(link, message) => self.send(now, link, Lane::Control, &message.encode()),
            Output::Data(link, head) => self.send_data(now, link, &head),
            Output::LowWater(link, bytes) => {
                if let Some(link) = self.links.get_mut(&link) {
                    link.set_low_water(bytes);
                }
            }
            Output::FetchRange(fetch) => self.fetch_range(now, fetch),
            Output::AbortFetch(fetch) => {
                if let Some(controller) = self.fetches.remove(&fetch) {
                    controller.abort();
                }
            }
            Output::Store(verified) => self.put(now, &verified),
            Output::Evict(range) => {
                if let Some((_, store)) = &mut self.content {
                    store.evict(range);
                }
            }
            Output::Event(event) => self.announce(now, event),
        }
    }

    fn fetch_range(&mut self, now: Timestamp, fetch: RangeFetch) {
        let Ok(controller) = AbortController::new() else {
            let error = MirrorError::Unreachable("this browser cannot end a request".to_owned());
            return self.input(now, Input::Fetched(fetch.fetch, Err(error)));
        };
        let id = fetch.fetch;
        self.fetches.insert(id, controller.clone());
        let answer = mirror::fetch_range(self.scope.clone(), fetch, controller);
        self.later(async move { Happening::Fetched(id, answer.await) });
    }

    /// Takes over a channel that the window created for a link.
    pub(crate) fn attach(&mut self, id: LinkId, label: &str, attachment: Attachment) {
        let driver = self.driver.clone();
        if let Some((link, lane)) = self.links.get_mut(&id).zip(Lane::of_label(label)) {
            link.attach(lane, attachment, move |id, lane, event| {
                tell_in_turn(&driver, Happening::Channel(id, lane, event));
            });
        }
    }

    fn send(&mut self, now: Timestamp, id: LinkId, lane: Lane, frame: &[u8]) {
        let Some(link) = self.links.get(&id) else { return };
        if let Err(reason) = link.send(lane, frame) {
            ToPage::Close { link: id }.post(&self.scope);
            self.input(now, Input::LinkClosed(id, reason));
        }
    }

    fn send_data(&mut self, now: Timestamp, id: LinkId, head: &DataHead) {
        let Some((_, store)) = &self.content else { return };
        let payload_bytes = usize::try_from(store.geometry().len_bytes(head.range)).unwrap_or(0);
        match head.encode_with(payload_bytes, |frame| store.append(head.range, frame)) {
            Ok(frame) => {
                self.send(now, id, Lane::Data, &frame);
                if !self.fed.contains(&id) {
                    self.fed.push(id);
                }
            }
            Err(error) => self.input(now, Input::StoreFailed(head.range, error.to_string())),
        }
    }

    fn put(&mut self, now: Timestamp, verified: &Verified) {
        let Some((_, store)) = &mut self.content else { return };
        let put = if self.keeping.rests(now) { store.put_in_memory(verified) } else { store.put(verified) };
        match put {
            Ok(()) => {
                self.has_news = true;
                self.origins.note(verified.range(), self.origin);
            }
            Err(error) => self.input(now, Input::StoreFailed(verified.range(), error.to_string())),
        }
    }

    /// Gives readers what they wait for and the core their positions.
    pub(crate) fn serve_readers(&mut self, now: Timestamp) {
        if let Some((manifest, store)) = &self.content {
            for input in self.readers.serve(manifest, store) {
                self.input(now, input);
            }
        }
    }

    /// The manifest is here: the page hears of it, and the store is opened.
    fn begin(&mut self, now: Timestamp, manifest: Arc<Manifest>) {
        let start_ms = self.start_ms.filter(|_| start::has_time(&manifest));
        let start_ms = start_ms.filter(|start_ms| {
            let is_within = manifest.duration_ms.is_none_or(|duration_ms| *start_ms < duration_ms);
            if !is_within {
                let reason = "the link's time lies beyond the end; playing from the beginning";
                ToPage::BadStart { reason }.post(&self.scope);
            }
            is_within
        });
        self.learn_trackers(&manifest);
        ToPage::post_content(&self.scope, self.swarm, &manifest, start_ms);
        self.start_ms = start_ms;
        self.open_store(now, manifest);
    }

    fn announce(&mut self, now: Timestamp, event: Event) {
        let scope = &self.scope;
        match event {
            Event::ManifestReady(manifest) => self.begin(now, manifest),
            Event::TrackerUp => ToPage::TrackerUp.post(scope),
            Event::TrackerDown { reason, retry_ms } => {
                ToPage::TrackerDown { reason: &reason, retry_ms }.post(scope);
            }
            Event::UnknownSwarm => ToPage::UnknownSwarm.post(scope),
            Event::Waiting { reason } => ToPage::Waiting { reason: &reason }.post(scope),
            Event::PeersWithheld { is_consent_required, reason } => {
                ToPage::PeersWithheld { is_consent_required, reason: &reason }.post(scope);
            }
            Event::Dismissed { reason } => ToPage::Dismissed { reason: &reason }.post(scope),
            Event::Complete => ToPage::Complete.post(scope),
            // The page reads it in the numbers that it gets each second.
            Event::Scarcity(_) | Event::Outpost { .. } => {}
            Event::Banned { link, reason } => ToPage::Banned { link, reason: &reason }.post(scope),
            Event::MirrorLost { host } => ToPage::MirrorLost { host: &host }.post(scope),
            Event::Failed(reason) => {
                ToPage::Failed { reason: &reason }.post(scope);
                self.readers.fail(&reason);
                self.failure = Some(reason);
            }
        }
    }
}
