//! The connections of siblings: made again when they end, greeted, and read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, ready};
use futures_util::stream::BoxStream;
use futures_util::{Sink, SinkExt, StreamExt};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::SiblingAddress;
use super::mask::Mask;
use super::wire::{Bounded, FromHost, GuestGreeting, HostGreeting, Seals, SiblingError, SiblingKey, ToHost};
use crate::decision::network::Site;
use crate::hub::Hub;
use crate::limits::{
    SIBLING_FRAME_BYTES_MAX, SIBLING_GREETING_TIMEOUT, SIBLING_PROOF_TIMEOUT, SIBLING_QUEUE_MAX,
    SIBLING_RETRY, SIBLING_RETRY_MAX, SIBLING_SILENCE_MAX, SIBLING_TICK,
};
use crate::socket::WebSocket;

/// A connection of frames, opened by either side.
struct Way {
    frames: BoxStream<'static, Bytes>,
    sink: Pin<Box<dyn Sink<Bytes, Error = ()> + Send>>,
}

/// Why a sibling is not reached, in words.
type Lost = String;

/// Runs until it is dropped.
pub(crate) async fn run(hub: Arc<Hub>) {
    let Some(key) = hub.config.siblings.key.clone() else { return };
    let named = hub.config.siblings.addresses.iter().enumerate();
    let dialled = named.map(|(index, address)| dial(&hub, &key, index, address));
    tokio::join!(join_all(dialled), tick(&hub));
}

async fn tick(hub: &Hub) {
    let mut ticks = interval(SIBLING_TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        hub.tick_siblings();
    }
}

/// Keeps a connection to one sibling.
async fn dial(hub: &Hub, key: &SiblingKey, index: usize, address: &SiblingAddress) {
    let mut pause = SIBLING_RETRY;
    let mut said: Option<Lost> = None;
    loop {
        let mut is_reached = false;
        let lost = visit(hub, key, index, address, &mut is_reached).await;
        if is_reached {
            (pause, said) = (SIBLING_RETRY, None);
        }
        if said.as_ref() != Some(&lost) {
            tracing::warn!("the sibling {address} is not reached, its peers and these stay apart: {lost}");
            said = Some(lost);
        }
        let spread = getrandom::u32().unwrap_or(0) % 256;
        sleep(pause - pause / 4 * spread / 256).await;
        pause = (pause * 2).min(SIBLING_RETRY_MAX);
    }
}

/// One connection from its beginning to its end; says why it ended.
async fn visit(
    hub: &Hub,
    key: &SiblingKey,
    index: usize,
    address: &SiblingAddress,
    is_reached: &mut bool,
) -> Lost {
    let greeted = timeout(SIBLING_GREETING_TIMEOUT, greet(key, address)).await;
    let (way, seals) = match greeted {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(lost)) => return lost,
        Err(_) => return "it does not answer".into(),
    };
    let mask = match nonce() {
        Ok(key) => Mask::new(key),
        Err(lost) => return lost,
    };
    *is_reached = true;
    tracing::info!("the sibling {address} is reached");
    let (sender, queue) = mpsc::channel(SIBLING_QUEUE_MAX);
    hub.sibling_reached(index, sender, mask);
    let lost =
        exchange(way, seals, queue, &ToHost::Probe, |message: FromHost| hub.hear_host(index, message)).await;
    hub.sibling_lost(index);
    lost
}

/// How a WebSocket of a sibling reads and writes.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(SIBLING_FRAME_BYTES_MAX))
        .max_frame_size(Some(SIBLING_FRAME_BYTES_MAX))
}

async fn greet(key: &SiblingKey, address: &SiblingAddress) -> Result<(Way, Seals), Lost> {
    let connected = connect_async_with_config(address.url(), Some(config()), true).await;
    let (socket, _) = connected.map_err(|error| error.to_string())?;
    let (sink, stream) = socket.split();
    let frames = stream.take_while(|message| ready(message.is_ok())).filter_map(|message| {
        ready(if let Ok(Message::Binary(frame)) = message { Some(frame) } else { None })
    });
    let sink = sink.sink_map_err(drop).with(|frame| ready(Ok::<_, ()>(Message::Binary(frame))));
    let mut way = Way { frames: frames.boxed(), sink: Box::pin(sink) };
    let nonce = nonce()?;
    let greeting = GuestGreeting::new(key.clone(), &way.frame().await?, nonce).map_err(in_words)?;
    way.send(greeting.answer()).await?;
    let seals = greeting.confirmed(&way.frame().await?).map_err(in_words)?;
    Ok((way, seals))
}

/// Serves the connection of a sibling that came. Once it has shown that it is one, `is_own` is set and `greeted` is called.
pub(crate) async fn host(
    hub: &Hub,
    key: SiblingKey,
    (socket, site): (WebSocket, Site),
    (is_own, greeted): (&AtomicBool, impl FnOnce()),
) {
    let (sink, stream) = socket.split();
    let frames = stream.take_while(|message| ready(message.is_ok())).filter_map(|message| {
        ready(if let Ok(Message::Binary(frame)) = message { Some(frame) } else { None })
    });
    let sink = sink.sink_map_err(drop).with(|frame| ready(Ok::<_, ()>(Message::Binary(frame))));
    let way = Way { frames: frames.boxed(), sink: Box::pin(sink) };
    let (way, seals) = match timeout(SIBLING_PROOF_TIMEOUT, welcome(key, way)).await {
        Ok(Ok(welcomed)) => welcomed,
        Ok(Err(lost)) => return tracing::warn!("a tracker that calls itself a sibling is refused: {lost}"),
        Err(_) => return,
    };
    is_own.store(true, Ordering::Relaxed);
    greeted();
    let (sender, queue) = mpsc::channel(SIBLING_QUEUE_MAX);
    let Ok(key) = nonce() else { return };
    let Some(id) = hub.sibling_came(site, sender, Mask::new(key)) else {
        return tracing::warn!("a sibling is refused: there are as many as there may be");
    };
    let lost = exchange(way, seals, queue, &FromHost::Probe, |message| hub.hear_sibling(id, message)).await;
    tracing::debug!("the connection of a sibling ended: {lost}");
    hub.sibling_left(id);
}

async fn welcome(key: SiblingKey, mut way: Way) -> Result<(Way, Seals), Lost> {
    let greeting = HostGreeting::new(key, nonce()?);
    way.send(greeting.challenge()).await?;
    let (confirmation, seals) = greeting.answered(&way.frame().await?).map_err(in_words)?;
    way.send(confirmation).await?;
    Ok((way, seals))
}

/// Sends what waits and hears what comes until either ends; says why.
async fn exchange<Out: Serialize, In: Bounded>(
    mut way: Way,
    mut seals: Seals,
    mut queue: mpsc::Receiver<Out>,
    probe: &Out,
    mut hear: impl FnMut(In) -> Result<(), SiblingError>,
) -> Lost {
    let mut probes = interval(SIBLING_SILENCE_MAX / 3);
    loop {
        tokio::select! {
            message = queue.recv() => {
                let Some(message) = message else { return "it does not read what it is sent".into() };
                if let Err(lost) = way.send(seals.seal(&message)).await {
                    return lost;
                }
            }
            _ = probes.tick() => if let Err(lost) = way.send(seals.seal(probe)).await { return lost },
            frame = way.frame() => {
                let heard = frame.and_then(|frame| seals.open(&frame).and_then(&mut hear).map_err(in_words));
                if let Err(lost) = heard {
                    return lost;
                }
            }
        }
    }
}

impl Way {
    async fn frame(&mut self) -> Result<Bytes, Lost> {
        match timeout(SIBLING_SILENCE_MAX, self.frames.next()).await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err("it closed the connection".into()),
            Err(_) => Err("it fell silent".into()),
        }
    }

    async fn send(&mut self, frame: Vec<u8>) -> Result<(), Lost> {
        const PATIENCE: Duration = SIBLING_SILENCE_MAX;
        match timeout(PATIENCE, self.sink.send(frame.into())).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(())) => Err("it closed the connection".into()),
            Err(_) => Err("it does not read what it is sent".into()),
        }
    }
}

fn nonce() -> Result<[u8; 32], Lost> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(nonce)
}

fn in_words(error: SiblingError) -> Lost {
    error.to_string()
}
