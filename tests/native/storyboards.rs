//! Storyboards that `seed` makes of films: which moment each tile shows, and that publishing does not depend on ffmpeg.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use swarm_core::manifest::{AttachmentKind, Tiles};
use swarm_core::{Manifest, SwarmId};
use tests::clip::{self, H264};
use tests::places::system_program;
use tests::{Program, Seeder, Tracker, seeder};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Longer than the poster may take (10 s) and shorter than if the storyboard's time (6 s) came after it.
const DELAY_MAX: Duration = Duration::from_secs(15);

/// Seconds of the film of [`steps`].
const STEPS: u64 = 8;

/// How much brighter each second of it is than the one before.
const STEP: u64 = 24;

/// A film that becomes brighter once a second. Its only keyframe is the first frame, unless `keyframes` says how many frames lie between two.
fn steps(folder: &Path, name: &str, keyframes: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let picture = format!("color=black:size=320x180:rate=10:duration={STEPS}");
    let brighter = format!("geq=lum='40+{STEP}*floor(T)':cb=128:cr=128");
    let output = Command::new(system_program(&["ffmpeg"])?)
        .args(["-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", &picture, "-vf", &brighter])
        .args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"])
        .args(["-g", keyframes, "-sc_threshold", "0"])
        .arg(&path)
        .output()
        .context("cannot start ffmpeg")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(path)
}

/// The manifest as the tracker gives it to viewers.
async fn manifest(tracker: &Tracker, seeder: &Seeder) -> Result<Manifest> {
    let swarm: SwarmId = seeder.swarm().parse()?;
    let answer = reqwest::get(tracker.http(&format!("/v1/manifests/{swarm}"))).await?;
    Ok(Manifest::from_bytes(swarm, &answer.error_for_status()?.bytes().await?)?)
}

/// Brightness of the middle of each tile.
fn brightness(folder: &Path, picture: &[u8], tiles: Tiles) -> Result<Vec<u64>> {
    let path = folder.join("storyboard");
    fs::write(&path, picture)?;
    let output = Command::new(system_program(&["ffmpeg"])?)
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(&path)
        .args(["-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"])
        .stdin(Stdio::null())
        .output()?;
    let width = usize::try_from(tiles.width)? * usize::from(tiles.grid.columns);
    let middle = |tile: usize| {
        let (column, row) = (tile % usize::from(tiles.grid.columns), tile / usize::from(tiles.grid.columns));
        let x = column * tiles.width as usize + tiles.width as usize / 2;
        let y = row * tiles.height as usize + tiles.height as usize / 2;
        output.stdout.get((y * width + x) * 3).map(|byte| u64::from(*byte)).context("no such pixel")
    };
    (0..usize::from(tiles.grid.count)).map(middle).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tile_shows_a_moment_of_its_part_of_the_film() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tracker = Tracker::start()?;
    // Tiles of keyframes, and tiles between keyframes.
    for (name, keyframes) in [("dense.mp4", "10"), ("sparse.mp4", "1000"), ("dense.mkv", "10")] {
        let film = steps(folder.path(), name, keyframes)?;
        let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
        let manifest = manifest(&tracker, &seeder).await?;
        let kinds: Vec<&str> = manifest.attachments.iter().map(|attachment| attachment.kind.name()).collect();
        ensure!(kinds == ["poster", "storyboard"], "{name}: {kinds:?}");
        let storyboard = &manifest.attachments[1];
        ensure!(matches!(storyboard.kind, AttachmentKind::Storyboard(_)), "{name}");
        let tiles = storyboard.tiles().context("a storyboard without tiles")?;
        ensure!(u64::from(tiles.grid.count) == STEPS, "{name}: {tiles:?}");
        ensure!((tiles.width, tiles.height) == (160, 90), "{name}: {tiles:?}");
        let shown = brightness(folder.path(), &storyboard.bytes, tiles)?;
        // From the range of films (16 to 235) to that of pictures.
        let expected = (0..STEPS).map(|second| (40 + STEP * second - 16) * 255 / 219);
        let is_near =
            shown.iter().zip(expected.clone()).all(|(shown, expected)| shown.abs_diff(expected) <= 8);
        ensure!(is_near, "{name}: {shown:?}, not {:?}", expected.collect::<Vec<_>>());
    }
    Ok(())
}

/// The attachments of a film for a publisher with this program in the place of ffmpeg, and how long it took.
fn attachments(
    folder: &Path,
    home: &str,
    film: &Path,
    ffmpeg: Option<&str>,
) -> Result<(Vec<Value>, Duration)> {
    let programs = folder.join("programs");
    fs::create_dir_all(&programs)?;
    let place = programs.join("ffmpeg");
    let _ = fs::remove_file(&place);
    if let Some(text) = ffmpeg {
        fs::write(&place, text)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    }
    let mut command = seeder::command(&folder.join(home))?;
    command.env("PATH", &programs).arg("inspect").arg(film).arg("--json");
    let started = Instant::now();
    let ended = Program::start("inspect", &mut command)?.wait_end(TIMEOUT)?;
    let took = started.elapsed();
    ensure!(ended.status.success(), "{ended:?}");
    let manifest: Value = serde_json::from_str(ended.stdout.first().context("no line")?)?;
    Ok((manifest["attachments"].as_array().context("no attachments")?.clone(), took))
}

#[test]
fn a_film_is_published_without_pictures_where_ffmpeg_is_missing_broken_or_hangs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let film = clip::film(folder.path(), "film.mp4", &H264)?;
    let endless = "#!/bin/sh\nwhile :; do echo P6 2 2; done\n";
    let garbage = "#!/bin/sh\necho 'P6\n9999 9999\n255\n'\n";
    let hanging = "#!/bin/sh\nexec /bin/sleep 60\n";
    let programs =
        [None, Some("no program"), Some("#!/bin/sh\nexit 1\n"), Some(garbage), Some(endless), Some(hanging)];
    for (index, ffmpeg) in programs.into_iter().enumerate() {
        let (made, took) = attachments(folder.path(), &format!("home-{index}"), &film, ffmpeg)?;
        ensure!(made.is_empty(), "{ffmpeg:?}: {made:?}");
        ensure!(took < DELAY_MAX, "{ffmpeg:?} held publishing up for {took:?}");
    }
    Ok(())
}

#[test]
fn a_damaged_film_has_the_tiles_that_can_be_taken_or_none() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let film = steps(folder.path(), "film.mp4", "10")?;
    let mut bytes = fs::read(&film)?;
    // All that is read of the media after a third of the file.
    let from = bytes.len() / 3;
    let index = bytes.windows(4).rposition(|window| window == b"moov").context("no index")?;
    ensure!(from < index, "the index does not lie behind the media");
    bytes[from..index - 8].fill(0x55);
    fs::write(&film, bytes)?;
    let manifest = seeder::inspected(folder.path(), &film, &[])?;
    ensure!(manifest["segments"].as_array().is_some_and(|segments| !segments.is_empty()), "{manifest}");
    for attachment in manifest["attachments"].as_array().into_iter().flatten() {
        let count = attachment["tiles"]["count"].as_u64();
        ensure!(attachment["kind"] == "poster" || count.is_some_and(|count| count >= 4), "{attachment}");
    }
    Ok(())
}

#[test]
fn a_link_does_not_depend_on_whether_a_storyboard_could_be_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let film = clip::film(folder.path(), "film.mp4", &H264)?;
    let home = folder.path().join("home");
    let swarm = |path: Option<&Path>| -> Result<Value> {
        let mut command = seeder::command(&home)?;
        if let Some(path) = path {
            command.env("PATH", path);
        }
        command.arg("inspect").arg(&film).arg("--json");
        let ended = Program::start("inspect", &mut command)?.wait_end(TIMEOUT)?;
        Ok(serde_json::from_str::<Value>(ended.stdout.first().context("no line")?)?["swarm"].clone())
    };
    let without = swarm(Some(folder.path()))?;
    ensure!(swarm(None)? == without, "ffmpeg was installed and the link became another");
    Ok(())
}
