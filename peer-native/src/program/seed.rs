//! `seed`: publishes files and serves them until stopped.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::address::TrackerAddress;
use crate::data_dir::{DataDir, Listing};
use crate::publications::Credentials;
use crate::publish::Publication;
use crate::{Content, DriverOptions, Network, Notice, PeerHandle};
use anyhow::{Context, bail};
use swarm_core::peer::{Appetite, Economy, Event, MirrorUse, PeerConfig, Publisher, UploadLimit};
use swarm_core::tracker_message::Role;
use swarm_core::{SecretKey, SwarmId};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::program::amount;
use crate::program::cli::{Access, FlagFile, Seed, Serving};
use crate::program::ending::Ending;
use crate::program::here::Here;
use crate::program::http::Http;
use crate::program::publishing::{self, Job};
use crate::program::report::{Reporter, Told, printable};
use crate::program::seeding::Seeding;
use crate::program::watch::{self, TrackerWatch};

/// Notices of all peers that may wait to be shown.
const NOTICES_MAX: usize = 256;

/// What was measured of the uplink is saved this often, and at the end.
const UPLINK_SAVED_EVERY: Duration = Duration::from_secs(60);

/// How much is uploaded, and how.
#[derive(Debug, Clone, Copy)]
struct Rates {
    limit: UploadLimit,
    /// What the uplink carries, bytes a second, if that was said.
    uplink: Option<u64>,
    economy: Economy,
}

/// All that is being seeded.
struct Seeder {
    /// Where the tracker is, if it is in this process.
    here: Option<Here>,
    credentials: Credentials,
    rates: Rates,
    network: Network,
    /// Serves over HTTP as well, if that was asked for.
    http: Option<Http>,
    data_dir: Option<DataDir>,
    seedings: Vec<Seeding>,
    /// What was said last of each tracker.
    watches: Vec<(String, TrackerWatch)>,
    /// Given to the tasks that listen to peers.
    notices: mpsc::Sender<(usize, Notice)>,
    /// Files that remain to be published.
    left_count: usize,
    reporter: Reporter,
}

/// Runs the command.
pub(crate) async fn run(options: Seed, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    seed(options, None, reporter, ending).await
}

/// Publishes files at a tracker in this process, shows them in its catalogue, and serves them until asked to end.
pub async fn share(
    files: Vec<PathBuf>,
    serving: Serving,
    here: Here,
    reporter: Reporter,
    ending: Ending,
) -> anyhow::Result<ExitCode> {
    let trackers = vec![format!("ws://{}{}/v1/swarm", here.own, here.base)];
    let access = Access { token: None };
    let publish_token = Some(here.publish_token.clone());
    let flags = FlagFile::default();
    let options = Seed { flags, files, trackers, list: true, publish_token, access, serving };
    seed(options, Some(here), reporter, ending).await
}

async fn seed(
    options: Seed,
    here: Option<Here>,
    reporter: Reporter,
    ending: Ending,
) -> anyhow::Result<ExitCode> {
    let serving = &options.serving;
    let network = serving.reach.network()?;
    let http = Http::start(serving).await?;
    let data_dir = publishing::data_dir(serving.data.dir.clone());
    let uplink = amount::uplink(serving.uplink.as_deref())?;
    let rates = Rates {
        limit: amount::upload_limit(serving.upload.limit.as_deref())?,
        uplink: uplink.or_else(|| data_dir.as_ref()?.uplink(now_s())),
        economy: serving.economy.into(),
    };
    let jobs = publishing::jobs(&options, data_dir.as_ref(), reporter)?;
    let key = publishing::key(serving.signing.key.as_deref(), data_dir.as_ref(), reporter)?;
    // Who may publish on a closed tracker may use it.
    let token = options.access.token.or_else(|| options.publish_token.clone());
    let credentials = Credentials { key: Some(key.clone()), publish_token: options.publish_token, token };
    let left_count = jobs.len();
    let (ready, publications) = mpsc::channel(1);
    tokio::spawn(publishing::publish_all(jobs, key, data_dir.clone(), reporter, ready));
    let (notices, queue) = mpsc::channel(NOTICES_MAX);
    let mut seeder = Seeder {
        here,
        credentials,
        rates,
        network,
        http,
        data_dir,
        seedings: Vec::new(),
        watches: Vec::new(),
        notices,
        left_count,
        reporter,
    };
    let result = seeder.serve(publications, queue, &ending).await;
    seeder.remember_uplink().await;
    for seeding in &seeder.seedings {
        seeding.peer.stop().await;
    }
    result.map(|()| ExitCode::SUCCESS)
}

impl Seeder {
    /// Until the program is asked to end, or nothing is left to serve.
    async fn serve(
        &mut self,
        mut publications: mpsc::Receiver<anyhow::Result<(Job, Publication)>>,
        mut notices: mpsc::Receiver<(usize, Notice)>,
        ending: &Ending,
    ) -> anyhow::Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut savings = tokio::time::interval(UPLINK_SAVED_EVERY);
        savings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = ending.asked() => {
                    if self.seedings.is_empty() {
                        bail!("stopped before anything was hashed to its end");
                    }
                    return Ok(());
                }
                _ = ticks.tick(), if self.reporter.is_json => self.report().await,
                _ = savings.tick() => self.remember_uplink().await,
                publication = publications.recv(), if self.left_count > 0 => {
                    self.left_count -= 1;
                    match publication {
                        Some(Ok((job, publication))) => self.start(job, publication)?,
                        Some(Err(error)) => self.fail(&flag_file::in_words(&*error))?,
                        None => self.fail("publishing ended from within")?,
                    }
                }
                notice = notices.recv() => {
                    let Some((index, notice)) = notice else { bail!("nothing is left to serve") };
                    self.hear(index, &notice).await?;
                }
            }
        }
    }

    async fn report(&mut self) {
        for seeding in self.seedings.iter_mut().filter(|seeding| !seeding.is_stopped) {
            if let Ok(stats) = seeding.peer.stats().await {
                seeding.progress(self.reporter, &stats);
            }
        }
    }

    /// Saves what the uplink carries for the next start. Every peer measures the uplink that all share: the one that had most
    /// of it knows best.
    async fn remember_uplink(&self) {
        let Some(data_dir) = &self.data_dir else { return };
        let mut measured = 0;
        for seeding in self.seedings.iter().filter(|seeding| !seeding.is_stopped) {
            measured = measured.max(seeding.peer.stats().await.map_or(0, |stats| stats.uplink));
        }
        // What an earlier run measured, or a person said, counts until this run has measured something.
        if measured > 0
            && Some(measured) != self.rates.uplink
            && let Err(error) = data_dir.save_uplink(measured, now_s())
        {
            tracing::debug!(%error, path = %data_dir.path().display(), "the uplink cannot be saved");
        }
    }

    /// Starts to seed a file that is ready.
    fn start(&mut self, job: Job, publication: Publication) -> anyhow::Result<()> {
        let (swarm, path) = (publication.swarm, publication.path.clone());
        if self.seedings.iter().any(|seeding| seeding.swarm == swarm) {
            self.reporter.note(&format!("{} is named twice; it is seeded once", job.path.display()));
            return Ok(());
        }
        self.list(&job, swarm, &path);
        if let Some(http) = &self.http {
            http.add(&publication, self.reporter)?;
        }
        let (peer, mut receiver) = PeerHandle::start(driver_options(
            publication,
            &job,
            &self.network,
            (self.rates, &self.credentials),
        )?)
        .with_context(|| format!("{} cannot be seeded", path.display()))?;
        let index = self.seedings.len();
        let trackers = job.trackers;
        self.seedings.push(Seeding {
            swarm,
            path: job.path,
            trackers,
            peer,
            is_announced: false,
            is_stopped: false,
            told: Told::default(),
        });
        let notices = self.notices.clone();
        tokio::spawn(async move {
            while let Some(notice) = watch::next(&mut receiver).await {
                if notices.send((index, notice)).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Puts a file into the catalogue, so that the next start may do without its name.
    fn list(&self, job: &Job, swarm: SwarmId, path: &std::path::Path) {
        // A tracker in this process is not there at the next start.
        let Some(data_dir) = self.data_dir.as_ref().filter(|_| self.here.is_none()) else { return };
        let before = data_dir.listing(path);
        if let Some(before) = before.as_ref().filter(|before| before.swarm != swarm) {
            self.say_former(before, data_dir);
        }
        let listing = Listing {
            path: path.to_owned(),
            swarm,
            tracker: job.trackers.first().map(ToString::to_string).unwrap_or_default(),
            statement: job.statement.clone(),
            added_s: job.added_s.unwrap_or_else(now_s),
            is_public: job.is_listed,
            former: Vec::new(),
        };
        let listing = before.into_iter().fold(listing, Listing::after);
        if let Err(error) = data_dir.list(&listing) {
            tracing::warn!(
                "cannot list {} in {}: {error}; name it again at the next start",
                path.display(),
                data_dir.path().display()
            );
        }
    }

    /// Says that a file has another link than before, where its key is the reason.
    fn say_former(&self, before: &Listing, data_dir: &DataDir) {
        let owner = data_dir.manifest(before.swarm).map(|manifest| manifest.seal.publisher);
        let own = self.credentials.key.as_ref().map(SecretKey::public);
        if owner.is_some() && owner != own {
            let tracker: Option<TrackerAddress> = before.tracker.parse().ok();
            let link = tracker.map_or_else(|| before.swarm.to_string(), |tracker| tracker.link(before.swarm));
            self.reporter.note(&format!(
                "{} was published with another key before, so it has a new link now; {link} is not seeded any more, and only the \
                 key that it was published with removes it (`remove {link} --key FILE`)",
                before.path.display()
            ));
        }
    }

    async fn hear(&mut self, index: usize, notice: &Notice) -> anyhow::Result<()> {
        let Some(seeding) = self.seedings.get_mut(index) else { return Ok(()) };
        let tracker = seeding.trackers.first().map(ToString::to_string).unwrap_or_default();
        let known = self.watches.iter().position(|(known, _)| *known == tracker);
        let at = known.unwrap_or_else(|| {
            self.watches.push((tracker.clone(), TrackerWatch::default()));
            self.watches.len() - 1
        });
        if let Some((_, watch)) = self.watches.get_mut(at) {
            watch.note(notice, &tracker, self.reporter);
        }
        if let Notice::Peer(Event::Outpost { outpost, reason }) = notice
            && let Some(further) = seeding.trackers.get(outpost.0 + 1)
        {
            let text = match reason {
                Some(reason) => format!("not served at {further}: {reason}"),
                None => format!("served at {further} as well"),
            };
            self.reporter.note(&text);
        }
        if let Notice::Peer(Event::Scarcity(scarcity)) = notice {
            self.reporter.scarcity(seeding.swarm, *scarcity);
        }
        if matches!(notice, Notice::Joined) && !seeding.is_announced {
            seeding.is_announced = true;
            self.announce(index);
            return Ok(());
        }
        if let Some(text) = watch::failure(notice) {
            seeding.is_stopped = true;
            seeding.peer.stop().await;
            tracing::info!(path = %seeding.path.display(), "not seeded any more");
            self.fail(text)?;
        }
        Ok(())
    }

    /// Says where a content can be watched.
    fn announce(&self, index: usize) {
        let Some(seeding) = self.seedings.get(index) else { return };
        let Some(tracker) = seeding.trackers.first() else { return };
        let (mut link, path) = (tracker.link(seeding.swarm), printable(&seeding.path.display().to_string()));
        let mut network =
            self.here.as_ref().map(|here| here.network_links(seeding.swarm)).unwrap_or_default();
        let pages = self.here.as_ref().map(|here| here.page_links(seeding.swarm)).unwrap_or_default();
        let name = printable(&seeding.path.file_name().unwrap_or_default().to_string_lossy());
        if let Some((first, others)) = pages.split_first() {
            (link, network) = (first.clone(), others.to_vec());
            self.reporter.text(&format!("{name}\n  {}", pages.join("\n  ")));
        } else if self.here.is_some() {
            let elsewhere = network.iter().map(|link| format!("\n  from the network:  {link}"));
            self.reporter
                .text(&format!("{name}\n  on this machine:   {link}{}", elsewhere.collect::<String>()));
        } else if self.seedings.len() > 1 || self.left_count > 0 {
            self.reporter.text(&format!("link: {link}  {path}"));
        } else {
            self.reporter.text(&format!("link: {link}"));
        }
        let bytes = seeding.path.metadata().map_or(0, |file| file.len());
        seeding.about(|about| self.reporter.ready(about, bytes, &link, &network));
    }

    /// One file less: said if others remain, the end if not.
    fn fail(&self, text: &str) -> anyhow::Result<()> {
        let is_alone = self.seedings.iter().all(|seeding| seeding.is_stopped);
        if is_alone && self.left_count == 0 {
            bail!("{text}");
        }
        self.reporter.error(text);
        Ok(())
    }
}

fn driver_options(
    publication: Publication,
    job: &Job,
    network: &Network,
    (rates, credentials): (Rates, &Credentials),
) -> anyhow::Result<DriverOptions> {
    let (tracker, further) =
        job.trackers.split_first().context("a file is seeded at one tracker at least")?;
    let (name, outposts) = (tracker.name(), further.iter().map(TrackerAddress::name).collect());
    let peer = PeerConfig {
        swarm: publication.swarm,
        role: Role::Initial,
        manifest: Some(publication.manifest),
        publisher: credentials.key.clone().map(|key| Publisher { key, tracker: name, outposts }),
        seed: u64::from_le_bytes(random()?),
        appetite: Appetite::Everything,
        upload: rates.limit,
        token: credentials.token.clone(),
        uplink_hint: rates.uplink,
        economy: rates.economy,
        mirrors: MirrorUse::Off,
    };
    let content = Content::Full { file: publication.file, tree: Box::new(publication.tree) };
    let (tracker, outposts, network) = (tracker.clone(), further.to_vec(), network.clone());
    let publish_token = credentials.publish_token.clone();
    Ok(DriverOptions { peer, tracker, outposts, content, network, is_listed: job.is_listed, publish_token })
}

/// Seconds since 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Bytes that nobody can guess.
pub(crate) fn random<const COUNT: usize>() -> anyhow::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).context("the system gives no random numbers")?;
    Ok(bytes)
}
