//! How much of the content this peer wants: all of it, a look-ahead beyond the playhead, or what its storage budget holds.
//!
//! | content | kept by the person | wanted |
//! |---|---|---|
//! | no longer than `LOOK_AHEAD_BYTES`, or no media | either | whole, if the budget holds it |
//! | longer | yes | whole, if the budget holds it |
//! | longer | no | from the playhead, `LOOK_AHEAD` of media or `LOOK_AHEAD_BYTES`, whichever ends first |
//! | longer than the budget | either | at most `AHEAD_SHARE` of the budget beyond the playhead |

use std::time::Duration;

use super::Demand;
use crate::group::GroupRange;
use crate::limits::GROUP_BYTES;
use crate::peer::content::Content;
use crate::peer::input::Appetite;
use crate::peer::tuning::{AHEAD_SHARE, APPETITE_STEP_GROUPS, GROUP, LOOK_AHEAD, LOOK_AHEAD_BYTES};

/// Bytes of the look-ahead that are requested. Neighbours hear of the look-ahead in steps, so they may push up to one step
/// beside it. Requested and pushed groups together stay within [`LOOK_AHEAD_BYTES`].
const LOOKED_AHEAD_BYTES: u64 = LOOK_AHEAD_BYTES - APPETITE_STEP_GROUPS as u64 * GROUP;

/// The groups that are wanted at all.
pub(crate) fn wanted(appetite: Appetite, content: &Content, demand: &Demand) -> GroupRange {
    let all = content.geometry().all();
    let Appetite::Viewer { budget_bytes, is_kept } = appetite else { return all };
    let length_bytes = content.geometry().length_bytes();
    let is_unbound = is_kept || !demand.is_media() || length_bytes <= LOOK_AHEAD_BYTES;
    let ahead_bytes = budget_bytes / AHEAD_SHARE.1 * AHEAD_SHARE.0;
    match (is_unbound, length_bytes <= budget_bytes) {
        (true, true) => all,
        (true, false) => demand.look_ahead(Duration::MAX, ahead_bytes),
        (false, true) => demand.look_ahead(LOOK_AHEAD, LOOKED_AHEAD_BYTES),
        (false, false) => demand.look_ahead(LOOK_AHEAD, ahead_bytes.min(LOOKED_AHEAD_BYTES)),
    }
}

/// The wanted groups that neighbours are told. A limited appetite moves on in steps, so that neighbours hear of each step and
/// not of each group. It has at least one step, because nothing is pushed to a peer that wants nothing.
pub(crate) fn told(appetite: Appetite, content: &Content, demand: &Demand) -> GroupRange {
    let wanted = wanted(appetite, content, demand);
    let all = content.geometry().all();
    if wanted == all {
        return all;
    }
    let step = |group: u32| group / APPETITE_STEP_GROUPS * APPETITE_STEP_GROUPS;
    let start = step(wanted.start);
    if wanted.is_empty() {
        return GroupRange::new(start, start);
    }
    let end = if wanted.end == all.end { all.end } else { step(wanted.end) };
    GroupRange::new(start, end.max(start.saturating_add(APPETITE_STEP_GROUPS))).and(all)
}

/// The groups that a peer beyond its budget forgets next: first those played longest ago, then those farthest ahead. Headers
/// stay: a player that has nothing to play needs them before all else, so the peer would fetch them again and again.
pub(crate) fn excess(appetite: Appetite, content: &Content, demand: &Demand) -> Option<GroupRange> {
    let Appetite::Viewer { budget_bytes, .. } = appetite else { return None };
    let budget = u32::try_from(budget_bytes / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX);
    let held = content.held();
    let excess = held.count().checked_sub(budget).filter(|excess| *excess > 0)?;
    let place = demand.place();
    let behind = GroupRange::new(0, place);
    let played = held.runs(behind).find_map(|run| outside(run, demand.headers()).next());
    if let Some(run) = played {
        return Some(GroupRange::new(run.start, run.start.saturating_add(excess)).and(run));
    }
    let ahead = GroupRange::new(place, content.geometry().group_count());
    let run = held.runs(ahead).flat_map(|run| outside(run, demand.headers())).last()?;
    Some(GroupRange::new(run.end.saturating_sub(excess), run.end).and(run))
}

/// The parts of a run that are none of these ranges, which are in order.
fn outside(run: GroupRange, ranges: &[GroupRange]) -> impl Iterator<Item = GroupRange> {
    let ends = std::iter::once(run.start).chain(ranges.iter().map(|range| range.end));
    let starts = ranges.iter().map(|range| range.start).chain(std::iter::once(run.end));
    let gaps = ends.zip(starts).map(move |(end, start)| GroupRange::new(end.min(start), start).and(run));
    gaps.filter(|gap| !gap.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::media_times::tests::manifest;
    use super::*;
    use crate::group_set::GroupSet;
    use crate::id::ReaderId;
    use crate::manifest::Manifest;
    use crate::manifest::SegmentKind::{Data, Header, Index, Media};
    use crate::time::Timestamp;
    use crate::tree::HashTree;

    /// A film of 20,000 groups (312 MiB) that plays `groups_per_s` groups a second.
    fn film(groups_per_s: u64) -> Manifest {
        let mut film = manifest(&[(Media, 20_000, Some(20_000_000 / groups_per_s))]);
        film.media_type = "video/mp4".into();
        film
    }

    fn parts(manifest: Manifest) -> (Content, Demand) {
        let held = GroupSet::empty(manifest.geometry().group_count());
        let tree = HashTree::unknown(manifest.geometry(), manifest.root);
        let demand = Demand::new(&manifest);
        (Content::new(Arc::new(manifest), &held, tree), demand)
    }

    const ROOM: Appetite = Appetite::Viewer { budget_bytes: u64::MAX, is_kept: false };

    #[test]
    fn a_film_is_wanted_for_five_minutes_or_64_mib_beyond_what_plays() {
        let (content, mut demand) = parts(film(10));
        assert_eq!(wanted(ROOM, &content, &demand), GroupRange::new(0, 3001));
        demand.moved(Timestamp::ZERO, ReaderId(1), 1000, Duration::from_secs(20));
        assert_eq!(wanted(ROOM, &content, &demand), GroupRange::new(1000, 3801));
        let (content, mut demand) = parts(film(40));
        demand.moved(Timestamp::ZERO, ReaderId(1), 1000, Duration::ZERO);
        assert_eq!(wanted(ROOM, &content, &demand), GroupRange::new(1000, 1000 + 3840));
        assert_eq!(told(ROOM, &content, &demand), GroupRange::new(768, 768 + 3840));
        let small = Appetite::Viewer { budget_bytes: 400 * 16_384, is_kept: false };
        assert_eq!(
            wanted(small, &content, &demand),
            GroupRange::new(1000, 1300),
            "three quarters of the budget"
        );
    }

    #[test]
    fn what_is_kept_what_is_short_and_what_does_not_play_is_wanted_whole() {
        let (content, demand) = parts(film(10));
        let kept = Appetite::Viewer { budget_bytes: u64::MAX, is_kept: true };
        assert_eq!(wanted(kept, &content, &demand), content.geometry().all());
        let kept_small = Appetite::Viewer { budget_bytes: 4000 * 16_384, is_kept: true };
        assert_eq!(wanted(kept_small, &content, &demand), GroupRange::new(0, 3000));
        let mut short = manifest(&[(Media, 4096, Some(4_096_000))]);
        short.media_type = "audio/flac".into();
        let (content, demand) = parts(short);
        assert_eq!(wanted(ROOM, &content, &demand), content.geometry().all());
        let mut archive = manifest(&[(Data, 20_000, None)]);
        archive.media_type = "application/zip".into();
        let (content, demand) = parts(archive);
        assert_eq!(wanted(ROOM, &content, &demand), content.geometry().all());
    }

    #[test]
    fn what_was_played_goes_first_then_the_end_and_headers_stay() {
        let parts_of = [(Header, 10, None), (Media, 80, Some(80_000)), (Index, 10, None)];
        let (mut content, mut demand) = parts(manifest(&parts_of));
        let budget = |groups: u64| Appetite::Viewer { budget_bytes: groups * 16_384, is_kept: false };
        content.gain(GroupRange::new(0, 100));
        demand.moved(Timestamp::ZERO, ReaderId(1), 20, Duration::ZERO);
        let range = GroupRange::new;
        assert_eq!(excess(budget(100), &content, &demand), None);
        assert_eq!(excess(budget(96), &content, &demand), Some(range(10, 14)));
        content.lose(range(10, 14));
        assert_eq!(excess(budget(40), &content, &demand), Some(range(14, 20)));
        content.lose(range(14, 20));
        assert_eq!(excess(budget(87), &content, &demand), Some(range(87, 90)), "the index at the end stays");
        content.lose(range(20, 90));
        assert_eq!(excess(budget(4), &content, &demand), None, "nothing else is left");
    }

    #[test]
    fn neighbours_hear_of_one_step_at_least() {
        // 300 s are 300 groups: less than a step more than a step.
        let (content, mut demand) = parts(film(1));
        demand.moved(Timestamp::ZERO, ReaderId(1), 200, Duration::from_secs(100));
        assert_eq!(wanted(ROOM, &content, &demand), GroupRange::new(200, 401));
        assert_eq!(told(ROOM, &content, &demand), GroupRange::new(0, 256));
        demand.moved(Timestamp::ZERO, ReaderId(1), 260, Duration::from_secs(200));
        assert_eq!(told(ROOM, &content, &demand), GroupRange::new(256, 512));
        demand.moved(Timestamp::ZERO, ReaderId(1), 600, Duration::from_secs(400));
        assert!(told(ROOM, &content, &demand).is_empty(), "the player has more in hand than is looked ahead");
    }
}
