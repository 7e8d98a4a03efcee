//! The report in words, for people who plan.

use std::fmt::Write;

use swarm_sim::{Report, Scenario};

/// What the viewers would see, and what it would cost the publisher.
pub(crate) fn answer(scenario: &Scenario, report: &Report) -> String {
    let mut text = String::new();
    let film_min = scenario.content_bytes() as f64 * 8.0 / 1e6 / scenario.media_mbps.max(1e-9) / 60.0;
    let alone = scenario.seeder_up_mbps * f64::from(scenario.initial_peers) / scenario.media_mbps.max(1e-9);
    let mut line = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    line(format!(
        "{} viewers, {} MiB; publisher {} Mbit/s up, viewers {} Mbit/s up, {} ms round trip.",
        report.peers,
        scenario.mib,
        scenario.seeder_up_mbps,
        list(&scenario.peer_up_mbps),
        scenario.rtt_ms
    ));
    if scenario.media_mbps > 0.0 {
        line(format!(
            "The film plays at {} Mbit/s for {film_min:.1} min. Alone, the publisher could serve {alone:.0}.",
            scenario.media_mbps
        ));
        line(format!(
            "Start: {:.1} s after opening the page on average ({:.1} s of it to connect), {:.1} s at worst.",
            (report.start_ms_mean + report.set_up_ms_mean) / 1000.0,
            report.set_up_ms_mean / 1000.0,
            (report.start_ms_max + report.set_up_ms_mean) / 1000.0
        ));
        line(match report.stalls {
            0 => "Playback never stands still.".to_owned(),
            stalls => format!(
                "Playback stands still {stalls} times over all viewers, {:.1} s each viewer on average.",
                report.stall_ms_mean / 1000.0
            ),
        });
    }
    if report.finished {
        line(format!(
            "Everybody has everything after {:.0} s; the physical bound is {:.0} s ({:.2} times).",
            report.seconds, report.bound_seconds, report.t_over_bound
        ));
    } else {
        line(format!("After {:.0} s not everybody has everything.", report.seconds));
    }
    line(format!(
        "The publisher uploads {:.2} copies: {:.0} MB instead of {:.0} MB without a swarm.",
        report.seeder_copies,
        report.seeder_copies * scenario.content_bytes() as f64 / 1e6,
        f64::from(report.peers) * scenario.content_bytes() as f64 / 1e6
    ));
    if scenario.mirror_mbps > 0.0 {
        line(format!("The mirror uploads {:.2} copies.", report.mirror_copies));
    }
    for moment in &report.timeline {
        line(format!(
            "{:5.0} s  held {:5.1} % (least {:5.1}), injected {:5.1} %, uplinks {:5.1} % busy, publisher {:5.1} %, {}/{} done",
            moment.at_s,
            moment.held_pct,
            moment.held_pct_min,
            moment.injected_pct,
            moment.uplink_pct,
            moment.seeder_pct,
            moment.done,
            moment.viewers
        ));
    }
    let shortage = shortage(scenario);
    if let Some(shortage) = shortage {
        line(shortage);
    }
    text
}

/// A word where there is not enough upload for everybody to watch at the media's rate.
fn shortage(scenario: &Scenario) -> Option<String> {
    let viewers = f64::from(scenario.peers);
    let uplinks: f64 = scenario.peer_up_mbps.iter().sum::<f64>() / scenario.peer_up_mbps.len().max(1) as f64;
    let supply = scenario.seeder_up_mbps * f64::from(scenario.initial_peers) + viewers * uplinks;
    let demand = viewers * scenario.media_mbps;
    (demand > supply).then(|| {
        format!(
            "There is not enough upload: {supply:.0} Mbit/s for {demand:.0} Mbit/s of playback. Encode the film at \
             {:.1} Mbit/s or less, or add seeders.",
            supply / viewers
        )
    })
}

fn list(rates: &[f64]) -> String {
    rates.iter().map(f64::to_string).collect::<Vec<_>>().join("/")
}
