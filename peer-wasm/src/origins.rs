//! Where each group that is held came from: the colours of the page's timeline.

use swarm_core::tracker_message::Role;
use swarm_core::{GroupRange, GroupSet};

/// Where verified bytes came from. The page knows the numbers: see `www/app/types.js`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    /// An earlier visit stored them on this device.
    Device = 1,
    /// An initial peer sent them.
    Publisher = 2,
    /// Another viewer sent them.
    Viewer = 3,
    /// An HTTP server sent them.
    Mirror = 4,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Device, Self::Publisher, Self::Viewer, Self::Mirror];
}

impl From<Role> for Origin {
    fn from(role: Role) -> Self {
        match role {
            Role::Initial => Self::Publisher,
            Role::Viewer => Self::Viewer,
        }
    }
}

/// The origin of each group, one byte each; 0 while not known.
#[derive(Debug, Default)]
pub struct Origins {
    groups: Vec<u8>,
}

impl Origins {
    /// Origins of a content whose `held` groups an earlier visit stored.
    pub fn new(held: &GroupSet) -> Self {
        let mut origins = Self { groups: vec![0; held.capacity() as usize] };
        for group in held.iter() {
            origins.note(GroupRange::new(group, group + 1), Origin::Device);
        }
        origins
    }

    /// These groups came from there.
    pub fn note(&mut self, range: GroupRange, origin: Origin) {
        if let Some(groups) = self.groups.get_mut(range.start as usize..range.end as usize) {
            groups.fill(origin as u8);
        }
    }

    /// Where most of the groups came from that are held of `range`; 0 if none is.
    pub fn most(&self, held: &GroupSet, range: GroupRange) -> u8 {
        let mut counts = [0_u32; Origin::ALL.len() + 1];
        for run in held.runs(range) {
            let groups = self.groups.get(run.start as usize..run.end as usize).unwrap_or_default();
            for origin in groups {
                if let Some(count) = counts.get_mut(usize::from(*origin)) {
                    *count += 1;
                }
            }
        }
        let known = Origin::ALL.into_iter().map(|origin| origin as u8);
        let most = known.max_by_key(|origin| counts[usize::from(*origin)]);
        most.filter(|origin| counts[usize::from(*origin)] > 0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn most_of_a_range_tells_where_it_came_from_and_only_what_is_held_counts() {
        let mut held = GroupSet::empty(10);
        held.insert(GroupRange::new(0, 2));
        let mut origins = Origins::new(&held);
        origins.note(GroupRange::new(2, 5), Origin::Viewer);
        origins.note(GroupRange::new(8, 10), Origin::Mirror);
        assert_eq!(
            origins.most(&held, GroupRange::new(0, 10)),
            Origin::Device as u8,
            "the others are not held"
        );
        held.insert(GroupRange::new(2, 5));
        assert_eq!(origins.most(&held, GroupRange::new(0, 10)), Origin::Viewer as u8);
        assert_eq!(origins.most(&held, GroupRange::new(5, 10)), 0);
    }

    #[test]
    fn groups_beyond_the_content_are_left_alone() {
        let mut origins = Origins::new(&GroupSet::empty(2));
        origins.note(GroupRange::new(1, 3), Origin::Publisher);
        assert_eq!(origins.most(&GroupSet::full(2), GroupRange::new(0, 2)), 0);
    }
}
