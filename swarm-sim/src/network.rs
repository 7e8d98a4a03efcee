//! How bytes travel: an uplink that the node's links share in turn, a path with delay, jitter and loss, a downlink
//! with a drop-tail queue, and an acknowledgement on the way back.
//!
//! Goodput is simulated: rates are those of messages, without packet headers. A lost packet, and a quantum that the
//! downlink's queue drops, is sent again and arrives a round trip later. It takes uplink twice, and because channels
//! are ordered, what follows on the same channel waits for it. Control messages are sent before payload and take
//! their time from the uplink; they do not wait at the downlink. Senders have a fixed window and no congestion
//! control: how much they send is decided by requests alone.

use swarm_core::LinkId;
use swarm_core::peer::Input;
use swarm_core::peer_message::{DataHead, DataMessage, PeerMessage};
use swarm_core::tree::NodeHash;

use crate::link::Quantum;
use crate::node::Conduct;
use crate::scenario::micros_of;
use crate::world::{Event, World};

/// Payload of a packet, bytes.
const PACKET_BYTES: u64 = 1200;

/// Bytes of a data message besides payload and proof, approximately.
const HEAD_BYTES: u64 = 12;

impl World {
    pub(crate) fn send_data(&mut self, node: usize, link: LinkId, head: DataHead) {
        let payload = self.content.manifest.geometry().len_bytes(head.range);
        let bytes = payload + (head.proof.hashes.len() * size_of::<NodeHash>()) as u64 + HEAD_BYTES;
        let at = &mut self.nodes[node];
        let Some(end) = at.ends.get_mut(&link).filter(|_| at.conduct != Conduct::Lies) else { return };
        end.push(head, bytes);
        self.queue_end(node, link);
        self.send_next(node);
    }

    /// Queues a link for the uplink if it has something to send and its window allows it.
    fn queue_end(&mut self, node: usize, link: LinkId) {
        let window_bytes = u64::from(self.scenario.window_kib) * 1024;
        let at = &mut self.nodes[node];
        if let Some(end) = at.ends.get_mut(&link)
            && !end.is_queued
            && end.is_ready(window_bytes)
        {
            end.is_queued = true;
            at.interface.turns.push_back(link);
        }
    }

    /// Sends the next quantum if the uplink is free.
    pub(crate) fn send_next(&mut self, node: usize) {
        while !self.nodes[node].interface.is_sending {
            let Some(link) = self.nodes[node].interface.turns.pop_front() else { return };
            let Some(end) = self.nodes[node].ends.get_mut(&link) else { continue };
            end.is_queued = false;
            let (Some(remote), Some(quantum)) = (end.remote, end.take()) else { continue };
            self.queue_end(node, link);
            self.put_on_wire(node, link, remote, quantum);
        }
    }

    fn put_on_wire(&mut self, node: usize, link: LinkId, (to, to_link): (usize, LinkId), quantum: Quantum) {
        let (lost, late_us) = self.losses(quantum.bytes);
        let wire_bytes = quantum.bytes + lost * PACKET_BYTES;
        self.carried.data += wire_bytes;
        let interface = &mut self.nodes[node].interface;
        let own_us = wire_bytes * 1_000_000 / interface.up_bytes_per_s;
        let busy_us = own_us + std::mem::take(&mut interface.debt_us);
        interface.is_sending = true;
        interface.busy_us += busy_us;
        let sent_at = self.now + busy_us;
        self.queue.push(sent_at, Event::Sent(node));
        let path_us = self.one_way_us();
        let arrives_at = self.held_back(node, to, sent_at + late_us + path_us);
        let Some(end) = self.nodes[node].ends.get_mut(&link) else { return };
        end.last_data_at = end.last_data_at.max(arrives_at);
        let arrives_at = end.last_data_at;
        let event = Event::Arrives { to, link: to_link, from: node, from_link: link, quantum };
        self.queue.push(arrives_at, event);
    }

    /// Draws which packets of a message are lost: returns their number and the delay until all have arrived, µs.
    fn losses(&mut self, bytes: u64) -> (u64, u64) {
        if self.scenario.loss_pct <= 0.0 {
            return (0, 0);
        }
        let probability = self.scenario.loss_pct / 100.0;
        let round_trip_us = (self.scenario.rtt_ms * 1000.0) as u64;
        let (mut lost, mut late_us, mut left) = (0, 0, bytes.div_ceil(PACKET_BYTES));
        while left > 0 {
            left = (0..left).filter(|_| self.chance.unit() < probability).count() as u64;
            lost += left;
            late_us += if left > 0 { round_trip_us } else { 0 };
        }
        (lost, late_us)
    }

    pub(crate) fn one_way_us(&mut self) -> u64 {
        let half = self.scenario.rtt_ms * 500.0;
        let jitter =
            if self.scenario.jitter_ms > 0.0 { self.chance.unit() * self.scenario.jitter_ms } else { 0.0 };
        (half + jitter * 1000.0) as u64
    }

    /// Time of arrival of something that would arrive at `at`: traffic across a partition arrives after it.
    fn held_back(&self, from: usize, to: usize, at: u64) -> u64 {
        let side = |node: usize| node * 2 >= self.nodes.len();
        match self.scenario.partition {
            Some(span) if span.has(at) && side(from) != side(to) => micros_of(span.to_s).max(at),
            Some(_) | None => at,
        }
    }

    /// A quantum arrives at the receiver's access router, which queues it or drops it.
    pub(crate) fn arrives(
        &mut self,
        (to, link): (usize, LinkId),
        (from, from_link): (usize, LinkId),
        quantum: Quantum,
    ) {
        let at = &mut self.nodes[to];
        let Some(end) = at.ends.get_mut(&link).filter(|_| at.is_alive) else { return };
        let bytes = quantum.bytes;
        let passage = at.interface.downlink.enqueue(self.now, bytes);
        if let Some(passage) = passage {
            end.receive(quantum.sequence, quantum.head);
            // Later quanta that waited for this one have already passed the downlink, so they are delivered with it.
            while let Some(in_order) = end.next_in_order() {
                if let Some(head) = in_order {
                    self.queue.push(passage.delivered_at, Event::Delivered { to, link, from, head });
                }
            }
            self.acknowledge_later(passage.delivered_at, to, (from, from_link), bytes);
        } else {
            // The sender learns of it half a round trip later. If it resends at once, the quantum arrives a round trip
            // after it was dropped.
            let path_us = self.one_way_us();
            let heard_at = self.held_back(to, from, self.now + path_us);
            self.queue.push(heard_at, Event::Dropped { node: from, link: from_link, quantum });
        }
        if self.nodes[to].is_watching() {
            self.passages.add(passage);
        }
    }

    fn acknowledge_later(&mut self, delivered_at: u64, to: usize, sender: (usize, LinkId), bytes: u64) {
        let path_us = self.one_way_us();
        let at = self.held_back(to, sender.0, delivered_at + path_us);
        self.queue.push(at, Event::Acknowledged { node: sender.0, link: sender.1, bytes });
    }

    /// The sender of a quantum learns that it was dropped, and sends it again.
    pub(crate) fn dropped(&mut self, node: usize, link: LinkId, quantum: Quantum) {
        let Some(end) = self.nodes[node].ends.get_mut(&link) else { return };
        end.send_again(quantum);
        self.queue_end(node, link);
        self.send_next(node);
    }

    pub(crate) fn delivered(&mut self, to: usize, link: LinkId, from: usize, head: DataHead) {
        if !self.nodes[to].ends.contains_key(&link) {
            return;
        }
        self.trace.add(u64::from(head.range.start) << 32 | to as u64);
        let mut payload = self.content.slice(head.range);
        if self.nodes[from].conduct == Conduct::Corrupts {
            let mut copy = payload.to_vec();
            if let Some(byte) = copy.first_mut() {
                *byte ^= 1;
            }
            payload = copy.into();
        }
        self.tell(to, Input::Data(link, DataMessage { head, payload }));
    }

    pub(crate) fn acknowledged(&mut self, node: usize, link: LinkId, bytes: u64) {
        let Some(end) = self.nodes[node].ends.get_mut(&link) else { return };
        let is_told = end.acknowledged(bytes);
        let left = end.unacknowledged_bytes;
        self.queue_end(node, link);
        self.send_next(node);
        if is_told {
            self.tell(node, Input::Buffered(link, left));
        }
    }

    pub(crate) fn send_control(&mut self, node: usize, link: LinkId, message: PeerMessage) {
        let message = if self.nodes[node].conduct == Conduct::Lies {
            let Some(message) = self.lie(message) else { return };
            message
        } else {
            message
        };
        let bytes = message.encode().len() as u64;
        self.carried.control += bytes;
        let late_us = self.losses(bytes).1;
        let interface = &mut self.nodes[node].interface;
        let own_us = bytes * 1_000_000 / interface.up_bytes_per_s;
        interface.debt_us += own_us;
        let Some((to, to_link)) = self.nodes[node].ends.get(&link).and_then(|end| end.remote) else { return };
        let path_us = self.one_way_us();
        let arrives_at = self.held_back(node, to, self.now + own_us + late_us + path_us);
        let Some(end) = self.nodes[node].ends.get_mut(&link) else { return };
        end.last_control_at = end.last_control_at.max(arrives_at);
        let arrives_at = end.last_control_at;
        if self.nodes[to].ends.contains_key(&to_link) {
            self.queue.push(arrives_at, Event::Control { to, link: to_link, message: Box::new(message) });
        }
    }

    /// What a liar says instead: that it holds everything.
    fn lie(&self, message: PeerMessage) -> Option<PeerMessage> {
        match message {
            PeerMessage::Hello { version, swarm, peer, standing, proof, .. } => {
                let have = vec![self.content.manifest.geometry().all()];
                Some(PeerMessage::Hello { version, swarm, peer, standing, have, proof })
            }
            PeerMessage::Have { .. } | PeerMessage::Reject { .. } => None,
            PeerMessage::Request { .. }
            | PeerMessage::Hasten { .. }
            | PeerMessage::Cancel { .. }
            | PeerMessage::Status { .. }
            | PeerMessage::ManifestAsk { .. }
            | PeerMessage::ManifestPart { .. }
            | PeerMessage::Ping { .. }
            | PeerMessage::Pong { .. } => Some(message),
        }
    }
}
