//! `swarm-sweep`: simulates many random populations and reports whether they meet the published targets.

mod outcome;
mod summary;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rustix::time::{ClockId, clock_gettime};
use swarm_sim::{Economy, Population};

use crate::outcome::Outcome;
use crate::summary::{Summary, table};

/// Simulate random populations, one line each, then report which published targets are missed
///
/// Exits with 1 if one is missed. A population is named SEED:INDEX.
#[derive(Debug, Parser)]
#[command(name = "swarm-sweep", version)]
struct Arguments {
    /// Seed of the sequence of populations
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Several seeds, first and last
    #[arg(long, value_name = "A-B", value_parser = pair('-'), conflicts_with = "seed")]
    seeds: Option<(u64, u64)>,
    /// Populations of each seed
    #[arg(long, default_value_t = 30)]
    count: u32,
    /// How freely the publisher gives; several with commas
    #[arg(long, value_delimiter = ',', default_value = "thrifty")]
    economy: Vec<Economy>,
    /// Print each population's report as a line of JSON
    #[arg(long)]
    json: bool,
    /// Print only the table of the document
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Print the swarm-sim flags of one population, and simulate nothing
    #[arg(long, value_name = "SEED:INDEX", value_parser = pair(':'))]
    replay: Option<(u64, u64)>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether every target is met.
fn run(arguments: &Arguments) -> Result<bool> {
    if let Some((seed, index)) = arguments.replay {
        let index = u32::try_from(index).context("there is no population with such an index")?;
        for economy in &arguments.economy {
            println!("{}", Population::draw(seed, index, *economy).flags());
        }
        return Ok(true);
    }
    let (first, last) = arguments.seeds.unwrap_or((arguments.seed, arguments.seed));
    if first > last || arguments.count == 0 {
        bail!("there is nothing to simulate: give --count above 0 and --seeds with the smaller one first");
    }
    let groups: Vec<(Economy, u64)> = arguments
        .economy
        .iter()
        .flat_map(|economy| (first..=last).map(move |seed| (*economy, seed)))
        .collect();
    let drawn = |(economy, seed): &(Economy, u64)| {
        let (economy, seed) = (*economy, *seed);
        (0..arguments.count).map(move |index| Population::draw(seed, index, economy))
    };
    let outcomes = simulate(groups.iter().flat_map(drawn).collect(), |outcome| show(arguments, outcome))?;
    let summaries: Vec<Summary<'_>> =
        groups.iter().map(|(economy, seed)| Summary::of(*seed, *economy, &outcomes)).collect();
    summaries.iter().for_each(|summary| eprint!("{}", summary.text()));
    if arguments.markdown {
        print!("{}", table(&summaries));
    }
    let failures: Vec<String> = summaries.iter().flat_map(Summary::failures).collect();
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    Ok(failures.is_empty())
}

fn show(arguments: &Arguments, outcome: &Outcome) -> Result<()> {
    if arguments.json {
        println!("{}", outcome.json().context("a report cannot be written")?);
    } else if arguments.markdown {
        eprintln!("{}", outcome.line());
    } else {
        println!("{}", outcome.line());
    }
    Ok(())
}

/// Simulates one population on each processor at a time. Shows outcomes in the order of the populations, each as
/// soon as those before it are done.
fn simulate(populations: Vec<Population>, show: impl Fn(&Outcome) -> Result<()>) -> Result<Vec<Outcome>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let work = |sender: mpsc::Sender<(usize, Outcome)>| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(population) = populations.get(index) else { return };
            let before_s = thread_time_s();
            let mut outcome = Outcome::of(population.clone());
            outcome.report.cpu_seconds = thread_time_s() - before_s;
            if sender.send((index, outcome)).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            let sender = sender.clone();
            scope.spawn(|| work(sender));
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(populations.len());
        for (index, outcome) in receiver {
            early.insert(index, outcome);
            while let Some(outcome) = early.remove(&outcomes.len()) {
                show(&outcome)?;
                outcomes.push(outcome);
            }
        }
        Ok(outcomes)
    })
}

/// Processor time of this thread so far, s.
fn thread_time_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// A parser of two numbers with `separator` between them.
fn pair(separator: char) -> impl Fn(&str) -> Result<(u64, u64), String> + Clone + Send + Sync + 'static {
    move |text| {
        let parsed = text.split_once(separator).and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        parsed.ok_or_else(|| format!("give two numbers with `{separator}` between them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_two_numbers_with_their_separator() {
        assert_eq!(pair(':')("7:12"), Ok((7, 12)));
        assert!(pair('-')("7:12").is_err());
        assert!(pair('-')("7-").is_err());
    }

    #[test]
    fn outcomes_are_in_the_order_of_their_populations_and_the_same_each_time() {
        let small = |index| {
            let mut population = Population::draw(1, index, Economy::Thrifty);
            (population.scenario.peers, population.scenario.mib) = (2 + index % 3, 1);
            population
        };
        let hashes = || -> Vec<(u32, String)> {
            let outcomes = simulate((0..6).map(small).collect(), |_| Ok(())).unwrap();
            outcomes
                .into_iter()
                .map(|outcome| (outcome.population.index, outcome.report.trace_hash))
                .collect()
        };
        let first = hashes();
        assert_eq!(first.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(first, hashes());
    }
}
