//! Messages of links: announcements, requests and payload of neighbours.

use std::time::Duration;

use crate::group::{GroupRange, merged};
use crate::id::LinkId;
use crate::limits::REQUEST_GROUPS_MAX;
use crate::peer::inject::Field;
use crate::peer::output::Output;
use crate::peer::receive::{Answer, Order, appetite, clock_ms};
use crate::peer::send;
use crate::peer::stats::LinkState;
use crate::peer::tracker::millis;
use crate::peer::{Live, Peer};
use crate::peer_message::{Class, DataMessage, PEER_VERSION, PeerDecodeError, PeerMessage, RejectReason};
use crate::time::Timestamp;
use crate::tracker_message::Role;
use crate::tree::{NodeHash, Verified};

impl Peer {
    pub(in crate::peer) fn control_message(&mut self, now: Timestamp, id: LinkId, message: PeerMessage) {
        let Some(link) = self.neighbours.get(id) else { return };
        let (is_open, state) = (link.is_open(), link.state());
        if !self.neighbours.admit_message(now, id, &message) {
            return self.ban(now, id, "it sends more messages than any work needs".to_owned());
        }
        let is_hello = matches!(message, PeerMessage::Hello { .. });
        if is_hello == is_open || state == LinkState::Connecting {
            return self.ban(now, id, "it did not begin with one greeting".to_owned());
        }
        match message {
            PeerMessage::Hello { version, swarm, standing, have, proof, .. } => {
                if version != PEER_VERSION {
                    self.malformed(now, id, PeerDecodeError::OtherVersion(version));
                } else if swarm != self.config.swarm {
                    self.close_link(now, id, "it shares another content");
                } else {
                    self.greeted(now, id, standing, &have, proof);
                }
            }
            PeerMessage::Have { gained, dropped } => {
                self.announced(now, id, &gained, &dropped, false);
                self.schedule_for(now, id, &gained);
            }
            PeerMessage::Request { range, class, remaining_ms } => {
                let due = now + Duration::from_millis(u64::from(remaining_ms));
                self.requested(now, id, range, (class, due));
            }
            PeerMessage::Hasten { range, remaining_ms } => {
                let due = now + Duration::from_millis(u64::from(remaining_ms));
                self.sender.hastened(now, id, range, due);
            }
            PeerMessage::Cancel { range } => self.sender.cancelled(id, range),
            PeerMessage::Reject { range, reason } => self.rejected(now, id, range, reason),
            PeerMessage::Status { standing, sent_ms, backlog_ms } => {
                self.neighbours.stands(id, standing, backlog_ms);
                if let Some(live) = &mut self.live {
                    live.receive.backlogged(now, id, sent_ms, backlog_ms);
                }
                self.agenda.asking_of(id, true);
                self.agenda.serving();
                self.note_neighbours();
            }
            PeerMessage::ManifestAsk { part } => {
                self.neighbours.asks_part(id, part);
                self.agenda.serving();
            }
            PeerMessage::ManifestPart { part, part_count, bytes } => {
                self.manifest_part(now, id, (part, part_count), &bytes);
            }
            PeerMessage::Ping { nonce, sent_ms } => {
                self.control_came(now, id, sent_ms);
                let pong = PeerMessage::Pong { nonce, sent_ms: clock_ms(now) };
                self.outputs.push_back(Output::Control(id, pong));
            }
            PeerMessage::Pong { nonce, sent_ms } => {
                self.control_came(now, id, sent_ms);
                self.neighbours.ponged(now, id, nonce);
            }
        }
    }

    fn control_came(&mut self, now: Timestamp, id: LinkId, sent_ms: u32) {
        if let Some(live) = &mut self.live {
            live.receive.control_came(now, id, sent_ms);
        }
    }

    /// Notes the decisions that depend on the groups that a neighbour gained.
    fn schedule_for(&mut self, now: Timestamp, id: LinkId, gained: &[GroupRange]) {
        if self.config.role == Role::Initial {
            // Announcements of viewers decide what is injected.
            self.agenda.serving();
        }
        if let Some((receive, view, _)) = self.receiving(now) {
            let orders = receive.offered(&view, gained);
            self.carry_out(orders);
        }
        let Some((receive, view)) = self.viewing(now) else { return };
        if !gained.iter().any(|range| receive.has_free(&view, *range)) {
            return;
        }
        let needs = receive.demand().needs(now);
        let is_needed =
            needs.iter().any(|need| gained.iter().any(|range| !need.urgent.and(*range).is_empty()));
        self.agenda.asking_of(id, is_needed);
    }

    /// A neighbour's holdings changed, or are told for the first time.
    pub(in crate::peer) fn announced(
        &mut self,
        now: Timestamp,
        id: LinkId,
        gained: &[GroupRange],
        dropped: &[GroupRange],
        is_greeting: bool,
    ) {
        // Claims are judged before they count as copies: otherwise this neighbour's own claim would confirm itself.
        let is_possible = self.neighbours.get(id).is_some_and(|link| link.may_hold(gained));
        if is_possible && let Some(Live { content, receive, inject: Some(inject), .. }) = &mut self.live {
            let (neighbours, sender) = (&self.neighbours, &self.sender);
            let field = Field { now, content, neighbours, sender, demand: receive.demand() };
            if inject.announced(&field, id, gained, is_greeting) {
                self.agenda.surveying();
            }
        }
        if let Err(reason) = self.neighbours.announced(id, gained, dropped) {
            self.ban(now, id, reason.to_owned());
        }
    }

    fn requested(&mut self, now: Timestamp, id: LinkId, range: GroupRange, urgency: (Class, Timestamp)) {
        if range.len() > REQUEST_GROUPS_MAX {
            return self.ban(now, id, "it asked for more than a request may".to_owned());
        }
        let Some(content) = self.live.as_ref().map(|live| &live.content) else {
            return self.reject(&[(id, range)], RejectReason::NotHeld);
        };
        let is_answered = self.standing.told().is_none_or(|told| told.serving.answers(urgency.0));
        if let Some(reason) = send::refusal::refusal(&self.sender, content.held(), range, is_answered) {
            return self.reject(&[(id, range)], reason);
        }
        let held: Vec<GroupRange> = content.held().runs(range).collect();
        let mut at = range.start;
        for run in held {
            if at < run.start {
                self.reject(&[(id, GroupRange::new(at, run.start))], RejectReason::NotHeld);
            }
            at = run.end;
            let inject = self.live.as_ref().and_then(|live| live.inject.as_ref());
            let crossed = |group: &u32| inject.is_some_and(|inject| inject.is_pushed(id, *group));
            let lacking = merged(run.iter().filter(|group| !crossed(group)).map(GroupRange::one));
            let refused = lacking.into_iter().flat_map(|run| self.sender.requested(now, id, run, urgency));
            refused
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|range| self.reject(&[(id, range)], RejectReason::Busy));
        }
        if at < range.end {
            self.reject(&[(id, GroupRange::new(at, range.end))], RejectReason::NotHeld);
        }
        self.agenda.serving();
    }

    /// Tells neighbours that groups will not be sent.
    pub(in crate::peer) fn reject(&mut self, groups: &[(LinkId, GroupRange)], reason: RejectReason) {
        for (id, range) in groups {
            for start in range.iter().step_by(REQUEST_GROUPS_MAX as usize) {
                let part = GroupRange::new(start, start.saturating_add(REQUEST_GROUPS_MAX)).and(*range);
                let reject = PeerMessage::Reject { range: part, reason };
                self.outputs.push_back(Output::Control(*id, reject));
            }
        }
    }

    /// A neighbour rejects a request of ours.
    fn rejected(&mut self, now: Timestamp, id: LinkId, range: GroupRange, reason: RejectReason) {
        let Some(live) = &mut self.live else { return };
        let class = live.receive.class_asked(id, range);
        live.receive.rejected(now, id, range, reason == RejectReason::Busy);
        match reason {
            RejectReason::NotServing => {
                class.into_iter().for_each(|class| self.neighbours.serves_not(id, class));
            }
            // Groups that it does not hold after all are not requested from it again.
            RejectReason::NotHeld => {
                live.receive.failed(id);
                let range = range.and(live.content.geometry().all());
                self.announced(now, id, &[], &[range], false);
            }
            RejectReason::Busy => {}
        }
        self.agenda.asking();
    }

    /// Payload arrived. Nothing is stored unless it is verified here.
    pub(in crate::peer) fn data_message(&mut self, now: Timestamp, id: LinkId, message: DataMessage) {
        let (Some(link), Some(live)) = (self.neighbours.get(id), &mut self.live) else { return };
        if !link.is_open() {
            if !self.neighbours.keep_early(id, message) {
                self.ban(now, id, "it sent too much before it greeted".to_owned());
            }
            return;
        }
        self.agenda.asking_of(id, true);
        let DataMessage { head, payload } = message;
        let (geometry, range) = (live.content.geometry(), head.range);
        if range.end > geometry.group_count() {
            return self.ban(now, id, "it sent groups that do not exist".to_owned());
        }
        let length = geometry.len_bytes(range);
        let role = link.role;
        let answer = live.receive.data_came(now, (id, link), &head, length);
        if answer == Answer::Unasked && role != Role::Initial {
            return self.ban(now, id, "it sent what nobody asked for".to_owned());
        }
        self.totals.proof_bytes += (head.proof.hashes.len() * size_of::<NodeHash>()) as u64;
        if live.content.held().has_all(range) {
            self.totals.duplicate_bytes += length;
            return;
        }
        let verified = match live.content.verify(range, &head.proof, payload) {
            Ok(verified) => verified,
            Err(error) => {
                let reason = format!("groups {}..{}: {error}", range.start, range.end);
                return self.ban(now, id, reason);
            }
        };
        let fresh = live.content.gain(range);
        self.totals.duplicate_bytes += length - fresh;
        self.totals.received(id, role, fresh);
        self.stored(now, verified);
    }

    /// Puts verified groups into the store, and follows up the gain.
    pub(in crate::peer) fn stored(&mut self, now: Timestamp, verified: Verified) {
        let range = verified.range();
        self.outputs.push_back(Output::Store(verified));
        let Some(live) = &mut self.live else { return };
        let orders = live.receive.gained(now, range);
        let needs = live.receive.demand().needs(now);
        let is_urgent = needs.iter().any(|need| !need.urgent.and(range).is_empty());
        self.news.changed(now, is_urgent);
        self.tracker.note_segments();
        self.carry_out(orders);
        self.keep_within_budget(now);
    }

    /// A peer beyond its storage budget forgets groups.
    pub(in crate::peer) fn keep_within_budget(&mut self, now: Timestamp) {
        while let Some(Live { content, receive, .. }) = &self.live
            && let Some(range) = appetite::excess(self.config.appetite, content, receive.demand())
        {
            self.lose(now, range);
            self.outputs.push_back(Output::Evict(range));
        }
    }

    /// Turns decisions of the receiving half into messages.
    pub(in crate::peer) fn carry_out(&mut self, orders: Vec<Order>) {
        for order in orders {
            let (link, message) = match order {
                Order::Request { link, range, class, remaining } => {
                    let remaining_ms = remaining.map_or(u32::MAX, millis);
                    (link, PeerMessage::Request { range, class, remaining_ms })
                }
                Order::Hasten { link, range, remaining } => {
                    (link, PeerMessage::Hasten { range, remaining_ms: millis(remaining) })
                }
                Order::Cancel { link, .. } if link.is_mirror() => {
                    self.taken_from_mirror(link);
                    continue;
                }
                Order::Cancel { link, range } => (link, PeerMessage::Cancel { range }),
            };
            self.outputs.push_back(Output::Control(link, message));
        }
    }

    /// New requests may be possible at one link. `is_needed`: it may hold groups that players need soon.
    pub(in crate::peer) fn request_of(&mut self, now: Timestamp, id: LinkId, is_needed: bool) {
        if self.is_complete_told {
            return;
        }
        if let Some((receive, view, chance)) = self.receiving(now) {
            let orders = receive.plan_link(&view, id, is_needed, chance);
            self.carry_out(orders);
        }
        self.attend_requests(now);
    }

    /// Examines requests when that is due.
    fn attend_requests(&mut self, now: Timestamp) {
        self.timers.receive_at = self.viewing(now).and_then(|(receive, view)| receive.deadline(&view));
    }

    /// Examines open requests. Does not rely on the timer: a deadline that depends on a round trip may have come nearer
    /// since it was set.
    pub(in crate::peer) fn receive_timeout(&mut self, now: Timestamp) {
        if let Some((receive, view, _)) = self.receiving(now) {
            let orders = receive.handle_timeout(&view);
            self.carry_out(orders);
        }
        self.attend_requests(now);
    }
}
