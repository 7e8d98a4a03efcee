//! From files that a person names to publications, one after the other, with a progress bar.

use std::path::{Path, PathBuf};

use crate::address::TrackerAddress;
use crate::data_dir::DataDir;
use crate::folder;
use crate::key;
use crate::media::Remark;
use crate::publish::{self, Publication};
use crate::rules::Statement;
use anyhow::{Context, bail, ensure};
use swarm_core::SecretKey;
use swarm_core::limits::TRACKERS_MAX;
use tokio::sync::mpsc;

use crate::program::author;
use crate::program::cli::Seed;
use crate::program::report::Reporter;

/// A file to publish.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) path: PathBuf,
    pub(crate) statement: Statement,
    /// At least one; links name the first.
    pub(crate) trackers: Vec<TrackerAddress>,
    /// Whether the tracker's catalogue is to show it.
    pub(crate) is_listed: bool,
    /// When it came into the catalogue, if it is from there.
    pub(crate) added_s: Option<u64>,
}

/// Where trees and manifests are kept.
pub(crate) fn data_dir(chosen: Option<PathBuf>) -> Option<DataDir> {
    let data_dir = chosen.map(DataDir::at).or_else(DataDir::of_platform);
    if data_dir.is_none() {
        tracing::warn!("no home directory; name one with --data-dir, or the link will change at every start");
    }
    data_dir
}

/// The files to publish: those named, or else those of the catalogue.
pub(crate) fn jobs(
    options: &Seed,
    data_dir: Option<&DataDir>,
    reporter: Reporter,
) -> anyhow::Result<Vec<Job>> {
    let trackers = trackers(&options.trackers)?;
    let statement = author::statement(&options.serving.author)?;
    if options.files.is_empty() {
        ensure!(statement == Statement::default(), "rules and titles are for a file; name it");
        return catalogued(&trackers, options.list, data_dir, reporter);
    }
    ensure!(
        !trackers.is_empty(),
        "--tracker is missing: where the peers meet, such as ws://HOST:PORT/v1/swarm"
    );
    let files = folder::files(&options.files)?;
    ensure!(
        files.len() == 1 || statement == Statement::default(),
        "rules and titles are for one file; publish the others in a call of their own"
    );
    // Known at once, before hours of hashing.
    files.iter().try_for_each(|path| publish::check(path))?;
    let job = |path| Job {
        path,
        statement: statement.clone().served_at(listed(&trackers)),
        trackers: trackers.clone(),
        is_listed: options.list,
        added_s: None,
    };
    Ok(files.into_iter().map(job).collect())
}

/// Reads addresses; one that is named twice counts once.
fn trackers(given: &[String]) -> anyhow::Result<Vec<TrackerAddress>> {
    let mut trackers: Vec<TrackerAddress> = Vec::new();
    for text in given {
        let tracker = text.parse()?;
        if !trackers.contains(&tracker) {
            trackers.push(tracker);
        }
    }
    ensure!(trackers.len() <= TRACKERS_MAX, "a content is served at {TRACKERS_MAX} trackers at most");
    Ok(trackers)
}

/// What the manifest says of trackers: nothing if there is one, which links name.
fn listed(trackers: &[TrackerAddress]) -> Vec<String> {
    let several = Some(trackers).filter(|trackers| trackers.len() > 1);
    several.into_iter().flatten().map(ToString::to_string).collect()
}

fn catalogued(
    trackers: &[TrackerAddress],
    is_listed: bool,
    data_dir: Option<&DataDir>,
    reporter: Reporter,
) -> anyhow::Result<Vec<Job>> {
    let data_dir =
        data_dir.context("there is no catalogue without a data directory; name one with --data-dir")?;
    let listings = data_dir.catalogue().context("the catalogue cannot be read")?;
    ensure!(!listings.is_empty(), "nothing was seeded from here yet; name a file");
    let mut jobs = Vec::new();
    for listing in listings {
        let there = publish::check(&listing.path).map_err(anyhow::Error::from);
        let usable = there.and_then(|()| match trackers {
            [] => Ok(listing.trackers().map(str::parse).collect::<Result<Vec<_>, _>>()?),
            given => Ok(given.to_vec()),
        });
        match usable {
            Ok(trackers) => jobs.push(Job {
                path: listing.path,
                statement: listing.statement.served_at(listed(&trackers)),
                trackers,
                is_listed: is_listed || listing.is_public,
                added_s: Some(listing.added_s),
            }),
            Err(error) => reporter.note(&format!(
                "{}; left out. `remove {}` forgets it",
                flag_file::in_words(&*error),
                listing.path.display()
            )),
        }
    }
    match jobs.len() {
        0 => bail!("none of the files seeded from here is there any more"),
        1..=folder::FILES_MAX => Ok(jobs),
        _ => bail!("the catalogue has more than {} files; remove some", folder::FILES_MAX),
    }
}

/// Publishes one file after the other and hands each on as soon as it is ready.
pub(crate) async fn publish_all(
    jobs: Vec<Job>,
    key: SecretKey,
    data_dir: Option<DataDir>,
    reporter: Reporter,
    ready: mpsc::Sender<anyhow::Result<(Job, Publication)>>,
) {
    let count = jobs.len();
    for (index, job) in jobs.into_iter().enumerate() {
        let title =
            if count == 1 { "hashing".to_owned() } else { format!("hashing {} of {count}", index + 1) };
        let published = published(&job.path, &job.statement, &key, data_dir.as_ref(), reporter, &title).await;
        if ready.send(published.map(|publication| (job, publication))).await.is_err() {
            return;
        }
    }
}

/// The publisher's key. That of the data directory is made on first use; one that was named has to be there, so that a
/// mistyped name does not make another publisher.
pub(crate) fn key(
    chosen: Option<&Path>,
    data_dir: Option<&DataDir>,
    reporter: Reporter,
) -> anyhow::Result<SecretKey> {
    let path = key_path(chosen, data_dir)?;
    if chosen.is_some() {
        return Ok(key::read(&path)?);
    }
    let (key, is_new) = key::read_or_make(&path)?;
    if is_new {
        reporter.note(&format!(
            "a key that signs what you publish was made: {}; keep a copy, and give one to every machine that \
             seeds for you",
            path.display()
        ));
    }
    Ok(key)
}

/// Where the publisher's key is.
pub(crate) fn key_path(chosen: Option<&Path>, data_dir: Option<&DataDir>) -> anyhow::Result<PathBuf> {
    let own = || data_dir.map(DataDir::key_path);
    chosen.map(Path::to_owned).or_else(own).context("there is no place for a key; name a file with --key")
}

/// Hashes a file, or finds that it was hashed before.
pub(crate) async fn published(
    path: &Path,
    statement: &Statement,
    key: &SecretKey,
    data_dir: Option<&DataDir>,
    reporter: Reporter,
    title: &str,
) -> anyhow::Result<Publication> {
    let bar = reporter.bar(title);
    bar.set_length(path.metadata().map_or(0, |metadata| metadata.len()));
    let own_key = key.clone();
    let (own_path, own_dir, own_bar) = (path.to_owned(), data_dir.cloned(), bar.clone());
    let own_statement = statement.clone();
    let hashing = tokio::task::spawn_blocking(move || {
        let progress = |bytes| own_bar.set_position(bytes);
        publish::publish(&own_path, &own_statement, &own_key, own_dir.as_ref(), progress)
    });
    // A file may take minutes; whoever waits for this ends at once when asked. Nothing is saved before it is complete.
    let publication = hashing.await.context("hashing failed from within")?;
    bar.finish_and_clear();
    let publication = publication?;
    for remark in &publication.remarks {
        match remark {
            Remark::Info(text) => reporter.note(text),
            Remark::Warning(text) => reporter.note(&format!("warning: {text}")),
        }
    }
    if publication.is_tree_reused {
        reporter.note(&format!("{}: the hash tree saved earlier is used", path.display()));
    }
    Ok(publication)
}
