//! One WebSocket: reads frames into decisions, writes what the outbox holds, keeps time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::SinkExt;
use swarm_core::limits::TRACKER_MESSAGE_BYTES_MAX;
use swarm_core::tracker_message::TrackerDecodeError;
use tokio::time::{Instant, sleep_until, timeout};

use crate::decision::{CloseReason, ConnectionId};
use crate::hub::{Caller, Hub};
use crate::limits::{OUTBOX_BYTES_MAX, PINGS_MISSED_MAX, SOCKET_READ_BYTES, SOCKET_WRITE_BYTES};
use crate::outbox::{Next, Outbox};
use crate::place::Permit;

/// Why a conversation ended.
enum End {
    /// The other side went away or closed.
    Theirs,
    /// The tracker closes.
    Ours(CloseReason),
}

/// Answers an upgrade request and serves the WebSocket. `permit` is held for as long as it is open.
pub(crate) fn upgrade(hub: Arc<Hub>, upgrade: WebSocketUpgrade, caller: Caller, permit: Permit) -> Response {
    let counted = hub.sockets.token();
    permit.upgrade();
    upgrade
        .read_buffer_size(SOCKET_READ_BYTES)
        .write_buffer_size(SOCKET_WRITE_BYTES)
        .max_write_buffer_size(OUTBOX_BYTES_MAX)
        .max_message_size(TRACKER_MESSAGE_BYTES_MAX)
        .max_frame_size(TRACKER_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            converse(&hub, socket, caller).await;
            drop((permit, counted));
        })
}

async fn converse(hub: &Hub, mut socket: WebSocket, caller: Caller) {
    let (connection, outbox) = hub.open(caller);
    tracing::debug!(connection = connection.0, address = %caller.address, "a connection opened");
    let end = talk(hub, &mut socket, connection, &outbox).await;
    hub.close(connection);
    match end {
        End::Theirs => tracing::debug!(connection = connection.0, "a connection was closed by its peer"),
        End::Ours(reason) => {
            tracing::debug!(connection = connection.0, reason = reason.text(), "closing a connection");
            hub.metrics.count_close(reason);
            let advice = (reason == CloseReason::Stopping).then(|| hub.elsewhere()).flatten();
            let text = advice.map_or_else(|| reason.text().into(), |address| format!("move to {address}"));
            let frame = CloseFrame { code: reason.code(), reason: text.into() };
            // One that does not read cannot be told.
            _ = timeout(hub.config.deadlines.close, socket.send(Message::Close(Some(frame)))).await;
        }
    }
    // Both sides have to have said close before the socket goes, or the last frames may be lost on the way.
    _ = timeout(hub.config.deadlines.close, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
}

async fn talk(hub: &Hub, socket: &mut WebSocket, connection: ConnectionId, outbox: &Outbox) -> End {
    let deadlines = hub.config.deadlines;
    let mut is_greeted = false;
    let mut pings_missed = 0;
    let mut alarm = Instant::now() + deadlines.hello;
    loop {
        tokio::select! {
            next = outbox.next() => match next {
                Next::Close(reason) => return End::Ours(reason),
                Next::Send(frames) => match send(socket, frames, deadlines.send).await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
            },
            frame = socket.recv() => {
                pings_missed = 0;
                match frame {
                    Some(Ok(frame)) => if let Some(end) = receive(hub, connection, frame) { return end },
                    // What cannot be read any further: too long, or no WebSocket frame, or a dead socket.
                    Some(Err(_)) => return End::Ours(CloseReason::TooLong),
                    None => return End::Theirs,
                }
            },
            () = sleep_until(alarm) => {
                alarm = Instant::now() + deadlines.ping;
                if !is_greeted {
                    is_greeted = hub.is_greeted(connection);
                    if !is_greeted {
                        return End::Ours(CloseReason::NoHello);
                    }
                } else if pings_missed == PINGS_MISSED_MAX {
                    return End::Ours(CloseReason::Silent);
                }
                pings_missed += 1;
                match timeout(deadlines.send, socket.send(Message::Ping(Bytes::new()))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return End::Theirs,
                    Err(_) => return End::Ours(CloseReason::SlowReader),
                }
            },
        }
    }
}

/// Takes one frame; says whether it ends the conversation.
fn receive(hub: &Hub, connection: ConnectionId, frame: Message) -> Option<End> {
    match frame {
        Message::Text(text) => hub.handle_text(connection, &text),
        Message::Binary(_) => {
            let error = TrackerDecodeError::Malformed("a binary frame; messages are text".into());
            hub.handle_undecodable(connection, None, &error);
        }
        Message::Ping(_) | Message::Pong(_) => hub.handle_control(connection),
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
