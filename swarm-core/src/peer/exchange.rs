//! Messages of links: what counterparts announce, ask and send.

use std::time::Duration;

use super::Peer;
use super::copies::Copies;
use super::link::Link;
use super::manifest_source::part_of;
use super::output::Output;
use super::stats::LinkState;
use crate::group::{Geometry, GroupRange};
use crate::id::LinkId;
use crate::limits::{REQUEST_GROUPS_MAX, REQUESTS_PER_LINK_MAX};
use crate::peer_message::{Class, DataMessage, PEER_VERSION, PeerMessage, RejectReason, Serving};
use crate::time::Timestamp;
use crate::tracker_message::Role;

impl Peer {
    pub(super) fn control_message(&mut self, now: Timestamp, id: LinkId, message: PeerMessage) {
        let Some(link) = self.links.get(&id) else { return };
        let is_hello = matches!(message, PeerMessage::Hello { .. });
        if is_hello == link.is_open() || link.state == LinkState::Connecting {
            self.ban(id, "it did not begin with one greeting".to_owned());
            return;
        }
        match message {
            PeerMessage::Hello { version, swarm, instance, standing, have, .. } => {
                if version != PEER_VERSION || swarm != self.config.swarm {
                    self.close_link(id, "it speaks another version or shares another content");
                } else if self.greeted(now, id, instance) {
                    if let Some(link) = self.links.get_mut(&id) {
                        link.standing = standing;
                    }
                    self.announced(id, &have, &[], true);
                    self.all_greeted();
                    self.ask_links_for_manifest();
                    let early = self.links.get_mut(&id).map_or_else(Vec::new, Link::take_early);
                    early.into_iter().for_each(|message| self.data_message(now, id, message));
                }
            }
            PeerMessage::Have { gained, dropped } => {
                self.announced(id, &gained, &dropped, false);
                self.stirred_by(now, id, &gained);
            }
            PeerMessage::Request { id: request, range, class, remaining_ms } => {
                let due = now + Duration::from_millis(u64::from(remaining_ms));
                self.asked_of_us(now, id, request, range, (class, due));
            }
            PeerMessage::Cancel { id: request } => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.serves.retain(|serve| serve.id != request);
                }
                self.retire_link(id);
            }
            PeerMessage::Reject { id: request, reason } => self.rejected(now, id, request, reason),
            PeerMessage::Need { ranges } => self.injection.needs.told(now, id, ranges),
            PeerMessage::Status { standing, .. } => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.standing = standing;
                }
                self.injection.uplinks(self.links.values().map(|link| link.standing.uplink));
            }
            PeerMessage::ManifestAsk { part } => {
                let (part_count, bytes) = part_of(&self.manifest_bytes, part);
                let answer = PeerMessage::ManifestPart { part: part.min(part_count), part_count, bytes };
                self.outputs.push_back(Output::Control(id, answer));
            }
            PeerMessage::ManifestPart { part, part_count, bytes } => {
                self.manifest_part(id, part, part_count, &bytes)
            }
            PeerMessage::Ping { nonce } => {
                self.outputs.push_back(Output::Control(id, PeerMessage::Pong { nonce }))
            }
            PeerMessage::Pong { nonce } => self.ponged(now, id, nonce),
        }
    }

    /// What depends on a neighbour's having gained groups.
    fn stirred_by(&mut self, now: Timestamp, id: LinkId, gained: &[GroupRange]) {
        if self.config.role == Role::Initial {
            // What is injected, and whether anything is, follows from what viewers announce.
            self.agenda.serving();
        }
        let (Some(holdings), Some(demand)) = (&self.holdings, &self.demand) else { return };
        if gained.iter().any(|range| holdings.has_free(*range)) {
            let needs = demand.needs(now);
            let is_needed =
                needs.iter().any(|need| gained.iter().any(|range| !need.all().and(*range).is_empty()));
            self.agenda.asking_of(id, is_needed);
        }
    }

    /// A counterpart's holdings changed, or are told for the first time.
    fn announced(&mut self, id: LinkId, gained: &[GroupRange], dropped: &[GroupRange], is_greeting: bool) {
        let Some(link) = self.links.get(&id) else { return };
        if !link.may_hold(gained) || !link.may_hold(dropped) {
            self.ban(id, "it announced groups that do not exist".to_owned());
            return;
        }
        self.weigh_claims(id, gained, is_greeting);
        let Some(link) = self.links.get_mut(&id) else { return };
        let is_counted = link.counts_as_holder();
        if is_counted {
            count_copies(&mut self.copies, link, gained, true);
        }
        if !link.gained(gained) {
            self.ban(id, "it announced groups without end before the manifest was here".to_owned());
            return;
        }
        if is_counted {
            count_copies(&mut self.copies, link, dropped, false);
        }
        link.dropped(dropped);
    }

    /// The geometry became known: what the link announced before is taken in.
    pub(super) fn link_geometry(&mut self, id: LinkId, geometry: Geometry) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let is_possible = link.set_geometry(geometry);
        let held: Vec<u32> = link.have().map_or_else(Vec::new, |have| have.iter().collect());
        if link.counts_as_holder() {
            held.into_iter().for_each(|group| self.copies.add(group));
        }
        if !is_possible {
            self.ban(id, "it announced groups that do not exist".to_owned());
        }
    }

    fn asked_of_us(
        &mut self,
        now: Timestamp,
        id: LinkId,
        request: u32,
        range: GroupRange,
        urgency: (Class, Timestamp),
    ) {
        let group_count = self.holdings.as_ref().map_or(0, |holdings| holdings.geometry().group_count());
        let is_off = self.budget.is_off();
        let is_injecting = self.standing_told.is_some_and(|told| told.serving == Serving::Needs);
        let Some(link) = self.links.get_mut(&id) else { return };
        if range.len() > REQUEST_GROUPS_MAX {
            return self.ban(id, "it asked for more than a request may".to_owned());
        }
        let reason = if is_off {
            Some(RejectReason::NotServing)
        } else if is_injecting {
            Some(RejectReason::Injecting)
        } else if range.end > group_count {
            Some(RejectReason::NotHeld)
        } else if link.serves.len() >= REQUESTS_PER_LINK_MAX {
            Some(RejectReason::Busy)
        } else {
            None
        };
        match reason {
            Some(reason) => {
                if reason == RejectReason::Injecting && urgency.0 == Class::Urgent && range.end <= group_count
                {
                    self.injection.needs.told_more(now, id, range);
                    self.agenda.serving();
                }
                self.outputs.push_back(Output::Control(id, PeerMessage::Reject { id: request, reason }));
            }
            None => {
                // What was pushed to it a moment ago is its answer already.
                let pushed: Vec<GroupRange> = self.injection.to(id).map(|push| push.range).collect();
                link.serve(request, range, urgency, &pushed);
                self.agenda.serving();
            }
        }
    }

    /// A counterpart will not serve a request of ours.
    fn rejected(&mut self, now: Timestamp, id: LinkId, request: u32, reason: RejectReason) {
        let missing = self.end_ask(id, request);
        let Some(link) = self.links.get_mut(&id) else { return };
        match reason {
            RejectReason::NotServing => link.standing.serving = Serving::Nothing,
            RejectReason::Injecting => link.standing.serving = Serving::Needs,
            RejectReason::Busy => {
                link.size.failed();
                link.is_stalled = true;
                link.last_progress = now;
            }
            // What it does not hold after all is not asked of it again.
            RejectReason::NotHeld => {
                link.failures += 1;
                let gone: Vec<GroupRange> = missing.into_iter().map(GroupRange::one).collect();
                self.announced(id, &[], &gone, false);
            }
        }
    }

    /// Strikes a request of ours off; its groups may be asked elsewhere.
    pub(super) fn end_ask(&mut self, id: LinkId, request: u32) -> Vec<u32> {
        let (Some(link), Some(holdings)) = (self.links.get_mut(&id), &mut self.holdings) else {
            return Vec::new();
        };
        let is_released = link.asks().get(&request).is_some_and(|ask| ask.is_released);
        let missing = link.end_ask(holdings.geometry(), request);
        if !is_released {
            holdings.not_asked(&missing);
            self.agenda.asking();
        }
        missing
    }

    /// Payload arrived: verified here or not at all.
    pub(super) fn data_message(&mut self, now: Timestamp, id: LinkId, message: DataMessage) {
        let (Some(link), Some(holdings)) = (self.links.get_mut(&id), &mut self.holdings) else { return };
        if !link.is_open() {
            if !link.keep_early(message) {
                self.ban(id, "it sent too much before it greeted".to_owned());
            }
            return;
        }
        self.agenda.asking_of(id, true);
        let DataMessage { head, payload } = message;
        let (geometry, range) = (holdings.geometry(), head.range);
        if range.end > geometry.group_count() {
            return self.ban(id, "it sent groups that do not exist".to_owned());
        }
        let length = geometry.len_bytes(range);
        link.rate.carried(now, length);
        let is_strange_injection = head.request == 0 && link.role != Role::Initial;
        if !link.came(now, geometry, head.request, range) || is_strange_injection {
            return self.ban(id, "it sent what nobody asked for".to_owned());
        }
        if link.asks().is_empty() {
            link.rate.end(now);
        }
        self.totals.proof_bytes += (head.proof.hashes.len() * size_of::<crate::tree::NodeHash>()) as u64;
        if holdings.held().has_all(range) {
            self.totals.duplicate_bytes += length;
            return;
        }
        let verified = match holdings.verify(range, &head.proof, payload) {
            Ok(verified) => verified,
            Err(error) => {
                // The request counts these groups as come; they are free to be asked elsewhere.
                holdings.not_asked(&range.iter().collect::<Vec<_>>());
                let reason = format!("groups {}..{}: {error}", range.start, range.end);
                return self.ban(id, reason);
            }
        };
        let fresh = holdings.gain(range);
        self.totals.duplicate_bytes += length - fresh;
        link.received += fresh;
        match link.role {
            Role::Initial => self.totals.from_initial += fresh,
            Role::Viewer => self.totals.from_peers += fresh,
        }
        self.outputs.push_back(Output::Store(verified));
        self.has_gained(now, range);
        self.cancel_duplicates(range);
        self.keep_within_budget();
        self.retire_link(id);
        // Somebody may have asked for it before it was here.
        self.agenda.serving();
    }

    /// Requests whose groups all came from elsewhere are taken back: they were given up on, or crossed a push.
    fn cancel_duplicates(&mut self, came: GroupRange) {
        let Some(holdings) = &self.holdings else { return };
        let superseded: Vec<(LinkId, u32)> = self
            .links
            .iter()
            .flat_map(|(id, link)| link.asks().iter().map(move |(request, ask)| (*id, *request, ask)))
            .filter(|(_, _, ask)| !ask.range.and(came).is_empty())
            .filter(|(_, _, ask)| ask.missing().all(|group| holdings.held().has(group)))
            .map(|(id, request, _)| (id, request))
            .collect();
        for (id, request) in superseded {
            self.end_ask(id, request);
            self.outputs.push_back(Output::Control(id, PeerMessage::Cancel { id: request }));
        }
    }

    /// The store cannot read or keep these groups.
    pub(super) fn store_failed(&mut self, now: Timestamp, range: GroupRange) {
        if let Some(holdings) = &mut self.holdings {
            holdings.lose(range);
            self.has_news(now);
        }
    }
}

/// Adds or takes away a viewer's copies of the groups whose standing is about to change.
fn count_copies(copies: &mut Copies, link: &Link, ranges: &[GroupRange], is_gain: bool) {
    let Some(have) = link.have() else { return };
    for group in ranges.iter().flat_map(|range| range.iter()).filter(|group| have.has(*group) != is_gain) {
        if is_gain { copies.add(group) } else { copies.remove(group) }
    }
}
