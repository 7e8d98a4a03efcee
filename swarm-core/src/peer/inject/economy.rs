//! How much an initial peer gives, and at what pace it injects.
//!
//! * *Pace*: all viewers can have everything after the longest of N·F / (us + Σu) and F / d, where d is a viewer's downlink. So
//!   injection at 1.1 × min{(us + Σu) / N, d} is never what the swarm waits for. Behind that pace fresh groups go before
//!   requests. A publisher that has twice the rate of the media may lag by a second: what players need soon goes first.
//! * *Rich*: a publisher whose uplink is 1.1 times what its viewers play serves deadlines first; injection cannot be late.
//! * *Spare*: a thrifty publisher sends an eighth of what it injected again as background, so that its uplink is of use
//!   when all is injected. Where its viewers together upload less than it does and could not play from one another,
//!   thrift would only make them wait: then it serves background like a generous one.

use std::time::Duration;

use crate::peer::flow::bytes_in;
use crate::peer::input::Economy;
use crate::peer::tuning::{
    AHEAD_TIMES, GROUP, PACE_LAG, PACE_TENTHS, RICH_TENTHS, SPARE_SHARE, SPARE_WORTHWHILE,
};
use crate::time::Timestamp;

/// What an initial peer knows of its swarm. Rates in bytes a second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Swarm {
    /// Uplinks of all initial peers together.
    pub(crate) own: u64,
    /// Viewers that lack something.
    pub(crate) viewers: u64,
    /// Uplinks of all viewers together.
    pub(crate) uplinks: u64,
    /// Whether the uplinks of most viewers are known.
    pub(crate) is_known: bool,
    /// Usual downlink of a viewer, if it is known.
    pub(crate) downlink: Option<u64>,
    /// Rate of the media, where it plays.
    pub(crate) media: Option<u64>,
}

impl Swarm {
    /// Whether the initial peers could serve all playback by themselves.
    pub(crate) fn is_rich(&self) -> bool {
        self.is_carrying(RICH_TENTHS)
    }

    /// Whether viewers upload less than the initial peers and could not play from one another.
    fn is_weak(&self) -> bool {
        let can_play = self.media.is_some_and(|media| self.uplinks >= media.saturating_mul(2 * self.viewers));
        self.uplinks < self.own && !can_play
    }

    /// Whether the initial peers could serve all playback with half of their uplinks: the other half injects meanwhile.
    pub(crate) fn is_ample(&self) -> bool {
        self.is_carrying(2 * 10)
    }

    /// Whether the initial peers carry all playback `tenths` / 10 times.
    fn is_carrying(&self, tenths: u64) -> bool {
        self.media.is_some_and(|media| {
            self.own.saturating_mul(10) >= media.saturating_mul(self.viewers).saturating_mul(tenths)
        })
    }

    /// Whether injection stays ahead of all players with half of the uplink of the initial peers. Then requests may delay it.
    fn is_ahead(&self) -> bool {
        self.media.is_some_and(|media| self.own >= media.saturating_mul(AHEAD_TIMES))
    }

    /// Rate at which groups must enter the swarm, bytes a second.
    fn pace(&self) -> u64 {
        if !self.is_known {
            // Nothing is worth as much as first copies, unless what players need soon is safe: that is injected first.
            return if self.is_ahead() { 0 } else { u64::MAX };
        }
        let spread = self.own.saturating_add(self.uplinks) / self.viewers.max(1);
        let rate = spread.min(self.downlink.unwrap_or(u64::MAX));
        (rate / 10).saturating_mul(PACE_TENTHS)
    }
}

/// The downlink that three quarters of the viewers exceed, bytes a second, if at least half of them have measured theirs (0:
/// not measured). The slowest viewers, or those that lie, are not to delay the others.
pub(super) fn usual_downlink(downlinks: impl Iterator<Item = u64>) -> Option<u64> {
    let mut downlinks: Vec<u64> = downlinks.collect();
    downlinks.sort_unstable();
    let known = &downlinks[downlinks.partition_point(|downlink| *downlink == 0)..];
    known.get(known.len() / 4).copied().filter(|_| known.len() * 2 >= downlinks.len())
}

/// The account of one initial peer.
#[derive(Debug)]
pub(crate) struct Account {
    economy: Economy,
    injected_bytes: u64,
    repeated_bytes: u64,
    /// How far injection lags behind its pace, bytes; at most the allowed lag and one second's worth.
    behind_bytes: u64,
    /// How far it may lag, bytes.
    lag_bytes: u64,
    at: Timestamp,
    is_told: bool,
}

impl Account {
    pub(crate) const fn new(economy: Economy) -> Self {
        Self {
            economy,
            injected_bytes: 0,
            repeated_bytes: 0,
            behind_bytes: 0,
            lag_bytes: 0,
            at: Timestamp::ZERO,
            is_told: false,
        }
    }

    /// Time has passed in a swarm.
    pub(crate) fn pass(&mut self, now: Timestamp, swarm: &Swarm) {
        let pace = swarm.pace();
        let passed = now.since(self.at).min(Duration::from_secs(1));
        let due = u64::try_from(u128::from(pace) * passed.as_micros() / 1_000_000).unwrap_or(u64::MAX);
        // Whole bytes only, so that short steps are not lost.
        if due > 0 || pace == 0 {
            self.at = now;
            self.lag_bytes = if swarm.is_ahead() { bytes_in(pace, PACE_LAG) } else { 0 };
            self.behind_bytes =
                self.behind_bytes.saturating_add(due).min(self.lag_bytes.saturating_add(pace.max(GROUP)));
        }
    }

    /// Bytes left; `is_first`: no viewer held them.
    pub(crate) const fn sent(&mut self, bytes: u64, is_first: bool) {
        if is_first {
            self.injected_bytes += bytes;
            self.behind_bytes = self.behind_bytes.saturating_sub(bytes);
        } else {
            self.repeated_bytes += bytes;
        }
    }

    pub(crate) fn is_thrifty(&self) -> bool {
        self.economy == Economy::Thrifty
    }

    /// By how much injection lags further than it may, bytes; less than a group is nothing.
    pub(crate) const fn behind_bytes(&self) -> u64 {
        let behind = self.behind_bytes.saturating_sub(self.lag_bytes);
        if behind >= GROUP { behind } else { 0 }
    }

    /// Whether background is served once all is injected; `asked_bytes` of it are asked for already.
    pub(crate) fn serves_background(&mut self, swarm: &Swarm, asked_bytes: u64) -> bool {
        let spare = (self.injected_bytes / SPARE_SHARE).saturating_sub(self.repeated_bytes + asked_bytes);
        let least = if self.is_told { 0 } else { SPARE_WORTHWHILE };
        self.is_told = self.economy == Economy::Generous || swarm.is_weak() || spare > least;
        self.is_told
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const SWARM: Swarm = Swarm {
        own: 1_000_000,
        viewers: 10,
        uplinks: 9_000_000,
        is_known: true,
        downlink: None,
        media: Some(100_000),
    };

    #[test]
    fn a_thrifty_publisher_sends_an_eighth_again() {
        let mut account = Account::new(Economy::Thrifty);
        assert!(!account.serves_background(&SWARM, 0));
        account.sent(16 * SPARE_WORTHWHILE, true);
        assert!(account.serves_background(&SWARM, 0));
        assert!(account.serves_background(&SWARM, SPARE_WORTHWHILE), "it goes on once it was told");
        account.sent(2 * SPARE_WORTHWHILE, false);
        assert!(!account.serves_background(&SWARM, 0));
        assert!(Account::new(Economy::Generous).serves_background(&SWARM, 0));
    }

    #[test]
    fn thrift_ends_where_viewers_cannot_help_one_another() {
        let weak = Swarm { uplinks: 500_000, ..SWARM };
        assert!(Account::new(Economy::Thrifty).serves_background(&weak, 0));
        let slow_media = Swarm { media: Some(10_000), ..weak };
        assert!(
            !Account::new(Economy::Thrifty).serves_background(&slow_media, 0),
            "each could play from the others"
        );
    }

    /// (1 + 9) MB/s over 10 viewers, and a tenth.
    const PACE: u64 = 1_100_000;

    #[test]
    fn injection_presses_when_it_lags_by_more_than_a_second_and_then_keeps_pace() {
        let mut account = Account::new(Economy::Thrifty);
        let mut pressed_ms = Vec::new();
        for ms in 1..=3000 {
            account.pass(Timestamp::from_millis(ms), &SWARM);
            while account.behind_bytes() > 0 {
                account.sent(GROUP, true);
                pressed_ms.push(ms);
            }
        }
        assert!((1000..1030).contains(&pressed_ms[0]), "{}", pressed_ms[0]);
        assert!((133..=135).contains(&pressed_ms.len()), "two seconds of the pace: {}", pressed_ms.len());
    }

    #[test]
    fn what_was_injected_ahead_of_the_pace_is_not_held_against_what_follows() {
        let mut account = Account::new(Economy::Thrifty);
        account.pass(Timestamp::from_millis(1), &SWARM);
        account.sent(100 * PACE, true);
        account.pass(Timestamp::from_millis(1001), &SWARM);
        account.pass(Timestamp::from_millis(2001), &SWARM);
        assert_eq!(account.behind_bytes(), PACE);
        account.pass(Timestamp::from_millis(9001), &SWARM);
        assert_eq!(account.behind_bytes(), PACE, "an older lag is forgotten");
    }

    #[test]
    fn a_publisher_that_is_little_faster_than_the_media_may_not_lag() {
        let scarce = Swarm { own: 150_000, ..SWARM };
        let mut account = Account::new(Economy::Thrifty);
        account.pass(Timestamp::from_millis(100), &scarce);
        assert!(account.behind_bytes() > 0);
        let mut account = Account::new(Economy::Thrifty);
        account.pass(Timestamp::from_millis(100), &SWARM);
        assert_eq!(account.behind_bytes(), 0);
    }

    #[test]
    fn while_uplinks_are_not_known_first_copies_go_first_unless_players_are_safe() {
        let unknown = Swarm { is_known: false, ..SWARM };
        let mut account = Account::new(Economy::Thrifty);
        account.pass(Timestamp::from_millis(9000), &Swarm { own: 150_000, ..unknown });
        account.sent(1 << 40, true);
        assert!(account.behind_bytes() > 0, "there is no pace that is enough");
        let mut account = Account::new(Economy::Thrifty);
        account.pass(Timestamp::from_millis(9000), &unknown);
        account.pass(Timestamp::from_millis(10_000), &SWARM);
        assert_eq!(account.behind_bytes(), 0, "the allowed lag begins now");
    }

    #[test]
    fn injection_need_not_be_faster_than_viewers_receive() {
        assert_eq!(SWARM.pace(), PACE);
        assert_eq!(Swarm { downlink: Some(500_000), ..SWARM }.pace(), 550_000);
        assert_eq!(Swarm { downlink: Some(5_000_000), ..SWARM }.pace(), PACE);
    }

    #[test]
    fn one_viewer_on_a_slow_line_does_not_slow_the_injection_down() {
        assert_eq!(usual_downlink([900, 1, 800, 0, 700].into_iter()), Some(700));
        assert_eq!(usual_downlink([1, 1, 800, 900].into_iter()), Some(1));
        assert_eq!(usual_downlink([0, 0, 0, 900].into_iter()), None, "most are not known");
        assert_eq!(usual_downlink([].into_iter()), None);
    }

    #[test]
    fn a_publisher_is_rich_by_what_is_played() {
        assert!(!SWARM.is_rich());
        assert!(Swarm { own: 1_100_000, ..SWARM }.is_rich());
        assert!(!Swarm { own: u64::MAX, media: None, ..SWARM }.is_rich());
    }
}
