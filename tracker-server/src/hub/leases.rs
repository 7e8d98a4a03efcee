//! The hub and the engine: beats, leases, homes, and the way to stop.

use std::collections::BTreeSet;

use bytes::Bytes;
use swarm_core::{SwarmId, Timestamp};

use super::{Hub, State};
use crate::cluster::record::{Homed, Record, State as Standing};
use crate::cluster::seats::Place;
use crate::cluster::wire::Message;
use crate::decision::Room;
use crate::engine::{Beat, Claim, EngineError, Home, TrackerId};

/// Why a tracker does not act as one with the others.
pub(crate) const OTHER_SECRET: &str = "the trackers around this engine have another --secret";

/// What the engine is to be asked.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    pub(crate) me: TrackerId,
    /// Rooms whose homes are asked for, each with the tracker that is to be its home if it has none.
    pub(crate) claims: Vec<(Room, TrackerId)>,
    /// Rooms without peers whose homes are given up.
    pub(crate) releases: Vec<Room>,
    /// Swarms of these rooms that are not known here.
    pub(crate) unknown: BTreeSet<SwarmId>,
}

impl Hub {
    /// What the other trackers are to know of this one.
    pub(crate) fn record(&self) -> Option<(TrackerId, Bytes)> {
        let state = self.lock();
        let cluster = state.cluster.as_ref()?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let homed = |room: Room| {
            let (seeders, leechers) = state.tracker.room_counts(room);
            Homed { room, seeders, leechers }
        };
        let (members, guests) = cluster.counts();
        let record = Record {
            name: self.name.get().cloned().unwrap_or_default(),
            url: self.config.public_url.clone(),
            state: if cluster.is_draining { Standing::Draining } else { Standing::Serving },
            connections: count(state.lines.len() - guests),
            guests: count(guests),
            members: count(members),
            rooms: cluster.seats.homes().into_iter().map(homed).collect(),
        };
        Some((cluster.me, record.encode()))
    }

    /// The engine answered a beat.
    pub(crate) fn beaten(&self, sent_at: Timestamp, beat: &Beat) {
        let mut state = self.lock();
        let occupied = state.tracker.occupied();
        let Some(cluster) = &mut state.cluster else { return };
        if !cluster.is_leased() {
            tracing::info!(
                "the engine answers: this tracker and {} others act as one",
                beat.trackers.len() - 1
            );
        }
        cluster.beaten(sent_at, beat, &occupied);
        let gone =
            cluster.guests.which(|guest| !beat.trackers.iter().any(|(tracker, _)| *tracker == guest.tracker));
        let me = cluster.me;
        cluster.send(me, Message::Probe);
        self.drop_guests(&mut state, gone);
        self.wake(&state);
    }

    /// The engine did not answer a beat.
    pub(crate) fn beat_failed(&self, error: &EngineError) {
        self.metrics.count_engine_failure();
        tracing::debug!("a beat failed: {error}");
        self.tick();
        let mut state = self.lock();
        if state.cluster.as_mut().is_some_and(|cluster| cluster.is_to_say_away()) {
            tracing::warn!(
                "the engine does not answer: this tracker goes on with its own peers, and joins the others when it \
                 does ({error})"
            );
        }
    }

    /// A digest of the secret, by which trackers see whether all have the same.
    pub(crate) fn secret_check(&self) -> Bytes {
        let key =
            self.config.tracker.resume_key.derived("tributary 2026 check of the secret of several trackers");
        data_encoding::HEXLOWER.encode(&key).into()
    }

    /// The trackers around the engine have another secret. This one takes no homes and goes on with its own peers.
    pub(crate) fn disagreed(&self) {
        self.metrics.count_engine_failure();
        self.tick();
        let mut state = self.lock();
        if state.cluster.as_mut().is_some_and(|cluster| cluster.is_to_say_away()) {
            tracing::error!(
                "{OTHER_SECRET}: this tracker goes on with its own peers; start it again with theirs"
            );
        }
    }

    /// What is due by itself.
    pub(crate) fn tick(&self) {
        let now = self.now();
        let mut state = self.lock();
        self.check_lease(&mut state);
        if let Some(cluster) = &mut state.cluster {
            if cluster.is_leased() {
                cluster.seats.ask_due(now);
            }
            let mended = cluster.mend();
            self.metrics.count_mended(mended);
        }
        self.wake(&state);
    }

    /// Stops being the home for others once the lease is over.
    pub(super) fn check_lease(&self, state: &mut State) {
        let now = self.now();
        let Some(cluster) = &mut state.cluster else { return };
        if !cluster.is_lease_over(now) {
            return;
        }
        let (elsewhere, guests) = cluster.detach();
        self.drop_guests(state, guests);
        for room in elsewhere {
            self.settle(state, room, Place::Alone);
        }
    }

    /// Everything that waits to be sent to other trackers.
    pub(crate) fn take_frames(&self) -> Vec<(TrackerId, Bytes)> {
        let mut state = self.lock();
        state.cluster.as_mut().map(|cluster| cluster.take_frames()).unwrap_or_default()
    }

    /// Frames to a tracker did not arrive.
    pub(crate) fn note_loss(&self, to: TrackerId) {
        self.metrics.count_lost_frame();
        self.lock().cluster.iter_mut().for_each(|cluster| cluster.note_loss(to));
    }

    /// The inbox is subscribed to, again or for the first time: frames may have been lost before.
    pub(crate) fn subscribed(&self) {
        self.lock().cluster.iter_mut().for_each(|cluster| cluster.note_all_lost());
    }

    /// What the engine is to be asked.
    pub(crate) fn take_asks(&self) -> Questions {
        let mut state = self.lock();
        let State { cluster: Some(cluster), tracker, .. } = &mut *state else { return Questions::default() };
        let asks = cluster.take_asks();
        let swarms = asks.claims.iter().map(|room| room.swarm);
        let unknown = swarms.filter(|swarm| !tracker.is_joinable(*swarm)).collect();
        let claims = asks.claims.iter().map(|room| (*room, cluster.home_for(*room))).collect();
        Questions { claims, releases: asks.releases, unknown, me: cluster.me }
    }

    /// The engine said who the homes of rooms are. With each comes the tracker that was to have it if there was none.
    pub(crate) fn claimed(&self, claims: impl IntoIterator<Item = ((Room, TrackerId), Claim)>) {
        let now = self.now();
        let mut state = self.lock();
        for ((room, named), claim) in claims {
            let Some(cluster) = &mut state.cluster else { return };
            let place = cluster.claimed(now, room, claim);
            if let Some(Place::There(home)) = place
                && home.tracker == named
            {
                // It may not know yet.
                cluster.send(named, Message::Moved { room, home });
            }
            if let Some(place) = place {
                self.settle(&mut state, room, place);
            }
        }
        self.wake(&state);
    }

    /// The engine could not be asked.
    pub(crate) fn asks_failed(&self, claims: &[(Room, TrackerId)]) {
        let now = self.now();
        let rooms: Vec<Room> = claims.iter().map(|(room, _)| *room).collect();
        self.lock().cluster.iter_mut().for_each(|cluster| cluster.seats.asks_failed(now, &rooms));
    }

    /// Begins to drain: no new sockets and no new swarms. Returns this tracker, the one that its homes are to go to, and the
    /// homes.
    pub(crate) fn drain(&self) -> Option<(TrackerId, TrackerId, Vec<Room>)> {
        self.stopping.cancel();
        let mut state = self.lock();
        let cluster = state.cluster.as_mut()?;
        cluster.is_draining = true;
        let (me, homes) = (cluster.me, cluster.seats.homes());
        let to = cluster.records.least_loaded(me)?;
        Some((me, to, homes))
    }

    /// Homes were handed over: their peers go on there.
    pub(crate) fn handed_over(&self, homes: Vec<(Room, Home)>) {
        let mut state = self.lock();
        for (room, home) in homes {
            let Some(cluster) = &mut state.cluster else { return };
            let guests = cluster.guests.which(|guest| guest.room == room);
            let mut told: Vec<TrackerId> = guests
                .iter()
                .filter_map(|guest| cluster.guests.of(*guest))
                .map(|guest| guest.tracker)
                .collect();
            told.sort_unstable();
            told.dedup();
            // The new home first: it is to know that it is one before the others come.
            told.retain(|tracker| *tracker != home.tracker);
            for tracker in [home.tracker].into_iter().chain(told) {
                cluster.send(tracker, Message::Moved { room, home });
            }
            self.settle(&mut state, room, Place::There(home));
        }
        self.wake(&state);
    }

    /// The list of trackers, for operators: JSON.
    pub(crate) fn trackers_json(&self) -> String {
        let state = self.lock();
        let Some(cluster) = &state.cluster else {
            return serde_json::json!({"engine": "none", "trackers": []}).to_string();
        };
        let tracker = |(id, record): (TrackerId, &Record)| {
            let swarm = |homed: &Homed| {
                let Homed { room: Room { swarm, number }, seeders, leechers } = homed;
                serde_json::json!({"swarm": swarm, "room": number, "seeders": seeders, "leechers": leechers})
            };
            serde_json::json!({
                "id": id.to_string(),
                "is_self": id == cluster.me,
                "listens": record.name,
                "state": record.state,
                "connections": record.connections,
                "members": record.members,
                "guests": record.guests,
                "swarms": record.rooms.iter().map(swarm).collect::<Vec<_>>(),
            })
        };
        let trackers: Vec<_> = cluster.records.iter().map(tracker).collect();
        let engine = if cluster.is_leased() { "up" } else { "away" };
        serde_json::json!({"engine": engine, "trackers": trackers}).to_string()
    }
}
