//! What happens next: events in the order of their time, and of their making where times are equal.
//!
//! A calendar: events are kept by short spans of time, and only those of the present span are in a heap. A single heap of
//! the millions of events of a large swarm does not fit a processor's cache, and each step through it waits for memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Length of a span, µs: with 100,000 peers a few thousand events.
const SPAN_US: u64 = 64;

/// An event that waits: when, and how many were made before it.
#[derive(Debug)]
struct Entry<T> {
    place: Reverse<(u64, u64)>,
    event: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

/// Events by time, µs.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// Events of the present span, and of earlier ones.
    present: BinaryHeap<Entry<T>>,
    /// Number of the present span.
    span: u64,
    /// Events of later spans, by the number of the span.
    later: BTreeMap<u64, Vec<Entry<T>>>,
    made: u64,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { present: BinaryHeap::new(), span: 0, later: BTreeMap::new(), made: 0 }
    }

    /// Something will happen at `at`.
    pub(crate) fn push(&mut self, at: u64, event: T) {
        self.made += 1;
        let entry = Entry { place: Reverse((at, self.made)), event };
        let span = at / SPAN_US;
        if span <= self.span {
            self.present.push(entry);
        } else {
            self.later.entry(span).or_default().push(entry);
        }
    }

    /// The next event and its time.
    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        if self.present.is_empty() {
            let (span, entries) = self.later.pop_first()?;
            self.span = span;
            self.present = entries.into();
        }
        let Entry { place: Reverse((at, _)), event } = self.present.pop()?;
        Some((at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_making() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5000, 'e'), (5, 'd'), (2, 'b')] {
            queue.push(at, event);
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [(1, 'a'), (2, 'b'), (5, 'c'), (5, 'd'), (5000, 'e')]);
    }

    #[test]
    fn the_order_is_that_of_a_sorted_list_while_events_make_others() {
        let mut chance = crate::chance::Chance::new(1);
        let (mut queue, mut model, mut made) = (Queue::new(), BTreeMap::new(), 0u64);
        let mut now = 0;
        for _ in 0..5000 {
            for _ in 0..chance.below(3) {
                let at = now + u64::from(chance.below(3) * chance.below(200));
                queue.push(at, made);
                model.insert((at, made), ());
                made += 1;
            }
            let expected = model.pop_first().map(|(place, ())| place);
            assert_eq!(queue.pop(), expected);
            now = expected.map_or(now + 1000, |(at, _)| at);
        }
    }
}
