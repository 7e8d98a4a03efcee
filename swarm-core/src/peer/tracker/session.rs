//! The conversation with the tracker: when to connect, what to say first, how to read its refusals, and when a silent
//! socket counts as lost.
//!
//! ```text
//! Idle ─→ Connecting ─open→ Greeting ─welcome→ (Publishing ─→) Joining ─swarm→ Joined
//!            ↑    └──────── closed, silent, refused ────────────────┘
//!          Waiting (backoff)
//! ```
//! A viewer joins as it greets, so that it is introduced a round trip sooner; an initial peer publishes first.
//!
//! A socket may stay open and carry nothing: a laptop slept, a router forgot the connection. Every request is answered, so
//! one that has been unanswered for 15 s, or a minute without any message, means that the tracker is lost.
//!
//! The swarm does not need the tracker: links live on while it is away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{Challenge, PeerId};
use crate::peer::backoff::Backoff;
use crate::peer::chance::Chance;
use crate::peer::input::Consent;
use crate::peer::tuning::{TRACKER_ANSWER, TRACKER_SILENCE};
use crate::relays;
use crate::time::Timestamp;
use crate::tracker_message::{CONSENT, ErrorCode, IceServer, MOVE, MOVING, PeerRequest, PeerRequestBody};

/// Unanswered requests that are remembered; the oldest decides.
const UNANSWERED_MAX: usize = 64;
/// A socket that has not opened, or a greeting that is unanswered, for this long is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds of the report interval that a tracker may set.
const REPORT_INTERVAL_MS: std::ops::RangeInclusive<u32> = 1_000..=60_000;
/// A tracker is called again after this long even if it asked for a longer wait.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Changes of what is held are told at most this often.
const HAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Where the conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Not begun, or stopped for good.
    Idle,
    /// No peers are to be had: the person does not want them, or has to agree first, or the tracker connects none.
    Withheld,
    /// Until the next attempt.
    Waiting(Timestamp),
    /// The socket is being opened; given up on at this time.
    Connecting(Timestamp),
    /// `hello` is sent; given up on at this time.
    Greeting(Timestamp),
    /// The manifest is being published before joining.
    Publishing,
    /// `join` is sent; repeated at this time.
    Joining(Timestamp),
    /// In the swarm.
    Joined,
}

/// What a refusal of the tracker means for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing to do: the request failed, the conversation goes on.
    Ignored,
    /// The swarm is not known; joining is repeated.
    UnknownSwarm,
    /// Try again later; the connection is to be closed.
    Later,
    /// No peers are to be had here unless the person agrees, or at all; the connection is to be closed.
    Withheld,
    /// It will never work.
    Never,
}

/// The state of the conversation.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) state: State,
    /// Our id, as of the last welcome.
    pub(crate) peer: Option<PeerId>,
    pub(crate) ice_servers: Arc<[IceServer]>,
    /// What the tracker asked to be signed, as of the last welcome.
    pub(crate) challenge: Challenge,
    /// What the person said about connections with other peers.
    pub(crate) consent: Consent,
    /// Whether this peer follows the tracker to another one.
    can_move: bool,
    /// Whether this is the conversation of a move: the peer is in the swarm on another connection.
    is_moving: bool,
    token: Option<String>,
    resume: Option<String>,
    backoff: Backoff,
    /// The tracker asked not to be called again before this time.
    call_after: Timestamp,
    last_request: u32,
    /// Requests that have not been answered, with the times when they left.
    unanswered: VecDeque<(u32, Timestamp)>,
    heard_at: Timestamp,
    join_request: u32,
    /// Whether `join` left with the greeting.
    is_join_ahead: bool,
    report_interval: Duration,
    pub(crate) next_report: Timestamp,
    /// Whether the tracker knows what this peer's uplink carries.
    is_uplink_told: bool,
    pub(crate) next_have: Timestamp,
}

impl Session {
    pub(crate) fn new(token: Option<String>) -> Self {
        Self {
            state: State::Idle,
            peer: None,
            ice_servers: Arc::new([]),
            challenge: Challenge::default(),
            consent: Consent::default(),
            can_move: false,
            is_moving: false,
            token,
            resume: None,
            backoff: Backoff::of_crowd(),
            call_after: Timestamp::ZERO,
            last_request: 0,
            unanswered: VecDeque::new(),
            heard_at: Timestamp::ZERO,
            join_request: 0,
            is_join_ahead: false,
            report_interval: Duration::from_secs(10),
            next_report: Timestamp::ZERO,
            is_uplink_told: false,
            next_have: Timestamp::ZERO,
        }
    }

    /// The same of a peer that follows the tracker to another one, or does not.
    pub(crate) fn moving_when_told(self, can_move: bool) -> Self {
        Self { can_move, ..self }
    }

    /// The next socket is to another tracker, which gets nothing that the last one gave.
    pub(crate) fn moved(&mut self, token: Option<String>) {
        (self.token, self.resume) = (token, None);
        self.backoff.reset();
        self.call_after = Timestamp::ZERO;
        self.is_uplink_told = false;
    }

    /// The conversation on a second connection, to a tracker that honours what this one gave.
    pub(crate) fn for_move(&self) -> Self {
        Self { is_moving: true, unanswered: VecDeque::new(), ..self.clone() }
    }

    /// Whether the tracker knows us.
    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.state, State::Publishing | State::Joining(_) | State::Joined)
    }

    /// Whether we are in the swarm.
    pub(crate) const fn is_joined(&self) -> bool {
        matches!(self.state, State::Joined)
    }

    /// Names a request that leaves now.
    pub(crate) fn request(&mut self, now: Timestamp, body: PeerRequestBody) -> PeerRequest {
        self.last_request = self.last_request.wrapping_add(1);
        if self.unanswered.len() < UNANSWERED_MAX {
            self.unanswered.push_back((self.last_request, now));
        }
        PeerRequest { id: self.last_request, body }
    }

    /// A message came, answering a request or not.
    pub(crate) fn heard(&mut self, now: Timestamp, answers: Option<u32>) {
        self.heard_at = now;
        if let Some(id) = answers {
            self.unanswered.retain(|(request, _)| *request != id);
        }
    }

    /// When a tracker that stays silent counts as lost.
    fn silence_at(&self) -> Timestamp {
        let silence = self.heard_at + TRACKER_SILENCE;
        self.unanswered.front().map_or(silence, |(_, at)| silence.min(*at + TRACKER_ANSWER))
    }

    /// Whether the tracker has been silent for too long.
    pub(crate) fn is_silent(&self, now: Timestamp) -> bool {
        self.is_up() && self.state != State::Publishing && now >= self.silence_at()
    }

    /// A socket is asked for.
    pub(crate) fn connecting(&mut self, now: Timestamp) {
        self.state = State::Connecting(now + ANSWER_TIMEOUT);
    }

    /// The socket is open: the greeting.
    pub(crate) fn hello(&mut self, now: Timestamp, version: u16, uplink_bps: u64) -> PeerRequest {
        self.state = State::Greeting(now + ANSWER_TIMEOUT);
        self.is_join_ahead = false;
        self.unanswered.clear();
        self.heard_at = now;
        let (token, resume) = (self.token.clone(), self.resume.clone());
        let said =
            [(CONSENT, self.consent == Consent::Given), (MOVE, self.can_move), (MOVING, self.is_moving)];
        let capabilities =
            said.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| name.to_owned()).collect();
        self.request(now, PeerRequestBody::Hello { version, capabilities, uplink_bps, token, resume })
    }

    /// The tracker knows us.
    pub(crate) fn welcomed(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        resume: String,
        mut ice_servers: Vec<IceServer>,
        report_interval_ms: u32,
    ) {
        relays::bound(&mut ice_servers);
        let (low, high) = (*REPORT_INTERVAL_MS.start(), *REPORT_INTERVAL_MS.end());
        self.peer = Some(peer);
        self.resume = Some(resume);
        self.ice_servers = ice_servers.into();
        self.report_interval = Duration::from_millis(u64::from(report_interval_ms.clamp(low, high)));
        self.next_report = now + self.report_interval;
        self.is_moving = false;
    }

    /// The tracker let us into the swarm. A tracker that only greets has not: it may be full.
    pub(crate) const fn joined(&mut self) {
        self.state = State::Joined;
        self.backoff.reset();
    }

    /// Joining, with the request that says so; ahead of the welcome if there was none yet.
    pub(crate) fn join(&mut self, now: Timestamp, body: PeerRequestBody) -> PeerRequest {
        if matches!(self.state, State::Greeting(_)) {
            self.is_join_ahead = true;
        } else {
            self.state = State::Joining(now + ANSWER_TIMEOUT);
        }
        let request = self.request(now, body);
        self.join_request = request.id;
        request
    }

    /// Whether joining is under way since the greeting; if so it goes on.
    pub(crate) fn goes_on_joining(&mut self, now: Timestamp) -> bool {
        if self.is_join_ahead {
            self.state = State::Joining(now + ANSWER_TIMEOUT);
        }
        self.is_join_ahead
    }

    /// The connection is lost; returns how long until the next attempt.
    pub(crate) fn lost(&mut self, now: Timestamp, chance: &mut Chance) -> Duration {
        let wait = self.backoff.next(chance).max(self.call_after.since(now));
        self.is_moving = false;
        self.state = State::Waiting(now + wait);
        wait
    }

    /// Reads a refusal of request `id`.
    pub(crate) fn refused(
        &mut self,
        now: Timestamp,
        id: Option<u32>,
        code: ErrorCode,
        retry_after: Duration,
    ) -> Refusal {
        let is_join = id == Some(self.join_request) && matches!(self.state, State::Joining(_));
        match code {
            ErrorCode::UnsupportedVersion | ErrorCode::Forbidden => Refusal::Never,
            ErrorCode::ConsentRequired | ErrorCode::MirrorsOnly => Refusal::Withheld,
            ErrorCode::UnknownSwarm if is_join => {
                self.state = State::Joining(now + retry_after.max(Duration::from_millis(500)));
                Refusal::UnknownSwarm
            }
            ErrorCode::RateLimited if !is_join && self.state == State::Joined => Refusal::Ignored,
            ErrorCode::RateLimited | ErrorCode::Full | ErrorCode::Unavailable => {
                self.call_after = now + retry_after.min(RETRY_AFTER_MAX);
                Refusal::Later
            }
            ErrorCode::BadRequest | ErrorCode::Unknown
                if is_join || matches!(self.state, State::Greeting(_)) =>
            {
                Refusal::Later
            }
            ErrorCode::BadRequest | ErrorCode::UnknownPeer | ErrorCode::UnknownSwarm | ErrorCode::Unknown => {
                Refusal::Ignored
            }
        }
    }

    /// Whether a report is due; if so the next one is planned. The first that names an uplink is due at once: the tracker
    /// gives strong viewers more neighbours.
    pub(crate) fn take_report_due(&mut self, now: Timestamp, is_uplink_known: bool) -> bool {
        if is_uplink_known && !self.is_uplink_told {
            self.next_report = self.next_report.min(now);
        }
        let is_due = take_due(self.state == State::Joined, now, &mut self.next_report, self.report_interval);
        self.is_uplink_told |= is_due && is_uplink_known;
        is_due
    }

    /// Whether a change of what is held may be told now; if so the next time is planned.
    pub(crate) fn take_have_due(&mut self, now: Timestamp) -> bool {
        take_due(self.state == State::Joined, now, &mut self.next_have, HAVE_INTERVAL)
    }

    /// When something here is due by itself.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Idle | State::Withheld | State::Publishing => None,
            State::Waiting(at) | State::Connecting(at) | State::Greeting(at) | State::Joining(at) => Some(at),
            State::Joined => Some(self.next_report.min(self.silence_at())),
        }
    }
}

fn take_due(is_joined: bool, now: Timestamp, next: &mut Timestamp, interval: Duration) -> bool {
    let is_due = is_joined && now >= *next;
    if is_due {
        *next = now + interval;
    }
    is_due
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_refused_join_is_repeated_and_a_refused_version_is_final() {
        let mut session = Session::new(None);
        let now = Timestamp::from_millis(100);
        let join = session.join(now, PeerRequestBody::Leave);
        let wait = Duration::from_secs(2);
        let refusal = session.refused(now, Some(join.id), ErrorCode::UnknownSwarm, wait);
        assert_eq!(refusal, Refusal::UnknownSwarm);
        assert_eq!(session.deadline(), Some(now + wait));
        assert_eq!(session.refused(now, None, ErrorCode::UnsupportedVersion, wait), Refusal::Never);
        session.state = State::Joined;
        assert_eq!(session.refused(now, Some(77), ErrorCode::UnknownPeer, wait), Refusal::Ignored);
    }

    #[test]
    fn a_tracker_that_leaves_a_request_unanswered_for_15_s_is_lost() {
        let mut session = Session::new(None);
        let at = Timestamp::from_millis;
        session.hello(at(0), 1, 0);
        session.heard(at(50), Some(1));
        session.state = State::Joined;
        session.next_report = at(120_000);
        let report = session.request(at(5000), PeerRequestBody::Leave);
        assert!(!session.is_silent(at(19_999)) && session.is_silent(at(20_000)));
        assert_eq!(session.deadline(), Some(at(20_000)));
        session.heard(at(20_000), Some(report.id));
        assert!(
            !session.is_silent(at(79_999)) && session.is_silent(at(80_000)),
            "a minute without any message"
        );
    }

    #[test]
    fn a_viewer_joins_as_it_greets_and_goes_on_when_it_is_welcome() {
        let mut session = Session::new(None);
        let at = Timestamp::from_millis;
        session.connecting(at(0));
        assert_eq!((session.state, session.deadline()), (State::Connecting(at(10_000)), Some(at(10_000))));
        session.hello(at(20), 1, 0);
        let join = session.join(at(20), PeerRequestBody::Leave);
        assert_eq!((session.state, session.is_up()), (State::Greeting(at(10_020)), false));
        session.welcomed(at(60), PeerId(3), String::new(), Vec::new(), 0);
        assert!(session.goes_on_joining(at(60)));
        assert_eq!(session.state, State::Joining(at(10_060)));
        // The refusal of the join that left with the greeting counts.
        let refusal = session.refused(at(60), Some(join.id), ErrorCode::Full, Duration::ZERO);
        assert_eq!(refusal, Refusal::Later);
        // At the next greeting nothing is under way.
        session.hello(at(9000), 1, 0);
        session.welcomed(at(9040), PeerId(3), String::new(), Vec::new(), 0);
        assert!(!session.goes_on_joining(at(9040)));
    }

    #[test]
    fn a_tracker_that_greets_and_is_full_is_called_ever_later_and_not_before_it_says() {
        let (mut session, mut chance) = (Session::new(None), Chance::new(1));
        let mut now = Timestamp::ZERO;
        let mut refused = |session: &mut Session, retry_after| {
            session.hello(now, 1, 0);
            let join = session.join(now, PeerRequestBody::Leave);
            session.welcomed(now, PeerId(3), String::new(), Vec::new(), 0);
            session.refused(now, Some(join.id), ErrorCode::Full, retry_after);
            let wait = session.lost(now, &mut chance);
            now = now + wait;
            wait
        };
        let second = Duration::from_secs(1);
        assert_eq!(refused(&mut session, 40 * second), 40 * second);
        let waits: Vec<Duration> = (0..6).map(|_| refused(&mut session, Duration::ZERO)).collect();
        assert!(waits[0] < 2 * second && waits[5] > 20 * second, "{waits:?}");
        assert_eq!(refused(&mut session, Duration::MAX), 300 * second, "no tracker keeps it away for good");
        session.joined();
        assert!(refused(&mut session, Duration::ZERO) < 3 * second);
    }

    #[test]
    fn a_rate_limit_is_waited_for_in_the_swarm_and_costs_the_connection_before() {
        let mut session = Session::new(None);
        let now = Timestamp::ZERO;
        session.hello(now, 1, 0);
        let limited =
            |session: &mut Session| session.refused(now, Some(1), ErrorCode::RateLimited, Duration::ZERO);
        assert_eq!(limited(&mut session), Refusal::Later);
        session.state = State::Joined;
        assert_eq!(limited(&mut session), Refusal::Ignored);
        let bad = session.refused(now, Some(77), ErrorCode::BadRequest, Duration::ZERO);
        assert_eq!(bad, Refusal::Ignored, "one request failed, and no other");
    }

    #[test]
    fn the_next_attempt_is_later_after_each_failure_until_one_succeeds() {
        let mut session = Session::new(None);
        let mut chance = Chance::new(1);
        let mut waits = || session.lost(Timestamp::ZERO, &mut chance);
        let waits: Vec<Duration> = (0..8).map(|_| waits()).collect();
        assert!(waits[1..].is_sorted() && waits[7] <= Duration::from_secs(30), "{waits:?}");
        assert!(waits[0] <= Duration::from_millis(2100), "{waits:?}");
        assert_eq!(session.deadline(), Some(Timestamp::ZERO + waits[7]));
        session.joined();
        assert!(session.lost(Timestamp::ZERO, &mut chance) <= Duration::from_millis(2100));
    }

    #[test]
    fn reports_and_news_keep_their_intervals() {
        let mut session = Session::new(None);
        let at = Timestamp::from_millis;
        session.welcomed(at(0), PeerId(3), String::new(), Vec::new(), 5000);
        assert!(
            !session.take_report_due(at(5000), true) && !session.take_have_due(at(0)),
            "not in the swarm yet"
        );
        session.state = State::Joined;
        let due = [4999, 5000, 5001, 10_000].map(|ms| session.take_report_due(at(ms), false));
        assert_eq!(due, [false, true, false, true]);
        let due = [10_001, 10_002, 15_001].map(|ms| session.take_report_due(at(ms), true));
        assert_eq!(due, [true, false, true], "the first with an uplink is due at once");
        let due = [10_000, 10_999, 11_000].map(|ms| session.take_have_due(at(ms)));
        assert_eq!(due, [true, false, true]);
    }

    #[test]
    fn consent_is_told_when_it_was_given_and_a_tracker_that_requires_it_ends_the_conversation() {
        let mut session = Session::new(None);
        for (consent, told) in [(Consent::Given, vec![CONSENT]), (Consent::Open, vec![])] {
            session.consent = consent;
            let PeerRequestBody::Hello { capabilities, .. } = session.hello(Timestamp::ZERO, 1, 0).body
            else {
                panic!("not a hello")
            };
            assert_eq!(capabilities, told);
        }
        for code in [ErrorCode::ConsentRequired, ErrorCode::MirrorsOnly] {
            let refusal = session.refused(Timestamp::ZERO, Some(2), code, Duration::ZERO);
            assert_eq!(refusal, Refusal::Withheld);
        }
    }

    #[test]
    fn a_resume_token_is_presented_at_the_next_greeting() {
        let mut session = Session::new(Some("let me in".into()));
        session.welcomed(Timestamp::ZERO, PeerId(3), "again".into(), Vec::new(), 0);
        let hello = session.hello(Timestamp::ZERO, 1, 0);
        let PeerRequestBody::Hello { token, resume, .. } = hello.body else { panic!("not a hello") };
        assert_eq!((token.as_deref(), resume.as_deref()), (Some("let me in"), Some("again")));
        assert_eq!(session.next_report, Timestamp::from_millis(1000));
    }
}
