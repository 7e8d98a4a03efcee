//! How many messages a connection and an address may send, and what each costs.

/// Messages a second from one connection, over time.
pub const CONNECTION_RATE_PER_S: u32 = 50;

/// Messages from one connection at once: a viewer builds a dozen links with a dozen candidates each, a few times.
pub const CONNECTION_BURST: u32 = 600;

/// How many times as much an initial peer may say: it answers a thousand newcomers with a dozen candidates each.
pub const INITIAL_RATE_TIMES: u32 = 32;

/// Messages a second from one address, over time: a tenth of what one core decides upon.
pub const ADDRESS_RATE_PER_S: u32 = 5_000;

/// Messages from one address at once: a thousand viewers that open the page together.
pub const ADDRESS_BURST: u32 = 250_000;

/// Bytes of a frame that one message pays for: a session description of 1.3 KB and what is around it.
pub const FRAME_FREE_BYTES: usize = 2048;

/// Bytes of a frame beyond [`FRAME_FREE_BYTES`] that cost as much as a message: to decode them takes as long as a decision,
/// some 10 µs.
pub const FRAME_COST_BYTES: usize = 256;

/// What opening a connection costs its address, in messages.
pub const CONNECT_COST: u32 = 10;

/// What `join` costs, in messages: it makes the tracker write to a dozen peers.
pub const JOIN_COST: u32 = 10;

/// What `want` costs, in messages: it scans the directory.
pub const WANT_COST: u32 = 5;

/// Segments that a peer names in a `want`; each further number of as many costs a message more. A `want` of 16,384 segments
/// takes about 1.8 ms, a hundred times what a short one does.
pub const WANT_SEGMENTS_USUAL: u32 = 16;
