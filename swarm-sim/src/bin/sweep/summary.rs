//! The populations of one seed together: whether they meet the published targets, and their row of the table.

use std::fmt::Write as _;

use swarm_sim::{Economy, percentile};

use crate::outcome::{NEAR_RATIO, Outcome, Target};

/// Some targets may be missed by one in this many populations, and by one more if any are left over.
const POPULATIONS_PER_MISS: usize = 30;

/// The populations of one seed under one economy.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    seed: u64,
    economy: Economy,
    outcomes: Vec<&'a Outcome>,
}

impl<'a> Summary<'a> {
    pub(crate) fn of(seed: u64, economy: Economy, outcomes: &'a [Outcome]) -> Self {
        let is_of = |outcome: &&Outcome| {
            outcome.population.seed == seed && outcome.population.scenario.economy == economy
        };
        Self { seed, economy, outcomes: outcomes.iter().filter(is_of).collect() }
    }

    fn concerned(&self, target: Target) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.concerns(target)).count()
    }

    /// The indices of those that miss a target.
    fn misses(&self, target: Target) -> Vec<u32> {
        let missing = self.outcomes.iter().filter(|outcome| outcome.misses(target));
        missing.map(|outcome| outcome.population.index).collect()
    }

    /// How many populations may miss a target.
    fn misses_max(&self, target: Target) -> usize {
        match target {
            // The 90th percentile by nearest rank.
            Target::NearBound => self.concerned(target) / 10,
            Target::NoStalls | Target::AsClientServer => self.outcomes.len().div_ceil(POPULATIONS_PER_MISS),
            Target::NeverFar | Target::NeverFarBehind => 0,
        }
    }

    /// One line a target that is missed.
    pub(crate) fn failures(&self) -> Vec<String> {
        let judged = Target::ALL.into_iter().filter(|target| target.is_for(self.economy));
        judged
            .filter_map(|target| {
                let (misses, max) = (self.misses(target), self.misses_max(target));
                (misses.len() > max).then(|| {
                    format!(
                        "missed with seed {}, {}: {target}: not so in {} of {} populations, at most {max} may: {misses:?}",
                        self.seed,
                        self.economy.name(),
                        misses.len(),
                        self.concerned(target)
                    )
                })
            })
            .collect()
    }

    /// A few lines for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "seed {}, {}, {} populations: flash crowds (T - 2 s)/T* p90 {:.3} (target {NEAR_RATIO} if generous), max \
             {:.3}; copies median {:.2}\n",
            self.seed,
            self.economy.name(),
            self.outcomes.len(),
            percentile(&self.net_ratios(), 90.0),
            percentile(&self.net_ratios(), 100.0),
            percentile(&self.copies(), 50.0)
        );
        for target in Target::ALL {
            let misses = self.misses(target);
            let max = self.misses_max(target);
            let judgement = match (target.is_for(self.economy), misses.len() <= max) {
                (false, _) => "not judged",
                (true, true) => "met",
                (true, false) => "MISSED",
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  {judgement}: {target}: {} of {} miss it, {max} may {misses:?}",
                misses.len(),
                self.concerned(target)
            );
        }
        text
    }

    fn net_ratios(&self) -> Vec<f64> {
        let flash_crowds = self.outcomes.iter().filter(|outcome| outcome.concerns(Target::NearBound));
        sorted(flash_crowds.map(|outcome| outcome.net_ratio()))
    }

    fn copies(&self) -> Vec<f64> {
        sorted(self.outcomes.iter().map(|outcome| outcome.report.seeder_copies))
    }

    /// A row of the table.
    fn row(&self) -> String {
        let of = |target| format!("{} of {}", self.misses(target).len(), self.concerned(target));
        let enough = self.outcomes.iter().filter(|outcome| outcome.concerns(Target::NoStalls));
        let stall_ms = sorted(enough.map(|outcome| outcome.report.stall_ms_mean));
        let behind_ms = sorted(self.outcomes.iter().filter_map(|outcome| outcome.behind_ms()));
        format!(
            "| {}, {} | {:.2} | {:.2} | {} | {} | {:.0} | {} | {:.0} | {:.2} |",
            self.seed,
            self.economy.name(),
            percentile(&self.net_ratios(), 90.0),
            percentile(&self.net_ratios(), 100.0),
            of(Target::NeverFar),
            of(Target::NoStalls),
            percentile(&stall_ms, 100.0),
            of(Target::AsClientServer),
            percentile(&behind_ms, 100.0),
            percentile(&self.copies(), 50.0)
        )
    }
}

/// The table for the document, one row a seed and economy.
pub(crate) fn table(summaries: &[Summary<'_>]) -> String {
    let mut text = String::from(
        "| seed | (T − 2 s)/T\\*, 90 % of flash crowds | worst | beyond 1.2 T\\* + 3 s | stalls > 50 ms a viewer, \
         supply ≥ 1.3 × demand | worst, ms | worse than client-server | latest start behind it, ms | publisher's \
         copies, median |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for summary in summaries {
        text += &summary.row();
        text.push('\n');
    }
    text
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::tests::good;

    fn failures(outcomes: &mut [Outcome], economy: Economy) -> Vec<String> {
        outcomes.iter_mut().for_each(|outcome| outcome.population.scenario.economy = economy);
        Summary::of(1, economy, outcomes).failures()
    }

    fn populations(count: u32) -> Vec<Outcome> {
        (0..count).map(good).collect()
    }

    #[test]
    fn one_population_in_thirty_may_stall_and_two_may_not() {
        let mut outcomes = populations(30);
        outcomes[4].report.stall_ms_mean = 90.0;
        assert_eq!(failures(&mut outcomes, Economy::Thrifty), Vec::<String>::new());
        outcomes[9].report.stall_ms_mean = 90.0;
        let failures = failures(&mut outcomes, Economy::Thrifty);
        assert_eq!(failures.len(), 1);
        assert!(failures[0].contains("2 of 30 populations, at most 1 may: [4, 9]"), "{}", failures[0]);
    }

    #[test]
    fn one_flash_crowd_in_ten_may_end_late_and_none_very_late() {
        let mut outcomes = populations(10);
        outcomes[0].report.seconds = 115.0;
        assert!(failures(&mut outcomes, Economy::Generous).is_empty());
        outcomes[1].report.seconds = 115.0;
        assert_eq!(failures(&mut outcomes, Economy::Generous).len(), 1);
        outcomes[1].report.seconds = 150.0;
        assert_eq!(failures(&mut outcomes, Economy::Generous).len(), 2);
    }

    #[test]
    fn a_thrifty_publisher_is_not_measured_by_the_bound() {
        let mut outcomes = populations(10);
        outcomes.iter_mut().for_each(|outcome| outcome.report.seconds = 900.0);
        assert!(failures(&mut outcomes, Economy::Thrifty).is_empty());
    }

    #[test]
    fn a_start_far_behind_an_ideal_server_is_never_allowed() {
        let mut outcomes = populations(30);
        outcomes[3].report.start_ms_mean = 1200.0;
        assert_eq!(failures(&mut outcomes, Economy::Thrifty).len(), 1);
    }

    #[test]
    fn a_row_has_as_many_cells_as_the_table_has_columns() {
        let outcomes = populations(3);
        let table = table(&[Summary::of(1, Economy::Generous, &outcomes)]);
        let cells: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
        assert_eq!(cells, [10, 10, 10]);
    }
}
