//! `list` and `remove`: what `seed` without files seeds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::address::TrackerAddress;
use crate::data_dir::{DataDir, Listing};
use crate::key;
use crate::publications::{self, Credentials, Removed};
use crate::store::FileStamp;
use anyhow::{Context, bail};
use swarm_core::SwarmId;
use swarm_core::peer::PublishError;

use crate::program::cli::{Key, List, Remove};
use crate::program::report::{Event, Reporter};
use crate::program::{amount, publishing};

/// Digits of a swarm id that tell it from others well enough.
const PREFIX_DIGITS_MIN: usize = 8;

/// Shows the catalogue.
pub(crate) fn list(options: List, reporter: Reporter) -> anyhow::Result<ExitCode> {
    let data_dir = existing(options.data.dir)?;
    let listings = data_dir.catalogue().context("the catalogue cannot be read")?;
    if listings.is_empty() {
        reporter.note("nothing was seeded from here yet");
    }
    for listing in listings {
        let (length_bytes, state) = state(&listing, &data_dir);
        let link = listing
            .tracker
            .parse::<TrackerAddress>()
            .map_or_else(|_| listing.swarm.to_string(), |tracker| tracker.link(listing.swarm));
        let path = listing.path.display().to_string();
        let size = length_bytes.map(amount::size).unwrap_or_default();
        reporter.text(&format!("{state:<9} {size:>10}  {path}\n{:>22} {link}", ""));
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

/// Takes a file off its tracker and out of the catalogue, in this order: what failed can be tried again.
pub(crate) async fn remove(options: Remove, reporter: Reporter) -> anyhow::Result<ExitCode> {
    let data_dir = existing(options.data.dir)?;
    let listings = data_dir.catalogue().context("the catalogue cannot be read")?;
    let listing = meant(&listings, &options.content)?;
    let path = listing.path.display().to_string();
    if !options.is_local {
        let key = publishing::key_path(options.signing.key.as_deref(), Some(&data_dir))?;
        for tracker in listing.trackers() {
            let removed = taken_off(tracker, listing.swarm, &key).await.with_context(|| {
                format!(
                    "{path} stays in the list, since {tracker} still knows it; try again, or forget it here only with --local"
                )
            })?;
            reporter.text(&match removed {
                Removed::Forgotten => format!("{tracker} forgets {path}"),
                Removed::Unknown => {
                    format!(
                        "{tracker} did not have {path}; a `seed` of it that still runs can bring it there"
                    )
                }
            });
        }
    }
    data_dir.unlist(&listing.path).context("the catalogue cannot be written")?;
    reporter.text(&format!("{path} is not seeded at the next start; the file itself stays"));
    reporter.event(&Event::Removed { swarm: listing.swarm, path: &path });
    Ok(ExitCode::SUCCESS)
}

/// Takes a title off a tracker that it was last seeded at.
async fn taken_off(tracker: &str, swarm: SwarmId, key: &Path) -> anyhow::Result<Removed> {
    let tracker: TrackerAddress = tracker.parse()?;
    let credentials = Credentials { key: Some(key::read(key)?), ..Credentials::default() };
    let removed =
        tokio::task::spawn_blocking(move || publications::remove_manifest(&tracker, swarm, &credentials));
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

/// The one listing that a person names by its path or the first digits of its swarm.
fn meant<'a>(listings: &'a [Listing], named: &str) -> anyhow::Result<&'a Listing> {
    let path = Path::new(named);
    // A file that is gone has no canonical path any more.
    let path = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
    if let Some(listing) = listings.iter().find(|listing| listing.path == path) {
        return Ok(listing);
    }
    let digits = named.to_lowercase();
    let is_prefix = digits.len() >= PREFIX_DIGITS_MIN;
    let mut found =
        listings.iter().filter(|listing| is_prefix && listing.swarm.to_string().starts_with(&digits));
    match (found.next(), found.next()) {
        (Some(listing), None) => Ok(listing),
        (Some(_), Some(_)) => bail!("{named} means several files; give more digits, or the file's name"),
        (None, _) => bail!("{named} is not in the list; `list` shows what is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::SwarmId;

    #[test]
    fn a_file_is_named_by_its_path_or_by_enough_digits() {
        let listing = |path: &str, swarm| Listing {
            path: path.into(),
            swarm: SwarmId(swarm),
            tracker: String::new(),
            statement: Default::default(),
            added_s: 0,
            is_public: false,
        };
        let mut close = [0xab; 32];
        close[31] = 0;
        let listings = [listing("/a/film", [0xab; 32]), listing("/b", close), listing("/c", [1; 32])];
        assert_eq!(meant(&listings, "/a/film").unwrap().path, Path::new("/a/film"));
        assert_eq!(meant(&listings, "01010101").unwrap().path, Path::new("/c"));
        assert!(meant(&listings, "abababab").unwrap_err().to_string().contains("several"));
        for named in ["0101010", "", "/d", "ffffffff"] {
            assert!(meant(&listings, named).unwrap_err().to_string().contains("not in the list"), "{named}");
        }
    }
}
