//! One content among those that a seeder serves.

use std::path::PathBuf;

use swarm_core::SwarmId;
use swarm_core::peer::Stats;

use crate::PeerHandle;
use crate::address::TrackerAddress;
use crate::program::report::{About, Reporter, Told};

/// A content that is being seeded.
pub(super) struct Seeding {
    pub(super) swarm: SwarmId,
    pub(super) path: PathBuf,
    /// The first is the one that links name.
    pub(super) trackers: Vec<TrackerAddress>,
    pub(super) peer: PeerHandle,
    pub(super) is_announced: bool,
    pub(super) is_stopped: bool,
    pub(super) told: Told,
}

impl Seeding {
    /// Says something to programs of what is seeded.
    pub(super) fn about<T>(&self, say: impl FnOnce(About<'_>) -> T) -> T {
        let path = self.path.to_string_lossy();
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        say(About { swarm: self.swarm, path: &path, name: &name })
    }

    /// Says where it stands, if that was not said already.
    pub(super) fn progress(&mut self, reporter: Reporter, stats: &Stats) {
        let mut told = std::mem::take(&mut self.told);
        self.about(|about| reporter.progress(about, stats, &mut told));
        self.told = told;
    }
}
