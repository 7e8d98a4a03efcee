//! A viewer's downlink: the drop-tail queue of its access router.
//!
//! The router forwards at the downlink's rate, first come first served. What arrives faster waits in a queue that
//! holds `--buffer` milliseconds' worth of bytes at that rate; what arrives while more than that is waiting is
//! dropped, and its sender must send it again. The grain is a quantum of a data message (about a group), so a
//! quantum is queued whole or dropped whole.

/// One downlink and its queue. Times are in µs.
#[derive(Debug)]
pub(crate) struct Downlink {
    bytes_per_s: u64,
    buffer_us: u64,
    /// When everything that was queued will have been forwarded.
    free_at: u64,
}

/// How a quantum passes a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passage {
    pub(crate) wait_us: u64,
    pub(crate) delivered_at: u64,
}

impl Downlink {
    pub(crate) const fn new(bytes_per_s: u64, buffer_us: u64) -> Self {
        Self { bytes_per_s, buffer_us, free_at: 0 }
    }

    /// Queues a quantum that arrives at `now`; `None` if it is dropped because the queue is full.
    pub(crate) fn enqueue(&mut self, now: u64, bytes: u64) -> Option<Passage> {
        let wait_us = self.free_at.saturating_sub(now);
        if wait_us > self.buffer_us {
            return None;
        }
        self.free_at = now + wait_us + bytes * 1_000_000 / self.bytes_per_s;
        Some(Passage { wait_us, delivered_at: self.free_at })
    }
}

/// What the downlinks of all honest viewers did to the quanta that arrived there.
#[derive(Debug, Default)]
pub(crate) struct Passages {
    /// Quanta that were delivered, by how long they waited, in whole ms. No wait is longer than the buffer.
    delivered_by_ms: Vec<u64>,
    delivered: u64,
    dropped: u64,
}

impl Passages {
    /// Counts a quantum; `None` for one that was dropped.
    pub(crate) fn add(&mut self, passage: Option<Passage>) {
        let Some(passage) = passage else {
            self.dropped += 1;
            return;
        };
        let wait_ms = usize::try_from(passage.wait_us / 1000).unwrap_or(usize::MAX);
        if self.delivered_by_ms.len() <= wait_ms {
            self.delivered_by_ms.resize(wait_ms + 1, 0);
        }
        self.delivered_by_ms[wait_ms] += 1;
        self.delivered += 1;
    }

    /// A percentile of the waits of delivered quanta by nearest rank, in whole ms; 0 if nothing was delivered.
    pub(crate) fn wait_ms_percentile(&self, pct: f64) -> f64 {
        let rank = (self.delivered as f64 * pct / 100.0).ceil() as u64;
        let mut counted = 0;
        let wait_ms = self.delivered_by_ms.iter().position(|count| {
            counted += count;
            counted >= rank
        });
        wait_ms.unwrap_or(0) as f64
    }

    /// Quanta that were dropped, per cent of those that arrived.
    pub(crate) fn dropped_pct(&self) -> f64 {
        self.dropped as f64 * 100.0 / (self.delivered + self.dropped).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scenario, run};

    #[test]
    fn what_arrives_faster_than_the_downlink_waits_and_is_dropped_when_the_queue_is_full() {
        // A byte a millisecond, and room for a fifth of a second.
        let mut downlink = Downlink::new(1000, 200_000);
        let passage = |wait_ms: u64, delivered_at_ms: u64| {
            Some(Passage { wait_us: wait_ms * 1000, delivered_at: delivered_at_ms * 1000 })
        };
        assert_eq!(downlink.enqueue(0, 150), passage(0, 150));
        assert_eq!(downlink.enqueue(50_000, 150), passage(100, 300));
        assert_eq!(downlink.enqueue(90_000, 150), None);
        assert_eq!(downlink.enqueue(100_000, 150), passage(200, 450));
        assert_eq!(downlink.enqueue(500_000, 150), passage(0, 650));
    }

    #[test]
    fn waits_are_counted_by_the_millisecond_and_drops_beside_them() {
        let mut passages = Passages::default();
        for wait_ms in 0..100 {
            passages.add(Some(Passage { wait_us: wait_ms * 1000 + 500, delivered_at: 0 }));
        }
        assert_eq!((passages.wait_ms_percentile(99.0), passages.wait_ms_percentile(50.0)), (98.0, 49.0));
        (0..25).for_each(|_| passages.add(None));
        assert_eq!(passages.dropped_pct(), 20.0);
        assert_eq!(Passages::default().wait_ms_percentile(99.0), 0.0);
    }

    #[test]
    fn a_swarm_completes_through_slow_downlinks_with_a_short_queue_and_no_wait_exceeds_it() {
        let scenario = Scenario {
            peers: 6,
            mib: 4,
            peer_down_mbps: vec![4.0],
            peer_up_mbps: vec![20.0],
            media_mbps: 1.0,
            buffer_ms: 30.0,
            ..Scenario::default()
        };
        let report = run(&scenario);
        assert!(report.finished && report.dropped_pct > 0.0, "{report:?}");
        assert!(report.downlink_wait_ms_p99 > 0.0 && report.downlink_wait_ms_p99 <= 30.0, "{report:?}");
        assert_eq!(run(&scenario).trace_hash, report.trace_hash);
        let fast = run(&Scenario { peer_down_mbps: vec![1000.0], ..scenario });
        assert_eq!(fast.dropped_pct, 0.0, "{fast:?}");
    }
}
