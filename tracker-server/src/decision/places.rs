//! Places for connections of all kinds: how many may be open, and from where, before any work is done for them.
//!
//! A connection is *plain* until it is upgraded to a WebSocket; how many WebSockets an address may have is
//! `admission`'s business.
//!
//! The last quarter of all places is *kept*: for addresses and subnets that have only a few connections. So one
//! that takes all it can get never takes the places of everybody else.

use std::collections::HashMap;
use std::net::IpAddr;

use super::network::{Site, Subnet};
use crate::limits::{
    KEPT_FOR_ADDRESSES_BELOW, KEPT_FOR_SUBNETS_BELOW, KEPT_SHARE, PLAIN_PER_ADDRESS_MAX, SUBNET_PLACES_MIN,
    SUBNET_SHARE,
};

/// Why a connection gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlaceRefusal {
    /// All places are taken, or all that are not kept for others.
    Full,
    /// Its address has enough.
    Address,
    /// Its subnet has enough.
    Subnet,
}

impl PlaceRefusal {
    /// The reason for people, one line.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Full => "the tracker is full; try again later",
            Self::Address => "too many connections from your address; close some, or try again later",
            Self::Subnet => "too many connections from your network; try again later",
        }
    }
}

/// A place that is taken. To be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// None behind a proxy, whose address is no sender's.
    site: Option<Site>,
    is_plain: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    all: usize,
    plain: usize,
}

/// The places of one tracker.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    taken: usize,
    sites: HashMap<Site, Count>,
    subnets: HashMap<Subnet, usize>,
}

impl Places {
    /// `max` places, all free.
    pub(crate) fn new(max: usize) -> Self {
        Self { max, taken: 0, sites: HashMap::new(), subnets: HashMap::new() }
    }

    /// Takes a place for a plain connection; `address` is not known behind a proxy.
    pub(crate) fn take(&mut self, address: Option<IpAddr>) -> Result<Place, PlaceRefusal> {
        if self.taken >= self.max {
            return Err(PlaceRefusal::Full);
        }
        let site = address.map(Site::of);
        if let Some(site) = site {
            self.check(site)?;
            let count = self.sites.entry(site).or_default();
            count.all += 1;
            count.plain += 1;
            *self.subnets.entry(site.subnet()).or_default() += 1;
        }
        self.taken += 1;
        Ok(Place { site, is_plain: true })
    }

    /// Notes that a connection became a WebSocket.
    pub(crate) fn upgrade(&mut self, place: &mut Place) {
        if !std::mem::take(&mut place.is_plain) {
            return;
        }
        if let Some(count) = place.site.and_then(|site| self.sites.get_mut(&site)) {
            count.plain -= 1;
        }
    }

    /// Gives a place back.
    pub(crate) fn give_back(&mut self, place: Place) {
        self.taken -= 1;
        let Some(site) = place.site else { return };
        if let Some(count) = self.sites.get_mut(&site) {
            count.all -= 1;
            count.plain -= usize::from(place.is_plain);
            if count.all == 0 {
                self.sites.remove(&site);
            }
        }
        if let Some(count) = self.subnets.get_mut(&site.subnet()) {
            *count -= 1;
            if *count == 0 {
                self.subnets.remove(&site.subnet());
            }
        }
    }

    fn check(&self, site: Site) -> Result<(), PlaceRefusal> {
        let own = self.sites.get(&site).copied().unwrap_or_default();
        let near = self.subnets.get(&site.subnet()).copied().unwrap_or_default();
        if own.plain >= PLAIN_PER_ADDRESS_MAX {
            return Err(PlaceRefusal::Address);
        }
        if near >= (self.max / SUBNET_SHARE).max(SUBNET_PLACES_MIN) {
            return Err(PlaceRefusal::Subnet);
        }
        let is_kept = self.max - self.taken <= self.max / KEPT_SHARE;
        if is_kept && own.all >= KEPT_FOR_ADDRESSES_BELOW {
            return Err(PlaceRefusal::Address);
        }
        if is_kept && near >= KEPT_FOR_SUBNETS_BELOW {
            return Err(PlaceRefusal::Subnet);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// Takes all that one address gets.
    fn fill(places: &mut Places, from: Option<IpAddr>) -> (Vec<Place>, PlaceRefusal) {
        let mut taken = Vec::new();
        loop {
            match places.take(from) {
                Ok(place) => taken.push(place),
                Err(refusal) => return (taken, refusal),
            }
        }
    }

    #[test]
    fn an_address_gets_its_share_of_plain_connections_and_hears_why_not_more() {
        let mut places = Places::new(16_384);
        let (mut taken, refusal) = fill(&mut places, address("192.0.2.1"));
        assert_eq!((taken.len(), refusal), (PLAIN_PER_ADDRESS_MAX, PlaceRefusal::Address));
        assert!(places.take(address("192.0.2.2")).is_ok());
        places.upgrade(&mut taken[0]);
        places.upgrade(&mut taken[0]);
        assert!(places.take(address("192.0.2.1")).is_ok(), "a WebSocket is counted elsewhere");
        assert!(places.take(address("192.0.2.1")).is_err());
    }

    #[test]
    fn a_holder_of_many_addresses_gets_half_of_all_places() {
        let mut places = Places::new(16_384);
        let mut taken = 0;
        for host in 1..=255 {
            let (own, refusal) = fill(&mut places, address(&format!("192.0.2.{host}")));
            taken += own.len();
            if refusal == PlaceRefusal::Subnet {
                break;
            }
        }
        assert_eq!(taken, 8_192);
        assert!(places.take(address("198.51.100.1")).is_ok());
    }

    #[test]
    fn the_last_quarter_is_kept_for_those_that_have_few() {
        let mut places = Places::new(1_000);
        let taken: usize =
            (0..10).map(|subnet| fill(&mut places, address(&format!("10.0.{subnet}.1"))).0.len()).sum();
        // The first two take 500 and 250; then each of the others gets a few.
        assert_eq!(taken, 750 + 8 * KEPT_FOR_ADDRESSES_BELOW);
        for host in 0..50 {
            assert!(places.take(address(&format!("203.0.{host}.1"))).is_ok(), "{host}");
        }
    }

    #[test]
    fn what_is_given_back_is_free_again_and_nothing_is_remembered() {
        let mut places = Places::new(3);
        let mut taken: Vec<Place> = [address("192.0.2.1"), address("2001:db8::1"), None]
            .map(|from| places.take(from).unwrap())
            .into();
        assert_eq!(places.take(address("203.0.113.1")), Err(PlaceRefusal::Full));
        places.upgrade(&mut taken[1]);
        taken.into_iter().for_each(|place| places.give_back(place));
        assert_eq!((places.taken, places.sites.len(), places.subnets.len()), (0, 0, 0));
    }
}
