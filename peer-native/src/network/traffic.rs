//! Whether what arrives on a link becomes messages.
//!
//! The `webrtc` crate keeps the packets of a message until its last one is there. It takes them even when its receive buffer is
//! full, because the next packet may complete the message. So a message that never ends would fill the memory. The crate does not
//! tell how much it keeps. [`Traffic`] finds out from outside: it compares the bytes of all packets with those of the messages
//! that came of them. Beyond a bound packets are dropped, as a full buffer drops them; the other side sends them again. If
//! nothing comes of that, the link ends.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

/// First byte of a DTLS record that carries data.
pub(super) const APPLICATION_DATA: u8 = 23;

/// Bytes that may have come without a message, beyond [`SHARE`]. The crate holds up to 512 messages that are complete and one
/// receive buffer of 1 MiB; a group with its head and proof is a message of 17 KiB at most.
const INCOMPLETE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// One byte more may come for this many that were sent, or came in messages. Heads and encryption add a
/// fourteenth to messages; acknowledgements are a tenth of what they acknowledge, or less.
const SHARE: u64 = 4;

/// How long messages that are complete may take to their readers while nothing else is let in.
const GRACE: Duration = Duration::from_secs(1);

/// Bytes of one link, counted by its sockets and its readers.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// In packets of data that the connection saw.
    received: AtomicU64,
    /// In packets that left.
    sent: AtomicU64,
    /// In messages that came.
    delivered: AtomicU64,
    /// Readers that wait for the driver. What comes meanwhile waits for them.
    waiting: AtomicUsize,
    /// Packets were dropped.
    excess: Notify,
}

impl Traffic {
    /// Notes datagrams that came. Whether the connection may see them.
    pub(super) fn note_received<'a>(&self, datagrams: impl Iterator<Item = &'a [u8]>) -> bool {
        let is_data = |datagram: &&[u8]| datagram.first() == Some(&APPLICATION_DATA);
        let bytes: u64 = datagrams.filter(is_data).map(|datagram| datagram.len() as u64).sum();
        let is_taken = bytes == 0 || self.has_room();
        if is_taken {
            self.received.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.excess.notify_one();
        }
        is_taken
    }

    /// Notes a datagram that leaves.
    pub(super) fn note_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Notes a message that came to a reader, which waits for the driver until [`Self::note_taken`].
    pub(crate) fn note_message(&self, bytes: usize) {
        self.delivered.fetch_add(bytes as u64, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the driver took the message.
    pub(crate) fn note_taken(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits until more has come than messages explain, and no reader is what they wait for.
    pub(crate) async fn exceeds_its_messages(&self) {
        loop {
            self.excess.notified().await;
            sleep(GRACE).await;
            if !self.has_room() && self.waiting.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }

    fn has_room(&self) -> bool {
        let delivered = self.delivered.load(Ordering::Relaxed);
        let share = self.sent.load(Ordering::Relaxed).saturating_add(delivered) / SHARE;
        let explained = delivered.saturating_add(share).saturating_add(INCOMPLETE_BYTES_MAX);
        self.received.load(Ordering::Relaxed) <= explained
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    /// Packets of 1,200 bytes that the connection saw, of so many that came one after the other.
    fn seen(traffic: &Traffic, first_byte: u8, count: u64) -> u64 {
        let packet = [first_byte; 1200];
        (0..count).filter(|_| traffic.note_received([&packet[..]].into_iter())).count() as u64
    }

    fn message(traffic: &Traffic, bytes: usize) {
        traffic.note_message(bytes);
        traffic.note_taken();
    }

    #[tokio::test]
    async fn a_message_that_never_ends_is_cut_off() {
        let traffic = Traffic::default();
        assert_eq!(seen(&traffic, APPLICATION_DATA, 10_000), INCOMPLETE_BYTES_MAX / 1200 + 1);
        timeout(GRACE * 5, traffic.exceeds_its_messages()).await.unwrap();
        // Messages beside it do not help for longer than they are long.
        let traffic = Traffic::default();
        let mut rounds = 0;
        while seen(&traffic, APPLICATION_DATA, 2) == 2 {
            message(&traffic, 1200);
            rounds += 1;
        }
        let surplus = 1200 - 1200 / SHARE;
        assert!(rounds <= INCOMPLETE_BYTES_MAX / surplus + 1, "{rounds}");
    }

    #[tokio::test]
    async fn messages_that_wait_for_their_reader_end_no_link() {
        let traffic = Traffic::default();
        traffic.note_message(1200);
        assert!(seen(&traffic, APPLICATION_DATA, 10_000) < 10_000);
        assert!(timeout(GRACE * 2, traffic.exceeds_its_messages()).await.is_err());
        // They are taken, and what was dropped comes again.
        traffic.note_taken();
        (0..10_000).for_each(|_| message(&traffic, 1100));
        assert_eq!(seen(&traffic, APPLICATION_DATA, 1000), 1000);
        assert!(timeout(GRACE * 2, traffic.exceeds_its_messages()).await.is_err());
    }

    #[test]
    fn what_becomes_messages_and_what_acknowledges_goes_on_for_ever() {
        let traffic = Traffic::default();
        for _ in 0..100_000 {
            assert_eq!(seen(&traffic, APPLICATION_DATA, 1), 1);
            message(&traffic, 1110);
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
        assert_eq!(seen(&traffic, 22, 20_000), 20_000);
    }
}
