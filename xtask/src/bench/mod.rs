//! `cargo xtask bench`: measurements of the real programs on this machine.
//!
//! Each subcommand has a module. [`page`] measures the time to the first frame in a browser, [`hidden`] what a hidden tab still does, [`viewers`] the cost of
//! a viewer to the seeder, [`tracker`] the cost of a connection to the tracker, [`audience`] how
//! trackers serve viewers that come and go, [`several`] what a bridge
//! from tracker to tracker costs, [`restart`] what peers notice of a rolling restart, [`hostile`] what a hostile crowd costs
//! other viewers; they run a [`measuring`] program of the `tests` crate. [`swarm`] measures a whole swarm in
//! network namespaces:
//!
//! ```text
//! options ─→ swarm ─→ run ─┬→ stage ─┬→ network   namespaces, rate caps, interface counters
//!                          │         ├→ system    the programs: ours, or those to compare with
//!                          │         └→ program   one process: its output, its CPU time, its end
//!                          ├→ faults    which process is killed when
//!                          └→ record ─→ report    pure: bound, timeline, JSON
//! ```

mod audience;
mod bound;
mod content;
mod faults;
mod hidden;
mod hostile;
mod measuring;
mod network;
mod options;
mod page;
mod program;
mod record;
mod report;
mod restart;
mod run;
mod several;
mod spread;
mod stage;
mod swarm;
mod system;
mod timeline;
mod tracker;
mod viewers;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::Workspace;

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// A swarm of real processes in network namespaces with capped rates; prints JSON, one line a run
    Swarm(options::SwarmOptions),
    /// The time to the first frame of a film in Chromium: plain HTTP and Tributary, side by side
    Page(page::PageOptions),
    /// What a hidden tab serves, fetches and plays, beside the same tab when it is visible
    Hidden(hidden::HiddenOptions),
    /// What a viewer that cannot upload costs the seeder: processor time and memory
    Viewers(viewers::ViewersOptions),
    /// How much later viewers are served while a hostile crowd attacks the tracker
    Hostile(hostile::HostileOptions),
    /// What a connection and a message cost the tracker: memory and processor time
    Tracker(tracker::TrackerOptions),
    /// How one tracker, or several, serve viewers that come, build links, leave and come back together
    Audience(audience::AudienceOptions),
    /// What it costs that several trackers act as one: time of a bridged signal, operations of Redis
    Several(several::SeveralOptions),
    /// What peers notice when several trackers are restarted one after the other
    Restart(restart::RestartOptions),
}

/// Measures and prints.
pub(crate) fn run(workspace: &Workspace, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Swarm(options) => swarm::run(workspace, options),
        Bench::Page(options) => page::run(workspace, options),
        Bench::Hidden(options) => hidden::run(workspace, options),
        Bench::Viewers(options) => viewers::run(workspace, options),
        Bench::Hostile(options) => hostile::run(workspace, options),
        Bench::Tracker(options) => tracker::run(workspace, options),
        Bench::Audience(options) => audience::run(workspace, options),
        Bench::Several(options) => several::run(workspace, options),
        Bench::Restart(options) => restart::run(workspace, options),
    }
}
