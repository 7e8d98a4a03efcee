//! `seeder doctor`: what it says of networks that let viewers through, and of one that does not.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::internet::{Host, Internet, Relay, Router};
use tests::program::Program;
use tests::{Tracker, seeder};

const TIMEOUT: Duration = Duration::from_secs(60);

/// What the doctor said, and whether it found that viewers reach the machine.
struct Diagnosis {
    is_reachable: bool,
    findings: Vec<Value>,
}

impl Diagnosis {
    /// The state of the only line about this.
    fn state(&self, what: &str) -> Result<&str> {
        let line = self.findings.iter().find(|finding| finding["what"] == what);
        line.and_then(|line| line["state"].as_str())
            .with_context(|| format!("nothing about {what}: {self:?}"))
    }
}

impl std::fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

/// Runs it on a host, for someone who has not published yet.
fn doctor(host: &Host, tracker: &Tracker) -> Result<Diagnosis> {
    doctor_at(tempfile::tempdir()?.path(), host, tracker)
}

/// Runs it on a host, with the data inside `home`.
fn doctor_at(home: &Path, host: &Host, tracker: &Tracker) -> Result<Diagnosis> {
    let mut command = seeder::command(home)?;
    command.args(["doctor", "--tracker", &tracker.url(), "--udp-port", "7000", "--json"]);
    let ended = Program::start("doctor", &mut host.run(&command))?.wait_end(TIMEOUT)?;
    let findings: Vec<Value> =
        ended.stdout.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    ensure!(!findings.is_empty(), "it said nothing: {ended:?}");
    Ok(Diagnosis { is_reachable: ended.status.success(), findings })
}

#[test]
fn an_open_machine_is_reachable_directly_however_often_it_asks() -> Result<()> {
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay, here) = (internet.public()?, internet.public()?, internet.public()?);
    let relay = Relay::start(&at_relay)?;
    let tracker = Tracker::start_on(&at_tracker, &relay.options("udp"))?;
    // With a key, the second run publishes again what the first one removed.
    let home = tempfile::tempdir()?;
    let made =
        Program::start("key", seeder::command(home.path())?.args(["key", "new"]))?.wait_end(TIMEOUT)?;
    ensure!(made.status.success(), "{made:?}");
    for _ in 0..2 {
        let said = doctor_at(home.path(), &here, &tracker)?;
        ensure!(said.is_reachable, "{said:?}");
        for what in
            ["tracker", "clock", "publishing", "port", "address", "nat", "inbound", "relay", "verdict"]
        {
            let is_note = what == "tracker" && said.state(what)? == "note";
            ensure!(is_note || said.state(what)? == "good", "{what}: {said:?}");
        }
        ensure!(format!("{said:?}").contains("no NAT"), "{said:?}");
    }
    Ok(())
}

#[test]
fn behind_a_symmetric_nat_a_machine_is_reachable_through_a_relay_only() -> Result<()> {
    let mut internet = Internet::new()?;
    let (at_tracker, at_one, at_other) = (internet.public()?, internet.public()?, internet.public()?);
    let (one, other) = (Relay::start(&at_one)?, Relay::start(&at_other)?);
    // Two servers see the same port of this machine as two.
    let options = [one.options("udp"), other.options("udp").drain(..2).collect()].concat();
    let tracker = Tracker::start_on(&at_tracker, &options)?;
    let said = doctor(&internet.behind(Router::Symmetric)?, &tracker)?;
    ensure!(said.is_reachable && said.state("relay")? == "good", "{said:?}");
    ensure!(said.state("nat")? == "bad" && format!("{said:?}").contains("symmetric"), "{said:?}");
    ensure!(said.state("inbound")? == "note", "{said:?}");
    ensure!(format!("{said:?}").contains("through a relay only"), "{said:?}");
    Ok(())
}

#[test]
fn a_machine_whose_udp_is_dropped_is_not_reachable_and_is_told_what_to_open() -> Result<()> {
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay) = (internet.public()?, internet.public()?);
    let relay = Relay::start(&at_relay)?;
    let tracker = Tracker::start_on(&at_tracker, &relay.options("udp"))?;
    let said = doctor(&internet.behind(Router::NoUdp)?, &tracker)?;
    ensure!(!said.is_reachable && said.state("verdict")? == "bad", "{said:?}");
    ensure!(said.state("publishing")? == "good" && said.state("nat")? == "bad", "{said:?}");
    ensure!(format!("{said:?}").contains("let UDP out"), "{said:?}");
    Ok(())
}
