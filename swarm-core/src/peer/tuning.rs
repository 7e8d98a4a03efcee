//! Every constant of the method, with its unit, its reason and its source.
//!
//! Limits on what the outside may ask are in [`limits`](crate::limits). Relations between constants are asserted at
//! compile time at the end of this file.

use std::time::Duration;

use crate::limits::{GROUP_BYTES, MOVE_INTERVAL};

/// Bytes in a full group.
pub(crate) const GROUP: u64 = GROUP_BYTES as u64;

// --- Control messages: how fast a neighbour may send them. Beyond that it breaks a rule.

/// A message: 20,000 a second, twice what asking for each group of 1 Gbit/s by itself takes.
pub(crate) const PACE_MESSAGE: Duration = Duration::from_micros(50);
/// A group that an announcement names: 50,000 a second, what 6 Gbit/s bring.
pub(crate) const PACE_GROUP: Duration = Duration::from_micros(20);
/// A group that a request, or a message about requests, names: 500,000 a second, 64 for each group of 1 Gbit/s.
pub(crate) const PACE_NAMED: Duration = Duration::from_micros(2);
/// What may come at once, beside the whole content a few times over: a link that stalled for a while.
pub(crate) const PACE_BURST: Duration = Duration::from_secs(5);

// --- Demand: what the player needs, and how soon.

/// A group is urgent when it is due within this time. Idealised simulation: 2 s stalls 7 of 79 populations, 4 s one,
/// 8 s none but lengthens the whole transfer by 4 %.
pub(crate) const URGENT_HORIZON: Duration = Duration::from_secs(4);
/// Media that a player needs before its first frame, and again after a stall. All of it counts as due at once.
pub(crate) const START_BUFFER: Duration = Duration::from_secs(1);
/// The publisher is asked for a group that no neighbour holds when the group is due within this time. Before that, the
/// group's injection may still bring it.
pub(crate) const PUBLISHER_HORIZON: Duration = Duration::from_millis(1500);

/// The publisher is not asked for want of another while a link that opened within this time has yet to greet.
pub(crate) const GREETING_PATIENCE: Duration = Duration::from_millis(300);

// --- Delay-based windows: the receiver's credit, and what may be outstanding at one sender.

/// Below this queueing delay a window grows by what was delivered, so it doubles in a round trip.
pub(crate) const DELAY_LOW: Duration = Duration::from_millis(50);
/// Up to this queueing delay a window grows by one group a window; above, it shrinks in proportion. Idealised
/// simulation: 50 ms starves links, 300 ms changes nothing. RFC 6817 (LEDBAT) aims at 100 ms.
pub(crate) const DELAY_TARGET: Duration = Duration::from_millis(150);
/// Credit of a viewer that has received nothing yet: half a second of a downlink of 2 Mbit/s.
pub(crate) const CREDIT_FIRST: u64 = 8 * GROUP;
/// Frames of one sender that left within this time are a train: how fast they arrive is what the path carries.
pub(crate) const TRAIN_MS: u32 = 5;
/// Least credit: one group on its way while another is being sent.
pub(crate) const CREDIT_MIN: u64 = 2 * GROUP;
/// Most credit: 150 ms at 1 Gbit/s.
pub(crate) const CREDIT_MAX: u64 = 1152 * GROUP;
/// Urgent requests may exceed the credit by this much, so that slow background answers never block them.
pub(crate) const CREDIT_URGENT_EXTRA: u64 = 2 * GROUP;
/// Least window at one sender.
pub(crate) const WINDOW_MIN: u64 = GROUP;
/// Most outstanding at one sender: what its queue for one neighbour holds.
pub(crate) const WINDOW_MAX: u64 = 256 * GROUP;
/// A neighbour shares its uplink among about this many: the degree of the tracker's graph.
pub(crate) const DEGREE: u64 = 12;
/// Queueing delay is the least excess of one-way delay within two buckets of this length: the downlink delays all
/// frames, a busy sender only its own.
pub(crate) const QUEUE_BUCKET: Duration = Duration::from_millis(100);
/// While enough is on its way, the highest rate seen of an uplink or downlink falls by one part in this many with each
/// sample of a tenth of a second: a path that became slower is found out in a few seconds.
pub(crate) const CAPACITY_FALL: u64 = 16;
/// A link's base delay is forgotten after two buckets of this length, ten minutes, so that a longer path is noticed
/// (RFC 6817).
pub(crate) const BASE_BUCKET: Duration = Duration::from_secs(300);
/// A data frame's base delay exceeds a control frame's by its own transmission and at most by this.
pub(crate) const BASE_SLACK: Duration = Duration::from_millis(20);

// --- Requests.

/// Uplink assumed for a neighbour that has not announced one, bytes a second: 3 Mbit/s.
pub(crate) const UPLINK_GUESS: u64 = 375_000;
/// A background request covers about this much of its sender's rate.
pub(crate) const REQUEST_TIME: Duration = Duration::from_millis(100);
/// Most groups in one background request: larger units delay their first copies.
pub(crate) const REQUEST_GROUPS_BULK_MAX: u32 = 16;
/// Candidates that a background choice compares: the rarest of 32 is within the rarest 3 % on average.
pub(crate) const SAMPLE_RUNS: usize = 32;
/// Group transmissions that an urgent request is expected to wait for besides the announced backlog.
pub(crate) const ETA_GROUPS: u64 = 3;
/// A background request is not made for a group that is due within this many halves of the sender's usual response.
pub(crate) const RESPONSE_HALVES: u32 = 3;

// --- Repair.

/// Requests are looked over this often while something is urgent or the content is nearly complete.
pub(crate) const REPAIR_INTERVAL: Duration = Duration::from_millis(100);
/// An urgent answer is late after a round trip, its transmission, twice the own queueing delay and this.
pub(crate) const LATE_SLACK: Duration = Duration::from_millis(150);
/// A late request moves to a sender that is expected to need less than this share of the remaining time, in tenths.
pub(crate) const MOVE_TENTHS: u32 = 7;
/// What is expected this much too late is a miss that the tracker may still prevent.
pub(crate) const MISS: Duration = Duration::from_millis(300);
/// A neighbour that owes answers and sends nothing for this long is not asked until it sends again…
pub(crate) const SILENT_MIN: Duration = Duration::from_millis(2000);
/// …or until this much later.
pub(crate) const PROBATION: Duration = Duration::from_secs(5);

// --- Mirrors.

/// Fetches of groups that are under way from one mirror.
pub(crate) const MIRROR_FETCHES_MAX: usize = 3;
/// Groups of one fetch before the rate of a mirror is known, and at least: 128 KiB.
pub(crate) const MIRROR_GROUPS_MIN: u32 = 8;
/// Groups of one fetch, at most: 1 MiB.
pub(crate) const MIRROR_GROUPS_MAX: u32 = 64;
/// What may be under way from one mirror whatever the credit is: HTTP has a flow control of its own.
pub(crate) const MIRROR_WINDOW: u64 = 32 * GROUP;
/// Rate assumed of a mirror, bytes a second: 8 Mbit/s.
pub(crate) const MIRROR_RATE_GUESS: u64 = 1_000_000;
/// Time to the first byte that is assumed of a mirror.
pub(crate) const MIRROR_PATH: Duration = Duration::from_millis(100);
/// A mirror is asked this much before it would be too late, beyond twice the time that it needs.
pub(crate) const RESCUE_SLACK: Duration = Duration::from_millis(500);
/// Without an open link for this long, a player's groups come from the mirror as far as it needs them soon…
pub(crate) const MIRROR_ALONE_AFTER: Duration = Duration::from_secs(2);
/// …and for this long, background comes from it too, where the policy allows that.
pub(crate) const MIRROR_BACKGROUND_AFTER: Duration = Duration::from_secs(10);
/// A fetch that is not complete after this long, and four times as long as was expected, is given up.
pub(crate) const FETCH_TIMEOUT_MIN: Duration = Duration::from_secs(5);
/// Failures in a row after which a mirror loses its place.
pub(crate) const MIRROR_FAILURES_MAX: u32 = 3;
/// The same for what a network may be the reason of: with waits of up to 30 s between them, about three minutes.
pub(crate) const MIRROR_OUTAGES_MAX: u32 = 12;

// --- Sending.

/// What may be on its way over all channels together before anything was measured.
pub(crate) const UPLINK_FIRST: u64 = 3 * GROUP;
/// Least that may be: one frame leaves while another is handed over.
pub(crate) const UPLINK_MIN: u64 = 20 * 1024;
/// Most that may be: 100 ms at 2.5 Gbit/s.
pub(crate) const UPLINK_MAX: u64 = 2048 * GROUP;
/// Queueing delay at the uplink below which its window doubles in a round trip…
pub(crate) const UPLINK_DELAY_LOW: Duration = Duration::from_millis(20);
/// …and above which it shrinks: what has been handed over goes before what becomes urgent meanwhile.
pub(crate) const UPLINK_DELAY_TARGET: Duration = Duration::from_millis(60);
/// Of what a frame waited, its receiver attributes at most this to the sender's uplink, ms: the delay that a sender aims
/// at. A sender cannot tell the rest from its receivers' queues.
pub(crate) const QUEUED_MS_MAX: u32 = 60;
/// A frame on an idle path takes at most this longer than round trip and transmissions.
pub(crate) const PATH_SLACK: Duration = Duration::from_millis(10);
/// The uplink is measured over at least this long, so that acknowledgements in bunches are no speed.
pub(crate) const UPLINK_SAMPLE: Duration = Duration::from_millis(100);
/// A rate is measured over at least this many bytes, four frames, so that one more or less changes little…
pub(crate) const RATE_SAMPLE_BYTES: u64 = 4 * GROUP;
/// …or over this long.
pub(crate) const RATE_SAMPLE_MAX: Duration = Duration::from_secs(1);
/// A frame that has been on its way for this long beyond the path bounds what the uplink carries.
pub(crate) const UPLINK_BOUND_AFTER: Duration = Duration::from_millis(250);
/// Busy time after which the capacity counts as known.
pub(crate) const UPLINK_SETTLED: Duration = Duration::from_millis(500);
/// Path assumed before a round trip is known.
pub(crate) const PATH_GUESS: Duration = Duration::from_millis(50);
/// A channel from which nothing has left for this long…
pub(crate) const CHANNEL_STUCK: Duration = Duration::from_millis(1000);
/// …while the others carried this much, is stuck.
pub(crate) const CHANNEL_STUCK_BYTES: u64 = 8 * GROUP;
/// What may wait on a new data channel: as much as a viewer accepts at first. It fits the socket of a busy browser, whose
/// kernel holds about 92 packets.
pub(crate) const CHANNEL_FIRST: u64 = 8 * GROUP;
/// Least: one frame on its way, one behind it.
pub(crate) const CHANNEL_MIN: u64 = 2 * GROUP;
/// Most: 50 Mbit/s over a round trip of 200 ms and the queue that a channel may have.
pub(crate) const CHANNEL_MAX: u64 = 128 * GROUP;
/// Queueing delay of a channel's own frames below which its window doubles in a round trip…
pub(crate) const CHANNEL_DELAY_LOW: Duration = Duration::from_millis(50);
/// …and above which it shrinks: what waits there cannot be cancelled, promoted or overtaken.
pub(crate) const CHANNEL_DELAY_TARGET: Duration = Duration::from_millis(100);
/// A frame lasts about this long at the link's rate.
pub(crate) const FRAME_TIME: Duration = Duration::from_millis(20);
/// Full groups in one frame: four and their head exceed 65,535 bytes.
pub(crate) const FRAME_GROUPS: u32 = 3;
/// Urgent groups due within this time of one another are served rarest first.
pub(crate) const DUE_TOGETHER: Duration = Duration::from_millis(250);
/// Background that has waited for this long, and twice as long as all of it takes to leave, is served in the order in which
/// it was asked for.
pub(crate) const AGED: Duration = Duration::from_millis(1000);
/// Background groups of one neighbour that are compared by how many viewers hold them.
pub(crate) const RAREST_OF: usize = 16;
/// A neighbour that is behind by one part in so many of the content goes before any rarity: what one viewer lacks at the end
/// comes no faster than its own downlink carries, while the others are done.
pub(crate) const BEHIND_WEIGHT: u64 = 10;
/// Bytes of a data message beside proof and payload, about.
pub(crate) const HEAD_BYTES: u64 = 16;
/// Upload that may be caught up at once after a pause under an upload limit.
pub(crate) const BURST: Duration = Duration::from_millis(100);

// --- Injection.

/// A group that no viewer holds goes before requests when the furthest player needs it within this time.
pub(crate) const FRESH_HORIZON: Duration = Duration::from_secs(3);
/// Injection keeps pace with this many tenths of the rate at which the swarm could receive: (us + Σu) / N.
pub(crate) const PACE_TENTHS: u64 = 11;
/// While a fresh group presses, urgent requests get one frame in this many.
pub(crate) const URGENT_EVERY: u64 = 10;
/// Groups that a rich publisher sends to a waiting player before it has asked for them: what it accepts at first.
pub(crate) const ANSWERED_AHEAD_GROUPS: u32 = (CREDIT_FIRST / GROUP) as u32;
/// A publisher is rich when its uplink is this many tenths of what its viewers play.
pub(crate) const RICH_TENTHS: u64 = 11;
/// A pushed group that its receiver has not announced after this long is pushed again.
pub(crate) const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(5);
/// An announced uplink of up to this many times the median is believed: viewers of one kind are that different.
pub(crate) const BELIEVED_TIMES: u64 = 4;
/// A larger one is tried with so many groups that left for this viewer only: half a second of 1 MB/s…
pub(crate) const TRIAL_GROUPS: u32 = 32;
/// …of which half of the other viewers must have got one part in this many. In a slow swarm few groups reach half of it
/// before the next ones leave.
pub(crate) const TRIAL_SHARE: u64 = 32;
/// Beyond so many the past counts half.
pub(crate) const TRIAL_GROUPS_MAX: u32 = 1024;
/// A viewer's turn to be pushed to may begin this much before the first turn's end: one second of its uplink, in units of
/// 2³² groups over bytes a second.
pub(crate) const SHARE_LAG: u64 = (1 << 32) / GROUP;
/// A viewer that lacks something and for this long has gained nothing that did not come from the initial peer is not fed
/// by the others. As long as a push may take, so that what was pushed last had the time to spread.
pub(crate) const UNFED_AFTER: Duration = ANNOUNCE_TIMEOUT;
/// How often an initial peer looks for such viewers.
pub(crate) const UNFED_CHECK: Duration = Duration::from_secs(1);
/// Pushes under way to one viewer last about this long beyond a round trip at its share of the uplink.
pub(crate) const PUSH_TIME: Duration = Duration::from_millis(300);
/// Least pushes under way to one viewer that accepts as much: two siblings share a proof.
pub(crate) const PUSH_MIN: u64 = 2 * GROUP;
/// One injected byte in this many may be sent again as background by a thrifty publisher.
pub(crate) const SPARE_SHARE: u64 = 8;
/// Spare upload that is worth telling neighbours about, bytes.
pub(crate) const SPARE_WORTHWHILE: u64 = 512 * 1024;
/// After the last push of a fresh group, what was injected is on its way through the swarm for this long.
pub(crate) const SPREAD_TIME: Duration = Duration::from_secs(2);

// --- Links.

/// A neighbour that is asked for a part of the manifest, 48 KiB, has this long for it: what 40 kbit/s take.
pub(crate) const PART_PATIENCE: Duration = Duration::from_secs(10);
/// A connection that is not open after this long is given up.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Attempts after the first one that did not open; the last begins about a minute after the first failed.
pub(crate) const RETRIES_MAX: u32 = 5;
/// Wait before the second attempt; it doubles with each.
pub(crate) const RETRY_FIRST: Duration = Duration::from_secs(1);
/// An offer for another attempt is taken for this long after an attempt failed here: the offerer may notice a whole
/// [`CONNECT_TIMEOUT`] later, and then waits up to 16 s.
pub(crate) const OFFER_PATIENCE: Duration = Duration::from_secs(60);
/// A link that was open for this long worked: when it ends by itself, attempts to build it again are counted from zero.
/// More than all attempts of one count take together, so that a link that ends again and again is given up.
pub(crate) const OPEN_LONG: Duration = Duration::from_secs(60);
/// Pairs remembered; the oldest connected one is forgotten first, then the oldest. An initial peer builds this many at a time.
pub(crate) const PAIRS_MAX: usize = 256;
/// Candidates of the other side that a link takes at once: a host's own addresses and one behind its router…
pub(crate) const CANDIDATES_AT_ONCE: u32 = 4;
/// …and then one in this time. RFC 8445, section 14.2.
pub(crate) const CANDIDATE_PACE: Duration = Duration::from_millis(50);
/// Interval of pings on an open link.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(4);
/// Interval of a new link's first pings.
pub(crate) const PING_INTERVAL_EARLY: Duration = Duration::from_millis(100);
/// An open link that leaves a ping unanswered for this long is dead.
pub(crate) const PONG_TIMEOUT: Duration = Duration::from_secs(15);
/// A link that the tracker took out of the graph closes after this long, whatever is under way.
pub(crate) const RETIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Banned neighbours that are remembered; the oldest is forgotten first.
pub(crate) const BANNED_MAX: usize = 256;
/// Data messages kept that overtook the greeting: a channel's buffer full of single groups.
pub(crate) const EARLY_DATA_MAX: usize = 32;

// --- News and standing.

/// News of held groups is told no more often than this…
pub(crate) const NEWS_MIN: Duration = Duration::from_millis(50);
/// …and on a slow uplink than this.
pub(crate) const NEWS_MAX: Duration = Duration::from_millis(100);
/// Between the two, news is told after this many groups could have left.
pub(crate) const NEWS_GROUPS: u64 = 3;
/// News that its receiver can do nothing with waits this long for more.
pub(crate) const NEWS_PATIENCE: Duration = Duration::from_millis(500);
/// Ranges of news that wait for one neighbour at most.
pub(crate) const UNTOLD_MAX: usize = 64;
/// Neighbours hear at most this often of anything but a change of what is served.
pub(crate) const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// An urgent backlog longer than this is told at once, ms…
pub(crate) const BACKLOG_MS: u32 = 400;
/// …if it is more than this many times as long as the one that was told last. Neighbours that choose the same sender at the
/// same time make a backlog of seconds before the next status.
pub(crate) const BACKLOG_CHANGE: u32 = 4;
/// A viewer with a longer urgent backlog is not injected to if most others' are far shorter, ms. A group that it was given would
/// wait there longer than the publisher takes to give it to another viewer, which is [`PUSH_TIME`] and a round trip.
pub(crate) const FEEDER_BACKLOG_MS: u32 = 500;
/// What a viewer with a longer backlog holds is pushed to another one as well once a player needs it soon, ms: as long as the
/// publisher looks ahead for players. A shorter one would push copies that arrive little earlier than those that wait.
pub(crate) const HOLDER_BACKLOG_MS: u32 = 3000;
/// The upload capacity is told again when it has changed by more than this share, one in so many; at once when it has
/// halved.
pub(crate) const UPLINK_CHANGE: u64 = 4;
/// A limited appetite moves on in steps of 4 MiB.
pub(crate) const APPETITE_STEP_GROUPS: u32 = 256;
/// Of a viewer's storage budget this share lies ahead of the playhead, as a fraction.
pub(crate) const AHEAD_SHARE: (u64, u64) = (3, 4);
/// A viewer that does not keep the content wants this much media beyond what plays: enough to ride out a lost network or
/// a train's tunnel, and little to lose when the person leaves…
pub(crate) const LOOK_AHEAD: Duration = Duration::from_secs(300);
/// …and not more bytes than this, which are 5 minutes at 1.8 Mbit/s and 2 minutes at 4 Mbit/s. A content that is no longer
/// than this is wanted whole: copies of short contents cost little and help the swarm most.
pub(crate) const LOOK_AHEAD_BYTES: u64 = 4096 * GROUP;
/// While something is read, deadlines are looked at again at least this often.
pub(crate) const READING_TICK: Duration = Duration::from_millis(250);

// --- Tracker.

/// Signals kept until the tracker answers them, and of those that it refused for now: a publisher builds 256 links at a
/// time, and each sends an offer and a few candidates while the tracker is a round trip away.
pub(crate) const SIGNALS_KEPT_MAX: usize = 1024;
/// A signal that the tracker refused for now leaves again when the tracker says, but not sooner than this…
pub(crate) const RESEND_MIN: Duration = Duration::from_millis(500);
/// …nor later than this, since the attempt that it belongs to ends soon after.
pub(crate) const RESEND_MAX: Duration = Duration::from_secs(10);
/// An answer of the tracker that is outstanding for this long means that the tracker is lost.
pub(crate) const TRACKER_ANSWER: Duration = Duration::from_secs(15);
/// So does a minute without any message, since reports are answered.
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
    assert!(ms(START_BUFFER) < ms(URGENT_HORIZON), "a viewer that waits to start has urgent groups only");
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
