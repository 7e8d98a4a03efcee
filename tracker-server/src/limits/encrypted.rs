//! What a connection over TLS may take, and HTTP/2, which is spoken over TLS only.

use std::time::Duration;

/// Requests that one HTTP/2 connection may have open: a page and its files are 40.
pub(crate) const HTTP2_STREAMS_MAX: u32 = 64;

/// Requests that were taken back and are still counted; one more ends the connection. Against rapid resets (CVE-2023-44487).
pub(crate) const HTTP2_RESETS_PENDING_MAX: usize = 16;

/// Bytes of one request's body that may be on their way. They are in memory while the request waits for its turn.
pub(crate) const HTTP2_STREAM_WINDOW_BYTES: u32 = 16 * 1024;

/// Bytes of all bodies on one connection that may be on their way.
pub(crate) const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 64 * 1024;

/// Bytes of one answer that wait for the receiver's window.
pub(crate) const HTTP2_SEND_BYTES: usize = 64 * 1024;

/// An answer leaves in parts of this many bytes at most, so that its progress is seen: one frame.
pub(crate) const HTTP2_PART_BYTES: usize = 16 * 1024;

/// Connections to the listener that only says where the page is.
pub(crate) const REDIRECTS_MAX: usize = 1_024;

/// Maximum time of one round with an authority. Then it starts again from what is on disk. The ACME library has no timeouts:
/// without this, an authority that stops answering in the middle of an order would block renewals until a restart.
pub(crate) const ACME_ROUND: Duration = Duration::from_secs(12 * 3600);
