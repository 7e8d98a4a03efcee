//! ICE candidates of the other side wait for their turn (RFC 8445, section 14.2), because each makes this peer send packets to
//! an address that the other side chose, which may be that of a third party.
//!
//! Candidates inside a session description are taken out of it and wait like the others.

use std::collections::VecDeque;

use crate::id::LinkId;
use crate::peer::tuning::{CANDIDATE_PACE, CANDIDATES_AT_ONCE};
use crate::time::Timestamp;
use crate::tracker_message::Signal;

/// Signals that wait for one link. The limits of the link bound their number.
#[derive(Debug)]
struct Queue {
    link: LinkId,
    waiting: VecDeque<Signal>,
    /// How many may still pass without a wait.
    at_once: u32,
    /// When the next candidate may pass, if none may at once.
    next: Timestamp,
}

impl Queue {
    /// The signals that may pass now. The end of candidates passes with the last candidate.
    fn take(&mut self, now: Timestamp) -> Option<Signal> {
        let is_candidate = matches!(self.waiting.front()?, Signal::Candidate { .. });
        if is_candidate && self.at_once > 0 {
            self.at_once -= 1;
            self.next = now + CANDIDATE_PACE;
        } else if is_candidate {
            if now < self.next {
                return None;
            }
            self.next = now + CANDIDATE_PACE;
        }
        self.waiting.pop_front()
    }
}

/// Signals that wait, of all links.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    queues: Vec<Queue>,
}

impl Candidates {
    pub(super) fn queue(&mut self, now: Timestamp, link: LinkId, signal: Signal) {
        if let Some(queue) = self.queues.iter_mut().find(|queue| queue.link == link) {
            return queue.waiting.push_back(signal);
        }
        let waiting = VecDeque::from([signal]);
        self.queues.push(Queue { link, waiting, at_once: CANDIDATES_AT_ONCE, next: now });
    }

    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<(LinkId, Signal)> {
        let mut due = Vec::new();
        for queue in &mut self.queues {
            while let Some(signal) = queue.take(now) {
                due.push((queue.link, signal));
            }
        }
        due
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.queues.retain(|queue| queue.link != link);
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.queues.iter().filter(|queue| !queue.waiting.is_empty()).map(|queue| queue.next).min()
    }
}

/// A session description without its candidates, and the candidates as signals of their own.
pub(crate) fn without_candidates(sdp: &str) -> (String, Vec<Signal>) {
    let (mut rest, mut candidates) = (String::with_capacity(sdp.len()), Vec::new());
    // The media section that the line is in; lines before the first belong to it.
    let mut section: Option<u16> = None;
    for whole in sdp.split_inclusive('\n') {
        let line = whole.trim();
        if line.starts_with("m=") {
            section = Some(section.map_or(0, |index| index.saturating_add(1)));
        }
        if line == "a=end-of-candidates" {
            continue;
        }
        match line.strip_prefix("a=").filter(|line| line.starts_with("candidate:")) {
            Some(candidate) => candidates.push(Signal::Candidate {
                candidate: candidate.to_owned(),
                sdp_mid: None,
                sdp_m_line_index: Some(section.unwrap_or(0)),
            }),
            None => rest.push_str(whole),
        }
    }
    (rest, candidates)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    const LINK: LinkId = LinkId(1);

    fn candidate(number: u32) -> Signal {
        let candidate = format!("candidate:1 1 udp 1 192.0.2.1 {number} typ host");
        Signal::Candidate { candidate, sdp_mid: None, sdp_m_line_index: Some(0) }
    }

    #[test]
    fn a_few_candidates_pass_at_once_and_the_others_one_by_one() {
        let mut candidates = Candidates::default();
        let mut now = Timestamp::ZERO;
        for number in 0..CANDIDATES_AT_ONCE + 3 {
            candidates.queue(now, LINK, candidate(number));
        }
        candidates.queue(now, LINK, Signal::EndOfCandidates);
        assert_eq!(candidates.take_due(now).len(), CANDIDATES_AT_ONCE as usize);
        for number in 0..3 {
            assert!(candidates.take_due(now).is_empty(), "candidate {number} waits");
            let at = candidates.deadline().expect("something waits");
            assert_eq!(at, now + CANDIDATE_PACE);
            now = at;
            let passed: Vec<Signal> =
                candidates.take_due(now).into_iter().map(|(_, signal)| signal).collect();
            assert_eq!(passed.first(), Some(&candidate(CANDIDATES_AT_ONCE + number)));
            assert_eq!(passed.len(), if number == 2 { 2 } else { 1 }, "the end comes with the last");
        }
        assert_eq!(candidates.deadline(), None);
        candidates.queue(now, LINK, candidate(99));
        assert!(candidates.take_due(now).is_empty(), "a pause of the other side gives nothing away");
    }

    #[test]
    fn candidates_are_taken_out_of_a_description_with_their_section() {
        let sdp = "v=0\r\nm=audio\r\na=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\nm=application\r\na=mid:0\r\n \
                   a=candidate:2 1 udp 1 192.0.2.1 2 typ host\r\na=end-of-candidates\r\na=x\r\n";
        let (rest, candidates) = without_candidates(sdp);
        assert_eq!(rest, "v=0\r\nm=audio\r\nm=application\r\na=mid:0\r\na=x\r\n");
        let sections: Vec<Option<u16>> = candidates
            .iter()
            .filter_map(|signal| match signal {
                Signal::Candidate { sdp_m_line_index, .. } => Some(*sdp_m_line_index),
                Signal::Offer { .. } | Signal::Answer { .. } | Signal::EndOfCandidates => None,
            })
            .collect();
        assert_eq!(sections, [Some(0), Some(1)]);
        let plain = "v=0\nm=application\na=mid:0";
        assert_eq!(without_candidates(plain), (plain.to_owned(), Vec::new()));
    }
}
