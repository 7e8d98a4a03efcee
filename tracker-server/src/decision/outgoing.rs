//! What the decisions ask of the sockets: messages to send and connections to close.

use swarm_core::tracker_message::{TrackerMessage, TrackerMessageBody};

/// Names one connection, towards the driver only. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Something to do with a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Outgoing {
    /// Send this message.
    Send(TrackerMessage),
    /// Close the connection after what was sent. The decisions have forgotten it already: nothing more
    /// need be told about it, though telling does no harm.
    Close(CloseReason),
}

impl Outgoing {
    /// A message that answers no request.
    pub const fn notice(body: TrackerMessageBody) -> Self {
        Self::Send(TrackerMessage::notice(body))
    }
}

/// Why the tracker closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub enum CloseReason {
    /// It speaks another version.
    Version,
    /// It lacks the token of a closed tracker.
    Forbidden,
    /// It is introduced to nobody.
    Withheld,
    /// The same peer came back on another connection.
    Replaced,
    /// It kept sending although it was refused.
    Flooding,
    /// There is no room for it.
    Full,
    /// A frame was longer than allowed, or none at all.
    TooLong,
    /// It did not read what was sent.
    SlowReader,
    /// It said no `hello` in time.
    NoHello,
    /// It answered no ping.
    Silent,
    /// The tracker is stopping.
    Stopping,
    /// A long message was begun and did not arrive in time.
    Unfinished,
    /// There was no room for a long message for too long.
    NoMessageRoom,
    /// The permission that it came with is over.
    Expired,
    /// The peer is in the swarm on another connection, which it opened for that.
    Moved,
}

impl CloseReason {
    /// The status of the close frame (RFC 6455, §7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            Self::Stopping | Self::Moved => 1001,
            Self::Version | Self::NoHello => 1002,
            Self::TooLong => 1009,
            Self::Full | Self::NoMessageRoom => 1013,
            Self::Forbidden
            | Self::Withheld
            | Self::Replaced
            | Self::Flooding
            | Self::SlowReader
            | Self::Silent
            | Self::Unfinished
            | Self::Expired => 1008,
        }
    }

    /// The reason for people, at most 123 bytes.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Version => "another protocol version is spoken here",
            Self::Forbidden => "the token is missing or wrong",
            Self::Withheld => "no peers are to be had here without consent, or at all",
            Self::Replaced => "the same peer came back on another connection",
            Self::Flooding => "too many messages, in spite of being refused",
            Self::Full => "too many connections from one address; try again later",
            Self::TooLong => "a frame is longer than 65536 bytes or breaks the WebSocket protocol",
            Self::SlowReader => "messages were not read fast enough",
            Self::NoHello => "no hello came in time",
            Self::Silent => "pings were not answered",
            Self::Stopping => "the tracker is stopping",
            Self::Unfinished => "a message was begun and did not arrive in time",
            Self::NoMessageRoom => {
                "your address or network sends too many long messages at once; try again later"
            }
            Self::Expired => "the permission to watch has expired",
            Self::Moved => "the peer is connected with another tracker now",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_fits_a_close_frame() {
        for reason in [
            CloseReason::Version,
            CloseReason::Forbidden,
            CloseReason::Withheld,
            CloseReason::Replaced,
            CloseReason::Flooding,
            CloseReason::Full,
            CloseReason::TooLong,
            CloseReason::SlowReader,
            CloseReason::NoHello,
            CloseReason::Silent,
            CloseReason::Stopping,
            CloseReason::Unfinished,
            CloseReason::NoMessageRoom,
            CloseReason::Expired,
            CloseReason::Moved,
        ] {
            assert!(reason.text().len() <= 123);
            assert!((1000..5000).contains(&reason.code()));
        }
    }
}
