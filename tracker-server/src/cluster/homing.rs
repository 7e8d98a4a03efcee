//! Which members are told where the home of their room is, and when.
//!
//! A message of a member costs several times one of a peer at the home. So a member moves there, if the home has an address of its own.
//! Until then, and if it does not, it is bridged. Nothing waits for a move, so it can wait:
//!
//! * until the home has been one for a while: after a failure, homes change once more now and then, and what peers lost comes first;
//! * until the member has been in the room for a while: a player that starts has more urgent things to say;
//! * for its turn: a home takes so many a second, of all trackers together;
//! * and longer after each time that a member was told and did not follow. It may be unable to reach the home.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use swarm_core::Timestamp;

use super::record::{Record, Records, State};
use crate::decision::{ConnectionId, Room};
use crate::engine::{Home, TrackerId};
use crate::limits::{MOVES_PER_S, TOLD_AGAIN_AFTER, TOLD_DOUBLINGS_MAX};

/// What the operator said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manners<'a> {
    /// Where peers reach this tracker and no other.
    pub(crate) own_url: Option<&'a str>,
    /// How long a home and a member are left alone at first.
    pub(crate) patience: Duration,
}

/// When a member is told next.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: Timestamp,
    tells: u32,
}

/// What this tracker remembers of its members and their homes.
#[derive(Debug, Default)]
pub(super) struct Homing {
    /// Since when a room with members here has had its home.
    since: BTreeMap<Room, (Home, Timestamp)>,
    turns: HashMap<ConnectionId, Turn>,
}

impl Homing {
    /// Whom to tell in this second, and where to go. `members` are all that may be told.
    pub(super) fn choose(
        &mut self,
        now: Timestamp,
        manners: Manners<'_>,
        (records, me): (&Records, TrackerId),
        members: impl Iterator<Item = (ConnectionId, (Room, Home))>,
    ) -> Vec<(ConnectionId, String)> {
        let reached: BTreeMap<TrackerId, &Record> = records
            .iter()
            .filter(|(id, record)| *id != me && record.state == State::Serving)
            .filter(|(_, record)| record.url.is_some() && record.url.as_deref() != manners.own_url)
            .collect();
        if reached.is_empty() {
            *self = Self::default();
            return Vec::new();
        }
        let members: BTreeMap<ConnectionId, (Room, Home)> =
            members.filter(|(_, (_, home))| reached.contains_key(&home.tracker)).collect();
        let old = std::mem::take(&mut self.since);
        for (room, home) in members.values() {
            let before = old.get(room).filter(|(before, _)| before == home);
            self.since.insert(*room, before.copied().unwrap_or((*home, now)));
        }
        self.turns.retain(|connection, _| members.contains_key(connection));
        let mut ready: Vec<(Timestamp, ConnectionId, TrackerId)> = Vec::new();
        for (connection, (room, home)) in &members {
            let turn = self.turns.entry(*connection).or_insert(Turn { at: now + manners.patience, tells: 0 });
            let is_stable = self.since.get(room).is_some_and(|(_, since)| now >= *since + manners.patience);
            if is_stable && now >= turn.at {
                ready.push((turn.at, *connection, home.tracker));
            }
        }
        ready.sort_unstable();
        let tellers = u32::try_from(records.iter().count()).unwrap_or(u32::MAX).saturating_sub(1).max(1);
        let share = (MOVES_PER_S / tellers).max(1);
        let mut told: BTreeMap<TrackerId, u32> = BTreeMap::new();
        ready.retain(|(_, _, home)| {
            let count = told.entry(*home).or_default();
            *count += 1;
            *count <= share
        });
        ready
            .into_iter()
            .filter_map(|(_, connection, home)| {
                let turn = self.turns.get_mut(&connection)?;
                turn.at = now + TOLD_AGAIN_AFTER * (1 << turn.tells.min(TOLD_DOUBLINGS_MAX));
                turn.tells = turn.tells.saturating_add(1);
                Some((connection, reached.get(&home)?.url.clone()?))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use swarm_core::SwarmId;
    use swarm_core::limits::MOVE_INTERVAL;

    use super::*;

    const ME: TrackerId = TrackerId(1);
    const HOME: Home = Home { tracker: TrackerId(2), epoch: 7 };
    const ROOM: Room = Room::new(SwarmId([1; 32]), 0);
    const PATIENCE: Duration = Duration::from_secs(10);

    fn at(s: u64) -> Timestamp {
        Timestamp::from_millis(s * 1000)
    }

    fn record(url: Option<&str>, state: State) -> Record {
        let url = url.map(str::to_owned);
        Record { name: String::new(), url, state, connections: 0, guests: 0, members: 0, rooms: vec![] }
    }

    fn records(others: &[Record]) -> Records {
        let all = [record(Some("wss://me/"), State::Serving)].into_iter().chain(others.iter().cloned());
        let found: Vec<_> = (1..).map(TrackerId).zip(all.map(|record| record.encode())).collect();
        let mut records = Records::default();
        records.replace(ME, &found);
        records
    }

    /// Who is told in each second up to `end`, of `count` members of a room with this home.
    fn told(
        homing: &mut Homing,
        records: &Records,
        count: u64,
        home: Home,
        seconds: std::ops::Range<u64>,
    ) -> Vec<(u64, usize)> {
        let manners = Manners { own_url: Some("wss://me/"), patience: PATIENCE };
        seconds
            .filter_map(|second| {
                let members = (0..count).map(|number| (ConnectionId(number), (ROOM, home)));
                let chosen = homing.choose(at(second), manners, (records, ME), members);
                assert!(chosen.iter().all(|(_, to)| to == "wss://home.example/"), "{chosen:?}");
                (!chosen.is_empty()).then_some((second, chosen.len()))
            })
            .collect()
    }

    #[test]
    fn members_are_told_after_a_while_and_less_and_less_often_if_they_stay() {
        let records = records(&[record(Some("wss://home.example/"), State::Serving)]);
        let mut homing = Homing::default();
        let times = told(&mut homing, &records, 1, HOME, 0..20_000);
        let times: Vec<u64> = times.into_iter().map(|(second, _)| second).collect();
        assert_eq!(times[0], 10);
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            gaps[0] > MOVE_INTERVAL.as_secs() && gaps.is_sorted() && gaps.last() >= Some(&3_600),
            "{gaps:?}"
        );
    }

    #[test]
    fn nobody_is_told_of_a_home_that_has_no_address_or_this_one_or_stops() {
        for home in [
            record(None, State::Serving),
            record(Some("wss://me/"), State::Serving),
            record(Some("wss://home.example/"), State::Draining),
        ] {
            let records = records(&[home]);
            assert_eq!(told(&mut Homing::default(), &records, 5, HOME, 0..60), []);
        }
        assert_eq!(told(&mut Homing::default(), &records(&[]), 5, HOME, 0..60), [], "a tracker that is gone");
    }

    #[test]
    fn a_home_takes_so_many_a_second_of_all_trackers_together() {
        let home = record(Some("wss://home.example/"), State::Serving);
        let (two, five) = (
            records(std::slice::from_ref(&home)),
            records(&[
                home,
                record(None, State::Serving),
                record(None, State::Serving),
                record(None, State::Serving),
            ]),
        );
        let per_s = MOVES_PER_S as usize;
        let times = told(&mut Homing::default(), &two, 250, HOME, 0..30);
        assert_eq!(times, [(10, per_s), (11, per_s), (12, 250 - 2 * per_s)]);
        assert_eq!(told(&mut Homing::default(), &five, 250, HOME, 0..12), [(10, per_s / 4), (11, per_s / 4)]);
    }

    #[test]
    fn a_home_that_has_changed_is_left_alone_for_a_while() {
        let records = records(&[record(Some("wss://home.example/"), State::Serving)]);
        let mut homing = Homing::default();
        assert_eq!(told(&mut homing, &records, 1, HOME, 0..9), []);
        let next = Home { epoch: 8, ..HOME };
        assert_eq!(told(&mut homing, &records, 1, next, 9..30), [(19, 1)]);
    }
}
