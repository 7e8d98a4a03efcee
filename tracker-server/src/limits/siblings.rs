//! Limits of siblings: trackers that name one another and share nothing else.

use std::time::Duration;

/// Siblings that a tracker names, and connections of siblings that it takes.
pub const SIBLINGS_MAX: usize = 8;

/// Connections of siblings that it takes from one address (one /64 of IPv6): all siblings have one key, and one of them must
/// not take the places of the others.
pub const SIBLINGS_PER_ADDRESS_MAX: usize = SIBLINGS_MAX / 4;

/// Guests of one sibling in one swarm: enough that two groups of peers are one swarm, also when some of them leave.
pub(crate) const SIBLING_AMBASSADORS_MAX: usize = 6;

/// Guests of one sibling in all swarms.
pub(crate) const SIBLING_GUESTS_MAX: usize = 4_096;

/// Peers that a sibling may introduce to one guest at a time: a viewer has room for 40 links, and half of them are its own
/// tracker's.
pub(crate) const SIBLING_LINKS_MAX: usize = 20;

/// Peers that a sibling may introduce to one guest each second, over time: each makes the guest build a connection.
pub(crate) const SIBLING_INTRODUCTIONS_PER_S: u32 = 1;

/// … and at once: all places twice.
pub(crate) const SIBLING_INTRODUCTION_BURST: u32 = 2 * SIBLING_LINKS_MAX as u32;

/// Guests that a sibling may send over each second, over time: each makes this tracker write to a dozen peers.
pub(crate) const SIBLING_ATTACHES_PER_S: u32 = 50;

/// … and at once: all that it may have, since they come together when the connection is made again.
pub(crate) const SIBLING_ATTACH_BURST: u32 = SIBLING_GUESTS_MAX as u32;

/// Swarms that are told to a sibling.
pub(crate) const SIBLING_SWARMS_MAX: usize = 4_096;

/// Messages of one sibling each second: reports and news of all its guests, and signals.
pub(crate) const SIBLING_MESSAGES_PER_S: u32 = 2_000;

/// … and those that may be saved up.
pub(crate) const SIBLING_BURST: u32 = 10_000;

/// Messages that wait to be sent to a sibling.
pub(crate) const SIBLING_QUEUE_MAX: usize = 4_096;

/// Bytes of a frame of a sibling: a list of swarms, or a message of the tracker protocol and its digest.
pub(crate) const SIBLING_FRAME_BYTES_MAX: usize = SIBLING_SWARMS_MAX * 32 + 64;

/// How long a sibling may take to connect and to greet.
pub(crate) const SIBLING_GREETING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one that comes may take to show that it is a sibling: its connection stands already.
pub const SIBLING_PROOF_TIMEOUT: Duration = Duration::from_secs(3);

/// When one that got no turn for that may try again, ms.
pub(crate) const SIBLING_PROOF_TIMEOUT_MS: u32 = 3_000;

/// A sibling from which nothing comes for this long is gone. Each is pinged in a third of it.
pub(crate) const SIBLING_SILENCE_MAX: Duration = Duration::from_secs(30);

/// Pause before a sibling is tried again; each further one is twice as long, up to [`SIBLING_RETRY_MAX`].
pub(crate) const SIBLING_RETRY: Duration = Duration::from_millis(500);

/// Longest pause between two attempts to reach a sibling.
pub(crate) const SIBLING_RETRY_MAX: Duration = Duration::from_secs(10);

/// How often peers are chosen as guests, and lists of swarms are told.
pub(crate) const SIBLING_TICK: Duration = Duration::from_secs(1);
