//! Every constant of the method, with its unit, its reason and its source.
//!
//! Limits on what the outside may ask are in [`limits`](crate::limits). Relations between constants are asserted at
//! compile time at the end of this file.

use std::time::Duration;

use crate::limits::{GROUP_BYTES, MOVE_INTERVAL};

/// Bytes in a full group.
pub(crate) const GROUP: u64 = GROUP_BYTES as u64;

// --- Control messages: how fast a neighbour may send them. A neighbour that sends faster breaks a rule.

/// Time of one message: 20,000 a second, twice as many as a request for each single group takes at 1 Gbit/s.
pub(crate) const PACE_MESSAGE: Duration = Duration::from_micros(50);
/// Time of one group in an announcement: 50,000 a second, as many as arrive at 6 Gbit/s.
pub(crate) const PACE_GROUP: Duration = Duration::from_micros(20);
/// Time of one group in a request or a message about requests: 500,000 a second, 64 for each group that arrives at 1 Gbit/s.
pub(crate) const PACE_NAMED: Duration = Duration::from_micros(2);
/// Time by which a neighbour may be ahead of this pace, beyond the whole content a few times over: after a stall of the link,
/// many messages arrive together.
pub(crate) const PACE_BURST: Duration = Duration::from_secs(5);

// --- Demand: what the player needs, and how soon.

/// A group is urgent when it is due within this time. Idealised simulation: with 2 s, 7 of 79 populations stall; with 4 s,
/// one; with 8 s, none, but the whole transfer takes 4 % longer.
pub(crate) const URGENT_HORIZON: Duration = Duration::from_secs(4);
/// Least media that a player needs before it plays, and again after a stall. All of it counts as due at once. It is enough if a
/// rich publisher or a mirror can send whatever other peers do not send in time.
pub(crate) const START_BUFFER_MIN: Duration = Duration::from_secs(1);
/// If only other viewers can send it, a group that does not come from one has to come from another. A player needs this much for
/// the waits in senders' queues…
pub(crate) const START_BUFFER_QUEUES: Duration = Duration::from_millis(500);
/// …and this many round trips: two times the announcement, the request, the time in which its answer should have come, the
/// request to another viewer and its answer.
pub(crate) const START_BUFFER_ROUND_TRIPS: u32 = 10;
/// Most media that a player needs before it plays.
pub(crate) const START_BUFFER_MAX: Duration = Duration::from_secs(3);
/// The publisher is asked for a group that no neighbour holds when the group is due within this time. Before that, the
/// group's injection may still bring it.
pub(crate) const PUBLISHER_HORIZON: Duration = Duration::from_millis(1500);

/// While a link that opened within this time has yet to greet, the publisher is not asked for a group that no neighbour holds:
/// the new neighbour may hold it.
pub(crate) const GREETING_PATIENCE: Duration = Duration::from_millis(300);

// --- Delay-based windows: the receiver's credit, and the window at one sender.

/// Below this queueing delay a window grows by the bytes that were delivered, so it doubles in a round trip.
pub(crate) const DELAY_LOW: Duration = Duration::from_millis(50);
/// Up to this queueing delay a window grows by one group a window; above, it shrinks in proportion. Idealised
/// simulation: 50 ms starves links, 300 ms changes nothing. RFC 6817 (LEDBAT) aims at 100 ms.
pub(crate) const DELAY_TARGET: Duration = Duration::from_millis(150);
/// Credit of a viewer that has received nothing yet: half a second of a downlink of 2 Mbit/s.
pub(crate) const CREDIT_FIRST: u64 = 8 * GROUP;
/// Frames of one sender that left within this time of one another are a train. A train arrives at the rate of the path.
pub(crate) const TRAIN_MS: u32 = 5;
/// Least credit: one group on its way while another is being sent.
pub(crate) const CREDIT_MIN: u64 = 2 * GROUP;
/// Most credit: 150 ms at 1 Gbit/s.
pub(crate) const CREDIT_MAX: u64 = 1152 * GROUP;
/// Urgent requests may exceed the credit by this much, so that slow background answers never block them.
pub(crate) const CREDIT_URGENT_EXTRA: u64 = 2 * GROUP;
/// Least window at one sender.
pub(crate) const WINDOW_MIN: u64 = GROUP;
/// Largest window at one sender: as much as its queue for one neighbour holds.
pub(crate) const WINDOW_MAX: u64 = 256 * GROUP;
/// A neighbour shares its uplink among about this many: the degree of the tracker's graph.
pub(crate) const DEGREE: u64 = 12;
/// Queueing delay is the least excess of one-way delay within two buckets of this length: a queue at the downlink delays all
/// frames, a busy sender only its own.
pub(crate) const QUEUE_BUCKET: Duration = Duration::from_millis(100);
/// While enough is in flight, the highest measured rate of an uplink or downlink falls by one part in this many with each
/// sample of a tenth of a second. So a path that became slower is noticed in a few seconds.
pub(crate) const CAPACITY_FALL: u64 = 16;
/// A link's base delay is forgotten after two buckets of this length, ten minutes, so that a longer path is noticed
/// (RFC 6817).
pub(crate) const BASE_BUCKET: Duration = Duration::from_secs(300);
/// A data frame's base delay is at most that of a control frame, plus the data frame's transmission, plus this.
pub(crate) const BASE_SLACK: Duration = Duration::from_millis(20);

// --- Requests.

/// Uplink assumed for a neighbour that has not announced one, bytes a second: 3 Mbit/s.
pub(crate) const UPLINK_GUESS: u64 = 375_000;
/// A background request has as many groups as its sender sends in this time.
pub(crate) const REQUEST_TIME: Duration = Duration::from_millis(100);
/// Most groups in one background request: larger requests delay the first copies of their groups.
pub(crate) const REQUEST_GROUPS_BULK_MAX: u32 = 16;
/// Runs that a background choice compares: the rarest of 32 is on average among the rarest 3 %.
pub(crate) const SAMPLE_RUNS: usize = 32;
/// Transmissions of a group that an urgent request is expected to wait for, beside the announced backlog.
pub(crate) const ETA_GROUPS: u64 = 3;
/// A background request is not made for a group that is due within this many halves of the sender's usual response.
pub(crate) const RESPONSE_HALVES: u32 = 3;

// --- Repair.

/// Requests are examined this often while a reader is open or the content is nearly complete.
pub(crate) const REPAIR_INTERVAL: Duration = Duration::from_millis(100);
/// An urgent answer is late if it takes longer than expected by twice our own queueing delay and this.
pub(crate) const LATE_SLACK: Duration = Duration::from_millis(150);
/// A late request moves to a sender whose expected time is less than this share of the time that the request is likely to
/// take still, in tenths.
pub(crate) const MOVE_TENTHS: u32 = 7;
/// A group that is expected this much too late is a reason to send the tracker a `want`: it may know a better source.
pub(crate) const MISS: Duration = Duration::from_millis(300);
/// A neighbour that owes answers and sends nothing for at least this long gets no requests until it sends again…
pub(crate) const SILENT_MIN: Duration = Duration::from_millis(2000);
/// …or until this much later.
pub(crate) const PROBATION: Duration = Duration::from_secs(5);

// --- Connections.

/// In this time the tracker may have a peer build as many connections as the peer may have; after that, at this pace. No swarm
/// changes faster: 20 a second for a viewer, 100 for a publisher.
pub(crate) const INTRODUCTIONS_TIME: Duration = Duration::from_secs(10);

// --- Mirrors.

/// Fetches of groups that are under way from one mirror.
pub(crate) const MIRROR_FETCHES_MAX: usize = 3;
/// Fewest groups of one fetch, and groups of one fetch before the rate of a mirror is known: 128 KiB.
pub(crate) const MIRROR_GROUPS_MIN: u32 = 8;
/// Most groups of one fetch: 1 MiB.
pub(crate) const MIRROR_GROUPS_MAX: u32 = 64;
/// Bytes that may be under way from one mirror whatever the credit is: HTTP has its own flow control.
pub(crate) const MIRROR_WINDOW: u64 = 32 * GROUP;
/// Rate assumed of a mirror, bytes a second: 8 Mbit/s.
pub(crate) const MIRROR_RATE_GUESS: u64 = 1_000_000;
/// Time to the first byte that is assumed of a mirror.
pub(crate) const MIRROR_PATH: Duration = Duration::from_millis(100);
/// A mirror is asked when the time left is twice the time that it needs, plus this.
pub(crate) const RESCUE_SLACK: Duration = Duration::from_millis(500);
/// If no link has been open for this long, the groups that a player needs soon come from the mirror…
pub(crate) const MIRROR_ALONE_AFTER: Duration = Duration::from_secs(2);
/// …and after this long background does, too, if the policy allows that.
pub(crate) const MIRROR_BACKGROUND_AFTER: Duration = Duration::from_secs(10);
/// A fetch is given up if it is not complete after this long, or after four times the expected time if that is longer…
pub(crate) const FETCH_TIMEOUT_MIN: Duration = Duration::from_secs(5);
/// …but after this long in any case. Only fetches of the least length are expected to take so long: three at a time then come at 210 kbit/s,
/// and the one that follows a failure at 70 kbit/s, at which no film plays. A mirror that hangs looks slow, and would otherwise be
/// waited for longer each time.
pub(crate) const FETCH_TIMEOUT_MAX: Duration = Duration::from_secs(15);
/// For this long after a failure, a mirror is asked only if there is no other. Twice the longest wait after failures, so that a mirror that
/// is away is tried rarely while another one answers.
pub(crate) const MIRROR_DOUBT: Duration = Duration::from_secs(60);
/// Refusals in a row after which a mirror is not used any more.
pub(crate) const MIRROR_FAILURES_MAX: u32 = 3;
/// The same for failures that a network may cause. With waits of up to 30 s between them they take about three minutes.
pub(crate) const MIRROR_OUTAGES_MAX: u32 = 12;

// --- Sending.

/// Window of the uplink before anything was measured: bytes in flight over all channels together.
pub(crate) const UPLINK_FIRST: u64 = 3 * GROUP;
/// Least window of the uplink: one frame leaves while another is handed over.
pub(crate) const UPLINK_MIN: u64 = 20 * 1024;
/// Largest window of the uplink: 100 ms at 2.5 Gbit/s.
pub(crate) const UPLINK_MAX: u64 = 2048 * GROUP;
/// Queueing delay at the uplink below which its window doubles in a round trip…
pub(crate) const UPLINK_DELAY_LOW: Duration = Duration::from_millis(20);
/// …and above which it shrinks: a frame that has been handed over leaves before groups that become urgent later.
pub(crate) const UPLINK_DELAY_TARGET: Duration = Duration::from_millis(60);
/// A receiver believes at most this much of a frame's wait at its sender's uplink, ms: the delay that a sender aims at. A
/// sender cannot tell a longer wait from its receivers' queues.
pub(crate) const QUEUED_MS_MAX: u32 = 60;
/// A frame on an idle path takes at most this longer than round trip and transmissions.
pub(crate) const PATH_SLACK: Duration = Duration::from_millis(10);
/// The uplink is measured over at least this long, so that acknowledgements that come in bunches do not count as a high rate.
pub(crate) const UPLINK_SAMPLE: Duration = Duration::from_millis(100);
/// A rate is measured over at least this many bytes, four frames of one group, so that one frame more or less changes little…
pub(crate) const RATE_SAMPLE_BYTES: u64 = 4 * GROUP;
/// …or over this long.
pub(crate) const RATE_SAMPLE_MAX: Duration = Duration::from_secs(1);
/// A frame that has been in flight for this much longer than the path takes shows an upper bound of the uplink's rate.
pub(crate) const UPLINK_BOUND_AFTER: Duration = Duration::from_millis(250);
/// Time of busy samples after which the capacity counts as known.
pub(crate) const UPLINK_SETTLED: Duration = Duration::from_millis(500);
/// Path assumed before a round trip is known.
pub(crate) const PATH_GUESS: Duration = Duration::from_millis(50);
/// A channel from which nothing has left for this long…
pub(crate) const CHANNEL_STUCK: Duration = Duration::from_millis(1000);
/// …while the others carried this much, is stuck.
pub(crate) const CHANNEL_STUCK_BYTES: u64 = 8 * GROUP;
/// Window of a new data channel: as much as a viewer accepts at first. It fits the socket buffer of a busy browser, which
/// holds about 92 packets.
pub(crate) const CHANNEL_FIRST: u64 = 8 * GROUP;
/// Least window of a channel: one frame in flight, one behind it.
pub(crate) const CHANNEL_MIN: u64 = 2 * GROUP;
/// Largest window of a channel: 50 Mbit/s over a round trip of 200 ms and the queue that a channel may have.
pub(crate) const CHANNEL_MAX: u64 = 128 * GROUP;
/// Queueing delay of a channel's own frames below which its window doubles in a round trip…
pub(crate) const CHANNEL_DELAY_LOW: Duration = Duration::from_millis(50);
/// …and above which it shrinks: frames on a channel cannot be cancelled, promoted or overtaken.
pub(crate) const CHANNEL_DELAY_TARGET: Duration = Duration::from_millis(100);
/// A frame has as many groups as the link carries in about this time.
pub(crate) const FRAME_TIME: Duration = Duration::from_millis(20);
/// Most full groups in one frame: four groups and their head exceed 65,535 bytes.
pub(crate) const FRAME_GROUPS: u32 = 3;
/// Urgent groups due within this time of one another are served rarest first.
pub(crate) const DUE_TOGETHER: Duration = Duration::from_millis(250);
/// Background requests that have waited for this long, and for twice the time that all waiting background takes to leave, are
/// served first, the oldest before the others.
pub(crate) const AGED: Duration = Duration::from_millis(1000);
/// Oldest requests of one neighbour and class whose groups are compared by the number of viewers that hold them.
pub(crate) const RAREST_OF: usize = 16;
/// A neighbour that holds less than another by one part in this many of the content goes first, however rare the groups are:
/// at the end its last groups come no faster than its own downlink, while the others are done.
pub(crate) const BEHIND_WEIGHT: u64 = 10;
/// Approximate bytes of a data message without proof and payload.
pub(crate) const HEAD_BYTES: u64 = 16;
/// Under an upload limit, a pause of at most this length is made up for at once.
pub(crate) const BURST: Duration = Duration::from_millis(100);

// --- Injection.

/// A group that no viewer holds goes before requests if a player needs it within this time.
pub(crate) const FRESH_HORIZON: Duration = Duration::from_secs(3);
/// Injection keeps pace with this many tenths of the rate at which the swarm could receive: (us + Σu) / N.
pub(crate) const PACE_TENTHS: u64 = 11;
/// While a fresh group presses, urgent requests get one frame in this many.
pub(crate) const URGENT_EVERY: u64 = 10;
/// Groups that a rich publisher sends to a waiting player before a request: as many as the first credit admits.
pub(crate) const ANSWERED_AHEAD_GROUPS: u32 = (CREDIT_FIRST / GROUP) as u32;
/// A publisher is rich when its uplink is this many tenths of the rate at which its viewers play together.
pub(crate) const RICH_TENTHS: u64 = 11;
/// A pushed group that its receiver has not announced after this long is pushed again.
pub(crate) const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);
/// An announced uplink of up to this many times the median is believed: honest viewers differ by that much.
pub(crate) const BELIEVED_TIMES: u64 = 4;
/// A larger one is tried with this many groups that left for its viewer only, which are half a second of 1 MB/s…
pub(crate) const TRIAL_GROUPS: u32 = 32;
/// …of which half of the other viewers must each have announced one part in this many. The part is small because in a slow
/// swarm few groups reach half of the viewers before the next ones leave.
pub(crate) const TRIAL_SHARE: u64 = 32;
/// When a viewer's count of such groups exceeds this, all its counts are halved, so that the past counts less.
pub(crate) const TRIAL_GROUPS_MAX: u32 = 1024;
/// No push may begin later than this after the first turn on the virtual clock: one second of the viewer's uplink, in units of
/// 2³² groups over bytes a second.
pub(crate) const SHARE_LAG: u64 = (1 << 32) / GROUP;
/// A viewer is unfed if it lacks something and for this long has gained only groups that the initial peer sent it. The time is
/// that of a push, so that the last pushed groups had the time to spread.
pub(crate) const UNFED_AFTER: Duration = ANNOUNCE_TIMEOUT;
/// How often an initial peer looks for unfed viewers.
pub(crate) const UNFED_CHECK: Duration = Duration::from_secs(1);
/// The pushes under way to one viewer are as many as its share of the uplink carries in a round trip and this.
pub(crate) const PUSH_TIME: Duration = Duration::from_millis(300);
/// Pushes that may be under way to a viewer in any case, if its credit admits them: two siblings share a proof.
pub(crate) const PUSH_MIN: u64 = 2 * GROUP;
/// A thrifty publisher may send one injected byte in this many again, as background.
pub(crate) const SPARE_SHARE: u64 = 8;
/// Spare upload, bytes, at which a thrifty publisher begins to serve background: less is not worth telling neighbours.
pub(crate) const SPARE_WORTHWHILE: u64 = 512 * 1024;
/// The group that was injected last takes this long to spread through the swarm.
pub(crate) const SPREAD_TIME: Duration = Duration::from_secs(2);

// --- Links.

/// A neighbour has this long to send a part of the manifest, 48 KiB, which takes as long at 40 kbit/s.
pub(crate) const PART_PATIENCE: Duration = Duration::from_secs(10);
/// A connection that is not open after this long is given up.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts after the first one that did not open; the last begins about a minute after the first failed.
pub(crate) const RETRIES_MAX: u32 = 5;
/// Wait before the second attempt; it doubles with each.
pub(crate) const RETRY_FIRST: Duration = Duration::from_secs(1);
/// After an attempt failed here, an offer for another one is accepted for this long: the offerer may notice the failure a whole
/// [`CONNECT_TIMEOUT`] later, and then waits up to 16 s.
pub(crate) const OFFER_PATIENCE: Duration = Duration::from_secs(60);
/// When a link that was open for this long ends by itself, attempts to build it again are counted from zero. The time exceeds
/// the waits of one count together, so that a link that ends again and again is given up.
pub(crate) const OPEN_LONG: Duration = Duration::from_secs(60);
/// Pairs remembered; the oldest connected one is forgotten first, then the oldest. An initial peer builds this many at a time.
pub(crate) const PAIRS_MAX: usize = 256;
/// ICE candidates of the other side that a link takes at once: a host's own addresses and the one of its router…
pub(crate) const CANDIDATES_AT_ONCE: u32 = 4;
/// …and then one in this time. RFC 8445, section 14.2.
pub(crate) const CANDIDATE_PACE: Duration = Duration::from_millis(50);
/// Interval of pings on an open link.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(4);
/// Interval of a new link's first pings.
pub(crate) const PING_INTERVAL_EARLY: Duration = Duration::from_millis(100);
/// An open link that leaves a ping unanswered for this long is dead.
pub(crate) const PONG_TIMEOUT: Duration = Duration::from_secs(15);
/// A link that the tracker took out of the graph closes after this long, even if requests are open.
pub(crate) const RETIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Banned neighbours that are remembered; the oldest is forgotten first.
pub(crate) const BANNED_MAX: usize = 256;
/// Data messages that overtook the greeting and are kept: as many single groups as a channel's buffer holds.
pub(crate) const EARLY_DATA_MAX: usize = 32;

// --- News and standing.

/// News of held groups is told no more often than this…
pub(crate) const NEWS_MIN: Duration = Duration::from_millis(50);
/// …and on a slow uplink than this.
pub(crate) const NEWS_MAX: Duration = Duration::from_millis(100);
/// Between the two, news is told after the time that this many groups take to leave.
pub(crate) const NEWS_GROUPS: u64 = 3;
/// News about groups that its receiver holds already waits this long for more.
pub(crate) const NEWS_PATIENCE: Duration = Duration::from_millis(500);
/// Most ranges of news that wait for one neighbour.
pub(crate) const UNTOLD_MAX: usize = 64;
/// Neighbours hear of the standing at most this often, except when `serving` changes.
pub(crate) const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// An urgent backlog longer than this is told at once, ms…
pub(crate) const BACKLOG_MS: u32 = 400;
/// …if it is more than this many times as long as the one that was told last. Otherwise neighbours that choose the same sender
/// at the same time would make a backlog of seconds before the next status.
pub(crate) const BACKLOG_CHANGE: u32 = 4;
/// A viewer with a longer urgent backlog than this, ms, gets no pushes if most others' backlogs are far shorter. A group would
/// wait there longer than it takes to push it to another viewer, which is [`PUSH_TIME`] and a round trip.
pub(crate) const FEEDER_BACKLOG_MS: u32 = 500;
/// If only viewers with a longer backlog than this, ms, hold a group that a player needs soon, it is pushed to another viewer,
/// too. This is the time that the publisher looks ahead for players. With a shorter one, the second copy would arrive little
/// earlier than the one that waits.
pub(crate) const HOLDER_BACKLOG_MS: u32 = 3000;
/// The upload capacity is told again when it has changed by more than one part in this many, and at once when it has halved.
pub(crate) const UPLINK_CHANGE: u64 = 4;
/// A limited appetite moves on in steps of 4 MiB.
pub(crate) const APPETITE_STEP_GROUPS: u32 = 256;
/// Share of a viewer's storage budget that may lie ahead of the playhead, as a fraction.
pub(crate) const AHEAD_SHARE: (u64, u64) = (3, 4);
/// A viewer that does not keep the content wants this much media ahead of the playhead: enough to play on through a tunnel or a
/// short loss of the network, and little waste when the person leaves…
pub(crate) const LOOK_AHEAD: Duration = Duration::from_secs(300);
/// …but no more than these bytes, which are 5 minutes at 1.8 Mbit/s and 2 minutes at 4 Mbit/s. A content that is no longer than
/// this is wanted whole: copies of short contents cost little and help the swarm most.
pub(crate) const LOOK_AHEAD_BYTES: u64 = 4096 * GROUP;
/// While a reader is open, deadlines are examined at least this often.
pub(crate) const READING_TICK: Duration = Duration::from_millis(250);

// --- Tracker.

/// Most signals that are kept because the tracker has not answered them or has refused them for now. A publisher builds 256
/// links at a time, and each sends an offer and a few candidates within a round trip to the tracker.
pub(crate) const SIGNALS_KEPT_MAX: usize = 1024;
/// A signal that the tracker refused for now is sent again when the tracker says, but not sooner than this…
pub(crate) const RESEND_MIN: Duration = Duration::from_millis(500);
/// …and not later than this, because its attempt to connect ends soon after.
pub(crate) const RESEND_MAX: Duration = Duration::from_secs(10);
/// An answer of the tracker that is outstanding for this long means that the tracker is lost.
pub(crate) const TRACKER_ANSWER: Duration = Duration::from_secs(15);
/// A minute without any message means the same, because the tracker answers reports.
pub(crate) const TRACKER_SILENCE: Duration = Duration::from_secs(60);
/// A viewer that is told to move does so within this time, drawn at random: others were told in the same second.
pub(crate) const MOVE_SPREAD: Duration = Duration::from_secs(3);
/// What the tracker that was left has still to deliver comes within this time: it is told of the move by way of the engine.
pub(crate) const MOVE_LINGER: Duration = Duration::from_secs(2);
/// Each move doubles the time until the next one, from [`MOVE_INTERVAL`] up to 16 times of it, …
pub(crate) const MOVE_DOUBLINGS_MAX: u32 = 4;
/// … until this time has passed without one.
pub(crate) const MOVE_FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

const fn ms(duration: Duration) -> u128 {
    duration.as_millis()
}

const _: () = {
    assert!(ms(DELAY_LOW) < ms(DELAY_TARGET), "a window must have room to grow slowly");
    assert!(ms(LOOK_AHEAD) > ms(URGENT_HORIZON), "what is urgent is wanted");
    assert!(
        LOOK_AHEAD_BYTES > APPETITE_STEP_GROUPS as u64 * GROUP,
        "the look-ahead is longer than a step in which neighbours hear of it"
    );
    assert!(ms(PUBLISHER_HORIZON) < ms(URGENT_HORIZON), "neighbours are asked before the publisher");
    assert!(ms(START_BUFFER_MAX) < ms(URGENT_HORIZON), "a viewer that waits to start has urgent groups only");
    assert!(
        ms(FRESH_HORIZON) <= ms(URGENT_HORIZON),
        "what is pushed first is what viewers are about to ask for"
    );
    assert!(
        QUEUED_MS_MAX as u128 == ms(UPLINK_DELAY_TARGET),
        "a sender's queue is no longer than it aims at"
    );
    assert!(CREDIT_MIN <= CREDIT_FIRST && CREDIT_FIRST <= CREDIT_MAX, "credit starts inside its bounds");
    assert!(WINDOW_MAX <= CREDIT_MAX, "one sender may fill the credit");
    assert!(ms(REPAIR_INTERVAL) < ms(LATE_SLACK), "a late request is seen soon after it is late");
    assert!(ms(SILENT_MIN) > ms(LATE_SLACK), "late requests move before their sender counts as silent");
    assert!(ms(ANNOUNCE_TIMEOUT) > ms(NEWS_PATIENCE), "a push must outlast the wait of its announcement");
    assert!(ms(RESEND_MAX) < ms(CONNECT_TIMEOUT), "what leaves again finds its attempt under way");
    assert!(ms(MOVE_SPREAD) + ms(MOVE_LINGER) < ms(MOVE_INTERVAL), "one move ends before the next one");
    assert!(ms(TRACKER_ANSWER) < ms(TRACKER_SILENCE), "a lost answer is noticed before silence is");
    assert!(ms(PONG_TIMEOUT) > ms(PING_INTERVAL), "a ping has time to be answered");
    assert!(ms(OPEN_LONG) > ms(RETRY_FIRST) << RETRIES_MAX, "links that end at once are given up");
    assert!(
        ms(OFFER_PATIENCE) > ms(CONNECT_TIMEOUT) + (ms(RETRY_FIRST) << (RETRIES_MAX - 1)),
        "the other side waits for the offerer's last attempt"
    );
    assert!(FEEDER_BACKLOG_MS > BACKLOG_MS, "the publisher must hear of such a backlog at once");
    assert!(HOLDER_BACKLOG_MS as u128 == ms(FRESH_HORIZON), "later than that it comes too late");
    assert!(ms(QUEUE_BUCKET) * 2 > ms(DELAY_TARGET), "a bucket must see frames that waited for the target");
};
