//! The summary of one film and one number of tabs, and which targets it misses. Pure.

use serde::{Deserialize, Serialize};

use crate::bench::spread::Spread;

const MB: f64 = 1e6;

/// How a film reached the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    Http,
    Tributary,
    TributaryMirror,
    P2pMediaLoader,
    WebTorrent,
}

impl Way {
    const ALL: [Self; 5] =
        [Self::Http, Self::Tributary, Self::TributaryMirror, Self::P2pMediaLoader, Self::WebTorrent];

    const fn name(self) -> &'static str {
        match self {
            Self::Http => "plain HTTP",
            Self::Tributary => "Tributary",
            Self::TributaryMirror => "Tributary, mirror",
            Self::P2pMediaLoader => "P2P Media Loader",
            Self::WebTorrent => "WebTorrent",
        }
    }

    /// Published target: the median time to the first frame, divided by that over plain HTTP.
    const fn ratio_max(self) -> Option<f64> {
        match self {
            Self::Tributary => Some(3.0),
            Self::TributaryMirror => Some(1.5),
            Self::Http | Self::P2pMediaLoader | Self::WebTorrent => None,
        }
    }
}

/// One measurement of the measuring program; lists have one entry per tab.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Measurement {
    pub(super) way: Way,
    pub(super) film_bytes: u64,
    first_frame_ms: Vec<f64>,
    bytes_at_first_frame: Vec<u64>,
    whole_ms: Vec<f64>,
    server_bytes: Option<u64>,
    seeder_bytes: Option<u64>,
}

/// One way's figures of all runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Figures {
    way: Way,
    first_frame_ms: Spread,
    /// Time to the first frame, divided by that over plain HTTP.
    ratio: f64,
    bytes_at_first_frame: Option<Spread>,
    whole_ms: Option<Spread>,
    server_copies: Option<Spread>,
    seeder_copies: Option<Spread>,
}

/// The summary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Case {
    film_bytes: u64,
    tabs: u32,
    ways: Vec<Figures>,
}

impl Case {
    /// Summarises the measurements of a case; `None` unless plain HTTP was measured.
    pub(super) fn of(tabs: u32, measurements: &[Measurement]) -> Option<Self> {
        let film_bytes = measurements.first()?.film_bytes;
        let by = |way| measurements.iter().filter(move |measurement| measurement.way == way);
        let first_frame = |way| Spread::of(by(way).flat_map(|one| one.first_frame_ms.iter().copied()));
        let http_ms = first_frame(Way::Http)?;
        let copies = |bytes: u64| bytes as f64 / film_bytes as f64;
        let figures = |way| {
            let first_frame_ms = first_frame(way)?;
            // The plain server says what it sent to all tabs.
            let share = if way == Way::Http { f64::from(tabs) } else { 1.0 };
            let bytes =
                by(way).flat_map(|one| one.bytes_at_first_frame.iter().map(|bytes| *bytes as f64 / share));
            Some(Figures {
                way,
                first_frame_ms,
                ratio: first_frame_ms.median / http_ms.median,
                bytes_at_first_frame: Spread::of(bytes),
                whole_ms: Spread::of(by(way).flat_map(|one| one.whole_ms.iter().copied())),
                server_copies: Spread::of(by(way).filter_map(|one| one.server_bytes).map(copies)),
                seeder_copies: Spread::of(by(way).filter_map(|one| one.seeder_bytes).map(copies)),
            })
        };
        Some(Self { film_bytes, tabs, ways: Way::ALL.into_iter().filter_map(figures).collect() })
    }

    fn name(&self) -> String {
        let tabs = if self.tabs == 1 { "tab" } else { "tabs" };
        format!("{:.1} MB, {} {tabs}", self.film_bytes as f64 / MB, self.tabs)
    }

    /// A table in Markdown.
    pub(super) fn table(&self) -> String {
        let mut table = format!(
            "\n| {} | first frame, ms | ratio | MB at the first frame | whole film, s | copies: server | copies: seeder |\n\
             |---|---|---|---|---|---|---|\n",
            self.name()
        );
        for figures in &self.ways {
            let shown = |spread: Option<Spread>, unit, decimals| {
                spread.map(|spread| spread.shown(unit, decimals)).unwrap_or_default()
            };
            table += &format!(
                "| {} | {} | {:.2} | {} | {} | {} | {} |\n",
                figures.way.name(),
                figures.first_frame_ms.shown(1.0, 0),
                figures.ratio,
                shown(figures.bytes_at_first_frame, MB, 2),
                shown(figures.whole_ms, 1000.0, 2),
                shown(figures.server_copies, 1.0, 2),
                shown(figures.seeder_copies, 1.0, 2),
            );
        }
        table
    }

    fn of_way(&self, way: Way) -> Option<&Figures> {
        self.ways.iter().find(|figures| figures.way == way)
    }

    /// The targets that this case misses, in words.
    pub(super) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        for Figures { way, ratio, .. } in &self.ways {
            if let Some(ratio_max) = way.ratio_max().filter(|ratio_max| ratio > ratio_max) {
                let name = way.name();
                missed.push(format!("{name}: {ratio:.2} × plain HTTP, not {ratio_max} ({})", self.name()));
            }
        }
        let ours = self.of_way(Way::TributaryMirror);
        let theirs = self.of_way(Way::P2pMediaLoader);
        if let Some((ours, theirs)) = ours.zip(theirs)
            && ours.first_frame_ms.median >= theirs.first_frame_ms.median
        {
            missed.push(format!("Tributary with a mirror: not before P2P Media Loader ({})", self.name()));
        }
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(way: &str, first_frame_ms: &str) -> Measurement {
        let json = format!(
            r#"{{"way": "{way}", "film_bytes": 30000000, "first_frame_ms": {first_frame_ms},
            "bytes_at_first_frame": [2000000, 4000000], "whole_ms": [], "server_bytes": 3000000, "seeder_bytes": null}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn case(ways: &[(&str, &str)]) -> Case {
        let measurements: Vec<_> =
            ways.iter().map(|(way, first_frame_ms)| measurement(way, first_frame_ms)).collect();
        Case::of(2, &measurements).unwrap()
    }

    #[test]
    fn all_tabs_of_all_runs_count_and_the_medians_are_compared() {
        let case =
            case(&[("tributary", "[400.0, 600.0]"), ("http", "[100.0, 200.0]"), ("http", "[200.0, 300.0]")]);
        let table = case.table();
        assert!(table.contains("| 30.0 MB, 2 tabs | first frame"), "{table}");
        assert!(
            table.contains(
                "| plain HTTP | 200 (100–300) | 1.00 | 1.50 (1.00–2.00) |  | 0.10 (0.10–0.10) |  |\n"
            ),
            "{table}"
        );
        assert!(table.contains("| Tributary | 500 (400–600) | 2.50 | 3.00 (2.00–4.00) |"), "{table}");
    }

    #[test]
    fn a_missed_target_is_named_with_its_case() {
        let http = ("http", "[100.0]");
        let met = case(&[http, ("tributary", "[300.0]"), ("tributary_mirror", "[150.0]")]);
        assert_eq!(met.missed(), Vec::<String>::new(), "the targets themselves are met");
        let missed = case(&[
            http,
            ("tributary", "[301.0]"),
            ("tributary_mirror", "[160.0]"),
            ("p2p_media_loader", "[160.0]"),
        ]);
        assert_eq!(
            missed.missed(),
            [
                "Tributary: 3.01 × plain HTTP, not 3 (30.0 MB, 2 tabs)",
                "Tributary, mirror: 1.60 × plain HTTP, not 1.5 (30.0 MB, 2 tabs)",
                "Tributary with a mirror: not before P2P Media Loader (30.0 MB, 2 tabs)",
            ]
        );
    }

    #[test]
    fn a_case_without_plain_http_is_no_case() {
        assert_eq!(Case::of(1, &[]), None);
        assert_eq!(Case::of(1, &[measurement("tributary", "[1.0]")]), None);
    }
}
