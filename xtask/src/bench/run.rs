//! One run: lays out the network, starts everybody, watches until the last is complete.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::iterator::Signals;

use crate::bench::bound;
use crate::bench::content;
use crate::bench::faults::{Fault, Faults};
use crate::bench::network::{Counters, Network, Place};
use crate::bench::options::SwarmOptions;
use crate::bench::program::{Event, Heard, Program, Who};
use crate::bench::record::{Leecher, Record};
use crate::bench::system::{Scene, System};
use crate::bench::timeline::Sample;

/// How long the tracker may take to listen, and the seeder to hash and publish.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// How often counters, processes and signals are looked at.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// How often it is looked at who is to start or to be killed.
const TICK: Duration = Duration::from_millis(10);

/// For what peers say once a second to come once more after the end.
const LAST_WORDS: Duration = Duration::from_millis(1300);

/// A run is given up after this many times its bound and [`GRACE`].
const BOUNDS_MAX: f64 = 5.0;

/// What a run may take beside.
const GRACE: Duration = Duration::from_secs(60);

/// A run under way. Its programs are declared before its network, so that they end before it does.
struct Run<'a> {
    options: &'a SwarmOptions,
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
    /// What the seeder gives to leechers.
    link: String,
    start: Instant,
    /// What interfaces had counted at the start.
    counters_at_start: Vec<Counters>,
    record: Record,
}

/// Measures once.
pub(crate) fn measure(
    options: &SwarmOptions,
    system: &System,
    scene: &Scene<'_>,
    logs: &Path,
    signals: &mut Signals,
) -> Result<Record> {
    let mut run = Run::new(options, system, scene, logs)?;
    run.prepare(signals)?;
    run.watch(signals)?;
    Ok(run.record)
}

impl<'a> Run<'a> {
    fn new(
        options: &'a SwarmOptions,
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
        let record = Record {
            length_bytes: fs::metadata(scene.original)?.len(),
            leechers: vec![Leecher::default(); options.leecher_count()],
            load: [load1(), 0.0],
            ..Record::default()
        };
        Ok(Self {
            options,
            system,
            scene,
            logs,
            programs: BTreeMap::new(),
            network,
            tracker,
            peers,
            heard,
            tell,
            link: String::new(),
            start: Instant::now(),
            counters_at_start: Vec::new(),
            record,
        })
    }

    /// Starts tracker and seeder and waits until leechers may come.
    fn prepare(&mut self, signals: &mut Signals) -> Result<()> {
        if let Some(mut command) = self.system.tracker(&self.tracker, self.scene) {
            self.spawn(Who::Tracker, &mut command)?;
            self.wait_for(Who::Tracker, signals, |line| line.contains("http://").then(String::new))?;
        }
        let mut command = self.system.seeder(self.seeder_place()?, &self.tracker, self.scene)?;
        self.spawn(Who::Seeder, &mut command)?;
        self.link = self.wait_for(Who::Seeder, signals, |line| match Event::read(line)? {
            Event::Ready { link } => Some(link),
            Event::Progress(_) | Event::Done(_) | Event::Error { .. } => None,
        })?;
        self.counters_at_start = self.network.counters(&self.peers)?;
        self.start = Instant::now();
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
            stop_if_asked(signals)?;
            match self.heard.recv_timeout(SAMPLE_INTERVAL) {
                Ok(heard) if heard.who == who => {
                    if let Some(found) = find(&heard.line) {
                        return Ok(found);
                    }
                }
                Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.check_programs()?;
        }
        bail!("the {who} does not become ready within {} s", READY_TIMEOUT.as_secs())
    }

    /// Until all who live are complete, or it takes too long.
    fn watch(&mut self, signals: &mut Signals) -> Result<()> {
        let mut faults = Faults::plan(self.options);
        let time_max = self.time_max();
        let mut next_sample = self.start;
        while !self.record.is_finished() && self.start.elapsed() < time_max {
            self.start_leechers()?;
            for fault in faults.due(self.start.elapsed()) {
                self.strike(fault)?;
            }
            if Instant::now() >= next_sample {
                next_sample += SAMPLE_INTERVAL;
                stop_if_asked(signals)?;
                self.check_programs()?;
                self.sample()?;
                self.kill_seeder_after_injection()?;
            }
            if let Ok(heard) = self.heard.recv_timeout(TICK) {
                self.hear(&heard)?;
            }
        }
        self.sample()?;
        self.record.load[1] = load1();
        let deadline = Instant::now() + LAST_WORDS;
        while let Ok(heard) = self.heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.hear(&heard)?;
        }
        Ok(())
    }

    fn time_max(&self) -> Duration {
        let options = self.options;
        let (ups, downs) = (options.ups(), options.downs());
        let bound_s = bound::seconds(self.record.length_bytes, options.seeder_up, &ups, &downs);
        let outage = options.kill_tracker.map_or(Duration::ZERO, |outage| outage.to);
        Duration::from_secs_f64(bound_s * BOUNDS_MAX) + GRACE + options.join_over + outage
    }

    fn start_leechers(&mut self) -> Result<()> {
        for number in 0..self.record.leechers.len() {
            let elapsed = self.start.elapsed();
            let is_due = elapsed >= self.options.joins_at(number);
            let Some(leecher) = self.record.leechers.get_mut(number) else { continue };
            if leecher.joined_s.is_some() || leecher.is_lost || !is_due {
                continue;
            }
            leecher.joined_s = Some(elapsed.as_secs_f64());
            let place = self.peers.get(number + 1).context("a leecher without a place")?;
            let others: Vec<Ipv4Addr> = self
                .peers
                .iter()
                .map(|peer| peer.address)
                .filter(|address| *address != place.address)
                .collect();
            let mut command = self.system.leecher(number, place, &self.link, &others, self.scene)?;
            self.spawn(Who::Leecher(number), &mut command)?;
        }
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillTracker => self.kill(Who::Tracker),
            Fault::StartTracker => {
                if let Some(mut command) = self.system.tracker(&self.tracker, self.scene) {
                    self.note("the tracker starts again");
                    self.spawn(Who::Tracker, &mut command)?;
                }
            }
            Fault::KillLeecher(number) => {
                self.kill(Who::Leecher(number));
                if let Some(leecher) = self.record.leechers.get_mut(number) {
                    leecher.is_lost = true;
                    leecher.done_s = None;
                }
            }
        }
        Ok(())
    }

    fn kill_seeder_after_injection(&mut self) -> Result<()> {
        let is_wanted = self.options.kill_seeder_after_injection && self.record.seeder_killed_s.is_none();
        let last = self.record.timeline.last().and_then(|sample| sample.counters.first());
        // Before it sent as much as the content, nobody can have what is missing; no need to read files.
        if !is_wanted || last.is_none_or(|seeder| seeder.sent < self.record.length_bytes) {
            return Ok(());
        }
        let living = self.record.leechers.iter().enumerate().filter(|(_, leecher)| !leecher.is_lost);
        let copies: Vec<PathBuf> =
            living.flat_map(|(number, _)| self.system.copies(number, self.scene)).collect();
        if content::hold_all_together(self.scene.original, &copies)? {
            self.record.seeder_killed_s = Some(self.start.elapsed().as_secs_f64());
            self.kill(Who::Seeder);
        }
        Ok(())
    }

    fn kill(&mut self, who: Who) {
        if let Some(program) = self.programs.remove(&who) {
            self.note(&format!("killing the {who}"));
            program.kill();
        }
    }

    fn hear(&mut self, heard: &Heard) -> Result<()> {
        let at_s = heard.at.saturating_duration_since(self.start).as_secs_f64();
        let leecher = match heard.who {
            Who::Leecher(number) => self.record.leechers.get_mut(number),
            Who::Seeder | Who::Tracker => None,
        };
        match (Event::read(&heard.line), leecher) {
            (Some(Event::Progress(progress)), Some(leecher)) => leecher.progress = progress,
            (Some(Event::Progress(progress)), None) => self.record.seeder = progress,
            (Some(Event::Done(done)), Some(leecher)) if !leecher.is_lost => {
                (leecher.done_s, leecher.done) = (Some(at_s), done);
                self.note(&format!("{} is complete", heard.who));
            }
            (Some(Event::Error { text }), _) => bail!("the {} failed: {text}", heard.who),
            (Some(Event::Done(_) | Event::Ready { .. }) | None, _) => {}
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<()> {
        let at_s = self.start.elapsed().as_secs_f64();
        let now = self.network.counters(&self.peers)?;
        let pairs = now.iter().zip(&self.counters_at_start);
        let counters = pairs.map(|(now, start)| now.since(*start)).collect();
        self.record.timeline.push(Sample { at_s, counters });
        for (who, program) in &self.programs {
            let Some(cpu_s) = program.cpu_s() else { continue };
            match who {
                Who::Tracker => self.record.tracker_cpu_s = Some(cpu_s),
                Who::Seeder => self.record.seeder_cpu_s = cpu_s,
                Who::Leecher(number) => {
                    if let Some(leecher) = self.record.leechers.get_mut(*number) {
                        leecher.cpu_s = cpu_s;
                    }
                }
            }
        }
        Ok(())
    }

    /// Nobody is to end by himself before the run does.
    fn check_programs(&mut self) -> Result<()> {
        for (who, program) in &mut self.programs {
            if let Some(status) = program.ended()? {
                bail!("the {who} ended ({status}): {}", program.last_words());
            }
        }
        Ok(())
    }

    fn spawn(&mut self, who: Who, command: &mut Command) -> Result<()> {
        let program = Program::start(who, command, self.logs, &self.tell)?;
        self.programs.insert(who, program);
        Ok(())
    }

    fn seeder_place(&self) -> Result<&Place> {
        self.peers.first().context("a seeder without a place")
    }

    fn note(&self, text: &str) {
        eprintln!("bench: {:6.1} s: {text}", self.start.elapsed().as_secs_f64());
    }
}

fn stop_if_asked(signals: &mut Signals) -> Result<()> {
    if signals.pending().next().is_some() {
        bail!("stopped");
    }
    Ok(())
}

/// Processes that wanted to run, a minute's mean; 0 where the system does not say.
fn load1() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
