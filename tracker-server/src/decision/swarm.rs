//! One swarm: wires directory, graph and assignments together and says what its peers are to be told.

mod best;
mod moving;
mod uplinks;
mod visitors;
mod want;

use swarm_core::tracker_message::{Received, Role, SegmentRun, Share, TrackerMessageBody};
use swarm_core::{PeerId, Timestamp};

use self::visitors::Visitors;
use super::assignment::Assignments;
use super::balance::Balance;
use super::crowd::Crowd;
use super::directory::{Directory, Newcomer};
use super::graph::{Change, Graph, SignalVerdict, Wiring};
use super::nearness::Nearness;
use super::network::Site;
use super::outgoing::ConnectionId;
use super::rarity::Wish;
use super::room::Around;
use super::success::Successes;
use crate::limits::{BELIEVED_FROM, DOUBTED_BELOW, INITIAL_PEERS_MAX, PEERS_PER_SWARM_MAX};

/// What peers are told without having asked, in order.
pub(super) type Notices = Vec<(ConnectionId, TrackerMessageBody)>;

/// Everybody who shares one content, or one room of them.
#[derive(Debug)]
pub(super) struct Swarm {
    directory: Directory,
    graph: Graph,
    nearness: Nearness,
    assignments: Assignments,
    successes: Successes,
    balance: Balance,
    crowd: Crowd,
    around: Around,
    visitors: Visitors,
}

/// How a peer says that it is doing.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) received: Vec<Received>,
    pub(super) uplink_bps: u64,
    pub(super) playhead: Option<u32>,
    pub(super) ahead_ms: Option<u32>,
}

impl Swarm {
    /// A swarm that nobody is in; a wish for each segment, and the rate of the media, 0 if not known.
    pub(super) fn new(wishes: impl IntoIterator<Item = Wish>, wiring: Wiring, media_bps: u64) -> Self {
        Self {
            directory: Directory::new(wishes),
            graph: Graph::new(wiring),
            nearness: Nearness::default(),
            assignments: Assignments::default(),
            successes: Successes::default(),
            balance: Balance::new(media_bps),
            crowd: Crowd::default(),
            around: Around::default(),
            visitors: Visitors::default(),
        }
    }

    /// Keeps viewers apart from one another while there are fewer.
    pub(super) fn with_viewers_min(mut self, viewers_min: usize) -> Self {
        self.graph.set_viewers_min(viewers_min);
        self
    }

    /// What a peer is in the swarm.
    pub(super) fn role(&self, peer: PeerId) -> Option<Role> {
        self.directory.record(peer).map(|record| record.role)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.directory.is_empty()
    }

    /// The state of the swarm, as peers are told it.
    pub(super) fn state(&mut self, now: Timestamp, peer: PeerId) -> TrackerMessageBody {
        let (seeders, leechers) = self.counts();
        let Around { seeders: other_seeders, leechers: other_leechers, .. } = self.around;
        let initial = self.directory.initial();
        let count = u32::try_from(initial.len()).unwrap_or(u32::MAX);
        let index =
            initial.iter().position(|other| *other == peer).and_then(|index| u32::try_from(index).ok());
        let share = index.map(|index| Share { index, count });
        TrackerMessageBody::Swarm {
            seeders: seeders.saturating_add(other_seeders),
            leechers: leechers.saturating_add(other_leechers),
            at_risk: self.directory.rarity.at_risk(now),
            share,
            scarcity: self.balance.scarcity(),
        }
    }

    /// What its peers can send together, and what its players need.
    pub(super) const fn balance(&self) -> &Balance {
        &self.balance
    }

    /// Peers that hold everything, and peers that do not, without visitors.
    pub(super) fn counts(&self) -> (u32, u32) {
        let (seeders, leechers) = self.directory.counts();
        let count = |peers| u32::try_from(peers).unwrap_or(u32::MAX);
        (count(seeders), count(leechers))
    }

    /// Whether a peer takes part here beside its own room.
    pub(super) fn is_visitor(&self, peer: PeerId) -> bool {
        self.directory.record(peer).is_some_and(|record| record.is_visitor)
    }

    /// Whether two peers are neighbours here.
    pub(super) fn is_linked(&self, left: PeerId, right: PeerId) -> bool {
        self.graph.is_linked(left, right)
    }

    pub(super) fn has_room(&self, role: Role) -> bool {
        let has_initial_room = self.directory.initial().len() < INITIAL_PEERS_MAX;
        self.directory.len() < PEERS_PER_SWARM_MAX && (role == Role::Viewer || has_initial_room)
    }

    /// Whether the address and the subnet of a newcomer have not got their share of the swarm yet.
    pub(super) fn has_room_for(&self, site: Site) -> bool {
        self.crowd.has_room(site)
    }

    pub(super) fn connection(&self, peer: PeerId) -> Option<ConnectionId> {
        self.directory.record(peer).map(|record| record.connection)
    }

    /// Whether a signal of `bytes` may pass; if so it counts towards the budget of its link.
    pub(super) fn admit_signal(
        &mut self,
        now: Timestamp,
        from: PeerId,
        to: PeerId,
        bytes: u32,
    ) -> SignalVerdict {
        self.graph.admit_signal(now, from, to, bytes)
    }

    /// The connection of a neighbour.
    pub(super) fn neighbour(&self, peer: PeerId, neighbour: PeerId) -> Option<ConnectionId> {
        self.connection(neighbour).filter(|_| self.graph.is_linked(peer, neighbour))
    }

    /// Enters a peer that is not in the swarm and for which there is room, and introduces its neighbours.
    pub(super) fn join(&mut self, now: Timestamp, newcomer: Newcomer, rng: &mut fastrand::Rng) -> Notices {
        let Newcomer { peer, role, site, is_visitor, .. } = newcomer;
        self.list(newcomer);
        let changes = match role {
            Role::Initial => {
                let places = self.places(peer);
                self.graph.join_initial(now, peer, (site.subnet(), places), rng)
            }
            Role::Viewer if is_visitor => self.graph.join_visitor(now, peer, site.subnet(), rng),
            Role::Viewer => self.graph.join_viewer(now, peer, site.subnet(), rng),
        };
        self.tell(&changes)
    }

    /// A viewer that is in the swarm is reached on another connection, on which it said what it holds.
    pub(super) fn reconnect(&mut self, peer: PeerId, connection: ConnectionId, have: &[SegmentRun]) {
        self.directory.reconnect(peer, connection);
        // What it said on the connection before may have been lost on the way.
        self.directory.change(peer, have, &[SegmentRun(0, u32::MAX)]);
    }

    /// Enters a peer in everything but the graph.
    fn list(&mut self, newcomer: Newcomer) {
        let Newcomer { peer, site, role, is_visitor, .. } = newcomer;
        if !is_visitor {
            self.crowd.insert(site);
            if role == Role::Viewer {
                self.graph.count_viewer(site);
            }
        }
        self.directory.insert(newcomer);
        self.note_playhead(peer);
        self.reassess(peer);
    }

    /// Takes a peer out; its neighbours hear of it, and of what makes up for it.
    pub(super) fn leave(&mut self, now: Timestamp, peer: PeerId, rng: &mut fastrand::Rng) -> Notices {
        self.visitors.remove(peer);
        if let Some(record) = self.directory.remove(peer).filter(|record| !record.is_visitor) {
            self.crowd.remove(record.site);
            if record.role == Role::Viewer {
                self.graph.uncount_viewer(record.site);
            }
        }
        self.balance.set(peer, None);
        let need = |peer| uplinks::need(&self.directory, &self.balance, peer);
        let departure = self.graph.leave(now, peer, need, rng);
        self.nearness.remove(peer);
        self.assignments.remove(peer, &departure.neighbours);
        self.successes.remove(peer, &departure.neighbours);
        let told = departure.neighbours.iter().filter_map(|neighbour| self.connection(*neighbour));
        let mut notices: Notices =
            told.map(|connection| (connection, TrackerMessageBody::Gone { peer })).collect();
        notices.extend(self.tell(&departure.changes));
        notices
    }

    pub(super) fn change(&mut self, peer: PeerId, gained: &[SegmentRun], dropped: &[SegmentRun]) {
        self.directory.change(peer, gained, dropped);
    }

    /// Notes how a peer is doing; a good moment to look after its links.
    pub(super) fn report(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        report: Report,
        rng: &mut fastrand::Rng,
    ) -> Notices {
        self.directory.report(peer, report.uplink_bps, report.playhead, report.ahead_ms);
        self.note_playhead(peer);
        for Received { peer: source, bytes, failures } in report.received {
            if self.graph.is_linked(peer, source) {
                self.successes.note(peer, source, bytes, failures);
                self.judge(source);
            }
        }
        self.reassess(peer);
        let mut changes = self.graph.settle(now, peer, rng);
        changes.extend(self.nearness.improve(now, peer, &mut self.graph, rng));
        changes.extend(self.follow_uplinks(now, peer, rng));
        self.tell(&changes)
    }

    /// Doubts a source that hardly delivers, and believes it again when it does.
    fn judge(&mut self, source: PeerId) {
        let success = self.successes.of(source);
        if success < DOUBTED_BELOW {
            self.directory.doubt(source, true);
        } else if success >= BELIEVED_FROM {
            self.directory.doubt(source, false);
        }
    }

    /// Initial peers play nothing, whatever they say: they are no part of the graph of viewers.
    fn note_playhead(&mut self, peer: PeerId) {
        let record = self.directory.record(peer).filter(|record| record.role == Role::Viewer);
        self.nearness.moved(peer, record.and_then(|record| record.playhead));
    }

    /// Tells both sides of each change.
    fn tell(&self, changes: &[Change]) -> Notices {
        changes.iter().flat_map(|change| self.tell_one(*change).into_iter().flatten()).collect()
    }

    fn tell_one(&self, change: Change) -> Option<[(ConnectionId, TrackerMessageBody); 2]> {
        let (Change::Linked(left, right) | Change::Unlinked(left, right)) = change;
        let (left_record, right_record) = (self.directory.record(left)?, self.directory.record(right)?);
        let body = |peer, role, offer| match change {
            Change::Linked(..) => TrackerMessageBody::Connect { peer, role, offer },
            Change::Unlinked(..) => TrackerMessageBody::Unlink { peer },
        };
        // The answering side first: it then knows of the link before the offer can arrive.
        Some([
            (right_record.connection, body(left, left_record.role, false)),
            (left_record.connection, body(right, right_record.role, true)),
        ])
    }
}

#[cfg(test)]
mod tests;
