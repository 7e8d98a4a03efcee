//! Who has to make room in a store that many publishers share, so that no publisher can flush the titles of others.
//!
//! Owns the rule. It holds for what one tracker keeps in memory ([`Manifests`](crate::manifests::Manifests)) and for what
//! several trackers keep in their engine (`cluster::shelf`).
//!
//! 1. A publisher beyond the share of its address or subnet gives up its own oldest titles, or is refused.
//! 2. If the store is full, the subnet that takes most of it makes room, if it takes more than the publisher's would: a title
//!    without peers, or else one with peers. Who joins its own titles would otherwise keep everybody out.
//! 3. If no subnet takes more than the publisher's would, that gives up a title without peers, or the publisher is refused.
//!
//! Publishers that presented the operator's token have no share and count together as one. Keys of publishers do not
//! count: a key costs nothing, and anyone who has the bytes may bring a manifest back.

use std::collections::HashMap;

use swarm_core::SwarmId;

use crate::decision::network::{Site, Subnet};
use crate::limits::{
    MANIFEST_WEIGHT_BYTES, MANIFESTS_BYTES_PER_ADDRESS_MAX, MANIFESTS_BYTES_PER_SUBNET_MAX,
    MANIFESTS_PER_ADDRESS_MAX, MANIFESTS_PER_SUBNET_MAX,
};

/// How much of a store a publisher takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Usage {
    /// One title of so many bytes.
    pub(crate) const fn of(bytes: usize) -> Self {
        Self { count: 1, bytes }
    }

    /// Count and bytes in one measure.
    const fn weight(self) -> usize {
        self.bytes + self.count * MANIFEST_WEIGHT_BYTES
    }

    /// Whether one more title of `more_bytes` keeps within the limits.
    pub(crate) const fn fits(self, more_bytes: usize, count_max: usize, bytes_max: usize) -> bool {
        self.count < count_max && self.bytes + more_bytes <= bytes_max
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.count -= other.count;
        self.bytes -= other.bytes;
    }
}

/// A title in a store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    pub(crate) swarm: SwarmId,
    /// Whose share it counts towards; none if it was published with the operator's token.
    pub(crate) site: Option<Site>,
    pub(crate) bytes: usize,
    /// Grows with each use: the smallest goes first.
    pub(crate) used: u64,
    /// Whether it has peers.
    pub(crate) has_peers: bool,
}

impl Stored {
    fn subnet(&self) -> Option<Subnet> {
        self.site.map(Site::subnet)
    }
}

/// Why there is no room for a title.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// The publisher's address or subnet has its share, and all of that must stay.
    Quota,
    /// There is nothing that may be taken from others.
    Full,
}

/// What has to go for one more title of `bytes` from `site`, in a store of at most `count_max` titles and `bytes_max` bytes.
pub(crate) fn make_room(
    stored: impl Iterator<Item = Stored>,
    (site, bytes): (Option<Site>, usize),
    (count_max, bytes_max): (usize, usize),
) -> Result<Vec<SwarmId>, NoRoom> {
    let mut eviction = Eviction::new(stored);
    let subnet = site.map(Site::subnet);
    if let Some(own) = site {
        let (count, most) = (MANIFESTS_PER_ADDRESS_MAX, MANIFESTS_BYTES_PER_ADDRESS_MAX);
        while !eviction.of_site(own).fits(bytes, count, most) {
            eviction.evict(|stored| stored.site == site).ok_or(NoRoom::Quota)?;
        }
        let (count, most) = (MANIFESTS_PER_SUBNET_MAX, MANIFESTS_BYTES_PER_SUBNET_MAX);
        while !eviction.of_subnet(subnet).fits(bytes, count, most) {
            eviction.evict(|stored| stored.subnet() == subnet).ok_or(NoRoom::Quota)?;
        }
    }
    while !eviction.total.fits(bytes, count_max, bytes_max) {
        let own = eviction.of_subnet(subnet).weight() + Usage::of(bytes).weight();
        let weight = |subnet: &Option<Subnet>| eviction.of_subnet(*subnet).weight();
        let all = eviction.idle.iter().chain(&eviction.busy);
        let heaviest = all.map(Stored::subnet).max_by_key(weight).ok_or(NoRoom::Full)?;
        if weight(&heaviest) > own {
            eviction.evict_of_heaviest(heaviest).ok_or(NoRoom::Full)?;
        } else {
            eviction.evict(|stored| stored.subnet() == subnet).ok_or(NoRoom::Full)?;
        }
    }
    Ok(eviction.evicted)
}

#[derive(Debug, Default)]
struct Eviction {
    /// Titles without peers, the one used longest ago last.
    idle: Vec<Stored>,
    /// Titles with peers, in the same order.
    busy: Vec<Stored>,
    /// What is taken after the evictions found so far.
    total: Usage,
    sites: HashMap<Site, Usage>,
    subnets: HashMap<Option<Subnet>, Usage>,
    evicted: Vec<SwarmId>,
}

impl Eviction {
    fn new(all: impl Iterator<Item = Stored>) -> Self {
        let mut eviction = Self::default();
        for stored in all {
            let usage = Usage::of(stored.bytes);
            eviction.total.add(usage);
            eviction.subnets.entry(stored.subnet()).or_default().add(usage);
            if let Some(site) = stored.site {
                eviction.sites.entry(site).or_default().add(usage);
            }
            let list = if stored.has_peers { &mut eviction.busy } else { &mut eviction.idle };
            list.push(stored);
        }
        for list in [&mut eviction.idle, &mut eviction.busy] {
            list.sort_by_key(|stored| std::cmp::Reverse(stored.used));
        }
        eviction
    }

    fn of_site(&self, site: Site) -> Usage {
        self.sites.get(&site).copied().unwrap_or_default()
    }

    fn of_subnet(&self, subnet: Option<Subnet>) -> Usage {
        self.subnets.get(&subnet).copied().unwrap_or_default()
    }

    /// Gives up the title without peers used longest ago that is meant.
    fn evict(&mut self, is_meant: impl Fn(&Stored) -> bool) -> Option<()> {
        let stored = self.idle.remove(self.idle.iter().rposition(is_meant)?);
        self.gave_up(stored);
        Some(())
    }

    /// Gives up a title of the subnet that takes most. Those of the operator's publishers stay while they have peers.
    fn evict_of_heaviest(&mut self, subnet: Option<Subnet>) -> Option<()> {
        if self.evict(|stored| stored.subnet() == subnet).is_none() {
            let is_meant = |stored: &Stored| subnet.is_some() && stored.subnet() == subnet;
            let stored = self.busy.remove(self.busy.iter().rposition(is_meant)?);
            self.gave_up(stored);
        }
        Some(())
    }

    fn gave_up(&mut self, stored: Stored) {
        let usage = Usage::of(stored.bytes);
        self.evicted.push(stored.swarm);
        self.total.subtract(usage);
        if let Some(taken) = self.subnets.get_mut(&stored.subnet()) {
            taken.subtract(usage);
        }
        if let Some(taken) = stored.site.and_then(|site| self.sites.get_mut(&site)) {
            taken.subtract(usage);
        }
    }
}
