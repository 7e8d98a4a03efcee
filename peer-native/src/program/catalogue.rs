//! `list` and `remove`: what `seed` without files seeds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::address::{ContentAddress, TrackerAddress};
use crate::data_dir::{DataDir, Former, Listing};
use crate::key::{self, KeyError};
use crate::publications::{self, Credentials, Removed};
use crate::store::FileStamp;
use anyhow::{Context, bail};
use swarm_core::peer::PublishError;
use swarm_core::{Manifest, SwarmId};

use crate::program::cli::{Key, List, Remove};
use crate::program::report::{Event, Reporter, printable};
use crate::program::{amount, publishing};

/// Digits of a swarm id that tell it from others well enough.
const PREFIX_DIGITS_MIN: usize = 8;

/// Why a title is not removed.
const OTHER_KEY: &str =
    "it was published with another key, and only that key removes it; name the file of that key with --key";

/// Shows the catalogue.
pub(crate) fn list(options: List, reporter: Reporter) -> anyhow::Result<ExitCode> {
    let data_dir = existing(options.data.dir)?;
    let listings = data_dir.catalogue().context("the catalogue cannot be read")?;
    if listings.is_empty() {
        reporter.note("nothing was seeded from here yet");
    }
    for listing in listings {
        let (length_bytes, state) = state(&listing, &data_dir);
        let link = link_of(listing.trackers(), listing.swarm);
        let path = listing.path.display().to_string();
        reporter.text(&entry(&listing, length_bytes, state));
        reporter.event(&Event::Listed {
            swarm: listing.swarm,
            link: &link,
            path: &path,
            length_bytes,
            state,
        });
    }
    Ok(ExitCode::SUCCESS)
}

/// A file as the list shows it: whatever its name is, it reads as it is and does not move the cursor.
fn entry(listing: &Listing, length_bytes: Option<u64>, state: &str) -> String {
    let size = length_bytes.map(amount::size).unwrap_or_default();
    let path = printable(&listing.path.display().to_string());
    let link = link_of(listing.trackers(), listing.swarm);
    let former = listing.former.iter().map(|former| {
        let link = link_of(&former.trackers, former.swarm);
        format!("\n{:>22} {link} from before it changed", "")
    });
    format!("{state:<9} {size:>10}  {path}\n{:>22} {link}{}", "", former.collect::<String>())
}

/// The link by the first of these trackers.
fn link_of(trackers: impl IntoIterator<Item = impl AsRef<str>>, swarm: SwarmId) -> String {
    let tracker = trackers.into_iter().next().and_then(|tracker| tracker.as_ref().parse().ok());
    tracker.map_or_else(|| swarm.to_string(), |tracker: TrackerAddress| tracker.link(swarm))
}

/// Takes titles off their trackers and a file out of the catalogue, in this order: what failed can be tried again.
pub(crate) async fn remove(options: Remove, reporter: Reporter) -> anyhow::Result<ExitCode> {
    let data_dir = existing(options.data.dir)?;
    let listings = data_dir.catalogue().context("the catalogue cannot be read")?;
    let Meant { listing, titles, is_whole } = meant(&listings, &options.content)?;
    let path = listing.map_or_else(|| options.content.clone(), |listing| listing.path.display().to_string());
    let name = printable(&path);
    if !options.is_local {
        let key = publishing::key_path(options.signing.key.as_deref(), Some(&data_dir))?;
        for title in &titles {
            for tracker in &title.trackers {
                let removed = taken_off(tracker, title.swarm, &key, &data_dir).await.with_context(|| {
                    let local = "try again, or forget it here only with --local";
                    match listing {
                        Some(_) => {
                            format!("{name} stays in the list, since {tracker} still knows it; {local}")
                        }
                        None => format!("{tracker} still knows {name}"),
                    }
                })?;
                reporter.text(&match removed {
                    Removed::Forgotten => format!("{tracker} forgets {name}"),
                    Removed::Unknown => {
                        format!(
                            "{tracker} did not have {name}; a `seed` of it that still runs can bring it there"
                        )
                    }
                });
            }
        }
    }
    let mut former = listing.filter(|_| !is_whole).cloned();
    if let Some(listing) = &mut former {
        listing.former.retain(|former| titles.iter().all(|title| title.swarm != former.swarm));
        data_dir.list(listing).context("the catalogue cannot be written")?;
        reporter.text(&format!("{name} is seeded on as it is now"));
    } else if let Some(listing) = listing {
        data_dir.unlist(&listing.path).context("the catalogue cannot be written")?;
        reporter.text(&format!("{name} is not seeded at the next start; the file itself stays"));
    }
    for title in &titles {
        reporter.event(&Event::Removed { swarm: title.swarm, path: &path });
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes a title off a tracker that it was last seeded at.
async fn taken_off(
    tracker: &str,
    swarm: SwarmId,
    key_path: &Path,
    data_dir: &DataDir,
) -> anyhow::Result<Removed> {
    let tracker: TrackerAddress = tracker.parse()?;
    let key = match key::read(key_path) {
        Err(KeyError::Missing(path)) => bail!(
            "there is no key at {}; only the key that it was published with removes it; name that with --key",
            path.display()
        ),
        key => key?,
    };
    let own = key.public();
    let is_foreign = move |manifest: &Manifest| manifest.seal.publisher != own;
    if data_dir.manifest(swarm).is_some_and(|manifest| is_foreign(&manifest)) {
        bail!(OTHER_KEY);
    }
    let credentials = Credentials { key: Some(key), ..Credentials::default() };
    let removed = tokio::task::spawn_blocking(move || {
        let removed = publications::remove_manifest(&tracker, swarm, &credentials);
        // A tracker does not say whose a title is, but its manifest does.
        let manifest = || publications::fetch_manifest(&tracker, swarm, &credentials).ok();
        let is_foreign = matches!(removed, Err(PublishError::Refused(_)))
            && manifest()
                .and_then(|bytes| Manifest::from_bytes(swarm, &bytes).ok())
                .is_some_and(|manifest| is_foreign(&manifest));
        if is_foreign { Err(PublishError::Refused(OTHER_KEY.to_owned())) } else { removed }
    });
    match removed.await? {
        Ok(removed) => Ok(removed),
        Err(PublishError::Refused(reason) | PublishError::Failed(reason)) => bail!("{reason}"),
    }
}

/// `key`.
pub(crate) fn key(command: Key, reporter: Reporter) -> anyhow::Result<ExitCode> {
    let (Key::Show(file) | Key::New(file)) = &command;
    let data_dir = publishing::data_dir(file.data.dir.clone());
    let path = publishing::key_path(file.signing.key.as_deref(), data_dir.as_ref())?;
    let key = match command {
        Key::Show(_) => key::read(&path)?,
        Key::New(_) => key::make(&path)?,
    };
    let (public, path) = (key.public(), path.display().to_string());
    reporter.text(&format!("{public}  {path}"));
    reporter.event(&Event::Key { public, path: &path });
    Ok(ExitCode::SUCCESS)
}

fn existing(chosen: Option<PathBuf>) -> anyhow::Result<DataDir> {
    publishing::data_dir(chosen)
        .context("there is no catalogue without a data directory; name one with --data-dir")
}

/// How a file is now, compared to when it was seeded.
fn state(listing: &Listing, data_dir: &DataDir) -> (Option<u64>, &'static str) {
    let Ok(stamp) = File::open(&listing.path).and_then(|file| FileStamp::of(&file)) else {
        return (None, "missing");
    };
    let is_current = data_dir.record(&listing.path).is_some_and(|record| record.is_current(stamp));
    (Some(stamp.length_bytes), if is_current { "unchanged" } else { "changed" })
}

/// A title, and the trackers that may have it.
#[derive(Debug, PartialEq, Eq)]
struct Title {
    swarm: SwarmId,
    trackers: Vec<String>,
}

/// What a person names.
#[derive(Debug)]
struct Meant<'a> {
    /// The file, if it is in the catalogue.
    listing: Option<&'a Listing>,
    titles: Vec<Title>,
    /// Whether the file is meant with all that it was seeded as, and not a title from before it changed.
    is_whole: bool,
}

impl<'a> Meant<'a> {
    fn whole(listing: &'a Listing) -> Self {
        let own = Title { swarm: listing.swarm, trackers: listing.trackers().map(str::to_owned).collect() };
        let former = listing
            .former
            .iter()
            .map(|former| Title { swarm: former.swarm, trackers: former.trackers.clone() });
        Self { listing: Some(listing), titles: former.chain([own]).collect(), is_whole: true }
    }

    fn former(listing: &'a Listing, former: &Former) -> Self {
        let title = Title { swarm: former.swarm, trackers: former.trackers.clone() };
        Self { listing: Some(listing), titles: vec![title], is_whole: false }
    }
}

/// What a person names by the path of a file, a link, or the first digits of a swarm.
fn meant<'a>(listings: &'a [Listing], named: &str) -> anyhow::Result<Meant<'a>> {
    let path = Path::new(named);
    // A file that is gone has no canonical path any more.
    let path = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    if let Some(listing) = listings.iter().find(|listing| listing.path == path) {
        return Ok(Meant::whole(listing));
    }
    let link = named.parse::<ContentAddress>().ok().and_then(|link| Some((link.swarm, link.tracker?)));
    let digits = link.as_ref().map_or_else(|| named.to_lowercase(), |(swarm, _)| swarm.to_string());
    let is_prefix = digits.len() >= PREFIX_DIGITS_MIN;
    let is_meant = |swarm: SwarmId| is_prefix && swarm.to_string().starts_with(&digits);
    let mut found = listings.iter().flat_map(|listing| {
        let own = is_meant(listing.swarm).then(|| Meant::whole(listing));
        let former = listing.former.iter().filter(|former| is_meant(former.swarm));
        own.into_iter().chain(former.map(|former| Meant::former(listing, former)))
    });
    match (found.next(), found.next(), link) {
        (Some(mut meant), None, link) => {
            // The link may name a tracker that the list does not.
            if let Some((swarm, tracker)) = link
                && let Some(title) = meant.titles.iter_mut().find(|title| title.swarm == swarm)
                && !title.trackers.contains(&tracker.to_string())
            {
                title.trackers.push(tracker.to_string());
            }
            Ok(meant)
        }
        (Some(_), Some(_), _) => bail!("{named} means several files; give more digits, or the file's name"),
        (None, _, Some((swarm, tracker))) => {
            let titles = vec![Title { swarm, trackers: vec![tracker.to_string()] }];
            Ok(Meant { listing: None, titles, is_whole: true })
        }
        (None, _, None) => {
            bail!("{named} is not in the list; `list` shows what is, and a link names what is not")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::SwarmId;

    fn listing(path: &str, swarm: [u8; 32]) -> Listing {
        Listing {
            path: path.into(),
            swarm: SwarmId(swarm),
            tracker: "ws://h/v1/swarm".into(),
            statement: Default::default(),
            added_s: 0,
            is_public: false,
            former: Vec::new(),
        }
    }

    #[test]
    fn a_file_is_named_by_its_path_or_by_enough_digits() {
        let mut close = [0xab; 32];
        close[31] = 0;
        let listings = [listing("/a/film", [0xab; 32]), listing("/b", close), listing("/c", [1; 32])];
        let path = |named| meant(&listings, named).map(|meant| meant.listing.unwrap().path.clone());
        assert_eq!(path("/a/film").unwrap(), Path::new("/a/film"));
        assert_eq!(path("01010101").unwrap(), Path::new("/c"));
        assert!(path("abababab").unwrap_err().to_string().contains("several"));
        for named in ["0101010", "", "/d", "ffffffff"] {
            assert!(path(named).unwrap_err().to_string().contains("not in the list"), "{named}");
        }
    }

    #[test]
    fn names_of_files_in_the_list_drive_no_terminal() {
        let shown = entry(&listing("/films/\u{1b}]0;x\u{7}\nfilm\u{202e}4pm", [1; 32]), Some(5), "unchanged");
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
        assert_eq!(shown.lines().count(), 2, "{shown:?}");
    }

    #[test]
    fn a_title_from_before_a_file_changed_is_named_by_its_link() {
        let id = |digit: u8| SwarmId([digit; 32]);
        let mut changed = listing("/film", [2; 32]);
        changed.former.push(Former { swarm: id(1), trackers: vec!["ws://old/v1/swarm".into()] });
        let listings = [changed];
        let titles = |named: &str| {
            let meant = meant(&listings, named).unwrap();
            let titles = meant.titles.into_iter().map(|title| (title.swarm, title.trackers.join(" ")));
            (meant.is_whole, meant.listing.is_some(), titles.collect::<Vec<_>>())
        };
        let (old, own) = ("ws://old/v1/swarm".to_owned(), "ws://h/v1/swarm".to_owned());
        let both = vec![(id(1), old.clone()), (id(2), own)];
        assert_eq!(titles("/film"), (true, true, both.clone()));
        assert_eq!(titles(&format!("http://h/#{}", id(2))), (true, true, both));
        let former = (false, true, vec![(id(1), old.clone())]);
        assert_eq!(titles("01010101"), former);
        assert_eq!(titles(&format!("http://old/#{}", id(1))), former);
        let elsewhere = format!("{old} ws://new/v1/swarm");
        assert_eq!(titles(&format!("http://new/#{}", id(1))), (false, true, vec![(id(1), elsewhere)]));
        let stranger = titles(&format!("http://new/#{}", id(7)));
        assert_eq!(stranger, (true, false, vec![(id(7), "ws://new/v1/swarm".to_owned())]));
    }
}
