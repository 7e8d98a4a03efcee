//! One WebSocket: reads frames into decisions, writes what the outbox holds, keeps time.

mod frames;
mod room;
mod upgrade;
mod watched;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use swarm_core::limits::TRACKER_MESSAGE_BYTES_MAX;
use swarm_core::tracker_message::TrackerDecodeError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::decision::network::Site;
use crate::decision::{CloseReason, ConnectionId};
use crate::hub::{Caller, Hub};
use crate::limits::{OUTBOX_BYTES_MAX, PINGS_MISSED_MAX, SOCKET_READ_BYTES, SOCKET_WRITE_BYTES};
use crate::outbox::{Next, Outbox};
use crate::place::Permit;

pub(crate) use room::MessageRoom;
pub(crate) use upgrade::{WebSocket, upgraded};
pub(crate) use watched::Terms;

/// Why a conversation ended.
enum End {
    /// The other side went away or closed.
    Theirs,
    /// The tracker closes.
    Ours(CloseReason),
}

/// Answers an upgrade request and serves the WebSocket. `permit` is held for as long as it is open.
pub(crate) fn upgrade(hub: Arc<Hub>, request: Request<Body>, caller: Caller, permit: Permit) -> Response {
    let terms = Terms {
        site: Site::of(caller.address),
        message_bytes_max: TRACKER_MESSAGE_BYTES_MAX,
        room: Arc::clone(&hub.room),
        patience: hub.config.deadlines.message,
        is_own: None,
    };
    let counted = hub.sockets.token();
    upgraded(request, terms, config(), move |socket| async move {
        permit.upgrade();
        converse(&hub, socket, caller).await;
        drop((permit, counted));
    })
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(SOCKET_READ_BYTES)
        .write_buffer_size(SOCKET_WRITE_BYTES)
        .max_write_buffer_size(OUTBOX_BYTES_MAX)
        .max_message_size(Some(TRACKER_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(TRACKER_MESSAGE_BYTES_MAX))
}

async fn converse(hub: &Hub, socket: WebSocket, caller: Caller) {
    let (connection, outbox) = hub.open(caller);
    tracing::debug!(connection = connection.0, address = %caller.address, "a connection opened");
    let mut socket = Some(socket);
    let end = talk(hub, &mut socket, connection, &outbox).await;
    hub.close(connection);
    let Some(mut socket) = socket else { return };
    match end {
        End::Theirs => tracing::debug!(connection = connection.0, "a connection was closed by its peer"),
        End::Ours(reason) => {
            tracing::debug!(connection = connection.0, reason = reason.text(), "closing a connection");
            hub.metrics.count_close(reason);
            let advice = (reason == CloseReason::Stopping).then(|| hub.elsewhere()).flatten();
            let text = advice.map_or_else(|| reason.text().into(), |address| format!("move to {address}"));
            let frame = CloseFrame { code: reason.code().into(), reason: text.into() };
            // One that does not read cannot be told.
            _ = timeout(hub.config.deadlines.close, socket.send(Message::Close(Some(frame)))).await;
        }
    }
    // Both sides have to have said close before the socket goes, or the last frames may be lost on the way.
    _ = timeout(hub.config.deadlines.close, async {
        while let Some(Ok(_)) = socket.next().await {}
        socket.get_mut().drain().await;
    })
    .await;
}

/// Exchanges messages until the conversation ends. `socket` is there again then, unless it broke in between.
async fn talk(hub: &Hub, socket: &mut Option<WebSocket>, connection: ConnectionId, outbox: &Outbox) -> End {
    let deadlines = hub.config.deadlines;
    let mut is_greeted = false;
    let mut pings_missed = 0;
    let mut alarm = Instant::now() + deadlines.hello;
    // When the permission that it came with is over.
    let mut end: Option<Instant> = None;
    loop {
        let Some(open) = socket.as_mut() else { return End::Theirs };
        tokio::select! {
            next = outbox.next() => match next {
                Next::Close(reason) => return End::Ours(reason),
                Next::Send(frames) => match send(open, frames, deadlines.send).await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
            },
            frame = open.next() => {
                pings_missed = 0;
                match frame {
                    Some(Ok(frame)) => if let Some(end) = receive(hub, connection, frame) { return end },
                    Some(Err(error)) => return unreadable(&error, open.get_ref().fault()),
                    None => return End::Theirs,
                }
                if !is_greeted && hub.is_greeted(connection) {
                    is_greeted = true;
                    end = hub.permitted_for(connection).map(|left| Instant::now() + left);
                    open.get_mut().greet();
                }
                if open.get_ref().is_whole() {
                    *socket = match socket.take() {
                        Some(socket) => Box::pin(renewed(socket, deadlines.send)).await,
                        None => None,
                    };
                }
            },
            () = sleep_until(end.unwrap_or(alarm)), if end.is_some() => {
                end = None;
                hub.expire(connection);
            },
            () = sleep_until(alarm) => {
                alarm = Instant::now() + deadlines.ping;
                if !is_greeted {
                    return End::Ours(CloseReason::NoHello);
                } else if pings_missed == PINGS_MISSED_MAX {
                    return End::Ours(CloseReason::Silent);
                }
                pings_missed += 1;
                match timeout(deadlines.send, open.send(Message::Ping(Bytes::new()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return End::Theirs,
                    Err(_) => return End::Ours(CloseReason::SlowReader),
                }
            },
        }
    }
}

/// Why what comes cannot be read any further: too long, too slow, no WebSocket frame, or a dead socket.
fn unreadable(error: &Error, fault: Option<CloseReason>) -> End {
    match (fault, error) {
        (Some(fault), _) => End::Ours(fault),
        (None, Error::Io(_)) => End::Theirs,
        (None, _) => End::Ours(CloseReason::TooLong),
    }
}

/// The same WebSocket with new buffers: those that a long message needed would stay for as long as the connection. None if it
/// does not take what is to be sent.
async fn renewed(mut socket: WebSocket, limit: Duration) -> Option<WebSocket> {
    timeout(limit, socket.flush()).await.ok()?.ok()?;
    let mut stream = socket.into_inner();
    stream.release();
    Some(upgrade::on(stream, config()).await)
}

/// Takes one frame; says whether it ends the conversation.
fn receive(hub: &Hub, connection: ConnectionId, frame: Message) -> Option<End> {
    match frame {
        Message::Text(text) => hub.handle_text(connection, &text),
        Message::Binary(_) => {
            let error = TrackerDecodeError::Malformed("a binary frame; messages are text".into());
            hub.handle_undecodable(connection, None, &error);
        }
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => hub.handle_control(connection),
        Message::Close(_) => return Some(End::Theirs),
    }
    None
}

/// Writes frames with as few writes as possible.
async fn send(socket: &mut WebSocket, frames: VecDeque<String>, limit: Duration) -> Result<(), End> {
    let write = async {
        for frame in frames {
            socket.feed(Message::Text(frame.into())).await?;
        }
        socket.flush().await
    };
    match timeout(limit, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Theirs),
        Err(_) => Err(End::Ours(CloseReason::SlowReader)),
    }
}
