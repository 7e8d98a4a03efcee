//! Viewers are kept apart from one another while there are few of them, if the operator wants that: of many, none stands out.
//!
//! Links that there are stay when viewers leave: their ends know each other already. When there are enough, newcomers are
//! linked with others at once, and the others with their next reports.

use super::Graph;

impl Graph {
    /// From now on viewers are linked with one another only while there are so many.
    pub fn set_viewers_min(&mut self, viewers_min: usize) {
        self.viewers_min = viewers_min;
    }

    /// The number of viewers from which on they are linked with one another.
    pub const fn viewers_min(&self) -> usize {
        self.viewers_min
    }

    /// Whether there are enough viewers for links among them.
    pub(super) fn is_crowd(&self) -> bool {
        self.viewers.len() >= self.viewers_min
    }
}
