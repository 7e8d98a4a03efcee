//! What a run is reported as: one JSON object.

use serde::Serialize;

use crate::bench::bound;
use crate::bench::options::{Rate, SwarmOptions};
use crate::bench::record::{Leecher, Record};
use crate::bench::timeline::Spent;

/// One run. Rates in Mbit/s, times in seconds if nothing else is said.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    system: &'static str,
    leechers: usize,
    /// MB of 1,000,000 bytes.
    mb: f64,
    seeder_up: f64,
    up: Vec<f64>,
    down: Vec<f64>,
    /// How many leechers are complete.
    finished: usize,
    /// How many were killed on purpose.
    killed: usize,
    /// When the seeder was killed on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    seeder_killed_s: Option<f64>,
    /// From the common start until the last survivor is complete.
    seconds: f64,
    /// T\*, over payload.
    bound_seconds: f64,
    t_over_bound: f64,
    /// All that all sent, per byte of payload that arrived: what T\* would grow by if it knew of headers.
    wire_over_payload: f64,
    /// Frames that the seeder's interface sent, in bytes, over the content's length.
    seeder_copies: f64,
    /// Payload the seeder says it sent, over the content's length.
    seeder_copies_payload: f64,
    duplicates_pct: Option<f64>,
    proof_pct: Option<f64>,
    /// What leechers received beyond payload, in per cent of it.
    overhead_pct: f64,
    /// Frames that the queues of the uplinks lost, in per cent of what was to be sent.
    uplink_loss_pct: f64,
    cpu_s: Cpu,
    spent_s: SpentReport,
    /// `null` if the swarm never got under way.
    uplink_use_pct: Option<UplinkUse>,
    /// From each leecher's own start; `null` for those that are not complete.
    peer_seconds: Vec<Option<f64>>,
    /// From each leecher's own start until it knew what it is to fetch, mean.
    ready_ms_mean: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    play: Option<Play>,
    /// Load of the machine before and after: beyond the number of its processors, times are noise.
    load1: [f64; 2],
}

/// CPU time per process.
#[derive(Debug, Serialize)]
struct Cpu {
    mean: f64,
    max: f64,
    seeder: f64,
    tracker: Option<f64>,
}

/// Where the seconds went; see [`crate::bench::timeline`].
#[derive(Debug, Serialize)]
struct SpentReport {
    payload: f64,
    overhead: f64,
    idle_start: f64,
    idle_middle: f64,
    idle_end: f64,
}

/// From when the swarm was under way until the first leecher was complete.
#[derive(Debug, Serialize)]
struct UplinkUse {
    from_s: f64,
    to_s: f64,
    seeder: f64,
    mean: f64,
    min: f64,
    max: f64,
}

/// What viewers would have seen; flattened names as `seeder fetch --json` has them.
#[derive(Debug, Serialize)]
struct Play {
    start_ms_mean: Option<f64>,
    start_ms_max: Option<u64>,
    /// How many never started.
    not_started: usize,
    stalls: u64,
    stall_ms: u64,
}

impl Report {
    /// Works out what a run comes to.
    pub(crate) fn of(system: &'static str, options: &SwarmOptions, record: &Record) -> Self {
        let (ups, downs) = (options.ups(), options.downs());
        let length = record.length_bytes as f64;
        let uplinks: Vec<Rate> = [options.seeder_up].into_iter().chain(ups.iter().copied()).collect();
        let last = record.timeline.last();
        let counters = last.map(|sample| sample.counters.as_slice()).unwrap_or_default();
        let end_s = last.map_or(0.0, |sample| sample.at_s);
        let done: Vec<f64> = record.leechers.iter().filter_map(|leecher| leecher.done_s).collect();
        let seconds = if record.is_finished() { done.iter().copied().fold(0.0, f64::max) } else { end_s };
        let first_done_s = done.iter().copied().fold(end_s, f64::min);
        let payload: u64 = record.leechers.iter().map(|leecher| leecher.progress.bytes_verified).sum();
        let received: u64 = counters.iter().skip(1).map(|counters| counters.received).sum();
        let sent: u64 = counters.iter().map(|counters| counters.sent).sum();
        let bound_seconds = bound::seconds(record.length_bytes, options.seeder_up, &ups, &downs);
        let rates = |rates: &[Rate]| rates.iter().map(|rate| rate.mbit_per_s()).collect();
        let cpu: Vec<f64> = record.leechers.iter().map(|leecher| leecher.cpu_s).collect();
        Self {
            system,
            leechers: record.leechers.len(),
            mb: round(length / 1e6),
            seeder_up: options.seeder_up.mbit_per_s(),
            up: rates(&options.up),
            down: rates(&options.down),
            finished: done.len(),
            killed: record.leechers.iter().filter(|leecher| leecher.is_lost).count(),
            seeder_killed_s: record.seeder_killed_s.map(round),
            seconds: round(seconds),
            bound_seconds: round(bound_seconds),
            t_over_bound: round(seconds / bound_seconds),
            wire_over_payload: round(sent as f64 / payload as f64),
            seeder_copies: round(counters.first().map_or(0.0, |seeder| seeder.sent as f64) / length),
            seeder_copies_payload: round(record.seeder.uploaded as f64 / length),
            duplicates_pct: share_pct(record, |leecher| leecher.done.duplicate_bytes),
            proof_pct: share_pct(record, |leecher| leecher.done.proof_bytes),
            overhead_pct: round((received as f64 / payload as f64 - 1.0) * 100.0),
            uplink_loss_pct: round(mean(&record.losses) * 100.0),
            cpu_s: Cpu {
                mean: round(mean(&cpu)),
                max: round(cpu.iter().copied().fold(0.0, f64::max)),
                seeder: round(record.seeder_cpu_s),
                tracker: record.tracker_cpu_s.map(round),
            },
            spent_s: record.timeline.spent(&uplinks, payload, first_done_s).into(),
            uplink_use_pct: uplink_use(record, &uplinks, first_done_s),
            peer_seconds: record.leechers.iter().map(|leecher| own_seconds(leecher).map(round)).collect(),
            ready_ms_mean: ready_ms_mean(record),
            play: options.play.then(|| Play::of(record)),
            load1: record.load.map(round),
        }
    }
}

impl From<Spent> for SpentReport {
    fn from(spent: Spent) -> Self {
        Self {
            payload: round(spent.payload_s),
            overhead: round(spent.overhead_s),
            idle_start: round(spent.idle_start_s),
            idle_middle: round(spent.idle_middle_s),
            idle_end: round(spent.idle_end_s),
        }
    }
}

impl Play {
    fn of(record: &Record) -> Self {
        let starts: Vec<u64> = record.survivors().filter_map(|leecher| leecher.done.start_ms).collect();
        let starts_ms: Vec<f64> = starts.iter().map(|start| *start as f64).collect();
        Self {
            start_ms_mean: (!starts.is_empty()).then(|| round(mean(&starts_ms))),
            start_ms_max: starts.iter().max().copied(),
            not_started: record.survivors().count() - starts.len(),
            stalls: record.survivors().map(|leecher| leecher.done.stalls).sum(),
            stall_ms: record.survivors().map(|leecher| leecher.done.stall_ms).sum(),
        }
    }
}

fn uplink_use(record: &Record, uplinks: &[Rate], first_done_s: f64) -> Option<UplinkUse> {
    let from_s = record.timeline.under_way_s(uplinks);
    if from_s >= first_done_s {
        return None;
    }
    let used = record.timeline.uplink_use(uplinks, from_s, first_done_s);
    let leechers = used.get(1..).unwrap_or_default();
    let pct = |share: f64| round(share * 100.0);
    Some(UplinkUse {
        from_s: round(from_s),
        to_s: round(first_done_s),
        seeder: pct(used.first().copied().unwrap_or(0.0)),
        mean: pct(mean(leechers)),
        min: pct(leechers.iter().copied().fold(f64::INFINITY, f64::min)),
        max: pct(leechers.iter().copied().fold(0.0, f64::max)),
    })
}

fn ready_ms_mean(record: &Record) -> Option<f64> {
    let own = record.leechers.iter().filter_map(|leecher| Some(leecher.ready_s? - leecher.joined_s?));
    let own: Vec<f64> = own.collect();
    (!own.is_empty()).then(|| round(mean(&own) * 1000.0))
}

fn own_seconds(leecher: &Leecher) -> Option<f64> {
    Some(leecher.done_s? - leecher.joined_s?)
}

/// What complete leechers say of themselves, in per cent of the content; `None` if they do not know.
fn share_pct(record: &Record, of: impl Fn(&Leecher) -> Option<u64>) -> Option<f64> {
    let complete = record.leechers.iter().filter(|leecher| leecher.done_s.is_some());
    let shares: Option<Vec<f64>> =
        complete.map(|leecher| Some(of(leecher)? as f64 / record.length_bytes as f64 * 100.0)).collect();
    shares.filter(|shares| !shares.is_empty()).map(|shares| round(mean(&shares)))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Three digits after the point: more would be noise.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::bench::network::Counters;
    use crate::bench::program::{Done, Progress};
    use crate::bench::timeline::Sample;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: SwarmOptions,
    }

    fn options(line: &str) -> SwarmOptions {
        Line::parse_from(format!("bench {line}").split_whitespace()).options
    }

    /// 1 MB to two leechers over 1 + 1 + 2 Mbit/s: bound 8 s by the seeder; it took 10 s.
    fn record() -> Record {
        let leecher = |done_s, start_ms| Leecher {
            joined_s: Some(1.0),
            ready_s: Some(1.25),
            done_s: Some(done_s),
            done: Done {
                duplicate_bytes: Some(10_000),
                start_ms: Some(start_ms),
                stalls: 1,
                stall_ms: 50,
                ..Done::default()
            },
            progress: Progress { bytes_verified: 1_000_000, uploaded: 400_000 },
            cpu_s: 2.0,
            is_lost: false,
        };
        let mut record = Record {
            length_bytes: 1_000_000,
            leechers: vec![leecher(9.0, 300), leecher(10.0, 500)],
            seeder: Progress { bytes_verified: 1_000_000, uploaded: 1_200_000 },
            losses: vec![0.0, 0.02, 0.04],
            ..Record::default()
        };
        let counters = |sent, received| Counters { sent, received, ..Counters::default() };
        record.timeline.push(Sample { at_s: 0.0, counters: vec![Counters::default(); 3] });
        record.timeline.push(Sample {
            at_s: 10.0,
            counters: vec![
                counters(1_250_000, 0),
                counters(600_000, 1_100_000),
                counters(350_000, 1_080_000),
            ],
        });
        record
    }

    #[test]
    fn a_run_is_set_against_its_bound() {
        let options = options("--leechers 2 --mb 1 --seeder-up 1 --up 1,2 --down 8");
        let report = serde_json::to_value(Report::of("tributary", &options, &record())).unwrap();
        for (key, expected) in [
            ("seconds", 10.0),
            ("bound_seconds", 8.0),
            ("t_over_bound", 1.25),
            ("wire_over_payload", 1.1),
            ("seeder_copies", 1.25),
            ("seeder_copies_payload", 1.2),
            ("duplicates_pct", 1.0),
            ("overhead_pct", 9.0),
            ("uplink_loss_pct", 2.0),
            ("ready_ms_mean", 250.0),
        ] {
            assert_eq!(report[key], expected, "{key}");
        }
        assert_eq!(report["peer_seconds"], serde_json::json!([8.0, 9.0]));
        assert_eq!(report["proof_pct"], serde_json::Value::Null);
        assert_eq!(report["spent_s"]["payload"], 4.0);
        assert!(report.get("play").is_none());
        // It never sent at three quarters of what it could.
        assert_eq!(report["uplink_use_pct"], serde_json::Value::Null);
    }

    #[test]
    fn playback_is_that_of_all_who_were_not_killed() {
        let mut record = record();
        let play = Play::of(&record);
        assert_eq!((play.start_ms_mean, play.start_ms_max), (Some(400.0), Some(500)));
        assert_eq!((play.stalls, play.stall_ms, play.not_started), (2, 100, 0));
        record.leechers[1].is_lost = true;
        record.leechers[0].done.start_ms = None;
        let play = Play::of(&record);
        assert_eq!((play.start_ms_mean, play.not_started), (None, 1));
    }

    #[test]
    fn a_swarm_is_finished_when_all_who_live_are_complete() {
        let mut record = record();
        record.leechers[1].done_s = None;
        assert!(!record.is_finished());
        record.leechers[1].is_lost = true;
        assert!(record.is_finished());
        let report = Report::of("tributary", &options("--leechers 2 --mb 1"), &record);
        assert_eq!((report.finished, report.killed, report.seconds), (1, 1, 9.0));
    }
}
