//! The neighbours: links come and go, greet, announce what they hold, and are banned.
//!
//! The only writer of who holds what: a link's claims and the number of copies of each group change here and nowhere
//! else. Others read through `&Neighbours`.

mod copies;
mod link;
mod pace;
mod rate;
mod round_trip;
mod surety;

use std::collections::VecDeque;

use copies::Tally;
pub(crate) use copies::{Copies, Counts};
pub(crate) use link::Link;
pub(crate) use rate::Rate;

use super::sorted::ByLink;
use super::stats::LinkState;
use super::tuning::BANNED_MAX;
use crate::group::{Geometry, GroupRange};
use crate::id::{Fingerprint, LinkId, PeerId};
use crate::peer_message::{Class, DataMessage, PeerMessage, Standing};
use crate::publisher::Signature;
use crate::time::Timestamp;
use crate::tracker_message::{Role, Signal};

/// What follows when a connection has opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Nothing: there is no such link, or it was open already.
    Nothing,
    /// We greet.
    Greet,
    /// The link is closed, for this reason.
    Closed(&'static str),
}

/// What follows a greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// The link is open.
    Welcome,
    /// The link is closed, for this reason.
    Closed(&'static str),
}

/// What follows the tracker's introduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Introduction {
    /// Nothing: the link stands, or there is no room for it.
    Nothing,
    /// A connection is to be built under this name.
    Connect(LinkId),
}

/// Something a link needs because time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is to be closed, for this reason.
    Close(LinkId, &'static str),
    /// It is to be pinged.
    Ping(LinkId),
}

/// All links of one peer.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    links: ByLink<Link>,
    last_link: u32,
    copies: Tally,
    /// Certificates of neighbours that broke the rules.
    banned: VecDeque<Fingerprint>,
    /// Links that wait for a part of the manifest, in the order in which they asked.
    part_asks: VecDeque<LinkId>,
    /// Earliest link timeout (approximate, never late).
    due: Option<Timestamp>,
}

impl Neighbours {
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn get(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.links.iter()
    }

    /// Links that have greeted.
    pub(crate) fn open(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.iter().filter(|(_, link)| link.is_open())
    }

    /// Viewers among them.
    pub(crate) fn viewers(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.open().filter(|(_, link)| link.role == Role::Viewer)
    }

    /// How many links to viewers are being built.
    pub(crate) fn opening_viewers(&self) -> u64 {
        let opening = self.iter().filter(|(_, link)| !link.is_open() && link.claimed() == Role::Viewer);
        opening.count() as u64
    }

    pub(crate) fn named(&self, peer: PeerId) -> Option<(LinkId, &Link)> {
        self.iter().find(|(_, link)| link.peer == peer)
    }

    pub(crate) const fn copies(&self) -> &Copies {
        self.copies.all()
    }

    /// The same, without copies at viewers that have too much to send before them.
    pub(crate) fn prompt_copies(&self) -> &Copies {
        self.copies.prompt()
    }

    pub(crate) const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// The tracker named a neighbour. Close the link that is returned second first, if there is one.
    pub(crate) fn introduced(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        role: Role,
        links_max: usize,
    ) -> (Introduction, Option<LinkId>) {
        let known = self.named(peer).map(|(id, link)| (id, link.is_open()));
        if let Some((id, true)) = known {
            self.links.value_mut(id).into_iter().for_each(|link| link.set_retiring(now, false));
            return (Introduction::Nothing, None);
        }
        // The first attempt hangs: the newer introduction counts.
        let replaced = known.map(|(id, _)| id);
        if self.links.len() - usize::from(replaced.is_some()) >= links_max {
            return (Introduction::Nothing, replaced);
        }
        self.last_link += 1;
        let id = LinkId(self.last_link);
        self.links.entry(id, || Link::new(now, peer, role));
        self.attend(id);
        (Introduction::Connect(id), replaced)
    }

    /// The tracker took a link out of the graph. Returns the link if it is to be closed at once.
    pub(crate) fn unlinked(&mut self, now: Timestamp, peer: PeerId) -> Option<LinkId> {
        let (id, link) = self.links.iter_mut().find(|(_, link)| link.peer == peer)?;
        if !link.is_open() {
            return Some(id);
        }
        link.set_retiring(now, true);
        self.attend(id);
        None
    }

    /// A signal of another peer: the link that it is for, if that is being built and takes more signals.
    pub(crate) fn signalled(&mut self, from: PeerId) -> Option<LinkId> {
        let mut links = self.links.iter_mut();
        let (id, link) =
            links.find(|(_, link)| link.peer == from && link.state() == LinkState::Connecting)?;
        link.admit_signal().then_some(id)
    }

    /// A session description of one end of a link names its certificate. `false` if it is not to be used: the link is
    /// not known, or was described before.
    pub(crate) fn described(&mut self, id: LinkId, is_own: bool, fingerprint: Fingerprint) -> bool {
        self.links.value_mut(id).is_some_and(|link| link.described(is_own, fingerprint))
    }

    /// Counts the candidates of a signal of the other side; whether the link takes them.
    pub(crate) fn admit_candidates(&mut self, id: LinkId, signal: &Signal) -> bool {
        let link = self.links.value_mut(id);
        link.is_some_and(|link| signal.candidates().all(|line| link.admit_candidate(line)))
    }

    /// Counts a message of a neighbour. `false` if the neighbour sends faster than any work needs.
    pub(crate) fn admit_message(&mut self, now: Timestamp, id: LinkId, message: &PeerMessage) -> bool {
        self.links.value_mut(id).is_none_or(|link| link.admit_message(now, message))
    }

    /// A neighbour asks for a part of the manifest.
    pub(crate) fn asks_part(&mut self, id: LinkId, part: u16) {
        if self.links.value_mut(id).is_some_and(|link| link.ask_part(part)) {
            self.part_asks.push_back(id);
        }
    }

    /// The neighbour that has waited longest for a part of the manifest, and which one.
    pub(crate) fn part_asked(&self) -> Option<(LinkId, u16)> {
        let id = *self.part_asks.front()?;
        Some((id, self.get(id)?.part_asked()))
    }

    /// That neighbour was answered; `is_part`: with the part that it asked for.
    pub(crate) fn part_answered(&mut self, is_part: bool) {
        let link = self.part_asks.pop_front().and_then(|id| self.links.value_mut(id));
        link.into_iter().for_each(|link| link.part_answered(is_part));
    }

    /// Both channels of a link are open.
    pub(crate) fn opened(&mut self, now: Timestamp, id: LinkId) -> Opening {
        let Some(link) = self.links.value_mut(id).filter(|link| link.state() == LinkState::Connecting) else {
            return Opening::Nothing;
        };
        let Some((own, other)) = link.fingerprints() else {
            return Opening::Closed("no session description named its certificate");
        };
        if own == other {
            return Opening::Closed("linked to itself");
        }
        if self.banned.contains(&other) {
            return Opening::Closed("banned earlier");
        }
        link.opened(now);
        Opening::Greet
    }

    /// A neighbour introduced itself. `role` is what it has proven to be.
    pub(crate) fn greeted(&mut self, now: Timestamp, id: LinkId, role: Role, standing: Standing) -> Greeting {
        let ends = self.get(id).and_then(Link::fingerprints);
        let Some((own, other)) = ends else { return Greeting::Closed("not known") };
        let twin = self.open().find(|(twin, link)| *twin != id && link.fingerprint() == Some(other));
        let twin = twin.map(|(twin, _)| twin);
        let Some(link) = self.links.value_mut(id) else { return Greeting::Closed("not known") };
        link.greeted(now, standing);
        let peer = link.peer;
        self.set_role(id, role);
        if let Some(older) = twin.and_then(|twin| self.links.value_mut(twin)) {
            // The same neighbour has a new id, because a tracker lost its memory. The side with the smaller fingerprint closes
            // the newer link. Both sides use the newer id from then on.
            older.peer = peer;
            if own < other {
                return Greeting::Closed("linked already");
            }
        }
        self.attend(id);
        Greeting::Welcome
    }

    /// A neighbour has proven its role.
    pub(crate) fn set_role(&mut self, id: LinkId, role: Role) {
        self.links.value_mut(id).into_iter().for_each(|link| link.role = role);
        if role == Role::Initial {
            self.set_counts(id, Counts::No);
        }
    }

    /// Keeps a proof until the manifest is known.
    pub(crate) fn keep_proof(&mut self, id: LinkId, proof: Option<Signature>) {
        self.links.value_mut(id).into_iter().for_each(|link| link.set_unchecked(proof));
    }

    /// Takes the proofs that were kept.
    pub(crate) fn take_proofs(&mut self) -> Vec<(LinkId, Signature)> {
        let taken = self.links.iter_mut().filter_map(|(id, link)| Some((id, link.take_unchecked()?)));
        taken.collect()
    }

    /// A neighbour tells its standing, and how long its urgent backlog takes to leave.
    pub(crate) fn stands(&mut self, id: LinkId, standing: Standing, backlog_ms: u32) {
        self.links.value_mut(id).into_iter().for_each(|link| link.stands(standing, backlog_ms));
    }

    /// A neighbour rejected a request because it does not serve its class.
    pub(crate) fn serves_not(&mut self, id: LinkId, class: Class) {
        self.links.value_mut(id).into_iter().for_each(|link| link.serves_not(class));
    }

    /// The geometry became known: everything announced before is taken in. Returns links that announced groups that do
    /// not exist.
    pub(crate) fn set_geometry(&mut self, geometry: Geometry) -> Vec<LinkId> {
        self.copies = Tally::new(geometry.group_count());
        let ids: Vec<LinkId> = self.links.keys().to_vec();
        ids.into_iter().filter(|id| !self.set_link_geometry(*id, geometry)).collect()
    }

    /// The same for one link that opened later. `false` if it announced groups that do not exist.
    pub(crate) fn set_link_geometry(&mut self, id: LinkId, geometry: Geometry) -> bool {
        let Some(link) = self.links.value_mut(id) else { return true };
        let is_possible = link.set_geometry(geometry);
        let counts = link.counts();
        runs(link).for_each(|run| self.copies.change(run, Counts::No, counts));
        is_possible
    }

    /// A neighbour gained and dropped groups. An error says which rule it broke.
    pub(crate) fn announced(
        &mut self,
        id: LinkId,
        gained: &[GroupRange],
        dropped: &[GroupRange],
    ) -> Result<(), &'static str> {
        let Some(link) = self.links.value_mut(id) else { return Ok(()) };
        if !link.may_hold(gained) || !link.may_hold(dropped) {
            return Err("it announced groups that do not exist");
        }
        let counts = link.counts();
        for range in gained {
            let fresh = link.have().into_iter().flat_map(|have| have.missing_runs(*range));
            fresh.for_each(|run| self.copies.change(run, Counts::No, counts));
            if !link.gained(&[*range]) {
                return Err("it announced groups without end before the manifest was here");
            }
        }
        for range in dropped {
            let lost = link.have().into_iter().flat_map(|have| have.runs(*range));
            lost.for_each(|run| self.copies.change(run, counts, Counts::No));
            link.dropped(*range);
        }
        Ok(())
    }

    /// How far a viewer's groups count as copies from now on.
    pub(crate) fn set_counts(&mut self, id: LinkId, counts: Counts) {
        let Some(link) = self.links.value_mut(id) else { return };
        let before = link.counts();
        if before != counts {
            link.set_counts(counts);
            runs(link).for_each(|run| self.copies.change(run, before, counts));
        }
    }

    /// A neighbour was sent groups.
    pub(crate) fn was_sent(&mut self, id: LinkId, range: GroupRange) {
        self.links.value_mut(id).into_iter().for_each(|link| link.was_sent(range));
    }

    /// Keeps payload that overtook a greeting. `false` if there is too much of it.
    pub(crate) fn keep_early(&mut self, id: LinkId, message: DataMessage) -> bool {
        self.links.value_mut(id).is_none_or(|link| link.keep_early(message))
    }

    /// Takes the payload that overtook a greeting.
    pub(crate) fn take_early(&mut self, id: LinkId) -> Vec<DataMessage> {
        self.links.value_mut(id).map_or_else(Vec::new, Link::take_early)
    }

    /// Remembers a neighbour that broke the rules.
    pub(crate) fn ban(&mut self, id: LinkId) {
        let Some(fingerprint) = self.get(id).and_then(Link::fingerprint) else { return };
        self.banned.push_back(fingerprint);
        if self.banned.len() > BANNED_MAX {
            self.banned.pop_front();
        }
    }

    /// Forgets a link.
    pub(crate) fn remove(&mut self, id: LinkId) -> Option<Link> {
        self.set_counts(id, Counts::No);
        self.part_asks.retain(|asker| *asker != id);
        self.links.remove(id)
    }

    /// The actions that links need because time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) -> Vec<Due> {
        if self.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let due = self.links.iter().filter_map(|(id, link)| {
            let close = link.expiry(now).map(|reason| Due::Close(id, reason));
            close.or_else(|| link.needs_ping(now).then_some(Due::Ping(id)))
        });
        let due: Vec<Due> = due.collect();
        self.due = self.links.values().iter().map(Link::deadline).filter(|at| *at > now).min();
        due
    }

    pub(crate) fn pinged(&mut self, now: Timestamp, id: LinkId, nonce: u32) {
        self.links.value_mut(id).into_iter().for_each(|link| link.pinged(now, nonce));
        self.attend(id);
    }

    pub(crate) fn ponged(&mut self, now: Timestamp, id: LinkId, nonce: u32) {
        if self.links.value_mut(id).is_some_and(|link| link.ponged(now, nonce)) {
            self.attend(id);
        }
    }

    /// A link may need attention sooner than was thought.
    fn attend(&mut self, id: LinkId) {
        let due = self.links.get(id).map(Link::deadline);
        self.due = [self.due, due].into_iter().flatten().min();
    }
}

/// The groups that a neighbour holds.
fn runs(link: &Link) -> impl Iterator<Item = GroupRange> + '_ {
    link.have().into_iter().flat_map(|have| have.runs(GroupRange::new(0, have.capacity())))
}

#[cfg(test)]
mod tests;
