//! Small maps as sorted lists: a value for each link, or for each requested group.
//!
//! A peer has a dozen links, each with a kilobyte of state and a handful of requests, and most work goes through all of
//! them. Keys are kept apart from the values, so that a look-up reads one cache line. Both lists grow in small steps, so that
//! little memory is unused. Ids of links ascend, so insertion moves no entry.

use crate::group::GroupRange;
use crate::id::LinkId;

/// Least number of places by which a map grows.
const ROOM: usize = 2;
/// Places that an empty map keeps.
const KEPT: usize = 8;

/// A value for each link, in the order of their ids.
pub(crate) type ByLink<T> = Sorted<LinkId, T>;
/// A value for each of some groups, in their order.
pub(crate) type ByGroup<T> = Sorted<u32, T>;

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Sorted<K, T> {
    keys: Vec<K>,
    values: Vec<T>,
}

impl<K: Ord + Copy, T> Default for Sorted<K, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Copy, T> Sorted<K, T> {
    pub(crate) const fn new() -> Self {
        Self { keys: Vec::new(), values: Vec::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn has(&self, key: K) -> bool {
        self.keys.binary_search(&key).is_ok()
    }

    pub(crate) fn get(&self, key: K) -> Option<&T> {
        self.values.get(self.keys.binary_search(&key).ok()?)
    }

    pub(crate) fn value_mut(&mut self, key: K) -> Option<&mut T> {
        self.values.get_mut(self.keys.binary_search(&key).ok()?)
    }

    /// The value of a key, which is made if there is none.
    pub(crate) fn entry(&mut self, key: K, make: impl FnOnce() -> T) -> &mut T {
        let at = self.keys.binary_search(&key).unwrap_or_else(|at| {
            if self.keys.len() == self.keys.capacity() {
                let room = ROOM.max(self.keys.len() / 8);
                self.keys.reserve_exact(room);
                self.values.reserve_exact(room);
            }
            self.keys.insert(at, key);
            self.values.insert(at, make());
            at
        });
        &mut self.values[at]
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<T> {
        let at = self.keys.binary_search(&key).ok()?;
        self.keys.remove(at);
        let value = self.values.remove(at);
        if self.keys.is_empty() && self.keys.capacity() > KEPT {
            *self = Self::new();
        }
        Some(value)
    }

    pub(crate) fn keys(&self) -> &[K] {
        &self.keys
    }

    pub(crate) fn values(&self) -> &[T] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (K, &T)> {
        self.keys.iter().copied().zip(&self.values)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut T)> {
        self.keys.iter().copied().zip(&mut self.values)
    }

    /// All entries once, beginning after `last`.
    pub(crate) fn turn(&self, last: Option<K>) -> impl Iterator<Item = (K, &T)> {
        let first = last.map_or(0, |last| self.keys.partition_point(|key| *key <= last));
        let (keys_before, keys_after) = self.keys.split_at(first);
        let (values_before, values_after) = self.values.split_at(first);
        let after = keys_after.iter().copied().zip(values_after);
        after.chain(keys_before.iter().copied().zip(values_before))
    }
}

impl<T> ByGroup<T> {
    /// The entries of a range.
    pub(crate) fn within(&self, range: GroupRange) -> &[u32] {
        let from = self.keys.partition_point(|group| *group < range.start);
        let rest = &self.keys[from..];
        &rest[..rest.partition_point(|group| *group < range.end)]
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
            let (mut map, mut model) = (Sorted::new(), BTreeMap::new());
            for (value, (is_added, id)) in steps.into_iter().enumerate() {
                let id = LinkId(id);
                if is_added {
                    prop_assert_eq!(*map.entry(id, || value), *model.entry(id).or_insert(value));
                } else {
                    prop_assert_eq!(map.remove(id), model.remove(&id));
                }
                prop_assert_eq!((map.len(), map.get(id)), (model.len(), model.get(&id)));
                prop_assert_eq!((map.is_empty(), map.has(id)), (model.is_empty(), model.contains_key(&id)));
            }
            let ordered: Vec<_> = model.iter().map(|(id, value)| (*id, value)).collect();
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), ordered.clone());
            let first = ordered.iter().filter(|(id, _)| *id <= LinkId(last)).count();
            let turn = [&ordered[first..], &ordered[..first]].concat();
            prop_assert_eq!(map.turn(Some(LinkId(last))).collect::<Vec<_>>(), turn);
            prop_assert_eq!(map.turn(None).collect::<Vec<_>>(), ordered);
        }

        #[test]
        fn groups_of_a_range_are_found(groups in prop::collection::btree_set(0u32..50, 0..20), start in 0u32..50, len in 0u32..50) {
            let mut map = ByGroup::new();
            groups.iter().for_each(|group| _ = map.entry(*group, || ()));
            let range = GroupRange::new(start, start + len);
            let model: Vec<u32> = groups.into_iter().filter(|group| range.has(*group)).collect();
            prop_assert_eq!(map.within(range), &model[..]);
        }
    }
}
