//! What `www/index.html` says about its own making, in the attributes that Trunk reads, too: which files belong to the page,
//! and which crate.
//!
//! ```text
//! <link data-trunk rel="css" href="style.css">        a style sheet: copied and linked
//! <link data-trunk rel="copy-file" href="sw.js">      a file: copied
//! <link data-trunk rel="copy-dir" href="app">         a folder: copied
//! <link data-trunk rel="rust" href="../p/Cargo.toml" data-type="worker" data-bindgen-target="web"
//!       data-cargo-profile-release="wasm" data-wasm-opt="0">   a crate: compiled, bound, not optimised again
//! ```
//! Anything else that Trunk would understand is an error here, so that both builds make the same page.

use anyhow::{Context, Result, bail, ensure};

/// How the attribute begins that marks a link as an instruction.
const MARK: &str = "<link data-trunk";

/// What the page is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageSource {
    /// `index.html` as browsers get it.
    pub(super) html: String,
    /// Files and folders to copy, relative to `index.html`.
    pub(super) copied: Vec<String>,
    /// The crate of the peer.
    pub(super) peer: Peer,
}

/// The crate of the peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// Its manifest, relative to `index.html`.
    pub(super) manifest: String,
    /// The profile that it is built with.
    pub(super) profile: String,
}

impl PageSource {
    /// Reads `index.html`.
    pub(super) fn read(text: &str) -> Result<Self> {
        let mut source = Self::default();
        let mut rest = text;
        while let Some(at) = rest.find(MARK) {
            let length = rest[at..].find('>').context("index.html: a link does not end")? + 1;
            let (before, link) = (&rest[..at], &rest[at..at + length]);
            source.html.push_str(before.trim_end_matches([' ', '\t']));
            let style = source.obey(link).with_context(|| format!("index.html: {link}"))?;
            rest = &rest[at + length..];
            match style {
                Some(style) => {
                    source.html.push_str("  ");
                    source.html.push_str(&style);
                }
                // A line that has nothing else goes with its link.
                None => rest = rest.strip_prefix('\n').unwrap_or(rest),
            }
        }
        source.html.push_str(rest);
        ensure!(!source.peer.manifest.is_empty(), "index.html names no crate");
        Ok(source)
    }

    /// Does what a link says. Returns what stands in its place.
    fn obey(&mut self, link: &str) -> Result<Option<String>> {
        let href = attribute(link, "href").context("it has no href")?.to_owned();
        match attribute(link, "rel") {
            Some("css") => {
                let style = format!("<link rel=\"stylesheet\" href=\"{href}\">");
                self.copied.push(href);
                return Ok(Some(style));
            }
            Some("copy-file" | "copy-dir") => self.copied.push(href),
            Some("rust") => self.peer = Peer { profile: profile(link)?, manifest: href },
            other => bail!("rel={other:?} is not known to xtask/src/page/source.rs"),
        }
        Ok(None)
    }
}

/// The profile of a crate whose other settings are those that this build has.
fn profile(link: &str) -> Result<String> {
    for (name, value) in [("data-type", "worker"), ("data-bindgen-target", "web"), ("data-wasm-opt", "0")] {
        ensure!(
            attribute(link, name) == Some(value),
            "{name} is not {value}: xtask/src/page builds nothing else"
        );
    }
    Ok(attribute(link, "data-cargo-profile-release").context("it names no profile")?.to_owned())
}

fn attribute<'a>(link: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = link.split_once(&format!(" {name}=\""))?;
    value.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "<link data-trunk rel=\"rust\" href=\"../p/Cargo.toml\" data-type=\"worker\"\n  \
        data-bindgen-target=\"web\" data-cargo-profile-release=\"wasm\" data-wasm-opt=\"0\">";

    #[test]
    fn links_become_files_to_copy_and_leave_the_page() {
        let text = format!(
            "<head>\n  <title>T</title>\n  <link data-trunk rel=\"css\" href=\"a.css\">\n  \
             <link data-trunk rel=\"copy-dir\" href=\"app\">\n  {PEER}\n</head>\n"
        );
        let source = PageSource::read(&text).unwrap();
        assert_eq!(
            source.html,
            "<head>\n  <title>T</title>\n  <link rel=\"stylesheet\" href=\"a.css\">\n</head>\n"
        );
        assert_eq!(source.copied, ["a.css", "app"]);
        assert_eq!(source.peer, Peer { manifest: "../p/Cargo.toml".into(), profile: "wasm".into() });
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (text, word) in [
            ("<head></head>".to_owned(), "names no crate"),
            ("<link data-trunk rel=\"sass\" href=\"a\">".to_owned(), "not known"),
            ("<link data-trunk rel=\"css\">".to_owned(), "no href"),
            ("<link data-trunk rel=\"css\" href=\"a\"".to_owned(), "does not end"),
            (PEER.replace("\"0\"", "\"z\""), "data-wasm-opt"),
        ] {
            let error = format!("{:#}", PageSource::read(&text).unwrap_err());
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn the_page_of_this_repository_is_understood() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../www/index.html");
        let source = PageSource::read(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(!source.html.contains("data-trunk"));
        assert!(source.copied.iter().any(|path| path == "sw.js"));
    }
}
