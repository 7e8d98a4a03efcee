//! Peers whose networks keep them apart: what passes goes through a relay (TURN).

use std::fs;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tests::content::random_file;
use tests::internet::{Internet, Relay};
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

/// Relay to relay is the only way, so the seeder must have an address there although its connections share a port.
#[test]
fn a_seeder_with_one_port_that_reaches_nothing_but_the_relay_serves_through_it() -> Result<()> {
    let home = tempfile::tempdir()?;
    let file = home.path().join("film.bin");
    random_file(&file, 3_000_000, 2)?;
    let mut middle = middle()?;
    let relay = middle.relay_address;
    let at_seeder = middle.internet.behind(relay)?;
    let fetchers = [middle.internet.behind(relay)?, middle.internet.behind(relay)?];
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
