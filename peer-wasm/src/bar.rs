//! The data of the segment bar under the player: the author's segments, which of them the tab holds, which one
//! plays, and which are at risk.
//!
//! Pure. The table goes to the page once. The levels go to it a few times a second, as bytes. The page draws them.

use serde::Serialize;
use swarm_core::manifest::{Period, Segment, SegmentKind};
use swarm_core::{GroupRange, GroupSet, Manifest};

use crate::origins::Origins;

/// Maximum number of equal parts of the content whose fill is shown: one part for two pixels of a wide bar.
const CELLS_MAX: u32 = 480;

/// One segment as the page draws it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Length, bytes.
    pub length_bytes: u64,
    /// Kind of its bytes.
    pub kind: SegmentKind,
    /// Priority, 0 (lowest) to 7.
    pub priority: u8,
    /// When it is transferred, as the author chose.
    pub period: Period,
    /// Start of its media, ms, if known.
    pub time_ms: Option<u64>,
    /// Duration of its media, ms, if known.
    pub duration_ms: Option<u64>,
}

/// The segment table for the page.
pub fn rows(manifest: &Manifest) -> Vec<Row> {
    let geometry = manifest.geometry();
    let row = |(range, segment): (GroupRange, &Segment)| Row {
        length_bytes: geometry.len_bytes(range),
        kind: segment.kind,
        priority: segment.priority,
        period: segment.period,
        time_ms: segment.time_ms,
        duration_ms: segment.duration_ms,
    };
    manifest.segment_ranges().map(row).collect()
}

/// A chapter as the page shows it, in the list and on the bar.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark<'a> {
    /// Start, ms.
    pub time_ms: u64,
    /// Name; may be empty.
    pub name: &'a str,
    /// Approximate position in the content, 0 to 1; `None` if it is not known.
    pub place: Option<f64>,
}

/// The chapters for the page.
pub fn marks(manifest: &Manifest) -> Vec<Mark<'_>> {
    let chapters = manifest.chapters.iter();
    chapters
        .map(|chapter| Mark {
            time_ms: chapter.time_ms,
            name: &chapter.name,
            place: place_at(manifest, chapter.time_ms),
        })
        .collect()
}

/// A segment with a known start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    start_bytes: u64,
    length_bytes: u64,
    start_ms: u64,
    duration_ms: u64,
}

impl Timed {
    /// Approximate offset, in bytes, of the media at `time_ms`. It assumes a constant rate within the segment and
    /// never leaves the segment.
    pub fn offset_at(&self, time_ms: u64) -> u64 {
        let played_ms = time_ms.saturating_sub(self.start_ms).min(self.duration_ms);
        let played = u128::from(self.length_bytes) * u128::from(played_ms);
        let played = u64::try_from(played / u128::from(self.duration_ms.max(1))).unwrap_or(u64::MAX);
        self.start_bytes + played.min(self.length_bytes.saturating_sub(1))
    }
}

/// The segment that plays at `time_ms`: the last one that starts at or before it. `None` if no times are known.
pub fn segment_at(manifest: &Manifest, time_ms: u64) -> Option<Timed> {
    let geometry = manifest.geometry();
    let timed = || {
        let ranges = manifest.segment_ranges();
        ranges.filter_map(|(range, segment)| Some((range, segment, segment.time_ms?)))
    };
    let begun =
        timed().filter(|(_, _, start_ms)| *start_ms <= time_ms).max_by_key(|(_, _, start_ms)| *start_ms);
    let (range, segment, start_ms) = begun.or_else(|| timed().next())?;
    let next_ms = timed().map(|(_, _, next_ms)| next_ms).filter(|next_ms| *next_ms > start_ms).min();
    let end_ms = next_ms.or(manifest.duration_ms).unwrap_or(start_ms);
    Some(Timed {
        start_bytes: geometry.offset(range.start),
        length_bytes: geometry.len_bytes(range),
        start_ms,
        duration_ms: segment.duration_ms.unwrap_or_else(|| end_ms.saturating_sub(start_ms)),
    })
}

/// Approximate position in the content, 0 to 1, of the media at `time_ms`; `None` if no times are known.
pub fn place_at(manifest: &Manifest, time_ms: u64) -> Option<f64> {
    if let Some(timed) = segment_at(manifest, time_ms) {
        return Some(timed.offset_at(time_ms) as f64 / manifest.length_bytes.max(1) as f64);
    }
    let duration_ms = manifest.duration_ms.filter(|duration_ms| *duration_ms > 0)?;
    Some((time_ms as f64 / duration_ms as f64).min(1.0))
}

/// The held shares, and the segments at risk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Levels {
    /// Held share, 0 to 255, of each of at most 480 equal parts of the content.
    pub cells: Vec<u8>,
    /// Held share of each segment, 0 to 255. It is 255 only if the whole segment is held.
    pub shares: Vec<u8>,
    /// 1 for each segment with at least one group at risk, otherwise 0.
    pub risks: Vec<u8>,
    /// Of each of the equal parts, where most of what is held came from: a number of [`Origin`](crate::origins::Origin),
    /// or 0.
    pub cell_origins: Vec<u8>,
    /// The same of each segment.
    pub segment_origins: Vec<u8>,
}

impl Levels {
    /// Levels of a peer that holds `held`. A group that is not in `well_held` is at risk.
    pub fn new(manifest: &Manifest, held: &GroupSet, well_held: &GroupSet, origins: &Origins) -> Self {
        let groups = u64::from(manifest.geometry().group_count());
        let count = groups.min(u64::from(CELLS_MAX));
        let edge = |cell: u64| u32::try_from(cell * groups / count.max(1)).unwrap_or(u32::MAX);
        let cells = || (0..count).map(|cell| GroupRange::new(edge(cell), edge(cell + 1)));
        let segments = || manifest.segment_ranges().map(|(range, _)| range);
        Self {
            cells: cells().map(|range| share(held, range)).collect(),
            cell_origins: cells().map(|range| origins.most(held, range)).collect(),
            segment_origins: segments().map(|range| origins.most(held, range)).collect(),
            shares: segments().map(|range| share(held, range)).collect(),
            risks: segments().map(|range| u8::from(!well_held.has_all(range))).collect(),
        }
    }
}

/// The held share of `range`, 0 to 255, rounded down.
fn share(held: &GroupSet, range: GroupRange) -> u8 {
    let share = u64::from(held.count_in(range)) * 255 / u64::from(range.len()).max(1);
    u8::try_from(share).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::fixture::film;
    use crate::origins::Origin;

    #[test]
    fn a_moment_is_found_in_its_segment_and_never_outside_the_content() {
        let film = film();
        let groups = film.geometry().group_count() as f64;
        let group = |time_ms| place_at(&film, time_ms).unwrap() * groups;
        assert!((group(0) - 4.0).abs() < 0.01);
        assert!((group(15_000) - 154.0).abs() < 0.01);
        assert!(group(u64::MAX) < groups);
        let mut untimed = film.clone();
        untimed.segments.iter_mut().for_each(|segment| segment.time_ms = None);
        assert_eq!(place_at(&untimed, 7500), Some(0.25));
        untimed.duration_ms = None;
        assert_eq!(place_at(&untimed, 7500), None);
    }

    #[test]
    fn a_segment_without_a_duration_lasts_until_the_next() {
        let mut film = film();
        film.segments.iter_mut().for_each(|segment| segment.duration_ms = None);
        assert_eq!(segment_at(&film, 15_000).unwrap().duration_ms, 10_000);
        assert_eq!(segment_at(&film, 29_000).unwrap().duration_ms, 10_000);
    }

    #[test]
    fn levels_tell_what_is_here_and_what_is_at_risk() {
        let film = film();
        let count = film.geometry().group_count();
        let mut held = GroupSet::empty(count);
        held.insert(GroupRange::new(0, 54));
        let mut well_held = held.clone();
        well_held.insert(GroupRange::new(54, 203));
        let mut origins = Origins::default();
        let levels = Levels::new(&film, &held, &well_held, &origins);
        assert_eq!(levels.segment_origins, [0, 0, 0, 0]);
        origins = Origins::new(&held);
        origins.note(GroupRange::new(4, 54), Origin::Viewer);
        let levels = Levels::new(&film, &held, &well_held, &origins);
        assert_eq!(levels.segment_origins, [Origin::Device as u8, Origin::Viewer as u8, 0, 0]);
        assert_eq!(levels.cell_origins[..5], [1, 1, 1, 1, 3]);
        assert_eq!(levels.shares, [255, 127, 0, 0]);
        assert_eq!(levels.risks, [0, 0, 1, 1]);
        assert_eq!(levels.cells.len() as u32, count);
        assert_eq!(levels.cells.iter().filter(|cell| **cell == 255).count(), 54);
        let rows = rows(&film);
        assert_eq!(rows.iter().map(|row| row.length_bytes).sum::<u64>(), film.length_bytes);
    }
}
