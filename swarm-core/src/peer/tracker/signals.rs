//! Signals that the tracker did not pass on and that leave again.
//!
//! The tracker refuses a signal for now if its receiver is behind with reading, or if too much was sent. A connection whose
//! offer is lost would only be built again after a long timeout. So a signal is kept until the tracker answers. One that is
//! refused for now waits, and so do later ones of its link: they are to arrive in their order.

use std::collections::VecDeque;
use std::time::Duration;

use crate::id::LinkId;
use crate::peer::tuning::{RESEND_MAX, RESEND_MIN, SIGNALS_KEPT_MAX};
use crate::time::Timestamp;
use crate::tracker_message::Signal;

/// The signals of all links that are being built.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Sent and not answered, the oldest first, with the ids of their requests.
    sent: VecDeque<(u32, LinkId, Signal)>,
    /// Refused for now, with those behind them.
    waiting: VecDeque<(LinkId, Signal)>,
    /// When what waits leaves.
    due: Option<Timestamp>,
}

impl Signals {
    /// Whether a new signal of a link is to wait behind others; then it was taken. One beyond the bound is forgotten.
    pub(crate) fn take_behind(&mut self, link: LinkId, signal: &Signal) -> bool {
        let is_behind = self.waiting.iter().any(|(other, _)| *other == link);
        if is_behind {
            self.wait(link, signal.clone());
        }
        is_behind
    }

    /// A signal leaves as this request.
    pub(crate) fn left(&mut self, id: u32, link: LinkId, signal: Signal) {
        if self.sent.len() == SIGNALS_KEPT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((id, link, signal));
    }

    /// The tracker answered a request, and did not refuse it for now.
    pub(crate) fn answered(&mut self, id: u32) {
        self.take(id);
    }

    /// The tracker refused a request for now. It leaves again if it was a signal.
    pub(crate) fn refused(&mut self, now: Timestamp, id: u32, retry_after: Duration) {
        let Some((link, signal)) = self.take(id) else { return };
        self.wait(link, signal);
        self.due.get_or_insert(now + retry_after.clamp(RESEND_MIN, RESEND_MAX));
    }

    /// The connection that carried them was left for another one: those without an answer leave again on that, before others.
    pub(crate) fn resend(&mut self, now: Timestamp) {
        for (_, link, signal) in std::mem::take(&mut self.sent).into_iter().rev() {
            self.waiting.push_front((link, signal));
        }
        self.waiting.truncate(SIGNALS_KEPT_MAX);
        self.due = (!self.waiting.is_empty()).then_some(now);
    }

    /// What leaves again now.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> VecDeque<(LinkId, Signal)> {
        if self.due.take_if(|due| now >= *due).is_none() {
            return VecDeque::new();
        }
        std::mem::take(&mut self.waiting)
    }

    /// The connection with the tracker ended, and with it all attempts that it would carry.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// When something leaves again.
    pub(crate) const fn deadline(&self) -> Option<Timestamp> {
        self.due
    }

    fn take(&mut self, id: u32) -> Option<(LinkId, Signal)> {
        let at = self.sent.iter().position(|(request, ..)| *request == id)?;
        self.sent.remove(at).map(|(_, link, signal)| (link, signal))
    }

    fn wait(&mut self, link: LinkId, signal: Signal) {
        if self.waiting.len() < SIGNALS_KEPT_MAX {
            self.waiting.push_back((link, signal));
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const LINK: LinkId = LinkId(1);

    fn signal(number: usize) -> Signal {
        Signal::Offer { sdp: number.to_string() }
    }

    #[test]
    fn what_was_refused_for_now_leaves_again_in_its_order_and_what_was_answered_does_not() {
        let mut signals = Signals::default();
        (1..=3).for_each(|id| signals.left(id, LINK, signal(id as usize)));
        signals.answered(2);
        signals.refused(Timestamp::ZERO, 2, RESEND_MIN);
        signals.refused(Timestamp::ZERO, 99, RESEND_MIN);
        assert_eq!(signals.deadline(), None);
        signals.refused(Timestamp::ZERO, 1, Duration::ZERO);
        signals.refused(Timestamp::ZERO, 3, Duration::from_secs(1000));
        assert!(signals.take_behind(LINK, &signal(4)));
        assert!(!signals.take_behind(LinkId(2), &signal(5)), "another link does not wait");
        let due = signals.deadline().unwrap();
        assert_eq!(due, Timestamp::ZERO + RESEND_MIN);
        assert!(signals.take_due(Timestamp::ZERO).is_empty());
        assert_eq!(signals.take_due(due), [(LINK, signal(1)), (LINK, signal(3)), (LINK, signal(4))]);
        assert!(signals.deadline().is_none() && !signals.take_behind(LINK, &signal(6)));
    }

    #[test]
    fn what_was_not_answered_when_the_connection_changed_leaves_first_on_the_next_one() {
        let mut signals = Signals::default();
        (1..=4).for_each(|id| signals.left(id, LINK, signal(id as usize)));
        signals.answered(1);
        signals.refused(Timestamp::ZERO, 4, RESEND_MIN);
        signals.resend(Timestamp::ZERO);
        assert_eq!(
            signals.take_due(Timestamp::ZERO),
            [(LINK, signal(2)), (LINK, signal(3)), (LINK, signal(4))]
        );
        signals.resend(Timestamp::ZERO);
        assert_eq!(signals.deadline(), None, "nothing is left");
    }

    #[test]
    fn what_is_kept_is_bounded_whatever_the_tracker_answers() {
        let mut signals = Signals::default();
        for id in 0..4 * SIGNALS_KEPT_MAX {
            signals.left(id as u32, LINK, signal(id));
            if id % 2 == 0 {
                signals.refused(Timestamp::ZERO, id as u32, RESEND_MIN);
            }
            signals.take_behind(LINK, &signal(id));
        }
        assert_eq!((signals.sent.len(), signals.waiting.len()), (SIGNALS_KEPT_MAX, SIGNALS_KEPT_MAX));
        signals.forget();
        assert!(signals.deadline().is_none() && signals.sent.is_empty() && signals.waiting.is_empty());
    }
}
