//! A swarm on its way from one home tracker to another: what is taken along, and what is made again from it.

use swarm_core::limits::RUNS_MAX;
use swarm_core::tracker_message::Role;
use swarm_core::{PeerId, Timestamp};

use super::super::directory::{Newcomer, Record};
use super::super::outgoing::ConnectionId;
use super::super::tracker::Said;
use super::{Notices, Swarm};

impl Swarm {
    /// The same swarm without its peers.
    pub(in super::super) fn emptied(&self) -> Self {
        Self {
            directory: self.directory.emptied(),
            ..Self::new([], self.graph.wiring(), self.balance.media_bps())
                .with_viewers_min(self.graph.viewers_min())
        }
    }

    /// What everybody said last.
    pub(in super::super) fn said(&self) -> Vec<(ConnectionId, PeerId, Said)> {
        let said = |(peer, record): (PeerId, &Record)| (record.connection, peer, self.said_of(peer, record));
        self.directory.iter().map(said).collect()
    }

    /// What a peer said last.
    pub(in super::super) fn said_by(&self, peer: PeerId) -> Option<Said> {
        self.directory.record(peer).map(|record| self.said_of(peer, record))
    }

    fn said_of(&self, peer: PeerId, record: &Record) -> Said {
        let have = match record.role {
            Role::Initial => Vec::new(),
            Role::Viewer => record.have.runs(RUNS_MAX),
        };
        let (role, uplink_bps) = (record.role, record.uplink_bps);
        let (playhead, ahead_ms) = (record.playhead, record.ahead_ms);
        let (links, is_visitor) = (self.graph.neighbours(peer).collect(), record.is_visitor);
        Said { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor }
    }

    /// Enters a peer that brings its links.
    pub(in super::super) fn enter(&mut self, now: Timestamp, newcomer: Newcomer) {
        let Newcomer { peer, role, site, is_visitor, .. } = newcomer;
        self.list(newcomer);
        let places = (role == Role::Initial).then(|| self.places(peer));
        self.graph.enter_with_links(now, (peer, is_visitor), site.subnet(), places);
    }

    /// Notes what a peer said last and makes its links again, as far as their other ends are here. Both ends hear of
    /// each link that is new to this tracker: that does nothing where the link stands.
    pub(in super::super) fn restore(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        (uplink_bps, playhead, ahead_ms): (u64, Option<u32>, Option<u32>),
        links: &[PeerId],
    ) -> Notices {
        self.directory.report(peer, uplink_bps, playhead, ahead_ms);
        self.note_playhead(peer);
        self.reassess(peer);
        let changes = self.graph.restore(now, peer, links);
        self.tell(&changes)
    }
}
