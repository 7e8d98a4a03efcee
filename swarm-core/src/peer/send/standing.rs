//! When neighbours hear of this peer's standing: at once when it serves something else, otherwise at most once a second.

use crate::peer::tuning::{BACKLOG_CHANGE, BACKLOG_MS, STATUS_INTERVAL, UPLINK_CHANGE};
use crate::peer_message::Standing;
use crate::time::Timestamp;

/// What neighbours were told last.
#[derive(Debug, Default)]
pub(crate) struct StandingTold {
    told: Option<Standing>,
    backlog_ms: u32,
    next: Timestamp,
    due: Option<Timestamp>,
}

impl StandingTold {
    pub(crate) const fn told(&self) -> Option<&Standing> {
        self.told.as_ref()
    }

    /// When [`StandingTold::take_due`] is to be asked again.
    pub(crate) const fn deadline(&self) -> Option<Timestamp> {
        self.due
    }

    /// Whether neighbours are to hear of this standing and backlog now.
    pub(crate) fn take_due(&mut self, now: Timestamp, standing: Standing, backlog_ms: u32) -> bool {
        self.due = None;
        let is_overloaded = backlog_ms > BACKLOG_MS && backlog_ms / BACKLOG_CHANGE > self.backlog_ms;
        let is_new = is_overloaded || self.told.is_none_or(|told| is_other_service(told, standing));
        let is_changed = standing.playing.is_some() || self.told.is_none_or(|told| !is_alike(told, standing));
        if !is_new && !is_changed {
            return false;
        }
        if !is_new && now < self.next {
            self.due = Some(self.next);
            return false;
        }
        self.next = now + STATUS_INTERVAL;
        self.told = Some(standing);
        self.backlog_ms = backlog_ms;
        true
    }
}

/// Whether a standing serves something else, or serves it in a way that changes what neighbours do.
fn is_other_service(told: Standing, now: Standing) -> bool {
    told.serving != now.serving
        || told.is_rich != now.is_rich
        || told.wants.is_empty() != now.wants.is_empty()
        || told.is_uplink_known != now.is_uplink_known
        || told.playing.is_some() != now.playing.is_some()
        || now.uplink < told.uplink / 2
        || now.credit / 4 > told.credit
}

fn is_alike(told: Standing, now: Standing) -> bool {
    let is_near = |told: u64, now: u64| told.abs_diff(now) <= told.max(now) / UPLINK_CHANGE;
    told.wants == now.wants
        && is_near(told.uplink, now.uplink)
        && is_near(told.downlink, now.downlink)
        && is_near(u64::from(told.credit), u64::from(now.credit))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::group::GroupRange;
    use crate::peer_message::{Playing, Serving};

    const STANDING: Standing = Standing {
        serving: Serving::Everything,
        is_rich: false,
        wants: GroupRange::new(0, 9),
        uplink: 1_000_000,
        is_uplink_known: true,
        downlink: 0,
        credit: 100_000,
        playing: None,
    };

    #[test]
    fn what_is_served_is_told_at_once_and_the_rest_once_a_second() {
        let mut told = StandingTold::default();
        let at = Timestamp::from_millis;
        assert!(told.take_due(at(0), STANDING, 0));
        assert!(!told.take_due(at(1), STANDING, 0) && told.deadline().is_none());
        let faster = Standing { uplink: 2_000_000, ..STANDING };
        assert!(!told.take_due(at(2), faster, 0));
        assert_eq!(told.deadline(), Some(at(1000)));
        assert!(told.take_due(at(3), Standing { serving: Serving::Deadlines, ..STANDING }, 0));
        assert!(told.take_due(at(1003), faster, 0));
    }

    #[test]
    fn a_backlog_that_grows_fast_is_told_at_once_and_one_that_is_short_is_not() {
        let mut told = StandingTold::default();
        let mut at = |ms, backlog_ms| told.take_due(Timestamp::from_millis(ms), STANDING, backlog_ms);
        assert!(at(0, 0));
        assert!(!at(10, BACKLOG_MS));
        assert!(at(20, 500) && !at(30, 500) && !at(40, 2000));
        assert!(at(50, 2500));
        // The next one is told with something else, or when the interval is over and anything changed.
        assert!(!at(60, 600));
    }

    #[test]
    fn small_changes_are_not_worth_a_message_unless_it_plays() {
        let mut told = StandingTold::default();
        told.take_due(Timestamp::ZERO, STANDING, 0);
        let later = Timestamp::from_millis(5000);
        let slightly = Standing { uplink: 1_100_000, ..STANDING };
        assert!(!told.take_due(later, slightly, 0));
        let playing = Some(Playing { group: 7, ahead_ms: 900 });
        assert!(told.take_due(later, Standing { playing, ..slightly }, 0));
    }
}
