//! How much of the content this peer wants: all of it, or what its storage budget holds around the playhead.

use super::Demand;
use crate::group::GroupRange;
use crate::limits::GROUP_BYTES;
use crate::peer::content::Content;
use crate::peer::input::Appetite;
use crate::peer::tuning::{AHEAD_SHARE, APPETITE_STEP_GROUPS};

/// The groups that are wanted at all.
pub(crate) fn wanted(appetite: Appetite, content: &Content, demand: &Demand) -> GroupRange {
    let geometry = content.geometry();
    match appetite {
        Appetite::Viewer { budget_bytes } if geometry.length_bytes() > budget_bytes => {
            let start = demand.playhead().unwrap_or(0);
            let ahead = budget_bytes / AHEAD_SHARE.1 * AHEAD_SHARE.0 / u64::from(GROUP_BYTES);
            let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
            GroupRange::new(start, start.saturating_add(ahead)).and(geometry.all())
        }
        Appetite::Viewer { .. } | Appetite::Everything => geometry.all(),
    }
}

/// What neighbours are told is wanted: a limited appetite moves on in steps, so that they hear of a step, not of every
/// group.
pub(crate) fn told(appetite: Appetite, content: &Content, demand: &Demand) -> GroupRange {
    let wanted = wanted(appetite, content, demand);
    let all = content.geometry().all();
    if wanted == all {
        return all;
    }
    let step = |group: u32| group / APPETITE_STEP_GROUPS * APPETITE_STEP_GROUPS;
    GroupRange::new(step(wanted.start), if wanted.end == all.end { all.end } else { step(wanted.end) })
}

/// What a peer beyond its budget forgets next: what it played longest ago, then what lies farthest ahead.
pub(crate) fn excess(appetite: Appetite, content: &Content, demand: &Demand) -> Option<GroupRange> {
    let Appetite::Viewer { budget_bytes } = appetite else { return None };
    let budget = u32::try_from(budget_bytes / u64::from(GROUP_BYTES)).unwrap_or(u32::MAX);
    let held = content.held();
    let excess = held.count().checked_sub(budget).filter(|excess| *excess > 0)?;
    let playhead = demand.playhead().unwrap_or(0);
    let behind = held.runs(GroupRange::new(0, playhead)).next();
    let run = behind.or_else(|| held.runs(content.geometry().all()).last())?;
    Some(if run.start < playhead {
        GroupRange::new(run.start, run.start.saturating_add(excess)).and(run)
    } else {
        GroupRange::new(run.end.saturating_sub(excess), run.end).and(run)
    })
}
