//! One link: who the neighbour is, how it stands, what it holds, and how long the path takes.
//!
//! Our requests to it belong to `receive`, its requests to us to `send`, and pushes to it to `inject`.

use core::net::IpAddr;
use std::time::Duration;

use super::copies::Counts;
use super::pace::Pace;
use super::round_trip::RoundTrip;
use crate::group::{Geometry, GroupRange};
use crate::group_set::GroupSet;
use crate::id::{Fingerprint, PeerId};
use crate::limits::{CANDIDATES_PER_ADDRESS_MAX, CANDIDATES_PER_LINK_MAX, RUNS_MAX, SIGNALS_PER_LINK_MAX};
use crate::peer::stats::LinkState;
use crate::peer::tuning::{CONNECT_TIMEOUT, EARLY_DATA_MAX, PONG_TIMEOUT, RETIRE_TIMEOUT};
use crate::peer_message::{Class, DataMessage, PeerMessage, Playing, Serving, Standing};
use crate::publisher::Signature;
use crate::time::Timestamp;
use crate::tracker_message::Role;

/// The groups that a neighbour claims to hold.
#[derive(Debug, Default)]
struct Claims {
    /// Groups that it holds; `None` until the geometry is known.
    have: Option<GroupSet>,
    /// Groups that it ever held or was sent: it knows the tree above them.
    knows: Option<GroupSet>,
    /// Announcements from before the geometry was known.
    early: Vec<GroupRange>,
}

/// The address to which a candidate makes us send packets, in `candidate:F COMPONENT TRANSPORT PRIORITY ADDRESS PORT …`. All
/// ways to write an address count as the same address.
fn address_of(candidate: &str) -> Box<str> {
    let candidate = candidate.trim().to_ascii_lowercase();
    let candidate = candidate.strip_prefix("a=").unwrap_or(&candidate).trim_start();
    let fields = candidate.strip_prefix("candidate:").unwrap_or(candidate);
    let address = fields.split_whitespace().nth(4).unwrap_or_default();
    let canonical = address.parse().map(|address: IpAddr| address.to_canonical().to_string());
    canonical.unwrap_or_else(|_| address.to_owned()).into()
}

/// Who is at the other end of a link.
#[derive(Debug)]
struct Identity {
    /// What the tracker says that it is.
    claimed: Role,
    /// The certificates of the connection: ours and its, once they are known.
    own: Option<Fingerprint>,
    other: Option<Fingerprint>,
    /// Its proof, which cannot be checked before the manifest is known.
    unchecked: Option<Signature>,
}

/// One link.
#[derive(Debug)]
pub(crate) struct Link {
    /// Its id, by the tracker's word.
    pub(crate) peer: PeerId,
    /// Its role: a viewer until it has proven more.
    pub(crate) role: Role,
    identity: Identity,
    state: LinkState,
    /// When the state was entered, or when the link began to retire.
    since: Timestamp,
    /// Its standing, by its own word.
    standing: Standing,
    /// How long its urgent backlog takes to leave, ms, as it told last.
    backlog_ms: u32,
    is_retiring: bool,
    /// How far its groups count as copies in the swarm.
    counts: Counts,
    /// Signals passed to its connection so far, and where the candidates among them lead.
    signals: usize,
    candidates: Vec<Box<str>>,
    pace: Pace,
    /// The part of the manifest that it may ask for next, and whether it has asked.
    next_part: u16,
    asks_part: bool,
    claims: Claims,
    /// Payload that overtook the greeting: the two channels are not ordered against one another.
    early_data: Vec<DataMessage>,
    pub(crate) rtt: RoundTrip,
    /// The unanswered ping: its nonce, and when it left.
    ping: Option<(u32, Timestamp)>,
    next_ping: Timestamp,
}

impl Link {
    pub(crate) fn new(now: Timestamp, peer: PeerId, role: Role) -> Self {
        Self {
            peer,
            role: Role::Viewer,
            identity: Identity { claimed: role, own: None, other: None, unchecked: None },
            state: LinkState::Connecting,
            since: now,
            standing: Standing {
                serving: Serving::Everything,
                is_rich: false,
                wants: GroupRange::new(0, 0),
                uplink: 0,
                is_uplink_known: false,
                downlink: 0,
                credit: 0,
                playing: None,
            },
            backlog_ms: 0,
            is_retiring: false,
            counts: Counts::Fully,
            signals: 0,
            candidates: Vec::new(),
            pace: Pace::default(),
            next_part: 0,
            asks_part: false,
            claims: Claims::default(),
            early_data: Vec::new(),
            rtt: RoundTrip::default(),
            ping: None,
            next_ping: now,
        }
    }

    pub(crate) const fn state(&self) -> LinkState {
        self.state
    }

    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }

    pub(crate) const fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(crate) const fn playing(&self) -> Option<Playing> {
        self.standing.playing
    }

    /// What the tracker says that it is.
    pub(crate) const fn claimed(&self) -> Role {
        self.identity.claimed
    }

    /// The certificates of the connection: ours and the neighbour's.
    pub(crate) fn fingerprints(&self) -> Option<(Fingerprint, Fingerprint)> {
        self.identity.own.zip(self.identity.other)
    }

    /// The neighbour's certificate, by which it is known.
    pub(crate) const fn fingerprint(&self) -> Option<Fingerprint> {
        self.identity.other
    }

    /// A session description of one end names that end's certificate. `false` if one was named before: a connection keeps its
    /// certificates.
    pub(super) fn described(&mut self, is_own: bool, fingerprint: Fingerprint) -> bool {
        let end = if is_own { &mut self.identity.own } else { &mut self.identity.other };
        let is_first = end.is_none();
        end.get_or_insert(fingerprint);
        is_first
    }

    pub(super) const fn set_unchecked(&mut self, proof: Option<Signature>) {
        self.identity.unchecked = proof;
    }

    pub(super) const fn take_unchecked(&mut self) -> Option<Signature> {
        self.identity.unchecked.take()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == LinkState::Open
    }

    pub(crate) const fn is_retiring(&self) -> bool {
        self.is_retiring
    }

    pub(crate) const fn backlog_ms(&self) -> u32 {
        self.backlog_ms
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) const fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// Whether groups can be requested from it.
    pub(crate) fn is_provider(&self) -> bool {
        self.is_open() && self.standing.serving != Serving::Nothing && !self.is_retiring
    }

    /// Whether it answers requests of a class.
    pub(crate) fn answers(&self, class: Class) -> bool {
        self.standing.serving.answers(class)
    }

    pub(crate) fn holds(&self, group: u32) -> bool {
        self.have().is_some_and(|have| have.has(group))
    }

    /// What its uplink may carry, bytes a second. An uplink that was never busy carries more than its measured rate: twice that
    /// rate is assumed, or the usual uplink if that is more. If that is too much, the uplink becomes busy, and then known.
    pub(crate) fn uplink_or(&self, usual: u64) -> u64 {
        let uplink = self.standing.uplink;
        let assumed =
            if self.standing.is_uplink_known { uplink } else { usual.max(uplink.saturating_mul(2)) };
        assumed.max(1000)
    }

    /// Its uplink, if that is known.
    pub(crate) fn uplink_known(&self) -> Option<u64> {
        Some(self.standing.uplink).filter(|_| self.standing.is_uplink_known)
    }

    /// Counts a signal; whether it is still within the limit.
    pub(crate) fn admit_signal(&mut self) -> bool {
        self.signals += 1;
        self.signals <= SIGNALS_PER_LINK_MAX
    }

    /// Counts a candidate of the other side; whether all are still within the limits.
    pub(super) fn admit_candidate(&mut self, line: &str) -> bool {
        let address = address_of(line);
        let is_few = self.candidates.len() < CANDIDATES_PER_LINK_MAX;
        let at_address = self.candidates.iter().filter(|known| **known == address).count();
        let is_admitted = is_few && at_address < CANDIDATES_PER_ADDRESS_MAX;
        if is_few {
            self.candidates.push(address);
        }
        is_admitted
    }

    /// Counts a message on the control channel; whether its sender keeps the pace.
    pub(super) fn admit_message(&mut self, now: Timestamp, message: &PeerMessage) -> bool {
        let group_count = self.claims.have.as_ref().map_or(0, GroupSet::capacity);
        self.pace.admit(now, message, group_count)
    }

    /// It asks for a part of the manifest. Each part is sent once, in order. Returns whether the request is accepted and waits
    /// from now on.
    pub(super) const fn ask_part(&mut self, part: u16) -> bool {
        let is_new = part == self.next_part && !self.asks_part;
        self.asks_part |= is_new;
        is_new
    }

    /// The part of the manifest that it may be sent next.
    pub(crate) const fn part_asked(&self) -> u16 {
        self.next_part
    }

    /// Its request for a part was answered. `is_part`: with that part.
    pub(super) fn part_answered(&mut self, is_part: bool) {
        self.asks_part = false;
        self.next_part = self.next_part.saturating_add(u16::from(is_part));
    }

    pub(super) fn opened(&mut self, now: Timestamp) {
        self.candidates = Vec::new();
        self.state = LinkState::Greeting;
        self.since = now;
    }

    pub(super) fn greeted(&mut self, now: Timestamp, standing: Standing) {
        self.standing = standing;
        self.state = LinkState::Open;
        self.since = now;
        self.next_ping = now;
    }

    pub(super) const fn stands(&mut self, standing: Standing, backlog_ms: u32) {
        self.standing = standing;
        self.backlog_ms = backlog_ms;
    }

    /// It rejected requests of a class that it said it serves. Several rejections of one class count as one.
    pub(super) const fn serves_not(&mut self, class: Class) {
        self.standing.serving = match (self.standing.serving, class) {
            (_, Class::Urgent) | (Serving::Nothing, _) => Serving::Nothing,
            (Serving::Everything | Serving::Deadlines, Class::Marked | Class::Background) => {
                Serving::Deadlines
            }
        };
    }

    pub(super) const fn set_retiring(&mut self, now: Timestamp, is_retiring: bool) {
        self.is_retiring = is_retiring;
        if is_retiring {
            self.since = now;
        }
    }

    /// The geometry became known: announcements made before are taken in. `false` if one was impossible.
    pub(super) fn set_geometry(&mut self, geometry: Geometry) -> bool {
        let count = geometry.group_count();
        self.claims.have.get_or_insert_with(|| GroupSet::empty(count));
        self.claims.knows.get_or_insert_with(|| GroupSet::empty(count));
        let early = std::mem::take(&mut self.claims.early);
        self.may_hold(&early) && self.gained(&early)
    }

    /// Whether all these groups exist, as far as is known.
    pub(crate) fn may_hold(&self, ranges: &[GroupRange]) -> bool {
        self.claims.have.as_ref().is_none_or(|have| ranges.iter().all(|range| range.end <= have.capacity()))
    }

    /// It announced that it holds these groups. `false` if it announces without end.
    pub(super) fn gained(&mut self, ranges: &[GroupRange]) -> bool {
        let (Some(have), Some(knows)) = (&mut self.claims.have, &mut self.claims.knows) else {
            self.claims.early.extend_from_slice(ranges);
            return self.claims.early.len() <= 4 * RUNS_MAX;
        };
        for range in ranges {
            have.insert(*range);
            knows.insert(*range);
        }
        true
    }

    /// It announced that it no longer holds these groups. It still knows the tree above them.
    pub(super) fn dropped(&mut self, range: GroupRange) {
        self.claims.have.iter_mut().for_each(|have| _ = have.remove(range));
    }

    pub(crate) fn have(&self) -> Option<&GroupSet> {
        self.claims.have.as_ref()
    }

    /// Whether it knows the tree above these groups.
    pub(crate) fn knows(&self, groups: GroupRange) -> bool {
        self.claims.knows.as_ref().is_some_and(|knows| knows.has_any(groups))
    }

    /// It was sent these groups, so it will know the tree above them.
    pub(super) fn was_sent(&mut self, range: GroupRange) {
        if let Some(knows) = &mut self.claims.knows {
            knows.insert(range);
        }
    }

    /// Keeps payload that overtook the greeting. `false` if there is too much of it.
    pub(super) fn keep_early(&mut self, message: DataMessage) -> bool {
        self.early_data.push(message);
        self.early_data.len() <= EARLY_DATA_MAX
    }

    /// Takes the payload that overtook the greeting.
    pub(super) fn take_early(&mut self) -> Vec<DataMessage> {
        std::mem::take(&mut self.early_data)
    }

    pub(crate) fn rtt_or_guess(&self) -> Duration {
        self.rtt.or_guess()
    }

    /// Why the link must be closed now, if it must.
    pub(super) fn expiry(&self, now: Timestamp) -> Option<&'static str> {
        if !self.is_open() {
            return (now >= self.since + CONNECT_TIMEOUT).then_some("no connection within 20 s");
        }
        if self.is_retiring && now >= self.since + RETIRE_TIMEOUT {
            return Some("no longer a neighbour");
        }
        let is_dead = self.ping.is_some_and(|(_, left)| now >= left + PONG_TIMEOUT);
        is_dead.then_some("no answer for 15 s")
    }

    /// Whether a ping is due.
    pub(super) fn needs_ping(&self, now: Timestamp) -> bool {
        self.is_open() && self.ping.is_none() && now >= self.next_ping
    }

    pub(super) const fn pinged(&mut self, now: Timestamp, nonce: u32) {
        self.ping = Some((nonce, now));
    }

    /// A ping was answered; whether it was the one under way.
    pub(super) fn ponged(&mut self, now: Timestamp, nonce: u32) -> bool {
        let Some((_, left)) = self.ping.take_if(|(expected, _)| *expected == nonce) else { return false };
        self.rtt.measured(now.since(left));
        self.next_ping = now + self.rtt.next_interval();
        true
    }

    /// When the link needs attention without an input.
    pub(super) fn deadline(&self) -> Timestamp {
        if !self.is_open() {
            return self.since + CONNECT_TIMEOUT;
        }
        let ping = self.ping.map_or(self.next_ping, |(_, left)| left + PONG_TIMEOUT);
        if self.is_retiring { ping.min(self.since + RETIRE_TIMEOUT) } else { ping }
    }
}
