//! `swarm-sim`: simulates a swarm and prints its report.

mod cli;
mod text;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let scenario = match arguments.scenario() {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let before = cpu_time();
    let mut report = swarm_sim::run(&scenario);
    report.cpu_seconds = cpu_time().saturating_sub(before).as_secs_f64();
    if arguments.json {
        match serde_json::to_string(&report) {
            Ok(json) => println!("{json}"),
            Err(error) => {
                eprintln!("error: the report cannot be written: {error}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        println!("{}", text::answer(&scenario, &report));
    }
    if report.finished { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
