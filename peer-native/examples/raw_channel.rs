//! How fast one ordered data channel of the `webrtc` crate carries frames inside one process, with nothing of
//! this project around it: the number to hold a fetch against.
//!
//! `cargo run --release -p peer-native --example raw_channel [MIB [FRAME_KIB [WINDOW_KIB]]]`

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail};
use bytes::BytesMut;
use tokio::sync::{mpsc, oneshot};
use webrtc::data_channel::{DataChannel, DataChannelEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
};

/// Passes on what the two ends wait for.
struct Listener {
    gathered: mpsc::Sender<()>,
    channels: mpsc::Sender<Arc<dyn DataChannel>>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Listener {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            let _ = self.gathered.try_send(());
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.channels.try_send(channel);
    }
}

/// One end: its connection, and what it is told.
struct End {
    connection: Box<dyn PeerConnection>,
    gathered: mpsc::Receiver<()>,
    channels: mpsc::Receiver<Arc<dyn DataChannel>>,
}

async fn end() -> anyhow::Result<End> {
    let (gathered_sender, gathered) = mpsc::channel(1);
    let (channel_sender, channels) = mpsc::channel(1);
    let connection = PeerConnectionBuilder::new()
        .with_handler(Arc::new(Listener { gathered: gathered_sender, channels: channel_sender }))
        .with_udp_addrs(vec!["127.0.0.1:0"])
        .with_dedicated_reactor_pool_size(2)
        .build()
        .await?;
    Ok(End { connection: Box::new(connection), gathered, channels })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut number = |default| numbers.next().unwrap_or(Ok(default)).context("not a number");
    let (total, frame, window) = (number(256)? << 20, number(48)? << 10, number(256)? << 10);
    let (mut sender, mut receiver) = (end().await?, end().await?);
    let channel = sender.connection.create_data_channel("data", None).await?;

    let offer = sender.connection.create_offer(None).await?;
    sender.connection.set_local_description(offer).await?;
    sender.gathered.recv().await.context("no candidates")?;
    let offer = sender.connection.local_description().await.context("no offer")?;
    receiver.connection.set_remote_description(offer).await?;
    let answer = receiver.connection.create_answer(None).await?;
    receiver.connection.set_local_description(answer).await?;
    receiver.gathered.recv().await.context("no candidates")?;
    let answer = receiver.connection.local_description().await.context("no answer")?;
    sender.connection.set_remote_description(answer).await?;

    let incoming = receiver.channels.recv().await.context("no channel")?;
    let (done, received) = oneshot::channel();
    tokio::spawn(async move {
        let mut bytes = 0;
        while let Some(event) = incoming.poll().await {
            if let DataChannelEvent::OnMessage(message) = event {
                bytes += message.data.len();
                if bytes >= total {
                    let _ = done.send(());
                    return;
                }
            }
        }
    });

    while !matches!(channel.poll().await.context("the channel closed")?, DataChannelEvent::OnOpen) {}
    channel.set_buffered_amount_low_threshold(u32::try_from(window / 2)?).await?;
    let payload = BytesMut::from(vec![7u8; frame].as_slice());
    let started = Instant::now();
    let mut sent = 0;
    while sent < total {
        while channel.outstanding_bytes().await? + frame > window.max(frame) {
            // The event is not sent for what was not yet packets; so the amount is looked at by time as well.
            let wait = std::time::Duration::from_millis(2);
            if let Ok(None) = tokio::time::timeout(wait, channel.poll()).await {
                bail!("the channel closed");
            }
        }
        channel.send(payload.clone()).await?;
        sent += frame;
    }
    received.await.context("the receiver gave up")?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} MiB in frames of {} KiB with {} KiB under way: {:.2} s, {:.1} MB/s",
        total >> 20,
        frame >> 10,
        window >> 10,
        seconds,
        total as f64 / 1e6 / seconds
    );
    sender.connection.close().await?;
    receiver.connection.close().await?;
    Ok(())
}
