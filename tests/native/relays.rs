//! Peers whose networks keep them apart: what passes goes through a relay (TURN).

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::random_file;
use tests::internet::{Internet, Relay, Router};
use tests::{Fetch, Seeder, Tracker};

const TIMEOUT: Duration = Duration::from_secs(60);

/// A tracker with a relay.
struct Middle {
    internet: Internet,
    tracker: Tracker,
    relay_address: Ipv4Addr,
    _relay: Relay,
}

fn middle() -> Result<Middle> {
    let mut internet = Internet::new()?;
    let (at_tracker, at_relay) = (internet.public()?, internet.public()?);
    // A relay that its kernel refuses to send to private addresses for closes the allocation that asked for it.
    at_relay.close_elsewhere()?;
    let relay = Relay::start(&at_relay)?;
    let tracker = Tracker::start_on(&at_tracker, &relay.options("udp"))?;
    Ok(Middle { internet, tracker, relay_address: at_relay.address, _relay: relay })
}

/// A fetcher gets everything from another one; both are behind symmetric NATs.
fn one_fetches_from_the_other(port: &[&str]) -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 3_000_000, 1)?;
    let mut middle = middle()?;
    let at_seeder = middle.internet.public()?;
    let (at_first, at_second) =
        (middle.internet.behind(Router::Symmetric)?, middle.internet.behind(Router::Symmetric)?);
    let seeder = Seeder::start_on(&at_seeder, &middle.tracker, &file, home.path(), &[])?;
    let options: Vec<&str> = ["--stay"].iter().chain(port).copied().collect();
    let first = Fetch::start_on(&at_first, seeder.link(), &home.path().join("first.bin"), &options)?;
    first.wait_done(TIMEOUT)?;
    seeder.kill()?;
    let second = Fetch::start_on(&at_second, seeder.link(), &home.path().join("second.bin"), port)?;
    let done = second.wait_done(TIMEOUT)?;
    ensure!(done.from_initial == 0 && done.from_peers >= done.bytes, "{done:?}");
    ensure!(fs::read(&second.output)? == fs::read(&file)?, "the copy differs");
    Ok(())
}

#[test]
fn fetchers_behind_symmetric_nats_exchange_through_a_relay() -> Result<()> {
    one_fetches_from_the_other(&[])
}

#[test]
fn fetchers_behind_symmetric_nats_exchange_through_a_relay_with_one_port_each() -> Result<()> {
    one_fetches_from_the_other(&["--udp-port", "7000"])
}

/// Relay to relay is the only way, so the seeder must have an address there although its connections share a port.
#[test]
fn a_seeder_with_one_port_that_reaches_nothing_but_the_relay_serves_through_it() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 3_000_000, 2)?;
    let mut middle = middle()?;
    let router = Router::UdpOnlyTo(middle.relay_address);
    let at_seeder = middle.internet.behind(router)?;
    let fetchers = [middle.internet.behind(router)?, middle.internet.behind(router)?];
    let options = ["--udp-port", "7000"];
    let seeder = Seeder::start_on(&at_seeder, &middle.tracker, &file, home.path(), &options)?;
    let start = |(number, host)| {
        Fetch::start_on(host, seeder.link(), &home.path().join(format!("copy{number}.bin")), &["--stay"])
    };
    let fetches: Vec<Fetch> = fetchers.iter().enumerate().map(start).collect::<Result<_>>()?;
    for fetch in &fetches {
        fetch.wait_done(TIMEOUT)?;
        ensure!(fs::read(&fetch.output)? == fs::read(&file)?, "the copy differs");
    }
    Ok(())
}
