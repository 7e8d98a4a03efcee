//! A move to the tracker that decides for this peer, which the tracker in use names.
//!
//! ```text
//! Stays ─told→ Waits ─due→ Opens ─in the swarm, or the old connection ended→ Stays, there
//!   ↑            └─ old connection ended ─┤
//!   └────── closed, refused, too late ────┘
//! ```
//! The new connection is opened beside the old one, which carries everything until the peer is in the swarm on the new one. Where to,
//! and whether that address may be trusted, is the driver's affair; this is when, and how often.

use std::time::Duration;

use super::session::{Session, State};
use crate::limits::MOVE_INTERVAL;
use crate::peer::chance::Chance;
use crate::peer::tuning::{MOVE_DOUBLINGS_MAX, MOVE_FORGOTTEN_AFTER, MOVE_LINGER, MOVE_SPREAD};
use crate::time::Timestamp;

#[derive(Debug, Default)]
enum Step {
    #[default]
    Stays,
    /// Told; begins at this time.
    Waits(Timestamp, String),
    /// The conversation on the new connection.
    Opens(Box<Session>),
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Moving {
    step: Step,
    /// No move begins before.
    next_at: Timestamp,
    /// Moves that were tried, none of them long ago.
    tries: u32,
    /// When the connection that was left is closed.
    leaves_at: Option<Timestamp>,
}

impl Moving {
    /// The tracker names another one. Nothing happens if a move is under way, or was lately.
    pub(crate) fn told(&mut self, now: Timestamp, to: String, chance: &mut Chance) {
        if !matches!(self.step, Step::Stays) || now < self.next_at {
            return;
        }
        let spread_ms = u32::try_from(MOVE_SPREAD.as_millis()).unwrap_or(0);
        let wait = Duration::from_millis(u64::from(chance.below(spread_ms)));
        self.step = Step::Waits(now + wait, to);
    }

    /// Where to move now, if it is time. The caller begins, or the move is over.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<String> {
        let is_due = matches!(self.step, Step::Waits(at, _) if now >= at);
        match std::mem::take(&mut self.step) {
            Step::Waits(_, to) if is_due => Some(to),
            step @ (Step::Stays | Step::Waits(..) | Step::Opens(_)) => {
                self.step = step;
                None
            }
        }
    }

    /// A connection is opened, on which `session` is to be led.
    pub(crate) fn begin(&mut self, now: Timestamp, session: Session) {
        let is_forgotten = now.since(self.next_at) > MOVE_FORGOTTEN_AFTER;
        self.tries = if is_forgotten { 0 } else { self.tries };
        self.next_at = now + MOVE_INTERVAL * (1 << self.tries.min(MOVE_DOUBLINGS_MAX));
        self.tries = self.tries.saturating_add(1);
        self.step = Step::Opens(Box::new(session));
    }

    /// The conversation on the new connection, if there is one.
    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.step {
            Step::Opens(session) => Some(session),
            Step::Stays | Step::Waits(..) => None,
        }
    }

    /// Whether there is a second connection.
    pub(crate) const fn is_under_way(&self) -> bool {
        matches!(self.step, Step::Opens(_))
    }

    /// Whether the next tracker has been told what is held here: what is news goes there alone, once the peer is in the swarm.
    pub(crate) fn is_joining(&self) -> bool {
        let Step::Opens(session) = &self.step else { return false };
        matches!(session.state, State::Greeting(_) | State::Joining(_))
    }

    /// Ends a move. Returns the conversation on the new connection, which the caller takes over or gives up.
    pub(crate) fn end(&mut self) -> Option<Box<Session>> {
        match std::mem::take(&mut self.step) {
            Step::Opens(session) => Some(session),
            Step::Stays | Step::Waits(..) => None,
        }
    }

    /// The old connection is kept a little for what is under way to it.
    pub(crate) fn linger(&mut self, now: Timestamp) {
        self.leaves_at = Some(now + MOVE_LINGER);
    }

    /// Whether the connection that was left is to be closed now.
    pub(crate) fn take_leave(&mut self, now: Timestamp) -> bool {
        self.leaves_at.take_if(|at| now >= *at).is_some()
    }

    /// Whether the new connection has not come far enough in time.
    pub(crate) fn is_overdue(&self, now: Timestamp) -> bool {
        let Step::Opens(session) = &self.step else { return false };
        session.deadline().is_some_and(|at| now >= at)
    }

    /// When something here is due by itself.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let step = match &self.step {
            Step::Stays => None,
            Step::Waits(at, _) => Some(*at),
            Step::Opens(session) => session.deadline(),
        };
        [step, self.leaves_at].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn at(s: u64) -> Timestamp {
        Timestamp::from_millis(s * 1000)
    }

    /// Whether a peer that is told now moves within the next seconds.
    fn moves(moving: &mut Moving, now: Timestamp) -> bool {
        moving.told(now, "there".into(), &mut Chance::new(1));
        let Some(_) = moving.take_due(now + MOVE_SPREAD) else { return false };
        moving.begin(now + MOVE_SPREAD, Session::new(None));
        moving.end().is_some()
    }

    #[test]
    fn a_move_begins_after_a_while_and_once() {
        let mut moving = Moving::default();
        moving.told(at(0), "there".into(), &mut Chance::new(1));
        moving.told(at(0), "elsewhere".into(), &mut Chance::new(1));
        let due = moving.deadline().unwrap();
        assert!(due > at(0) && due <= at(0) + MOVE_SPREAD, "{due:?}");
        assert_eq!(moving.take_due(at(0)), None);
        assert_eq!((moving.take_due(due), moving.take_due(due)), (Some("there".into()), None));
    }

    #[test]
    fn trackers_that_name_one_another_move_a_peer_less_and_less_often() {
        let mut moving = Moving::default();
        // Told each second for a day.
        let times: Vec<u64> = (0..86_400).filter(|second| moves(&mut moving, at(*second))).collect();
        assert!(times.len() < 40, "{times:?}");
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            gaps[0] >= MOVE_INTERVAL.as_secs() && gaps.is_sorted() && gaps.last() > Some(&2_400),
            "{gaps:?}"
        );
    }

    #[test]
    fn after_a_quiet_hour_a_peer_moves_as_soon_as_at_first() {
        let mut moving = Moving::default();
        assert!(moves(&mut moving, at(0)) && moves(&mut moving, at(200)) && !moves(&mut moving, at(400)));
        assert!(moves(&mut moving, at(10_000)) && moves(&mut moving, at(10_200)));
    }
}
