//! Runs the tests tier by tier and prints at the end which tests ran.

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::build;
use crate::pins::WASM_TARGET;
use crate::process::{output, run_watched};
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// Packages whose unit tests run as WebAssembly.
const WASM_PACKAGES: [&str; 2] = ["swarm-core", "peer-wasm"];

/// How long a run of tests may print nothing. Cargo prints nothing there while it builds, which takes up to ten minutes on
/// two cores that have built nothing yet.
const SILENCE: Duration = Duration::from_mins(20);

/// A group of tests that need the same programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Unit tests of every crate on this machine
    Unit,
    /// Unit tests of swarm-core and peer-wasm as WebAssembly; a simulation gives the same result there as here
    Wasm,
    /// Real tracker and seeder processes
    Native,
    /// Real tracker, seeder and Chromium processes
    Browser,
}

impl Tier {
    const ALL: [Self; 4] = [Self::Unit, Self::Wasm, Self::Native, Self::Browser];

    const fn needs(self) -> &'static [Need] {
        match self {
            Self::Unit => &[],
            Self::Wasm => &[Need::WasmTarget, Need::WasmBindgen, Need::Node],
            Self::Native => &[
                Need::WasmTarget,
                Need::Node,
                Need::Network,
                Need::Relays,
                Need::Engine,
                Need::Authority,
                Need::Films,
            ],
            Self::Browser => &[
                Need::WasmTarget,
                Need::Node,
                Need::Browser,
                Need::Firefox,
                Need::Network,
                Need::Relays,
                Need::Films,
                Need::Proxies,
                Need::Engine,
            ],
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Wasm => "wasm",
            Self::Native => "native",
            Self::Browser => "browser",
        }
    }

    /// The commands that run the tests. Everything that they need is built before.
    fn commands(self, workspace: &Workspace) -> Result<Vec<Command>> {
        Ok(match self {
            Self::Unit => vec![workspace.cargo(["test", "--no-fail-fast"])],
            Self::Wasm => {
                let mut traces =
                    wasm_test(workspace, ["swarm-sim", "--no-default-features", "--test", "traces"]);
                traces.env("TRIBUTARY_TRACES", native_traces(workspace)?);
                let unit = WASM_PACKAGES.map(|package| wasm_test(workspace, [package, "--lib"]));
                unit.into_iter().chain([traces]).collect()
            }
            Self::Native | Self::Browser => {
                let mut command = workspace.cargo(["test", "--package", "tests", "--no-fail-fast"]);
                command.args(["--features", "end-to-end", "--test", self.name()]);
                command.env("TRIBUTARY_BIN_DIR", workspace.release_dir());
                command.env("TRIBUTARY_PAGE_DIR", workspace.dist_dir());
                // Browser tests run one at a time: several browsers at once would slow each other down.
                command.args(["--", "--test-threads", if self == Self::Browser { "1" } else { "2" }]);
                vec![command]
            }
        })
    }
}

/// A command that runs tests as WebAssembly under Node.
fn wasm_test<const N: usize>(workspace: &Workspace, package: [&str; N]) -> Command {
    let mut command = workspace.cargo(["test", "--target", WASM_TARGET, "--package"]);
    command.args(package);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner");
    if node_major(workspace).is_some_and(|major| major < 20) {
        // proptest draws its seeds from `crypto`. Node before version 20 has it only behind this flag.
        command.env("NODE_OPTIONS", "--experimental-global-webcrypto");
    }
    command
}

/// The results of the native simulation runs. The `wasm` tier compares its own results with them.
fn native_traces(workspace: &Workspace) -> Result<String> {
    let mut command = workspace.cargo(["run", "--quiet", "--package", "swarm-sim", "--example", "traces"]);
    output(&mut command).context("the simulator's traces could not be made")
}

/// Node's major version: 20 for `v20.1.2`.
fn node_major(workspace: &Workspace) -> Option<u32> {
    output(workspace.command("node").arg("--version"))?.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// The result of one tier.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    tier: Tier,
    passed: u32,
    seconds: u64,
    failure: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tier, passed, seconds, failure } = self;
        write!(f, "{} {passed} passed in {seconds} s", tier.name())?;
        failure.as_ref().map_or(Ok(()), |failure| write!(f, ", FAILED: {failure}"))
    }
}

/// Runs the chosen tiers, or all tiers if none is chosen. A tier that fails does not stop the next one.
pub(crate) fn run(workspace: &Workspace, chosen: &[Tier]) -> Result<()> {
    let tiers: Vec<Tier> =
        Tier::ALL.into_iter().filter(|tier| chosen.is_empty() || chosen.contains(tier)).collect();
    let mut needs: Vec<Need> = Vec::new();
    for need in tiers.iter().flat_map(|tier| tier.needs()) {
        if !needs.contains(need) {
            needs.push(*need);
        }
    }
    setup::install(workspace, &needs)?;
    if tiers.contains(&Tier::Native) || tiers.contains(&Tier::Browser) {
        build::everything(workspace, true)?;
    }
    let outcomes: Vec<Outcome> =
        tiers.into_iter().map(|tier| run_tier(workspace, tier)).collect::<Result<_>>()?;
    let summary = outcomes.iter().map(Outcome::to_string).collect::<Vec<_>>().join("; ");
    eprintln!("\ntests: {summary}");
    if outcomes.iter().any(|outcome| outcome.failure.is_some()) {
        bail!("tests failed");
    }
    Ok(())
}

fn run_tier(workspace: &Workspace, tier: Tier) -> Result<Outcome> {
    let start = Instant::now();
    let mut counts = Counts::default();
    let mut succeeded = true;
    for mut command in tier.commands(workspace)? {
        // An error's causes say what failed. With a stack each, they do not fit the end of a long log.
        command.env("RUST_LIB_BACKTRACE", "0");
        match run_watched(&mut command, SILENCE, |line| counts.add(line)) {
            Ok(has_succeeded) => succeeded &= has_succeeded,
            Err(error) => counts.failures.extend(counts.slow.drain(..).chain([format!("{error:#}")])),
        }
    }
    let failure = counts.failure(succeeded && counts.failures.is_empty());
    Ok(Outcome { tier, passed: counts.passed, seconds: start.elapsed().as_secs(), failure })
}

/// The sums of all `test result:` lines of a run, and the names of tests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
    /// The tests that failed, each with its error once that is printed.
    failures: Vec<String>,
    /// Tests that have run for a minute and have not ended.
    slow: Vec<String>,
    /// The failed test whose output is being printed.
    shown: Option<String>,
    /// Whether the next line says why a test panicked.
    is_panic_next: bool,
    /// Which of [`failures`](Self::failures) has its causes in the next lines.
    explained: Option<usize>,
}

impl Counts {
    fn add(&mut self, line: &str) {
        self.explain(line);
        if let Some(line) = line.strip_prefix("test ") {
            self.slow.retain(|name| line.strip_prefix(name).is_none_or(|rest| !rest.starts_with(" ... ")));
            if let Some(name) = line.strip_suffix(" ... FAILED") {
                self.failures.push(name.to_owned());
            }
            if let Some(name) = line.strip_suffix(" has been running for over 60 seconds") {
                self.slow.push(name.to_owned());
            }
        }
        let Some((_, result)) = line.split_once("test result: ") else { return };
        let count = |what: &str| -> u32 {
            let part = result.split([';', '.']).map(str::trim).find(|part| part.ends_with(what));
            part.and_then(|part| part.split(' ').next()?.parse().ok()).unwrap_or(0)
        };
        self.passed += count(" passed");
        self.failed += count(" failed");
        self.ignored += count(" ignored");
    }

    /// Adds the error of a failed test and its causes to its name: the end of a long log then says all that is needed.
    fn explain(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.shown = Some(name.to_owned());
        }
        let is_panic = std::mem::take(&mut self.is_panic_next);
        let error = if is_panic { Some(line) } else { line.strip_prefix("Error: ") };
        self.is_panic_next = line.starts_with("thread '") && line.contains(" panicked at ");
        if let (Some(error), Some(name)) = (error, &self.shown) {
            // One that has an error already is not found by its name any more.
            self.explained = self.failures.iter().position(|failure| failure == name);
            self.append(error);
        } else if let Some(cause) = line.strip_prefix("    ") {
            self.append(cause.trim_start());
        } else if !line.is_empty() && line != "Caused by:" {
            self.explained = None;
        }
    }

    fn append(&mut self, text: &str) {
        if let Some(failure) = self.explained.and_then(|failure| self.failures.get_mut(failure)) {
            *failure += &format!(": {text}");
        }
    }

    /// A tier fails if a test failed, if a test was ignored, or if no test ran.
    fn failure(&self, succeeded: bool) -> Option<String> {
        if self.failed > 0 || !succeeded {
            let names = self.failures.iter().map(|name| format!("\n  {name}")).collect::<String>();
            return Some(format!("{} failed{names}", self.failed));
        }
        if self.ignored > 0 {
            return Some(format!("{} ignored; mend or delete them", self.ignored));
        }
        (self.passed == 0).then(|| "no test ran".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_tier_runs_the_unit_tests_of_every_package() {
        // Cargo names the default members only when it is asked from the root.
        let root = Workspace::find().unwrap().root().join("Cargo.toml");
        let metadata = cargo_metadata::MetadataCommand::new().manifest_path(root).no_deps().exec().unwrap();
        for package in metadata.workspace_packages() {
            let is_native = metadata.workspace_default_members.contains(&package.id);
            assert!(is_native || WASM_PACKAGES.contains(&package.name.as_str()), "{}", package.name);
        }
    }

    #[test]
    fn results_of_several_test_binaries_add_up() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add(
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
        );
        counts.add("test swarm::it_starts ... ok");
        counts.add("test swarm::it_ends ... FAILED");
        counts.add("test result: FAILED. 1 passed; 1 failed; 4 ignored; 0 filtered out");
        let failures = vec!["swarm::it_ends".to_owned()];
        assert_eq!(counts, Counts { passed: 4, failed: 1, ignored: 4, failures, ..Counts::default() });
        assert_eq!(counts.failure(false).unwrap(), "1 failed\n  swarm::it_ends");
    }

    #[test]
    fn the_summary_says_why_each_test_failed() {
        let mut counts = Counts::default();
        for line in [
            "test one::it_waits ... FAILED",
            "test two::it_asserts ... FAILED",
            "---- one::it_waits stdout ----",
            "--- three trackers: tab 1 ---",
            "Error: through a proxy",
            "",
            "Caused by:",
            "    0: the tab",
            "    1: waited in vain",
            "",
            "---- two::it_asserts stdout ----",
            "thread 'two::it_asserts' (7) panicked at tests/src/two.rs:9:5:",
            "assertion failed: is_true",
            "Error: said by a program of the test",
        ] {
            counts.add(line);
        }
        let expected = "0 failed\n  one::it_waits: through a proxy: 0: the tab: 1: waited in vain\n  two::it_asserts: assertion failed: is_true";
        assert_eq!(counts.failure(false).unwrap(), expected);
    }

    #[test]
    fn a_test_that_does_not_end_is_known() {
        let mut counts = Counts::default();
        counts.add("test swarm::it_starts has been running for over 60 seconds");
        counts.add("test swarm::it_ends has been running for over 60 seconds");
        counts.add("test swarm::it_starts ... ok");
        assert_eq!(counts.slow, ["swarm::it_ends"]);
    }

    #[test]
    fn a_tier_passes_only_if_something_ran_and_nothing_was_left_out() {
        let counts = |passed, failed, ignored| Counts { passed, failed, ignored, ..Counts::default() };
        assert_eq!(counts(3, 0, 0).failure(true), None);
        assert_eq!(counts(0, 0, 0).failure(true).unwrap(), "no test ran");
        assert!(counts(3, 0, 1).failure(true).is_some());
        assert!(counts(3, 0, 0).failure(false).is_some());
        assert!(counts(3, 1, 0).failure(true).is_some());
    }
}
