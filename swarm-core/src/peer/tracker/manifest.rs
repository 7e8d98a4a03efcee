//! Getting the manifest: from the tracker over HTTP, or from any neighbour in parts when that fails.

use bytes::Bytes;

use crate::id::LinkId;
use crate::limits::{MANIFEST_BYTES_MAX, MANIFEST_PART_BYTES};
use crate::peer::backoff::Backoff;
use crate::peer::chance::Chance;
use crate::peer::sorted::ByLink;
use crate::peer::tuning::PART_PATIENCE;
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

/// The neighbour that is being asked.
#[derive(Debug)]
struct Asked {
    link: LinkId,
    /// The parts it sent, in order.
    gathered: Vec<u8>,
    next: u16,
    /// When the next part is to be here at the latest.
    until: Timestamp,
}

/// The search for a manifest that is not known yet.
#[derive(Debug)]
pub(crate) struct ManifestSource {
    backoff: Backoff,
    /// When to ask over HTTP again.
    retry_at: Option<Timestamp>,
    /// Whether HTTP failed at least once, so that neighbours are asked too.
    asks_links: bool,
    asked: Option<Asked>,
    /// Neighbours asked since HTTP failed last: each has one chance until it fails again.
    tried: ByLink<()>,
}

impl Default for ManifestSource {
    fn default() -> Self {
        Self { backoff: Backoff::new(), retry_at: None, asks_links: false, asked: None, tried: ByLink::new() }
    }
}

impl ManifestSource {
    /// HTTP failed: neighbours are asked, and HTTP is tried again later.
    pub(crate) fn failed(&mut self, now: Timestamp, chance: &mut Chance) {
        self.retry_at = Some(now + self.backoff.next(chance));
        self.asks_links = true;
        self.tried = ByLink::new();
    }

    /// Whether HTTP is to be tried again now.
    pub(crate) fn takes_retry(&mut self, now: Timestamp) -> bool {
        self.retry_at.take_if(|at| now >= *at).is_some()
    }

    /// The manifest is known.
    pub(crate) fn found(&mut self) {
        (self.retry_at, self.asked) = (None, None);
        self.tried = ByLink::new();
    }

    /// When something is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        [self.retry_at, self.asked.as_ref().map(|asked| asked.until)].into_iter().flatten().min()
    }

    /// The next neighbour to ask for part 0, if none is being asked. One that has not sent its part in time is passed over.
    pub(crate) fn take_turn(
        &mut self,
        now: Timestamp,
        mut links: impl Iterator<Item = LinkId>,
    ) -> Option<LinkId> {
        self.asked.take_if(|asked| now >= asked.until);
        if !self.asks_links || self.asked.is_some() {
            return None;
        }
        let link = links.find(|link| !self.tried.has(*link))?;
        self.tried.entry(link, || ());
        self.asked = Some(Asked { link, gathered: Vec::new(), next: 0, until: now + PART_PATIENCE });
        Some(link)
    }

    /// A link closed or misbehaved.
    pub(crate) fn forget(&mut self, link: LinkId) {
        self.tried.remove(link);
        self.asked.take_if(|asked| asked.link == link);
    }

    /// A part came from a link.
    pub(crate) fn part(
        &mut self,
        now: Timestamp,
        link: LinkId,
        (part, part_count): (u16, u16),
        bytes: &[u8],
    ) -> Progress {
        let Some(asked) = self.asked.as_mut().filter(|asked| asked.link == link) else {
            return Progress::Ignored;
        };
        if part != asked.next && part_count != 0 {
            return Progress::Ignored;
        }
        if part_count == 0 || part_count > PARTS_MAX {
            self.asked = None;
            return Progress::Nothing;
        }
        asked.gathered.extend_from_slice(bytes);
        asked.next += 1;
        asked.until = now + PART_PATIENCE;
        if asked.next < part_count {
            return Progress::Next(asked.next);
        }
        let whole = std::mem::take(&mut asked.gathered).into();
        self.asked = None;
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

    const NOW: Timestamp = Timestamp::ZERO;

    fn failed() -> ManifestSource {
        let mut source = ManifestSource::default();
        assert_eq!(source.take_turn(NOW, links([1])), None, "HTTP has not failed yet");
        source.failed(NOW, &mut Chance::new(1));
        source
    }

    fn links<const N: usize>(ids: [u32; N]) -> impl Iterator<Item = LinkId> {
        ids.into_iter().map(LinkId)
    }

    #[test]
    fn a_manifest_travels_in_parts() {
        let manifest = Bytes::from((0..120_000u32).map(|byte| byte as u8).collect::<Vec<_>>());
        let mut source = failed();
        assert_eq!(source.take_turn(NOW, links([1, 2])), Some(LinkId(1)));
        assert_eq!(source.take_turn(NOW, links([1, 2])), None, "one at a time");
        let mut part = 0;
        let whole = loop {
            let (count, bytes) = part_of(&manifest, part);
            assert_eq!(count, 3);
            assert_eq!(source.part(NOW, LinkId(2), (part, count), &bytes), Progress::Ignored);
            match source.part(NOW, LinkId(1), (part, count), &bytes) {
                Progress::Next(next) => part = next,
                Progress::Whole(whole) => break whole,
                other @ (Progress::Ignored | Progress::Nothing) => panic!("{other:?}"),
            }
        };
        assert_eq!(whole, manifest);
    }

    #[test]
    fn a_link_without_a_manifest_makes_room_for_another_and_is_not_asked_again_at_once() {
        let mut source = failed();
        assert_eq!(source.take_turn(NOW, links([1])), Some(LinkId(1)));
        assert_eq!(source.part(NOW, LinkId(1), (0, 0), &[]), Progress::Nothing);
        assert_eq!(source.take_turn(NOW, links([1, 2])), Some(LinkId(2)));
        source.forget(LinkId(2));
        assert_eq!(source.take_turn(NOW, links([1, 3])), Some(LinkId(3)));
        source.forget(LinkId(3));
        assert_eq!(source.take_turn(NOW, links([1])), None);
        source.failed(NOW, &mut Chance::new(1));
        assert_eq!(source.take_turn(NOW, links([1])), Some(LinkId(1)), "it may have one by now");
    }

    #[test]
    fn a_link_that_sends_no_part_is_passed_over_after_a_while() {
        let mut source = failed();
        assert_eq!(source.take_turn(NOW, links([1, 2])), Some(LinkId(1)));
        let part = [0; MANIFEST_PART_BYTES];
        let later = NOW + PART_PATIENCE / 2;
        assert_eq!(source.part(later, LinkId(1), (0, 3), &part), Progress::Next(1));
        let at = later + PART_PATIENCE;
        assert_eq!(source.take_turn(NOW + PART_PATIENCE, links([1, 2])), None, "a part came meanwhile");
        assert!(source.deadline().is_some_and(|due| due <= at));
        assert_eq!(source.take_turn(at, links([1, 2])), Some(LinkId(2)));
        assert_eq!(source.part(at, LinkId(1), (1, 3), &part), Progress::Ignored);
    }
}
