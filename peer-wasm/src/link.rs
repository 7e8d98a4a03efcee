//! A link's two channels, from the moment they are created to the moment either is gone.

use std::rc::Rc;

use bytes::Bytes;
use swarm_core::limits::CONTROL_BUFFERED_MAX;
use swarm_core::peer_message::{CONTROL_LABEL, DATA_LABEL, DataMessage, PeerMessage};
use swarm_core::{Input, LinkId};

use crate::channel::{Channel, ChannelEvent, Direct, Listener, Relayed};
use crate::page::Attachment;

/// Frames kept that arrive before both channels are open: the other side may be a moment ahead.
const EARLY_FRAMES_MAX: usize = 32;

/// Which of a link's channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Ordered, small messages.
    Control,
    /// Ordered, bulk.
    Data,
}

impl Lane {
    /// The channel of that label, if it is one of ours.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        match label {
            CONTROL_LABEL => Some(Self::Control),
            DATA_LABEL => Some(Self::Data),
            _ => None,
        }
    }
}

/// One end of a link.
#[derive(Debug)]
struct End {
    channel: Channel,
    is_open: bool,
}

/// The channels of one link.
#[derive(Debug)]
pub(crate) struct Link {
    id: LinkId,
    control: Option<End>,
    data: Option<End>,
    is_open: bool,
    early: Vec<(Lane, Bytes)>,
    low_water_bytes: u64,
}

impl Link {
    /// A link whose connection is being built.
    pub(crate) const fn new(id: LinkId) -> Self {
        Self { id, control: None, data: None, is_open: false, early: Vec::new(), low_water_bytes: 0 }
    }

    /// Takes over a channel. `tell` hears of its events. One that is there already stays; a second of the
    /// same label is closed.
    pub(crate) fn attach(
        &mut self,
        lane: Lane,
        attachment: Attachment,
        tell: impl Fn(LinkId, Lane, ChannelEvent) + 'static,
    ) {
        let id = self.id;
        let listener: Listener = Rc::new(move |event| tell(id, lane, event));
        let channel = match attachment {
            Attachment::Channel(channel) => Channel::Direct(Direct::new(channel, &listener)),
            Attachment::Port(port) => Channel::Relayed(Relayed::new(port, &listener)),
            Attachment::None => return,
        };
        channel.set_low_water(self.low_water_bytes);
        self.end(lane).get_or_insert(End { channel, is_open: false });
    }

    fn end(&mut self, lane: Lane) -> &mut Option<End> {
        match lane {
            Lane::Control => &mut self.control,
            Lane::Data => &mut self.data,
        }
    }

    /// Takes what happened on a channel and gives what the core is to know of it.
    pub(crate) fn handle(&mut self, lane: Lane, event: ChannelEvent) -> Vec<Input> {
        match event {
            ChannelEvent::Open => self.handle_open(lane),
            ChannelEvent::Frame(frame) if self.is_open => vec![decode(self.id, lane, frame)],
            ChannelEvent::Frame(frame) => {
                if self.early.len() == EARLY_FRAMES_MAX {
                    let reason = "it sent too much before the link was open".to_owned();
                    return vec![Input::LinkClosed(self.id, reason)];
                }
                self.early.push((lane, frame));
                vec![]
            }
            ChannelEvent::Closed => {
                vec![Input::LinkClosed(self.id, "the other side closed the link".to_owned())]
            }
            ChannelEvent::Drained => self.buffered().into_iter().collect(),
        }
    }

    fn handle_open(&mut self, lane: Lane) -> Vec<Input> {
        if let Some(end) = self.end(lane) {
            end.is_open = true;
        }
        let both = [&self.control, &self.data].iter().all(|end| end.as_ref().is_some_and(|end| end.is_open));
        if self.is_open || !both {
            return vec![];
        }
        self.is_open = true;
        let early = std::mem::take(&mut self.early);
        let frames = early.into_iter().map(|(lane, frame)| decode(self.id, lane, frame));
        std::iter::once(Input::LinkOpen(self.id)).chain(frames).collect()
    }

    /// Sends a frame; the error in words.
    pub(crate) fn send(&self, lane: Lane, frame: &[u8]) -> Result<(), String> {
        let end = match lane {
            Lane::Control => &self.control,
            Lane::Data => &self.data,
        };
        let Some(end) = end else { return Err("the link is not open".to_owned()) };
        let waiting = end.channel.buffered_bytes();
        if lane == Lane::Control && waiting + frame.len() as u64 > CONTROL_BUFFERED_MAX {
            return Err("the other side takes no messages".to_owned());
        }
        end.channel.send(frame)
    }

    /// Sets the amount of buffered bulk at which the core is told of it.
    pub(crate) fn set_low_water(&mut self, bytes: u64) {
        self.low_water_bytes = bytes;
        if let Some(end) = &self.data {
            end.channel.set_low_water(bytes);
        }
    }

    /// How much bulk is buffered, if it is so little that the browser will not say so by itself.
    pub(crate) fn drained(&self) -> Option<Input> {
        let buffered_bytes = self.data.as_ref()?.channel.buffered_bytes();
        (buffered_bytes <= self.low_water_bytes).then_some(Input::Buffered(self.id, buffered_bytes))
    }

    fn buffered(&self) -> Option<Input> {
        let end = self.data.as_ref()?;
        Some(Input::Buffered(self.id, end.channel.buffered_bytes()))
    }
}

fn decode(link: LinkId, lane: Lane, frame: Bytes) -> Input {
    let input = match lane {
        Lane::Control => PeerMessage::decode(&frame).map(|message| Input::Control(link, message)),
        Lane::Data => DataMessage::decode(frame).map(|message| Input::Data(link, message)),
    };
    input.unwrap_or_else(|error| Input::Malformed(link, error))
}
