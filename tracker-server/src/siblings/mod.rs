//! Siblings: trackers that name one another and share nothing but a key.
//!
//! ```text
//! peer ─socket→ its tracker ─Attach, Request→ sibling: one more viewer of the decisions
//!      ←socket─             ←Deliver────────
//! ```
//!
//! Where two siblings have peers of the same swarm, each sends the other some of its own as *guests*: they are introduced to
//! peers there, and so the two groups become one swarm. Signals go the same way as the guest's other messages. Nothing else is
//! shared: no lists of publications, no homes, no decisions. A sibling that is gone or lies costs its own guests and the links
//! that it introduced.
//!
//! `wire` is what is said and how it is authenticated, `envoys` and `hosts` the state of both sides; `running` carries.
//! The hub puts them beside its own decisions.

pub(crate) mod envoys;
pub(crate) mod greetings;
pub(crate) mod hosts;
pub(crate) mod mask;
pub(crate) mod running;
pub(crate) mod wire;

pub use wire::SiblingKey;

use std::fmt;
use std::str::FromStr;

use swarm_core::web_address::WebAddress;

/// Path of the WebSocket below a tracker's base.
pub(crate) const PATH: &str = "/v1/siblings";

/// Which siblings a tracker has.
#[derive(Debug, Clone, Default)]
pub struct Siblings {
    /// Where they are.
    pub addresses: Vec<SiblingAddress>,
    /// What all of them share; none if this tracker has no siblings.
    pub key: Option<SiblingKey>,
}

/// Where a sibling is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiblingAddress(String);

/// A text that is no address. Show it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a tracker's address; one looks like wss://HOST/ or ws://HOST:PORT/v1/swarm")]
pub struct SiblingAddressError(String);

impl SiblingAddress {
    /// The address that peers use.
    pub(crate) fn peers_url(&self) -> String {
        format!("{}/v1/swarm", self.0)
    }

    /// The address of the WebSocket for siblings.
    fn url(&self) -> String {
        format!("{}{PATH}", self.0)
    }
}

impl fmt::Display for SiblingAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SiblingAddress {
    type Err = SiblingAddressError;

    fn from_str(text: &str) -> Result<Self, SiblingAddressError> {
        let is_address =
            WebAddress::read(text, &["wss", "ws"]).is_some_and(|address| address.query.is_none());
        let base = text.trim_end_matches('/');
        let base = base.strip_suffix("/v1/swarm").unwrap_or(base).trim_end_matches('/');
        is_address.then(|| Self(base.to_owned())).ok_or_else(|| SiblingAddressError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_is_named_like_a_tracker() {
        for (text, url) in [
            ("wss://other.example.org/", "wss://other.example.org/v1/siblings"),
            ("wss://other.example.org/films/v1/swarm", "wss://other.example.org/films/v1/siblings"),
            ("ws://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/siblings"),
        ] {
            assert_eq!(text.parse::<SiblingAddress>().unwrap().url(), url);
        }
        for text in ["https://other.example.org/", "other.example.org", "wss://other.example.org/?x"] {
            assert!(text.parse::<SiblingAddress>().is_err(), "{text}");
        }
    }
}
