//! What two peers must tell each other before a connection is built.

use serde::{Deserialize, Serialize};

use super::fields::Missing;
use crate::limits::{CANDIDATE_BYTES_MAX, SDP_BYTES_MAX};

/// An offer, an answer or an ICE candidate on its way through the tracker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Fields")]
pub enum Signal {
    /// Session description that opens a connection.
    Offer {
        /// SDP, at most 16 KiB.
        sdp: String,
    },
    /// Session description that answers an offer.
    Answer {
        /// SDP, at most 16 KiB.
        sdp: String,
    },
    /// One trickled candidate, as browsers write it.
    Candidate {
        /// The candidate line.
        candidate: String,
        /// Media section it belongs to.
        sdp_mid: Option<String>,
        /// Index of that section.
        sdp_m_line_index: Option<u16>,
    },
    /// No more candidates follow.
    EndOfCandidates,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Offer,
    Answer,
    Candidate,
    EndOfCandidates,
}

/// The fields of all signals, from which one is read, as from those of a [message](super::fields).
#[derive(Debug, Deserialize)]
struct Fields {
    kind: Kind,
    sdp: Option<String>,
    candidate: Option<String>,
    sdp_mid: Option<String>,
    sdp_m_line_index: Option<u16>,
}

impl TryFrom<Fields> for Signal {
    type Error = Missing;

    fn try_from(fields: Fields) -> Result<Self, Missing> {
        let sdp = fields.sdp.ok_or(Missing("sdp"));
        Ok(match fields.kind {
            Kind::Offer => Self::Offer { sdp: sdp? },
            Kind::Answer => Self::Answer { sdp: sdp? },
            Kind::Candidate => Self::Candidate {
                candidate: fields.candidate.ok_or(Missing("candidate"))?,
                sdp_mid: fields.sdp_mid,
                sdp_m_line_index: fields.sdp_m_line_index,
            },
            Kind::EndOfCandidates => Self::EndOfCandidates,
        })
    }
}

impl Signal {
    /// Whether every field keeps its limit.
    pub fn is_within_limits(&self) -> bool {
        match self {
            Self::Offer { sdp } | Self::Answer { sdp } => sdp.len() <= SDP_BYTES_MAX,
            Self::Candidate { candidate, sdp_mid, .. } => {
                candidate.len() + sdp_mid.as_ref().map_or(0, String::len) <= CANDIDATE_BYTES_MAX
            }
            Self::EndOfCandidates => true,
        }
    }

    /// The session description, if it is one.
    pub fn description(&self) -> Option<&str> {
        match self {
            Self::Offer { sdp } | Self::Answer { sdp } => Some(sdp),
            Self::Candidate { .. } | Self::EndOfCandidates => None,
        }
    }

    /// The lines of the candidates that it brings, from `candidate:` on.
    pub fn candidates(&self) -> impl Iterator<Item = &str> {
        let (described, trickled) = match self {
            Self::Offer { sdp } | Self::Answer { sdp } => (sdp.as_str(), None),
            Self::Candidate { candidate, .. } => ("", Some(candidate.as_str())),
            Self::EndOfCandidates => ("", None),
        };
        let described = described.lines().filter_map(|line| line.trim_start().strip_prefix("a="));
        described.filter(|line| line.starts_with("candidate:")).chain(trickled)
    }

    /// What of the signal names no network address but that of a relay; `None` if nothing does.
    ///
    /// Other candidates are left out. So is where a relayed one came from (`raddr`, RFC 8839 section 5.1), and the address
    /// of a description's `c=` line.
    pub fn relayed(self) -> Option<Self> {
        match self {
            Self::Offer { sdp } => Some(Self::Offer { sdp: relayed_description(&sdp) }),
            Self::Answer { sdp } => Some(Self::Answer { sdp: relayed_description(&sdp) }),
            Self::Candidate { candidate, sdp_mid, sdp_m_line_index } => {
                let candidate = relayed_candidate(&candidate)?;
                Some(Self::Candidate { candidate, sdp_mid, sdp_m_line_index })
            }
            Self::EndOfCandidates => Some(Self::EndOfCandidates),
        }
    }

    /// About the bytes that the signal takes on the wire; at least 64.
    pub fn len_bytes(&self) -> u32 {
        let text = match self {
            Self::Offer { sdp } | Self::Answer { sdp } => sdp.len(),
            Self::Candidate { candidate, sdp_mid, .. } => {
                candidate.len() + sdp_mid.as_ref().map_or(0, String::len)
            }
            Self::EndOfCandidates => 0,
        };
        u32::try_from(text).unwrap_or(u32::MAX).saturating_add(64)
    }
}

fn relayed_description(sdp: &str) -> String {
    let mut relayed = String::with_capacity(sdp.len());
    for line in sdp.lines() {
        let line = match (line.strip_prefix("a=candidate:"), line.starts_with("c=")) {
            (Some(_), _) => match relayed_candidate(&line[2..]) {
                Some(candidate) => format!("a={candidate}"),
                None => continue,
            },
            (None, true) => "c=IN IP4 0.0.0.0".to_owned(),
            (None, false) => line.to_owned(),
        };
        relayed.push_str(&line);
        relayed.push_str("\r\n");
    }
    relayed
}

/// `foundation component transport priority address port typ TYPE [NAME VALUE]…`: only one of a relay, without where it
/// came from.
fn relayed_candidate(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let is_relayed = words.get(6..8) == Some(&["typ", "relay"]);
    let (fixed, extensions) = words.split_at_checked(8).filter(|_| is_relayed)?;
    let told = extensions.chunks(2).filter(|pair| !matches!(pair[0], "raddr" | "rport")).flatten();
    // Some readers of a relayed candidate want these two.
    let hidden = ["raddr", "0.0.0.0", "rport", "9"];
    Some(fixed.iter().chain(&hidden).chain(told).copied().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const HOST: &str = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host generation 0";
    const RELAY: &str =
        "candidate:3 1 udp 41885439 198.51.100.1 60000 typ relay raddr 192.0.2.7 rport 50000 generation 0";
    const HIDDEN: &str =
        "candidate:3 1 udp 41885439 198.51.100.1 60000 typ relay raddr 0.0.0.0 rport 9 generation 0";

    fn trickled(candidate: &str) -> Signal {
        Signal::Candidate {
            candidate: candidate.into(),
            sdp_mid: Some("0".into()),
            sdp_m_line_index: Some(0),
        }
    }

    #[test]
    fn a_signal_is_read_as_it_was_written_and_needs_its_fields() {
        let signals = [
            Signal::Offer { sdp: "o".into() },
            Signal::Answer { sdp: "a".into() },
            trickled(HOST),
            Signal::Candidate { candidate: String::new(), sdp_mid: None, sdp_m_line_index: None },
            Signal::EndOfCandidates,
        ];
        for signal in signals {
            let text = serde_json::to_string(&signal).unwrap();
            assert_eq!(serde_json::from_str::<Signal>(&text).unwrap(), signal, "{text}");
        }
        let read = |text: &str| serde_json::from_str::<Signal>(text);
        assert!(read(r#"{"sdp_mid":"0","kind":"candidate","candidate":"c","later":[]}"#).is_ok());
        for text in [
            r#"{"kind":"offer"}"#,
            r#"{"kind":"answer","candidate":"c"}"#,
            r#"{"kind":"candidate","sdp":"v=0"}"#,
            r#"{"kind":"candidate","candidate":"c","sdp_m_line_index":65536}"#,
            r#"{"kind":"rollback","sdp":"v=0"}"#,
            r#"{"sdp":"v=0"}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_relay_is_named() {
        assert_eq!(trickled(RELAY).relayed(), Some(trickled(HIDDEN)));
        for other in
            [HOST, "", "candidate:1", "candidate:1 1 udp 1 192.0.2.7 5 typ srflx raddr 0.0.0.0 rport 9"]
        {
            assert_eq!(trickled(other).relayed(), None, "{other}");
        }
        assert_eq!(Signal::EndOfCandidates.relayed(), Some(Signal::EndOfCandidates));
    }

    #[test]
    fn a_description_keeps_everything_but_addresses() {
        let sdp = |candidates: &str, address: &str| {
            format!(
                "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 {address}\r\n{candidates}a=mid:0\r\n"
            )
        };
        let told = sdp(&format!("a={HOST}\r\na={RELAY}\r\n"), "192.0.2.7");
        let relayed = Signal::Offer { sdp: told.clone() }.relayed().unwrap();
        assert_eq!(relayed.description(), Some(&*sdp(&format!("a={HIDDEN}\r\n"), "0.0.0.0")));
        assert!(!format!("{:?}", Signal::Answer { sdp: told }.relayed()).contains("192.0.2.7"));
    }
}
