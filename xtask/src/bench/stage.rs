//! The network of one run and the programs on it: who runs where, started, listened to, looked at, killed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::iterator::Signals;

use crate::bench::network::{Counters, Network, Place};
use crate::bench::options::SwarmOptions;
use crate::bench::program::{Event, Heard, Program, Who};
use crate::bench::system::{Scene, System};

/// How long the tracker may take to listen, and the seeder to hash and publish.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How often signals and processes are looked at while somebody is waited for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Network and programs. Programs are declared before the network, so that they end before it does.
pub(crate) struct Stage<'a> {
    system: &'a System,
    scene: &'a Scene<'a>,
    logs: &'a Path,
    programs: BTreeMap<Who, Program>,
    network: Network,
    tracker: Place,
    /// The seeder's, then the leechers'.
    peers: Vec<Place>,
    heard: Receiver<Heard>,
    tell: Sender<Heard>,
}

impl<'a> Stage<'a> {
    /// The network, and nobody on it.
    pub(crate) fn new(
        options: &SwarmOptions,
        system: &'a System,
        scene: &'a Scene<'a>,
        logs: &'a Path,
    ) -> Result<Self> {
        let mut network = Network::new()?;
        let tracker = network.place(None, None)?;
        let mut peers = vec![network.place(Some(options.seeder_up), None)?];
        for (up, down) in options.ups().into_iter().zip(options.downs()) {
            peers.push(network.place(Some(up), Some(down))?);
        }
        let (tell, heard) = channel();
        let programs = BTreeMap::new();
        Ok(Self { system, scene, logs, programs, network, tracker, peers, heard, tell })
    }

    /// The files of the run.
    pub(crate) const fn scene(&self) -> &'a Scene<'a> {
        self.scene
    }

    /// The programs of the run.
    pub(crate) const fn system(&self) -> &'a System {
        self.system
    }

    /// Starts the tracker, if there is one; whether there is.
    pub(crate) fn start_tracker(&mut self) -> Result<bool> {
        let Some(mut command) = self.system.tracker(&self.tracker, self.scene) else { return Ok(false) };
        self.spawn(Who::Tracker, &mut command)?;
        Ok(true)
    }

    /// Starts tracker and seeder and waits until leechers may come; what they are to be given.
    pub(crate) fn prepare(&mut self, signals: &mut Signals) -> Result<String> {
        if self.start_tracker()? {
            self.wait_for(Who::Tracker, signals, |line| line.contains("http://").then(String::new))?;
        }
        let place = self.peers.first().context("a seeder without a place")?;
        let mut command = self.system.seeder(place, &self.tracker, self.scene)?;
        self.spawn(Who::Seeder, &mut command)?;
        self.wait_for(Who::Seeder, signals, |line| match Event::read(line)? {
            Event::Ready { link } => Some(link),
            Event::Progress(_) | Event::Done(_) | Event::Error { .. } => None,
        })
    }

    /// Starts a leecher.
    pub(crate) fn start_leecher(&mut self, number: usize, link: &str) -> Result<()> {
        let place = self.peers.get(number + 1).context("a leecher without a place")?;
        let addresses = self.peers.iter().map(|peer| peer.address);
        let others: Vec<Ipv4Addr> = addresses.filter(|address| *address != place.address).collect();
        let mut command = self.system.leecher(number, place, link, &others, self.scene)?;
        self.spawn(Who::Leecher(number), &mut command)
    }

    /// Ends a program the hard way, if it runs.
    pub(crate) fn kill(&mut self, who: Who) {
        if let Some(program) = self.programs.remove(&who) {
            program.kill();
        }
    }

    /// The next line that somebody says.
    pub(crate) fn hear(&self, timeout: Duration) -> Option<Heard> {
        // There is always somebody who might say something: this stage has a sender itself.
        self.heard.recv_timeout(timeout).ok()
    }

    /// What each peer's interface counted so far: the seeder's, then the leechers'.
    pub(crate) fn counters(&self) -> Result<Vec<Counters>> {
        self.network.counters(&self.peers)
    }

    /// Share of frames that each peer's uplink lost, in the same order.
    pub(crate) fn losses(&self) -> Result<Vec<f64>> {
        Network::losses(&self.peers)
    }

    /// CPU time of all who run, seconds.
    pub(crate) fn cpu_s(&self) -> impl Iterator<Item = (Who, f64)> {
        self.programs.iter().filter_map(|(who, program)| Some((*who, program.cpu_s()?)))
    }

    /// An error if somebody ended by himself, or a person wants to stop.
    pub(crate) fn check(&mut self, signals: &mut Signals) -> Result<()> {
        if signals.pending().next().is_some() {
            bail!("stopped");
        }
        for (who, program) in &mut self.programs {
            if let Some(status) = program.ended()? {
                bail!("the {who} ended ({status}): {}", program.last_words());
            }
        }
        Ok(())
    }

    fn wait_for(
        &mut self,
        who: Who,
        signals: &mut Signals,
        find: impl Fn(&str) -> Option<String>,
    ) -> Result<String> {
        let deadline = Instant::now() + READY_TIMEOUT;
        while Instant::now() < deadline {
            let heard = self.hear(LOOK_INTERVAL).filter(|heard| heard.who == who);
            if let Some(found) = heard.and_then(|heard| find(&heard.line)) {
                return Ok(found);
            }
            self.check(signals)?;
        }
        bail!("the {who} does not become ready within {} s", READY_TIMEOUT.as_secs())
    }

    fn spawn(&mut self, who: Who, command: &mut Command) -> Result<()> {
        let program = Program::start(who, command, self.logs, &self.tell)?;
        self.programs.insert(who, program);
        Ok(())
    }
}
