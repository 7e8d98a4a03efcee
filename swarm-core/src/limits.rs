//! Every number that bounds what the outside may ask of a peer, with its unit and its reason.
//!
//! A value from the network is compared with one of these before it is used for arithmetic, indexing or
//! allocation. A queue that reaches its limit refuses the newcomer and says so.

use std::time::Duration;

/// Bytes in a group: the unit of verification, of `have` and of forwarding.
///
/// 16 BLAKE3 chunks; small enough to be forwarded after 13 ms at 10 Mbit/s, large enough that one tree
/// node a group costs 0.2 %.
pub const GROUP_BYTES: u32 = 16 * 1024;

/// Groups in one content, at most: 64 GiB. Bounds every set of groups to 560 KiB, the tree to 300 MB and the counts of
/// copies to 8 MiB; each takes that much only once as much was held or announced.
pub const GROUPS_MAX: u32 = 1 << 22;

/// Bytes in one content, at most.
pub const CONTENT_BYTES_MAX: u64 = GROUPS_MAX as u64 * GROUP_BYTES as u64;

/// Bytes of a manifest's canonical form, at most: what a tracker keeps for anybody who asks.
pub const MANIFEST_BYTES_MAX: usize = 1024 * 1024;

/// Segments in one manifest, at most; with 20 bytes each they fit a manifest three times over.
pub const SEGMENTS_MAX: usize = 16_384;

/// Bytes of a name, a media type, an author or a tracker address in a manifest, and of the address that a tracker sends a viewer to.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Addresses of trackers in one manifest: a connection to each is kept.
pub const TRACKERS_MAX: usize = 8;

/// Mirrors in one manifest: what a peer may try one after the other before it gives up.
pub(crate) const MIRRORS_MAX: usize = 8;

/// Media times and durations in a manifest, ms: 49 days. Keeps an entry of the segment table within 20 bytes
/// and sums of two times far from overflow.
pub const MEDIA_MS_MAX: u64 = u32::MAX as u64;

/// Chapters in one manifest: one a minute for 17 hours.
pub const CHAPTERS_MAX: usize = 1024;

/// Bytes of a poster in a manifest: a photograph 640 pixels wide.
pub const POSTER_BYTES_MAX: usize = 64 * 1024;

/// Cues of subtitles that are shown at one time: more lines than fit on a screen.
pub(crate) const CUES_TOGETHER_MAX: usize = 100;

/// Lines of all cues that are shown at one time: as many as two for each cue. Chromium lays out 100,000 of them in ten seconds and more.
pub(crate) const CUE_LINES_TOGETHER_MAX: usize = 200;

/// Tags of all cues that are shown at one time, beginnings and ends: five around parts of each line. Chromium lays out 20,000 of readings
/// above words (ruby) in ten seconds and more.
pub(crate) const CUE_TAGS_TOGETHER_MAX: usize = 2_000;

/// Tags inside one another in one cue: people need three or four, and Chromium lays out thousands of them in minutes and ends the tab at
/// some tens of thousands.
pub(crate) const CUE_DEPTH_MAX: usize = 64;

/// Pixels of a poster: 16 MiB of memory in a browser, and more than the screens on which most people watch have.
pub(crate) const POSTER_PIXELS_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of a storyboard in a manifest: comes before the first frame like all of the manifest, and takes a tenth of a second of that at
/// 4 Mbit/s. Room for 60 tiles of 800 bytes.
pub const STORYBOARD_BYTES_MAX: usize = 48 * 1024;

/// Tiles of a storyboard: of the smallest of which a person recognises something, at 200 bytes each.
pub const STORYBOARD_TILES_MAX: u16 = 240;

/// Pixels of a storyboard: as of a poster.
pub(crate) const STORYBOARD_PIXELS_MAX: u64 = POSTER_PIXELS_MAX;

/// Pixels of the shorter and of the longer side of a tile: what fits above a timeline and is not a mere line.
pub(crate) const TILE_EDGE_MIN: u32 = 16;

/// See [`TILE_EDGE_MIN`].
pub(crate) const TILE_EDGE_MAX: u32 = 512;

/// Bytes of one subtitle file in a manifest: five hours of dense dialogue.
pub const SUBTITLES_BYTES_MAX: usize = 256 * 1024;

/// Subtitle files in one manifest; that all fit together is up to [`MANIFEST_BYTES_MAX`].
pub const SUBTITLES_MAX: usize = 16;

/// Bytes of one message on a data channel: what every browser accepts without fragmentation support.
pub const FRAME_BYTES_MAX: usize = 65_535;

/// Groups in one data message.
pub const FRAME_GROUPS_MAX: u32 = 4;

/// Bytes of one manifest part on a link: leaves room for the message around it.
pub(crate) const MANIFEST_PART_BYTES: usize = 48 * 1024;

/// Characters of a tracker's words that are passed on to people.
pub(crate) const ERROR_TEXT_CHARS_SHOWN: usize = 200;

/// Bytes of one message to or from a tracker.
pub const TRACKER_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one session description.
pub(crate) const SDP_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one ICE candidate line.
pub(crate) const CANDIDATE_BYTES_MAX: usize = 1024;

/// Runs in one list of segments or groups on the wire; larger sets are sent in several messages.
pub const RUNS_MAX: usize = 4096;

/// Control messages that may wait for a neighbour, bytes. One that reads none is closed: each of its pings would wait for
/// it otherwise. The greeting of a peer that holds every other group of 8 GiB fits.
pub const CONTROL_BUFFERED_MAX: u64 = 2 * 1024 * 1024;

/// Links that a viewer keeps, beyond which it declines introductions: a tracker gives a strong one 28 and some on top.
pub const LINKS_MAX: usize = 40;

/// Links that an initial peer keeps, whatever its uplink: each costs about half a megabyte.
pub(crate) const INITIAL_LINKS_MAX: usize = 4096;

/// Groups that one neighbour may have waiting with us, 8 MiB; further ones are rejected as `Busy`.
pub(crate) const QUEUED_GROUPS_MAX: usize = 512;

/// Groups that one request may name: 1 MiB.
pub(crate) const REQUEST_GROUPS_MAX: u32 = 64;

/// Runs of segments in one list that a peer tells a tracker: two lists of them fit a message.
pub(crate) const SEGMENT_RUNS_MAX: usize = 2048;

/// Peers named in one `peers` message of a tracker.
pub const PEERS_PER_MESSAGE_MAX: usize = 64;

/// ICE servers that a tracker may name.
pub const ICE_SERVERS_MAX: usize = 8;

/// A viewer that tried to follow its tracker to another one is sent again after this time at the earliest: trackers that send
/// viewers to one another cost each of them a connection in some minutes.
pub const MOVE_INTERVAL: Duration = Duration::from_secs(3 * 60);

/// ICE candidates of the other side that one link takes, those in its description included. A host with four addresses
/// has about twelve; each makes a peer send up to a hundred packets to an address that the other side chose.
pub(crate) const CANDIDATES_PER_LINK_MAX: usize = 20;

/// Of them, those that lead to one address: UDP and TCP, a mapped port, and relayed ones for each of a few interfaces. An
/// address that the other side chose may be a third party's, which is not to be flooded with connectivity checks.
pub const CANDIDATES_PER_ADDRESS_MAX: usize = 8;

/// Signals kept for a link whose connection is still being built.
pub const SIGNALS_PER_LINK_MAX: usize = 64;
