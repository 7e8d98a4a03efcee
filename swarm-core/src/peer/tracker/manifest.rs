//! Getting the manifest: from the tracker over HTTP, or from any neighbour in parts when that fails.

use bytes::Bytes;

use crate::id::LinkId;
use crate::limits::{MANIFEST_BYTES_MAX, MANIFEST_PART_BYTES};
use crate::peer::backoff::Backoff;
use crate::peer::chance::Chance;
use crate::time::Timestamp;

/// Parts of the largest manifest.
const PARTS_MAX: u16 = MANIFEST_BYTES_MAX.div_ceil(MANIFEST_PART_BYTES) as u16;

/// What a part that came leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not asked for; ignored.
    Ignored,
    /// Ask the same link for this part.
    Next(u16),
    /// All parts are here.
    Whole(Bytes),
    /// The link has no manifest; another may be asked.
    Nothing,
}

/// The search for a manifest that is not known yet.
#[derive(Debug)]
pub(crate) struct ManifestSource {
    backoff: Backoff,
    /// When to ask over HTTP again.
    pub(crate) retry_at: Option<Timestamp>,
    /// Whether HTTP failed at least once, so that neighbours are asked too.
    pub(crate) asks_links: bool,
    /// The link that is being asked, and the parts it sent in order.
    from: Option<(LinkId, Vec<u8>, u16)>,
}

impl Default for ManifestSource {
    fn default() -> Self {
        Self { backoff: Backoff::new(), retry_at: None, asks_links: false, from: None }
    }
}

impl ManifestSource {
    /// HTTP failed; when it is tried again.
    pub(crate) fn failed(&mut self, now: Timestamp, chance: &mut Chance) -> Timestamp {
        let at = now + self.backoff.next(chance);
        self.retry_at = Some(at);
        self.asks_links = true;
        at
    }

    /// Whether a link may be asked now; if so it is being asked for part 0.
    pub(crate) fn take_turn(&mut self, link: LinkId) -> bool {
        let is_free = self.asks_links && self.from.is_none();
        if is_free {
            self.from = Some((link, Vec::new(), 0));
        }
        is_free
    }

    /// A link closed or misbehaved.
    pub(crate) fn forget(&mut self, link: LinkId) {
        if self.from.as_ref().is_some_and(|(from, ..)| *from == link) {
            self.from = None;
        }
    }

    /// A part came from a link.
    pub(crate) fn part(&mut self, link: LinkId, part: u16, part_count: u16, bytes: &[u8]) -> Progress {
        let Some((from, gathered, next)) = &mut self.from else { return Progress::Ignored };
        if *from != link || (part != *next && part_count != 0) {
            return Progress::Ignored;
        }
        if part_count == 0 || part_count > PARTS_MAX {
            self.from = None;
            return Progress::Nothing;
        }
        gathered.extend_from_slice(bytes);
        *next += 1;
        if *next < part_count {
            return Progress::Next(*next);
        }
        let whole = std::mem::take(gathered).into();
        self.from = None;
        Progress::Whole(whole)
    }
}

/// Part `part` of a manifest's bytes and how many parts there are.
pub(crate) fn part_of(bytes: &Bytes, part: u16) -> (u16, Bytes) {
    let count = u16::try_from(bytes.len().div_ceil(MANIFEST_PART_BYTES)).unwrap_or(PARTS_MAX);
    let start = (usize::from(part) * MANIFEST_PART_BYTES).min(bytes.len());
    let end = (start + MANIFEST_PART_BYTES).min(bytes.len());
    (count, bytes.slice(start..end))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_manifest_travels_in_parts() {
        let manifest = Bytes::from((0..120_000u32).map(|byte| byte as u8).collect::<Vec<_>>());
        let mut source = ManifestSource::default();
        assert!(!source.take_turn(LinkId(1)), "HTTP has not failed yet");
        source.failed(Timestamp::ZERO, &mut Chance::new(1));
        assert!(source.take_turn(LinkId(1)) && !source.take_turn(LinkId(2)));
        let mut part = 0;
        let whole = loop {
            let (count, bytes) = part_of(&manifest, part);
            assert_eq!(count, 3);
            assert_eq!(source.part(LinkId(2), part, count, &bytes), Progress::Ignored);
            match source.part(LinkId(1), part, count, &bytes) {
                Progress::Next(next) => part = next,
                Progress::Whole(whole) => break whole,
                other @ (Progress::Ignored | Progress::Nothing) => panic!("{other:?}"),
            }
        };
        assert_eq!(whole, manifest);
    }

    #[test]
    fn a_link_without_a_manifest_makes_room_for_another() {
        let mut source = ManifestSource::default();
        source.failed(Timestamp::ZERO, &mut Chance::new(1));
        assert!(source.take_turn(LinkId(1)));
        assert_eq!(source.part(LinkId(1), 0, 0, &[]), Progress::Nothing);
        assert!(source.take_turn(LinkId(2)));
        source.forget(LinkId(2));
        assert!(source.take_turn(LinkId(3)));
    }
}
