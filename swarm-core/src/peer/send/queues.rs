//! The requests of one neighbour that are not answered yet: urgent groups by deadline, the others in the order of requests.

use crate::group::GroupRange;
use crate::limits::QUEUED_GROUPS_MAX;
use crate::peer::sorted::{ByGroup, Sorted};
use crate::peer_message::Class;
use crate::time::Timestamp;

/// Place in the queue: class, then deadline in µs (urgent) or order of arrival (others).
type Place = (u8, u64);

/// A group that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) group: u32,
    /// Deadline by the asker's word, µs, of an urgent group.
    pub(crate) due_us: u64,
    /// When it was requested first.
    pub(crate) since: Timestamp,
}

/// The queue of one neighbour.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    groups: ByGroup<(Place, Timestamp)>,
    places: Sorted<(Place, u32), ()>,
    arrivals: u64,
    urgent_count: u32,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(crate) fn is_waiting(&self, group: u32) -> bool {
        self.groups.has(group)
    }

    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Urgent groups that wait.
    pub(crate) const fn urgent_count(&self) -> u32 {
        self.urgent_count
    }

    /// A group is requested, or requested again in another class. `false` if too many wait.
    pub(crate) fn add(&mut self, now: Timestamp, group: u32, class: Class, due: Timestamp) -> bool {
        let since = self.remove(group);
        if self.groups.len() >= QUEUED_GROUPS_MAX {
            return false;
        }
        self.arrivals += 1;
        let order = if class == Class::Urgent { due.as_micros() } else { self.arrivals };
        let place = (class as u8, order);
        self.urgent_count += u32::from(class == Class::Urgent);
        self.groups.entry(group, || (place, since.unwrap_or(now)));
        self.places.entry((place, group), || ());
        true
    }

    /// A group was sent or cancelled. Returns when it was requested.
    pub(crate) fn remove(&mut self, group: u32) -> Option<Timestamp> {
        let (place, since) = self.groups.remove(group)?;
        self.places.remove((place, group));
        self.urgent_count -= u32::from(place.0 == Class::Urgent as u8);
        Some(since)
    }

    /// Groups of a range were sent or cancelled.
    pub(crate) fn remove_all(&mut self, range: GroupRange) {
        let groups = self.groups.within(range).to_vec();
        for group in groups {
            self.remove(group);
        }
    }

    /// The next group of a class.
    pub(crate) fn first(&self, class: Class) -> Option<Waiting> {
        self.firsts(class, 1).next()
    }

    /// The groups of a class that have waited longest, at most `max`.
    pub(crate) fn firsts(&self, class: Class, max: usize) -> impl Iterator<Item = Waiting> + '_ {
        let places = self.places.keys();
        let first = places.partition_point(|(place, _)| place.0 < class as u8);
        let places = places[first..].iter().take_while(move |(place, _)| place.0 == class as u8);
        places.take(max).filter_map(|(place, group)| {
            let (_, since) = self.groups.get(*group)?;
            Some(Waiting { group: *group, due_us: place.1, since: *since })
        })
    }

    /// The run of groups of a class that wait from `first` on, at most `max`.
    pub(crate) fn run(&self, first: u32, class: Class, max: u32) -> GroupRange {
        let is_waiting =
            |group: &u32| self.groups.get(*group).is_some_and(|(place, _)| place.0 == class as u8);
        let run = (first..first.saturating_add(max)).take_while(is_waiting).count();
        GroupRange::new(first, first + u32::try_from(run).unwrap_or(0))
    }

    /// Everything that waits, with its class.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (u32, Class)> + '_ {
        let class = |place: Place| match place.0 {
            0 => Class::Urgent,
            1 => Class::Marked,
            _ => Class::Background,
        };
        self.groups.iter().map(move |(group, (place, _))| (group, class(*place)))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn urgent_groups_leave_by_deadline_and_others_as_they_came() {
        let mut queue = Queue::default();
        queue.add(NOW, 9, Class::Background, at(0));
        queue.add(NOW, 5, Class::Background, at(0));
        queue.add(NOW, 7, Class::Urgent, at(300));
        queue.add(NOW, 8, Class::Urgent, at(200));
        let first = |queue: &Queue, class| queue.first(class).map(|waiting| waiting.group);
        assert_eq!((first(&queue, Class::Urgent), first(&queue, Class::Background)), (Some(8), Some(9)));
        assert_eq!((first(&queue, Class::Marked), queue.urgent_count()), (None, 2));
    }

    #[test]
    fn asking_again_promotes_and_keeps_the_first_time() {
        let mut queue = Queue::default();
        queue.add(NOW, 9, Class::Background, at(0));
        queue.add(at(50), 9, Class::Urgent, at(100));
        let waiting = queue.first(Class::Urgent).unwrap();
        assert_eq!((waiting.since, queue.len(), queue.urgent_count()), (NOW, 1, 1));
        queue.remove_all(GroupRange::new(0, 100));
        assert!(queue.is_empty() && queue.urgent_count() == 0);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut queue = Queue::default();
        let added = (0..1000).filter(|group| queue.add(NOW, *group, Class::Background, at(0))).count();
        assert_eq!(added, QUEUED_GROUPS_MAX);
        assert!(queue.add(NOW, 3, Class::Urgent, at(0)), "a group that waits may be promoted");
    }
}
