//! `cargo xtask fuzz`: runs targets for some minutes each and keeps what is worth keeping.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use fuzz::TARGETS;
use fuzz::engine::{Budget, Run};

#[derive(Parser)]
#[command(name = "cargo xtask fuzz", bin_name = "cargo xtask fuzz")]
struct Arguments {
    /// How long each target runs, minutes
    #[arg(long, default_value = "1")]
    minutes: u64,
    /// Where the choices begin; a run with the same seed and corpus is the same run
    #[arg(long)]
    seed: Option<u64>,
    /// Run only these; without them all
    targets: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    for name in &arguments.targets {
        ensure!(
            names.contains(&name.as_str()),
            "there is no target `{name}`; there are: {}",
            names.join(", ")
        );
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let is_chosen =
        |name: &str| arguments.targets.is_empty() || arguments.targets.iter().any(|wish| wish == name);
    let mut failures = Vec::new();
    for target in TARGETS.into_iter().filter(|target| is_chosen(target.name)) {
        let budget = Budget::Time(Duration::from_secs(arguments.minutes * 60));
        let ran = Run::new(target, &folder, seed).and_then(|mut run| {
            let tally = run.go(budget)?;
            run.keep()?;
            Ok(tally)
        });
        match ran {
            Ok(tally) => println!(
                "{}: {} inputs, {} new, {} features, no failure (seed {seed})",
                target.name, tally.inputs, tally.new, tally.features
            ),
            Err(error) => {
                println!("{}: FAILED (seed {seed}): {error:#}", target.name);
                failures.push(target.name);
            }
        }
    }
    ensure!(failures.is_empty(), "these failed: {}", failures.join(", "));
    Ok(())
}
