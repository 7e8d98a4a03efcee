//! How much an initial peer gives, and at what pace it injects.
//!
//! * *Pace*: all viewers can have everything after N·F / (us + Σu), so the swarm never waits for an injection at the rate
//!   1.1 × (us + Σu) / N. While injection is behind that pace, fresh groups go before requests.
//! * *Rich*: a publisher whose uplink is 1.1 times the rate of all its players serves deadlines first. Its injection cannot
//!   be late.
//! * *Spare*: a thrifty publisher sends an eighth of the injected bytes again as background, to use its uplink when all is
//!   injected. If its viewers together upload less than it does and cannot play from one another, thrift would only make
//!   them wait. It then serves background like a generous publisher.

use crate::peer::input::Economy;
use crate::peer::tuning::{GROUP, PACE_TENTHS, RICH_TENTHS, SPARE_SHARE, SPARE_WORTHWHILE};
use crate::time::Timestamp;

/// What an initial peer knows of its swarm. Rates in bytes a second.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Swarm {
    /// Uplinks of all initial peers together.
    pub(crate) own: u64,
    /// Number of viewers that lack something.
    pub(crate) viewers: u64,
    /// Uplinks of all viewers together.
    pub(crate) uplinks: u64,
    /// Whether the uplinks of most viewers are known.
    pub(crate) is_known: bool,
    /// Rate of the media, if the content is media.
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

    /// Whether the uplinks of the initial peers are at least `tenths` / 10 of all playback.
    fn is_carrying(&self, tenths: u64) -> bool {
        self.media.is_some_and(|media| {
            self.own.saturating_mul(10) >= media.saturating_mul(self.viewers).saturating_mul(tenths)
        })
    }

    /// Rate at which groups must enter the swarm, bytes a second. It is unlimited while most uplinks are not known: at the
    /// start of a swarm first copies help most.
    fn pace(&self) -> u64 {
        if !self.is_known {
            return u64::MAX;
        }
        (self.own.saturating_add(self.uplinks) / self.viewers.max(1) / 10).saturating_mul(PACE_TENTHS)
    }
}

/// The account of one initial peer.
#[derive(Debug)]
pub(crate) struct Account {
    economy: Economy,
    injected_bytes: u64,
    repeated_bytes: u64,
    /// How far injection is behind its pace, bytes; at most one second's worth.
    behind_bytes: u64,
    at: Timestamp,
    is_told: bool,
}

impl Account {
    pub(crate) const fn new(economy: Economy) -> Self {
        Self {
            economy,
            injected_bytes: 0,
            repeated_bytes: 0,
            behind_bytes: GROUP,
            at: Timestamp::ZERO,
            is_told: false,
        }
    }

    /// Time has passed: the pace moves on.
    pub(crate) fn pass(&mut self, now: Timestamp, swarm: &Swarm) {
        let pace = swarm.pace();
        let passed_us = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX).min(1_000_000);
        let due = (u128::from(pace) * u128::from(passed_us) / 1_000_000) as u64;
        // Whole bytes only, so that short steps are not lost.
        if due > 0 {
            self.at = now;
            self.behind_bytes = self.behind_bytes.saturating_add(due).min(pace.max(GROUP));
        }
    }

    /// Bytes were sent. `is_first`: no viewer held them.
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

    /// How far injection is behind its pace, bytes; less than a group is nothing.
    pub(crate) const fn behind_bytes(&self) -> u64 {
        if self.behind_bytes >= GROUP { self.behind_bytes } else { 0 }
    }

    /// Whether background is served once all is injected. `asked_bytes`: bytes of background that are requested already.
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

    const SWARM: Swarm =
        Swarm { own: 1_000_000, viewers: 10, uplinks: 9_000_000, is_known: true, media: Some(100_000) };

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

    #[test]
    fn injection_is_behind_until_it_has_kept_pace() {
        let mut account = Account::new(Economy::Thrifty);
        account.sent(GROUP, true);
        assert_eq!(account.behind_bytes(), 0);
        // (1 + 9) MB/s over 10 viewers, and a tenth: 1.1 MB/s are 67 groups a second.
        let mut groups = 0;
        for ms in 1..=2000 {
            account.pass(Timestamp::from_millis(ms), &SWARM);
            while account.behind_bytes() > 0 {
                account.sent(GROUP, true);
                groups += 1;
            }
        }
        assert!((130..=135).contains(&groups), "{groups}");
    }

    #[test]
    fn a_publisher_is_rich_by_what_is_played() {
        assert!(!SWARM.is_rich());
        assert!(Swarm { own: 1_100_000, ..SWARM }.is_rich());
        assert!(!Swarm { own: u64::MAX, media: None, ..SWARM }.is_rich());
    }
}
