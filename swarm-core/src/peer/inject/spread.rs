//! Which viewers pass groups on, as far as an initial peer can see from announcements.
//!
//! A viewer that uploads nothing looks like any other to the initial peer: it requests, receives and announces. But the
//! groups that only it was given never appear at other viewers. Such a viewer gets no more pushes, and its groups do not
//! count as copies. This also finds viewers that no other viewer can reach.
//!
//! It also finds viewers that claim groups which they cannot have. Every group in a swarm once left an initial peer. A
//! viewer that claims a group that never left this one has it from an earlier time, or lies. It is believed once another
//! viewer holds such a group, which only viewers that claimed it can have sent.
//!
//! Two kinds of honest viewers do not count either: a viewer whose uplink is far below those of others; and a viewer whose
//! urgent backlog is far longer than those of others, while it is.

use crate::peer_message::Serving;

/// Number of pushes that did not spread after which a viewer is doubted.
const KEPT_MAX: u32 = 3;

/// The evidence about one viewer.
#[derive(Debug, Default)]
pub(crate) struct Reputation {
    /// Pushes to it of which no other viewer announced any group.
    kept: u32,
    has_spread: bool,
    is_doubted: bool,
}

impl Reputation {
    /// Judges a push. `has_spread`: another viewer holds a group of it. `has_others`: enough other viewers wanted it.
    pub(crate) fn judge(&mut self, has_spread: bool, has_others: bool) {
        self.has_spread |= has_spread;
        self.kept += u32::from(has_others);
        if self.kept >= KEPT_MAX {
            self.doubt();
        }
    }

    /// It claims groups that it cannot have from here.
    pub(crate) const fn doubt(&mut self) {
        self.is_doubted = !self.has_spread;
    }

    /// Another viewer holds a group that it claimed.
    pub(crate) const fn believe(&mut self) {
        self.is_doubted = false;
        self.has_spread = true;
    }

    pub(crate) const fn is_doubted(&self) -> bool {
        self.is_doubted
    }
}

/// Least uplink, bytes a second, of a feeder: three tenths of the media's rate, or half of the
/// viewers' mean if that is less.
pub(crate) fn feeder_uplink_min(media: Option<u64>, uplinks: impl Iterator<Item = u64>) -> u64 {
    let (sum, count) =
        uplinks.fold((0u64, 0u64), |(sum, count), uplink| (sum.saturating_add(uplink), count + 1));
    let half_of_mean = sum / count.max(1) / 2;
    media.map_or(half_of_mean, |media| half_of_mean.min(media / 10 * 3))
}

/// Twice the usual urgent backlog, ms, from each viewer's backlog and uplink. Viewers with at most the usual backlog have half
/// of all uplink. A backlog longer than the result is far longer than usual. So at least half of the uplink is used however
/// long all backlogs are, and a strong viewer is not left out because all ask it.
pub(crate) fn usual_backlog_max(mut viewers: Vec<(u32, u64)>) -> u32 {
    viewers.sort_unstable();
    let half = viewers.iter().fold(0u64, |sum, (_, uplink)| sum.saturating_add(*uplink)) / 2;
    let mut within = 0u64;
    let middle = viewers.iter().find(|(_, uplink)| {
        within = within.saturating_add(*uplink);
        within > half
    });
    middle.map_or(u32::MAX, |(backlog, _)| backlog.saturating_mul(2))
}

/// Whether a viewer with this standing can pass groups on. A viewer with an unknown uplink can: it was never busy.
pub(crate) fn can_pass_on(serving: Serving, uplink: Option<u64>, uplink_min: u64) -> bool {
    serving != Serving::Nothing && uplink.is_none_or(|uplink| uplink >= uplink_min)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn three_pushes_that_others_wanted_and_none_got_make_a_hoarder() {
        let mut reputation = Reputation::default();
        (0..9).for_each(|_| reputation.judge(false, false));
        assert!(!reputation.is_doubted(), "nobody else wanted it");
        (0..3).for_each(|_| reputation.judge(false, true));
        assert!(reputation.is_doubted());
        let mut reputation = Reputation::default();
        reputation.judge(true, true);
        (0..9).for_each(|_| reputation.judge(false, true));
        assert!(!reputation.is_doubted(), "it was seen to pass something on");
    }

    #[test]
    fn who_has_far_more_to_send_than_most_is_left_out_and_never_half_of_the_uplink() {
        let left_out = |backlogs: &[u32], uplink: fn(usize) -> u64| {
            let viewers = || backlogs.iter().enumerate().map(|(index, backlog)| (*backlog, uplink(index)));
            let max = usual_backlog_max(viewers().collect());
            viewers().filter(|(backlog, _)| *backlog > max).count()
        };
        let alike = |_| 100_000;
        assert_eq!(left_out(&[0, 0, 100, 40, 5_000, 9_000], alike), 2);
        assert_eq!(left_out(&[8_000, 9_000, 7_000, u32::MAX], alike), 1);
        assert_eq!(left_out(&[9_000, 9_000, 9_000, 0], alike), 0, "most are like this");
        assert_eq!(left_out(&[9_000], alike), 0);
        let first_is_strong = |index| if index == 0 { 6_000_000 } else { 12_500 };
        assert_eq!(left_out(&[3_000, 0, 0, 0, 0], first_is_strong), 0, "all ask the strong one");
        assert_eq!(left_out(&[3_000, 9_000, 0, 0, 0], first_is_strong), 1);
    }

    #[test]
    fn slow_uplinks_among_fast_ones_are_fed_and_not_used() {
        let uplinks = [12_500, 12_500, 2_500_000];
        let media = Some(125_000);
        let least = feeder_uplink_min(media, uplinks.into_iter());
        assert_eq!(least, 37_500);
        let is_used = |uplink| can_pass_on(Serving::Everything, uplink, least);
        assert_eq!(uplinks.map(|uplink| is_used(Some(uplink))), [false, false, true]);
        assert!(is_used(None));
        let alike = feeder_uplink_min(media, [12_500; 9].into_iter());
        assert!(can_pass_on(Serving::Everything, Some(12_500), alike));
        assert!(!can_pass_on(Serving::Nothing, None, 0));
    }
}
