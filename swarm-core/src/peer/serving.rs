//! Sending: hands frames to data channels while somebody waits or something is to be injected, channels have
//! room and the cap admits it.

use super::input::UploadLimit;
use super::link::Link;
use super::output::Output;
use super::sender::frame_groups_max;
use super::stats::LinkState;
use super::{Appetite, Peer, injection};
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer_message::{DataHead, PeerMessage, RejectReason};
use crate::time::Timestamp;
use crate::tracker_message::Role;
use crate::tree::NodeHash;

/// Bytes of a data message beside proof and payload, about.
const HEAD_BYTES: u64 = 12;

/// A frame about to leave: for whom, in answer to which request (0 for an injection), which groups.
struct Departure {
    link: LinkId,
    request: u32,
    range: GroupRange,
}

impl Peer {
    /// Sends as much as can be sent now.
    pub(super) fn serve_more(&mut self, now: Timestamp) {
        self.serve_at = None;
        self.injection.expire(now);
        while let Some(ready_at) = self.budget.ready_at() {
            if ready_at > now {
                let is_waited_for = self.links.values().any(|link| !link.serves.is_empty());
                self.serve_at = (is_waited_for || self.is_injecting()).then_some(ready_at);
                break;
            }
            let Some(departure) = self.next_departure(now) else { break };
            self.depart(now, &departure);
        }
        self.adjust_low_water();
    }

    /// Urgent requests first; then, in an initial peer, injection; then all other requests.
    fn next_departure(&mut self, now: Timestamp) -> Option<Departure> {
        let holdings = self.holdings.as_ref()?;
        let is_injecting = self.is_injecting();
        if is_injecting && let Some(frame) = self.turns.next_urgent(&self.links, holdings.held()) {
            // Whoever asks first for a group that nobody has gets its injection.
            self.injection.pushed(now, frame.link, frame.range);
            return self.answer(frame);
        }
        if is_injecting {
            let (tiers, held) = (holdings.tiers(), holdings.held());
            let push = self.injection.next(tiers, held, &self.copies, &self.links, frame_groups_max);
            if let Some((link, range)) = push {
                self.injection.pushed(now, link, range);
                return Some(Departure { link, request: 0, range });
            }
        }
        let frame = self.turns.next(&self.links, holdings.held())?;
        self.answer(frame)
    }

    fn answer(&self, frame: super::sender::Frame) -> Option<Departure> {
        let serve = self.links.get(&frame.link)?.serves.get(frame.serve)?;
        Some(Departure { link: frame.link, request: serve.id, range: frame.range })
    }

    fn depart(&mut self, now: Timestamp, departure: &Departure) {
        let Departure { link: id, request, range } = *departure;
        let (Some(holdings), Some(link)) = (&self.holdings, self.links.get_mut(&id)) else { return };
        let Some(proof) = holdings.tree().prove(range, |groups| link.knows(groups)) else {
            // It cannot be for groups that are held; were it so, nobody is to wait for them for ever.
            link.serves.retain(|serve| serve.id != request);
            return;
        };
        let payload = holdings.geometry().len_bytes(range);
        let proof_bytes = (proof.hashes.len() * size_of::<NodeHash>()) as u64;
        let frame_bytes = payload + proof_bytes + HEAD_BYTES;
        link.handed_over(now, range, frame_bytes);
        link.sent += payload;
        self.totals.uploaded += payload;
        self.budget.spend(now, frame_bytes);
        self.outputs.push_back(Output::Data(id, DataHead { request, range, proof }));
    }

    /// Whether this is an initial peer that holds something that no viewer holds.
    fn has_to_inject(&self) -> bool {
        self.config.role == Role::Initial
            && self.config.policy.has_injection
            && !self.budget.is_off()
            && !self.copies.present().is_full()
    }

    /// Whether it has somebody to inject to, too.
    fn is_injecting(&self) -> bool {
        self.has_to_inject() && self.links.values().any(injection::is_target)
    }

    /// Whether it has, or has reason to hope that a newcomer will be, somebody to inject to.
    pub(super) fn expects_to_inject(&self) -> bool {
        let is_newcomer = |link: &Link| link.state == LinkState::Greeting;
        self.has_to_inject()
            && self.links.values().any(|link| injection::is_target(link) || is_newcomer(link))
    }

    /// Whether this peer's appetite is the whole content, and it has a store to put it.
    pub(super) fn wants_all(&self) -> bool {
        self.holdings.as_ref().is_some_and(|holdings| match self.config.appetite {
            Appetite::Everything => true,
            Appetite::Viewer { budget_bytes } => holdings.geometry().length_bytes() <= budget_bytes,
        })
    }

    /// Neighbours hear when injection begins and ends.
    pub(super) fn tell_injecting(&mut self) {
        let is_injecting = self.expects_to_inject();
        if is_injecting != self.is_injecting_told {
            self.is_injecting_told = is_injecting;
            self.tell_status();
        }
    }

    /// Tells neighbours how we stand.
    pub(super) fn tell_status(&mut self) {
        let status = PeerMessage::Status {
            is_serving: !self.budget.is_off(),
            is_injecting: self.is_injecting_told,
            wants_all: self.wants_all(),
            upload_queue_ms: self.upload_queue_ms(),
            playhead: self.demand.as_ref().and_then(super::Demand::playhead),
        };
        for (id, _) in self.links.iter().filter(|(_, link)| link.state != LinkState::Connecting) {
            self.outputs.push_back(Output::Control(*id, status.clone()));
        }
    }

    /// How long what waits on all channels takes to leave, ms.
    fn upload_queue_ms(&self) -> u32 {
        let queues =
            self.links.values().map(|link| link.buffered_bytes * 1000 / link.upload_rate.bytes_per_s());
        queues.max().map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX))
    }

    /// Channels report when half of what they may hold has left; drivers hear of changes over a quarter.
    fn adjust_low_water(&mut self) {
        for (id, link) in self.links.iter_mut().filter(|(_, link)| link.is_open()) {
            let wanted = link.buffer_bytes_max() / 2;
            if wanted.abs_diff(link.low_water_bytes) * 4 > link.low_water_bytes {
                link.low_water_bytes = wanted;
                self.outputs.push_back(Output::LowWater(*id, wanted));
            }
        }
    }

    /// The person or program changed how much may be uploaded. Neighbours hear whether we serve at all.
    pub(super) fn set_upload(&mut self, limit: UploadLimit) {
        let was_off = self.budget.is_off();
        self.config.upload = limit;
        self.budget.set(limit);
        let is_off = self.budget.is_off();
        if is_off == was_off {
            return;
        }
        self.tell_status();
        for (id, link) in self.links.iter_mut().filter(|_| is_off) {
            for serve in link.serves.drain(..) {
                let reject = PeerMessage::Reject { id: serve.id, reason: RejectReason::NotServing };
                self.outputs.push_back(Output::Control(*id, reject));
            }
        }
    }
}
