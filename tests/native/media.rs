//! What publishers have: every container and codec that browsers play, made by ffmpeg, and what is none of that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::clip::{self, AV1, CLIP_SECONDS, H264, VP9};
use tests::{Fetch, Program, Seeder, Tracker, seeder};

const TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes of memory that seeding a file may take, however long the file is: the tree of 6 GiB has 25 MiB, of which a
/// copy is made while it is saved, and the rest is the program.
const MEMORY_BYTES_MAX: u64 = 160 * 1024 * 1024;

/// The segments of a file as it would be published.
fn segments(folder: &Path, file: &Path) -> Result<Vec<Value>> {
    let manifest = seeder::inspected(folder, file, &[])?;
    let segments = manifest["segments"].as_array().context("no segments")?.clone();
    let mut end = 0;
    for segment in &segments {
        ensure!(segment["offset"] == end, "the segments do not tile {}: {segments:?}", file.display());
        end += segment["length"].as_u64().context("no length")?;
    }
    ensure!(manifest["length_bytes"] == end, "the segments do not tile {}: {segments:?}", file.display());
    Ok(segments)
}

fn kinds(segments: &[Value]) -> Vec<&str> {
    segments.iter().filter_map(|segment| segment["kind"].as_str()).collect()
}

/// A film is cut as a player reads it: headers and indexes first, then the first GOP, then the rest in order, with
/// times from end to end.
fn check_film(folder: &Path, file: &Path, first: &str, last: &str) -> Result<()> {
    let segments = segments(folder, file)?;
    let kinds = kinds(&segments);
    let context = || format!("{}: {segments:?}", file.display());
    ensure!(kinds.first() == Some(&first) && kinds.last() == Some(&last), "{}", context());
    let urgent = segments.iter().filter(|segment| segment["period"] == "start");
    for segment in urgent.clone() {
        let is_media = segment["kind"] == "media";
        ensure!(segment["priority"] == if is_media { 6 } else { 7 }, "{}", context());
    }
    ensure!(urgent.filter(|segment| segment["kind"] == "media").count() == 1, "{}", context());
    let media: Vec<&Value> = segments.iter().filter(|segment| segment["kind"] == "media").collect();
    ensure!(media.len() >= 3, "too few GOPs start segments: {}", context());
    let played_ms: u64 = media.iter().filter_map(|segment| segment["duration_ms"].as_u64()).sum();
    let missing_ms = (CLIP_SECONDS * 1000).abs_diff(played_ms);
    ensure!(missing_ms <= 50, "{played_ms} ms of media: {}", context());
    Ok(())
}

#[test]
fn an_mp4_is_cut_at_its_keyframes_wherever_its_index_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let film = |name: &str, codec: &[&str], flags: &[&str]| {
        clip::film(folder.path(), name, &[codec, flags].concat())
    };
    let fragmented = ["-movflags", "+frag_keyframe+empty_moov"];
    let index_each = ["-movflags", "+frag_keyframe+empty_moov+dash"];
    let index_once = ["-movflags", "+frag_keyframe+empty_moov+dash+global_sidx"];
    for (codec, prefix) in [(H264, "h264"), (AV1, "av1")] {
        let named = |name: &str| format!("{prefix}-{name}.mp4");
        let first = film(&named("first"), &codec, &["-movflags", "+faststart"])?;
        check_film(folder.path(), &first, "header", "media")?;
        check_film(folder.path(), &film(&named("last"), &codec, &[])?, "header", "header")?;
        // ffmpeg writes an index of its fragments (`mfra`) at the end.
        for (name, flags) in [("fragmented", fragmented), ("each", index_each), ("once", index_once)] {
            check_film(folder.path(), &film(&named(name), &codec, &flags)?, "header", "index")?;
        }
    }
    Ok(())
}

#[test]
fn a_webm_is_cut_at_its_keyframes_wherever_its_index_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (codec, name) in [(VP9, "vp9.webm"), (AV1, "av1.webm"), (H264, "h264.mkv")] {
        check_film(folder.path(), &clip::film(folder.path(), name, &codec)?, "header", "index")?;
    }
    let front = [&VP9[..], &["-cues_to_front", "1"]].concat();
    check_film(folder.path(), &clip::film(folder.path(), "front.webm", &front)?, "header", "media")
}

#[test]
fn a_duration_is_known_whatever_its_writer_knew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // The beginning in the tables of `moov` and the rest in fragments; what recorders and live encoders write.
    let hybrid = [&H264[..], &["-movflags", "+frag_keyframe"]].concat();
    let live = |codec: &[&'static str]| [codec, &["-live", "1"]].concat();
    let films = [("hybrid.mp4", hybrid), ("live.webm", live(&VP9)), ("live.mkv", live(&H264))];
    for (name, arguments) in films {
        let film = clip::film(folder.path(), name, &arguments)?;
        let manifest = seeder::inspected(folder.path(), &film, &[])?;
        let duration_ms =
            manifest["duration_ms"].as_u64().with_context(|| format!("{name} has no duration"))?;
        ensure!(duration_ms.abs_diff(CLIP_SECONDS * 1000) <= 100, "{name}: {duration_ms} ms");
        let last = if name == "hybrid.mp4" { "index" } else { "media" };
        check_film(folder.path(), &film, "header", last)?;
    }
    Ok(())
}

#[test]
fn what_is_no_film_is_published_as_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sound = segments(folder.path(), &clip::sound(folder.path(), "a.webm", &["-c:a", "libopus"])?)?;
    ensure!(kinds(&sound)[..2] == ["header", "media"], "{sound:?}");
    ensure!(sound[1]["time_ms"] == 0 && sound[1]["priority"] == 6, "{sound:?}");
    let picture = clip::picture(folder.path(), "a.png")?;
    let text = folder.path().join("a.txt");
    let byte = folder.path().join("one");
    fs::write(&text, "A text.\n")?;
    fs::write(&byte, "1")?;
    let ogg = clip::sound(folder.path(), "a.opus", &["-c:a", "libopus"])?;
    for file in [picture, text, byte, ogg] {
        let segments = segments(folder.path(), &file)?;
        ensure!(segments.iter().all(|segment| segment["kind"] == "data"), "{segments:?}");
    }
    Ok(())
}

#[test]
fn a_file_of_one_byte_is_seeded_and_fetched() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let byte = folder.path().join("one");
    fs::write(&byte, "1")?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &byte, folder.path(), &[])?;
    let fetch = Fetch::start(seeder.link(), &folder.path().join("copy"), &[])?;
    fetch.wait_done(TIMEOUT)?;
    ensure!(fs::read(&fetch.output)? == b"1");
    Ok(())
}

#[test]
fn a_playlist_that_is_called_a_film_gives_away_no_picture_of_other_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    clip::picture(folder.path(), "secret.png")?;
    // ffmpeg by itself makes a picture of what this names.
    let film = folder.path().join("film.mp4");
    fs::write(&film, "ffconcat version 1.0\nfile secret.png\n")?;
    let manifest = seeder::inspected(folder.path(), &film, &[])?;
    ensure!(manifest["attachments"].as_array().is_some_and(Vec::is_empty), "{}", manifest["attachments"]);
    Ok(())
}

#[test]
fn chapters_title_and_poster_come_from_the_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let metadata = folder.path().join("metadata");
    fs::write(
        &metadata,
        ";FFMETADATA1\ntitle=A river\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=Spring\n\
         [CHAPTER]\nTIMEBASE=1/1000\nSTART=2000\nEND=5000\ntitle=Rapids ü\n",
    )?;
    let film = clip::film(folder.path(), "film.mp4", &H264)?;
    for name in ["chapters.mp4", "chapters.mkv"] {
        let file = clip::with_metadata(folder.path(), name, &film, &metadata)?;
        let manifest = seeder::inspected(folder.path(), &file, &["--priority", "0:02-=7"])?;
        let chapters = serde_json::json!([
            {"time_ms": 0, "name": "Spring"},
            {"time_ms": 2000, "name": "Rapids ü"}
        ]);
        ensure!(manifest["chapters"] == chapters, "{name}: {}", manifest["chapters"]);
        let attachments = &manifest["attachments"];
        ensure!(
            attachments[0]["kind"] == "poster" && attachments[0]["media_type"] == "image/jpeg",
            "{attachments}"
        );
        ensure!(attachments[0]["length"].as_u64().is_some_and(|length| length > 500), "{attachments}");
        if name.ends_with("mkv") {
            ensure!(manifest["title"] == "A river", "{}", manifest["title"]);
        }
    }
    Ok(())
}

#[test]
fn what_browsers_do_not_play_is_said_with_the_remedy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let said = |file: &Path| -> Result<String> {
        let mut command = seeder::command(folder.path())?;
        command.arg("inspect").arg(file);
        let ended = Program::start("inspect", &mut command)?.wait_end(TIMEOUT)?;
        ensure!(ended.status.success(), "{ended:?}");
        Ok(ended.stderr.join("\n"))
    };
    let sound = [&H264[..6], &["-c:a", "ac3"]].concat();
    let text = said(&clip::film(folder.path(), "sound.mp4", &sound)?)?;
    ensure!(text.contains("warning: ") && text.contains("ac-3") && text.contains("-c:v copy"), "{text}");
    ensure!(text.contains("at the end, which is fine"), "{text}");
    let picture = ["-c:v", "mpeg4", "-c:a", "aac"];
    let text = said(&clip::film(folder.path(), "picture.mp4", &picture)?)?;
    ensure!(text.contains("mp4v") && text.contains("-c:v libx264"), "{text}");
    let text = said(&clip::film(folder.path(), "fine.webm", &VP9)?)?;
    ensure!(!text.contains("warning"), "{text}");
    Ok(())
}

/// Numbers that follow from a seed and look like chance (xorshift).
fn chance(mut state: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound.max(1) as u64).unwrap_or(0)
    }
}

#[test]
fn damaged_films_are_published_with_what_can_be_read_of_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let fragmented = [&H264[..], &["-movflags", "+frag_keyframe+empty_moov+dash"]].concat();
    let films: Vec<PathBuf> = [("last.mp4", &H264[..]), ("fragmented.mp4", &fragmented), ("film.webm", &VP9)]
        .into_iter()
        .map(|(name, arguments)| clip::film(folder.path(), name, arguments))
        .collect::<Result<_>>()?;
    // No name of a film, or each would be asked for a poster.
    let damaged = folder.path().join("damaged");
    for film in films {
        let whole = fs::read(&film)?;
        for seed in 1..=20u64 {
            let mut next = chance(seed * 7919);
            let mut bytes = whole.clone();
            for _ in 0..=next(12) {
                // Near the front and the end, where headers and indexes are.
                let at = if next(2) == 0 { next(6000) } else { bytes.len() - 1 - next(6000) };
                bytes[at] = next(256) as u8;
            }
            if next(4) == 0 {
                bytes.truncate(1 + next(whole.len()));
            }
            fs::write(&damaged, &bytes)?;
            segments(folder.path(), &damaged)
                .with_context(|| format!("{} with seed {seed}", film.display()))?;
        }
    }
    Ok(())
}

#[test]
fn six_gibibytes_are_seeded_in_little_memory() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let film = clip::film(folder.path(), "long.mp4", &[&H264[..], &["-movflags", "+faststart"]].concat())?;
    // A hole behind the film takes no room on the disk.
    File::options().write(true).open(&film)?.set_len(6 << 30)?;
    let tracker = Tracker::start()?;
    let seeder = Seeder::start(&tracker, &film, folder.path(), &[])?;
    let memory_bytes = seeder.program().memory_max_bytes()?;
    ensure!(memory_bytes < MEMORY_BYTES_MAX, "seeding 6 GiB took {} MiB", memory_bytes >> 20);
    Ok(())
}
