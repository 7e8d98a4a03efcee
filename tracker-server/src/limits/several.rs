//! Limits of several trackers that act as one: leases, deadlines of the engine, and what waits between trackers.

use std::time::Duration;

use swarm_core::limits::MOVE_INTERVAL;

use super::{MANIFESTS_MAX, REMOVED_MAX};

/// How long a tracker is the home of its swarms without a sign of life to the engine. Another one takes them over after
/// this time and one [`BEAT_INTERVAL`]: within the 15 s that peers wait for an answer, with room for the way there.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// Interval at which a tracker renews its lease and reads the list of trackers.
pub(crate) const BEAT_INTERVAL: Duration = Duration::from_secs(1);

/// A tracker stops being the home for others this long before its lease is over by its own clock: clocks run at different
/// speeds, and the engine counts from a moment that lies behind the tracker's.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_millis(500);

/// The engine must answer within this time: a fifth of the lease, so that a beat can be tried again.
pub(crate) const ENGINE_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to the engine must be made within this time.
pub(crate) const ENGINE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest pause between two attempts to reach the engine.
pub(crate) const ENGINE_RETRY_MAX: Duration = Duration::from_secs(1);

/// A subscription without any frame for this long is broken: the tracker itself sends one each [`BEAT_INTERVAL`].
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_secs(4);

/// The engine forgets a home that was not claimed for this long. Homes are claimed again in a quarter of it.
pub(crate) const HOME_FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How long the engine holds a publication without a peer in its swarm. Trackers that have one refresh it. Trackers that
/// were there before keep it in their own stores.
pub(crate) const PUBLICATION_SHARED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long the engine holds the record of a removal: longer than any tracker that had the title is likely to be cut off.
pub(crate) const REMOVAL_SHARED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// Interval at which a tracker asks the engine what it still holds, and refreshes what is in use. What Redis evicted is
/// shared again within this time.
pub(crate) const REFRESH_INTERVAL: Duration = Duration::from_secs(20);

/// Publications that the engine is asked about at once.
pub(crate) const REFRESH_PAGE: usize = 256;

/// Entries in the list of changes: as many publications and removals as one tracker keeps of both. An entry that falls out
/// of the list is entered again with the next refresh if the engine still holds what it is about.
pub(crate) const CHANGES_MAX: usize = MANIFESTS_MAX + REMOVED_MAX;

/// How long the engine remembers whose secret all trackers have, without a tracker that has it.
pub(crate) const AGREED_FOR: Duration = Duration::from_secs(10);

/// Changes of the list of publications that are read at once: at most 64 MiB of manifests.
pub(crate) const CHANGES_PAGE_MAX: usize = 64;

/// Frames that wait in the inbox of a tracker in this process.
pub(crate) const INBOX_FRAMES_MAX: usize = 4_096;

/// Bytes of messages that wait to be sent to one tracker. Beyond it they are dropped, and both sides tell one another
/// again what they know.
pub(crate) const WIRE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of messages in one frame to a tracker, after which the next one begins.
pub(crate) const WIRE_FRAME_BYTES: usize = 256 * 1024;

/// Unanswered requests of one peer that are kept for the next home of its swarm: what a peer that builds 20 links at once
/// may have under way, a description and ten candidates each.
pub(crate) const UNANSWERED_MAX: usize = 256;

/// … and their bytes.
pub(crate) const UNANSWERED_BYTES_MAX: usize = 128 * 1024;

/// Links of one peer that are told to the next home of its swarm: more than an initial peer has.
pub(crate) const LINKS_TOLD_MAX: usize = 2_048;

/// Pause before a home that does not know of its swarm is looked up again.
pub(crate) const HOME_RETRY: Duration = Duration::from_millis(200);

/// What lies between two looks at what is due by itself, where there are several trackers.
pub(crate) const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a publication may take to reach the other trackers before it is answered all the same.
pub(crate) const SHARING_PATIENCE: Duration = Duration::from_secs(1);

/// Over this time a tracker that stops closes its sockets, so that its peers do not come to the others in one instant.
pub(crate) const DRAIN_SPREAD: Duration = Duration::from_secs(3);

/// Bytes of the address that peers of a tracker that stops are told: a close frame has room for 123 with what stands before it.
pub(crate) const ADVICE_BYTES_MAX: usize = 115;

/// How long a tracker that stops may take to hand over its swarms.
pub(crate) const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(2);

/// Viewers of a room that take part in each of the rooms that it is linked with. *sim*: 100 viewers in 4 rooms, 3/6/12 visitors
/// end 5/1.4/0.3 % later than in one.
pub(crate) const ROOM_VISITORS: usize = 12;

/// How often a room looks for viewers that are better visitors than those that it has.
pub(crate) const ROOM_REVIEW: Duration = Duration::from_secs(5);

/// Peers of which a tracker remembers the room: some for each connection that it may have.
pub(crate) const RETURNING_MAX: usize = 65_536;

/// How often rooms are told of one another, and who is to visit them.
pub const ROOM_INTERVAL: Duration = Duration::from_secs(1);

/// Peers of a room by default: a second's joins of a large audience fit in, and a tracker carries some rooms.
pub(crate) const ROOM_PEERS_MAX: u32 = 10_000;

/// Viewers that all trackers together send to one home in a second: each costs it a TLS handshake, about a millisecond of a core.
pub(crate) const MOVES_PER_S: u32 = 100;

/// A home is a home, and a viewer is in its room, for so long before the viewer is sent there: a few beats, so that a second
/// failure is over, and longer than a player takes to start.
pub(crate) const HOME_PATIENCE: Duration = Duration::from_secs(10);

/// A viewer that did not follow is told again after this time, which doubles as often as the next constant says, up to about an hour.
pub(crate) const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(4 * 60);

/// See [`TOLD_AGAIN_AFTER`].
pub(crate) const TOLD_DOUBLINGS_MAX: u32 = 4;

const _: () =
    assert!(TOLD_AGAIN_AFTER.as_secs() > MOVE_INTERVAL.as_secs(), "who moved lately follows the next time");

/// When what several trackers could not agree upon may be tried again, ms.
pub(crate) const UNAVAILABLE_RETRY_MS: u32 = 1_000;
