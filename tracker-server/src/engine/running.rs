//! The loops of a tracker among several: they carry its beats, questions, frames and publications to the engine, and what
//! comes back to the hub. All decisions are the hub's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::future::join_all;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{Engine, EngineError, TrackerId};
use crate::decision::Room;
use crate::hub::{Hub, Questions, Telling};
use crate::limits::{
    BEAT_INTERVAL, ENGINE_RETRY_MAX, HAND_OVER_TIMEOUT, LEASE, PROBE_TIMEOUT, REFRESH_INTERVAL, REFRESH_PAGE,
    ROOM_INTERVAL, TICK_INTERVAL,
};

/// Swarms without a manifest here that the engine is asked about at the same time.
const UNKNOWN_AT_ONCE: usize = 64;

/// A room, and the tracker that is to be its home if it has none.
type Named = (Room, TrackerId);

/// Runs until it is dropped.
pub(crate) async fn run(hub: Arc<Hub>, engine: Arc<impl Engine>, me: TrackerId) {
    tokio::join!(
        beat(&hub, &*engine),
        send(&hub, &*engine),
        ask(&hub, &*engine),
        receive(&hub, &*engine, me),
        share(&hub, &*engine),
        refresh(&hub, &*engine),
        tick(&hub),
        look_after_rooms(&hub),
    );
}

/// Hands the homes of a tracker that stops to another one.
pub(crate) async fn hand_over(hub: &Hub, engine: &impl Engine) {
    let Some((me, to, homes)) = hub.drain() else { return };
    match timeout(HAND_OVER_TIMEOUT, engine.hand_over(me, to, &homes)).await {
        Ok(Ok(given)) => {
            tracing::info!("{} swarms are handed over to tracker {to}", given.len());
            hub.handed_over(given);
        }
        Ok(Err(error)) => {
            tracing::warn!("swarms are not handed over; their peers find another home: {error}")
        }
        Err(_) => {
            tracing::warn!("swarms are not handed over; their peers find another home: the engine is slow")
        }
    }
}

/// Renews the lease, and learns of the other trackers and of what they published.
async fn beat(hub: &Hub, engine: &impl Engine) {
    let mut beats = interval(BEAT_INTERVAL);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let Some((me, record)) = hub.record() else { return };
        // The lease counts from before the engine was asked.
        let sent_at = hub.now();
        hub.metrics.count_engine_operations(2);
        match engine.agree(hub.secret_check()).await {
            Ok(true) => {}
            Ok(false) => {
                hub.disagreed();
                continue;
            }
            Err(error) => {
                hub.beat_failed(&error);
                continue;
            }
        }
        match engine.beat(me, record, LEASE).await {
            Ok(beat) => {
                hub.beaten(sent_at, &beat);
                if let Err(error) = read_changes(hub, engine, (beat.life, beat.revision)).await {
                    hub.metrics.count_engine_failure();
                    tracing::debug!("the list of publications was not read: {error}");
                }
            }
            Err(error) => hub.beat_failed(&error),
        }
    }
}

async fn read_changes(
    hub: &Hub,
    engine: &impl Engine,
    (life, revision): (u64, u64),
) -> Result<(), EngineError> {
    while let Some(after) = hub.next_change(life, revision) {
        hub.metrics.count_engine_operations(2);
        let changes = engine.changes(after).await?;
        if changes.is_empty() {
            break;
        }
        for change in changes {
            hub.learn(change).await;
        }
    }
    hub.all_changes_read();
    hub.due.lists.notify_one();
    Ok(())
}

/// Sends frames. What gathers while the engine is busy goes together.
async fn send(hub: &Hub, engine: &impl Engine) {
    loop {
        let frames = hub.take_frames();
        if frames.is_empty() {
            hub.due.wires.notified().await;
            continue;
        }
        let bytes = frames.iter().map(|(_, frame)| frame.len()).sum();
        let began = Instant::now();
        hub.metrics.count_engine_operations(frames.len());
        match engine.send(&frames).await {
            Ok(arrived) => {
                hub.metrics.note_sent(frames.len(), bytes, began.elapsed());
                let lost = frames.iter().zip(arrived).filter(|(_, has_arrived)| !has_arrived);
                lost.map(|((to, _), _)| *to)
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .for_each(|to| hub.note_loss(to));
            }
            Err(error) => {
                hub.metrics.count_engine_failure();
                tracing::debug!("frames were not sent: {error}");
                let lost: BTreeSet<TrackerId> = frames.iter().map(|(to, _)| *to).collect();
                lost.into_iter().for_each(|to| hub.note_loss(to));
                sleep(TICK_INTERVAL).await;
            }
        }
    }
}

/// Asks who the homes of swarms are, and gives up those that nobody needs.
async fn ask(hub: &Hub, engine: &impl Engine) {
    loop {
        let Questions { me, claims, releases, unknown } = hub.take_asks();
        if claims.is_empty() && releases.is_empty() {
            hub.due.asks.notified().await;
            continue;
        }
        hub.metrics.count_engine_operations(unknown.len() + claims.len() + releases.len());
        // Joins of swarms that nobody knows must not delay the others, however many there are.
        let (first, later): (Vec<Named>, Vec<Named>) =
            claims.into_iter().partition(|(room, _)| !unknown.contains(&room.swarm));
        let later = later.chunks(UNKNOWN_AT_ONCE).map(|claims| (claims, false));
        for (claims, is_known) in std::iter::once((&first[..], true)).chain(later) {
            if let Err(error) = claim(hub, engine, (claims, is_known)).await {
                hub.metrics.count_engine_failure();
                tracing::debug!("homes were not found: {error}");
                hub.asks_failed(claims);
            }
        }
        // What is not given up now is taken over when the lease is over, or found empty by the next that asks.
        _ = engine.release(me, &releases).await;
    }
}

/// Claims rooms; of those that are not known here, what is published about them is read first.
async fn claim(
    hub: &Hub,
    engine: &impl Engine,
    (rooms, is_known): (&[Named], bool),
) -> Result<(), EngineError> {
    if rooms.is_empty() {
        return Ok(());
    }
    if !is_known {
        // Without its manifest nobody can be let into a swarm.
        let published = join_all(rooms.iter().map(|(room, _)| engine.publication(room.swarm))).await;
        for ((room, _), bytes) in rooms.iter().zip(published) {
            if let Some(bytes) = bytes? {
                hub.learn_publication(room.swarm, &bytes).await;
            }
        }
    }
    let claims = engine.claim(rooms).await?;
    hub.claimed(rooms.iter().copied().zip(claims));
    Ok(())
}

/// Reads the inbox. The tracker's own probes arrive there as well, so silence means that the subscription is broken.
async fn receive(hub: &Hub, engine: &impl Engine, me: TrackerId) {
    loop {
        match engine.subscribe(me).await {
            Ok(mut inbox) => {
                hub.subscribed();
                while let Ok(Some(frame)) = timeout(PROBE_TIMEOUT, inbox.next()).await {
                    hub.receive(&frame);
                }
                tracing::debug!("the inbox is subscribed to again");
            }
            Err(error) => {
                hub.metrics.count_engine_failure();
                tracing::debug!("the inbox cannot be subscribed to: {error}");
            }
        }
        sleep(ENGINE_RETRY_MAX / 4).await;
    }
}

/// Tells the engine what is published and removed here.
async fn share(hub: &Hub, engine: &impl Engine) {
    loop {
        hub.due.lists.notified().await;
        for swarm in hub.unshared() {
            let Some((telling, number)) = hub.telling(swarm) else { continue };
            hub.metrics.count_engine_operations(1);
            let told = match &telling {
                Telling::Publish(publication) => engine.publish(swarm, publication).await,
                Telling::Remove(owner) => engine.remove(swarm, owner.clone()).await.map(|()| true),
                Telling::Forget => engine.forget(swarm).await.map(|()| true),
            };
            match told {
                Ok(true) => hub.told(swarm, &telling, number),
                Ok(false) => hub.learn_that_it_was_removed(swarm, number).await,
                Err(error) => {
                    hub.not_told(swarm, &error);
                    break;
                }
            }
        }
    }
}

/// Refreshes what is in use, and finds what the engine lost.
async fn refresh(hub: &Hub, engine: &impl Engine) {
    let mut refreshes = interval(REFRESH_INTERVAL);
    refreshes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        refreshes.tick().await;
        for page in hub.to_refresh().chunks(REFRESH_PAGE) {
            hub.metrics.count_engine_operations(page.len());
            match engine.refresh(page).await {
                Ok(found) => {
                    let found = page.iter().zip(&found);
                    found.for_each(|((swarm, _), news)| hub.note_news(*swarm, news));
                }
                Err(error) => {
                    hub.metrics.count_engine_failure();
                    tracing::debug!("publications were not refreshed: {error}");
                    break;
                }
            }
        }
        hub.due.lists.notify_one();
    }
}

async fn tick(hub: &Hub) {
    let mut ticks = interval(TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        hub.tick();
    }
}

/// Looks after rooms. A tracker that is alone does it, too.
pub(crate) async fn look_after_rooms(hub: &Hub) {
    let mut ticks = interval(ROOM_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        hub.tick_rooms();
    }
}
