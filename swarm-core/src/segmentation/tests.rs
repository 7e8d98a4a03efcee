//! Segmentation: what it makes of films, and what holds for whatever it is given.
#![expect(clippy::single_range_in_vec_init, reason = "a film may have a single header")]

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use proptest::prelude::*;

use super::*;
use crate::limits::{CONTENT_BYTES_MAX, GROUPS_MAX, SEGMENTS_MAX};
use crate::manifest::{PRIORITY_DEFAULT, PRIORITY_MAX, Period, SegmentKind};

const GROUP: u64 = GROUP_BYTES as u64;
const MIB: u64 = 1024 * 1024;

fn lengths(segments: &[Segment]) -> Vec<u32> {
    segments.iter().map(|segment| segment.group_count).collect()
}

fn doubled(length_bytes: u64) -> Vec<u32> {
    lengths(&doubling(Geometry::new(length_bytes)))
}

/// A film of `gops` GOPs of 2 s and `gop_bytes` each after a header of `header_bytes`.
fn film(header_bytes: u64, gops: u64, gop_bytes: u64) -> (Geometry, Structure) {
    let keyframes = (0..gops)
        .map(|index| Keyframe { offset: header_bytes + index * gop_bytes, time_ms: index * 2000 })
        .collect();
    let structure = Structure {
        headers: vec![0..header_bytes],
        keyframes,
        duration_ms: Some(gops * 2000),
        ..Structure::default()
    };
    (Geometry::new(header_bytes + gops * gop_bytes), structure)
}

/// Where the segment starts that has this group.
fn segment_at(segments: &[Segment], group: u32) -> (u32, &Segment) {
    let mut start = 0;
    for segment in segments {
        if group < start + segment.group_count {
            return (start, segment);
        }
        start += segment.group_count;
    }
    panic!("group {group} is beyond the content");
}

fn rule(scope: Scope, priority: u8, period: Option<Period>) -> Rule {
    Rule { scope, priority: Some(priority), period }
}

#[test]
fn lengths_double_up_to_four_mebibytes_where_nothing_is_known() {
    assert_eq!(doubled(1), [1]);
    assert_eq!(doubled(64 * 1024), [4]);
    assert_eq!(doubled(64 * 1024 + 1), [4, 1]);
    assert_eq!(doubled(13 * MIB), [4, 8, 16, 32, 64, 128, 256, 256, 68]);
    assert!(doubled(0).is_empty());
    let segments = doubling(Geometry::new(MIB));
    assert!(segments.iter().all(|segment| segment.kind == SegmentKind::Data && segment.time_ms.is_none()));
    assert!(segments.iter().all(|segment| segment.priority == PRIORITY_DEFAULT));
}

#[test]
fn the_largest_content_fits_the_table() {
    let table = doubled(CONTENT_BYTES_MAX);
    assert!(table.len() <= SEGMENTS_MAX);
    assert_eq!(table.iter().sum::<u32>(), GROUPS_MAX);
}

#[test]
fn a_film_is_its_header_then_its_first_gop_then_doubling_runs_of_gops() {
    // GOPs of ten groups; the header fills two and a half.
    let (geometry, structure) = film(5 * GROUP / 2, 100, 10 * GROUP);
    let segments = segments(geometry, &structure, &[]);
    let (header, first, second) = (&segments[0], &segments[1], &segments[2]);
    assert_eq!((header.kind, header.priority, header.period), (SegmentKind::Header, 7, Period::Start));
    assert_eq!((header.group_count, header.time_ms), (3, None));
    assert_eq!((first.kind, first.priority, first.period), (SegmentKind::Media, 6, Period::Start));
    // The next keyframe starts in group 12, of which the first half ends this GOP.
    assert_eq!((first.group_count, first.time_ms, first.duration_ms), (9, Some(0), Some(2000)));
    assert_eq!((second.kind, second.priority, second.period), (SegmentKind::Media, 3, Period::Playback));
    // 4 and 8 groups are less than a GOP, 16 hold one, 32 three, 64 six.
    assert_eq!(lengths(&segments)[2..7], [10, 10, 10, 30, 60]);
    assert!(segments[1..].iter().all(|segment| segment.kind == SegmentKind::Media));
    let duration_ms: u64 = segments.iter().filter_map(|segment| segment.duration_ms).sum();
    assert_eq!(duration_ms, 200_000);
}

#[test]
fn a_header_at_the_end_is_worth_as_much_as_one_at_the_front() {
    let (_, mut structure) = film(40, 100, 10 * GROUP);
    let media_end = 40 + 1000 * GROUP;
    structure.headers.push(media_end..media_end + 5000);
    let geometry = Geometry::new(media_end + 5000);
    let segments = segments(geometry, &structure, &[]);
    let last = segments.last().unwrap();
    assert_eq!((last.kind, last.priority, last.period), (SegmentKind::Header, 7, Period::Start));
    assert_eq!((last.group_count, last.time_ms), (1, None));
    assert_eq!((segments[0].kind, segments[1].priority), (SegmentKind::Header, 6));
    assert_eq!(
        segments[segments.len() - 2].duration_ms.unwrap() % 2000,
        0,
        "the film ends before its header"
    );
}

#[test]
fn a_gop_longer_than_any_segment_is_cut_with_times_in_proportion() {
    let (geometry, structure) = film(GROUP, 1, 20 * MIB);
    let segments = segments(geometry, &structure, &[]);
    assert_eq!((segments[1].kind, segments[1].group_count), (SegmentKind::Media, LONGEST_GROUPS));
    assert_eq!((segments[1].priority, segments[2].priority), (6, 3));
    assert_eq!(segments[2].kind, SegmentKind::Data);
    assert_eq!((segments[1].duration_ms, segments[2].time_ms), (Some(400), Some(400)));
}

#[test]
fn a_film_with_more_gops_than_segments_gets_longer_ones() {
    // A keyframe a little over every 2 MiB: one segment each would be twice too many.
    let gop_bytes = 2 * MIB + 7;
    let (geometry, structure) = film(GROUP, CONTENT_BYTES_MAX / gop_bytes - 1, gop_bytes);
    let segments = segments(geometry, &structure, &[]);
    assert!((SEGMENTS_MAX / 4..=SEGMENTS_MAX).contains(&segments.len()), "{}", segments.len());
    assert_eq!(segments[1].kind, SegmentKind::Media);
}

#[test]
fn a_rule_covers_exactly_the_groups_that_it_names() {
    let (geometry, structure) = film(GROUP / 2, 300, 10 * GROUP);
    let scope = Scope::Time { start_ms: 61_000, end_ms: Some(70_000) };
    // GOPs 30 to 34: from the middle of group 300 to the middle of group 350, which belongs to what starts there.
    assert_eq!(structure.groups(geometry, &scope), Some(GroupRange::new(300, 350)));
    let rules = [rule(scope, 7, Some(Period::Background))];
    let segments = segments(geometry, &structure, &rules);
    for group in 0..geometry.group_count() {
        let (_, segment) = segment_at(&segments, group);
        let is_marked = segment.priority == 7 && segment.period == Period::Background;
        assert_eq!(is_marked, (300..350).contains(&group), "group {group}: {segment:?}");
    }
    let (start, segment) = segment_at(&segments, 300);
    assert_eq!((start, segment.kind, segment.time_ms), (300, SegmentKind::Media, Some(60_000)));
}

#[test]
fn bytes_are_marked_whatever_they_hold_and_times_only_in_media() {
    let (geometry, structure) = film(3 * GROUP, 20, 10 * GROUP);
    let by_bytes = segments(geometry, &structure, &[rule(Scope::Bytes(GROUP..GROUP + 1), 0, None)]);
    assert_eq!(lengths(&by_bytes)[..3], [1, 1, 1]);
    assert_eq!((by_bytes[0].priority, by_bytes[1].priority), (7, 0));
    let all = Scope::Time { start_ms: 0, end_ms: None };
    let by_time = segments(geometry, &structure, &[rule(all, 1, None)]);
    assert_eq!(by_time[0].priority, PRIORITY_MAX);
    assert!(by_time[1..].iter().all(|segment| segment.priority == 1));
}

#[test]
fn the_last_rule_that_names_a_group_decides_each_field_by_itself() {
    let (geometry, structure) = film(GROUP, 20, 10 * GROUP);
    let period = Rule {
        scope: Scope::Time { start_ms: 0, end_ms: Some(4000) },
        priority: None,
        period: Some(Period::Background),
    };
    let rules = [
        rule(Scope::Kind(Kind::Keyframe), 5, None),
        rule(Scope::Time { start_ms: 0, end_ms: None }, 1, Some(Period::Start)),
        period,
    ];
    let segments = segments(geometry, &structure, &rules);
    assert_eq!((segments[1].priority, segments[1].period), (1, Period::Background));
    assert_eq!(segments.last().map(|last| (last.priority, last.period)), Some((1, Period::Start)));
}

#[test]
fn chapters_start_segments_and_can_be_named() {
    let (geometry, mut structure) = film(GROUP / 2, 100, 10 * GROUP);
    let chapter = |time_ms, name: &str| Chapter { time_ms, name: name.into() };
    structure.chapters = vec![chapter(0, "Opening"), chapter(100_500, "Finale"), chapter(150_000, "Credits")];
    let rules = [
        rule(Scope::Kind(Kind::Chapter), 5, None),
        rule(Scope::Chapter("Finale".into()), 7, None),
        rule(Scope::Chapter("Nowhere".into()), 0, None),
    ];
    let segments = segments(geometry, &structure, &rules);
    assert_eq!(segment_at(&segments, 500).0, 500);
    assert_eq!((segment_at(&segments, 1).1.priority, segment_at(&segments, 500).1.priority), (5, 7));
    // The group in which the finale ends and the credits begin belongs to the credits.
    assert_eq!((segment_at(&segments, 749).1.priority, segment_at(&segments, 750).1.priority), (7, 5));
    assert_eq!(segment_at(&segments, 750).1.kind, SegmentKind::Media);
    assert_eq!(structure.groups(geometry, &Scope::Chapter("Nowhere".into())), None);
    assert!(segments.iter().all(|segment| segment.priority > 0));
}

#[test]
fn an_index_behind_the_header_keeps_the_first_gop_behind_both() {
    let (geometry, mut structure) = film(GROUP / 2, 20, 10 * GROUP);
    structure.indexes = vec![GROUP / 4..2 * GROUP - 5];
    let segments = segments(geometry, &structure, &[]);
    let kinds: Vec<SegmentKind> = segments[..3].iter().map(|segment| segment.kind).collect();
    assert_eq!(kinds, [SegmentKind::Header, SegmentKind::Index, SegmentKind::Media]);
    assert_eq!((segments[2].time_ms, segments[2].priority), (Some(0), 6));
}

/// Anything that a parser of a hostile file might say.
fn any_structure() -> impl Strategy<Value = (u64, Structure)> {
    let length = prop_oneof![1..20 * GROUP, 1..200 * MIB, 1..=CONTENT_BYTES_MAX];
    let offset = || prop_oneof![0..20 * GROUP, 0..200 * MIB, any::<u64>()];
    let time = || prop_oneof![0..100_000u64, any::<u64>()];
    let spans = || prop::collection::vec((offset(), offset()).prop_map(|(a, b)| a..b), 0..4);
    let ordered = prop::collection::vec((1..4 * MIB, 0..20_000u64), 0..300).prop_map(|steps| {
        let mut keyframe = Keyframe { offset: 0, time_ms: 0 };
        let mut step = |(bytes, ms)| {
            keyframe = Keyframe { offset: keyframe.offset + bytes, time_ms: keyframe.time_ms + ms };
            keyframe
        };
        steps.into_iter().map(&mut step).collect::<Vec<_>>()
    });
    let wild = prop::collection::vec(
        (offset(), time()).prop_map(|(offset, time_ms)| Keyframe { offset, time_ms }),
        0..50,
    );
    let keyframes = prop_oneof![3 => ordered, 1 => wild];
    let chapter = (time(), "[ab]").prop_map(|(time_ms, name)| Chapter { time_ms, name });
    let chapters = prop::collection::vec(chapter, 0..5);
    (length, spans(), spans(), keyframes, prop::option::of(time()), chapters).prop_map(
        |(length, headers, indexes, keyframes, duration_ms, chapters)| {
            (length, Structure { headers, indexes, keyframes, duration_ms, chapters })
        },
    )
}

fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
    let kind = prop_oneof![Just(Kind::Header), Just(Kind::Index), Just(Kind::Keyframe), Just(Kind::Chapter),];
    let scope = prop_oneof![
        (0..200_000u64, prop::option::of(0..400_000u64))
            .prop_map(|(start_ms, end_ms)| Scope::Time { start_ms, end_ms }),
        (0..200 * MIB, any::<u64>()).prop_map(|(start, end)| Scope::Bytes(start..end)),
        "[ab]".prop_map(Scope::Chapter),
        kind.prop_map(Scope::Kind),
    ];
    let period = prop_oneof![Just(Period::Start), Just(Period::Playback), Just(Period::Background)];
    let rule = (scope, prop::option::of(any::<u8>()), prop::option::of(period))
        .prop_map(|(scope, priority, period)| Rule { scope, priority, period });
    prop::collection::vec(rule, 0..6)
}

proptest! {
    #[test]
    fn segments_tile_the_content_within_limits((length, structure) in any_structure(), rules in any_rules()) {
        let geometry = Geometry::new(length);
        let segments = segments(geometry, &structure, &rules);
        prop_assert!(segments.len() <= SEGMENTS_MAX);
        prop_assert!(segments.iter().all(|segment| segment.group_count > 0 && segment.priority <= PRIORITY_MAX));
        let tiled: u64 = segments.iter().map(|segment| u64::from(segment.group_count)).sum();
        prop_assert_eq!(tiled, u64::from(geometry.group_count()));
        let mut last_ms = 0;
        for segment in segments.iter().filter(|segment| segment.time_ms.is_some()) {
            let time_ms = segment.time_ms.unwrap();
            prop_assert!(!matches!(segment.kind, SegmentKind::Header | SegmentKind::Index));
            prop_assert!(time_ms >= last_ms, "times run backwards: {segments:?}");
            last_ms = time_ms;
        }
    }

    #[test]
    fn every_byte_of_a_header_is_in_a_header_segment((length, structure) in any_structure()) {
        let geometry = Geometry::new(length);
        let segments = segments(geometry, &structure, &[]);
        for span in &structure.headers {
            let end = span.end.min(length);
            let places = [span.start, span.start / 2 + end / 2, end.saturating_sub(1)];
            for offset in places.into_iter().filter(|offset| (span.start..end).contains(offset)) {
                let (_, segment) = segment_at(&segments, u32::try_from(offset / GROUP).unwrap());
                prop_assert_eq!(segment.kind, SegmentKind::Header);
                prop_assert_eq!((segment.priority, segment.period), (PRIORITY_MAX, Period::Start));
            }
        }
    }

    #[test]
    fn the_last_rule_holds_in_all_that_it_names(
        (length, structure) in any_structure(),
        mut rules in any_rules(),
        start in 0..100 * MIB,
        bytes in 1..50 * MIB,
    ) {
        let geometry = Geometry::new(length);
        let scope = Scope::Bytes(start..start + bytes);
        rules.push(rule(scope.clone(), 7, Some(Period::Background)));
        let segments = segments(geometry, &structure, &rules);
        let named = structure.groups(geometry, &scope);
        prop_assert_eq!(named.is_some(), start < length);
        let mut at = 0;
        for segment in &segments {
            let range = GroupRange::new(at, at + segment.group_count);
            at = range.end;
            let within = named.map_or(0, |named| named.and(range).len());
            prop_assert!(within == 0 || within == range.len(), "a segment crosses the rule's end");
            if within > 0 {
                prop_assert_eq!((segment.priority, segment.period), (7, Period::Background));
            }
        }
    }
}
