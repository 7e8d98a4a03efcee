//! How fast a neighbour may send control messages: a virtual clock (the generic cell rate algorithm).
//!
//! A message is cheap to send and may be costly to handle: a `Have` of a few bytes names every group of a content. So each
//! message has a price in time, and so has each group that it names.

use std::time::Duration;

use crate::group::GroupRange;
use crate::peer::tuning::{PACE_BURST, PACE_GROUP, PACE_MESSAGE, PACE_NAMED};
use crate::peer_message::PeerMessage;
use crate::time::Timestamp;

/// The clock of one neighbour.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Time at which all messages so far would have been sent at exactly the greatest rate.
    paid_until: Timestamp,
}

impl Pace {
    /// Counts a message. Returns whether its sender keeps the pace. The bound grows with the content, because a neighbour may
    /// announce the whole content now and then.
    pub(super) fn admit(&mut self, now: Timestamp, message: &PeerMessage, group_count: u32) -> bool {
        let groups = |ranges: &[GroupRange]| {
            let named =
                ranges.iter().map(|range| u64::from(range.end.min(group_count).saturating_sub(range.start)));
            u32::try_from(named.sum::<u64>()).unwrap_or(u32::MAX)
        };
        let announced = |named: u32| PACE_GROUP.saturating_mul(named);
        let named = match message {
            PeerMessage::Hello { have, .. } => announced(groups(have)),
            PeerMessage::Have { gained, dropped } => {
                announced(groups(gained).saturating_add(groups(dropped)))
            }
            PeerMessage::Request { range, .. }
            | PeerMessage::Hasten { range, .. }
            | PeerMessage::Cancel { range }
            | PeerMessage::Reject { range, .. } => {
                PACE_NAMED.saturating_mul(groups(std::slice::from_ref(range)))
            }
            PeerMessage::Status { .. }
            | PeerMessage::ManifestAsk { .. }
            | PeerMessage::ManifestPart { .. }
            | PeerMessage::Ping { .. }
            | PeerMessage::Pong { .. } => Duration::ZERO,
        };
        self.paid_until = self.paid_until.max(now) + PACE_MESSAGE + named;
        let burst: Duration = PACE_BURST + PACE_GROUP.saturating_mul(group_count).saturating_mul(4);
        self.paid_until.since(now) <= burst
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::peer_message::{Class, RejectReason};

    const GROUPS: u32 = 131_072;

    fn flood(message: &PeerMessage, interval: Duration, count: u32) -> bool {
        let (mut pace, mut now) = (Pace::default(), Timestamp::ZERO);
        (0..count).all(|_| {
            now = now + interval;
            pace.admit(now, message, GROUPS)
        })
    }

    #[test]
    fn a_content_announced_again_and_again_is_more_than_any_work_needs() {
        let all = vec![GroupRange::new(0, GROUPS)];
        let again = PeerMessage::Have { gained: all.clone(), dropped: all };
        assert!(
            !flood(&again, Duration::from_millis(10), 10),
            "2 GiB gained and dropped a hundred times a second"
        );
        assert!(
            flood(&again, Duration::from_secs(30), 100),
            "a peer that forgets and fetches it twice a minute may"
        );
    }

    #[test]
    fn taking_back_a_whole_content_again_and_again_is_more_than_any_work_needs() {
        let range = GroupRange::new(0, GROUPS);
        for message in [
            PeerMessage::Cancel { range },
            PeerMessage::Hasten { range, remaining_ms: 0 },
            PeerMessage::Reject { range, reason: RejectReason::NotHeld },
        ] {
            assert!(!flood(&message, Duration::from_millis(10), 1000), "{message:?}");
        }
    }

    #[test]
    fn what_a_gigabit_carries_keeps_the_pace() {
        // 7,600 groups a second, each asked for and announced by itself.
        let have = PeerMessage::Have { gained: vec![GroupRange::one(7)], dropped: Vec::new() };
        assert!(flood(&have, Duration::from_micros(130), 200_000));
        let range = GroupRange::one(7);
        let request = PeerMessage::Request { range, class: Class::Urgent, remaining_ms: 9 };
        assert!(flood(&request, Duration::from_micros(130), 200_000));
        let ping = PeerMessage::Ping { nonce: 1, sent_ms: 1 };
        assert!(!flood(&ping, Duration::from_micros(10), 2_000_000));
    }
}
