//! How long to wait for the rest of what is just arriving before the connection sees it.
//!
//! The connection acknowledges what it finds waiting with one packet of a hundred bytes; on a slow path, where it
//! is woken for every packet, that is one for every second packet, a twentieth of what the path carries. A group
//! is thirteen packets, of which the last is mostly shorter than the others; nothing can be done with the
//! first twelve before it is there. So full packets wait for what follows them: a packet that is not full, a
//! pause, or [`HOLD_MAX`].
//!
//! A sender in trouble or at its beginning sends little before it waits for an acknowledgement, and finds out
//! about a loss by three of them; so nothing waits at first and after a gap. The numbers that tell of a gap are
//! those of DTLS records, which are not encrypted (RFC 6347, section 4.1); whatever else comes never waits.
//!
//! Pure: told the time and the datagrams. The waiting is done by
//! [`PatientSocket`](super::patient_socket::PatientSocket).

use std::time::{Duration, Instant};

use super::traffic::APPLICATION_DATA;

/// Full packets that do not wait at the beginning: until the sender's window has opened.
const EAGER_AT_FIRST: u32 = 64;
/// Records with data after which a connection stands, whatever their length: some only ever carry short ones.
const YOUNG_RECORDS: u32 = 64;
/// Full packets that do not wait after a gap: until the sender has mended it and its window has opened again.
const EAGER_AFTER_GAP: u32 = 4;
/// Longest wait: a group takes as long at 2.6 Mbit/s. It holds up what senders learn, never a message.
const HOLD_MAX: Duration = Duration::from_millis(50);
/// Most packets that wait together.
const HELD_MAX: u32 = 32;
/// A pause is this many times the usual distance of packets.
const PAUSE: u32 = 3;
/// A shorter pause is not worth waiting for: the path is fast, and packets pile up by themselves.
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// Packets further apart than this do not belong together.
const APART: Duration = Duration::from_millis(100);

/// Where a record's epoch and number are.
const RECORD_NUMBER: std::ops::Range<usize> = 3..11;

/// When the connection is to see what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// At once, with everything that waits.
    Now,
    /// Unless something else comes, at this time.
    At(Instant),
}

/// What was learnt of the packets of one path.
#[derive(Debug)]
pub(super) struct Patience {
    eager: u32,
    /// Records with data so far.
    records: u32,
    /// The record expected next.
    next_record: Option<u64>,
    /// The longest packet so far.
    full_bytes: usize,
    last_full: Option<Instant>,
    /// The usual distance of full packets.
    distance: Option<Duration>,
    /// Packets that wait, and since when.
    held: u32,
    held_since: Option<Instant>,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self {
            eager: EAGER_AT_FIRST,
            records: 0,
            next_record: None,
            full_bytes: 0,
            last_full: None,
            distance: None,
            held: 0,
            held_since: None,
        }
    }

    /// Datagrams came together, in this order.
    pub(super) fn heard<'a>(&mut self, now: Instant, datagrams: impl Iterator<Item = &'a [u8]>) -> Verdict {
        let (mut is_urgent, mut count) = (false, 0);
        for datagram in datagrams {
            is_urgent |= self.is_urgent(datagram);
            count += 1;
        }
        if !is_urgent {
            self.note_distance(now, count);
        }
        self.held = self.held.saturating_add(count);
        let since = *self.held_since.get_or_insert(now);
        let pause = self.distance.map_or(Duration::ZERO, |distance| distance * PAUSE);
        if is_urgent || self.held >= HELD_MAX || pause < PAUSE_MIN {
            self.handed_on();
            return Verdict::Now;
        }
        Verdict::At((now + pause).min(since + HOLD_MAX))
    }

    /// The connection has seen everything.
    pub(super) const fn handed_on(&mut self) {
        self.held = 0;
        self.held_since = None;
    }

    /// Whether the connection is still being built, or has hardly begun.
    pub(super) const fn is_young(&self) -> bool {
        self.records < YOUNG_RECORDS
    }

    fn is_urgent(&mut self, datagram: &[u8]) -> bool {
        let Some(number) = record_number(datagram) else { return true };
        self.records = self.records.saturating_add(1);
        if self.next_record.is_some_and(|next| next != number) {
            self.eager = self.eager.max(EAGER_AFTER_GAP);
        }
        self.next_record = self.next_record.max(Some(number.saturating_add(1)));
        self.full_bytes = self.full_bytes.max(datagram.len());
        if datagram.len() < self.full_bytes {
            return true;
        }
        let is_eager = self.eager > 0;
        self.eager = self.eager.saturating_sub(1);
        is_eager
    }

    fn note_distance(&mut self, now: Instant, count: u32) {
        let last = self.last_full.replace(now);
        let Some(passed) = last.map(|last| now.saturating_duration_since(last)) else { return };
        if passed < APART {
            let sample = passed / count.max(1);
            self.distance =
                Some(self.distance.map_or(sample, |usual| (usual * 7 + sample.min(usual * 2)) / 8));
        }
    }
}

/// Epoch and number of a record with data; `None` for anything else.
fn record_number(datagram: &[u8]) -> Option<u64> {
    let number = datagram.get(RECORD_NUMBER).filter(|_| datagram.first() == Some(&APPLICATION_DATA))?;
    Some(u64::from_be_bytes(number.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u64, length: usize) -> Vec<u8> {
        let mut packet = vec![APPLICATION_DATA, 254, 253];
        packet.extend(number.to_be_bytes());
        packet.resize(length, 0);
        packet
    }

    /// A path that carried a while, a full packet every `millis`; the time and the record's number that are next.
    fn settled(millis: u64) -> (Patience, Instant, u64) {
        let (mut patience, mut now, mut number) = (Patience::new(), Instant::now(), 0);
        for _ in 0..EAGER_AT_FIRST + 20 {
            patience.heard(now, [&packet(number, 1200)[..]].into_iter());
            now += Duration::from_millis(millis);
            number += 1;
        }
        patience.handed_on();
        (patience, now, number)
    }

    fn hear(patience: &mut Patience, now: Instant, number: u64, length: usize) -> Verdict {
        patience.heard(now, [&packet(number, length)[..]].into_iter())
    }

    #[test]
    fn full_packets_wait_for_the_short_one_that_ends_a_message() {
        let (mut patience, now, number) = settled(2);
        let step = Duration::from_millis(2);
        assert_eq!(hear(&mut patience, now, number, 1200), Verdict::At(now + step * PAUSE));
        assert_eq!(hear(&mut patience, now + step, number + 1, 1200), Verdict::At(now + step + step * PAUSE));
        assert_eq!(hear(&mut patience, now + step, number + 2, 300), Verdict::Now);
    }

    #[test]
    fn none_waits_longer_than_allowed_nor_in_larger_company() {
        let (mut patience, now, number) = settled(3);
        hear(&mut patience, now, number, 1200);
        let later = now + HOLD_MAX - Duration::from_millis(1);
        assert_eq!(hear(&mut patience, later, number + 1, 1200), Verdict::At(now + HOLD_MAX));
        let company = [packet(number + 2, 1200), packet(number + 3, 1200)];
        let company = company.iter().map(Vec::as_slice).cycle().take(HELD_MAX as usize);
        assert_eq!(patience.heard(later, company), Verdict::Now);
    }

    #[test]
    fn nothing_waits_on_a_fast_path() {
        let (mut patience, now, number) = settled(0);
        assert_eq!(hear(&mut patience, now, number, 1200), Verdict::Now);
    }

    #[test]
    fn after_a_gap_acknowledgements_are_quick_for_a_while() {
        let (mut patience, now, number) = settled(2);
        let quick =
            (0..).take_while(|more| hear(&mut patience, now, number + 1 + more, 1200) == Verdict::Now);
        assert_eq!(quick.count(), EAGER_AFTER_GAP as usize);
    }

    #[test]
    fn what_is_no_record_with_data_never_waits_and_hides_no_gap() {
        let (mut patience, now, number) = settled(2);
        for other in [&[][..], &[1, 2, 3], &[22; 1200]] {
            assert_eq!(patience.heard(now, [other].into_iter()), Verdict::Now);
        }
        assert_ne!(hear(&mut patience, now, number, 1200), Verdict::Now);
    }

    #[test]
    fn a_path_is_young_until_it_has_carried_something_even_if_all_of_it_is_short() {
        let mut patience = Patience::new();
        hear(&mut patience, Instant::now(), 0, 1200);
        patience.heard(Instant::now(), [&[22; 300][..]; 100].into_iter());
        assert!(patience.is_young());
        for number in 1..YOUNG_RECORDS.into() {
            hear(&mut patience, Instant::now(), number, 107);
        }
        assert!(!patience.is_young());
    }
}
