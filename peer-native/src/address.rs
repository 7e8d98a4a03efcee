//! Addresses that people write: of trackers, and links to contents.
//!
//! ```text
//! tracker   ws://HOST:PORT/v1/swarm            wss://… behind a proxy that speaks TLS
//! manifest  http://HOST:PORT/v1/manifests/SWARMID
//! link      http://HOST:PORT/#SWARMID
//! ```
//! A path before `/v1/swarm` is kept, for trackers that share a host with other services.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use swarm_core::SwarmId;
use swarm_core::publisher::TrackerName;
use swarm_core::token::fault_in_link;
use swarm_core::web_address::WebAddress;
use tokio_tungstenite::tungstenite::http::Uri;

/// Path of the WebSocket below the tracker's base.
const SOCKET_PATH: &str = "/v1/swarm";

/// A text that is no address. Show it; it says what an address looks like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not a tracker's address.
    #[error("`{0}` is not a tracker's address; one looks like ws://HOST:PORT/v1/swarm")]
    Tracker(String),
    /// Not a link or a swarm id.
    #[error(
        "`{0}` is not a link; one looks like http://HOST:PORT/#SWARMID, with an id of 64 hexadecimal digits"
    )]
    Link(String),
    /// A link whose permission no request can carry.
    #[error("the link's token cannot be used: {0}")]
    Token(&'static str),
}

/// Where a tracker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerAddress {
    is_secure: bool,
    /// Host and port.
    authority: String,
    /// Path in front of everything; empty or starting with a slash.
    base: String,
}

impl TrackerAddress {
    /// Reads `scheme://authority/base`, the scheme being one of a plain and a secure one.
    fn read(text: &str, plain: &str, secure: &str, tail: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let scheme = uri.scheme_str()?;
        let authority = uri.authority()?.as_str();
        let base = uri.path().trim_end_matches('/').strip_suffix(tail.trim_end_matches('/'))?;
        let is_known = scheme == plain || scheme == secure;
        // `Uri` takes ports that are none, and those who ask it for the port then take the scheme's.
        WebAddress::read(&format!("{scheme}://{authority}"), &[plain, secure])?;
        // Names and passwords in addresses end up in logs.
        let is_whole =
            is_known && uri.query().is_none() && !authority.contains('@') && uri.host() != Some("");
        let base = base.trim_end_matches('/').to_owned();
        is_whole.then(|| Self { is_secure: scheme == secure, authority: authority.to_owned(), base })
    }

    /// Address of the WebSocket.
    pub(crate) fn socket_url(&self) -> String {
        let scheme = if self.is_secure { "wss" } else { "ws" };
        format!("{scheme}://{}{}{SOCKET_PATH}", self.authority, self.base)
    }

    /// Address of a manifest.
    pub(crate) fn manifest_url(&self, swarm: SwarmId) -> String {
        format!("{}/v1/manifests/{swarm}", self.page())
    }

    /// Address to put a manifest to, so that the catalogue shows it if `is_listed`; `is_again` where it was put before.
    pub(crate) fn publish_url(&self, swarm: SwarmId, is_listed: bool, is_again: bool) -> String {
        let query = match (is_listed, is_again) {
            (false, false) => "",
            (true, false) => "?list=true",
            (false, true) => "?again=true",
            (true, true) => "?list=true&again=true",
        };
        format!("{}{query}", self.manifest_url(swarm))
    }

    /// Address that gives a challenge to sign.
    pub(crate) fn challenge_url(&self) -> String {
        format!("{}/v1/challenge", self.page())
    }

    /// The name by which proofs call it.
    pub fn name(&self) -> TrackerName {
        TrackerName::of(&self.authority)
    }

    /// What a person opens in a browser to see the content.
    pub fn link(&self, swarm: SwarmId) -> String {
        format!("{}/#{swarm}", self.page())
    }

    fn page(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority, self.base)
    }

    /// Whether the tracker is on this machine or in a private network, as far as its address tells.
    pub(crate) fn is_private(&self) -> bool {
        WebAddress::read(&self.socket_url(), &["ws", "wss"]).is_some_and(|address| address.is_local())
    }

    /// Whether the tracker is on this machine by its name, so that other peers may be, too.
    pub fn is_local(&self) -> bool {
        let host = self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl FromStr for TrackerAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::read(text, "ws", "wss", SOCKET_PATH).ok_or_else(|| AddressError::Tracker(text.to_owned()))
    }
}

impl fmt::Display for TrackerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.socket_url())
    }
}

/// What names a content: a swarm, and the tracker where its peers meet if the text says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentAddress {
    /// The swarm.
    pub swarm: SwarmId,
    /// The tracker; `None` in a bare swarm id.
    pub tracker: Option<TrackerAddress>,
    /// Permission to use the tracker, where the link has one.
    pub token: Option<String>,
}

impl FromStr for ContentAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let error = || AddressError::Link(text.to_owned());
        let Some((page, swarm)) = text.split_once('#') else {
            let swarm = text.parse().map_err(|_| error())?;
            return Ok(Self { swarm, tracker: None, token: None });
        };
        // Behind the swarm a link may say where playback begins (`t`) and who may watch (`token`).
        let (swarm, rest) = swarm.split_once('&').unwrap_or((swarm, ""));
        let swarm = swarm.parse().map_err(|_| error())?;
        let tracker = TrackerAddress::read(page, "http", "https", "").ok_or_else(error)?;
        let token = rest.split('&').find_map(|part| part.strip_prefix("token=")).map(str::to_owned);
        if let Some(fault) = token.as_deref().and_then(fault_in_link) {
            return Err(AddressError::Token(fault));
        }
        Ok(Self { swarm, tracker: Some(tracker), token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000000000000000000000000000000000000000000000000000000000ab";

    #[test]
    fn a_link_names_the_tracker_that_its_page_comes_from() {
        let content: ContentAddress = format!("http://example.org:8080/#{ID}").parse().unwrap();
        let tracker = content.tracker.unwrap();
        assert_eq!(tracker.socket_url(), "ws://example.org:8080/v1/swarm");
        assert_eq!(tracker.manifest_url(content.swarm), format!("http://example.org:8080/v1/manifests/{ID}"));
        assert_eq!(tracker.link(content.swarm), format!("http://example.org:8080/#{ID}"));
        assert!(!tracker.is_local());
        let whole: ContentAddress = format!("http://h/#{ID}&t=2:15&token=ab.c").parse().unwrap();
        assert_eq!((whole.swarm, whole.token.as_deref()), (content.swarm, Some("ab.c")));
        assert_eq!(content.token, None);
        let long = format!("http://h/#{ID}&token={}", "a".repeat(70_000)).parse::<ContentAddress>();
        assert!(matches!(long, Err(AddressError::Token(_))));
        let bare: ContentAddress = ID.parse().unwrap();
        assert_eq!(bare.tracker, None);
    }

    #[test]
    fn a_tracker_below_a_path_and_behind_tls_keeps_both() {
        let tracker: TrackerAddress = "wss://example.org/films/v1/swarm".parse().unwrap();
        let swarm = ID.parse().unwrap();
        assert_eq!(tracker.to_string(), "wss://example.org/films/v1/swarm");
        assert_eq!(tracker.manifest_url(swarm), format!("https://example.org/films/v1/manifests/{ID}"));
        let link = tracker.link(swarm);
        assert_eq!(link, format!("https://example.org/films/#{ID}"));
        assert_eq!(link.parse::<ContentAddress>().unwrap().tracker, Some(tracker));
    }

    #[test]
    fn a_tracker_on_this_machine_is_known_as_such() {
        for (text, is_local) in [
            ("ws://127.0.0.1:8080/v1/swarm", true),
            ("ws://localhost/v1/swarm", true),
            ("ws://[::1]:80/v1/swarm", true),
            ("ws://10.0.0.1:8080/v1/swarm", false),
            ("ws://localhost.example.org/v1/swarm", false),
        ] {
            assert_eq!(text.parse::<TrackerAddress>().unwrap().is_local(), is_local, "{text}");
        }
    }

    /// The socket would go to port 80 instead.
    const PORTS_THAT_ARE_NONE: [&str; 6] = [
        "ws://host:99999/v1/swarm",
        "ws://host:65536/v1/swarm",
        "ws://host:080/v1/swarm",
        "ws://host:+1/v1/swarm",
        "ws://host:0/v1/swarm",
        "ws://host:/v1/swarm",
    ];

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for text in
            ["", "nonsense", "http://host/v1/swarm", "ws://host/elsewhere", "ws://", "ws://u:p@host/v1/swarm"]
                .into_iter()
                .chain(PORTS_THAT_ARE_NONE)
        {
            let error = text.parse::<TrackerAddress>().unwrap_err();
            assert!(error.to_string().contains("ws://HOST:PORT/v1/swarm"), "{text}");
        }
        let long = format!("http://host/#{ID}00");
        for text in ["", "abc", "http://host/", "http://host/#12", "ftp://host/#x", &long, "http://#"] {
            let error = text.parse::<ContentAddress>().unwrap_err();
            assert!(error.to_string().contains("http://HOST:PORT/#SWARMID"), "{text}");
        }
    }
}
