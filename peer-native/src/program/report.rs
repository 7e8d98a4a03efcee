//! What the program says: events for programs on stdout, text for people, errors on stderr.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use swarm_core::manifest::text::cleaned;
use swarm_core::peer::Stats;
use swarm_core::player::Playback;
use swarm_core::tracker_message::Scarcity;
use swarm_core::{ContentRoot, PublisherKey, SwarmId};

/// Which content an event is about, and where it is on this machine.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct About<'a> {
    /// The swarm.
    pub(crate) swarm: SwarmId,
    /// Where the file is.
    pub(crate) path: &'a str,
    /// What the file is called.
    pub(crate) name: &'a str,
}

/// Where a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Bytes held, all verified.
    bytes_verified: u64,
    /// Bytes of the content; 0 until known.
    bytes_total: u64,
    /// Of those held, from an initial peer.
    from_initial: u64,
    /// Of those held, from other peers.
    from_peers: u64,
    /// Of those held, from mirrors.
    from_mirrors: u64,
    /// Bytes sent to others.
    uploaded: u64,
    /// Links, open or being built.
    links: usize,
}

/// What was said last of a peer's progress.
#[derive(Debug, Default)]
pub(crate) struct Told(Option<Counts>);

/// One line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// The tracker took the peer into the swarm.
    Ready {
        /// Which content.
        #[serde(flatten)]
        about: About<'a>,
        /// Bytes of the content.
        bytes: u64,
        /// What to open in a browser.
        link: &'a str,
        /// The same for other machines, where the tracker is in this process.
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        network: &'a [String],
    },
    /// Once a second at most, and only if something changed.
    Progress {
        /// Which content.
        #[serde(flatten)]
        about: About<'a>,
        /// Where it stands.
        #[serde(flatten)]
        counts: Counts,
    },
    /// The swarm can send less than its players need; or, without numbers, enough again.
    Scarcity {
        /// The swarm.
        swarm: SwarmId,
        /// What the uplinks of all peers carry together, bits a second.
        supply_bps: Option<u64>,
        /// What the players need together, bits a second.
        demand_bps: Option<u64>,
    },
    /// The content is complete and verified.
    Done {
        /// Which content.
        #[serde(flatten)]
        about: About<'a>,
        /// How it went.
        #[serde(flatten)]
        done: Done,
    },
    /// A file that `seed` without files would seed.
    Listed {
        /// The swarm.
        swarm: SwarmId,
        /// What to open in a browser.
        link: &'a str,
        /// Where the file is.
        path: &'a str,
        /// Its length, if it is there.
        length_bytes: Option<u64>,
        /// `unchanged` since it was seeded, `changed` or `missing`.
        state: &'static str,
    },
    /// A file was taken out of the list.
    Removed {
        /// The swarm.
        swarm: SwarmId,
        /// Where the file is.
        path: &'a str,
    },
    /// A content is served over HTTP, too.
    Http {
        /// The swarm.
        swarm: SwarmId,
        /// Where.
        url: &'a str,
    },
    /// The tree file of a content was written.
    Tree {
        /// Where it is.
        path: &'a str,
        /// Its length.
        length_bytes: u64,
        /// BLAKE3 digest of the content.
        root: ContentRoot,
    },
    /// The publisher's key.
    Key {
        /// Its public half.
        public: PublisherKey,
        /// Where the file is.
        path: &'a str,
    },
    /// What `doctor` found.
    Finding {
        /// `tracker`, `clock`, `publishing`, `port`, `address`, `nat`, `inbound`, `ipv6`, `relay` or `verdict`.
        what: &'static str,
        /// `good`, `note` or `bad`.
        state: &'static str,
        /// In words.
        found: &'a str,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        advice: Option<&'a str>,
    },
    /// Something failed.
    Error {
        /// What, on what, and what to do.
        text: &'a str,
    },
}

/// How a fetch went.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Done {
    /// From the start of the program.
    pub(crate) seconds: f64,
    /// Bytes of the content.
    pub(crate) bytes: u64,
    /// Of those, fetched from an initial peer.
    pub(crate) from_initial: u64,
    /// Of those, fetched from other peers.
    pub(crate) from_peers: u64,
    /// Of those, fetched from mirrors.
    pub(crate) from_mirrors: u64,
    /// Bytes sent to others.
    pub(crate) uploaded: u64,
    /// Bytes that came twice.
    pub(crate) duplicate_bytes: u64,
    /// Bytes of proofs.
    pub(crate) proof_bytes: u64,
    /// With `--play`: until the first frame.
    pub(crate) start_ms: Option<u64>,
    /// With `--play`: how often playback stood still.
    pub(crate) stalls: u32,
    /// With `--play`: for how long.
    pub(crate) stall_ms: u64,
}

impl Done {
    /// From the peer's numbers and the player's.
    pub(crate) fn new(seconds: f64, stats: &Stats, playback: Playback) -> Self {
        Self {
            seconds,
            bytes: stats.bytes_total,
            from_initial: stats.from_initial,
            from_peers: stats.from_peers,
            from_mirrors: stats.from_mirrors,
            uploaded: stats.uploaded,
            duplicate_bytes: stats.duplicate_bytes,
            proof_bytes: stats.proof_bytes,
            start_ms: playback.start_ms,
            stalls: playback.stalls,
            stall_ms: playback.stall_ms,
        }
    }
}

/// Says things the way the person or program asked for.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    /// Whether a program listens.
    pub(crate) is_json: bool,
}

impl Reporter {
    /// To programs only.
    pub(crate) fn event(self, event: &impl Serialize) {
        if self.is_json {
            // These events have string keys only and no fallible fields.
            let line = serde_json::to_string(event).unwrap_or_default();
            self.stdout(&line);
        }
    }

    /// To people only: a result.
    pub fn text(self, line: &str) {
        if !self.is_json {
            self.stdout(line);
        }
    }

    /// To people, beside the results: a change of state.
    pub fn note(self, line: &str) {
        flag_file::to_stderr(&one_line(line));
    }

    /// To both: a failure.
    pub(crate) fn error(self, text: &str) {
        let text = one_line(text);
        flag_file::to_stderr(&format!("error: {text}"));
        self.event(&Event::Error { text: &text });
    }

    /// To programs only: the link of a content that can be reached, or whose manifest is here.
    pub(crate) fn ready(self, about: About<'_>, bytes: u64, link: &str, network: &[String]) {
        self.event(&Event::Ready { about, bytes, link, network });
    }

    /// To programs only: whether a swarm has enough.
    pub(crate) fn scarcity(self, swarm: SwarmId, scarcity: Option<Scarcity>) {
        let supply_bps = scarcity.map(|scarcity| scarcity.supply_bps);
        let demand_bps = scarcity.map(|scarcity| scarcity.demand_bps);
        self.event(&Event::Scarcity { swarm, supply_bps, demand_bps });
    }

    /// To programs only: where a peer stands, if that was not said already.
    pub(crate) fn progress(self, about: About<'_>, stats: &Stats, told: &mut Told) {
        let counts = Counts {
            bytes_verified: stats.bytes_verified,
            bytes_total: stats.bytes_total,
            from_initial: stats.from_initial,
            from_peers: stats.from_peers,
            from_mirrors: stats.from_mirrors,
            uploaded: stats.uploaded,
            links: stats.links.len(),
        };
        if told.0.replace(counts) != Some(counts) {
            self.event(&Event::Progress { about, counts });
        }
    }

    /// A bar on a terminal; nothing where a program listens or nobody looks.
    pub(crate) fn bar(self, what: &str) -> ProgressBar {
        let is_shown = !self.is_json && std::io::stderr().is_terminal();
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let template = "{prefix} {wide_bar} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar
    }

    fn stdout(self, line: &str) {
        let mut stdout = std::io::stdout().lock();
        // A reader that closed our stdout needs no message.
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
}

fn one_line(text: &str) -> String {
    printable(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A text without control characters and without what shows it in another order: what strangers write must not move the cursor of a
/// terminal, and must read as it is.
pub(crate) fn printable(text: &str) -> String {
    let marked: String =
        text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    cleaned(&marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_write_drives_no_terminal_and_reads_as_it_is() {
        assert_eq!(
            printable("a\u{1b}]0;x\u{7}\u{9b}2J\r\nb"),
            "a\u{fffd}]0;x\u{fffd}\u{fffd}2J\u{fffd}\u{fffd}b"
        );
        assert_eq!(printable("film\u{202e}gpj.exe"), "filmgpj.exe");
    }

    #[test]
    fn events_name_the_content_that_they_are_about() {
        let about = About { swarm: SwarmId([1; 32]), path: "/films/a.mp4", name: "a.mp4" };
        let counts = Counts {
            bytes_verified: 1,
            bytes_total: 2,
            from_initial: 3,
            from_peers: 4,
            from_mirrors: 5,
            uploaded: 6,
            links: 7,
        };
        let done = Done {
            seconds: 1.0,
            bytes: 2,
            from_initial: 2,
            from_peers: 0,
            from_mirrors: 0,
            uploaded: 0,
            duplicate_bytes: 0,
            proof_bytes: 0,
            start_ms: None,
            stalls: 0,
            stall_ms: 0,
        };
        let events = [
            Event::Ready { about, bytes: 9, link: "x", network: &[] },
            Event::Progress { about, counts },
            Event::Done { about, done },
        ];
        for event in events {
            let line = serde_json::to_value(&event).unwrap();
            assert_eq!((&line["path"], &line["name"]), (&"/films/a.mp4".into(), &"a.mp4".into()), "{line}");
            assert_eq!(line["swarm"].as_str().map(str::len), Some(64), "{line}");
            assert!(line.get("bytes").or(line.get("bytes_total")).is_some(), "{line}");
        }
    }
}
