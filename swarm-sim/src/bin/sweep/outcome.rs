//! The outcome of one population, and the published targets that it misses.

use std::fmt;

use serde::Serialize;
use swarm_sim::{Distribution, Economy, Population, Report, Scenario};

/// Nine in ten flash crowds finish within 1.10 T* + 2 s.
pub(crate) const NEAR_RATIO: f64 = 1.10;
/// This part pays for the set-up of connections and the last hops. It does not grow with the content.
pub(crate) const NEAR_S: f64 = 2.0;
/// Every flash crowd finishes within 1.2 T* + 3 s.
const FAR_RATIO: f64 = 1.2;
const FAR_S: f64 = 3.0;
/// Where supply is at least this multiple of demand at every moment, viewers do not stall.
const SUPPLY_OVER_DEMAND: f64 = 1.3;
/// Stalls of up to this many ms a viewer, on average, count as none.
const STALL_MS_MAX: f64 = 50.0;
/// Where the publisher's uplink is at least this multiple of demand, the swarm is compared with client-server.
const PUBLISHER_OVER_DEMAND: f64 = 1.1;
/// Most that the mean start may be later than with client-server, ms.
const BEHIND_MS_MAX: f64 = 150.0;
/// The same without any exception, ms.
const FAR_BEHIND_MS_MAX: f64 = 600.0;

/// A target. Each is missed or not by one population; how many may miss it is decided over a whole seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    /// A flash crowd ends within 1.10 T* + 2 s.
    NearBound,
    /// A flash crowd ends within 1.2 T* + 3 s.
    NeverFar,
    /// No stalls where there is enough supply.
    NoStalls,
    /// As good as client-server where the publisher could serve everybody alone.
    AsClientServer,
    /// A start never much later than with client-server.
    NeverFarBehind,
}

impl Target {
    pub(crate) const ALL: [Self; 5] =
        [Self::NearBound, Self::NeverFar, Self::NoStalls, Self::AsClientServer, Self::NeverFarBehind];

    /// Whether it is published for this economy: a thrifty publisher does not aim at the bound.
    pub(crate) const fn is_for(self, economy: Economy) -> bool {
        match self {
            Self::NearBound | Self::NeverFar => matches!(economy, Economy::Generous),
            Self::NoStalls | Self::AsClientServer | Self::NeverFarBehind => true,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NearBound => "T <= 1.10 T* + 2 s in a flash crowd",
            Self::NeverFar => "T <= 1.2 T* + 3 s in a flash crowd",
            Self::NoStalls => "at most 50 ms of stalls a viewer where supply is 1.3 x demand",
            Self::AsClientServer => {
                "no stall and a mean start within 150 ms of client-server's where the publisher alone carries 1.1 x \
                 demand"
            }
            Self::NeverFarBehind => "mean start at most 600 ms later than client-server's",
        })
    }
}

/// A line of JSON.
#[derive(Debug, Serialize)]
struct Line<'a> {
    seed: u64,
    index: u32,
    economy: &'static str,
    flags: String,
    report: &'a Report,
    client_server: Option<&'a Report>,
    misses: Vec<Target>,
}

/// A population and its report.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) population: Population,
    pub(crate) report: Report,
    /// The baseline, where the publisher could serve everybody alone.
    pub(crate) client_server: Option<Report>,
}

impl Outcome {
    /// Simulates a population, and the baseline where it is of interest.
    pub(crate) fn of(population: Population) -> Self {
        let report = swarm_sim::run(&population.scenario);
        let is_rich = report.publisher_over_demand.is_some_and(|ratio| ratio >= PUBLISHER_OVER_DEMAND);
        let baseline = Scenario { distribution: Distribution::ClientServer, ..population.scenario.clone() };
        let client_server = is_rich.then(|| swarm_sim::run(&baseline));
        Self { population, report, client_server }
    }

    /// (T − 2 s) / T*.
    pub(crate) fn net_ratio(&self) -> f64 {
        (self.report.seconds - NEAR_S) / self.report.bound_seconds
    }

    /// How much later playback starts than with client-server, ms, on average; negative if earlier.
    pub(crate) fn behind_ms(&self) -> Option<f64> {
        Some(self.report.start_ms_mean - self.client_server.as_ref()?.start_ms_mean)
    }

    /// Whether a target is about this population.
    pub(crate) fn concerns(&self, target: Target) -> bool {
        match target {
            Target::NearBound | Target::NeverFar => self.population.scenario.join_over_s == 0.0,
            Target::NoStalls => {
                self.report.supply_over_demand_min.is_some_and(|ratio| ratio >= SUPPLY_OVER_DEMAND)
            }
            Target::AsClientServer | Target::NeverFarBehind => self.client_server.is_some(),
        }
    }

    /// Whether a target that is about this population is missed. A run that does not finish misses them all.
    pub(crate) fn misses(&self, target: Target) -> bool {
        let report = &self.report;
        let behind_ms = self.behind_ms().unwrap_or(0.0);
        let is_missed = match target {
            Target::NearBound => self.net_ratio() > NEAR_RATIO,
            Target::NeverFar => report.seconds > FAR_RATIO * report.bound_seconds + FAR_S,
            Target::NoStalls => report.stall_ms_mean > STALL_MS_MAX,
            Target::AsClientServer => report.stalls > 0 || behind_ms > BEHIND_MS_MAX,
            Target::NeverFarBehind => behind_ms > FAR_BEHIND_MS_MAX,
        };
        self.concerns(target) && (is_missed || !report.finished)
    }

    /// The targets of its economy that it misses.
    pub(crate) fn missed(&self) -> Vec<Target> {
        let economy = self.population.scenario.economy;
        Target::ALL.into_iter().filter(|target| target.is_for(economy) && self.misses(*target)).collect()
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let Self { population, report, .. } = self;
        let ratio = |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
        let baseline = self.client_server.as_ref();
        let missed: Vec<String> = self.missed().iter().map(|target| format!("{target:?}")).collect();
        format!(
            "{}:{:<3} T/T* {:5.3} copies {:5.2} start {:5.0}/{:5.0} (client-server {}) stalls {:3} stall_ms {:6.0} \
             worst {:7.0} queue p99 {:3.0} dropped {:4.1} % supply {} publisher {} | {}{}{}",
            population.seed,
            population.index,
            report.t_over_bound,
            report.seeder_copies,
            report.start_ms_mean,
            report.start_ms_max,
            baseline.map_or("-".into(), |baseline| format!("{:.0}", baseline.start_ms_mean)),
            report.stalls,
            report.stall_ms_mean,
            report.stall_ms_max,
            report.downlink_wait_ms_p99,
            report.dropped_pct,
            ratio(report.supply_over_demand_min),
            ratio(report.publisher_over_demand),
            population.flags(),
            if report.finished { "" } else { " | not finished" },
            if missed.is_empty() { String::new() } else { format!(" | misses {}", missed.join(", ")) },
        )
    }

    /// One line for programs.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Line {
            seed: self.population.seed,
            index: self.population.index,
            economy: self.population.scenario.economy.name(),
            flags: self.population.flags(),
            report: &self.report,
            client_server: self.client_server.as_ref(),
            misses: self.missed(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A flash crowd that meets every target by a hair.
    pub(crate) fn good(index: u32) -> Outcome {
        let mut population = Population::draw(1, index, Economy::Generous);
        population.scenario.join_over_s = 0.0;
        let report = Report {
            finished: true,
            seconds: 111.9,
            bound_seconds: 100.0,
            supply_over_demand_min: Some(1.5),
            stall_ms_mean: 50.0,
            start_ms_mean: 650.0,
            ..Report::default()
        };
        let client_server = Some(Report { start_ms_mean: 500.0, ..Report::default() });
        Outcome { population, report, client_server }
    }

    fn missed(change: impl FnOnce(&mut Outcome)) -> Vec<Target> {
        let mut outcome = good(0);
        change(&mut outcome);
        outcome.missed()
    }

    #[test]
    fn each_target_is_missed_just_beyond_its_bound() {
        assert_eq!(missed(|_| {}), []);
        assert_eq!(missed(|outcome| outcome.report.seconds = 112.1), [Target::NearBound]);
        assert_eq!(missed(|outcome| outcome.report.seconds = 123.1), [Target::NearBound, Target::NeverFar]);
        assert_eq!(missed(|outcome| outcome.report.stall_ms_mean = 50.1), [Target::NoStalls]);
        assert_eq!(missed(|outcome| outcome.report.stalls = 1), [Target::AsClientServer]);
        assert_eq!(missed(|outcome| outcome.report.start_ms_mean = 650.1), [Target::AsClientServer]);
        let far_behind = missed(|outcome| outcome.report.start_ms_mean = 1100.1);
        assert_eq!(far_behind, [Target::AsClientServer, Target::NeverFarBehind]);
    }

    #[test]
    fn targets_are_only_for_the_populations_they_are_about() {
        let late = missed(|outcome| {
            outcome.population.scenario.join_over_s = 20.0;
            outcome.report.seconds = 500.0;
        });
        assert_eq!(late, []);
        let starved = missed(|outcome| {
            outcome.report.supply_over_demand_min = Some(1.29);
            outcome.report.stall_ms_mean = 500.0;
        });
        assert_eq!(starved, []);
        let poor = missed(|outcome| {
            outcome.client_server = None;
            outcome.report.start_ms_mean = 5000.0;
        });
        assert_eq!(poor, []);
    }

    #[test]
    fn a_run_that_does_not_finish_misses_every_target_about_it() {
        assert_eq!(missed(|outcome| outcome.report.finished = false), Target::ALL);
    }
}
