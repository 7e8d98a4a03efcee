//! Sending: hands frames to data channels while somebody waits, channels have room and the cap admits it.

use super::Peer;
use super::input::UploadLimit;
use super::output::Output;
use super::stats::LinkState;
use crate::id::LinkId;
use crate::peer_message::{DataHead, PeerMessage, RejectReason};
use crate::time::Timestamp;
use crate::tree::NodeHash;

/// Bytes of a data message beside proof and payload, about.
const HEAD_BYTES: u64 = 12;

impl Peer {
    /// Serves as much as can be served now.
    pub(super) fn serve_more(&mut self, now: Timestamp) {
        self.serve_at = None;
        while let Some(ready_at) = self.budget.ready_at() {
            let Some(holdings) = &self.holdings else { return };
            let Some(frame) = self.turns.next(&self.links, holdings.held()) else { break };
            if ready_at > now {
                self.serve_at = Some(ready_at);
                break;
            }
            let Some(link) = self.links.get_mut(&frame.link) else { break };
            let Some(serve) = link.serves.get_mut(frame.serve) else { break };
            let request = serve.id;
            if serve.sent(frame.range) {
                link.serves.remove(frame.serve);
            }
            let Some(proof) = holdings.tree().prove(frame.range, |groups| link.knows(groups)) else {
                continue;
            };
            let payload = holdings.geometry().len_bytes(frame.range);
            let proof_bytes = (proof.hashes.len() * size_of::<NodeHash>()) as u64;
            let frame_bytes = payload + proof_bytes + HEAD_BYTES;
            link.handed_over(now, frame.range, frame_bytes);
            link.sent += payload;
            self.totals.uploaded += payload;
            self.budget.spend(now, frame_bytes);
            self.outputs.push_back(Output::Data(frame.link, DataHead { request, range: frame.range, proof }));
        }
        self.adjust_low_water();
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
        let playhead = self.demand.as_ref().and_then(super::Demand::playhead);
        let ids: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, link)| link.state != LinkState::Connecting)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let status = PeerMessage::Status { is_serving: !is_off, upload_queue_ms: 0, playhead };
            self.outputs.push_back(Output::Control(id, status));
            let Some(link) = self.links.get_mut(&id).filter(|_| is_off) else { continue };
            for serve in link.serves.drain(..) {
                let reject = PeerMessage::Reject { id: serve.id, reason: RejectReason::NotServing };
                self.outputs.push_back(Output::Control(id, reject));
            }
        }
    }
}
