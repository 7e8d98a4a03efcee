//! Who is killed when. Pure: [`run`](mod@crate::bench::run) does it.

use std::time::Duration;

use crate::bench::options::SwarmOptions;

/// Something that happens to a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The tracker is killed.
    KillTracker,
    /// The tracker is started again.
    StartTracker,
    /// A leecher is killed.
    KillLeecher(usize),
}

/// What is still to happen, by time from the start.
#[derive(Debug)]
pub(crate) struct Faults {
    planned: Vec<(Duration, Fault)>,
}

impl Faults {
    /// What the command line asks for.
    pub(crate) fn plan(options: &SwarmOptions) -> Self {
        let mut planned = Vec::new();
        if let Some(outage) = options.kill_tracker {
            planned.push((outage.from, Fault::KillTracker));
            planned.push((outage.to, Fault::StartTracker));
        }
        if let Some(loss) = options.kill_peers {
            let victims = spread(options.lost_count(), options.leecher_count());
            planned.extend(victims.map(|victim| (loss.at, Fault::KillLeecher(victim))));
        }
        planned.sort_by_key(|(at, _)| *at);
        Self { planned }
    }

    /// What is due now, in order; it is not told again.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Fault> {
        let count = self.planned.partition_point(|(at, _)| *at <= now);
        self.planned.drain(..count).map(|(_, fault)| fault).collect()
    }
}

/// `count` of `all`, evenly spread, so that slow and fast peers are hit alike.
fn spread(count: usize, all: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| (2 * number + 1) * all / (2 * count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: SwarmOptions,
    }

    #[test]
    fn faults_are_due_once_and_in_order() {
        let line = "bench --leechers 9 --kill-tracker 5-65 --kill-peers 33@10";
        let mut faults = Faults::plan(&Line::parse_from(line.split(' ')).options);
        let mut due = |second| faults.due(Duration::from_secs(second));
        assert_eq!(due(4), []);
        assert_eq!(due(5), [Fault::KillTracker]);
        assert_eq!(due(20), [1, 4, 7].map(Fault::KillLeecher));
        assert_eq!(due(100), [Fault::StartTracker]);
        assert_eq!(due(1000), []);
    }

    #[test]
    fn victims_are_different_and_exist() {
        for all in 1..20 {
            for count in 0..all {
                let victims: Vec<usize> = spread(count, all).collect();
                assert!(victims.is_sorted_by(|a, b| a < b) && victims.iter().all(|victim| *victim < all));
                assert_eq!(victims.len(), count);
            }
        }
    }
}
