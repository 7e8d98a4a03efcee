//! Sending: hands frames to data channels while somebody waits or something is to be injected, channels have
//! room and the cap admits it.

use std::time::Duration;

use super::Peer;
use super::injection::{Field, Push};
use super::input::UploadLimit;
use super::output::Output;
use super::sender::{Stock, frame_groups_max};
use super::sizing::bytes_in;
use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer_message::{DataHead, PeerMessage, RejectReason, Serving};
use crate::time::Timestamp;
use crate::tracker_message::Role;
use crate::tree::NodeHash;

/// A channel from which nothing has left for this long holds up no other.
const STUCK_AFTER: Duration = Duration::from_millis(1000);
/// Beyond what the path holds, what waits on all channels together lasts about this long: it is before what becomes
/// urgent meanwhile, but acknowledgements come late when they come together.
const UPLINK_TIME: Duration = Duration::from_millis(60);
/// Bytes that may wait there before another frame is handed over, at least: one small frame.
const WAITING_BYTES_MIN: u64 = 20 * 1024;
/// The path while no round trip is known.
const PATH_GUESS: Duration = Duration::from_millis(50);
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
        self.judge_pushes(now);
        while let Some(ready_at) = self.budget.ready_at() {
            if ready_at > now {
                let is_waited_for = self.links.values().any(|link| !link.serves.is_empty());
                self.serve_at = (is_waited_for || self.is_injecting()).then_some(ready_at);
                break;
            }
            let (waiting, path) = self.waiting(now);
            if !self.has_uplink_room(waiting, path) {
                break;
            }
            let Some(departure) = self.next_departure(now) else { break };
            let is_slack = waiting < bytes_in(self.uplink.bytes_per_s(), path);
            self.depart(now, &departure, is_slack);
        }
        self.adjust_low_water();
    }

    /// Urgent requests first; then, in an initial peer, injection; then all other requests.
    fn next_departure(&mut self, now: Timestamp) -> Option<Departure> {
        let holdings = self.holdings.as_ref()?;
        let stock = Stock { now, held: holdings.held(), copies: &self.copies };
        let is_injecting = self.is_injecting();
        let serves_urgent = self.standing_told.is_none_or(|told| told.serving != Serving::Needs);
        if is_injecting
            && serves_urgent
            && let Some(frame) = self.turns.next_urgent(&self.links, &stock)
        {
            return self.answer(frame);
        }
        if is_injecting {
            let (tiers, held) = (holdings.tiers(), holdings.held());
            let field = Field { tiers, held, copies: &self.copies, links: &self.links };
            if let Some((link, range)) = self.injection.next(now, &field, frame_groups_max) {
                return Some(Departure { link, request: 0, range });
            }
        }
        let frame = self.turns.next(&self.links, &stock)?;
        self.answer(frame)
    }

    fn answer(&self, frame: super::sender::Frame) -> Option<Departure> {
        let serve = self.links.get(&frame.link)?.serves.get(frame.serve)?;
        Some(Departure { link: frame.link, request: serve.id, range: frame.range })
    }

    /// Whether what waits on all channels together leaves the uplink in time for what may become urgent.
    fn has_uplink_room(&self, waiting: u64, path: Duration) -> bool {
        let path = if self.uplink.is_settling() { path * 2 } else { path };
        let uplink = self.uplink.bytes_per_s();
        waiting < bytes_in(uplink, path) + bytes_in(uplink, UPLINK_TIME).max(WAITING_BYTES_MIN)
    }

    /// Bytes that wait on all channels together, or have yet to be acknowledged, and a path's round trip. A channel that
    /// has not moved for a while is stuck and no part of it. The path is the lower quartile of the links': most pings wait
    /// behind the uplink's queue, and at 4 Mbit/s their median was 30 ms where paths took 1 ms.
    fn waiting(&self, now: Timestamp) -> (u64, Duration) {
        let moving = self.links.values().filter(|link| now < link.last_drain + STUCK_AFTER);
        let waiting = moving.map(|link| link.buffered_bytes).sum();
        let open = self.links.values().filter(|link| link.is_open());
        let mut paths: Vec<Duration> = open.filter_map(|link| link.rtt.least()).collect();
        let near = paths.len() / 4;
        let path = if paths.is_empty() { PATH_GUESS } else { *paths.select_nth_unstable(near).1 };
        (waiting, path)
    }

    /// Hands a frame over. `is_slack`: with less waiting than the path holds.
    fn depart(&mut self, now: Timestamp, departure: &Departure, is_slack: bool) {
        let Departure { link: id, request, range } = *departure;
        // An answer is an injection, too, if nobody has what it carries.
        let is_only = self.copies.of(range.start) == 0 && !self.injection.is_under_way(range.start);
        let push = Push { at: now, to: id, range, is_only };
        if self.config.role == Role::Initial && request == 0 && !is_only {
            self.judge_repeated(&push);
        }
        let (Some(holdings), Some(link)) = (&self.holdings, self.links.get_mut(&id)) else { return };
        let Some(proof) = holdings.tree().prove(range, |groups| link.knows(groups)) else {
            // It cannot be for groups that are held; were it so, nobody is to wait for them for ever.
            link.serves.retain(|serve| serve.id != request);
            return;
        };
        let payload = holdings.geometry().len_bytes(range);
        let proof_bytes = (proof.hashes.len() * size_of::<NodeHash>()) as u64;
        let frame_bytes = payload + proof_bytes + HEAD_BYTES;
        if self.config.role == Role::Initial {
            self.spare.sent(payload, is_only);
            self.injection.pushed(push, link);
            if request == 0 {
                self.injection.unasked(&push);
            }
        }
        link.handed_over(now, range, frame_bytes);
        link.sent += payload;
        self.uplink.handed_over(now, frame_bytes, is_slack);
        self.totals.uploaded += payload;
        self.budget.spend(now, frame_bytes);
        self.outputs.push_back(Output::Data(id, DataHead { request, range, proof }));
    }

    /// How long what waits on all channels takes to leave, ms.
    pub(super) fn upload_queue_ms(&self) -> u32 {
        let queues =
            self.links.values().map(|link| link.buffered_bytes * 1000 / link.upload_rate.bytes_per_s());
        queues.max().map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX))
    }

    /// Some of what waited on a channel has left.
    pub(super) fn drained(&mut self, now: Timestamp, id: LinkId, buffered_bytes: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let carried = link.drained(now, buffered_bytes);
        self.agenda.serving();
        self.uplink.carried(now, carried);
        self.retire_link(id);
    }

    /// Channels report when a quarter of what they may hold, or of what they do hold if that is less, has left: of two
    /// frames, or three, the first. Were it the half, of two frames that differ by a proof both would have to leave, and
    /// the uplink of an initial peer that may hand over two would idle meanwhile. Drivers hear of changes over a quarter.
    fn adjust_low_water(&mut self) {
        for (id, link) in self.links.iter_mut().filter(|(_, link)| link.is_open() && link.buffered_bytes > 0)
        {
            let wanted = link.buffer_bytes_max().min(link.buffered_bytes) / 4 * 3;
            if wanted.abs_diff(link.low_water_bytes) * 4 > link.low_water_bytes {
                link.low_water_bytes = wanted;
                self.outputs.push_back(Output::LowWater(*id, wanted));
            }
        }
    }

    /// The person or program changed how much may be uploaded; [`Peer::settle`] tells neighbours.
    pub(super) fn set_upload(&mut self, limit: UploadLimit) {
        self.config.upload = limit;
        self.budget.set(limit);
    }

    /// Whatever waits to be served will not be.
    pub(super) fn reject_all(&mut self, reason: RejectReason) {
        for (id, link) in &mut self.links {
            for serve in link.serves.drain(..) {
                self.outputs.push_back(Output::Control(*id, PeerMessage::Reject { id: serve.id, reason }));
            }
        }
    }
}
