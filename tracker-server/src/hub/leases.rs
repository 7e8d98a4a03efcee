//! The hub and the engine: beats, leases, homes, and the way to stop.

use bytes::Bytes;
use swarm_core::{SwarmId, Timestamp};

use super::{Hub, State};
use crate::cluster::record::{Homed, Record, State as Standing};
use crate::cluster::seats::{Asks, Place};
use crate::cluster::wire::Message;
use crate::engine::{Beat, Claim, EngineError, Home, TrackerId};

/// Why a tracker does not act as one with the others.
pub(crate) const OTHER_SECRET: &str = "the trackers around this engine have another --secret";

impl Hub {
    /// What the other trackers are to know of this one.
    pub(crate) fn record(&self) -> Option<(TrackerId, Bytes)> {
        let state = self.lock();
        let cluster = state.cluster.as_ref()?;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let homed = |swarm: SwarmId| {
            let (seeders, leechers) = state.tracker.counts(swarm);
            Homed { swarm, seeders, leechers }
        };
        let (members, guests) = cluster.counts();
        let record = Record {
            name: self.name.get().cloned().unwrap_or_default(),
            url: self.config.public_url.clone(),
            state: if cluster.is_draining { Standing::Draining } else { Standing::Serving },
            connections: count(state.lines.len() - guests),
            guests: count(guests),
            members: count(members),
            swarms: cluster.seats.homes().into_iter().map(homed).collect(),
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
        for swarm in elsewhere {
            self.settle(state, swarm, Place::Alone);
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

    /// What the engine is to be asked, and which of the swarms are not known here.
    pub(crate) fn take_asks(&self) -> (Asks, Vec<SwarmId>) {
        let mut state = self.lock();
        let State { cluster: Some(cluster), tracker, .. } = &mut *state else { return Default::default() };
        let asks = cluster.take_asks();
        let unknown = asks.claims.iter().copied().filter(|swarm| !tracker.is_joinable(*swarm)).collect();
        (asks, unknown)
    }

    /// The engine said who the homes of swarms are.
    pub(crate) fn claimed(&self, claims: impl IntoIterator<Item = (SwarmId, Claim)>) {
        let now = self.now();
        let mut state = self.lock();
        for (swarm, claim) in claims {
            let Some(cluster) = &mut state.cluster else { return };
            if let Some(place) = cluster.claimed(now, swarm, claim) {
                self.settle(&mut state, swarm, place);
            }
        }
        self.wake(&state);
    }

    /// The engine could not be asked.
    pub(crate) fn asks_failed(&self, claims: &[SwarmId]) {
        let now = self.now();
        self.lock().cluster.iter_mut().for_each(|cluster| cluster.seats.asks_failed(now, claims));
    }

    /// Begins to drain: no new sockets and no new swarms. Returns this tracker, the one that its homes are to go to, and the
    /// homes.
    pub(crate) fn drain(&self) -> Option<(TrackerId, TrackerId, Vec<SwarmId>)> {
        self.stopping.cancel();
        let mut state = self.lock();
        let cluster = state.cluster.as_mut()?;
        cluster.is_draining = true;
        let (me, homes) = (cluster.me, cluster.seats.homes());
        let to = cluster.records.least_loaded(me)?;
        Some((me, to, homes))
    }

    /// Homes were handed over: their peers go on there.
    pub(crate) fn handed_over(&self, homes: Vec<(SwarmId, Home)>) {
        let mut state = self.lock();
        for (swarm, home) in homes {
            let Some(cluster) = &mut state.cluster else { return };
            let guests = cluster.guests.which(|guest| guest.swarm == swarm);
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
                cluster.send(tracker, Message::Moved { swarm, home });
            }
            self.settle(&mut state, swarm, Place::There(home));
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
                let Homed { swarm, seeders, leechers } = homed;
                serde_json::json!({"swarm": swarm, "seeders": seeders, "leechers": leechers})
            };
            serde_json::json!({
                "id": id.to_string(),
                "is_self": id == cluster.me,
                "listens": record.name,
                "state": record.state,
                "connections": record.connections,
                "members": record.members,
                "guests": record.guests,
                "swarms": record.swarms.iter().map(swarm).collect::<Vec<_>>(),
            })
        };
        let trackers: Vec<_> = cluster.records.iter().map(tracker).collect();
        let engine = if cluster.is_leased() { "up" } else { "away" };
        serde_json::json!({"engine": engine, "trackers": trackers}).to_string()
    }
}
