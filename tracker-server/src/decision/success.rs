//! How well each source serves, by what its neighbours report.
//!
//! A peer's verdict on a source moves by a quarter with each of its reports, so that the past is soon forgotten.
//! Of a source's verdicts the median counts, and only from three on: one liar among honest neighbours neither
//! ruins a source nor makes it shine.

use std::collections::BTreeMap;

use swarm_core::PeerId;

use crate::limits::{REPORT_INTERVAL_MS, VERDICTS_MAX, VERDICTS_MIN};

/// Full marks; also what a source has of which too little is known.
pub(super) const SUCCESS_MAX: u32 = 1000;

/// What one failure weighs, in bytes: about what a failed request would have brought.
const FAILURE_BYTES: u64 = 128 * 1024;

/// With each report a source loses one in so many of the most that it was seen to send.
const FORGOTTEN_SHARE: u64 = 64;

#[derive(Debug, Clone, Copy)]
struct Verdict {
    reporter: PeerId,
    /// 0 to [`SUCCESS_MAX`].
    success: u32,
    /// What its last report said.
    bytes: u64,
}

/// What is known of one source.
#[derive(Debug, Default)]
struct Source {
    /// [`VERDICTS_MAX`], the latest last.
    verdicts: Vec<Verdict>,
    /// The most that its receivers got together between two of their reports, which is slowly forgotten.
    most_bytes: u64,
}

impl Source {
    /// What its receivers got together. One counts twice the median at most, so that a liar makes no source shine.
    fn received_bytes(&self) -> u64 {
        let mut received: Vec<u64> = self.verdicts.iter().map(|verdict| verdict.bytes).collect();
        received.sort_unstable();
        let most = received.get(received.len() / 2).map_or(0, |median| median.saturating_mul(2));
        received.into_iter().map(|bytes| bytes.min(most)).fold(0, u64::saturating_add)
    }
}

/// The verdicts upon the sources of one swarm.
#[derive(Debug, Default)]
pub(super) struct Successes {
    by_source: BTreeMap<PeerId, Source>,
}

impl Successes {
    /// Notes what `reporter` says it got from `source`. The caller has checked that they are neighbours.
    pub(super) fn note(&mut self, reporter: PeerId, source: PeerId, bytes: u64, failures: u32) {
        let lost = u64::from(failures).saturating_mul(FAILURE_BYTES);
        let all = u128::from(bytes) + u128::from(lost);
        if all == 0 {
            return;
        }
        let share = u128::from(bytes) * u128::from(SUCCESS_MAX) / all;
        let latest = u32::try_from(share).unwrap_or(SUCCESS_MAX);
        let source = self.by_source.entry(source).or_default();
        let verdicts = &mut source.verdicts;
        let before = verdicts.iter().position(|verdict| verdict.reporter == reporter);
        let before = before.map_or(SUCCESS_MAX, |at| verdicts.remove(at).success);
        verdicts.push(Verdict { reporter, success: (before * 3 + latest) / 4, bytes });
        if verdicts.len() > VERDICTS_MAX {
            verdicts.remove(0);
        }
        source.most_bytes =
            source.received_bytes().max(source.most_bytes - source.most_bytes / FORGOTTEN_SHARE);
    }

    /// How well a source serves, 0 to [`SUCCESS_MAX`].
    pub(super) fn of(&self, source: PeerId) -> u32 {
        let verdicts = self.by_source.get(&source).map_or(&[][..], |source| &source.verdicts);
        if verdicts.len() < VERDICTS_MIN {
            return SUCCESS_MAX;
        }
        let mut marks: Vec<u32> = verdicts.iter().map(|verdict| verdict.success).collect();
        marks.sort_unstable();
        marks[marks.len() / 2]
    }

    /// The rate at which a source's neighbours received from it, bits a second; `None` while few have reported.
    pub(super) fn seen_bps(&self, source: PeerId) -> Option<u64> {
        let source = self.by_source.get(&source).filter(|source| source.verdicts.len() >= VERDICTS_MIN)?;
        Some(source.most_bytes.saturating_mul(8 * 1000) / u64::from(REPORT_INTERVAL_MS))
    }

    /// Forgets a peer that left, as a source and as a reporter on its neighbours.
    pub(super) fn remove(&mut self, peer: PeerId, neighbours: &[PeerId]) {
        self.by_source.remove(&peer);
        for neighbour in neighbours {
            if let Some(source) = self.by_source.get_mut(neighbour) {
                source.verdicts.retain(|verdict| verdict.reporter != peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: PeerId = PeerId(100);
    const MEGABYTE: u64 = 1_000_000;

    fn honest(successes: &mut Successes, reporters: std::ops::Range<u64>, failures: u32) {
        for reporter in reporters {
            successes.note(PeerId(reporter), SOURCE, MEGABYTE, failures);
        }
    }

    #[test]
    fn what_receivers_saw_of_a_source_is_added_up_and_one_liar_makes_it_no_faster() {
        let mut successes = Successes::default();
        honest(&mut successes, 0..2, 0);
        assert_eq!(successes.seen_bps(SOURCE), None, "too few have reported");
        honest(&mut successes, 2..4, 0);
        assert_eq!(successes.seen_bps(SOURCE), Some(4 * 1_600_000));
        successes.note(PeerId(9), SOURCE, u64::MAX / 2, 0);
        assert_eq!(successes.seen_bps(SOURCE), Some(6 * 1_600_000));
        successes.remove(SOURCE, &[]);
        assert_eq!(successes.seen_bps(SOURCE), None);
    }

    #[test]
    fn one_liar_neither_ruins_a_source_nor_saves_it() {
        let mut successes = Successes::default();
        honest(&mut successes, 0..4, 0);
        for _ in 0..50 {
            successes.note(PeerId(9), SOURCE, 0, u32::MAX);
        }
        assert_eq!(successes.of(SOURCE), SUCCESS_MAX);
        for _ in 0..20 {
            honest(&mut successes, 0..4, 100);
            successes.note(PeerId(9), SOURCE, u64::MAX, 0);
        }
        assert!(successes.of(SOURCE) < 100, "{}", successes.of(SOURCE));
    }

    #[test]
    fn the_past_is_soon_forgotten() {
        let mut successes = Successes::default();
        (0..10).for_each(|_| honest(&mut successes, 0..3, 100));
        let bad = successes.of(SOURCE);
        (0..8).for_each(|_| honest(&mut successes, 0..3, 0));
        assert!(bad < 200 && successes.of(SOURCE) > 850, "{bad} → {}", successes.of(SOURCE));
    }

    #[test]
    fn few_verdicts_and_empty_reports_say_nothing() {
        let mut successes = Successes::default();
        (0..9).for_each(|_| honest(&mut successes, 0..VERDICTS_MIN as u64 - 1, 100));
        successes.note(PeerId(9), SOURCE, 0, 0);
        assert_eq!(successes.of(SOURCE), SUCCESS_MAX);
    }

    #[test]
    fn verdicts_are_bounded_and_those_who_left_have_none() {
        let mut successes = Successes::default();
        honest(&mut successes, 0..100, 100);
        assert_eq!(successes.by_source[&SOURCE].verdicts.len(), VERDICTS_MAX);
        (0..100).for_each(|reporter| successes.remove(PeerId(reporter), &[SOURCE]));
        assert_eq!(successes.of(SOURCE), SUCCESS_MAX);
        successes.remove(SOURCE, &[]);
        assert!(successes.by_source.is_empty());
    }
}
