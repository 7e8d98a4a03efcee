//! How a manifest and a removal are written down.

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use swarm_core::{PublisherKey, SwarmId};

use crate::decision::network::Site;
use crate::manifests::Provenance;
use crate::removed::Owner;

const IS_LISTED: u8 = 1;
const HAS_PUBLISHER: u8 = 2;
const HAS_KEY: u8 = 1;
const HAS_ADDRESS: u8 = 2;

/// A manifest as it is saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) swarm: SwarmId,
    pub(crate) provenance: Provenance,
    pub(crate) number: u64,
    pub(crate) bytes: Bytes,
}

/// An address in 16 bytes; zeros for none.
fn address_bytes(site: Option<Site>) -> [u8; 16] {
    match site.map(Site::address) {
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped().octets(),
        Some(IpAddr::V6(address)) => address.octets(),
        None => [0; 16],
    }
}

/// The form in which the owner of a removed title is saved, and shared with other trackers.
pub(crate) fn encode_owner(number: u64, Owner { publisher, site }: Owner) -> Vec<u8> {
    let flags = u8::from(publisher.is_some()) * HAS_KEY + u8::from(site.is_some()) * HAS_ADDRESS;
    let key = publisher.map_or([0; 32], |publisher| publisher.0);
    [&[flags], &number.to_le_bytes()[..], &address_bytes(site), &key].concat()
}

/// Reads what `encode_owner` wrote.
pub(crate) fn decode_owner(value: &[u8]) -> Option<(u64, Owner)> {
    let (flags, rest) = value.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (address, key) = rest.split_first_chunk::<16>()?;
    let site = Site::of(Ipv6Addr::from(*address).into());
    let key = PublisherKey(key.try_into().ok()?);
    let owner = Owner {
        publisher: (flags & HAS_KEY != 0).then_some(key),
        site: (flags & HAS_ADDRESS != 0).then_some(site),
    };
    Some((u64::from_le_bytes(*number), owner))
}

/// The form in which a manifest is saved, and shared with other trackers.
pub(crate) fn encode(saved: &Saved) -> Vec<u8> {
    let publisher = saved.provenance.publisher;
    let flags =
        u8::from(saved.provenance.is_listed) * IS_LISTED + u8::from(publisher.is_some()) * HAS_PUBLISHER;
    [&[flags], &saved.number.to_le_bytes()[..], &address_bytes(publisher), &saved.bytes].concat()
}

/// Reads what `encode` wrote.
pub(crate) fn decode(swarm: SwarmId, value: &[u8]) -> Option<Saved> {
    let (flags, rest) = value.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (publisher, bytes) = rest.split_first_chunk::<16>()?;
    let publisher = Site::of(Ipv6Addr::from(*publisher).into());
    let provenance = Provenance {
        publisher: (flags & HAS_PUBLISHER != 0).then_some(publisher),
        is_listed: flags & IS_LISTED != 0,
    };
    let (number, bytes) = (u64::from_le_bytes(*number), Bytes::copy_from_slice(bytes));
    Some(Saved { swarm, provenance, number, bytes })
}
