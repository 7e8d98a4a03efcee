//! A peer whose socket is here and whose swarm has its home elsewhere: what it said last, and what it waits for.
//!
//! The home has all state of the swarm. This is what a new home makes it again from, so that the peer keeps its socket and
//! its links and notices nothing.

use std::collections::{BTreeSet, VecDeque};

use swarm_core::PeerId;
use swarm_core::limits::{RUNS_MAX, SEGMENTS_MAX};
use swarm_core::tracker_message::{PeerRequest, PeerRequestBody, Role};

use crate::decision::segment_set::SegmentSet;
use crate::decision::{LinkNote, Passport, Room, Said};
use crate::limits::{LINKS_TOLD_MAX, UNANSWERED_BYTES_MAX, UNANSWERED_MAX};

/// What a peer said of itself, as it changes.
#[derive(Debug)]
struct Standing {
    role: Role,
    have: SegmentSet,
    uplink_bps: u64,
    playhead: Option<u32>,
    ahead_ms: Option<u32>,
}

/// The peer.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) room: Room,
    pub(super) passport: Passport,
    standing: Option<Standing>,
    /// The `join` that a home accepted or has still to decide upon.
    join: Option<u32>,
    is_joined: bool,
    links: BTreeSet<PeerId>,
    /// Whether it takes part in the room beside its own.
    is_visitor: bool,
    unanswered: VecDeque<(u32, String)>,
    unanswered_bytes: usize,
}

impl Member {
    /// A peer that is about to join; `said` if it did so under another home.
    pub(super) fn new(room: Room, passport: Passport, said: Option<Said>) -> Self {
        let mut member = Self {
            room,
            passport,
            standing: None,
            join: None,
            is_joined: false,
            links: BTreeSet::new(),
            is_visitor: false,
            unanswered: VecDeque::new(),
            unanswered_bytes: 0,
        };
        if let Some(said) = said {
            let Said { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor } = said;
            let have = SegmentSet::of(segment_count(), &have);
            member.standing = Some(Standing { role, have, uplink_bps, playhead, ahead_ms });
            member.is_joined = true;
            member.links = links.into_iter().collect();
            member.is_visitor = is_visitor;
        }
        member
    }

    /// Takes down a request that is passed on. `false` if too many are unanswered.
    pub(super) fn note_request(&mut self, request: &PeerRequest, text: &str) -> bool {
        let bytes = self.unanswered_bytes + text.len();
        if self.unanswered.len() >= UNANSWERED_MAX || bytes > UNANSWERED_BYTES_MAX {
            return false;
        }
        self.unanswered_bytes = bytes;
        self.unanswered.push_back((request.id, text.to_owned()));
        match &request.body {
            PeerRequestBody::Join { role, have, playhead, .. } if !self.is_joined => {
                let have = SegmentSet::of(segment_count(), have);
                let (uplink_bps, playhead) = (self.passport.uplink_bps, *playhead);
                self.standing = Some(Standing { role: *role, have, uplink_bps, playhead, ahead_ms: None });
                self.join = Some(request.id);
            }
            PeerRequestBody::Have { gained, dropped } => {
                if let Some(standing) = &mut self.standing {
                    dropped.iter().for_each(|run| standing.have.remove(*run));
                    gained.iter().for_each(|run| standing.have.insert(*run));
                }
            }
            PeerRequestBody::Report { uplink_bps, playhead, ahead_ms, .. } => {
                if let Some(standing) = &mut self.standing {
                    if *uplink_bps > 0 {
                        standing.uplink_bps = *uplink_bps;
                    }
                    (standing.playhead, standing.ahead_ms) = (*playhead, *ahead_ms);
                }
            }
            PeerRequestBody::Leave => {
                self.is_joined = false;
                self.join = None;
                self.links.clear();
            }
            PeerRequestBody::Join { .. }
            | PeerRequestBody::Hello { .. }
            | PeerRequestBody::Want { .. }
            | PeerRequestBody::Signal { .. } => {}
        }
        true
    }

    /// Takes down what the peer is told. `false` if it is the answer to a request that is answered already.
    pub(super) fn note_answer(&mut self, answers: Option<u32>, note: LinkNote) -> bool {
        if let Some(id) = answers {
            let Some(at) = self.unanswered.iter().position(|(unanswered, _)| *unanswered == id) else {
                return false;
            };
            let answered = self.unanswered.remove(at);
            self.unanswered_bytes -= answered.map_or(0, |(_, text)| text.len());
            if self.join == Some(id) {
                self.is_joined = note == LinkNote::State;
                self.join = None;
            }
        }
        match note {
            LinkNote::Linked(peer) => _ = self.links.len() < LINKS_TOLD_MAX && self.links.insert(peer),
            LinkNote::Unlinked(peer) => _ = self.links.remove(&peer),
            LinkNote::Nothing | LinkNote::State | LinkNote::Signal => {}
        }
        true
    }

    /// What a new home is told, if the peer is in the swarm.
    pub(super) fn said(&self) -> Option<Said> {
        let standing = self.standing.as_ref().filter(|_| self.is_joined)?;
        let have = match standing.role {
            Role::Initial => Vec::new(),
            Role::Viewer => standing.have.runs(RUNS_MAX),
        };
        let Standing { role, uplink_bps, playhead, ahead_ms, .. } = *standing;
        let (links, is_visitor) = (self.links.iter().copied().collect(), self.is_visitor);
        Some(Said { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor })
    }

    /// Whether it is a viewer that is in this room as its own.
    pub(super) fn is_own_viewer(&self) -> bool {
        let is_viewer = self.standing.as_ref().is_some_and(|standing| standing.role == Role::Viewer);
        self.is_joined && is_viewer && !self.is_visitor
    }

    /// Whether it is linked with a peer.
    pub(super) fn is_linked(&self, peer: PeerId) -> bool {
        self.links.contains(&peer)
    }

    /// Requests without an answer, in the order in which they came.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = &str> {
        self.unanswered.iter().map(|(_, text)| text.as_str())
    }
}

/// The manifest may not be here; no content has more segments.
fn segment_count() -> u32 {
    u32::try_from(SEGMENTS_MAX).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::publisher::TrackerName;
    use swarm_core::tracker_message::SegmentRun;
    use swarm_core::{Challenge, SwarmId};

    const SWARM: SwarmId = SwarmId([1; 32]);
    const ROOM: Room = Room::new(SWARM, 0);

    fn member() -> Member {
        let passport = Passport {
            peer: PeerId(1),
            address: "192.0.2.1".parse().unwrap(),
            uplink_bps: 5,
            name: TrackerName::of("films"),
            challenge: Challenge::default(),
        };
        Member::new(ROOM, passport, None)
    }

    fn ask(member: &mut Member, id: u32, body: PeerRequestBody) -> bool {
        let request = PeerRequest { id, body };
        member.note_request(&request, &request.encode())
    }

    fn join(have: &[SegmentRun]) -> PeerRequestBody {
        let (role, have) = (Role::Viewer, have.to_vec());
        PeerRequestBody::Join { swarm: SWARM, role, have, playhead: None, proof: None }
    }

    #[test]
    fn a_new_home_hears_what_was_said_last_once_the_peer_is_in_the_swarm() {
        let mut member = member();
        assert!(ask(&mut member, 1, join(&[SegmentRun(0, 2)])));
        assert_eq!((member.said(), member.unanswered().count()), (None, 1), "the next home decides");
        assert!(member.note_answer(Some(1), LinkNote::State));
        let (gained, dropped) = (vec![SegmentRun(4, 1)], vec![SegmentRun(0, 1)]);
        assert!(ask(&mut member, 2, PeerRequestBody::Have { gained, dropped }));
        let (uplink_bps, playhead, ahead_ms) = (9, Some(4), Some(700));
        let report = PeerRequestBody::Report { received: vec![], uplink_bps, playhead, ahead_ms };
        assert!(ask(&mut member, 3, report));
        for peer in [7, 8] {
            member.note_answer(None, LinkNote::Linked(PeerId(peer)));
        }
        member.note_answer(None, LinkNote::Unlinked(PeerId(7)));
        let have = vec![SegmentRun(1, 1), SegmentRun(4, 1)];
        let (role, links, is_visitor) = (Role::Viewer, vec![PeerId(8)], false);
        let said = Said { role, have, uplink_bps, playhead, ahead_ms, links, is_visitor };
        assert_eq!(member.said(), Some(said.clone()));
        assert_eq!(Member::new(ROOM, member.passport, Some(said.clone())).said(), Some(said));
    }

    #[test]
    fn a_refused_join_and_a_peer_that_left_are_not_in_the_swarm() {
        let mut member = member();
        ask(&mut member, 1, join(&[]));
        member.note_answer(Some(1), LinkNote::Nothing);
        assert_eq!(member.said(), None);
        ask(&mut member, 2, join(&[]));
        member.note_answer(Some(2), LinkNote::State);
        assert!(member.said().is_some());
        ask(&mut member, 3, PeerRequestBody::Leave);
        assert_eq!(member.said(), None);
    }

    #[test]
    fn a_request_is_answered_once_and_too_many_are_refused() {
        let mut member = member();
        let count = u32::try_from(UNANSWERED_MAX).unwrap();
        assert!((0..count).all(|id| ask(&mut member, id, PeerRequestBody::Want { segments: vec![] })));
        assert!(!ask(&mut member, count, PeerRequestBody::Want { segments: vec![] }));
        assert!(member.note_answer(Some(0), LinkNote::Nothing));
        assert!(
            !member.note_answer(Some(0), LinkNote::Nothing),
            "the old home and the new one both answered"
        );
        assert!(ask(&mut member, count, PeerRequestBody::Want { segments: vec![] }));
    }
}
