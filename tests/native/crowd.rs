//! A hostile crowd at the tracker, beside viewers.

use std::time::Duration;

use anyhow::{Result, ensure};
use tests::crowd::{Plan, round};

const VIEWERS: usize = 60;

/// `cargo xtask bench hostile` has the large crowd and says how much later the viewers complete.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_crowd_costs_no_viewer_its_place_and_the_tracker_stays_small() -> Result<()> {
    let plan = Plan { honest: VIEWERS, hostile: 90, join_over: Duration::from_secs(1) };
    let round = round(plan).await?;
    ensure!(round.lost.is_empty(), "honest viewers were refused or closed: {:?}", round.lost);
    ensure!(round.times.len() == VIEWERS, "{} of {VIEWERS} viewers completed", round.times.len());
    ensure!(round.memory_max_bytes <= 64 << 20, "{} bytes of memory", round.memory_max_bytes);
    ensure!(round.acts.iter().all(|(_, acts)| *acts > 0), "an attacker did nothing: {:?}", round.acts);
    Ok(())
}
