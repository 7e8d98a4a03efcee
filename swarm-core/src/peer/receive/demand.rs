//! What players need, and how soon.
//!
//! A group's deadline is the time at which the player reaches it: after the media that the player has buffered and the media
//! between the reader's position and the group, by the times of the segments (`media_times`). A player that has nothing
//! to play needs its whole start buffer at once.
//!
//! Headers and indexes have no time. A reader that has nothing to play needs them at once, wherever they lie. A player asks
//! for those at the end only after it has read the beginning, which is a round trip too late.

use std::time::Duration;

use super::media_times::MediaTimes;
use crate::group::{Geometry, GroupRange};
use crate::group_set::GroupSet;
use crate::id::ReaderId;
use crate::limits::GROUP_BYTES;
use crate::manifest::{Manifest, Segment, SegmentKind};
use crate::peer::sorted::Sorted;
use crate::peer::tuning::{
    ANSWERED_AHEAD_GROUPS, START_BUFFER_MAX, START_BUFFER_MIN, START_BUFFER_QUEUES, START_BUFFER_ROUND_TRIPS,
    URGENT_HORIZON,
};
use crate::peer_message::Playing;
use crate::time::Timestamp;

/// Bounds of the headers and indexes that are needed at once: their groups together (4 MiB), and their stretches. No player
/// in a browser needs more to begin, and a hostile manifest could name more.
const HEADER_GROUPS_MAX: u32 = 256;
const HEADERS_MAX: usize = 8;
/// Most readers at a time. A browser opens two or three. The oldest is forgotten first.
const READERS_MAX: usize = 16;

#[derive(Debug, Clone, Copy)]
struct Reader {
    group: u32,
    ahead: Duration,
    /// When the reader said so.
    at: Timestamp,
    /// Where the reader was when its player began to wait for its start buffer. `None`: the player has media.
    waits_from: Option<u32>,
}

/// The needs of one reader at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Groups that are due within the urgent horizon, from the reader's position on.
    pub(crate) urgent: GroupRange,
    /// Of these, groups that are due at once because the player waits for them.
    pub(crate) overdue: GroupRange,
    /// Time until the reader's position is due.
    pub(crate) slack: Duration,
    /// Media time at which the reader's position plays.
    position: Duration,
}

/// All readers of the content.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    geometry: Geometry,
    times: MediaTimes,
    /// Where headers and indexes lie.
    headers: Vec<GroupRange>,
    readers: Sorted<ReaderId, Reader>,
    /// The reader that spoke last before all readers ended. A player that has enough may end its reader for a while.
    left: Option<Reader>,
    /// Whether the content is media. If not, it is a download.
    is_media: bool,
    /// Media that a player needs before it plays.
    start_buffer: Duration,
}

impl Demand {
    /// No readers yet.
    pub(crate) fn new(manifest: &Manifest) -> Self {
        Self {
            geometry: manifest.geometry(),
            times: MediaTimes::new(manifest),
            headers: headers(manifest),
            readers: Sorted::new(),
            left: None,
            is_media: manifest.is_media(),
            start_buffer: START_BUFFER_MIN,
        }
    }

    /// What other peers do not send in time comes from a rich publisher or a mirror; or, if it is not so sure, from another viewer
    /// at this round trip.
    pub(crate) fn set_start_buffer(&mut self, is_sure: bool, rtt: Duration) {
        let repaired = START_BUFFER_QUEUES + START_BUFFER_ROUND_TRIPS * rtt;
        self.start_buffer =
            if is_sure { START_BUFFER_MIN } else { repaired.clamp(START_BUFFER_MIN, START_BUFFER_MAX) };
    }

    /// Media that a player needs before it plays, and again after a stall.
    pub(crate) const fn start_buffer(&self) -> Duration {
        self.start_buffer
    }

    /// A reader is at `group` and can wait `ahead` for it.
    pub(crate) fn moved(&mut self, now: Timestamp, reader: ReaderId, group: u32, ahead: Duration) {
        let group = group.min(self.geometry.group_count());
        let waits_from = ahead.is_zero().then(|| self.waits_from(reader, group));
        let moved = Reader { group, ahead, at: now, waits_from };
        *self.readers.entry(reader, || moved) = moved;
        if self.readers.len() > READERS_MAX
            && let Some(first) = self.readers.keys().first()
        {
            self.readers.remove(*first);
        }
    }

    /// Where the player of a reader that is at `group` began to wait. Groups that came since are part of its start buffer. A
    /// player that still waits with a full start buffer needs another one. A player that seeks begins a new one.
    fn waits_from(&self, reader: ReaderId, group: u32) -> u32 {
        let before = self.readers.get(reader).and_then(|reader| reader.waits_from);
        let is_part = |from: &u32| {
            (*from..self.times.first_after(self.times.at(*from) + self.start_buffer)).contains(&group)
        };
        before.filter(is_part).unwrap_or(group)
    }

    /// A reader ended.
    pub(crate) fn closed(&mut self, reader: ReaderId) {
        let ended = self.readers.remove(reader);
        if self.readers.is_empty() {
            self.left = ended.or(self.left);
        }
    }

    pub(crate) fn has_readers(&self) -> bool {
        !self.readers.is_empty()
    }

    /// The position of the reader that spoke last, which is shown as the playhead.
    pub(crate) fn playhead(&self) -> Option<u32> {
        self.last_reader().map(|reader| reader.group)
    }

    /// Where that reader is, and how long it can wait.
    pub(crate) fn playing(&self, now: Timestamp) -> Option<Playing> {
        let reader = self.last_reader()?;
        let ahead = reader.ahead.saturating_sub(now.since(reader.at));
        Some(Playing { group: reader.group, ahead_ms: u32::try_from(ahead.as_millis()).unwrap_or(u32::MAX) })
    }

    /// How long that reader can play before it needs a group that is not held.
    pub(crate) fn ahead(&self, now: Timestamp, held: &GroupSet) -> Option<Duration> {
        let need = self.need(now, *self.last_reader()?);
        let lacking = held.next_missing(need.urgent.start).unwrap_or(self.geometry.group_count());
        Some(self.time_left(&need, lacking))
    }

    fn last_reader(&self) -> Option<&Reader> {
        self.readers.values().iter().max_by_key(|reader| reader.at)
    }

    /// Headers and indexes that are needed at once, in order.
    pub(crate) fn headers(&self) -> &[GroupRange] {
        &self.headers
    }

    /// Whether the content plays.
    pub(crate) const fn is_media(&self) -> bool {
        self.is_media
    }

    /// The group that the reader needs next that spoke last, whether or not it has ended since.
    pub(crate) fn place(&self) -> u32 {
        self.last_reader().or(self.left.as_ref()).map_or(0, |reader| reader.group)
    }

    /// From [`Demand::place`], the groups that play within `media` of what plays now, and that lie within `bytes` of it.
    /// What the player has buffered counts as ahead, so that a player that pauses stays where it is.
    pub(crate) fn look_ahead(&self, media: Duration, bytes: u64) -> GroupRange {
        let (start, ahead) = match self.last_reader().or(self.left.as_ref()) {
            Some(reader) => (reader.group, reader.ahead),
            None => (0, Duration::ZERO),
        };
        let plays = self.times.at(start).saturating_sub(ahead);
        let first = if ahead.is_zero() { start } else { self.times.first_after(plays).min(start) };
        let groups = u32::try_from(bytes / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX);
        let end = self.times.first_after(plays.saturating_add(media)).min(first.saturating_add(groups));
        GroupRange::new(start, end.max(start)).and(self.geometry.all())
    }

    /// The first group that is due later than `time` for a player at `playing`.
    pub(crate) fn first_due_after(&self, playing: Playing, time: Duration) -> u32 {
        let ahead = Duration::from_millis(u64::from(playing.ahead_ms));
        time.checked_sub(ahead).map_or(playing.group, |media| {
            self.times.first_after(self.times.at(playing.group).saturating_add(media))
        })
    }

    /// The first groups for which a waiting player waits. A rich publisher sends them before a request.
    pub(crate) fn answered_ahead(&self, playing: Playing) -> GroupRange {
        if playing.ahead_ms > 0 {
            return GroupRange::new(playing.group, playing.group);
        }
        let first = GroupRange::new(playing.group, playing.group.saturating_add(ANSWERED_AHEAD_GROUPS));
        first.and(GroupRange::new(playing.group, self.first_due_after(playing, START_BUFFER_MIN)))
    }

    /// The needs of every reader, most pressing first. If a reader has nothing to play, headers come before all.
    pub(crate) fn needs(&self, now: Timestamp) -> Vec<Need> {
        let mut needs: Vec<Need> = Vec::new();
        for need in self.readers.values().iter().map(|reader| self.need(now, *reader)) {
            needs.insert(needs.partition_point(|other| other.slack <= need.slack), need);
        }
        if needs.first().is_some_and(|need| need.slack.is_zero()) {
            needs.splice(0..0, self.headers.iter().map(|header| self.need_of_header(*header)));
        }
        needs
    }

    /// The needs of a player that is about to open: everything from the beginning, headers before all.
    pub(crate) fn opening(&self, now: Timestamp) -> Vec<Need> {
        let headers = self.headers.iter().map(|header| self.need_of_header(*header));
        headers
            .chain([self.need(now, Reader { group: 0, ahead: Duration::ZERO, at: now, waits_from: None })])
            .collect()
    }

    fn need_of_header(&self, header: GroupRange) -> Need {
        Need { urgent: header, overdue: header, slack: Duration::ZERO, position: self.times.at(header.start) }
    }

    /// Time until `group` is due.
    pub(crate) fn time_left(&self, need: &Need, group: u32) -> Duration {
        if need.overdue.has(group) {
            return Duration::ZERO;
        }
        need.slack.saturating_add(self.times.at(group).saturating_sub(need.position))
    }

    /// The groups of a reader that are due within a time.
    pub(crate) fn due_within(&self, need: &Need, time: Duration) -> GroupRange {
        let start = need.urgent.start;
        let end = match time.checked_sub(need.slack) {
            Some(media) => self.times.first_after(need.position.saturating_add(media)),
            None => start,
        };
        GroupRange::new(start, end).and(self.geometry.all())
    }

    fn need(&self, now: Timestamp, reader: Reader) -> Need {
        let slack = reader.ahead.saturating_sub(now.since(reader.at));
        let start = reader.group;
        let position = self.times.at(start);
        let none = GroupRange::new(start, start);
        let mut need = Need { urgent: none, overdue: none, slack, position };
        need.urgent = self.due_within(&need, URGENT_HORIZON);
        if slack.is_zero() {
            let from = self.times.at(reader.waits_from.unwrap_or(start));
            let end = self.times.first_after(from.saturating_add(self.start_buffer));
            need.overdue = GroupRange::new(start, end.max(start)).and(self.geometry.all());
        }
        need
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
    fn an_empty_player_makes_four_seconds_urgent_and_waits_for_the_first_of_them() {
        let mut demand = demand();
        demand.moved(Timestamp::ZERO, ReaderId(1), 100, Duration::ZERO);
        let need = demand.needs(Timestamp::ZERO)[0];
        assert_eq!((need.urgent, need.overdue), (GroupRange::new(100, 141), GroupRange::new(100, 111)));
        assert_eq!(demand.time_left(&need, 110), Duration::ZERO, "the whole start buffer is due at once");
        assert_eq!(demand.time_left(&need, 120), 2 * SECOND);
    }

    #[test]
    fn over_long_paths_a_player_needs_more_unless_a_publisher_can_send_what_comes_late() {
        let mut demand = demand();
        let mut overdue = |is_sure, rtt_ms| {
            demand.set_start_buffer(is_sure, Duration::from_millis(rtt_ms));
            demand.moved(Timestamp::ZERO, ReaderId(1), 100, Duration::ZERO);
            (demand.start_buffer(), demand.needs(Timestamp::ZERO)[0].overdue)
        };
        assert_eq!(overdue(false, 10), (SECOND, GroupRange::new(100, 111)));
        assert_eq!(overdue(false, 150), (2 * SECOND, GroupRange::new(100, 121)));
        assert_eq!(overdue(true, 150), (SECOND, GroupRange::new(100, 111)));
        assert_eq!(overdue(false, 60_000), (3 * SECOND, GroupRange::new(100, 131)));
    }

    #[test]
    fn what_comes_while_a_player_waits_is_part_of_its_start_buffer() {
        let mut demand = demand();
        let mut overdue = |group, ahead| {
            demand.moved(Timestamp::ZERO, ReaderId(1), group, ahead);
            demand.needs(Timestamp::ZERO)[0].overdue
        };
        assert_eq!(overdue(100, Duration::ZERO), GroupRange::new(100, 111));
        assert_eq!(overdue(104, Duration::ZERO), GroupRange::new(104, 111));
        assert_eq!(overdue(111, Duration::ZERO), GroupRange::new(111, 122), "it needs more");
        assert_eq!(overdue(100, Duration::ZERO), GroupRange::new(100, 111), "it went back");
        assert_eq!(overdue(300, Duration::ZERO), GroupRange::new(300, 311), "it went on");
        assert!(overdue(304, SECOND).is_empty());
        assert_eq!(overdue(306, Duration::ZERO), GroupRange::new(306, 317), "it stalls");
    }

    #[test]
    fn a_player_with_a_buffer_waits_for_nothing_and_needs_what_the_buffer_does_not_cover() {
        let mut demand = demand();
        demand.moved(Timestamp::ZERO, ReaderId(1), 100, 10 * SECOND);
        let need = demand.needs(Timestamp::ZERO)[0];
        assert!(need.urgent.is_empty() && need.overdue.is_empty());
        assert_eq!(demand.time_left(&need, 110), 11 * SECOND);
        // As time passes without news, the buffer is played out and the position becomes urgent.
        let later = demand.needs(Timestamp::ZERO + 9 * SECOND)[0];
        assert_eq!((later.urgent, later.overdue.len()), (GroupRange::new(100, 131), 0));
        assert_eq!(demand.time_left(&later, 110), 2 * SECOND);
        let empty = demand.needs(Timestamp::ZERO + 11 * SECOND)[0];
        assert_eq!((empty.urgent, empty.overdue), (GroupRange::new(100, 141), GroupRange::new(100, 111)));
    }

    #[test]
    fn groups_due_within_a_time_are_counted_from_the_position_and_after_the_buffer() {
        let mut demand = demand();
        demand.moved(Timestamp::ZERO, ReaderId(1), 990, SECOND);
        let need = demand.needs(Timestamp::ZERO)[0];
        let due = |time| demand.due_within(&need, time);
        assert_eq!(due(SECOND / 2), GroupRange::new(990, 990));
        assert_eq!(due(SECOND), GroupRange::new(990, 991));
        assert_eq!(due(SECOND * 3 / 2), GroupRange::new(990, 996));
        assert_eq!(due(Duration::MAX), GroupRange::new(990, 1000), "no further than the content");
    }

    #[test]
    fn what_a_neighbours_player_needs_is_told_by_the_same_clock() {
        let demand = demand();
        let first_after = |ahead_ms, time| demand.first_due_after(Playing { group: 100, ahead_ms }, time);
        assert_eq!(first_after(0, 3 * SECOND), 131);
        assert_eq!(first_after(2000, 3 * SECOND), 111);
        assert_eq!(first_after(4000, 3 * SECOND), 100, "its buffer lasts longer");
        assert_eq!(first_after(u32::MAX, Duration::MAX), 1000);
    }

    #[test]
    fn a_player_has_ahead_what_it_buffered_and_what_is_held_without_a_gap() {
        let mut demand = demand();
        let now = Timestamp::ZERO;
        let mut held = GroupSet::empty(demand.geometry.group_count());
        assert_eq!(demand.ahead(now, &held), None, "nobody plays");
        demand.moved(now, ReaderId(1), 4, Duration::from_secs(1));
        assert_eq!(demand.ahead(now, &held), Some(Duration::from_secs(1)));
        held.insert(GroupRange::new(4, 8));
        let media = demand.times.at(8) - demand.times.at(4);
        assert_eq!(demand.ahead(now, &held), Some(Duration::from_secs(1) + media));
        assert_eq!(
            demand.ahead(Timestamp::from_millis(1500), &held),
            Some(Duration::ZERO),
            "its start buffer is not there"
        );
    }

    #[test]
    fn the_look_ahead_counts_from_what_plays_and_stays_when_the_reader_ends() {
        let mut demand = demand();
        let bytes = |groups: u64| groups * u64::from(GROUP_BYTES);
        assert_eq!(demand.look_ahead(30 * SECOND, u64::MAX), GroupRange::new(0, 301), "from the beginning");
        demand.moved(Timestamp::ZERO, ReaderId(1), 500, 10 * SECOND);
        assert_eq!(demand.look_ahead(30 * SECOND, u64::MAX), GroupRange::new(500, 701), "10 s are in hand");
        assert_eq!(demand.look_ahead(30 * SECOND, bytes(150)), GroupRange::new(500, 551));
        assert_eq!(demand.look_ahead(5 * SECOND, u64::MAX), GroupRange::new(500, 500), "more is in hand");
        assert_eq!(demand.look_ahead(Duration::MAX, u64::MAX), GroupRange::new(500, 1000));
        demand.closed(ReaderId(1));
        assert_eq!(demand.playhead(), None);
        assert_eq!((demand.place(), demand.look_ahead(30 * SECOND, u64::MAX).end), (500, 701));
        demand.moved(Timestamp::ZERO, ReaderId(2), 100, Duration::ZERO);
        assert_eq!(demand.look_ahead(30 * SECOND, bytes(150)), GroupRange::new(100, 250), "a seek");
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
        assert!(need.urgent.is_empty() && need.overdue.is_empty());
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
        let ranges: Vec<_> = needs.iter().map(|need| (need.urgent, need.overdue)).collect();
        let range = GroupRange::new;
        assert_eq!(
            ranges,
            [(range(0, 5), range(0, 2)), (range(8, 31), range(8, 10)), (range(50, 91), range(50, 61))]
        );
        assert_eq!(demand.time_left(&needs[0], 2), 2 * SECOND);
        assert_eq!(demand.time_left(&needs[0], 60), 15 * SECOND);
        assert_eq!(demand.time_left(&needs[2], 70), 2 * SECOND);
        assert_eq!(demand.time_left(&needs[2], 40), Duration::ZERO, "what lies behind is due at once");
    }

    #[test]
    fn a_header_is_needed_whole_before_the_media_behind_it() {
        let mut demand = Demand::new(&manifest(&[(Header, 50, None), (Media, 100, Some(100_000))]));
        demand.moved(Timestamp::ZERO, ReaderId(1), 0, Duration::ZERO);
        let [header, need] = demand.needs(Timestamp::ZERO)[..] else { panic!("{demand:?}") };
        assert_eq!((header.urgent, header.overdue), (GroupRange::new(0, 50), GroupRange::new(0, 50)));
        assert_eq!((need.urgent, need.overdue), (GroupRange::new(0, 54), GroupRange::new(0, 51)));
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
        assert_eq!(urgent(needs), [range(0, 1), range(101, 106), range(40, 45)]);
        // A reader that plays has had them.
        demand.moved(Timestamp::ZERO, ReaderId(1), 40, SECOND);
        assert_eq!(urgent(demand.needs(Timestamp::ZERO)), [range(40, 44)]);
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
