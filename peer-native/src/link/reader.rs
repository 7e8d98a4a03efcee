//! The readers of a link, one a channel, and the count of what the other side has acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use swarm_core::peer_message::{DATA_LABEL, DataMessage, PeerMessage};
use tokio::sync::{mpsc, watch};
use webrtc::data_channel::{DataChannel, DataChannelEvent};

use super::{Counters, LinkEvent, Told};
use crate::network::Traffic;

/// What the readers tell the link's task.
pub(super) enum Channel {
    /// The channel of this label is open.
    Opened(&'static str, Arc<dyn DataChannel>),
    /// A channel closed.
    Closed,
}

/// Reads one channel until it closes.
pub(super) struct Reader {
    pub(super) label: &'static str,
    pub(super) channel: Arc<dyn DataChannel>,
    pub(super) told: Told,
    pub(super) counters: Arc<Counters>,
    pub(super) traffic: Arc<Traffic>,
    pub(super) low_water: Arc<AtomicU64>,
    pub(super) readers: mpsc::Sender<Channel>,
    pub(super) is_open: watch::Receiver<bool>,
}

impl Reader {
    /// Until the channel closes.
    pub(super) async fn run(mut self) {
        let mut is_told = false;
        while let Some(event) = self.channel.poll().await {
            // Over a relay the crate hands on a first message before it says that the channel is open: it takes in what a
            // relay brought between two looks at its own events. So a message says the same as the event. Waiting for the
            // link to open would otherwise hold up the very event that opens it.
            let is_open = matches!(event, DataChannelEvent::OnOpen | DataChannelEvent::OnMessage(_));
            if is_open && !std::mem::replace(&mut is_told, true) {
                let _ = self.readers.send(Channel::Opened(self.label, self.channel.clone())).await;
            }
            match event {
                DataChannelEvent::OnMessage(message) => {
                    self.traffic.note_message(message.data.len());
                    if self.is_open.wait_for(|is_open| *is_open).await.is_err() {
                        return;
                    }
                    self.told.tell(decode(self.label, message.data.freeze())).await;
                    self.traffic.note_taken();
                }
                DataChannelEvent::OnBufferedAmountLow if self.label == DATA_LABEL => {
                    let low_water = self.low_water.load(Ordering::Relaxed);
                    sample(&self.channel, &self.counters, low_water, &self.told).await;
                }
                DataChannelEvent::OnClose => break,
                DataChannelEvent::OnError => tracing::debug!(label = self.label, "channel error"),
                DataChannelEvent::OnOpen
                | DataChannelEvent::OnBufferedAmountLow
                | DataChannelEvent::OnBufferedAmountHigh
                | DataChannelEvent::OnClosing
                | _ => {}
            }
        }
        let _ = self.readers.send(Channel::Closed).await;
    }
}

fn decode(label: &str, frame: Bytes) -> LinkEvent {
    let event = if label == DATA_LABEL {
        DataMessage::decode(frame).map(LinkEvent::Data)
    } else {
        PeerMessage::decode(&frame).map(LinkEvent::Control)
    };
    event.unwrap_or_else(LinkEvent::Malformed)
}

/// Notes what the other side has acknowledged, and tells the driver if that was news and little is left under way.
pub(super) async fn sample(channel: &Arc<dyn DataChannel>, counters: &Counters, low_water: u64, told: &Told) {
    // In this order the sum can only be too high for a moment, never too low.
    let sent = counters.sent.load(Ordering::Relaxed);
    let Ok(outstanding) = channel.outstanding_bytes().await else { return };
    let outstanding = outstanding as u64;
    let released = sent.saturating_sub(outstanding);
    let known = counters.released.fetch_max(released, Ordering::Release);
    if known < released && outstanding <= low_water {
        told.tell(LinkEvent::Drained).await;
    }
}
