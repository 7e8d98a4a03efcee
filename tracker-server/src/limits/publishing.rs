//! What is kept of publications and removals, in memory and on disk, and how fast and how many at a time they come.

use std::time::Duration;

/// Manifests kept, at most.
pub(crate) const MANIFESTS_MAX: usize = 4_096;

/// Bytes of manifests kept, at most.
pub(crate) const MANIFESTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Manifests kept of one address (one /64 of IPv6), at most, where publishing takes no token.
pub const MANIFESTS_PER_ADDRESS_MAX: usize = 512;

/// Bytes of manifests kept of one address, at most: an eighth of all; some 45 films with posters and storyboards.
pub(crate) const MANIFESTS_BYTES_PER_ADDRESS_MAX: usize = 8 * 1024 * 1024;

/// Manifests kept of one subnet (a /24 of IPv4, a /48 of IPv6), at most.
pub(crate) const MANIFESTS_PER_SUBNET_MAX: usize = 1_024;

/// Bytes of manifests kept of one subnet, at most: a quarter of all.
pub(crate) const MANIFESTS_BYTES_PER_SUBNET_MAX: usize = 16 * 1024 * 1024;

/// What a manifest counts beside its bytes when publishers are compared: the store has room for as many.
pub(crate) const MANIFEST_WEIGHT_BYTES: usize = MANIFESTS_BYTES_MAX / MANIFESTS_MAX;

/// Manifests received at a time; each may take 1 MiB of memory while it arrives.
pub(crate) const PUBLICATIONS_MAX: usize = 32;

/// Manifests received at a time from one address; the next ones wait for their turn.
pub(crate) const PUBLICATIONS_PER_ADDRESS_MAX: usize = 2;

/// Manifests received at a time from one subnet.
pub const PUBLICATIONS_PER_SUBNET_MAX: usize = PUBLICATIONS_MAX / 4;

/// Of those that are received at a time, so many are kept for subnets that have none: a slow body holds its turn for
/// [`BODY_TIMEOUT`](super::BODY_TIMEOUT) at least.
pub(crate) const PUBLICATIONS_KEPT: usize = PUBLICATIONS_MAX / 4;

/// How long a publication may wait for its turn: within the patience of a publisher.
pub(crate) const PUBLICATION_WAIT: Duration = Duration::from_secs(15);

/// Publications of one address at once: a publisher that starts with all that it may keep.
pub(crate) const PUBLICATION_BURST: u32 = 600;

/// Publications of one address each second, over time.
pub(crate) const PUBLICATION_RATE_PER_S: u32 = 1;

/// Contents whose latest proof is remembered before those are forgotten that do not matter any more.
pub(crate) const PUBLISHERS_SWEEP: usize = 1_024;

/// Removals by publishers that are remembered, some 150 bytes each; a title whose removal is forgotten can be brought back.
pub(crate) const REMOVED_MAX: usize = 4096;

/// Removals of one publisher that are remembered: as many as it may have titles at one address.
pub(crate) const REMOVED_PER_PUBLISHER_MAX: usize = MANIFESTS_PER_ADDRESS_MAX;

/// Removals of titles that one address published (one /64 of IPv6), at most.
pub(crate) const REMOVED_PER_ADDRESS_MAX: usize = MANIFESTS_PER_ADDRESS_MAX;

/// Removals of titles that one subnet published (a /24 of IPv4, a /48 of IPv6), at most.
pub(crate) const REMOVED_PER_SUBNET_MAX: usize = MANIFESTS_PER_SUBNET_MAX;

/// Changes that wait to be written to disk; publishers wait while there are more.
pub(crate) const ARCHIVE_QUEUE_MAX: usize = 64;

/// Removals that wait for room on the disk, each of a few dozen bytes.
pub(crate) const ARCHIVE_WAITING_MAX: usize = REMOVED_MAX;

/// Bytes of the disk store that are kept in memory: it is read once and written now and then.
pub(crate) const ARCHIVE_CACHE_BYTES: usize = 1024 * 1024;
