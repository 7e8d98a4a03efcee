//! `seeder seed`: publishes files and serves them until stopped.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use peer_native::address::TrackerAddress;
use peer_native::hashing::DataDir;
use peer_native::publish::{self, Publication};
use peer_native::{Content, DriverOptions, Notice, PeerHandle};
use swarm_core::peer::{Appetite, PeerConfig, Policy, UploadLimit};
use swarm_core::tracker_message::Role;
use swarm_core::{Instance, SwarmId};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::amount;
use crate::cli::Seed;
use crate::ending::Ending;
use crate::report::Reporter;
use crate::watch::{self, TrackerWatch};

/// Notices of all peers that may wait to be shown.
const NOTICES_MAX: usize = 256;

/// A content that is being seeded.
struct Seeding {
    swarm: SwarmId,
    path: PathBuf,
    peer: PeerHandle,
    is_announced: bool,
}

/// Runs the command.
pub(crate) async fn run(options: Seed, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    let tracker: TrackerAddress = options.tracker.parse()?;
    let upload = amount::upload_limit(options.upload.limit.as_deref())?;
    let data_dir = data_dir(options.data.dir);
    let mut publications: Vec<(PathBuf, Publication)> = Vec::new();
    for path in options.files {
        let publication = published(&path, data_dir.as_ref(), reporter, &ending).await?;
        if publications.iter().any(|(_, known)| known.swarm == publication.swarm) {
            reporter.note(&format!("{} is named twice; it is seeded once", path.display()));
        } else {
            publications.push((path, publication));
        }
    }
    let (notices, queue) = mpsc::channel(NOTICES_MAX);
    let mut seedings = Vec::new();
    for (index, (path, publication)) in publications.into_iter().enumerate() {
        let swarm = publication.swarm;
        let (peer, mut receiver) = PeerHandle::start(driver_options(publication, &tracker, upload)?)
            .with_context(|| format!("{} cannot be seeded", path.display()))?;
        seedings.push(Seeding { swarm, path, peer, is_announced: false });
        let notices = notices.clone();
        tokio::spawn(async move {
            while let Some(notice) = watch::next(&mut receiver).await {
                if notices.send((index, notice)).await.is_err() {
                    return;
                }
            }
        });
    }
    let result = serve(&mut seedings, queue, &tracker, reporter, &ending).await;
    for seeding in &seedings {
        seeding.peer.stop().await;
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// Until the program is asked to end, or nothing is left to serve.
async fn serve(
    seedings: &mut [Seeding],
    mut notices: mpsc::Receiver<(usize, Notice)>,
    tracker: &TrackerAddress,
    reporter: Reporter,
    ending: &Ending,
) -> anyhow::Result<()> {
    let mut tracker_watch = TrackerWatch::default();
    let mut left_count = seedings.len();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ending.asked() => return Ok(()),
            _ = ticks.tick(), if reporter.is_json => {
                for seeding in seedings.iter() {
                    if let Ok(stats) = seeding.peer.stats().await {
                        reporter.progress(&stats);
                    }
                }
            }
            notice = notices.recv() => {
                let Some((index, notice)) = notice else { bail!("nothing is left to serve") };
                let Some(seeding) = seedings.get_mut(index) else { continue };
                tracker_watch.note(&notice, &tracker.to_string(), reporter);
                if matches!(notice, Notice::Joined) && !seeding.is_announced {
                    seeding.is_announced = true;
                    let link = tracker.link(seeding.swarm);
                    reporter.text(&format!("link: {link}"));
                    reporter.ready(seeding.swarm, &link);
                }
                if let Some(text) = watch::failure(&notice) {
                    left_count -= 1;
                    seeding.peer.stop().await;
                    if left_count == 0 {
                        bail!("{text}");
                    }
                    reporter.error(text);
                    tracing::info!(path = %seeding.path.display(), "not seeded any more");
                }
            }
        }
    }
}

/// Where trees and manifests are kept.
pub(crate) fn data_dir(chosen: Option<PathBuf>) -> Option<DataDir> {
    let data_dir = chosen.map(DataDir::at).or_else(DataDir::of_platform);
    if data_dir.is_none() {
        tracing::warn!("no home directory; name one with --data-dir, or the link will change at every start");
    }
    data_dir
}

/// Hashes a file, or finds that it was hashed before.
pub(crate) async fn published(
    path: &Path,
    data_dir: Option<&DataDir>,
    reporter: Reporter,
    ending: &Ending,
) -> anyhow::Result<Publication> {
    let bar = reporter.bar("hashing");
    bar.set_length(path.metadata().map_or(0, |metadata| metadata.len()));
    let (own_path, own_dir, own_bar) = (path.to_owned(), data_dir.cloned(), bar.clone());
    let hashing = tokio::task::spawn_blocking(move || {
        publish::publish(&own_path, own_dir.as_ref(), |bytes| own_bar.set_position(bytes))
    });
    // A file may take minutes; the program is to end at once when asked. Nothing is saved before it is complete.
    let publication = tokio::select! {
        result = hashing => result.context("hashing failed from within")??,
        () = ending.asked() => bail!("stopped while {} was being hashed", path.display()),
    };
    bar.finish_and_clear();
    if publication.is_tree_reused {
        reporter.note(&format!("{}: the hash tree saved earlier is used", path.display()));
    }
    Ok(publication)
}

fn driver_options(
    publication: Publication,
    tracker: &TrackerAddress,
    upload: UploadLimit,
) -> anyhow::Result<DriverOptions> {
    let peer = PeerConfig {
        swarm: publication.swarm,
        role: Role::Initial,
        manifest: Some(publication.manifest),
        instance: Instance(random()?),
        seed: u64::from_le_bytes(random()?),
        appetite: Appetite::Everything,
        upload,
        token: None,
        policy: Policy::default(),
    };
    let content = Content::Full { file: publication.file, tree: Box::new(publication.tree) };
    Ok(DriverOptions { peer, tracker: tracker.clone(), content })
}

/// Bytes that nobody can guess.
pub(crate) fn random<const COUNT: usize>() -> anyhow::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes)
}
