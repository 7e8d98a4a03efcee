//! The tracker's side of a peer: the conversation, what it is told, and what it advises.
//!
//! [`TrackerSide`] decides what is due to be said; `Peer` sends it.

mod advice;
mod manifest;
mod moving;
mod session;
mod signals;
mod wants;

use std::sync::Arc;

pub(crate) use advice::Advice;
pub(crate) use manifest::{ManifestSource, Progress, part_of};
pub(crate) use moving::Moving;
pub(crate) use session::{Refusal, Session, State};
pub(crate) use signals::Signals;
pub(crate) use wants::{Wants, millis};

use crate::id::PeerId;
use crate::time::Timestamp;
use crate::tracker_message::IceServer;
use crate::tracker_message::Scarcity;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct TrackerSide {
    pub(crate) session: Session,
    pub(crate) wants: Wants,
    pub(crate) advice: Advice,
    pub(crate) signals: Signals,
    pub(crate) moving: Moving,
    /// Whether segments may have become whole or broken since the tracker was told.
    has_segment_news: bool,
    /// Viewers that lack something, as it said last.
    pub(crate) leechers: u32,
    /// As the application was told it.
    scarcity: Option<Scarcity>,
}

impl TrackerSide {
    /// `can_move`: follows the tracker to another one.
    pub(crate) fn new(token: Option<String>, can_move: bool) -> Self {
        Self {
            session: Session::new(token).moving_when_told(can_move),
            wants: Wants::default(),
            advice: Advice::default(),
            signals: Signals::default(),
            moving: Moving::default(),
            has_segment_news: false,
            leechers: 0,
            scarcity: None,
        }
    }

    pub(crate) const fn peer(&self) -> Option<PeerId> {
        self.session.peer
    }

    pub(crate) fn ice_servers(&self) -> Arc<[IceServer]> {
        Arc::clone(&self.session.ice_servers)
    }

    /// What the swarm can send, if the tracker said last that it is less than what players need.
    pub(crate) const fn scarcity(&self) -> Option<Scarcity> {
        self.scarcity
    }

    /// The tracker says whether there is enough. Whether that is news.
    pub(crate) fn set_scarcity(&mut self, scarcity: Option<Scarcity>) -> bool {
        let is_news = match (self.scarcity, scarcity) {
            (Some(told), Some(now)) => told.is_unlike(now),
            (told, now) => told.is_some() != now.is_some(),
        };
        if is_news {
            self.scarcity = scarcity;
        }
        is_news
    }

    /// Groups were gained or lost.
    pub(crate) const fn note_segments(&mut self) {
        self.has_segment_news = true;
    }

    /// Whether the tracker is to hear of segments now.
    pub(crate) fn take_segments_due(&mut self, now: Timestamp) -> bool {
        self.has_segment_news && !self.moving.is_joining() && self.session.take_have_due(now)
    }

    /// All news was told.
    pub(crate) const fn segments_told(&mut self) {
        self.has_segment_news = false;
    }

    /// When something here is due by itself.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let has_news = self.has_segment_news && !self.moving.is_joining() && self.session.is_joined();
        let news = has_news.then_some(self.session.next_have);
        let signals = self.signals.deadline().filter(|_| self.session.is_joined());
        [self.session.deadline(), news, signals, self.moving.deadline()].into_iter().flatten().min()
    }
}
