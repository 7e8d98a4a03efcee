//! The manifest: how it comes from the tracker over HTTP or in parts from a neighbour, and what follows when it is known.

use std::sync::Arc;

use bytes::Bytes;

use crate::id::LinkId;
use crate::manifest::Manifest;
use crate::peer::Peer;
use crate::peer::input::FetchError;
use crate::peer::output::{Event, Output};
use crate::peer::tracker::{Progress, part_of};
use crate::peer_message::PeerMessage;
use crate::time::Timestamp;

impl Peer {
    pub(in crate::peer) fn manifest_fetched(&mut self, now: Timestamp, result: Result<Bytes, FetchError>) {
        if self.manifest.manifest.is_some() {
            return;
        }
        match result {
            Ok(bytes) => self.manifest_arrived(now, &bytes),
            Err(error) => {
                self.manifest.source.failed(now, &mut self.chance);
                self.event(match error {
                    FetchError::Refused(reason) => Event::Failed(reason),
                    FetchError::NotFound => Event::UnknownSwarm,
                    FetchError::Failed(reason) => {
                        Event::Waiting { reason: format!("the manifest cannot be fetched: {reason}") }
                    }
                });
                self.ask_links_for_manifest(now);
            }
        }
    }

    pub(in crate::peer) fn manifest_timeout(&mut self, now: Timestamp) {
        if self.manifest.manifest.is_some() {
            return;
        }
        if self.manifest.source.takes_retry(now) {
            self.outputs.push_back(Output::FetchManifest);
        }
        self.ask_links_for_manifest(now);
    }

    /// If HTTP fails, asks open links, one after another.
    pub(in crate::peer) fn ask_links_for_manifest(&mut self, now: Timestamp) {
        if self.manifest.manifest.is_some() {
            return;
        }
        let open = self.neighbours.open().map(|(id, _)| id);
        if let Some(link) = self.manifest.source.take_turn(now, open) {
            self.outputs.push_back(Output::Control(link, PeerMessage::ManifestAsk { part: 0 }));
        }
    }

    pub(in crate::peer) fn manifest_part(
        &mut self,
        now: Timestamp,
        link: LinkId,
        (part, part_count): (u16, u16),
        bytes: &[u8],
    ) {
        match self.manifest.source.part(now, link, (part, part_count), bytes) {
            Progress::Ignored => {}
            Progress::Nothing => self.ask_links_for_manifest(now),
            Progress::Next(part) => {
                self.outputs.push_back(Output::Control(link, PeerMessage::ManifestAsk { part }));
            }
            Progress::Whole(whole) => {
                if Manifest::from_bytes(self.config.swarm, &whole).is_ok() {
                    self.manifest_arrived(now, &whole);
                } else {
                    self.ban(now, link, "it sent a manifest that is not this swarm's".to_owned());
                }
            }
        }
    }

    /// Sends one waiting neighbour the part that it asked for. Returns whether one waited. The caller has checked that upload
    /// limit and uplink admit it. A peer that has no manifest or uploads nothing says so at once.
    pub(in crate::peer) fn send_part(&mut self, now: Timestamp) -> bool {
        let Some((id, part)) = self.neighbours.part_asked() else { return false };
        let own = if self.sender.is_off() { &Bytes::new() } else { &self.manifest.bytes };
        let (part_count, bytes) = part_of(own, part);
        let is_part = part < part_count;
        self.neighbours.part_answered(is_part);
        // A part that does not exist cannot be answered: the answer would break a rule.
        if is_part || part_count == 0 {
            self.sender.sent_beside(now, bytes.len() as u64);
            let part = PeerMessage::ManifestPart { part: part.min(part_count), part_count, bytes };
            self.outputs.push_back(Output::Control(id, part));
        }
        true
    }

    /// Tells all neighbours that ask for parts that there are none here. The answer is so small that it need not wait.
    pub(in crate::peer) fn decline_parts(&mut self, now: Timestamp) {
        while (self.sender.is_off() || self.manifest.bytes.is_empty()) && self.send_part(now) {}
    }

    fn manifest_arrived(&mut self, now: Timestamp, bytes: &Bytes) {
        match Manifest::from_bytes(self.config.swarm, bytes) {
            Ok(manifest) => self.manifest_known(now, Arc::new(manifest)),
            Err(error) => {
                self.event(Event::Failed(format!("the tracker's manifest cannot be used: {error}")));
            }
        }
    }

    pub(in crate::peer) fn manifest_known(&mut self, now: Timestamp, manifest: Arc<Manifest>) {
        match manifest.to_bytes() {
            Ok(bytes) => {
                self.manifest.bytes = bytes.into();
                self.manifest.manifest = Some(Arc::clone(&manifest));
                self.manifest.source.found();
                self.check_proofs(now);
                self.event(Event::ManifestReady(manifest));
            }
            Err(error) => self.event(Event::Failed(error.to_string())),
        }
    }
}
