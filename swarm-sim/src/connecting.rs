//! How connections are built: offers and answers go through the tracker, then a few round trips pass.

use swarm_core::LinkId;
use swarm_core::peer::Input;
use swarm_core::tracker_message::Signal;

use crate::world::{Event, World};

impl World {
    pub(crate) fn connect(&mut self, node: usize, link: LinkId, is_offerer: bool) {
        self.nodes[node].ends.insert(link, Box::new(crate::link::End::new()));
        if is_offerer {
            let sdp = address_of(node, link);
            self.later(node, 0.0, Input::LocalSignal(link, Signal::Offer { sdp }));
            self.trickle(node, link);
        }
    }

    /// Candidates as a browser trickles them: one of the host, one seen by a STUN server, the end.
    fn trickle(&mut self, node: usize, link: LinkId) {
        let candidate = |text: &str| Signal::Candidate {
            candidate: text.into(),
            sdp_mid: None,
            sdp_m_line_index: Some(0),
        };
        for signal in [candidate("host"), candidate("srflx"), Signal::EndOfCandidates] {
            self.later(node, 0.0, Input::LocalSignal(link, signal));
        }
    }

    /// A signal of the other side has come: its description says which node and link it is.
    pub(crate) fn signalled(&mut self, node: usize, link: LinkId, signal: &Signal) {
        let (sdp, is_offer) = match signal {
            Signal::Offer { sdp } => (sdp, true),
            Signal::Answer { sdp } => (sdp, false),
            Signal::Candidate { .. } | Signal::EndOfCandidates => return,
        };
        let Some((other, theirs)) = node_of(sdp) else { return };
        let Some(end) = self.nodes[node].ends.get_mut(&link) else { return };
        end.remote = Some((other, theirs));
        if is_offer {
            let answer = Signal::Answer { sdp: address_of(node, link) };
            self.later(node, 0.0, Input::LocalSignal(link, answer));
            self.trickle(node, link);
        } else {
            let delay = (self.scenario.rtt_ms * 1000.0 * self.scenario.connect_rtts) as u64;
            self.queue.push(self.now + delay, Event::Opens { node, link });
            self.queue.push(self.now + delay, Event::Opens { node: other, link: theirs });
        }
    }

    pub(crate) fn opens(&mut self, node: usize, link: LinkId) {
        let remote = self.nodes[node].ends.get(&link).and_then(|end| end.remote);
        let is_there = remote.is_some_and(|(other, theirs)| {
            self.nodes[other].is_alive && self.nodes[other].ends.contains_key(&theirs)
        });
        let Some(end) = self.nodes[node].ends.get_mut(&link).filter(|_| is_there) else { return };
        end.is_open = true;
        self.nodes[node].first_link_at.get_or_insert(self.now);
        self.tell(node, Input::LinkOpen(link));
    }

    pub(crate) fn close(&mut self, node: usize, link: LinkId) {
        let Some(end) = self.nodes[node].ends.remove(&link) else { return };
        if let Some((other, theirs)) = end.remote.filter(|_| end.is_open) {
            self.lose_end(other, theirs, 0.5);
        }
    }

    /// A node hears after this many round trips that a link of its is over.
    pub(crate) fn lose_end(&mut self, node: usize, link: LinkId, round_trips: f64) {
        if self.nodes[node].ends.remove(&link).is_some() {
            self.later(node, round_trips, Input::LinkClosed(link, "the other side closed it".into()));
        }
    }
}

/// Stands for a session description: a node and its name for the link, and a certificate that is the node's own.
fn address_of(node: usize, link: LinkId) -> String {
    format!("{node} {}\r\na=fingerprint:sha-256 {node:064x}", link.0)
}

fn node_of(sdp: &str) -> Option<(usize, LinkId)> {
    let (node, link) = sdp.lines().next()?.split_once(' ')?;
    Some((node.parse().ok()?, LinkId(link.parse().ok()?)))
}
