//! One run: starts everybody, watches until the last is complete, and records what was seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use signal_hook::iterator::Signals;

use crate::bench::bound;
use crate::bench::content;
use crate::bench::faults::{Fault, Faults};
use crate::bench::network::Counters;
use crate::bench::options::SwarmOptions;
use crate::bench::program::{Event, Heard, Who};
use crate::bench::record::{Leecher, Record};
use crate::bench::stage::Stage;
use crate::bench::system::{Scene, System};
use crate::bench::timeline::Sample;

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

/// A run under way.
struct Run<'a> {
    options: &'a SwarmOptions,
    stage: Stage<'a>,
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
    let mut record = Record {
        length_bytes: fs::metadata(scene.original)?.len(),
        leechers: vec![Leecher::default(); options.leecher_count()],
        ..Record::default()
    };
    let mut stage = Stage::new(options, system, scene, logs)?;
    let link = stage.prepare(signals)?;
    record.load[0] = load1();
    let counters_at_start = stage.counters()?;
    let mut run = Run { options, stage, link, start: Instant::now(), counters_at_start, record };
    run.watch(signals)?;
    Ok(run.record)
}

impl Run<'_> {
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
                self.stage.check(signals)?;
                self.sample()?;
                self.kill_seeder_after_injection()?;
            }
            if let Some(heard) = self.stage.hear(TICK) {
                self.handle(&heard)?;
            }
        }
        self.sample()?;
        self.record.losses = self.stage.losses()?;
        self.record.load[1] = load1();
        let deadline = Instant::now() + LAST_WORDS;
        while let Some(heard) = self.stage.hear(deadline.saturating_duration_since(Instant::now())) {
            self.handle(&heard)?;
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
        for (number, leecher) in self.record.leechers.iter_mut().enumerate() {
            let elapsed = self.start.elapsed();
            let is_waiting = leecher.joined_s.is_none() && !leecher.is_lost;
            if is_waiting && elapsed >= self.options.joins_at(number) {
                leecher.joined_s = Some(elapsed.as_secs_f64());
                self.stage.start_leecher(number, &self.link)?;
            }
        }
        Ok(())
    }

    fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillTracker => self.kill(Who::Tracker),
            Fault::StartTracker => {
                self.note("the tracker starts again");
                self.stage.start_tracker()?;
            }
            Fault::KillLeecher(number) => {
                self.kill(Who::Leecher(number));
                if let Some(leecher) = self.record.leechers.get_mut(number) {
                    (leecher.is_lost, leecher.done_s) = (true, None);
                }
            }
        }
        Ok(())
    }

    fn kill_seeder_after_injection(&mut self) -> Result<()> {
        let is_wanted = self.options.kill_seeder_after_injection && self.record.seeder_killed_s.is_none();
        let last = self.record.timeline.last().and_then(|sample| sample.counters.first());
        // Before it sent as much as the content has, nobody can have what is missing; no need to read files.
        if !is_wanted || last.is_none_or(|seeder| seeder.sent < self.record.length_bytes) {
            return Ok(());
        }
        let (system, scene) = (self.stage.system(), self.stage.scene());
        let living = self.record.leechers.iter().enumerate().filter(|(_, leecher)| !leecher.is_lost);
        let copies: Vec<PathBuf> = living.flat_map(|(number, _)| system.copies(number, scene)).collect();
        if content::hold_all_together(scene.original, &copies)? {
            self.record.seeder_killed_s = Some(self.start.elapsed().as_secs_f64());
            self.kill(Who::Seeder);
        }
        Ok(())
    }

    fn kill(&mut self, who: Who) {
        self.note(&format!("killing the {who}"));
        self.stage.kill(who);
    }

    fn handle(&mut self, heard: &Heard) -> Result<()> {
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
            (Some(Event::Ready { .. }), Some(leecher)) => leecher.ready_s = Some(at_s),
            (Some(Event::Error { text }), _) => bail!("the {} failed: {text}", heard.who),
            (Some(Event::Done(_) | Event::Ready { .. }) | None, _) => {}
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<()> {
        let before_s = self.start.elapsed().as_secs_f64();
        let now = self.stage.counters()?;
        // Asking takes a while on a busy machine.
        let at_s = f64::midpoint(before_s, self.start.elapsed().as_secs_f64());
        let pairs = now.iter().zip(&self.counters_at_start);
        let counters = pairs.map(|(now, start)| now.since(*start)).collect();
        self.record.timeline.push(Sample { at_s, counters });
        for (who, cpu_s) in self.stage.cpu_s() {
            match who {
                Who::Tracker => self.record.tracker_cpu_s = Some(cpu_s),
                Who::Seeder => self.record.seeder_cpu_s = cpu_s,
                Who::Leecher(number) => {
                    if let Some(leecher) = self.record.leechers.get_mut(number) {
                        leecher.cpu_s = cpu_s;
                    }
                }
            }
        }
        Ok(())
    }

    fn note(&self, text: &str) {
        eprintln!("bench: {:6.1} s: {text}", self.start.elapsed().as_secs_f64());
    }
}

/// Processes that wanted to run, a minute's mean; 0 where the system does not say.
fn load1() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
