//! Which of several trackers a viewer talks to.
//!
//! A viewer begins at the tracker of its link. The manifest lists more. It keeps one tracker for as long as that one answers,
//! and goes to the next when a connection fails before it is in the swarm. Drivers open the sockets; this says where to.
//!
//! The tracker in use may send the viewer to another one of its cluster. That one is no entry of the list: it is used until its
//! connection ends. Then the viewer is back at the one that sent it, with all that the cluster gave it.
//!
//! Links between neighbours stay while a viewer moves, and playback does not wait for it.

use std::time::Duration;

use crate::peer::Chance;
use crate::time::Timestamp;
use crate::web_address::WebAddress;

/// Trackers that a viewer knows at most: that of its link, and as many as a manifest may list.
const TRACKERS_MAX: usize = 9;

/// A tracker that failed once is left alone for this long, if there is another …
const REST_FIRST: Duration = Duration::from_secs(2);
/// … and for twice as long after each further failure, up to this.
const REST_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
struct Entry<A> {
    address: A,
    failures: u32,
    rests_until: Timestamp,
}

impl<A> Entry<A> {
    const fn new(address: A) -> Self {
        Self { address, failures: 0, rests_until: Timestamp::ZERO }
    }
}

/// The trackers of one content, and the one in use. `A` is how the driver names a tracker.
#[derive(Debug, Clone)]
pub struct TrackerList<A> {
    entries: Vec<Entry<A>>,
    current: usize,
    /// Where the tracker in use sent the viewer, if it went there.
    moved: Option<A>,
    /// Whether the connection in use brought the viewer into the swarm.
    is_joined: bool,
    chance: Chance,
}

impl<A: PartialEq> TrackerList<A> {
    /// The tracker of a link. The seed spreads the viewers of a tracker that fails over the others.
    pub fn new(own: A, seed: u64) -> Self {
        Self {
            entries: vec![Entry::new(own)],
            current: 0,
            moved: None,
            is_joined: false,
            chance: Chance::new(seed),
        }
    }

    /// What the manifest lists, in an order of this viewer's own.
    pub fn learn(&mut self, listed: impl IntoIterator<Item = A>) {
        let begin = self.entries.len();
        for address in listed {
            if self.entries.len() < TRACKERS_MAX && !self.entries.iter().any(|entry| entry.address == address)
            {
                self.entries.push(Entry::new(address));
            }
        }
        for at in (begin + 1..self.entries.len()).rev() {
            let below = u32::try_from(at - begin + 1).unwrap_or(1);
            self.entries.swap(at, begin + self.chance.below(below) as usize);
        }
    }

    /// The tracker in use.
    pub fn current(&self) -> &A {
        // There is one from the start on, and none is removed.
        let listed = &self.entries[self.current.min(self.entries.len() - 1)].address;
        self.moved.as_ref().unwrap_or(listed)
    }

    /// Whether the tracker in use is that of the link, or acts as one with it.
    pub const fn is_own(&self) -> bool {
        self.current == 0
    }

    /// Whether a refusal of the tracker in use means that it is left for another one, not that the viewer ends.
    pub const fn is_left_if_it_refuses(&self) -> bool {
        !self.is_own() || (self.moved.is_some() && !self.is_joined)
    }

    /// The viewer followed the tracker in use to another one of its cluster; `is_joined`: which took it into the swarm.
    pub fn moved(&mut self, to: A, is_joined: bool) {
        (self.moved, self.is_joined) = (Some(to), is_joined);
    }

    /// A socket is to be opened: goes on to another tracker if the one in use is to be left alone. Whether it went on.
    pub fn begin(&mut self, now: Timestamp) -> bool {
        self.is_joined = false;
        self.go_on(now)
    }

    /// The tracker took the viewer into the swarm.
    pub fn joined(&mut self) {
        self.is_joined = true;
        if let Some(entry) = self.entries.get_mut(self.current).filter(|_| self.moved.is_none()) {
            (entry.failures, entry.rests_until) = (0, Timestamp::ZERO);
        }
    }

    /// The connection ended. Whether the next one goes to another tracker. A tracker that had taken the viewer in is tried again
    /// first: it may have started again. One that the viewer was sent to is left for the one that sent it.
    pub fn ended(&mut self, now: Timestamp) -> bool {
        let has_moved = self.moved.take().is_some();
        if std::mem::take(&mut self.is_joined) || has_moved {
            return false;
        }
        let rest = |failures: u32| REST_FIRST.saturating_mul(1 << failures.min(10)).min(REST_MAX);
        if let Some(entry) = self.entries.get_mut(self.current) {
            let rest = rest(entry.failures);
            let spread_ms = u32::try_from(rest.as_millis() / 4).unwrap_or(0);
            let rest = rest - Duration::from_millis(u64::from(self.chance.below(spread_ms)));
            entry.failures = entry.failures.saturating_add(1);
            entry.rests_until = now + rest;
        }
        self.go_on(now)
    }

    /// The tracker in use, which is about to stop, names another one. Whether the next connection goes there: only to one that the
    /// publisher lists.
    pub fn advised(&mut self, now: Timestamp, address: &A) -> bool {
        let is_usable = |entry: &Entry<A>| entry.address == *address && entry.rests_until <= now;
        let Some(at) = self.entries.iter().position(is_usable) else { return false };
        if self.moved.is_some() && at == self.current {
            return false;
        }
        self.moved = None;
        self.is_joined = false;
        std::mem::replace(&mut self.current, at) != at
    }

    fn go_on(&mut self, now: Timestamp) -> bool {
        let count = self.entries.len();
        let mut order = (0..count).map(|step| (self.current + step) % count);
        let next = order.find(|at| self.entries.get(*at).is_some_and(|entry| entry.rests_until <= now));
        let Some(next) = next else { return false };
        std::mem::replace(&mut self.current, next) != next
    }
}

/// The tracker that the reason of a close frame names as the one to go to: `move to ADDRESS`.
pub fn advice_of(reason: &str) -> Option<&str> {
    reason.split_once("move to ").map(|(_, address)| address.trim())
}

/// Whether a viewer uses a tracker that a manifest lists, given the address of its link's tracker. Addresses of private networks
/// are for viewers whose own tracker is in one, and nobody is led from TLS to a connection without it.
pub fn is_usable(listed: &str, own: &str) -> bool {
    let schemes = ["wss", "ws"];
    let (Some(listed), Some(own)) = (WebAddress::read(listed, &schemes), WebAddress::read(own, &schemes))
    else {
        return false;
    };
    (own.is_local() || !listed.is_local()) && (own.scheme == "ws" || listed.scheme == "wss")
}

/// Whether a token is a permission to watch one content (a JSON Web Token), which other trackers of its publisher may see. Others
/// are secrets of an operator.
pub fn is_permission(token: &str) -> bool {
    token.starts_with("ey") && token.split('.').filter(|part| !part.is_empty()).count() == 3
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn list(count: u8, seed: u64) -> TrackerList<u8> {
        let mut list = TrackerList::new(0, seed);
        list.learn(0..count);
        list
    }

    #[test]
    fn a_tracker_that_does_not_answer_is_left_for_the_next_until_all_were_tried() {
        let mut list = list(3, 1);
        assert!(!list.begin(at(0)) && list.is_own());
        let mut tried = vec![*list.current()];
        while list.ended(at(0)) {
            tried.push(*list.current());
        }
        tried.sort_unstable();
        assert_eq!(tried, [0, 1, 2]);
        assert!(!list.begin(at(100)) && !list.ended(at(100)), "all rest");
        assert!(list.begin(at(2_000)), "the others have rested");
    }

    #[test]
    fn a_tracker_that_took_the_viewer_in_is_tried_again_before_it_is_left() {
        let mut list = list(2, 1);
        list.begin(at(0));
        list.joined();
        assert!(!list.ended(at(1_000)) && !list.begin(at(1_500)) && list.is_own());
        assert!(list.ended(at(1_600)) && !list.is_own());
        list.joined();
        assert!(!list.ended(at(90_000)));
        assert!(!list.begin(at(91_000)) && !list.is_own(), "it does not go back by itself");
    }

    #[test]
    fn one_that_fails_again_and_again_rests_longer() {
        let mut list = list(1, 1);
        let rests: Vec<u64> = (0..8)
            .map(|_| {
                list.ended(at(0));
                list.entries[0].rests_until.as_micros() / 1000
            })
            .collect();
        assert!((1_500..=2_000).contains(&rests[0]) && (45_000..=60_000).contains(&rests[7]), "{rests:?}");
        list.joined();
        assert_eq!(list.entries[0].rests_until, Timestamp::ZERO);
    }

    #[test]
    fn nobody_is_led_into_a_private_network_or_away_from_tls() {
        let own = "wss://films.example.org/v1/swarm";
        for (listed, is_used) in [
            ("wss://other.example.org/v1/swarm", true),
            ("ws://other.example.org/v1/swarm", false),
            ("wss://192.168.0.1/v1/swarm", false),
            ("https://other.example.org/", false),
        ] {
            assert_eq!(is_usable(listed, own), is_used, "{listed}");
        }
        assert!(is_usable("ws://127.0.0.1:2/v1/swarm", "ws://127.0.0.1:1/v1/swarm"));
        assert!(is_usable("ws://other.example.org/v1/swarm", "ws://192.168.0.1/v1/swarm"));
        assert!(is_permission("eyJhbGciOiJIUzI1NiJ9.e30.c2ln"));
        assert!(!is_permission("a secret") && !is_permission("a.b.c") && !is_permission("ey.b."));
    }

    #[test]
    fn a_tracker_that_stops_sends_its_viewers_only_where_their_publisher_serves() {
        let mut list = list(3, 1);
        list.begin(at(0));
        list.joined();
        assert!(!list.advised(at(10), &77) && list.is_own(), "nobody listed it");
        assert!(list.advised(at(10), &2));
        assert_eq!((*list.current(), list.begin(at(20))), (2, false));
        assert!(!list.advised(at(30), &2), "it is there already");
        assert_eq!(advice_of("closed: move to wss://a/v1/swarm"), Some("wss://a/v1/swarm"));
        assert_eq!(advice_of("the tracker is stopping"), None);
    }

    #[test]
    fn a_viewer_that_followed_its_tracker_is_back_there_when_that_connection_ends() {
        let mut list = list(3, 1);
        list.begin(at(0));
        list.joined();
        list.moved(77, true);
        assert!(*list.current() == 77 && list.is_own() && !list.is_left_if_it_refuses());
        assert!(!list.ended(at(10)) && !list.begin(at(20)), "what its tracker gave is good for both");
        assert_eq!((*list.current(), list.is_own()), (0, true));
        list.moved(77, false);
        assert!(list.is_left_if_it_refuses() && !list.ended(at(30)) && *list.current() == 0);
        list.moved(77, true);
        assert!(!list.advised(at(40), &0), "the one that sent it is where it goes anyway");
        assert!(list.advised(at(40), &2) && *list.current() == 2);
    }

    #[test]
    fn viewers_of_a_tracker_that_fails_spread_over_the_others() {
        let second = |seed| {
            let mut list = list(5, seed);
            list.begin(at(0));
            assert!(list.ended(at(0)));
            *list.current()
        };
        for other in 1..5 {
            let count = (0..400).filter(|seed| second(*seed) == other).count();
            assert!((60..=140).contains(&count), "{count} of 400 go to {other}");
        }
        assert_eq!(list(200, 1).entries.len(), TRACKERS_MAX);
    }
}
