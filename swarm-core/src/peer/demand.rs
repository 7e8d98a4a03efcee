//! What is needed, how soon: readers, deadlines and the classes that follow (DESIGN §7, receiver).
//!
//! A group's deadline is when its reader runs out of media before it: what the player has buffered plus
//! the media between the reader's position and the group, by the times of the segments (`media_times`).
//!
//! Headers and indexes have no such time. A reader that has nothing to play needs them at once, wherever they lie:
//! it asks for those at the end as soon as it has seen the beginning, which is a round trip too late.

use std::collections::BTreeMap;
use std::time::Duration;

use super::media_times::MediaTimes;
use crate::group::{Geometry, GroupRange};
use crate::id::ReaderId;
use crate::manifest::{Manifest, Segment, SegmentKind};
use crate::time::Timestamp;

/// Due sooner than this is urgent.
pub(crate) const URGENT: Duration = Duration::from_secs(2);
/// The window reaches at least this far beyond now…
const WINDOW_MIN: Duration = Duration::from_secs(5);
/// …and at most this far, as the player's buffer grows.
const WINDOW_MAX: Duration = Duration::from_secs(30);
/// Headers and indexes that are needed at once: groups of all together (4 MiB), and stretches of them. No player that
/// browsers have needs more to begin, and not every manifest is honest.
const HEADER_GROUPS_MAX: u32 = 256;
const HEADERS_MAX: usize = 8;
/// Readers at a time; a browser opens two or three, older ones are forgotten first.
const READERS_MAX: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Reader {
    group: u32,
    ahead: Duration,
    /// When the reader said so.
    at: Timestamp,
}

/// The needs of one reader as of some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Groups that are urgent, from the reader's position on.
    pub(crate) urgent: GroupRange,
    /// Groups in the window, following the urgent ones.
    pub(crate) window: GroupRange,
    /// Time until the reader's position is due.
    pub(crate) slack: Duration,
    /// When the reader's position plays, in the time of the media.
    position: Duration,
}

impl Need {
    /// Urgent groups and window together.
    pub(crate) const fn all(&self) -> GroupRange {
        GroupRange::new(self.urgent.start, self.window.end)
    }
}

/// All readers of the content.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    geometry: Geometry,
    times: MediaTimes,
    /// Where headers and indexes lie.
    headers: Vec<GroupRange>,
    readers: BTreeMap<ReaderId, Reader>,
}

impl Demand {
    /// No readers yet.
    pub(crate) fn new(manifest: &Manifest) -> Self {
        Self {
            geometry: manifest.geometry(),
            times: MediaTimes::new(manifest),
            headers: headers(manifest),
            readers: BTreeMap::new(),
        }
    }

    /// A reader is at `group` and can wait `ahead` for it.
    pub(crate) fn moved(&mut self, now: Timestamp, reader: ReaderId, group: u32, ahead: Duration) {
        let group = group.min(self.geometry.group_count());
        self.readers.insert(reader, Reader { group, ahead, at: now });
        if self.readers.len() > READERS_MAX {
            self.readers.pop_first();
        }
    }

    /// A reader ended.
    pub(crate) fn closed(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
    }

    pub(crate) fn has_readers(&self) -> bool {
        !self.readers.is_empty()
    }

    /// The position of the reader that spoke last: what is shown as the playhead.
    pub(crate) fn playhead(&self) -> Option<u32> {
        self.readers.values().max_by_key(|reader| reader.at).map(|reader| reader.group)
    }

    /// The needs of every reader, most pressing first; of readers that have nothing to play, headers before all.
    pub(crate) fn needs(&self, now: Timestamp) -> Vec<Need> {
        let mut needs: Vec<Need> = self.readers.values().map(|reader| self.need(now, *reader)).collect();
        needs.sort_by_key(|need| need.slack);
        if needs.first().is_some_and(|need| need.slack.is_zero()) {
            needs.splice(0..0, self.headers.iter().map(|header| self.need_of_header(*header)));
        }
        needs
    }

    fn need_of_header(&self, header: GroupRange) -> Need {
        Need {
            urgent: header,
            window: GroupRange::new(header.end, header.end),
            slack: Duration::ZERO,
            position: self.times.at(header.start),
        }
    }

    /// Time until `group` is due for a reader whose position is due in `need.slack`.
    pub(crate) fn time_left(&self, need: &Need, group: u32) -> Duration {
        need.slack.saturating_add(self.times.at(group).saturating_sub(need.position))
    }

    fn need(&self, now: Timestamp, reader: Reader) -> Need {
        let slack = reader.ahead.saturating_sub(now.since(reader.at));
        let horizon = (slack * 2).clamp(WINDOW_MIN, WINDOW_MAX);
        let position = self.times.at(reader.group);
        let end_of = |time: Duration| match time.checked_sub(slack) {
            Some(media) => self.times.first_after(position.saturating_add(media)),
            None => reader.group,
        };
        let (urgent_end, window_end) = (end_of(URGENT), end_of(horizon));
        let all = self.geometry.all();
        Need {
            urgent: GroupRange::new(reader.group, urgent_end).and(all),
            window: GroupRange::new(urgent_end, window_end).and(all),
            slack,
            position,
        }
    }
}

/// Where headers and indexes lie, as far as they are needed at once.
fn headers(manifest: &Manifest) -> Vec<GroupRange> {
    let is_header = |segment: &Segment| matches!(segment.kind, SegmentKind::Header | SegmentKind::Index);
    let mut headers: Vec<GroupRange> = Vec::new();
    let mut room = HEADER_GROUPS_MAX;
    for (range, _) in manifest.segment_ranges().filter(|(_, segment)| is_header(segment)) {
        let range = GroupRange::new(range.start, range.end.min(range.start.saturating_add(room)));
        room -= range.len();
        let has_place = headers.len() < HEADERS_MAX && !range.is_empty();
        match headers.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            Some(_) | None if has_place => headers.push(range),
            Some(_) | None => {}
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::media_times::tests::manifest;
    use super::*;
    use crate::manifest::SegmentKind::{Data, Header, Index, Media};

    /// 1000 groups at 10 groups a second.
    fn demand() -> Demand {
        Demand::new(&manifest(&[(Data, 1000, Some(100_000))]))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_empty_player_makes_the_next_two_seconds_urgent_and_five_the_window() {
        let mut demand = demand();
        demand.moved(Timestamp::ZERO, ReaderId(1), 100, Duration::ZERO);
        let need = demand.needs(Timestamp::ZERO)[0];
        assert_eq!(need.urgent, GroupRange::new(100, 121));
        assert_eq!(need.window, GroupRange::new(121, 151));
        assert_eq!(demand.time_left(&need, 110), SECOND);
    }

    #[test]
    fn a_full_buffer_widens_the_window_and_leaves_nothing_urgent() {
        let mut demand = demand();
        demand.moved(Timestamp::ZERO, ReaderId(1), 100, 10 * SECOND);
        let need = demand.needs(Timestamp::ZERO)[0];
        assert!(need.urgent.is_empty());
        assert_eq!(need.window, GroupRange::new(100, 201));
        // As time passes without news, the buffer is played out and the position becomes urgent.
        let later = demand.needs(Timestamp::ZERO + 9 * SECOND)[0];
        assert_eq!(later.urgent, GroupRange::new(100, 111));
    }

    #[test]
    fn the_most_pressing_reader_comes_first_and_the_latest_is_the_playhead() {
        let mut demand = demand();
        demand.moved(Timestamp::ZERO, ReaderId(1), 0, 30 * SECOND);
        demand.moved(Timestamp::from_millis(5), ReaderId(2), 990, SECOND);
        let needs = demand.needs(Timestamp::from_millis(5));
        assert_eq!(needs[0].urgent, GroupRange::new(990, 1000));
        assert_eq!(demand.playhead(), Some(990));
        demand.closed(ReaderId(2));
        assert_eq!(demand.playhead(), Some(0));
    }

    #[test]
    fn a_reader_beyond_the_end_needs_nothing() {
        let mut demand = demand();
        demand.moved(Timestamp::ZERO, ReaderId(1), u32::MAX, Duration::ZERO);
        let need = demand.needs(Timestamp::ZERO)[0];
        assert!(need.urgent.is_empty() && need.window.is_empty());
        (0..100).for_each(|reader| demand.moved(Timestamp::ZERO, ReaderId(reader), 0, Duration::ZERO));
        assert_eq!(demand.needs(Timestamp::ZERO).len(), READERS_MAX);
    }
    #[test]
    fn deadlines_follow_the_times_of_the_media_and_not_a_mean_rate() {
        // Ten seconds of a group each, then ten of ten groups each: 5.5 groups a second on average.
        let mut demand = Demand::new(&manifest(&[(Media, 10, Some(10_000)), (Media, 100, Some(10_000))]));
        demand.moved(Timestamp::ZERO, ReaderId(1), 0, Duration::ZERO);
        demand.moved(Timestamp::ZERO, ReaderId(2), 8, Duration::ZERO);
        demand.moved(Timestamp::ZERO, ReaderId(3), 50, Duration::ZERO);
        let needs = demand.needs(Timestamp::ZERO);
        let ranges: Vec<_> = needs.iter().map(|need| (need.urgent, need.window)).collect();
        let range = GroupRange::new;
        assert_eq!(
            ranges,
            [(range(0, 3), range(3, 6)), (range(8, 11), range(11, 41)), (range(50, 71), range(71, 101)),]
        );
        assert_eq!(demand.time_left(&needs[0], 2), 2 * SECOND);
        assert_eq!(demand.time_left(&needs[0], 60), 15 * SECOND);
        assert_eq!(demand.time_left(&needs[2], 60), SECOND);
        assert_eq!(demand.time_left(&needs[2], 40), Duration::ZERO, "what lies behind is due at once");
    }

    #[test]
    fn a_header_is_needed_whole_before_the_media_behind_it() {
        let mut demand = Demand::new(&manifest(&[(Header, 50, None), (Media, 100, Some(100_000))]));
        demand.moved(Timestamp::ZERO, ReaderId(1), 0, Duration::ZERO);
        let [header, need] = demand.needs(Timestamp::ZERO)[..] else { panic!("{demand:?}") };
        assert_eq!((header.urgent, header.window.len()), (GroupRange::new(0, 50), 0));
        assert_eq!((need.urgent, need.window), (GroupRange::new(0, 52), GroupRange::new(52, 55)));
        assert!(demand.time_left(&need, 49) < SECOND / 100);
        assert!(demand.time_left(&need, 51) > SECOND);
    }
    #[test]
    fn a_reader_with_nothing_to_play_needs_the_header_at_the_end_first() {
        let parts = [(Header, 1, None), (Media, 100, Some(100_000)), (Index, 2, None), (Header, 3, None)];
        let mut demand = Demand::new(&manifest(&parts));
        demand.moved(Timestamp::ZERO, ReaderId(1), 40, Duration::ZERO);
        let urgent = |needs: Vec<Need>| needs.iter().map(|need| need.urgent).collect::<Vec<_>>();
        let needs = demand.needs(Timestamp::ZERO);
        assert!(demand.time_left(&needs[1], 105) < SECOND / 100);
        let range = GroupRange::new;
        assert_eq!(urgent(needs), [range(0, 1), range(101, 106), range(40, 43)]);
        // Whoever plays has had them.
        demand.moved(Timestamp::ZERO, ReaderId(1), 40, SECOND);
        assert_eq!(urgent(demand.needs(Timestamp::ZERO)), [range(40, 42)]);
    }

    #[test]
    fn a_manifest_of_nothing_but_headers_does_not_make_everything_urgent() {
        let mut demand = Demand::new(&manifest(&[(Header, 1000, None), (Data, 1, None)].repeat(20)));
        demand.moved(Timestamp::ZERO, ReaderId(1), 0, 60 * SECOND);
        demand.moved(Timestamp::ZERO, ReaderId(2), 20_020, Duration::ZERO);
        let needs = demand.needs(Timestamp::ZERO);
        assert_eq!(needs.iter().map(|need| need.urgent.len()).sum::<u32>(), HEADER_GROUPS_MAX);
    }
}
