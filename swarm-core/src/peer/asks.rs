//! What is asked of one counterpart and has not come: requests by name, bytes by class, and what may still come late.

use std::collections::BTreeMap;

use super::request::Ask;
use super::sizing::CHANNEL_BYTES_MAX;
use crate::group::{Geometry, GroupRange};
use crate::peer_message::Class;

/// Bytes that may come twice because messages crossed, over a link's life: one channel's buffer.
const CROSSED_BYTES_MAX: u64 = CHANNEL_BYTES_MAX;

/// How many classes there are.
pub(crate) const CLASSES: usize = Class::Background as usize + 1;

/// The requests of one link.
#[derive(Debug)]
pub(crate) struct Asks {
    open: BTreeMap<u32, Ask>,
    last_request: u32,
    /// Bytes that may still come for requests that have ended, or twice: more is an intrusion.
    late_bytes: u64,
    /// Bytes asked for and not yet here, by class.
    outstanding_bytes: [u64; CLASSES],
}

impl Asks {
    pub(crate) const fn new() -> Self {
        Self {
            open: BTreeMap::new(),
            last_request: 0,
            late_bytes: CROSSED_BYTES_MAX,
            outstanding_bytes: [0; CLASSES],
        }
    }

    /// The open requests by name.
    pub(crate) const fn open(&self) -> &BTreeMap<u32, Ask> {
        &self.open
    }

    pub(crate) fn open_mut(&mut self) -> impl Iterator<Item = (&u32, &mut Ask)> {
        self.open.iter_mut()
    }

    /// Bytes outstanding that the other side sends before or with those of a class.
    pub(crate) fn ahead_of(&self, class: Class) -> u64 {
        self.outstanding_bytes.iter().take(class as usize + 1).sum()
    }

    /// Registers a request and names it. The range has 1 to 64 groups.
    pub(crate) fn add(&mut self, geometry: Geometry, range: GroupRange, class: Class) -> u32 {
        self.last_request = self.last_request.wrapping_add(1).max(1);
        self.open.insert(self.last_request, Ask::new(range, class));
        self.outstanding_bytes[class as usize] += geometry.len_bytes(range);
        self.last_request
    }

    /// Groups came in the name of a request, or of none (0): an injection. Returns how many requests that completes;
    /// `None` if it is an intrusion: nobody asked for them, and there is more of it than a late or crossed answer
    /// explains.
    pub(crate) fn came(&mut self, geometry: Geometry, id: u32, range: GroupRange) -> Option<usize> {
        let (mut expected, before) = (0, self.open.len());
        // The other side sends a group once, whatever requests name it; so it answers all of them.
        for ask in self.open.values_mut().filter(|ask| !ask.range.and(range).is_empty()) {
            let outstanding = &mut self.outstanding_bytes[ask.class as usize];
            for group in range.and(ask.range).iter().filter(|group| ask.came(*group)) {
                let bytes = geometry.len_bytes(GroupRange::one(group));
                expected += bytes;
                *outstanding = outstanding.saturating_sub(bytes);
            }
        }
        self.open.retain(|_, ask| !ask.is_whole());
        let is_injection = id == 0;
        let late = if is_injection { 0 } else { geometry.len_bytes(range).saturating_sub(expected) };
        let is_explained = late <= self.late_bytes && id <= self.last_request;
        self.late_bytes = self.late_bytes.saturating_sub(late);
        is_explained.then_some(before - self.open.len())
    }

    /// What a request asks for is needed sooner than it was.
    pub(crate) fn hasten(&mut self, geometry: Geometry, id: u32, class: Class) {
        let Some(ask) = self.open.get_mut(&id) else { return };
        let bytes: u64 = ask.missing().map(|group| geometry.len_bytes(GroupRange::one(group))).sum();
        let before = &mut self.outstanding_bytes[ask.class as usize];
        *before = before.saturating_sub(bytes);
        self.outstanding_bytes[class as usize] += bytes;
        ask.class = class;
    }

    /// Strikes a request off; the groups that had not come.
    pub(crate) fn end(&mut self, geometry: Geometry, id: u32) -> Vec<u32> {
        let Some(ask) = self.open.remove(&id) else { return Vec::new() };
        let missing: Vec<u32> = ask.missing().collect();
        let bytes: u64 = missing.iter().map(|group| geometry.len_bytes(GroupRange::one(*group))).sum();
        let outstanding = &mut self.outstanding_bytes[ask.class as usize];
        *outstanding = outstanding.saturating_sub(bytes);
        self.late_bytes += bytes;
        missing
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const GEOMETRY: Geometry = Geometry::new(100 * 16384);

    #[test]
    fn a_request_is_complete_when_all_its_groups_came_in_any_order() {
        let mut asks = Asks::new();
        let id = asks.add(GEOMETRY, GroupRange::new(10, 74), Class::Window);
        assert_eq!(asks.ahead_of(Class::Background), 64 * 16384);
        assert_eq!(asks.came(GEOMETRY, id, GroupRange::new(12, 74)), Some(0));
        assert_eq!(asks.open()[&id].missing().collect::<Vec<_>>(), [10, 11]);
        assert_eq!(asks.came(GEOMETRY, id, GroupRange::new(10, 12)), Some(1));
        assert_eq!(asks.ahead_of(Class::Background), 0);
        assert!(asks.open().is_empty());
    }

    #[test]
    fn data_that_nobody_asked_for_is_told_from_data_that_is_late() {
        let mut asks = Asks::new();
        assert_eq!(asks.came(GEOMETRY, 1, GroupRange::one(0)), None, "never asked for");
        let id = asks.add(GEOMETRY, GroupRange::new(0, 2), Class::Window);
        asks.end(GEOMETRY, id);
        let late = GroupRange::new(0, 2);
        let tolerated = (0..99).take_while(|_| asks.came(GEOMETRY, id, late).is_some()).count();
        assert_eq!(tolerated, 32, "what was asked for once, and what may cross, but not without end");
    }

    #[test]
    fn one_copy_answers_every_request_that_names_a_group() {
        let mut asks = Asks::new();
        let first = asks.add(GEOMETRY, GroupRange::new(0, 2), Class::Window);
        asks.add(GEOMETRY, GroupRange::new(1, 3), Class::Urgent);
        assert_eq!(asks.came(GEOMETRY, first, GroupRange::new(0, 2)), Some(1));
        assert_eq!(asks.came(GEOMETRY, 0, GroupRange::one(2)), Some(1));
        assert!(asks.open().is_empty());
        assert_eq!(asks.ahead_of(Class::Background), 0);
    }

    #[test]
    fn a_request_taken_back_frees_what_had_not_come() {
        let mut asks = Asks::new();
        let id = asks.add(GEOMETRY, GroupRange::new(0, 3), Class::Window);
        asks.came(GEOMETRY, id, GroupRange::one(1));
        assert_eq!(asks.end(GEOMETRY, id), [0, 2]);
        assert_eq!(asks.ahead_of(Class::Background), 0);
        assert!(asks.end(GEOMETRY, id).is_empty());
    }
}
