//! Sends frames while a neighbour waits or a group is to be injected, as far as channels, uplink and upload limit admit.
//! Sends the standing and news to neighbours.

use crate::group::GroupRange;
use crate::id::LinkId;
use crate::peer::agenda::Agenda;
use crate::peer::inject::{Field, Inject};
use crate::peer::output::Output;
use crate::peer::receive::{appetite, clock_ms};
use crate::peer::send::{Departure, Gate};
use crate::peer::tracker::millis;
use crate::peer::tuning::{HEAD_BYTES, URGENT_EVERY};
use crate::peer::{Live, Peer};
use crate::peer_message::{DataHead, PeerMessage, RejectReason, Serving, Standing};
use crate::time::Timestamp;
use crate::tree::NodeHash;

/// The frame that leaves next.
enum Next {
    /// A push.
    Push(Departure),
    /// An answer to a request.
    Answer(Departure),
}

impl Peer {
    /// Sends all frames that can be sent now.
    pub(in crate::peer) fn serve(&mut self, now: Timestamp) {
        self.timers.serve_at = None;
        self.decline_parts(now);
        let mut is_blocked = false;
        loop {
            match self.sender.gate(now) {
                Gate::Open => {}
                Gate::Closed => {
                    is_blocked = self.is_waited_for(now);
                    break;
                }
                Gate::Until(at) => {
                    let is_waited_for = self.sender.has_requests()
                        || self.neighbours.part_asked().is_some()
                        || self.next(now).is_some();
                    self.timers.serve_at = is_waited_for.then_some(at);
                    break;
                }
            }
            // One part of the manifest and one frame take turns, so that many requests for the manifest do not delay players.
            let has_sent_part = self.send_part(now);
            match self.next(now) {
                Some(next) => self.depart(now, &next),
                None if has_sent_part => {}
                None => break,
            }
        }
        self.sender.set_blocked(is_blocked);
        for (id, bytes) in self.sender.low_water(&self.neighbours) {
            self.outputs.push_back(Output::LowWater(id, bytes));
        }
    }

    /// Whether a frame would leave if the uplink had room.
    fn is_waited_for(&mut self, now: Timestamp) -> bool {
        let Some(Live { content, receive, inject, .. }) = &mut self.live else { return false };
        let (neighbours, sender) = (&self.neighbours, &self.sender);
        let field = Field { now, content, neighbours, sender, demand: receive.demand() };
        sender.has_open_requests(neighbours)
            || inject.as_mut().is_some_and(|inject| inject.next(&field).is_some())
    }

    /// The order: a fresh group that presses, with one urgent request in ten frames; urgent requests; other fresh groups;
    /// background.
    fn next(&mut self, now: Timestamp) -> Option<Next> {
        let is_queue_short = self.sender.is_queue_short(now);
        let Some(Live { content, receive, inject, .. }) = &mut self.live else { return None };
        let (neighbours, sender) = (&self.neighbours, &self.sender);
        let field = Field { now, content, neighbours, sender, demand: receive.demand() };
        let fresh = inject.as_mut().and_then(|inject| inject.next(&field)).map(Next::Push);
        let pressing_bytes = inject.as_ref().map_or(0, Inject::pressing_bytes);
        // If a fresh group presses but no feeder has room, answers may leave only while the queue in front of the uplink is
        // short: the next push would wait behind them. A rich publisher has time for both.
        let is_rich = inject.as_ref().is_some_and(Inject::is_rich);
        let may_answer = pressing_bytes == 0 || is_rich || is_queue_short;
        let urgent = || sender.next_urgent(now, neighbours).map(Next::Answer);
        let background = || sender.next_background(now, neighbours).map(Next::Answer);
        let next = match (fresh, inject) {
            (Some(push), Some(inject)) if pressing_bytes > 0 => {
                let is_push = inject.takes_turn(URGENT_EVERY, may_answer);
                let urgent = if is_push { None } else { urgent() };
                Some(urgent.unwrap_or(push))
            }
            (Some(push), _) => Some(urgent().unwrap_or(push)),
            (None, _) if may_answer => urgent().or_else(background),
            (None, _) => None,
        };
        self.sender.set_pressing_bytes(pressing_bytes);
        next
    }

    /// Hands a frame over.
    fn depart(&mut self, now: Timestamp, next: &Next) {
        let (departure, is_push) = match next {
            Next::Push(departure) => (departure, true),
            Next::Answer(departure) => (departure, false),
        };
        let Departure { link: id, range, waited } = *departure;
        let Some(Live { content, receive, inject, .. }) = &mut self.live else { return };
        let Some(link) = self.neighbours.get(id) else { return };
        let Some(proof) = content.tree().prove(range, |groups| link.knows(groups)) else {
            // This cannot happen for held groups. If it did, the neighbour must not wait for ever.
            self.sender.cancelled(id, range);
            return self.reject(&[(id, range)], RejectReason::NotHeld);
        };
        let payload = content.geometry().len_bytes(range);
        let proof_bytes = (proof.hashes.len() * size_of::<NodeHash>()) as u64;
        if let Some(inject) = inject {
            let (neighbours, sender) = (&self.neighbours, &self.sender);
            let field = Field { now, content, neighbours, sender, demand: receive.demand() };
            inject.departed(&field, departure, payload, is_push);
        }
        let path = link.rtt_or_guess();
        self.neighbours.was_sent(id, range);
        self.sender.handed_over(now, departure, (payload, payload + proof_bytes + HEAD_BYTES));
        self.totals.uploaded += payload;
        let head = DataHead {
            range,
            sent_ms: clock_ms(now),
            waited_ms: millis(waited),
            queued_ms: millis(self.sender.queue_before(id, path)),
            backlog_ms: self.sender.backlog_ms(now, &self.neighbours),
            proof,
        };
        self.outputs.push_back(Output::Data(id, head));
    }

    /// Some bytes that waited on a channel have left.
    pub(in crate::peer) fn drained(&mut self, now: Timestamp, id: LinkId, buffered_bytes: u64) {
        let Some(link) = self.neighbours.get(id) else { return };
        let injects = self.live.as_ref().and_then(|live| live.inject.as_ref());
        let is_injecting = injects.is_some_and(Inject::was_injecting);
        self.sender.drained(now, (id, link), buffered_bytes, is_injecting);
        self.agenda.serving();
        if link.is_retiring() {
            self.agenda.everything();
        }
    }

    /// The present standing of this peer.
    pub(in crate::peer) fn standing_now(&mut self, now: Timestamp) -> Standing {
        let (uplink, is_uplink_known) = self.sender.uplink_seen(now, &self.neighbours);
        let serving = if self.sender.is_off() { Serving::Nothing } else { Serving::Everything };
        let wants = GroupRange::new(0, 0);
        let Some(Live { content, receive, inject, .. }) = &mut self.live else {
            return Standing {
                serving,
                is_rich: false,
                wants,
                uplink,
                is_uplink_known,
                downlink: 0,
                credit: 0,
                playing: None,
            };
        };
        let (neighbours, sender) = (&self.neighbours, &self.sender);
        let field = Field { now, content, neighbours, sender, demand: receive.demand() };
        Standing {
            serving: inject.as_mut().map_or(serving, |inject| inject.serving(&field)),
            is_rich: inject.as_ref().is_some_and(Inject::is_rich),
            wants: appetite::told(self.config.appetite, content, receive.demand()),
            uplink,
            is_uplink_known,
            downlink: receive.downlink(),
            credit: receive.push_credit(now, content, &self.neighbours),
            playing: receive.demand().playing(now).filter(|_| !self.is_complete_told),
        }
    }

    /// Tells neighbours the standing of this peer when it has changed.
    pub(in crate::peer) fn tell_standing(&mut self, now: Timestamp) {
        let standing = self.standing_now(now);
        let backlog_ms = self.sender.backlog_ms(now, &self.neighbours);
        if self.standing.take_due(now, standing, backlog_ms) {
            let open: Vec<LinkId> = self.neighbours.open().map(|(id, _)| id).collect();
            for id in open {
                let sent_ms = clock_ms(now);
                let status = PeerMessage::Status { standing, sent_ms, backlog_ms };
                self.outputs.push_back(Output::Control(id, status));
            }
            let refused = match standing.serving {
                Serving::Nothing => self.sender.drop_all(),
                Serving::Deadlines => self.sender.drop_background(),
                Serving::Everything => Vec::new(),
            };
            self.reject(&refused, RejectReason::NotServing);
        }
    }

    /// If neighbours changed: a viewer learns whether its deadlines are sure, and an initial peer surveys its swarm again.
    pub(in crate::peer) fn survey(&mut self, now: Timestamp) {
        let links = u32::try_from(self.neighbours.len()).unwrap_or(u32::MAX);
        if !Agenda::take_surveying(&mut self.agenda, now, links) {
            return;
        }
        let (neighbours, sender) = (&self.neighbours, &self.sender);
        let Some(Live { content, receive, mirrors, inject }) = &mut self.live else { return };
        let is_rich = inject.as_ref().map_or_else(|| neighbours.has_rich_publisher(), Inject::is_rich);
        receive.set_start_buffer(is_rich || mirrors.usable(now).is_some(), neighbours.usual_rtt());
        let Some(inject) = inject else { return };
        let field = Field { now, content, neighbours, sender, demand: receive.demand() };
        for (id, counts) in inject.survey(&field) {
            self.neighbours.set_counts(id, counts);
        }
    }

    /// Looks after pushes.
    pub(in crate::peer) fn inject_timeout(&mut self, now: Timestamp) {
        let Some(Live { content, receive, inject: Some(inject), .. }) = &mut self.live else { return };
        let (neighbours, sender) = (&self.neighbours, &self.sender);
        let field = Field { now, content, neighbours, sender, demand: receive.demand() };
        inject.handle_timeout(&field);
        self.agenda.surveying();
    }

    /// Tells neighbours about gained and dropped groups.
    pub(in crate::peer) fn tell_news(&mut self, now: Timestamp) {
        let Some(live) = &mut self.live else { return };
        let is_due = self.news.is_due(now, self.sender.uplink_settled());
        let changes = if is_due { live.content.take_news() } else { Vec::new() };
        for (id, message) in self.news.tell(now, &self.neighbours, &changes) {
            self.outputs.push_back(Output::Control(id, message));
        }
    }
}
