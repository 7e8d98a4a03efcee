//! A player without a screen: reads at the media's rate and counts what a viewer would suffer.
//!
//! Playback starts when the start buffer is held from the beginning, advances with the clock, stops where nothing is held, and
//! goes on when the start buffer is held again. Pure; the caller tells the time, what is held, and how long the start buffer is.

use std::time::Duration;

use crate::group::Geometry;
use crate::time::micros;

/// Rate of media whose duration is not known, bytes a second: 4 Mbit/s.
pub const RATE_GUESS: u64 = 500_000;

/// What a viewer would have seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Playback {
    /// From the call to the first frame; `None` before.
    pub start_ms: Option<u64>,
    /// How often it stood still since.
    pub stalls: u32,
    /// For how long altogether.
    pub stall_ms: u64,
}

/// What the peer is to be told of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Next group that is needed.
    pub group: u32,
    /// How long it can wait.
    pub ahead_ms: u32,
}

/// The player.
#[derive(Debug, Clone)]
pub struct Player {
    geometry: Geometry,
    bytes_per_s: u64,
    /// Bytes played.
    position: u64,
    is_playing: bool,
    /// When the state was last advanced, since the call.
    at: Duration,
    playback: Playback,
}

impl Player {
    /// A player of a content at `bytes_per_s`, if that is known.
    pub fn new(geometry: Geometry, bytes_per_s: Option<u64>) -> Self {
        Self {
            geometry,
            bytes_per_s: bytes_per_s.unwrap_or(RATE_GUESS).max(1),
            position: 0,
            is_playing: false,
            at: Duration::ZERO,
            playback: Playback::default(),
        }
    }

    /// The group that plays.
    pub fn group(&self) -> u32 {
        self.geometry.group_at(self.position)
    }

    /// The person jumps to a group; playback goes on as soon as the start buffer is held from there.
    pub fn seek(&mut self, group: u32) {
        self.position = self.geometry.offset(group);
        self.is_playing = false;
    }

    /// What a viewer would have seen so far.
    pub const fn playback(&self) -> Playback {
        self.playback
    }

    /// Time has come to `now`, and everything from [`Player::group`] to before `missing` is held. The start buffer is what the
    /// peer says ([`Peer::start_buffer`](crate::Peer::start_buffer)).
    pub fn advance(&mut self, now: Duration, missing: u32, start_buffer: Duration) -> Reading {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        let held_end = self.geometry.offset(missing).max(self.position);
        let is_all = held_end == self.geometry.length_bytes();
        if self.is_playing {
            let due = self.position.saturating_add(self.bytes_in(passed));
            self.position = due.min(held_end);
            if due > held_end && !is_all {
                self.is_playing = false;
                self.playback.stalls += 1;
                self.playback.stall_ms += self.millis_of(due - held_end);
            }
        } else if self.playback.start_ms.is_some() {
            self.playback.stall_ms += millis(passed);
        }
        if !self.is_playing && (is_all || held_end - self.position >= self.bytes_in(start_buffer)) {
            self.is_playing = true;
            self.playback.start_ms.get_or_insert(millis(now));
        }
        let ahead_ms = if self.is_playing { self.millis_of(held_end - self.position) } else { 0 };
        Reading { group: missing, ahead_ms: u32::try_from(ahead_ms).unwrap_or(u32::MAX) }
    }

    /// Whether it plays, and does not wait for media.
    pub const fn is_playing(&self) -> bool {
        self.is_playing
    }

    fn bytes_in(&self, time: Duration) -> u64 {
        self.bytes_per_s.saturating_mul(micros(time)) / 1_000_000
    }

    fn millis_of(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(1000) / self.bytes_per_s
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// 100 groups at 10 groups a second.
    fn player() -> Player {
        Player::new(Geometry::new(100 * 16384), Some(10 * 16384))
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_starts_with_its_start_buffer_and_says_how_long_it_can_wait() {
        let mut player = player();
        assert_eq!(player.advance(at(100), 9, SECOND), Reading { group: 9, ahead_ms: 0 });
        assert_eq!(player.playback().start_ms, None);
        assert_eq!(player.advance(at(250), 10, SECOND), Reading { group: 10, ahead_ms: 1000 });
        assert_eq!(player.playback(), Playback { start_ms: Some(250), stalls: 0, stall_ms: 0 });
        assert_eq!(player.advance(at(750), 40, SECOND), Reading { group: 40, ahead_ms: 3500 });
        assert_eq!(player.group(), 5);
    }

    #[test]
    fn it_stalls_where_nothing_is_held_and_goes_on_with_its_start_buffer() {
        let mut player = player();
        player.advance(at(0), 10, SECOND);
        player.advance(at(1500), 10, SECOND);
        assert_eq!(player.playback(), Playback { start_ms: Some(0), stalls: 1, stall_ms: 500 });
        assert_eq!(player.advance(at(2000), 15, SECOND), Reading { group: 15, ahead_ms: 0 });
        assert_eq!(player.playback().stall_ms, 1000);
        assert_eq!(player.advance(at(2250), 20, SECOND).ahead_ms, 1000);
        assert_eq!(player.playback(), Playback { start_ms: Some(0), stalls: 1, stall_ms: 1250 });
    }

    #[test]
    fn the_end_is_no_stall_and_a_short_content_starts_at_once() {
        let mut player = Player::new(Geometry::new(16384 + 5), None);
        player.advance(at(3), 2, SECOND);
        player.advance(at(60_000), 2, SECOND);
        assert_eq!(player.playback(), Playback { start_ms: Some(3), stalls: 0, stall_ms: 0 });
    }
}
