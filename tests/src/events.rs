//! What `seeder --json` says, one event a line.

use serde::Deserialize;

/// One line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The peer is in the swarm.
    Ready {
        /// The swarm.
        swarm: String,
        /// What to open in a browser.
        link: String,
    },
    /// How it stands.
    Progress {
        /// The swarm.
        swarm: String,
        /// Bytes held, all verified.
        bytes_verified: u64,
        /// Bytes of the content.
        bytes_total: u64,
        /// Bytes sent to others.
        uploaded: u64,
    },
    /// The content is complete and verified.
    Done(Done),
    /// Something failed.
    Error {
        /// In words.
        text: String,
    },
}

/// How a fetch went.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Done {
    /// From the start of the program.
    pub seconds: f64,
    /// Bytes of the content.
    pub bytes: u64,
    /// Bytes fetched from an initial peer.
    pub from_initial: u64,
    /// Bytes fetched from other peers.
    pub from_peers: u64,
    /// Bytes fetched from mirrors.
    pub from_mirrors: u64,
    /// Bytes sent to others.
    pub uploaded: u64,
    /// Bytes that came though they were held.
    pub duplicate_bytes: u64,
    /// Bytes of proofs.
    pub proof_bytes: u64,
    /// With `--play`: until the first frame, ms.
    pub start_ms: Option<u64>,
    /// With `--play`: how often playback stood still.
    pub stalls: u32,
    /// With `--play`: for how long, ms.
    pub stall_ms: u64,
}

impl Event {
    /// Reads a line; `None` if it is no event that the tests know.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_their_lines() {
        let line =
            r#"{"event":"progress","swarm":"ab","bytes_verified":3,"bytes_total":9,"uploaded":0,"links":2}"#;
        let event = Event::Progress { swarm: "ab".into(), bytes_verified: 3, bytes_total: 9, uploaded: 0 };
        assert_eq!(Event::read(line), Some(event));
        assert_eq!(Event::read("link: http://x"), None);
    }
}
