//! The other ways to bring a film into a page, with their own programs: P2P Media Loader and WebTorrent.
//!
//! Their packages are in a folder that `cargo xtask bench page --compare` fills. The scripts and pages beside this file use them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tests::places::system_program;
use tests::program::Program;

use crate::file_server::Files;

/// Maximum time until WebTorrent has hashed the film.
const READY_TIMEOUT: Duration = Duration::from_secs(300);

/// Length of the segments of the stream for P2P Media Loader, seconds. A multiple of the distance of the film's keyframes.
const SEGMENT_SECONDS: &str = "4";

/// What the others need for one film: a tracker, a WebTorrent that has it, and the film as a stream. Dropping it ends the processes.
#[derive(Debug)]
pub(crate) struct Others {
    packages: PathBuf,
    hls: PathBuf,
    metadata: PathBuf,
    addresses: Addresses,
    _seeder: Program,
}

/// What the script prints.
#[derive(Debug, Deserialize)]
struct Addresses {
    tracker: String,
    uploaded: String,
}

impl Others {
    /// Prepares a film. `packages` is the folder with `node_modules`.
    pub(crate) fn start(packages: &Path, film: &Path) -> Result<Self> {
        for (name, text) in
            [("seeder.mjs", include_str!("seeder.mjs")), ("webrtc.mjs", include_str!("webrtc.mjs"))]
        {
            fs::write(packages.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        let hls = packages.join("hls");
        fs::create_dir_all(&hls)?;
        cut(film, &hls)?;
        let metadata = packages.join("film.torrent");
        let mut command = Command::new(system_program(&["node"])?);
        command.arg(packages.join("seeder.mjs")).arg(film).arg(&metadata);
        let seeder = Program::start("WebTorrent", &mut command)?;
        let addresses =
            seeder.wait_stdout("its addresses", READY_TIMEOUT, |line| serde_json::from_str(line).ok())?;
        Ok(Self { packages: packages.to_owned(), hls, metadata, addresses, _seeder: seeder })
    }

    /// The tracker of both.
    pub(crate) fn tracker(&self) -> &str {
        &self.addresses.tracker
    }

    /// What P2P Media Loader needs of a server.
    pub(crate) fn p2p_media_loader(&self) -> Files {
        let library = |path: &str| self.packages.join("node_modules").join(path);
        Files::default()
            .page(include_str!("p2p_media_loader.html"))
            .script("/lib/hls.js", &library("hls.js/dist/hls.min.js"))
            .script("/lib/core.js", &library("p2p-media-loader-core/dist/p2p-media-loader-core.es.min.js"))
            .script(
                "/lib/engine.js",
                &library("p2p-media-loader-hlsjs/dist/p2p-media-loader-hlsjs.es.min.js"),
            )
            .folder("/hls", &self.hls)
    }

    /// What WebTorrent needs of a server.
    pub(crate) fn webtorrent(&self) -> Files {
        let library = |path: &str| self.packages.join("node_modules/webtorrent/dist").join(path);
        Files::default()
            .page(include_str!("webtorrent.html"))
            .script("/lib/webtorrent.js", &library("webtorrent.min.js"))
            .script("/sw.min.js", &library("sw.min.js"))
            .script("/film.torrent", &self.metadata)
    }

    /// Bytes of the film that the WebTorrent that has it sent so far.
    pub(crate) async fn uploaded_bytes(&self) -> Result<u64> {
        let answer = reqwest::get(&self.addresses.uploaded).await.context("WebTorrent does not answer")?;
        Ok(answer.text().await?.parse()?)
    }
}

/// Cuts a film into a stream without encoding it again.
fn cut(film: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new(system_program(&["ffmpeg"])?);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-i"]).arg(film);
    command.args(["-codec", "copy", "-f", "hls", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"]);
    command.args(["-hls_time", SEGMENT_SECONDS, "film.m3u8"]).current_dir(folder);
    let output = command.output().context("cannot start ffmpeg")?;
    ensure!(output.status.success(), "ffmpeg failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
