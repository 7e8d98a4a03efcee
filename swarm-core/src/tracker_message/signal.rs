//! What two peers must tell each other before a connection is built.

use serde::{Deserialize, Serialize};

use crate::limits::{CANDIDATE_BYTES_MAX, SDP_BYTES_MAX};

/// An offer, an answer or an ICE candidate on its way through the tracker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
