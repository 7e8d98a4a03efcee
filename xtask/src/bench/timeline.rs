//! What the interfaces counted over time, and where the time of a run went.
//!
//! All uplinks together could send C bits a second. Of the seconds that a run took, some went into payload (the
//! N copies, over C), some into everything else that was sent, and in the rest uplinks were idle: before the
//! swarm was under way, in the middle, and after the first leecher was complete. These five add up to the run.

use std::fmt::Write;

use crate::bench::network::Counters;
use crate::bench::options::Rate;

/// A swarm is under way once it sends at this share of what it could.
const UNDER_WAY: f64 = 0.75;

/// Interfaces at one time: the seeder's, then the leechers'.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    /// Seconds from the start.
    pub(crate) at_s: f64,
    /// What each counted since the start.
    pub(crate) counters: Vec<Counters>,
}

/// All samples of a run, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timeline {
    samples: Vec<Sample>,
}

/// Where the seconds of a run went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spent {
    /// Sending the content to everybody once.
    pub(crate) payload_s: f64,
    /// Sending anything else.
    pub(crate) overhead_s: f64,
    /// Idle before the swarm was under way.
    pub(crate) idle_start_s: f64,
    /// Idle in between.
    pub(crate) idle_middle_s: f64,
    /// Idle after the first leecher was complete.
    pub(crate) idle_end_s: f64,
}

impl Timeline {
    /// Takes one more sample, later than those before.
    pub(crate) fn push(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// The last sample.
    pub(crate) fn last(&self) -> Option<&Sample> {
        self.samples.last()
    }

    /// Since when the swarm was under way; the end if it never was.
    pub(crate) fn under_way_s(&self, ups: &[Rate]) -> f64 {
        let enough = bits_per_s(ups) * UNDER_WAY;
        let reached = self.samples.windows(2).find_map(|pair| {
            let [before, after] = pair else { return None };
            let bits = (sent(after) - sent(before)) * 8.0;
            (bits >= enough * (after.at_s - before.at_s)).then_some(before.at_s)
        });
        reached.or_else(|| self.last().map(|last| last.at_s)).unwrap_or(0.0)
    }

    /// Share of each uplink that was used between two times.
    pub(crate) fn uplink_use(&self, ups: &[Rate], from_s: f64, to_s: f64) -> Vec<f64> {
        let (before, after) = (self.sent_until(from_s), self.sent_until(to_s));
        let parts = before.iter().zip(&after).zip(ups);
        parts.map(|((before, after), up)| (after - before) / up.bytes_in(to_s - from_s)).collect()
    }

    /// Where the time went, of a run in which `copies_bytes` had to arrive, all in all.
    pub(crate) fn spent(&self, ups: &[Rate], copies_bytes: u64, first_done_s: f64) -> Spent {
        let capacity = bits_per_s(ups) / 8.0;
        let end_s = self.last().map_or(0.0, |last| last.at_s);
        let middle_to_s = first_done_s.min(end_s);
        let under_way_s = self.under_way_s(ups).min(middle_to_s);
        let sent_until = |at_s| self.sent_until(at_s).iter().sum::<f64>();
        let idle =
            |from_s: f64, to_s: f64| to_s - from_s - (sent_until(to_s) - sent_until(from_s)) / capacity;
        let payload_s = copies_bytes as f64 / capacity;
        Spent {
            payload_s,
            overhead_s: sent_until(end_s) / capacity - payload_s,
            idle_start_s: idle(0.0, under_way_s),
            idle_middle_s: idle(under_way_s, middle_to_s),
            idle_end_s: idle(middle_to_s, end_s),
        }
    }

    /// A table for people: how many per cent of each uplink were used in each second.
    pub(crate) fn table(&self, ups: &[Rate]) -> String {
        let mut text = String::from("     s   all  seeder  leechers\n");
        let end_s = self.last().map_or(0.0, |last| last.at_s);
        let mut from_s = 0.0;
        while from_s < end_s {
            let to_s = f64::min(from_s + 1.0, end_s);
            let used = self.uplink_use(ups, from_s, to_s);
            let total: f64 = used.iter().zip(ups).map(|(used, up)| used * up.bits_per_s as f64).sum();
            let all = total / bits_per_s(ups);
            // Writing to a text cannot fail.
            let _ = write!(text, "{to_s:6.1} {:5.0}", all * 100.0);
            for (index, used) in used.iter().enumerate() {
                let _ = write!(text, "{}{:4.0}", if index < 2 { "   " } else { " " }, used * 100.0);
            }
            text.push('\n');
            from_s += 1.0;
        }
        text
    }

    /// Bytes that each had sent at a time, between samples in proportion.
    fn sent_until(&self, at_s: f64) -> Vec<f64> {
        let after = self.samples.iter().position(|sample| sample.at_s >= at_s);
        let after = after.unwrap_or(self.samples.len().saturating_sub(1));
        let (Some(before), Some(after)) =
            (self.samples.get(after.saturating_sub(1)), self.samples.get(after))
        else {
            return Vec::new();
        };
        let span_s = after.at_s - before.at_s;
        let part = if span_s > 0.0 { ((at_s - before.at_s) / span_s).clamp(0.0, 1.0) } else { 1.0 };
        let pairs = before.counters.iter().zip(&after.counters);
        pairs
            .map(|(before, after)| {
                let (before, after) = (before.sent as f64, after.sent as f64);
                before + (after - before) * part
            })
            .collect()
    }
}

fn sent(sample: &Sample) -> f64 {
    sample.counters.iter().map(|counters| counters.sent as f64).sum()
}

fn bits_per_s(ups: &[Rate]) -> f64 {
    ups.iter().map(|up| up.bits_per_s as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8 kbit/s, so 1000 bytes a second.
    const UP: Rate = Rate { bits_per_s: 8000 };

    /// A seeder that sends for five seconds; one leecher that sends from second 2 to second 4.
    fn timeline() -> Timeline {
        let mut timeline = Timeline::default();
        for (second, sent) in
            [[0, 0], [1000, 0], [2000, 0], [3000, 1000], [4000, 2000], [5000, 2000]].into_iter().enumerate()
        {
            let counters = sent.map(|sent| Counters { sent, ..Counters::default() }).to_vec();
            timeline.push(Sample { at_s: second as f64, counters });
        }
        timeline
    }

    #[test]
    fn the_parts_of_a_run_add_up_to_its_seconds() {
        let spent = timeline().spent(&[UP, UP], 6000, 4.5);
        let expected = Spent {
            payload_s: 3.0,
            overhead_s: 0.5,
            idle_start_s: 1.0,
            idle_middle_s: 0.25,
            idle_end_s: 0.25,
        };
        assert_eq!(spent, expected);
    }

    #[test]
    fn use_is_per_uplink_and_between_samples_in_proportion() {
        assert_eq!(timeline().uplink_use(&[UP, UP], 1.5, 3.5), [1.0, 0.75]);
        assert_eq!(timeline().under_way_s(&[UP, UP]), 2.0);
        assert_eq!(timeline().under_way_s(&[UP, UP, UP]), 5.0);
    }

    #[test]
    fn the_table_has_a_line_a_second() {
        let table = timeline().table(&[UP, UP]);
        assert_eq!(table.lines().count(), 6);
        assert_eq!(table.lines().nth(3), Some("   3.0   100    100    100"));
    }

    #[test]
    fn a_run_without_samples_spent_nothing() {
        assert!(Timeline::default().spent(&[UP], 0, 0.0).overhead_s.abs() < 1e-9);
    }
}
