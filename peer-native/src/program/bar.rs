//! The segment table as a bar: one cell for each share of the bytes.
//!
//! ```text
//! █▇▄▄▄▄▄▄▄▂▂▂▂█   how high: the priority
//! hmmmmmmddmmmmh   what it holds
//! ssppppppppbbbs   the period
//! ```
//! A cell that covers several segments shows the one that is wanted first, so that a header is seen however small.

use console::{Color, Style};
use swarm_core::Manifest;
use swarm_core::manifest::{Period, Segment, SegmentKind};

/// One for each priority.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Cells beyond which nobody counts.
const CELLS_MAX: usize = 240;

/// Below the bar: what its signs mean.
pub(crate) const LEGEND: &str = "height: priority 0 to 7 · h header, i index, m media from a keyframe, d other · \
                                 s start, p playback, b background";

/// Draws the bar, `width` cells wide.
pub(crate) fn draw(manifest: &Manifest, width: usize, is_coloured: bool) -> String {
    let shown = shown(manifest, width.clamp(1, CELLS_MAX));
    let row = |sign: &dyn Fn(&Segment) -> char| -> String {
        shown.iter().map(|segment| painted(sign(segment), segment, is_coloured)).collect()
    };
    let priority = row(&|segment| HEIGHTS.get(usize::from(segment.priority)).copied().unwrap_or('█'));
    let kind = row(&|segment| match segment.kind {
        SegmentKind::Header => 'h',
        SegmentKind::Index => 'i',
        SegmentKind::Media => 'm',
        SegmentKind::Data => 'd',
    });
    let period = row(&|segment| match segment.period {
        Period::Start => 's',
        Period::Playback => 'p',
        Period::Background => 'b',
    });
    format!("{priority}\n{kind}\n{period}")
}

/// The segment that each cell shows.
fn shown(manifest: &Manifest, width: usize) -> Vec<&Segment> {
    let geometry = manifest.geometry();
    let (length, cells) = (u128::from(manifest.length_bytes.max(1)), width as u128);
    let mut shown: Vec<Option<&Segment>> = vec![None; width];
    for (range, segment) in manifest.segment_ranges() {
        let bytes = geometry.bytes(range);
        let first = u128::from(bytes.start) * cells / length;
        let last = u128::from(bytes.end.saturating_sub(1)) * cells / length;
        for cell in first..=last {
            let Some(cell) = usize::try_from(cell).ok().and_then(|cell| shown.get_mut(cell)) else { break };
            if cell.is_none_or(|known| rank(segment) < rank(known)) {
                *cell = Some(segment);
            }
        }
    }
    // A content of fewer bytes than cells leaves some without any: they show what is before them.
    let mut last = manifest.segments.first();
    shown
        .into_iter()
        .filter_map(|cell| {
            last = cell.or(last);
            last
        })
        .collect()
}

/// Smaller for what is wanted earlier.
fn rank(segment: &Segment) -> (u8, u8) {
    let period = match segment.period {
        Period::Start => 0,
        Period::Playback => 1,
        Period::Background => 2,
    };
    (period, u8::MAX - segment.priority)
}

fn painted(sign: char, segment: &Segment, is_coloured: bool) -> String {
    if !is_coloured {
        return sign.to_string();
    }
    let colour = match segment.kind {
        SegmentKind::Header => Color::Magenta,
        SegmentKind::Index => Color::Yellow,
        SegmentKind::Media => Color::Green,
        SegmentKind::Data => Color::Cyan,
    };
    let style = Style::new().force_styling(true).fg(colour);
    let style = if segment.period == Period::Background { style.dim() } else { style };
    style.apply_to(sign).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::ContentRoot;

    fn manifest(segments: &[(u32, SegmentKind, u8, Period)]) -> Manifest {
        let segment = |(group_count, kind, priority, period): &(u32, SegmentKind, u8, Period)| Segment {
            group_count: *group_count,
            kind: *kind,
            priority: *priority,
            period: *period,
            time_ms: None,
            duration_ms: None,
        };
        let groups: u32 = segments.iter().map(|segment| segment.0).sum();
        Manifest {
            seal: swarm_core::manifest::Seal::default(),
            name: "film".into(),
            title: None,
            media_type: "video/mp4".into(),
            length_bytes: u64::from(groups) * 16384,
            root: ContentRoot([0; 32]),
            segments: segments.iter().map(segment).collect(),
            duration_ms: None,
            chapters: Vec::new(),
            author: None,
            created_s: 0,
            trackers: Vec::new(),
            attachments: Vec::new(),
            mirrors: swarm_core::manifest::Mirrors::default(),
        }
    }

    fn film() -> Manifest {
        use SegmentKind::{Data, Header, Media};
        manifest(&[
            (1, Header, 7, Period::Start),
            (9, Media, 6, Period::Start),
            (50, Media, 3, Period::Playback),
            (39, Data, 0, Period::Background),
            (1, Header, 7, Period::Start),
        ])
    }

    #[test]
    fn each_cell_shows_its_share_and_a_header_is_seen_however_small() {
        assert_eq!(draw(&film(), 10, false), "█▄▄▄▄▄▁▁▁█\nhmmmmmdddh\nspppppbbbs");
        assert_eq!(draw(&film(), 1, false), "█\nh\ns");
        assert!(draw(&film(), 100, false).starts_with("█▇▇▇▇▇▇▇▇▇▄"));
    }

    #[test]
    fn a_byte_fills_the_whole_width() {
        let mut byte = manifest(&[(1, SegmentKind::Data, 3, Period::Playback)]);
        byte.length_bytes = 1;
        assert_eq!(draw(&byte, 4, false), "▄▄▄▄\ndddd\npppp");
    }

    #[test]
    fn colours_are_for_terminals() {
        assert!(draw(&film(), 10, true).contains("\u{1b}["));
        assert!(!draw(&film(), 10, false).contains('\u{1b}'));
    }
}
