//! How much of its allowance a request takes.

use swarm_core::tracker_message::PeerRequestBody;

use crate::limits::{JOIN_COST, WANT_COST, WANT_SEGMENTS_USUAL};

/// What a request costs its sender, in messages.
pub(super) fn cost(body: &PeerRequestBody) -> u32 {
    match body {
        PeerRequestBody::Join { .. } => JOIN_COST,
        // Its work grows with the segments, of which a few bytes can name all.
        PeerRequestBody::Want { segments } => {
            let named = segments.iter().map(|want| want.segments.1).fold(0, u32::saturating_add);
            WANT_COST.saturating_add(named / WANT_SEGMENTS_USUAL)
        }
        PeerRequestBody::Hello { .. }
        | PeerRequestBody::Have { .. }
        | PeerRequestBody::Signal { .. }
        | PeerRequestBody::Report { .. }
        | PeerRequestBody::Leave => 1,
    }
}
