//! Something for each link, in the order of the links' ids.
//!
//! A peer has a dozen links, each with a kilobyte of state, and most work looks at all of them. Ids are kept apart from
//! the values, so that a look-up reads one cache line; both lists grow by little, so that little memory lies idle. Ids
//! are given in ascending order, so an insertion moves nothing.

use crate::id::LinkId;

/// Places for which room is made at a time, at least.
const ROOM: usize = 2;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct ByLink<T> {
    ids: Vec<LinkId>,
    values: Vec<T>,
}

impl<T> Default for ByLink<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ByLink<T> {
    pub(crate) const fn new() -> Self {
        Self { ids: Vec::new(), values: Vec::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn get(&self, id: LinkId) -> Option<&T> {
        self.values.get(self.ids.binary_search(&id).ok()?)
    }

    pub(crate) fn get_mut(&mut self, id: LinkId) -> Option<&mut T> {
        self.values.get_mut(self.ids.binary_search(&id).ok()?)
    }

    /// The value of a link; a new one if it has none.
    pub(crate) fn entry(&mut self, id: LinkId, make: impl FnOnce() -> T) -> &mut T {
        let at = self.ids.binary_search(&id).unwrap_or_else(|at| {
            if self.ids.len() == self.ids.capacity() {
                let room = ROOM.max(self.ids.len() / 8);
                self.ids.reserve_exact(room);
                self.values.reserve_exact(room);
            }
            self.ids.insert(at, id);
            self.values.insert(at, make());
            at
        });
        &mut self.values[at]
    }

    pub(crate) fn remove(&mut self, id: LinkId) -> Option<T> {
        let at = self.ids.binary_search(&id).ok()?;
        self.ids.remove(at);
        Some(self.values.remove(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (LinkId, &T)> {
        self.ids.iter().copied().zip(&self.values)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (LinkId, &mut T)> {
        self.ids.iter().copied().zip(&mut self.values)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.values.iter()
    }

    /// All links, from the one after `last` on.
    pub(crate) fn turn(&self, last: Option<LinkId>) -> impl Iterator<Item = (LinkId, &T)> {
        let first = last.map_or(0, |last| self.ids.partition_point(|id| *id <= last));
        let (ids_before, ids_after) = self.ids.split_at(first);
        let (values_before, values_after) = self.values.split_at(first);
        ids_after.iter().copied().zip(values_after).chain(ids_before.iter().copied().zip(values_before))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_behaves_like_a_map(steps in prop::collection::vec((any::<bool>(), 0u32..20), 0..60), last in 0u32..20) {
            let (mut map, mut model) = (ByLink::new(), BTreeMap::new());
            for (value, (is_added, id)) in steps.into_iter().enumerate() {
                let id = LinkId(id);
                if is_added {
                    prop_assert_eq!(*map.entry(id, || value), *model.entry(id).or_insert(value));
                } else {
                    prop_assert_eq!(map.remove(id), model.remove(&id));
                }
                prop_assert_eq!((map.len(), map.get(id)), (model.len(), model.get(&id)));
            }
            let ordered: Vec<_> = model.iter().map(|(id, value)| (*id, value)).collect();
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), ordered.clone());
            let first = ordered.iter().filter(|(id, _)| *id <= LinkId(last)).count();
            let turn = [&ordered[first..], &ordered[..first]].concat();
            prop_assert_eq!(map.turn(Some(LinkId(last))).collect::<Vec<_>>(), turn);
            prop_assert_eq!(map.turn(None).collect::<Vec<_>>(), ordered);
        }
    }
}
