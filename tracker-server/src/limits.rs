//! Every number that bounds what the outside may ask of a tracker, with its unit and its reason.
//!
//! Limits on the messages themselves are those of [`swarm_core::limits`].
//!
//! # A crowd behind one address
//!
//! A campus or a provider may hide its viewers behind one address, and a thousand of them may open the page within
//! a second. What each then costs that address, in messages: 10 for its connection, 1 for `hello`, 10 for `join`;
//! for each of some 20 links that are built in the first seconds, its own and those that later comers bring, one
//! description and up to 10 candidates, 220 together; a few `want`s and reports: about 250. So
//! [`ADDRESS_BURST`] lets 1,000 come at once, and [`ADDRESS_RATE_PER_S`] lets 20 more come each second. Afterwards
//! a viewer says about 2 messages a second (`have`, `report`), so that 1,000 of them stay within half the rate.
//!
//! Behind a reverse proxy all connections come from the proxy's address; with `--trust-proxy` or `--behind-proxy` the tracker
//! counts by what the proxy says instead. Without them all viewers together have the limits of one address.

mod catalogue;
mod encrypted;
mod messages;
mod publishing;
mod several;
mod siblings;

use std::time::Duration;

pub use catalogue::*;
pub(crate) use encrypted::*;
pub use messages::*;
pub use publishing::*;
pub use several::*;
pub use siblings::*;

/// Connections of all kinds that are open at a time, by default; each costs a file descriptor.
pub(crate) const CONNECTIONS_MAX: usize = 16_384;

/// WebSocket connections from one address (one /64 of IPv6), by default: a crowd behind one address, and an
/// eighth of all connections, so that no single address takes the places of all others.
pub(crate) const CONNECTIONS_PER_ADDRESS_MAX: u32 = 2_048;

/// Connections of one address that are no WebSockets (yet): a thousand viewers behind it that open the page
/// together, with two connections each. They are closed when they are idle for [`HEADER_TIMEOUT`].
pub(crate) const PLAIN_PER_ADDRESS_MAX: usize = 2_048;

/// One in how many places one subnet may take: whoever holds a /24 of IPv4 or a /48 of IPv6 has many addresses.
pub(crate) const SUBNET_SHARE: usize = 2;

/// Places that one subnet may take on a small tracker.
pub(crate) const SUBNET_PLACES_MIN: usize = 64;

/// One in how many places is kept, the last ones, for addresses and subnets that have few connections.
pub(crate) const KEPT_SHARE: usize = 4;

/// An address with fewer connections than this gets a kept place: a household that watches and browses.
pub(crate) const KEPT_FOR_ADDRESSES_BELOW: usize = 16;

/// A subnet with fewer connections than this gets a kept place.
pub(crate) const KEPT_FOR_SUBNETS_BELOW: usize = 256;

/// Bytes that are read of one connection each second, over time. An initial peer that builds 256 connections at a time sends
/// 1,600 messages of 300 bytes.
pub(crate) const READ_BYTES_PER_S: u64 = 512 * 1024;

/// What is read at once beyond that, as time at that rate: 2 MiB, a manifest of the greatest length twice.
pub(crate) const READ_BURST: Duration = Duration::from_secs(4);

/// Connections of the operator's own programs to the private listener.
pub(crate) const OBSERVERS_MAX: usize = 64;

/// Connections that are told at a time why they get no place; more are closed without a word.
pub(crate) const FAREWELLS_MAX: usize = 64;

/// How long one may take to read why it gets no place.
pub(crate) const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Addresses remembered before those that are idle and unpunished are forgotten.
pub(crate) const ADDRESSES_SWEEP: usize = 4096;

/// Peers in one swarm: bounds the scan for the only holder of a segment to about three milliseconds. More than the
/// connections that a tracker takes by default.
pub(crate) const PEERS_PER_SWARM_MAX: usize = 131_072;

/// Peers in one swarm from one address (one /64 of IPv6): the crowd behind one address that this module begins with.
pub(crate) const PEERS_PER_ADDRESS_MAX: usize = 1_024;

/// Peers in one swarm from one subnet: a /24 of IPv4, a /48 of IPv6. What an attacker has of addresses is mostly of
/// this kind; a provider's customers are spread over many.
pub(crate) const PEERS_PER_SUBNET_MAX: usize = 2_048;

/// Regular links that a viewer has with peers of one subnet other than its own, as long as there are others: a
/// quarter of [`DEGREE_TARGET`].
pub(crate) const LINKS_PER_SUBNET_MAX: usize = 3;

/// Peers of one swarm that may call themselves initial: the publisher and a few mirrors.
pub(crate) const INITIAL_PEERS_MAX: usize = 8;

/// Bytes of signals that one end of a link may send the other at once: two descriptions of the greatest length and
/// 32 candidates. Building a connection takes about a tenth of it.
pub(crate) const LINK_SIGNAL_BURST_BYTES: u32 = 64 * 1024;

/// Bytes of signals that one end of a link may send the other each second, over time: a restart of the connection
/// every few seconds.
pub(crate) const LINK_SIGNAL_RATE_BYTES_PER_S: u32 = 1024;

/// Signals beyond the budget of their link after which the sender is closed: it does not listen.
pub(crate) const SIGNAL_OVERRUNS_MAX: u32 = 64;

/// When a signal for a receiver that is behind with reading may be tried again, ms.
pub(crate) const BUSY_RECEIVER_RETRY_MS: u32 = 2_000;

/// Refused messages in a row after which a connection is closed: it does not listen.
pub(crate) const REFUSALS_MAX: u32 = 64;

/// Links that the graph keeps for each viewer, apart from those with initial peers and those on top for a
/// `want`. Even, so that a newcomer's ends are those of whole links.
pub(crate) const DEGREE_TARGET: usize = 12;

/// Links that a newcomer has at least when it must wait for the rest.
pub(crate) const DEGREE_MIN: usize = 8;

/// One in how many viewers may have fewer links than the target for a while.
pub(crate) const WAITING_SHARE: usize = 25;

/// One in how many viewers may lack one link for a while, because a neighbour left.
pub(crate) const ORPHANED_SHARE: usize = 4;

/// How long a viewer waits for newcomers to bring the links that it lacks, ms; then it is given them.
pub(crate) const SETTLE_MS: u32 = 10_000;

/// Links of a viewer that may be chosen for nearness in playhead: a third of the target, so that the rest is
/// still a random graph of degree 8, which spreads well by itself.
pub(crate) const NEAR_MAX: usize = 4;

/// A viewer changes a link for nearness once in this time, ms.
pub(crate) const NEAR_INTERVAL_MS: u32 = 30_000;

/// Viewers looked at for one that plays nearer.
pub(crate) const NEAR_CANDIDATES_MAX: usize = 24;

/// Segments that count as no distance: what is so near is as good as the same.
pub(crate) const NEAR_SLACK_SEGMENTS: u32 = 8;

/// Links of a viewer on top of the regular graph, by its own `want`s and by those of others. All in all a
/// viewer has 12 + 4 + 2; this leaves room below [`LINKS_MAX`](swarm_core::limits::LINKS_MAX) for connections
/// that are still being closed.
pub(crate) const WANTED_MAX: usize = 4;

/// How long a wanted link stands before it may give way to another, ms.
pub(crate) const WANTED_HOLD_MS: u32 = 10_000;

/// Links of an initial peer whose uplink is slow or not known: enough to inject to. *sim*: 4/8/16/32 links end at
/// 1.15/1.08/1.04/1.03 of the bound.
pub(crate) const INITIAL_DEGREE: usize = 64;

/// Links of an initial peer whatever its uplink: what one process carries at about half a megabyte a link.
pub(crate) const INITIAL_DEGREE_MAX: usize = 1_000;

/// The rate at which a viewer of a content without a known rate is taken to be served, bits a second.
pub(crate) const MEDIA_UNKNOWN_BPS: u64 = 1_000_000;

/// Links that an initial peer is given at a time when its uplink turns out to carry more: each is a connection to be
/// built, for which it answers a dozen signals.
pub(crate) const WIDENED_MAX: usize = 256;

/// One in how many places at an initial peer viewers of one subnet keep when viewers of others have none.
pub(crate) const INITIAL_SUBNET_SHARE: usize = 4;

/// Links of an initial peer on top: for viewers that are short, and for `want`s that nobody else can meet.
pub(crate) const INITIAL_WANTED_MAX: usize = 16;

/// A player with less media ahead than this is short, ms: half of what peers treat as urgent.
pub(crate) const SHORT_MS: u32 = 2_000;

/// A viewer is strong, and gets more links, if its uplink is at least this many hundredths of the mean.
pub(crate) const STRONG_PERCENT: u64 = 150;

/// Links with other viewers that a strong viewer has at most; with those on top it stays below
/// [`LINKS_MAX`](swarm_core::limits::LINKS_MAX).
pub(crate) const STRONG_DEGREE_MAX: usize = 28;

/// A viewer is undersupplied if its neighbours' shares sum up to less than this many hundredths of the mean uplink.
pub(crate) const UNDERSUPPLIED_PERCENT: u64 = 90;

/// Strong neighbours that an undersupplied viewer is given at a time.
pub(crate) const STRONG_GIVEN_MAX: usize = 4;

/// How many times the rate that receivers saw of a viewer its own word on its uplink may exceed.
pub(crate) const BELIEVED_TIMES: u64 = 4;

/// Initial peers of one viewer.
pub(crate) const INITIAL_PER_VIEWER_MAX: usize = 2;

/// Interval at which an initial peer exchanges viewers, ms; also how long a viewer keeps its place at least.
pub(crate) const ROTATION_MS: u32 = 30_000;

/// One in how many places an initial peer exchanges at a time.
pub(crate) const ROTATED_SHARE: usize = 16;

/// Providers that one `want` may introduce.
pub(crate) const CONNECTS_PER_WANT_MAX: usize = 2;

/// Providers considered for one `want`, and named in its answer; with
/// [`LOOKING_MAX`] it makes [`PEERS_PER_MESSAGE_MAX`](swarm_core::limits::PEERS_PER_MESSAGE_MAX).
pub(crate) const PROVIDERS_MAX: usize = 40;

/// Viewers looked at for one `want`, where any that are meant will do.
pub(crate) const LOOKED_AT_MAX: usize = 1_000;

/// Peers looking for the same segments, named in the answer to one `want`.
pub(crate) const LOOKING_MAX: usize = 24;

/// Runs of segments named for one peer in a `peers` message: keeps the message below 64 KiB.
pub(crate) const RUNS_PER_ENTRY_MAX: usize = 32;

/// Segments considered for assignment in answer to one `want`, the most urgent.
pub(crate) const ASSIGNABLE_PER_WANT_MAX: usize = 256;

/// Segments assigned in answer to one `want`, the most important first.
pub(crate) const ASSIGNED_PER_WANT_MAX: usize = 16;

/// Leases that one source may have to serve at a time.
pub(crate) const LEASES_PER_SOURCE_MAX: usize = 16;

/// Leases at an initial peer that one viewer may have: the others want some, too.
pub(crate) const INITIAL_LEASES_PER_TAKER_MAX: usize = 4;

/// Viewers that hold a segment at most for it to be at risk.
pub(crate) const AT_RISK_HOLDERS_MAX: u32 = 1;

/// Runs of segments at risk that a peer is told of.
pub(crate) const AT_RISK_RUNS_MAX: usize = 32;

/// How old the list of segments at risk may be, ms: making it looks at every segment.
pub(crate) const AT_RISK_REFRESH_MS: u32 = 1_000;

/// Verdicts upon one source that count, the latest.
pub(crate) const VERDICTS_MAX: usize = 16;

/// Verdicts upon one source without which it has full marks.
pub(crate) const VERDICTS_MIN: usize = 3;

/// A source whose success falls below this, of 1,000, is doubted: it hardly delivers, so that what it says it holds does
/// not count. An honest source that is overloaded still delivers more than it fails.
pub(crate) const DOUBTED_BELOW: u32 = 250;

/// A doubted source whose success rises to this is believed again.
pub(crate) const BELIEVED_FROM: u32 = 500;

/// For how long an assignment stands, ms: short, so that a source that went silent is soon replaced.
pub(crate) const LEASE_MS: u32 = 5_000;

/// Upload capacity taken for a peer that has not said any, bits a second.
pub(crate) const UPLINK_UNKNOWN_BPS: u64 = 5_000_000;

/// The largest upload capacity believed, bits a second.
pub(crate) const UPLINK_MAX_BPS: u64 = 100_000_000_000;

/// Interval at which peers are asked to `report`, ms.
pub(crate) const REPORT_INTERVAL_MS: u32 = 5_000;

/// When a peer refused for an unknown swarm should try again, ms: a publisher may be just starting.
pub(crate) const UNKNOWN_SWARM_RETRY_MS: u32 = 1_000;

/// By how much the clock of the one who made a permission may be ahead of or behind the tracker's, seconds.
pub(crate) const TOKEN_LEEWAY_S: u64 = 30;

/// How long a permission to watch may last, seconds: a hundred years. One that ends later was meant in milliseconds.
pub(crate) const TOKEN_LIFETIME_MAX_S: u64 = 100 * 366 * 24 * 3600;

/// How long a challenge over HTTP can be answered.
pub(crate) const CHALLENGE_LIFETIME: Duration = Duration::from_secs(60);

/// When to ask again for a swarm that its publisher removed, ms.
pub(crate) const REMOVED_RETRY_MS: u32 = 60_000;

/// When a peer refused for lack of room should try again, ms.
pub(crate) const FULL_RETRY_MS: u32 = 30_000;

/// How long the credentials of a relay are good for: longer than a film, so that no link ends in the middle of one.
/// They are given again when half of it is over.
pub(crate) const RELAY_LIFETIME: Duration = Duration::from_secs(6 * 3600);

/// Addresses whose pace is remembered before those that are idle are forgotten.
pub(crate) const PACES_SWEEP: usize = 1_024;

/// HTTP requests of one address at once: the page of a thousand viewers that open it together, 40 files each, twice.
pub(crate) const REQUEST_BURST: u32 = 80_000;

/// HTTP requests of one address each second, over time: each takes some 50 µs of a core.
pub(crate) const REQUEST_RATE_PER_S: u32 = 1_000;

/// For how long the answer to a request beyond that is held back. Its connection carries no other request meanwhile, so that all
/// connections that one address may have get 2,048 refusals a second.
pub const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// TLS handshakes of one address at once: two for each of a thousand viewers, twice.
pub(crate) const HANDSHAKE_BURST: u32 = 4_096;

/// TLS handshakes of one address each second, over time: each takes some 500 µs of a core.
pub(crate) const HANDSHAKE_RATE_PER_S: u32 = 100;

/// Bytes that wait for one connection; beyond it the connection is closed, since it does not read.
pub(crate) const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// Bytes that may wait for one connection while it is still sent signals of other peers. The other half is the
/// tracker's own, so that no peer can make another one overflow by writing to it.
pub(crate) const OUTBOX_SIGNAL_BYTES_MAX: usize = OUTBOX_BYTES_MAX / 2;

/// When half of those are taken, signals from one subnet get one part in this many of all: neighbours at one address cannot
/// keep the signals of others from a peer. 32 KiB are 20 descriptions.
pub(crate) const OUTBOX_SUBNET_SHARE: usize = 4;

/// Bytes read from a WebSocket at once. tungstenite keeps a buffer of this size for every connection; its
/// default of 128 KiB is what makes idle connections dear.
pub(crate) const SOCKET_READ_BYTES: usize = 1024;

/// Bytes that a WebSocket collects before it writes.
pub(crate) const SOCKET_WRITE_BYTES: usize = 1024;

/// Bytes of an HTTP request's head, and of hyper's buffer.
pub(crate) const HTTP_BUFFER_BYTES: usize = 16 * 1024;

/// The head of an HTTP request must arrive within this time.
pub(crate) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of addresses and extensions in a PROXY header of version 2. Addresses take 216 at most; the extensions of TLS and of
/// cloud providers a few hundred more.
pub(crate) const PROXY_EXTENSION_BYTES_MAX: usize = 2_048;

/// A connection that is no WebSocket ends after this time, once the answer under way is read: a megabyte needs it
/// at 15 kbit/s. So nobody holds a connection by reading a byte now and then.
pub(crate) const PLAIN_TIMEOUT: Duration = Duration::from_secs(600);

/// A body of an HTTP request may take this long, whatever its length.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// For each second beyond [`BODY_TIMEOUT`] this many bytes of a body must have arrived: 1 MiB within 21 s.
pub(crate) const BODY_RATE_BYTES_PER_S: u64 = 64 * 1024;

/// A WebSocket must have said `hello` within this time.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Interval of pings: proxies drop sockets that are idle for 60 s.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(25);

/// Pings in a row that may stay without any sign of life.
pub(crate) const PINGS_MISSED_MAX: u32 = 2;

/// One write to a connection of any kind must make progress within this time.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other side may take to answer a close frame.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long connections may take to end when the tracker stops.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(4);

/// Pause of the accept loop after an error such as too many open files.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
