//! `fetch`: a peer without a screen.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::address::{ContentAddress, TrackerAddress};
use crate::{Content, DriverOptions, Notice, PeerHandle};
use anyhow::{Context, bail};
use indicatif::ProgressBar;
use swarm_core::peer::{Event, MirrorUse, PeerConfig, Stats, UploadLimit};
use swarm_core::player::{Playback, Player, RATE_GUESS};
use swarm_core::{Manifest, ReaderId, SwarmId};
use tokio::sync::broadcast;
use tokio::time::MissedTickBehavior;

use crate::program::cli::Fetch;
use crate::program::ending::Ending;
use crate::program::report::{self, About, Done, Reporter, Told};
use crate::program::watch::{self, TrackerWatch};
use crate::program::{INTERRUPTED, amount, seed};

/// How long a swarm may be unknown before it is given up on: its seeder may be just about to publish.
const UNKNOWN_MAX: Duration = Duration::from_secs(10);

/// How often the player looks at what is held.
const PLAYER_TICK: Duration = Duration::from_millis(20);

/// The one reader of a fetch.
const READER: ReaderId = ReaderId(1);

/// A fetch under way.
struct Fetching {
    peer: PeerHandle,
    swarm: SwarmId,
    tracker: TrackerAddress,
    output: PathBuf,
    /// What the manifest calls it; empty until that is known.
    name: String,
    told: Told,
    started: Instant,
    wants_player: bool,
    player: Option<Player>,
    /// Since when nobody knows the swarm.
    unknown_since: Option<Instant>,
    has_manifest: bool,
    reporter: Reporter,
    bar: ProgressBar,
}

/// How a fetch ended.
enum End {
    Complete,
    Interrupted,
}

/// Runs the command.
pub(crate) async fn run(options: Fetch, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let content: ContentAddress = options.content.parse()?;
    let tracker = match &options.tracker {
        Some(tracker) => tracker.parse()?,
        None => {
            content.tracker.context("a bare swarm id needs --tracker, such as ws://HOST:PORT/v1/swarm")?
        }
    };
    let upload = amount::upload_limit(options.upload.limit.as_deref())?;
    check_output(&options.output)?;
    let token = options.access.token.or(content.token);
    let mirrors = match options.is_without_mirrors {
        true => MirrorUse::Off,
        // A manifest of the internet does not choose what is asked in this network.
        false if tracker.is_private() => MirrorUse::All,
        false => MirrorUse::Public,
    };
    let config = config(content.swarm, upload, token, mirrors)?;
    let driver = DriverOptions {
        peer: config,
        tracker: tracker.clone(),
        outposts: Vec::new(),
        content: Content::Fetch(options.output.clone()),
        network: options.reach.network()?,
        is_listed: false,
        publish_token: None,
    };
    let (peer, notices) = PeerHandle::start(driver).context("a peer cannot be started")?;
    let mut fetching = Fetching {
        peer,
        swarm: content.swarm,
        tracker,
        output: options.output,
        name: String::new(),
        told: Told::default(),
        started,
        wants_player: options.play,
        player: None,
        unknown_since: None,
        has_manifest: false,
        reporter,
        bar: reporter.bar("fetching"),
    };
    let result = fetching.run(notices, options.stay, &ending).await;
    fetching.peer.stop().await;
    fetching.bar.finish_and_clear();
    match result? {
        End::Complete => Ok(ExitCode::SUCCESS),
        End::Interrupted => {
            reporter.error(&fetching.interruption());
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn config(
    swarm: SwarmId,
    upload: UploadLimit,
    token: Option<String>,
    mirrors: MirrorUse,
) -> anyhow::Result<PeerConfig> {
    let seed = u64::from_le_bytes(seed::random()?);
    Ok(PeerConfig { upload, token, mirrors, ..PeerConfig::viewer(swarm, seed) })
}

/// What can be known to be wrong with the output before anything is fetched.
fn check_output(output: &Path) -> anyhow::Result<()> {
    if output.is_dir() {
        bail!("{} is a directory; name the file that the content goes to", output.display());
    }
    let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
        bail!("{} is not a directory; create it first", parent.display());
    }
    Ok(())
}

impl Fetching {
    /// Until the content is complete, or the program is asked to end, or it cannot go on.
    async fn run(
        &mut self,
        mut notices: broadcast::Receiver<Notice>,
        stay: bool,
        ending: &Ending,
    ) -> anyhow::Result<End> {
        let mut tracker_watch = TrackerWatch::default();
        let mut is_complete = false;
        let mut ticks = interval(Duration::from_secs(1));
        let mut player_ticks = interval(PLAYER_TICK);
        loop {
            tokio::select! {
                () = ending.asked() => {
                    return Ok(if is_complete { End::Complete } else { End::Interrupted });
                }
                _ = player_ticks.tick(), if self.player.is_some() => self.play().await?,
                _ = ticks.tick() => self.tick().await?,
                notice = watch::next(&mut notices) => {
                    let Some(notice) = notice else { bail!("the peer ended by itself") };
                    tracker_watch.note(&notice, &self.tracker.to_string(), self.reporter);
                    if let Some(text) = watch::failure(&notice) {
                        bail!("{text}");
                    }
                    self.hear(&notice);
                    if matches!(notice, Notice::Finished) && !is_complete {
                        is_complete = true;
                        self.finish().await?;
                        if !stay {
                            return Ok(End::Complete);
                        }
                    }
                }
            }
        }
    }

    fn hear(&mut self, notice: &Notice) {
        match notice {
            Notice::Peer(Event::ManifestReady(manifest)) => self.manifest_ready(manifest),
            Notice::Peer(Event::UnknownSwarm) if !self.has_manifest && self.unknown_since.is_none() => {
                self.unknown_since = Some(Instant::now());
                self.reporter
                    .note("the tracker does not know this swarm yet; waiting a little for its seeder");
            }
            Notice::StoreReady { held_bytes } if *held_bytes > 0 => {
                let text = format!("going on from {} that are here already", amount::size(*held_bytes));
                self.reporter.note(&text);
            }
            Notice::Peer(
                Event::TrackerUp
                | Event::TrackerDown { .. }
                | Event::UnknownSwarm
                | Event::Waiting { .. }
                | Event::PeersWithheld { .. }
                | Event::Complete
                | Event::Scarcity(_)
                | Event::Outpost { .. }
                | Event::Banned { .. }
                | Event::MirrorLost { .. }
                | Event::Dismissed { .. }
                | Event::Failed(_),
            )
            | Notice::Moved(_)
            | Notice::Joined
            | Notice::StoreReady { .. }
            | Notice::Finished
            | Notice::StoreFailed(_) => {}
        }
    }

    fn manifest_ready(&mut self, manifest: &Manifest) {
        self.has_manifest = true;
        self.unknown_since = None;
        self.bar.set_length(manifest.length_bytes);
        self.name.clone_from(&manifest.name);
        let link = self.tracker.link(self.swarm);
        self.about(|about| self.reporter.ready(about, manifest.length_bytes, &link, &[]));
        if self.wants_player {
            let rate = manifest.rate_bytes_per_s();
            if rate.is_none() {
                let guess = RATE_GUESS * 8 / 1_000_000;
                self.reporter.note(&format!("the media's duration is not known; playing at {guess} Mbit/s"));
            }
            self.player = Some(Player::new(manifest.geometry(), rate));
        }
    }

    async fn tick(&mut self) -> anyhow::Result<()> {
        let stats = self.peer.stats().await?;
        self.bar.set_position(stats.bytes_verified);
        self.bar.set_message(format!("from {} peers", stats.links.len()));
        self.progress(&stats);
        if self.unknown_since.is_some_and(|since| since.elapsed() > UNKNOWN_MAX) {
            bail!(
                "the tracker {} does not know swarm {}; check the link, or ask its publisher to start the seeder",
                self.tracker,
                self.swarm
            );
        }
        Ok(())
    }

    async fn play(&mut self) -> anyhow::Result<()> {
        let Some(player) = &mut self.player else { return Ok(()) };
        if let Some(playable) = self.peer.playable(player.group()).await? {
            let reading = player.advance(self.started.elapsed(), playable.missing, playable.start_buffer);
            self.peer.reader_at(READER, reading.group, reading.ahead_ms).await?;
        }
        Ok(())
    }

    /// Everything is here: nothing can stall any more.
    async fn finish(&mut self) -> anyhow::Result<()> {
        self.play().await?;
        let playback = self.player.take().map_or_else(Playback::default, |player| player.playback());
        self.peer.reader_closed(READER).await?;
        let stats = self.peer.stats().await?;
        self.bar.set_position(stats.bytes_verified);
        self.progress(&stats);
        let done = Done::new(self.started.elapsed().as_secs_f64(), &stats, playback);
        self.bar.finish_and_clear();
        self.reporter.text(&summary(&self.output, &done, &stats));
        self.about(|about| self.reporter.event(&report::Event::Done { about, done }));
        Ok(())
    }

    /// Says something to programs of what is fetched.
    fn about<T>(&self, say: impl FnOnce(About<'_>) -> T) -> T {
        let path = self.output.to_string_lossy();
        say(About { swarm: self.swarm, path: &path, name: &self.name })
    }

    fn progress(&mut self, stats: &Stats) {
        let mut told = std::mem::take(&mut self.told);
        self.about(|about| self.reporter.progress(about, stats, &mut told));
        self.told = told;
    }

    fn interruption(&self) -> String {
        if self.has_manifest {
            format!(
                "stopped; {}.part keeps what is here, the same command goes on from it",
                self.output.display()
            )
        } else {
            "stopped before anything was fetched".into()
        }
    }
}

fn summary(output: &Path, done: &Done, stats: &Stats) -> String {
    let mut text = format!(
        "{} is complete and verified: {} in {:.1} s, {} from the seeder, {} from peers{}, {} uploaded",
        output.display(),
        amount::size(done.bytes),
        done.seconds,
        amount::size(done.from_initial),
        amount::size(done.from_peers),
        from_mirrors(done.from_mirrors),
        amount::size(stats.uploaded),
    );
    if let Some(start_ms) = done.start_ms {
        text +=
            &format!("; played from {start_ms} ms on, {} stalls, {} ms in all", done.stalls, done.stall_ms);
    }
    text
}

/// What came from mirrors, if anything did.
fn from_mirrors(bytes: u64) -> String {
    if bytes == 0 { String::new() } else { format!(", {} from mirrors", amount::size(bytes)) }
}

fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
