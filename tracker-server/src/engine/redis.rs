//! The engine on Redis or Valkey; features of Redis 7.0 only.
//!
//! ```text
//! tributary:tracker:ID       record of a tracker; lives as long as its lease
//! tributary:trackers         sorted set of tracker ids, by the time of the last beat
//! tributary:home:SWARM       "ID EPOCH"; of a further room of the swarm tributary:home:SWARM.NUMBER
//! tributary:inbox:ID         channel of frames to a tracker
//! tributary:publication:SWARM  what is published, for as long as it is refreshed
//! tributary:removal:SWARM    whose title was removed
//! tributary:changes          sorted set of swarms, by the revision of their last change
//! tributary:revision, tributary:life, tributary:check
//! ```
//!
//! Who is the home of a room is decided by scripts, which Redis runs one at a time. An epoch is the time of the Redis
//! server in µs, or one more than the last, so that it grows even if Redis forgets everything. So is a revision.
//!
//! Redis may have a limit on its memory. A key that it evicted means that nothing is known; only the record of a removal
//! means that a title was removed. When it takes no more (`OOM`), leases, homes and removals go on: their scripts say
//! `allow-oom`. Only publications wait.

mod answers;
mod scripts;

use std::fmt;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, Cmd, FromRedisValue, Pipeline, RedisError, Script, Value, cmd, pipe};
use bytes::Bytes;
use futures_util::StreamExt;
use swarm_core::SwarmId;

use self::answers::{failed, home, is_unknown_script, life, news, nothing};
use self::scripts::{AGREE, ALLOW_OOM, BEAT, CLAIM, GIVE, NOTE, PUBLISH, REFRESH, REMOVE};
use super::{Beat, Change, Claim, Engine, EngineError, Home, Inbox, News, Publication, TrackerId};
use crate::decision::Room;
use crate::limits::{
    AGREED_FOR, CHANGES_MAX, CHANGES_PAGE_MAX, ENGINE_CONNECT_TIMEOUT, ENGINE_RETRY_MAX, ENGINE_TIMEOUT,
    HOME_FORGOTTEN_AFTER, PUBLICATION_SHARED_FOR, REMOVAL_SHARED_FOR,
};

const TRACKER: &str = "tributary:tracker:";
const TRACKERS: &str = "tributary:trackers";
const HOME: &str = "tributary:home:";
const INBOX: &str = "tributary:inbox:";
const PUBLICATION: &str = "tributary:publication:";
const REMOVAL: &str = "tributary:removal:";
const CHECK: &str = "tributary:check";
const CHANGES: &str = "tributary:changes";
const REVISION: &str = "tributary:revision";
const LIFE: &str = "tributary:life";

/// Where Redis is: `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]` or `unix:PATH`.
#[derive(Clone)]
pub struct RedisAddress(Client);

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisAddress").field(&self.place()).finish()
    }
}

impl RedisAddress {
    /// Reads an address. Nothing is connected yet.
    pub fn parse(text: &str) -> Result<Self, EngineError> {
        Client::open(text).map(Self).map_err(|error| EngineError::Address(error.to_string()))
    }

    /// The address without user and password.
    pub fn place(&self) -> String {
        self.0.get_connection_info().addr().to_string()
    }
}

/// The engine.
pub struct RedisEngine {
    address: Client,
    connection: ConnectionManager,
    beat: Script,
    claim: Script,
    give: Script,
    agree: Script,
    publish: Script,
    remove: Script,
    refresh: Script,
}

impl fmt::Debug for RedisEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisEngine").finish_non_exhaustive()
    }
}

impl RedisEngine {
    /// An engine that connects when it is used first, and again when it was cut off.
    pub fn new(address: RedisAddress) -> Result<Self, EngineError> {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(ENGINE_RETRY_MAX)
            .set_connection_timeout(Some(ENGINE_CONNECT_TIMEOUT))
            .set_response_timeout(Some(ENGINE_TIMEOUT));
        let connection =
            ConnectionManager::new_lazy_with_config(address.0.clone(), config).map_err(failed)?;
        Ok(Self {
            address: address.0,
            connection,
            beat: Script::new(BEAT),
            claim: Script::new(CLAIM),
            give: Script::new(GIVE),
            agree: Script::new(AGREE),
            publish: Script::new(&format!("{NOTE}{PUBLISH}")),
            remove: Script::new(&format!("{ALLOW_OOM}{NOTE}{REMOVE}")),
            refresh: Script::new(&format!("{ALLOW_OOM}{NOTE}{REFRESH}")),
        })
    }

    /// Runs one script for each set of keys and arguments, all in one round trip.
    async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        calls: impl IntoIterator<Item = (Vec<String>, Vec<Bytes>)>,
    ) -> Result<Vec<T>, EngineError> {
        let mut pipeline = pipe();
        for (keys, arguments) in calls {
            pipeline.add_command(evalsha(script, &keys, &arguments));
        }
        let result = self.ask(&pipeline).await;
        match result {
            Err(error) if is_unknown_script(&error) => {
                script.prepare_invoke().load_async(&mut self.connection.clone()).await.map_err(failed)?;
                self.ask(&pipeline).await.map_err(failed)
            }
            other => other.map_err(failed),
        }
    }

    async fn ask<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<Vec<T>, RedisError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        pipeline.query_async(&mut self.connection.clone()).await
    }

    async fn one<T: FromRedisValue>(&self, command: Cmd) -> Result<T, EngineError> {
        command.query_async(&mut self.connection.clone()).await.map_err(failed)
    }
}

impl Engine for RedisEngine {
    async fn agree(&self, check: Bytes) -> Result<bool, EngineError> {
        let call = (vec![CHECK.into()], vec![check, millis(AGREED_FOR)]);
        Ok(self.run::<u8>(&self.agree, [call]).await? == [1])
    }

    async fn beat(&self, me: TrackerId, record: Bytes, lease: Duration) -> Result<Beat, EngineError> {
        let keys = vec![format!("{TRACKER}{me}"), TRACKERS.into(), LIFE.into(), REVISION.into()];
        let life = getrandom::u64().map_err(|error| EngineError::Strange(error.to_string()))? >> 1;
        let arguments = vec![
            me.to_string().into(),
            record,
            lease.as_millis().to_string().into(),
            TRACKER.into(),
            life.to_string().into(),
        ];
        type Found = (u8, u64, u64, Vec<(String, Vec<u8>)>);
        let mut found: Vec<Found> = self.run(&self.beat, [(keys, arguments)]).await?;
        let (had, life, revision, records) = found.pop().ok_or_else(nothing)?;
        let read = |(id, record): (String, Vec<u8>)| Some((id.parse().ok()?, record.into()));
        let trackers = records.into_iter().filter_map(read).collect();
        Ok(Beat { has_lapsed: had == 0, trackers, life, revision })
    }

    async fn retire(&self, me: TrackerId) -> Result<(), EngineError> {
        let mut pipeline = pipe();
        pipeline.cmd("DEL").arg(format!("{TRACKER}{me}"));
        pipeline.cmd("ZREM").arg(TRACKERS).arg(me.to_string());
        self.ask::<u64>(&pipeline).await.map(drop).map_err(failed)
    }

    async fn claim(&self, rooms: &[(Room, TrackerId)]) -> Result<Vec<Claim>, EngineError> {
        let call = |(room, named): &(Room, TrackerId)| {
            let keys = vec![format!("{HOME}{room}"), format!("{TRACKER}{named}")];
            (keys, vec![named.to_string().into(), TRACKER.into(), forgotten_after()])
        };
        let found: Vec<Vec<String>> = self.run(&self.claim, rooms.iter().map(call)).await?;
        found.iter().map(|found| Ok(home(found)?.map_or(Claim::NoLease, Claim::Home))).collect()
    }

    async fn hand_over(
        &self,
        me: TrackerId,
        to: TrackerId,
        rooms: &[Room],
    ) -> Result<Vec<(Room, Home)>, EngineError> {
        let call = |room: &Room| {
            let arguments = vec![me.to_string().into(), to.to_string().into(), forgotten_after()];
            (vec![format!("{HOME}{room}")], arguments)
        };
        let found: Vec<Vec<String>> = self.run(&self.give, rooms.iter().map(call)).await?;
        let mut given = Vec::new();
        for (room, found) in rooms.iter().zip(&found) {
            given.extend(home(found)?.map(|home| (*room, home)));
        }
        Ok(given)
    }

    async fn release(&self, me: TrackerId, rooms: &[Room]) -> Result<(), EngineError> {
        let call = |room: &Room| {
            (vec![format!("{HOME}{room}")], vec![me.to_string().into(), Bytes::new(), forgotten_after()])
        };
        self.run::<Vec<String>>(&self.give, rooms.iter().map(call)).await.map(drop)
    }

    async fn send(&self, frames: &[(TrackerId, Bytes)]) -> Result<Vec<bool>, EngineError> {
        let mut pipeline = pipe();
        for (to, frame) in frames {
            pipeline.cmd("PUBLISH").arg(format!("{INBOX}{to}")).arg(&frame[..]);
        }
        let receivers: Vec<u64> = self.ask(&pipeline).await.map_err(failed)?;
        Ok(receivers.into_iter().map(|receivers| receivers > 0).collect())
    }

    async fn subscribe(&self, me: TrackerId) -> Result<Inbox, EngineError> {
        let subscribing = async {
            let mut subscription = self.address.get_async_pubsub().await?;
            subscription.subscribe(format!("{INBOX}{me}")).await?;
            Ok(subscription)
        };
        let subscription = tokio::time::timeout(ENGINE_CONNECT_TIMEOUT, subscribing).await;
        let subscription =
            subscription.map_err(|_| EngineError::Slow(ENGINE_CONNECT_TIMEOUT))?.map_err(failed)?;
        Ok(subscription
            .into_on_message()
            .map(|message| Bytes::copy_from_slice(message.get_payload_bytes()))
            .boxed())
    }

    async fn publish(&self, swarm: SwarmId, publication: &Publication) -> Result<bool, EngineError> {
        let Publication { bytes, life, let_go, is_brought_back } = publication;
        let (keys, mut arguments) = noted(swarm);
        let brought_back = Bytes::from_static(if *is_brought_back { b"1" } else { b"" });
        arguments.extend([bytes.clone(), millis(*life), PUBLICATION.into(), brought_back]);
        arguments.extend(let_go.iter().map(|swarm| swarm.to_string().into()));
        let done = self.run::<u8>(&self.publish, [(keys, arguments)]).await?;
        Ok(done.first() == Some(&1))
    }

    async fn remove(&self, swarm: SwarmId, owner: Bytes) -> Result<(), EngineError> {
        let (keys, mut arguments) = noted(swarm);
        arguments.extend([owner, millis(REMOVAL_SHARED_FOR)]);
        self.run::<u8>(&self.remove, [(keys, arguments)]).await.map(drop)
    }

    async fn forget(&self, swarm: SwarmId) -> Result<(), EngineError> {
        let mut forget = cmd("DEL");
        forget.arg(format!("{REMOVAL}{swarm}"));
        self.one::<u64>(forget).await.map(drop)
    }

    async fn refresh(&self, swarms: &[(SwarmId, Option<Duration>)]) -> Result<Vec<News>, EngineError> {
        let call = |(swarm, life): &(SwarmId, Option<Duration>)| {
            let (keys, mut arguments) = noted(*swarm);
            arguments.push(life.map(millis).unwrap_or_default());
            (keys, arguments)
        };
        let found: Vec<(u8, i64)> = self.run(&self.refresh, swarms.iter().map(call)).await?;
        let news = |(kind, life_ms)| match kind {
            1 => News::Published { bytes: Bytes::new(), life: life(life_ms, PUBLICATION_SHARED_FOR) },
            2 => News::Removed { owner: Bytes::new(), life: life(life_ms, REMOVAL_SHARED_FOR) },
            _ => News::Absent,
        };
        Ok(found.into_iter().map(news).collect())
    }

    async fn publication(&self, swarm: SwarmId) -> Result<Option<Bytes>, EngineError> {
        let mut ask = cmd("GET");
        ask.arg(format!("{PUBLICATION}{swarm}"));
        let bytes: Option<Vec<u8>> = self.one(ask).await?;
        Ok(bytes.map(Bytes::from))
    }

    async fn changes(&self, after: u64) -> Result<Vec<Change>, EngineError> {
        let mut ask = cmd("ZRANGEBYSCORE");
        ask.arg(CHANGES).arg(format!("({after}")).arg("+inf").arg("WITHSCORES");
        ask.arg("LIMIT").arg(0).arg(CHANGES_PAGE_MAX);
        let found: Vec<(String, u64)> = self.one(ask).await?;
        let read = |(swarm, revision): &(String, u64)| Some((swarm.parse::<SwarmId>().ok()?, *revision));
        let found: Vec<(SwarmId, u64)> = found.iter().filter_map(read).collect();
        let mut pipeline = pipe();
        for (swarm, _) in &found {
            for key in [format!("{PUBLICATION}{swarm}"), format!("{REMOVAL}{swarm}")] {
                pipeline.cmd("GET").arg(&key).cmd("PTTL").arg(&key);
            }
        }
        let held: Vec<Value> = self.ask(&pipeline).await.map_err(failed)?;
        let changes = found
            .into_iter()
            .zip(held.chunks(4))
            .map(|((swarm, revision), held)| Ok(Change { revision, swarm, news: news(held)? }));
        changes.collect()
    }
}

fn millis(duration: Duration) -> Bytes {
    duration.as_millis().to_string().into()
}

/// Keys and first arguments of a script that enters a swarm in the list of changes.
fn noted(swarm: SwarmId) -> (Vec<String>, Vec<Bytes>) {
    let keys =
        [format!("{PUBLICATION}{swarm}"), format!("{REMOVAL}{swarm}"), CHANGES.into(), REVISION.into()];
    (keys.into(), vec![swarm.to_string().into(), CHANGES_MAX.to_string().into()])
}

fn evalsha(script: &Script, keys: &[String], arguments: &[Bytes]) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len());
    keys.iter().for_each(|key| _ = command.arg(key));
    arguments.iter().for_each(|argument| _ = command.arg(&argument[..]));
    command
}

fn forgotten_after() -> Bytes {
    millis(HOME_FORGOTTEN_AFTER)
}
