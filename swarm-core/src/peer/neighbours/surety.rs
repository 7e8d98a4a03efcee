//! How sure a player can be that a group which comes late comes from another neighbour in time.

use std::time::Duration;

use super::{Link, Neighbours};
use crate::peer::tuning::PATH_GUESS;
use crate::tracker_message::Role;

impl Link {
    /// Whether it is an initial peer that can serve all playback by itself. A viewer that says so is not believed.
    pub(crate) fn is_rich_publisher(&self) -> bool {
        self.role == Role::Initial && self.standing().is_rich
    }
}

impl Neighbours {
    /// Whether an initial peer is linked that can serve all playback by itself.
    pub(crate) fn has_rich_publisher(&self) -> bool {
        self.open().any(|(_, link)| link.is_rich_publisher())
    }

    /// The median of the links' least round trips: without the queues of the moment.
    pub(crate) fn usual_rtt(&self) -> Duration {
        let mut measured: Vec<Duration> = self.open().filter_map(|(_, link)| link.rtt.least()).collect();
        let middle = measured.len() / 2;
        if measured.is_empty() { PATH_GUESS } else { *measured.select_nth_unstable(middle).1 }
    }
}
