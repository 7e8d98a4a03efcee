//! What Redis answers, read into words of the engine.

use std::time::Duration;

use ::redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, Value};

use crate::engine::{EngineError, Home, News};
use crate::limits::{ENGINE_TIMEOUT, PUBLICATION_SHARED_FOR, REMOVAL_SHARED_FOR};

/// The code of the error that Redis answers when its memory is full.
const NO_MEMORY: &str = "OOM";

/// What a swarm's publication, the time that it has left, its removal, and the time of that say.
pub(super) fn news(held: &[Value]) -> Result<News, EngineError> {
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
pub(super) fn life(left_ms: i64, full: Duration) -> Duration {
    u64::try_from(left_ms).map_or(full, Duration::from_millis)
}

/// Reads what a script says about a home.
pub(super) fn home(found: &[String]) -> Result<Option<Home>, EngineError> {
    let [tracker, epoch] = found else { return Ok(None) };
    let strange = || EngineError::Strange(format!("no home: {tracker} {epoch}"));
    let tracker = tracker.parse().map_err(|_| strange())?;
    Ok(Some(Home { tracker, epoch: epoch.parse().map_err(|_| strange())? }))
}

pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

pub(super) fn nothing() -> EngineError {
    EngineError::Strange("no answer to a script".into())
}

/// Whether Redis has no memory for what it was told.
pub(super) fn has_no_memory(error: &RedisError) -> bool {
    // What is sent as a pipeline fails as one, too.
    let errors = error.clone().into_server_errors();
    errors.is_some_and(|errors| errors.iter().any(|(_, error)| error.code() == NO_MEMORY))
}

pub(super) fn failed(error: RedisError) -> EngineError {
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
