//! Whether what arrives on a link becomes messages.
//!
//! The `webrtc` crate keeps the packets of a message until its last one is there. It takes them even when its receive buffer is
//! full, because the next packet may complete the message. So a message that never ends would fill the memory. The crate does not
//! tell how much it keeps. [`Traffic`] finds out from outside: it compares the bytes of all packets with those of the messages
//! that came of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// First byte of a DTLS record that carries data.
pub(super) const APPLICATION_DATA: u8 = 23;

/// Bytes that may have come without a message, beyond [`SHARE`]: four times the crate's receive buffer (1 MiB). A sender that
/// keeps to the rules has one such buffer under way, and sends parts of it again when packets are lost.
const INCOMPLETE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One byte more may come for this many that were sent, or came in messages. Heads and encryption add a
/// fourteenth to messages; acknowledgements are a tenth of what they acknowledge, or less.
const SHARE: u64 = 4;

/// Bytes of one link, counted by its sockets and its readers.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// In packets of data that came.
    received: AtomicU64,
    /// In packets that left.
    sent: AtomicU64,
    /// In messages that came.
    delivered: AtomicU64,
    is_excessive: AtomicBool,
    excess: Notify,
}

impl Traffic {
    /// Notes datagrams that came. Whether the connection may see them.
    pub(super) fn note_received<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) -> bool {
        let is_data = |datagram: &&[u8]| datagram.first() == Some(&APPLICATION_DATA);
        let bytes: u64 = datagrams.filter(is_data).map(|datagram| datagram.len() as u64).sum();
        let received = self.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let delivered = self.delivered.load(Ordering::Relaxed);
        let share = self.sent.load(Ordering::Relaxed).saturating_add(delivered) / SHARE;
        if received > delivered.saturating_add(share).saturating_add(INCOMPLETE_BYTES_MAX)
            && !self.is_excessive.swap(true, Ordering::Relaxed)
        {
            self.excess.notify_one();
        }
        !self.is_excessive.load(Ordering::Relaxed)
    }

    /// Notes a datagram that leaves.
    pub(super) fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes a message that came.
    pub(crate) fn note_message(&self, bytes: usize) {
        self.delivered.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits until more has come than messages can explain. One task may wait.
    pub(crate) async fn is_excessive(&self) {
        self.excess.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 1,200 bytes that the connection saw, of so many that came one after the other.
    fn seen(traffic: &Traffic, first_byte: u8, count: u64) -> u64 {
        let packet = [first_byte; 1200];
        (0..count).filter(|_| traffic.note_received([&packet[..]].into_iter())).count() as u64
    }

    #[test]
    fn a_message_that_never_ends_is_cut_off() {
        let traffic = Traffic::default();
        assert_eq!(seen(&traffic, APPLICATION_DATA, 10_000), INCOMPLETE_BYTES_MAX / 1200);
        // Messages beside it do not help for longer than they are long.
        let traffic = Traffic::default();
        let mut rounds = 0;
        while seen(&traffic, APPLICATION_DATA, 2) == 2 {
            traffic.note_message(1200);
            rounds += 1;
        }
        let surplus = 1200 - 1200 / SHARE;
        assert!(rounds <= INCOMPLETE_BYTES_MAX / surplus, "{rounds}");
    }

    #[test]
    fn what_becomes_messages_and_what_acknowledges_goes_on_for_ever() {
        let traffic = Traffic::default();
        for _ in 0..100_000 {
            assert_eq!(seen(&traffic, APPLICATION_DATA, 1), 1);
            traffic.note_message(1110);
        }
        let traffic = Traffic::default();
        let acknowledgement = [APPLICATION_DATA; 110];
        for _ in 0..100_000 {
            traffic.note_sent(1200);
            assert!(traffic.note_received([&acknowledgement[..]].into_iter()));
        }
    }

    #[test]
    fn handshakes_and_checks_do_not_count() {
        let traffic = Traffic::default();
        assert_eq!(seen(&traffic, 22, 10_000), 10_000);
    }
}
