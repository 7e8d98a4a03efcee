//! Keeps viewers apart from one another while there are few of them, if the operator wants that: among many, none stands
//! out.
//!
//! Addresses are counted, not connections: an IPv4 address or a /64 of IPv6 is one viewer, however many connections it
//! opens. Otherwise one person who opens enough connections is introduced to the only other viewer. Viewers behind one NAT
//! count as one for the same reason: they cannot be told from one person.
//!
//! Links that exist stay when viewers leave: their ends know each other already. When there are enough, newcomers are
//! linked with others at once, and the others with their next reports.

use std::collections::BTreeMap;

use super::Graph;
use crate::decision::network::Site;

/// Where the viewers are.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// Addresses with viewers that there must be before any viewers are linked with one another.
    viewers_min: usize,
    /// Viewers at each address; not counted where no number is asked for.
    addresses: BTreeMap<Site, u32>,
}

impl Graph {
    /// From now on viewers are linked with one another only while they have so many addresses.
    pub(crate) fn set_viewers_min(&mut self, viewers_min: usize) {
        self.apart.viewers_min = viewers_min;
    }

    /// Counts a viewer that is about to join.
    pub(crate) fn count_viewer(&mut self, site: Site) {
        if self.apart.viewers_min > 0 {
            *self.apart.addresses.entry(site).or_default() += 1;
        }
    }

    /// Takes a viewer that is about to leave off the count.
    pub(crate) fn uncount_viewer(&mut self, site: Site) {
        if let Some(count) = self.apart.addresses.get_mut(&site) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.apart.addresses.remove(&site);
            }
        }
    }

    /// The number of viewers from which on they are linked with one another.
    pub(crate) const fn viewers_min(&self) -> usize {
        self.apart.viewers_min
    }

    /// Whether there are enough viewers for links among them.
    pub(super) fn is_crowd(&self) -> bool {
        self.apart.addresses.len() >= self.apart.viewers_min
    }
}
