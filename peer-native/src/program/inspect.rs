//! `inspect`: what a file would be published as, or what a link names.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::address::ContentAddress;
use crate::publications::{self, Credentials};
use crate::publish;
use crate::rules::Statement;
use anyhow::{Context, bail, ensure};
use console::Term;
use serde::Serialize;
use swarm_core::manifest::{Attachment, Chapter, Mirrors, Period, SegmentKind, Tiles};
use swarm_core::peer::FetchError;
use swarm_core::{ContentRoot, Manifest, PublisherKey, SwarmId};

use crate::program::cli::Inspect;
use crate::program::ending::Ending;
use crate::program::report::{Reporter, printable};
use crate::program::{amount, author, bar, publishing};

/// Columns of the bar where nobody looks at it.
const COLUMNS_DEFAULT: u16 = 80;

/// The line of `--json`.
#[derive(Serialize)]
struct Event<'a> {
    event: &'static str,
    swarm: SwarmId,
    name: &'a str,
    title: Option<&'a str>,
    media_type: &'a str,
    length_bytes: u64,
    root: ContentRoot,
    publisher: PublisherKey,
    duration_ms: Option<u64>,
    author: Option<&'a str>,
    created_s: u64,
    trackers: &'a [String],
    chapters: &'a [Chapter],
    attachments: Vec<AttachmentLine<'a>>,
    mirrors: &'a Mirrors,
    segments: Vec<SegmentLine>,
}

#[derive(Serialize)]
struct AttachmentLine<'a> {
    kind: &'static str,
    media_type: &'a str,
    language: Option<&'a str>,
    label: Option<&'a str>,
    tiles: Option<Tiles>,
    length: usize,
}

#[derive(Serialize)]
struct SegmentLine {
    offset: u64,
    length: u64,
    kind: SegmentKind,
    priority: u8,
    period: Period,
    time_ms: Option<u64>,
    duration_ms: Option<u64>,
}

impl<'a> Event<'a> {
    fn new(swarm: SwarmId, manifest: &'a Manifest) -> Self {
        let geometry = manifest.geometry();
        let attachment = |attachment: &'a Attachment| AttachmentLine {
            kind: attachment.kind.name(),
            media_type: &attachment.media_type,
            language: attachment.language.as_deref(),
            label: attachment.label.as_deref(),
            tiles: attachment.tiles(),
            length: attachment.bytes.len(),
        };
        let segments = manifest.segment_ranges().map(|(range, segment)| SegmentLine {
            offset: geometry.offset(range.start),
            length: geometry.len_bytes(range),
            kind: segment.kind,
            priority: segment.priority,
            period: segment.period,
            time_ms: segment.time_ms,
            duration_ms: segment.duration_ms,
        });
        Self {
            event: "manifest",
            swarm,
            name: &manifest.name,
            title: manifest.title.as_deref(),
            media_type: &manifest.media_type,
            length_bytes: manifest.length_bytes,
            root: manifest.root,
            publisher: manifest.seal.publisher,
            duration_ms: manifest.duration_ms,
            author: manifest.author.as_deref(),
            created_s: manifest.created_s,
            trackers: &manifest.trackers,
            chapters: &manifest.chapters,
            attachments: manifest.attachments.iter().map(attachment).collect(),
            mirrors: &manifest.mirrors,
            segments: segments.collect(),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(options: Inspect, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    let path = Path::new(&options.content);
    let is_link = !path.exists() && options.content.contains('#');
    let statement = author::statement(&options.author)?;
    let (swarm, manifest) = if is_link {
        ensure!(
            statement == Statement::default(),
            "rules and titles are for files; a link has what its author said"
        );
        let content: ContentAddress = options.content.parse()?;
        (content.swarm, fetched(content, options.access.token, &ending).await?)
    } else {
        let data_dir = publishing::data_dir(options.data.dir);
        publish::check(path)?;
        let key = publishing::key(options.signing.key.as_deref(), data_dir.as_ref(), reporter)?;
        let publication =
            publishing::published(path, &statement, &key, data_dir.as_ref(), reporter, "hashing");
        let publication = tokio::select! {
            publication = publication => publication?,
            () = ending.asked() => bail!("stopped while {} was being hashed", path.display()),
        };
        (publication.swarm, publication.manifest.as_ref().clone())
    };
    reporter.text(&table(swarm, &manifest, &Term::stdout())?);
    reporter.event(&Event::new(swarm, &manifest));
    Ok(ExitCode::SUCCESS)
}

async fn fetched(
    content: ContentAddress,
    token: Option<String>,
    ending: &Ending,
) -> anyhow::Result<Manifest> {
    let swarm = content.swarm;
    let credentials = Credentials { token: token.or(content.token), ..Credentials::default() };
    let address = content.tracker.context("the link names no tracker")?;
    let shown = address.to_string();
    let fetch =
        tokio::task::spawn_blocking(move || publications::fetch_manifest(&address, swarm, &credentials));
    let result = tokio::select! {
        result = fetch => result.context("fetching failed from within")?,
        () = ending.asked() => bail!("stopped before the manifest was here"),
    };
    match result {
        Ok(bytes) => Manifest::from_bytes(swarm, &bytes).context("the tracker's manifest cannot be used"),
        Err(FetchError::NotFound) => bail!("the tracker {shown} does not know swarm {swarm}; check the link"),
        Err(FetchError::Refused(reason)) => bail!("{reason}"),
        Err(FetchError::Failed(reason)) => bail!("the manifest cannot be fetched: {reason}"),
    }
}

/// The manifest and its segments for people.
fn table(swarm: SwarmId, manifest: &Manifest, terminal: &Term) -> Result<String, std::fmt::Error> {
    let mut text = head(swarm, manifest)?;
    let columns = terminal.size_checked().map_or(COLUMNS_DEFAULT, |(_, columns)| columns);
    writeln!(text, "{}", bar::draw(manifest, columns.into(), terminal.features().colors_supported()))?;
    writeln!(text, "{}", bar::LEGEND)?;
    text.push_str(&segments(manifest)?);
    Ok(text)
}

/// What the manifest says of the content as a whole.
fn head(swarm: SwarmId, manifest: &Manifest) -> Result<String, std::fmt::Error> {
    let geometry = manifest.geometry();
    let mut text = String::new();
    writeln!(text, "swarm     {swarm}")?;
    writeln!(text, "name      {}", printable(&manifest.name))?;
    if let Some(title) = &manifest.title {
        writeln!(text, "title     {}", printable(title))?;
    }
    writeln!(text, "type      {}", printable(&manifest.media_type))?;
    let (length, groups) = (manifest.length_bytes, geometry.group_count());
    writeln!(text, "length    {length} bytes ({}), {groups} groups", amount::size(length))?;
    match manifest.duration_ms {
        Some(duration_ms) => writeln!(text, "duration  {}", amount::media_time(duration_ms))?,
        None => writeln!(text, "duration  unknown")?,
    }
    writeln!(text, "root      {}", manifest.root)?;
    writeln!(text, "publisher {}", manifest.seal.publisher)?;
    if let Some(author) = &manifest.author {
        writeln!(text, "author    {}", printable(author))?;
    }
    writeln!(text, "created   {} UTC", amount::moment(manifest.created_s))?;
    for tracker in &manifest.trackers {
        writeln!(text, "tracker   {}", printable(tracker))?;
    }
    for chapter in &manifest.chapters {
        writeln!(text, "chapter   {} {}", amount::media_time(chapter.time_ms), printable(&chapter.name))?;
    }
    for attachment in &manifest.attachments {
        let marks = [&attachment.language, &attachment.label].map(|mark| mark.as_deref().map(printable));
        let marks: String = marks.into_iter().flatten().map(|mark| format!(" {mark}")).collect();
        let tiles = attachment
            .tiles()
            .map(|Tiles { grid, width, height }| format!(", {} tiles of {width} x {height}", grid.count));
        let size = amount::size(attachment.bytes.len() as u64);
        // A storyboard's name is longer than its column.
        writeln!(text, "{:<9} {size}{marks}{}", attachment.kind.name(), tiles.unwrap_or_default())?;
    }
    writeln!(text, "segments  {}", manifest.segments.len())?;
    Ok(text)
}

/// The segments, a line each.
fn segments(manifest: &Manifest) -> Result<String, std::fmt::Error> {
    let geometry = manifest.geometry();
    let mut text = String::new();
    write!(text, "{:>6} {:>14} {:>12} kind   priority period     time", "", "offset", "length")?;
    for (index, (range, segment)) in manifest.segment_ranges().enumerate() {
        let time = segment.time_ms.map(amount::media_time).unwrap_or_default();
        let duration = segment.duration_ms.map(|ms| format!(" for {}", amount::media_time(ms)));
        let line = format!(
            "{index:>6} {:>14} {:>12} {:<6} {:<8} {:<10} {time}{}",
            geometry.offset(range.start),
            geometry.len_bytes(range),
            kind(segment.kind),
            segment.priority,
            period(segment.period),
            duration.unwrap_or_default(),
        );
        write!(text, "\n{}", line.trim_end())?;
    }
    Ok(text)
}

const fn kind(kind: SegmentKind) -> &'static str {
    match kind {
        SegmentKind::Header => "header",
        SegmentKind::Index => "index",
        SegmentKind::Media => "media",
        SegmentKind::Data => "data",
    }
}

const fn period(period: Period) -> &'static str {
    match period {
        Period::Start => "start",
        Period::Playback => "playback",
        Period::Background => "background",
    }
}

#[cfg(test)]
mod tests {
    use swarm_core::manifest::{Attachment, AttachmentKind, Mirrors, Seal};
    use swarm_core::segmentation::doubling;
    use swarm_core::{ContentRoot, Geometry};

    use super::*;

    #[test]
    fn no_text_of_a_manifest_drives_the_terminal_of_who_inspects_it() {
        let text = |name: &str| format!("{name}\u{1b}]0;x\u{7}\u{202e}");
        let subtitles = Attachment {
            kind: AttachmentKind::Subtitles,
            media_type: "text/vtt".into(),
            language: Some(text("language")),
            label: Some(text("label")),
            bytes: vec![1].into(),
        };
        let manifest = Manifest {
            seal: Seal::default(),
            name: text("name"),
            title: Some(text("title")),
            media_type: text("type"),
            length_bytes: 1000,
            root: ContentRoot([0; 32]),
            segments: doubling(Geometry::new(1000)),
            duration_ms: None,
            chapters: vec![swarm_core::manifest::Chapter { time_ms: 0, name: text("chapter") }],
            author: Some(text("author")),
            created_s: 5,
            trackers: vec![text("tracker")],
            attachments: vec![subtitles],
            mirrors: Mirrors::default(),
        };
        let shown = head(SwarmId([1; 32]), &manifest).unwrap();
        for name in ["name", "title", "type", "chapter", "author", "tracker", "language", "label"] {
            assert!(shown.contains(&format!("{name}\u{fffd}]0;x")), "{name}: {shown:?}");
        }
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    }
}
