//! The engine on Redis or Valkey; features of Redis 7.0 only.
//!
//! ```text
//! tributary:tracker:ID       record of a tracker; lives as long as its lease
//! tributary:trackers         sorted set of tracker ids, by the time of the last beat
//! tributary:home:SWARM       "ID EPOCH"
//! tributary:inbox:ID         channel of frames to a tracker
//! tributary:publication:SWARM  what is published, for as long as it is refreshed
//! tributary:removal:SWARM    whose title was removed
//! tributary:changes          sorted set of swarms, by the revision of their last change
//! tributary:revision, tributary:life, tributary:check
//! ```
//!
//! Who is the home of a swarm is decided by scripts, which Redis runs one at a time. An epoch is the time of the Redis
//! server in µs, or one more than the last, so that it grows even if Redis forgets everything. So is a revision.
//!
//! Redis may have a limit on its memory. A key that it evicted means that nothing is known; only the record of a removal
//! means that a title was removed. When it takes no more (`OOM`), leases, homes and removals go on: their scripts say
//! `allow-oom`. Only publications wait.

use std::fmt;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{
    Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Script, ServerErrorKind, Value, cmd, pipe,
};
use bytes::Bytes;
use futures_util::StreamExt;
use swarm_core::SwarmId;

use super::{Beat, Change, Claim, Engine, EngineError, Home, Inbox, News, Publication, TrackerId};
use crate::limits::{
    AGREED_FOR, CHANGES_MAX, CHANGES_PAGE_MAX, ENGINE_CONNECT_TIMEOUT, ENGINE_RETRY_MAX, ENGINE_TIMEOUT,
    HOME_FORGOTTEN_AFTER, PUBLICATION_SHARED_FOR, REMOVAL_SHARED_FOR,
};

/// Renews a lease and lists all that stand. Keys: own record, the set of ids, life, revision. Arguments: own id, record,
/// lease in ms, prefix of records, a random number for the first life.
const BEAT: &str = r"#!lua flags=allow-oom
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

/// Finds or takes a home. Keys: the home, own record. Arguments: own id, prefix of records, ms until it is forgotten.
const CLAIM: &str = r"#!lua flags=allow-oom
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
const GIVE: &str = r"#!lua flags=allow-oom
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

/// Keeps the check of the secret. Keys: the check. Arguments: own check, ms until it is forgotten.
const AGREE: &str = r"#!lua flags=allow-oom
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// Begins scripts that write although Redis has no memory left.
const ALLOW_OOM: &str = "#!lua flags=allow-oom\n";

/// Enters a swarm at the end of the list of changes. All scripts that use it have these keys: publication, removal, changes,
/// revision; and these arguments: swarm, maximum number of entries.
const NOTE: &str = r"
local function note(swarm)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = tonumber(redis.call('GET', KEYS[4]) or '0') or 0
  local revision = string.format('%.0f', math.max(now, last + 1))
  redis.call('SET', KEYS[4], revision)
  redis.call('ZADD', KEYS[3], revision, swarm)
  local beyond = redis.call('ZCARD', KEYS[3]) - tonumber(ARGV[2])
  if beyond > 0 then redis.call('ZPOPMIN', KEYS[3], beyond) end
end
";

/// Publishes. More arguments: bytes, ms until they are forgotten, prefix of publications, swarms that are let go. Without any
/// to let go, the first write is that of the bytes, which Redis refuses when it has no memory left.
const PUBLISH: &str = r"
for at = 6, #ARGV do redis.call('DEL', ARGV[5] .. ARGV[at]) end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
redis.call('DEL', KEYS[2])
note(ARGV[1])
for at = 6, #ARGV do note(ARGV[at]) end
return 1
";

/// Removes. More arguments: owner, ms until it is forgotten.
const REMOVE: &str = r"
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
note(ARGV[1])
return 1
";

/// Says what is held and for how long, and enters it in the list of changes if it fell out of that. More arguments: ms that a
/// publication is held from now on, or nothing.
const REFRESH: &str = r"
local kind = 0
if redis.call('EXISTS', KEYS[1]) == 1 then kind = 1
elseif redis.call('EXISTS', KEYS[2]) == 1 then kind = 2
else return {0, 0} end
if kind == 1 and ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
if not redis.call('ZSCORE', KEYS[3], ARGV[1]) then note(ARGV[1]) end
return {kind, redis.call('PTTL', KEYS[kind])}
";

/// The code of the error that Redis answers when its memory is full.
const NO_MEMORY: &str = "OOM";

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

    async fn claim(&self, me: TrackerId, swarms: &[SwarmId]) -> Result<Vec<Claim>, EngineError> {
        let call = |swarm: &SwarmId| {
            let keys = vec![format!("{HOME}{swarm}"), format!("{TRACKER}{me}")];
            (keys, vec![me.to_string().into(), TRACKER.into(), forgotten_after()])
        };
        let found: Vec<Vec<String>> = self.run(&self.claim, swarms.iter().map(call)).await?;
        found.iter().map(|found| Ok(home(found)?.map_or(Claim::NoLease, Claim::Home))).collect()
    }

    async fn hand_over(
        &self,
        me: TrackerId,
        to: TrackerId,
        swarms: &[SwarmId],
    ) -> Result<Vec<(SwarmId, Home)>, EngineError> {
        let call = |swarm: &SwarmId| {
            let arguments = vec![me.to_string().into(), to.to_string().into(), forgotten_after()];
            (vec![format!("{HOME}{swarm}")], arguments)
        };
        let found: Vec<Vec<String>> = self.run(&self.give, swarms.iter().map(call)).await?;
        let mut given = Vec::new();
        for (swarm, found) in swarms.iter().zip(&found) {
            given.extend(home(found)?.map(|home| (*swarm, home)));
        }
        Ok(given)
    }

    async fn release(&self, me: TrackerId, swarms: &[SwarmId]) -> Result<(), EngineError> {
        let call = |swarm: &SwarmId| {
            (vec![format!("{HOME}{swarm}")], vec![me.to_string().into(), Bytes::new(), forgotten_after()])
        };
        self.run::<Vec<String>>(&self.give, swarms.iter().map(call)).await.map(drop)
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

    async fn publish(&self, swarm: SwarmId, publication: &Publication) -> Result<(), EngineError> {
        let Publication { bytes, life, let_go } = publication;
        let (keys, mut arguments) = noted(swarm);
        arguments.extend([bytes.clone(), millis(*life), PUBLICATION.into()]);
        arguments.extend(let_go.iter().map(|swarm| swarm.to_string().into()));
        self.run::<u8>(&self.publish, [(keys, arguments)]).await.map(drop)
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

/// What a swarm's publication, the time that it has left, its removal, and the time of that say.
fn news(held: &[Value]) -> Result<News, EngineError> {
    let [publication, publication_ms, removal, removal_ms] = held else { return Err(nothing()) };
    let bytes = |value: &Value| Option::<Vec<u8>>::from_redis_value_ref(value);
    let strange = |error: ::redis::ParsingError| EngineError::Strange(error.to_string());
    let left = |value: &Value| i64::from_redis_value_ref(value).map_err(strange);
    if let Some(bytes) = bytes(publication).map_err(strange)? {
        let life = life(left(publication_ms)?, PUBLICATION_SHARED_FOR);
        return Ok(News::Published { bytes: bytes.into(), life });
    }
    Ok(match bytes(removal).map_err(strange)? {
        Some(owner) => {
            News::Removed { owner: owner.into(), life: life(left(removal_ms)?, REMOVAL_SHARED_FOR) }
        }
        None => News::Absent,
    })
}

/// The time that a key has left; `full` for one without an end, as earlier versions wrote it.
fn life(left_ms: i64, full: Duration) -> Duration {
    u64::try_from(left_ms).map_or(full, Duration::from_millis)
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

/// Whether Redis has no memory for what it was told.
fn has_no_memory(error: &RedisError) -> bool {
    // What is sent as a pipeline fails as one, too.
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == NO_MEMORY))
}

fn failed(error: RedisError) -> EngineError {
    if has_no_memory(&error) {
        EngineError::Full(error.to_string())
    } else if error.is_timeout() {
        EngineError::Slow(ENGINE_TIMEOUT)
    } else if error.is_io_error() || error.is_connection_dropped() || error.is_connection_refusal() {
        EngineError::Away(error.to_string())
    } else {
        EngineError::Strange(error.to_string())
    }
}
