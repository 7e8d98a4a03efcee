//! The engine on Redis or Valkey; features of Redis 7.0 only.
//!
//! ```text
//! tributary:tracker:ID       record of a tracker; lives as long as its lease
//! tributary:trackers         sorted set of tracker ids, by the time of the last beat
//! tributary:home:SWARM       "ID EPOCH"; of a further room of the swarm tributary:home:SWARM.NUMBER
//! tributary:inbox:ID         channel of frames to a tracker
//! tributary:publication:SWARM, tributary:changes, tributary:revision, tributary:life
//! ```
//!
//! Who is the home of a room is decided by scripts, which Redis runs one at a time. An epoch is the time of the Redis
//! server in µs, or one more than the last, so that it grows even if Redis forgets everything.

use std::fmt;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Script, ServerErrorKind, cmd, pipe,
};
use bytes::Bytes;
use futures_util::StreamExt;
use swarm_core::SwarmId;

use super::{Beat, Change, Claim, Engine, EngineError, Home, Inbox, TrackerId};
use crate::decision::Room;
use crate::limits::{
    CHANGES_PAGE_MAX, ENGINE_CONNECT_TIMEOUT, ENGINE_RETRY_MAX, ENGINE_TIMEOUT, HOME_FORGOTTEN_AFTER,
    PUBLICATIONS_SHARED_MAX,
};

/// Renews a lease and lists all that stand. Keys: own record, the set of ids, life, revision. Arguments: own id, record,
/// lease in ms, prefix of records, a random number for the first life.
const BEAT: &str = r"
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local had = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 2 * tonumber(ARGV[3]))
redis.call('SET', KEYS[3], ARGV[5], 'NX')
local found = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local record = redis.call('GET', ARGV[4] .. id)
  if record then found[#found + 1] = id; found[#found + 1] = record end
end
return {had, redis.call('GET', KEYS[3]), redis.call('GET', KEYS[4]) or '0', found}
";

/// Finds or takes a home. Keys: the home, the record of who is to have it. Arguments: the id of that one, prefix of records, ms until it is forgotten.
const CLAIM: &str = r"
local held = redis.call('GET', KEYS[1])
local owner, epoch
if held then owner, epoch = string.match(held, '^(%x+) (%d+)$') end
if owner and (owner == ARGV[1] or redis.call('EXISTS', ARGV[2] .. owner) == 1) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {owner, epoch}
end
if redis.call('EXISTS', KEYS[2]) == 0 then return {} end
local time = redis.call('TIME')
local next = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), (tonumber(epoch) or 0) + 1)
epoch = string.format('%.0f', next)
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. epoch, 'PX', ARGV[3])
return {ARGV[1], epoch}
";

/// Gives a home away, or up where no new one is named. Keys: the home. Arguments: own id, new id or nothing, ms until it is
/// forgotten.
const GIVE: &str = r"
local held = redis.call('GET', KEYS[1])
local owner, epoch
if held then owner, epoch = string.match(held, '^(%x+) (%d+)$') end
if owner ~= ARGV[1] then return {} end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]); return {} end
local time = redis.call('TIME')
local next = math.max(tonumber(time[1]) * 1000000 + tonumber(time[2]), tonumber(epoch) + 1)
epoch = string.format('%.0f', next)
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. epoch, 'PX', ARGV[3])
return {ARGV[2], epoch}
";

/// Notes a publication, or a removal where there are no bytes. Keys: the publication, changes, revision. Arguments: swarm,
/// bytes, 1 for a publication, maximum number of entries, prefix of publications.
const PUBLISH: &str = r"
if ARGV[3] == '1' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('DEL', KEYS[1]) end
local revision = redis.call('INCR', KEYS[3])
redis.call('ZADD', KEYS[2], revision, ARGV[1])
local beyond = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4])
if beyond > 0 then
  local popped = redis.call('ZPOPMIN', KEYS[2], beyond)
  for at = 1, #popped, 2 do redis.call('DEL', ARGV[5] .. popped[at]) end
end
return revision
";

const TRACKER: &str = "tributary:tracker:";
const TRACKERS: &str = "tributary:trackers";
const HOME: &str = "tributary:home:";
const INBOX: &str = "tributary:inbox:";
const PUBLICATION: &str = "tributary:publication:";
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
    publish: Script,
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
            publish: Script::new(PUBLISH),
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

    async fn note(&self, swarm: SwarmId, bytes: Option<Bytes>) -> Result<(), EngineError> {
        let keys = vec![format!("{PUBLICATION}{swarm}"), CHANGES.into(), REVISION.into()];
        let is_publication = if bytes.is_some() { "1" } else { "0" };
        let arguments = vec![
            swarm.to_string().into(),
            bytes.unwrap_or_default(),
            is_publication.into(),
            PUBLICATIONS_SHARED_MAX.to_string().into(),
            PUBLICATION.into(),
        ];
        self.run::<u64>(&self.publish, [(keys, arguments)]).await.map(drop)
    }
}

impl Engine for RedisEngine {
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

    async fn publish(&self, swarm: SwarmId, bytes: Bytes) -> Result<(), EngineError> {
        self.note(swarm, Some(bytes)).await
    }

    async fn remove(&self, swarm: SwarmId) -> Result<(), EngineError> {
        self.note(swarm, None).await
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
            pipeline.cmd("GET").arg(format!("{PUBLICATION}{swarm}"));
        }
        let bytes: Vec<Option<Vec<u8>>> = self.ask(&pipeline).await.map_err(failed)?;
        let change = |((swarm, revision), bytes): ((SwarmId, u64), Option<Vec<u8>>)| Change {
            revision,
            swarm,
            bytes: bytes.map(Bytes::from),
        };
        Ok(found.into_iter().zip(bytes).map(change).collect())
    }
}

fn evalsha(script: &Script, keys: &[String], arguments: &[Bytes]) -> Cmd {
    let mut command = cmd("EVALSHA");
    command.arg(script.get_hash()).arg(keys.len());
    keys.iter().for_each(|key| _ = command.arg(key));
    arguments.iter().for_each(|argument| _ = command.arg(&argument[..]));
    command
}

fn forgotten_after() -> Bytes {
    HOME_FORGOTTEN_AFTER.as_millis().to_string().into()
}

/// Reads what a script says about a home.
fn home(found: &[String]) -> Result<Option<Home>, EngineError> {
    let [tracker, epoch] = found else { return Ok(None) };
    let strange = || EngineError::Strange(format!("no home: {tracker} {epoch}"));
    let tracker = tracker.parse().map_err(|_| strange())?;
    Ok(Some(Home { tracker, epoch: epoch.parse().map_err(|_| strange())? }))
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

fn nothing() -> EngineError {
    EngineError::Strange("no answer to a script".into())
}

fn failed(error: RedisError) -> EngineError {
    if error.is_timeout() {
        EngineError::Slow(ENGINE_TIMEOUT)
    } else if error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() {
        EngineError::Away(error.to_string())
    } else {
        EngineError::Strange(error.to_string())
    }
}
