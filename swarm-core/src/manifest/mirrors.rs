//! Mirrors: HTTP servers that hold the content, and what they may be asked for.
//!
//! What comes from a mirror is verified like anything else, so a manifest names where the bytes are, not whom to believe.

use serde::{Deserialize, Serialize};

use crate::limits::{MIRRORS_MAX, TEXT_BYTES_MAX, TRACKERS_MAX};
use crate::manifest::ManifestError;
use crate::web_address::WebAddress;

/// What is appended to a mirror's address for that of its tree, where the manifest names none.
const TREE_SUFFIX: &str = ".tree";

/// What mirrors are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MirrorPolicy {
    /// The first groups while links are being built, and whatever no peer will deliver in time.
    #[default]
    Assist,
    /// Only what no peer will deliver in time.
    Rescue,
    /// As `Assist`, and also background where no peer can be reached.
    Full,
}

/// One HTTP server that has the content as a plain file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// Address of the file.
    pub url: String,
    /// Address of its tree; `None`: the file's with `.tree` behind it.
    pub tree_url: Option<String>,
    /// Its part of what mirrors are asked for, relative to the others; at least 1.
    pub weight: u16,
}

impl Mirror {
    /// A mirror of weight 1 with its tree beside the file.
    pub const fn new(url: String) -> Self {
        Self { url, tree_url: None, weight: 1 }
    }

    /// Where its tree is.
    pub fn tree_address(&self) -> String {
        self.tree_url.clone().unwrap_or_else(|| format!("{}{TREE_SUFFIX}", self.url))
    }

    /// The host that serves the file, for people.
    pub fn host(&self) -> &str {
        address(&self.url).map_or("", |address| address.host)
    }

    /// Whether the file or its tree is on this machine or in a private network, as far as their addresses tell.
    pub fn is_local(&self) -> bool {
        let urls = [&self.url].into_iter().chain(&self.tree_url);
        urls.filter_map(|url| address(url)).any(|address| address.is_local())
    }

    fn check(&self) -> Result<(), ManifestError> {
        let urls = [&self.url].into_iter().chain(&self.tree_url);
        for url in urls {
            let usable = |address: WebAddress<'_>| address.scheme == "https" || address.is_local();
            if url.len() > TEXT_BYTES_MAX || !address(url).is_some_and(usable) {
                return Err(ManifestError::Invalid(
                    "a mirror's address is not https://HOST[:PORT]/PATH (http only within a private network)",
                ));
            }
        }
        if self.tree_url.is_none() && self.url.contains('?') {
            return Err(ManifestError::Invalid(
                "a mirror whose address has a query needs an address of its tree",
            ));
        }
        if self.weight == 0 {
            return Err(ManifestError::Invalid("the weight of a mirror is 0"));
        }
        Ok(())
    }
}

/// All mirrors of a content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mirrors {
    /// What they are for.
    pub policy: MirrorPolicy,
    /// The servers, at most 8, no address twice.
    pub servers: Vec<Mirror>,
}

impl Mirrors {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Whether a manifest may name these.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.servers.len() > MIRRORS_MAX {
            return Err(ManifestError::Invalid("more than 8 mirrors"));
        }
        if self.is_empty() && self.policy != MirrorPolicy::default() {
            return Err(ManifestError::Invalid("a policy for mirrors without mirrors"));
        }
        let is_repeated = |(place, mirror): (usize, &Mirror)| {
            self.servers.iter().take(place).any(|other| other.url == mirror.url)
        };
        if self.servers.iter().enumerate().any(is_repeated) {
            return Err(ManifestError::Invalid("a mirror is named twice"));
        }
        self.servers.iter().try_for_each(Mirror::check)
    }
}

fn address(url: &str) -> Option<WebAddress<'_>> {
    WebAddress::read(url, &["https", "http"]).filter(|address| !address.path.is_empty())
}

/// Addresses of further trackers: `wss://HOST[:PORT][/PATH]` and the like.
pub(super) fn check_trackers(trackers: &[String]) -> Result<(), ManifestError> {
    if trackers.len() > TRACKERS_MAX {
        return Err(ManifestError::Invalid("more than 8 trackers"));
    }
    let is_address = |text: &String| {
        let address = WebAddress::read(text, &["wss", "ws", "https", "http"]);
        address.is_some_and(|address| address.query.is_none())
    };
    if !trackers.iter().all(is_address) {
        return Err(ManifestError::Invalid(
            "a tracker's address is not wss://HOST[:PORT][/PATH] or the like",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::id::ContentRoot;
    use crate::manifest::tests::{key, sample};
    use crate::manifest::{Manifest, swarm_id_of};

    fn mirrored(mirrors: Mirrors) -> Manifest {
        let mut manifest = sample(100, ContentRoot([7; 32]));
        manifest.mirrors = mirrors;
        manifest
    }

    fn one(url: &str) -> Mirrors {
        Mirrors { policy: MirrorPolicy::Assist, servers: vec![Mirror::new(url.to_owned())] }
    }

    #[test]
    fn a_manifest_with_mirrors_survives_its_canonical_form() {
        let mut mirrors = one("https://films.example.org/film.mp4");
        mirrors.policy = MirrorPolicy::Full;
        mirrors.servers.push(Mirror {
            url: "https://b.example.org/get?f=1".into(),
            tree_url: Some("https://b.example.org/get?f=2".into()),
            weight: 7,
        });
        let manifest = mirrored(mirrors).signed_by(&key()).unwrap();
        let bytes = manifest.to_bytes().unwrap();
        assert!(bytes.starts_with(b"TRB3"));
        assert_eq!(Manifest::from_bytes(manifest.swarm_id().unwrap(), &bytes).unwrap(), manifest);
        let trees: Vec<String> = manifest.mirrors.servers.iter().map(Mirror::tree_address).collect();
        assert_eq!(trees, ["https://films.example.org/film.mp4.tree", "https://b.example.org/get?f=2"]);
        assert_eq!(manifest.mirrors.servers[0].host(), "films.example.org");
    }

    #[test]
    fn a_manifest_without_mirrors_is_read_by_programs_that_know_none() {
        assert!(mirrored(Mirrors::default()).to_bytes().unwrap().starts_with(b"TRB2"));
        assert!(mirrored(Mirrors { policy: MirrorPolicy::Full, servers: vec![] }).to_bytes().is_err());
    }

    #[test]
    fn canonical_bytes_with_a_mirror_are_those_of_the_protocol_document() {
        let plain = sample(100, ContentRoot([7; 32])).to_bytes().unwrap();
        let with = mirrored(one("https://m.example/f")).to_bytes().unwrap();
        let body = &plain[4..plain.len() - 64];
        // Policy assist; one server; its address; no address of the tree; weight 1.
        let expected = [b"TRB3", body, &[0, 1, 19], b"https://m.example/f", &[0, 1]].concat();
        assert_eq!(with[..with.len() - 64], expected);
        let swarm = "99f68ba2470bcba9f8453b18d20fac3a97f85986d1bebfdbe567c2b1568eafa0";
        assert_eq!(swarm_id_of(&with).to_string(), swarm);
    }

    #[test]
    fn what_is_no_mirror_is_refused() {
        let refused = |mirrors: Mirrors| {
            let manifest = mirrored(mirrors);
            assert!(matches!(manifest.to_bytes(), Err(ManifestError::Invalid(_))), "{manifest:?}");
        };
        for url in [
            "http://films.example.org/film.mp4",
            "https://films.example.org",
            "https://user@films.example.org/film.mp4",
            "https://films.example.org/film.mp4#x",
            "https://films.example.org/film.mp4?x",
            "wss://films.example.org/film.mp4",
            "film.mp4",
        ] {
            refused(one(url));
        }
        refused(one(&format!("https://a.example/{}", "a".repeat(TEXT_BYTES_MAX))));
        let numbered = |number| Mirror::new(format!("https://a.example/{number}"));
        refused(Mirrors { servers: (0..=MIRRORS_MAX).map(numbered).collect(), ..Mirrors::default() });
        refused(Mirrors { servers: vec![numbered(1), numbered(1)], ..Mirrors::default() });
        refused(Mirrors { servers: vec![Mirror { weight: 0, ..numbered(1) }], ..Mirrors::default() });
        let tree_url = Some("http://films.example.org/film.tree".to_owned());
        refused(Mirrors { servers: vec![Mirror { tree_url, ..numbered(1) }], ..Mirrors::default() });
        let servers = (0..MIRRORS_MAX).map(numbered).collect();
        assert!(mirrored(Mirrors { servers, ..Mirrors::default() }).to_bytes().is_ok());
        for url in ["http://127.0.0.1:8080/f", "http://[::1]/f", "http://192.168.1.5/f", "http://localhost/f"]
        {
            assert!(mirrored(one(url)).to_bytes().is_ok(), "{url}");
        }
    }

    #[test]
    fn mirrors_behind_a_manifest_of_the_version_without_them_are_refused() {
        let with = mirrored(one("https://m.example/f")).signed_by(&key()).unwrap().to_bytes().unwrap();
        let plain = sample(100, ContentRoot([7; 32])).to_bytes().unwrap();
        let renamed = |bytes: &[u8], magic: &[u8]| [magic, &bytes[4..]].concat();
        // An empty list of mirrors would be a second form of the same manifest.
        let empty = [b"TRB3", &plain[4..plain.len() - 64], &[0, 0], &plain[plain.len() - 64..]].concat();
        for bytes in [renamed(&with, b"TRB2"), renamed(&plain, b"TRB3"), empty, renamed(&plain, b"TRB4")] {
            assert_eq!(Manifest::from_bytes(swarm_id_of(&bytes), &bytes), Err(ManifestError::Malformed));
        }
    }

    #[test]
    fn trackers_are_addresses_and_few() {
        let with = |trackers: &[&str]| {
            let mut manifest = sample(100, ContentRoot([7; 32]));
            manifest.trackers = trackers.iter().map(|text| (*text).to_owned()).collect();
            manifest.to_bytes()
        };
        for tracker in
            ["wss://t.example.org/v1/swarm", "ws://10.0.0.1:8080", "https://t.example/base", "http://[::1]:9"]
        {
            assert!(with(&[tracker]).is_ok(), "{tracker}");
        }
        for tracker in
            ["", "t.example.org", "ftp://t.example", "wss://u@t.example", "wss://t.example/?a", "wss://t/#a"]
        {
            assert!(matches!(with(&[tracker]), Err(ManifestError::Invalid(_))), "{tracker}");
        }
        assert!(with(&["wss://t.example"; TRACKERS_MAX]).is_ok());
        assert!(with(&["wss://t.example"; TRACKERS_MAX + 1]).is_err());
    }
}
