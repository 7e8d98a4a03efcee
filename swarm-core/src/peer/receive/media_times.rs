//! The media time at which each group plays, by the times of the segments in the manifest. With a mean rate, a quiet beginning
//! would move all deadlines. Pure. `demand` makes deadlines of these times.
//!
//! Media is counted in µs from the beginning of the content, segment after segment:
//!
//! * a segment lasts as long as the manifest says, and inside it time goes in proportion to the bytes;
//! * a segment of unknown duration lasts as long as its bytes do at the content's mean rate;
//! * headers and indexes last only as long as their bytes do at [`RATE_MAX`]: a reader needs them before the media behind them.

use std::time::Duration;

use crate::group::GroupRange;
use crate::limits::GROUP_BYTES;
use crate::manifest::{Manifest, Segment, SegmentKind};
use crate::time::micros;

/// Assumed rate of media of unknown duration, bytes a second: 4 Mbit/s.
const RATE_GUESS: u64 = 500_000;
/// No segment plays faster than this, bytes a second: 1 Gbit/s, more than any film. So whatever a manifest says, the groups
/// that are due within two seconds have a bound, and each moment has one place, because no segment lasts no time.
const RATE_MAX: u64 = 125_000_000;

/// One segment on the clock of its media.
#[derive(Debug, Clone, Copy)]
struct Entry {
    first: u32,
    group_count: u32,
    at_us: u64,
    lasts_us: u64,
}

/// Table of all segments, for searches by place and by time.
#[derive(Debug, Clone)]
pub(super) struct MediaTimes {
    entries: Vec<Entry>,
}

impl MediaTimes {
    pub(super) fn new(manifest: &Manifest) -> Self {
        let mean = manifest.rate_bytes_per_s().unwrap_or(RATE_GUESS);
        let mut at_us = 0u64;
        let entry = |(range, segment): (GroupRange, &Segment)| {
            let lasts_us = duration_us(segment, mean);
            let entry = Entry { first: range.start, group_count: range.len(), at_us, lasts_us };
            at_us = at_us.saturating_add(lasts_us);
            entry
        };
        Self { entries: manifest.segment_ranges().map(entry).collect() }
    }

    /// When `group` begins to play; beyond the content, when that ends.
    pub(super) fn at(&self, group: u32) -> Duration {
        let later = self.entries.partition_point(|entry| entry.first <= group);
        let Some(entry) = later.checked_sub(1).and_then(|index| self.entries.get(index)) else {
            return Duration::ZERO;
        };
        let passed = group.saturating_sub(entry.first).min(entry.group_count);
        Duration::from_micros(entry.at_us.saturating_add(share(entry.lasts_us, passed, entry.group_count)))
    }

    /// The first group that begins to play after `time`, or the end of the content.
    pub(super) fn first_after(&self, time: Duration) -> u32 {
        let time_us = micros(time);
        let later = self.entries.partition_point(|entry| entry.at_us <= time_us);
        let Some(entry) = later.checked_sub(1).and_then(|index| self.entries.get(index)) else { return 0 };
        // The least n with lasts · n / count, rounded down, above what has passed.
        let passed = u128::from(time_us - entry.at_us) + 1;
        let groups = (passed * u128::from(entry.group_count)).div_ceil(u128::from(entry.lasts_us.max(1)));
        entry.first + u32::try_from(groups).unwrap_or(u32::MAX).min(entry.group_count)
    }
}

/// How long a segment lasts, µs.
fn duration_us(segment: &Segment, mean: u64) -> u64 {
    let bytes = u64::from(segment.group_count) * u64::from(GROUP_BYTES);
    let at_rate = |rate: u64| bytes.saturating_mul(1_000_000) / rate.max(1);
    let lasts_us = match (segment.kind, segment.duration_ms) {
        (SegmentKind::Header | SegmentKind::Index, _) => 0,
        (SegmentKind::Media | SegmentKind::Data, Some(duration_ms)) => duration_ms.saturating_mul(1000),
        (SegmentKind::Media | SegmentKind::Data, None) => at_rate(mean),
    };
    lasts_us.max(at_rate(RATE_MAX))
}

/// `part` of `whole` parts of a time, µs, rounded down.
fn share(time_us: u64, part: u32, whole: u32) -> u64 {
    let share = u128::from(time_us) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;
    use crate::id::ContentRoot;
    use crate::limits::MEDIA_MS_MAX;
    use crate::manifest::tests::sample;
    use crate::manifest::{PRIORITY_DEFAULT, Period};

    /// A manifest of segments, each of a kind, with a number of groups and a duration.
    pub(crate) fn manifest(segments: &[(SegmentKind, u32, Option<u64>)]) -> Manifest {
        let groups: u32 = segments.iter().map(|(_, group_count, _)| group_count).sum();
        let mut manifest = sample(u64::from(groups) * u64::from(GROUP_BYTES), ContentRoot([7; 32]));
        manifest.duration_ms = None;
        let segment = |(kind, group_count, duration_ms): &(SegmentKind, u32, Option<u64>)| Segment {
            group_count: *group_count,
            kind: *kind,
            priority: PRIORITY_DEFAULT,
            period: Period::Playback,
            time_ms: None,
            duration_ms: *duration_ms,
        };
        manifest.segments = segments.iter().map(segment).collect();
        manifest
    }

    /// Segments of every sort.
    fn film() -> MediaTimes {
        use SegmentKind::{Data, Header, Index, Media};
        let parts = [
            (Header, 10, None),
            (Media, 10, Some(10_000)),
            (Index, 5, Some(99_000)),
            (Media, 100, Some(10_000)),
            (Data, 1000, Some(0)),
            (Data, 30, None),
        ];
        MediaTimes::new(&manifest(&parts))
    }

    const SECOND: Duration = Duration::from_secs(1);
    /// What a group lasts that lasts no time.
    const TICK: Duration = Duration::from_micros(131);

    #[test]
    fn a_segment_lasts_as_long_as_it_says_and_time_in_it_goes_with_the_bytes() {
        let film = film();
        let header = film.at(10);
        assert!(header <= 10 * (TICK + Duration::from_micros(1)), "{header:?}");
        assert_eq!(film.at(15) - header, 5 * SECOND);
        let index = film.at(25) - film.at(20);
        assert!((5 * TICK..6 * TICK).contains(&index), "an index lasts no time: {index:?}");
        assert_eq!(film.at(75) - film.at(25), 5 * SECOND);
        let nothing = film.at(1125) - film.at(125);
        assert!(nothing < SECOND / 4, "no time, yet not none at all: {nothing:?}");
        // 4 Mbit/s are 30.5 groups a second.
        assert_eq!(film.at(1155) - film.at(1125), Duration::from_micros(983_040));
        assert_eq!(film.at(u32::MAX), film.at(1155));
    }

    #[test]
    fn what_is_not_known_goes_at_the_mean_rate() {
        let mut manifest = manifest(&[(SegmentKind::Data, 100, None)]);
        manifest.duration_ms = Some(50_000);
        let times = MediaTimes::new(&manifest);
        assert_eq!(times.at(10).as_millis(), 5000);
        assert_eq!(times.first_after(times.at(10)), 11);
    }

    fn any_segments() -> impl Strategy<Value = Vec<(SegmentKind, u32, Option<u64>)>> {
        use SegmentKind::{Data, Header, Index, Media};
        let kind = prop_oneof![Just(Header), Just(Index), Just(Media), Just(Data)];
        let duration = prop::option::of(prop_oneof![Just(0), 0..100_000u64, 0..=MEDIA_MS_MAX]);
        prop::collection::vec((kind, 1..10_000u32, duration), 1..40)
    }

    proptest! {
        #[test]
        fn time_goes_on_from_group_to_group_and_leads_back(segments in any_segments(), place in any::<u32>()) {
            let manifest = manifest(&segments);
            let count = manifest.geometry().group_count();
            let times = MediaTimes::new(&manifest);
            let group = place % count;
            let (now, next) = (times.at(group), times.at(group + 1));
            prop_assert!(now < next);
            prop_assert_eq!(times.first_after(now), group + 1);
            prop_assert_eq!(times.first_after(next - Duration::from_micros(1)), group + 1);
            prop_assert_eq!(times.first_after(Duration::MAX), count);
        }
    }
}
