//! How many messages a connection and an address may send, what each costs, and what may be kept of those that are not whole.

use std::time::Duration;

/// Messages a second from one connection, over time.
pub(crate) const CONNECTION_RATE_PER_S: u32 = 50;

/// Messages from one connection at once: a viewer builds a dozen links with a dozen candidates each, a few times.
pub(crate) const CONNECTION_BURST: u32 = 600;

/// How many times as much an initial peer may say: it answers a thousand newcomers with a dozen candidates each.
pub(crate) const INITIAL_RATE_TIMES: u32 = 32;

/// Messages a second from one address, over time: a tenth of what one core decides upon.
pub(crate) const ADDRESS_RATE_PER_S: u32 = 5_000;

/// Messages from one address at once: a thousand viewers that open the page together.
pub(crate) const ADDRESS_BURST: u32 = 250_000;

/// Bytes of a frame that one message pays for: a session description of 1.3 KB and what is around it.
pub(crate) const FRAME_FREE_BYTES: usize = 2048;

/// Bytes of a frame beyond [`FRAME_FREE_BYTES`] that cost as much as a message: to decode them takes as long as a decision,
/// some 10 µs.
pub(crate) const FRAME_COST_BYTES: usize = 256;

/// What opening a connection costs its address, in messages.
pub(crate) const CONNECT_COST: u32 = 10;

/// What `join` costs, in messages: it makes the tracker write to a dozen peers.
pub(crate) const JOIN_COST: u32 = 10;

/// What `want` costs, in messages: it scans the directory.
pub(crate) const WANT_COST: u32 = 5;

/// Segments that a peer names in a `want`; each further number of as many costs a message more. A `want` of 16,384 segments
/// takes about 1.8 ms, a hundred times what a short one does.
pub(crate) const WANT_SEGMENTS_USUAL: u32 = 16;

/// Bytes of a message that a connection may send without room for it: what one message pays for. So much can be kept for each
/// connection.
pub(crate) const MESSAGE_FREE_BYTES: usize = FRAME_FREE_BYTES;

/// Frames of one message. Parts of a message are not counted as messages, and empty ones would cost nothing else; a browser sends
/// a message of the greatest length in a few.
pub(crate) const FRAMES_PER_MESSAGE_MAX: u32 = 256;

/// Bytes of a message before the greeting was accepted: `hello` with a permission of the greatest length.
pub(crate) const MESSAGE_BEFORE_HELLO_BYTES: usize = 8 * 1024;

/// Bytes that may be kept for longer messages that are on their way, of all connections. Each counts twice: as the frame that
/// arrives and as the message that it becomes.
pub(crate) const UNFINISHED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of those of one address (one /64 of IPv6), at most: 16 messages of the greatest length at a time.
pub const UNFINISHED_BYTES_PER_ADDRESS_MAX: usize = UNFINISHED_BYTES_MAX / 8;

/// Bytes of those of one subnet (a /24 of IPv4, a /48 of IPv6), at most.
pub(crate) const UNFINISHED_BYTES_PER_SUBNET_MAX: usize = UNFINISHED_BYTES_MAX / 4;

/// A longer message must be whole within this time, or have found room within it: 64 KiB at 26 kbit/s.
pub(crate) const UNFINISHED_TIMEOUT: Duration = Duration::from_secs(20);

/// After this time a message that found no room looks again.
pub(crate) const MESSAGE_ROOM_RETRY: Duration = Duration::from_millis(50);
