//! `seeder inspect`: what a file would be published as, or what a link names.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use peer_native::address::ContentAddress;
use peer_native::tracker;
use serde::Serialize;
use swarm_core::manifest::{Period, SegmentKind};
use swarm_core::peer::FetchError;
use swarm_core::{Manifest, SwarmId};

use crate::cli::Inspect;
use crate::ending::Ending;
use crate::report::Reporter;
use crate::{amount, seed};

/// The line of `--json`.
#[derive(Serialize)]
struct Event<'a> {
    event: &'static str,
    swarm: SwarmId,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// Runs the command.
pub(crate) async fn run(options: Inspect, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    let path = Path::new(&options.content);
    let is_link = !path.exists() && options.content.contains('#');
    let (swarm, manifest) = if is_link {
        let content: ContentAddress = options.content.parse()?;
        (content.swarm, fetched(content, &ending).await?)
    } else {
        let data_dir = seed::data_dir(options.data.dir);
        let publication = seed::published(path, data_dir.as_ref(), reporter, &ending).await?;
        (publication.swarm, publication.manifest.as_ref().clone())
    };
    reporter.text(&table(swarm, &manifest)?);
    reporter.event(&Event { event: "manifest", swarm, manifest: &manifest });
    Ok(ExitCode::SUCCESS)
}

async fn fetched(content: ContentAddress, ending: &Ending) -> anyhow::Result<Manifest> {
    let swarm = content.swarm;
    let address = content.tracker.context("the link names no tracker")?;
    let shown = address.to_string();
    let fetch = tokio::task::spawn_blocking(move || tracker::fetch_manifest(&address, swarm));
    let result = tokio::select! {
        result = fetch => result.context("fetching failed from within")?,
        () = ending.asked() => bail!("stopped before the manifest was here"),
    };
    match result {
        Ok(bytes) => Manifest::from_bytes(swarm, &bytes).context("the tracker's manifest cannot be used"),
        Err(FetchError::NotFound) => bail!("the tracker {shown} does not know swarm {swarm}; check the link"),
        Err(FetchError::Failed(reason)) => bail!("the manifest cannot be fetched: {reason}"),
    }
}

/// The manifest and its segments for people.
fn table(swarm: SwarmId, manifest: &Manifest) -> Result<String, std::fmt::Error> {
    let geometry = manifest.geometry();
    let mut text = String::new();
    writeln!(text, "swarm     {swarm}")?;
    writeln!(text, "name      {}", printable(&manifest.name))?;
    writeln!(text, "type      {}", printable(&manifest.media_type))?;
    let (length, groups) = (manifest.length_bytes, geometry.group_count());
    writeln!(text, "length    {length} bytes ({}), {groups} groups", amount::size(length))?;
    match manifest.duration_ms {
        Some(duration_ms) => writeln!(text, "duration  {}", seconds(duration_ms))?,
        None => writeln!(text, "duration  unknown")?,
    }
    writeln!(text, "root      {}", manifest.root)?;
    if let Some(author) = &manifest.author {
        writeln!(text, "author    {}", printable(author))?;
    }
    writeln!(text, "created   {} s after 1970", manifest.created_s)?;
    for tracker in &manifest.trackers {
        writeln!(text, "tracker   {}", printable(tracker))?;
    }
    writeln!(text, "segments  {}", manifest.segments.len())?;
    write!(text, "{:>6} {:>14} {:>12} kind   priority period     time", "", "offset", "length")?;
    for (index, (range, segment)) in manifest.segment_ranges().enumerate() {
        write!(
            text,
            "\n{index:>6} {:>14} {:>12} {:<6} {:<8} {:<10}",
            geometry.offset(range.start),
            geometry.len_bytes(range),
            kind(segment.kind),
            segment.priority,
            period(segment.period),
        )?;
        if let Some(time_ms) = segment.time_ms {
            write!(text, " {}", seconds(time_ms))?;
        }
        if let Some(duration_ms) = segment.duration_ms {
            write!(text, " for {}", seconds(duration_ms))?;
        }
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

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// Texts of strangers must not move the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
