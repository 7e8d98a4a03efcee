//! What was seen of one run, before anything is worked out from it.

use crate::bench::program::{Done, Progress};
use crate::bench::timeline::Timeline;

/// One run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// Length of the content, bytes.
    pub(crate) length_bytes: u64,
    /// Those who fetch.
    pub(crate) leechers: Vec<Leecher>,
    /// What the seeder said last.
    pub(crate) seeder: Progress,
    /// When the seeder was killed, seconds from the start.
    pub(crate) seeder_killed_s: Option<f64>,
    /// CPU time of the seeder, s.
    pub(crate) seeder_cpu_s: f64,
    /// CPU time of the tracker, s; of the last one if it was started again.
    pub(crate) tracker_cpu_s: Option<f64>,
    /// Interfaces over time.
    pub(crate) timeline: Timeline,
    /// Share of frames that each uplink lost: the seeder's, then the leechers'.
    pub(crate) losses: Vec<f64>,
    /// Processes that wanted to run when the run began and when it ended, a minute's mean.
    pub(crate) load: [f64; 2],
}

/// One who fetches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leecher {
    /// When it came, seconds from the start.
    pub(crate) joined_s: Option<f64>,
    /// When it knew what it is to fetch, seconds from the start.
    pub(crate) ready_s: Option<f64>,
    /// When it was complete, seconds from the start.
    pub(crate) done_s: Option<f64>,
    /// What it said when it was complete.
    pub(crate) done: Done,
    /// What it said last.
    pub(crate) progress: Progress,
    /// CPU time it took, s.
    pub(crate) cpu_s: f64,
    /// Whether it was killed.
    pub(crate) is_lost: bool,
}

impl Record {
    /// Those who were not killed.
    pub(crate) fn survivors(&self) -> impl Iterator<Item = &Leecher> {
        self.leechers.iter().filter(|leecher| !leecher.is_lost)
    }

    /// Whether all who were not killed are complete.
    pub(crate) fn is_finished(&self) -> bool {
        self.survivors().all(|leecher| leecher.done_s.is_some())
    }
}
