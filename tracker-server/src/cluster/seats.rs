//! Where each room of a swarm is decided upon, and what the engine is to be asked about it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use swarm_core::{SwarmId, Timestamp};

use crate::decision::Room;
use crate::engine::{Claim, Home, TrackerId};
use crate::limits::{BEAT_INTERVAL, HOME_FORGOTTEN_AFTER, HOME_RETRY};

/// Beats for which a home without peers is kept.
const IDLE_BEATS_MAX: u32 = 5;

/// Where a room is decided upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Not known yet.
    Asked,
    /// Here, in this epoch, for everybody.
    Here(u64),
    /// At another tracker.
    There(Home),
    /// Here, for own peers only.
    Alone,
}

#[derive(Debug)]
struct Seat {
    place: Place,
    /// Whether the engine is being asked.
    is_asked: bool,
    /// When the engine is to be asked again.
    ask_at: Option<Timestamp>,
    /// Beats without a peer in the room.
    idle_beats: u32,
}

impl Seat {
    const fn new(place: Place) -> Self {
        Self { place, is_asked: false, ask_at: None, idle_beats: 0 }
    }
}

/// What the engine is to be asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    pub(crate) claims: Vec<Room>,
    pub(crate) releases: Vec<Room>,
}

/// The places of all rooms in which a peer of this tracker takes part.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    seats: BTreeMap<Room, Seat>,
    asks: Asks,
}

impl Seats {
    /// Where a room is decided upon; none if nobody here has asked.
    pub(crate) fn place(&self, room: Room) -> Option<Place> {
        self.seats.get(&room).map(|seat| seat.place)
    }

    /// Where the rooms of a swarm are decided upon, as far as peers of this tracker take part in them.
    pub(super) fn of(&self, swarm: SwarmId) -> impl Iterator<Item = (u32, Place)> + '_ {
        let seats = self.seats.range(Room::new(swarm, 0)..=Room::new(swarm, u32::MAX));
        seats.map(|(room, seat)| (room.number, seat.place))
    }

    /// Sets where a room is decided upon.
    pub(crate) fn set(&mut self, room: Room, place: Place) {
        self.seats.insert(room, Seat::new(place));
    }

    /// The rooms whose place `is_meant`.
    pub(crate) fn which(&self, is_meant: impl Fn(Place) -> bool) -> Vec<Room> {
        self.seats.iter().filter(|(_, seat)| is_meant(seat.place)).map(|(room, _)| *room).collect()
    }

    /// The rooms that are decided upon here, for others too.
    pub(crate) fn homes(&self) -> Vec<Room> {
        self.which(|place| matches!(place, Place::Here(_)))
    }

    /// Asks the engine for the home of a room.
    pub(crate) fn ask(&mut self, room: Room) {
        let seat = self.seats.entry(room).or_insert(Seat::new(Place::Asked));
        seat.ask_at = None;
        if !seat.is_asked {
            seat.is_asked = true;
            self.asks.claims.push(room);
        }
    }

    /// What the engine is to be asked now.
    pub(crate) fn take_asks(&mut self) -> Asks {
        std::mem::take(&mut self.asks)
    }

    /// Whether the engine is to be asked something.
    pub(crate) fn is_asking(&self) -> bool {
        self.asks != Asks::default()
    }

    /// The engine did not answer: it is asked again.
    pub(crate) fn asks_failed(&mut self, now: Timestamp, claims: &[Room]) {
        for room in claims {
            if let Some(seat) = self.seats.get_mut(room) {
                seat.is_asked = false;
                seat.ask_at = Some(now + BEAT_INTERVAL);
            }
        }
    }

    /// Asks for what is due to be asked for.
    pub(crate) fn ask_due(&mut self, now: Timestamp) {
        let due = self.seats.iter().filter(|(_, seat)| seat.ask_at.is_some_and(|at| at <= now));
        let due: Vec<Room> = due.map(|(room, _)| *room).collect();
        due.into_iter().for_each(|room| self.ask(room));
    }

    /// A tracker says that it is not the home of a room: the engine knows who is, soon.
    pub(crate) fn not_home(&mut self, now: Timestamp, room: Room, home: Home) {
        if let Some(seat) = self.seats.get_mut(&room).filter(|seat| seat.place == Place::There(home)) {
            seat.ask_at = Some(now + HOME_RETRY);
        }
    }

    /// What the engine said about a room. Returns its place if that is another than before, or if its members are to be
    /// attached again.
    pub(super) fn claimed(
        &mut self,
        (now, me): (Timestamp, TrackerId),
        room: Room,
        claim: Claim,
    ) -> Option<Place> {
        let seat = self.seats.get_mut(&room)?;
        seat.is_asked = false;
        match claim {
            Claim::NoLease => {
                seat.ask_at = Some(now + BEAT_INTERVAL);
                None
            }
            Claim::Home(home) if home.tracker != me => Some(Place::There(home)),
            Claim::Home(Home { epoch, .. }) => {
                seat.ask_at = Some(now + HOME_FORGOTTEN_AFTER / 4);
                (seat.place != Place::Here(epoch)).then_some(Place::Here(epoch))
            }
        }
    }

    /// The lease was over for a while: others may have the homes now. Homes that were here are asked for at once; who was
    /// elsewhere gives the old home time to do so. `occupied` are the rooms that have peers here.
    pub(super) fn reclaim(&mut self, now: Timestamp, occupied: &[Room]) {
        for room in occupied {
            self.seats.entry(*room).or_insert(Seat::new(Place::Alone));
        }
        for seat in self.seats.values_mut() {
            seat.is_asked = false;
            seat.ask_at = match seat.place {
                Place::Here(_) | Place::Asked => Some(now + Duration::ZERO),
                Place::Alone => Some(now + BEAT_INTERVAL * 2),
                Place::There(_) => None,
            };
        }
        self.asks = Asks::default();
    }

    /// The engine is away: it is asked nothing. Returns the rooms that were decided upon elsewhere.
    pub(super) fn detach(&mut self) -> Vec<Room> {
        self.asks = Asks::default();
        for seat in self.seats.values_mut() {
            seat.is_asked = false;
            seat.ask_at = None;
        }
        self.which(|place| matches!(place, Place::There(_) | Place::Asked))
    }

    /// A beat passed: forgets rooms in which nobody was for some beats, and gives up their homes.
    pub(super) fn drop_idle(&mut self, occupied: &[Room], awaited: &BTreeSet<Room>) {
        let Self { seats, asks } = self;
        seats.retain(|room, seat| {
            let is_idle = !awaited.contains(room) && occupied.binary_search(room).is_err();
            seat.idle_beats = if is_idle { seat.idle_beats + 1 } else { 0 };
            if seat.idle_beats < IDLE_BEATS_MAX || seat.is_asked {
                return true;
            }
            if let Place::Here(_) = seat.place {
                asks.releases.push(*room);
            }
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: TrackerId = TrackerId(1);
    const OTHER: Home = Home { tracker: TrackerId(2), epoch: 7 };
    const SWARM: Room = Room::new(SwarmId([1; 32]), 0);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn claims(seats: &mut Seats) -> usize {
        seats.take_asks().claims.len()
    }

    #[test]
    fn a_swarm_is_asked_for_once_and_again_when_the_engine_did_not_answer() {
        let mut seats = Seats::default();
        seats.ask(SWARM);
        seats.ask(SWARM);
        assert_eq!((claims(&mut seats), seats.place(SWARM)), (1, Some(Place::Asked)));
        seats.asks_failed(at(0), &[SWARM]);
        seats.ask_due(at(999));
        assert_eq!(claims(&mut seats), 0);
        seats.ask_due(at(1_000));
        assert_eq!(claims(&mut seats), 1);
        let own = Claim::Home(Home { tracker: ME, epoch: 3 });
        assert_eq!(seats.claimed((at(1_001), ME), SWARM, own), Some(Place::Here(3)));
        seats.set(SWARM, Place::Here(3));
        assert_eq!(seats.claimed((at(1_002), ME), SWARM, own), None, "nothing is new");
        assert_eq!(seats.homes(), [SWARM]);
        assert_eq!(seats.claimed((at(1_003), ME), SWARM, Claim::Home(OTHER)), Some(Place::There(OTHER)));
    }

    #[test]
    fn a_home_that_does_not_know_of_it_is_looked_up_again() {
        let mut seats = Seats::default();
        seats.set(SWARM, Place::There(OTHER));
        seats.not_home(at(0), SWARM, Home { epoch: 6, ..OTHER });
        seats.ask_due(at(10_000));
        assert_eq!(claims(&mut seats), 0, "what an earlier home says is of no account");
        seats.not_home(at(0), SWARM, OTHER);
        seats.ask_due(at(200));
        assert_eq!(claims(&mut seats), 1);
    }

    #[test]
    fn after_a_lapse_old_homes_come_first() {
        let mut seats = Seats::default();
        let [own, alone, fresh] = [2, 3, 4].map(|number| Room::new(SwarmId([number; 32]), 0));
        seats.set(own, Place::Here(1));
        seats.set(SWARM, Place::There(OTHER));
        assert_eq!(seats.detach(), [SWARM]);
        seats.set(alone, Place::Alone);
        seats.reclaim(at(100), &[fresh]);
        assert_eq!(seats.place(fresh), Some(Place::Alone));
        seats.ask_due(at(100));
        assert_eq!(seats.take_asks().claims, [own]);
        seats.ask_due(at(2_100));
        assert_eq!(seats.take_asks().claims, [alone, fresh]);
    }

    #[test]
    fn a_home_without_peers_is_given_up_after_some_beats() {
        let mut seats = Seats::default();
        seats.set(SWARM, Place::Here(1));
        (0..10).for_each(|_| seats.drop_idle(&[SWARM], &BTreeSet::new()));
        (0..10).for_each(|_| seats.drop_idle(&[], &BTreeSet::from([SWARM])));
        assert_eq!(seats.homes(), [SWARM]);
        (0..IDLE_BEATS_MAX).for_each(|_| seats.drop_idle(&[], &BTreeSet::new()));
        assert_eq!((seats.take_asks().releases, seats.place(SWARM)), (vec![SWARM], None));
    }
}
