//! Whose request to serve next, and how fast (DESIGN §7, sender). Pure choices over plain data.

use std::collections::BTreeMap;
use std::time::Duration;

use super::asks::CLASSES;
use super::copies::Copies;
use super::input::UploadLimit;
use super::link::Link;
use super::sizing::bytes_in;
use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::LinkId;
use crate::limits::GROUP_BYTES;
use crate::peer_message::Class;
use crate::time::{Timestamp, micros};

/// One frame in this many goes to background first, so that urgent requests cannot starve it.
const BACKGROUND_EVERY: u64 = 10;
/// Urgent requests due within this long of one another take turns.
const DUE_TOGETHER: Duration = Duration::from_millis(250);
/// Full groups in one frame at most: four and their head exceed 65,535 bytes.
const GROUPS_MAX: u32 = 3;
/// A frame lasts about this long at the link's upload rate: small frames where the link is slow.
const FRAME_TIME: Duration = Duration::from_millis(20);
/// Upload that may be caught up at once after a pause.
const BURST: Duration = Duration::from_millis(100);

/// The upload rate cap as a virtual clock (the generic cell rate algorithm): exact, without drift.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    limit: UploadLimit,
    /// When everything admitted so far would have left at exactly the cap.
    paid_until: Timestamp,
}

impl Budget {
    pub(crate) const fn new(limit: UploadLimit) -> Self {
        Self { limit, paid_until: Timestamp::ZERO }
    }

    pub(crate) const fn set(&mut self, limit: UploadLimit) {
        self.limit = limit;
    }

    pub(crate) fn is_off(&self) -> bool {
        matches!(self.limit, UploadLimit::Off | UploadLimit::BitsPerSecond(0))
    }

    /// When the next frame may leave; `None` for never.
    pub(crate) fn ready_at(&self) -> Option<Timestamp> {
        match self.limit {
            UploadLimit::Unlimited => Some(Timestamp::ZERO),
            UploadLimit::BitsPerSecond(0) | UploadLimit::Off => None,
            UploadLimit::BitsPerSecond(_) => Some(self.paid_until - BURST),
        }
    }

    /// A frame leaves.
    pub(crate) fn spend(&mut self, now: Timestamp, bytes: u64) {
        if let UploadLimit::BitsPerSecond(bits) = self.limit {
            let cost = Duration::from_micros(bytes.saturating_mul(8_000_000) / bits.max(1));
            self.paid_until = self.paid_until.max(now) + cost;
        }
    }
}

/// What there is to send.
pub(crate) struct Stock<'a> {
    pub(crate) now: Timestamp,
    pub(crate) held: &'a GroupSet,
    pub(crate) copies: &'a Copies,
}

/// What to send next in answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) link: LinkId,
    /// Place in the link's queue.
    pub(crate) serve: usize,
    pub(crate) range: GroupRange,
}

/// Of urgent frames the least is next: when it is due, roughly, and how many hold it.
type Rank = (u64, u16);

/// Takes turns between classes and links.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    frames: u64,
    /// The link served last; the next turn starts after it.
    last: Option<LinkId>,
}

impl Turns {
    /// The next frame: classes in order; inside urgent what is due first, else round-robin over links; only links whose
    /// channel has room, and only groups that `held` has.
    pub(crate) fn next(&mut self, links: &BTreeMap<LinkId, Link>, stock: &Stock<'_>) -> Option<Frame> {
        let order = if self.frames % BACKGROUND_EVERY == BACKGROUND_EVERY - 1 {
            [Class::Background, Class::Urgent, Class::Window]
        } else {
            [Class::Urgent, Class::Window, Class::Background]
        };
        let firsts = self.firsts(links, stock);
        let (_, frame) = order.into_iter().find_map(|class| firsts[class as usize])?;
        Some(self.taken(frame))
    }

    /// The next frame that answers an urgent request.
    pub(crate) fn next_urgent(&mut self, links: &BTreeMap<LinkId, Link>, stock: &Stock<'_>) -> Option<Frame> {
        let (_, frame) = self.firsts(links, stock)[Class::Urgent as usize]?;
        Some(self.taken(frame))
    }

    const fn taken(&mut self, frame: Frame) -> Frame {
        self.frames += 1;
        self.last = Some(frame.link);
        frame
    }

    /// Of each class the frame that would be next, with its rank.
    fn firsts(&self, links: &BTreeMap<LinkId, Link>, stock: &Stock<'_>) -> [Option<(Rank, Frame)>; CLASSES] {
        let mut firsts: [Option<(Rank, Frame)>; CLASSES] = [None; CLASSES];
        let after = self.last.map_or(0, |last| last.0.saturating_add(1));
        let turn = links.range(LinkId(after)..).chain(links.range(..LinkId(after)));
        for (id, link) in turn.filter(|(_, link)| link.is_open() && link.has_channel_room()) {
            for (at, serve) in link.serves.iter().enumerate() {
                let class = serve.class_at(stock.now);
                let first = &mut firsts[class as usize];
                if first.is_some() && class != Class::Urgent {
                    continue;
                }
                let Some(range) = serve.next_run(stock.held, frame_groups_max(link)) else { continue };
                let rank = match class {
                    Class::Urgent => {
                        (serve.due.as_micros() / micros(DUE_TOGETHER), stock.copies.of(range.start))
                    }
                    Class::Window | Class::Background => (0, 0),
                };
                if first.is_none_or(|(least, _)| rank < least) {
                    *first = Some((rank, Frame { link: *id, serve: at, range }));
                }
            }
        }
        firsts
    }
}

/// Groups in a frame for a link, by its upload rate.
pub(crate) fn frame_groups_max(link: &Link) -> u32 {
    frame_groups(link.upload_rate.bytes_per_s())
}

fn frame_groups(rate: u64) -> u32 {
    let groups = bytes_in(rate, FRAME_TIME) / u64::from(GROUP_BYTES);
    u32::try_from(groups).unwrap_or(GROUPS_MAX).clamp(1, GROUPS_MAX)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::group::Geometry;
    use crate::id::PeerId;
    use crate::peer::stats::LinkState;
    use crate::tracker_message::Role;

    fn links(serves: &[&[(u32, Class)]]) -> BTreeMap<LinkId, Link> {
        let links = (0..).zip(serves).map(|(id, serves)| {
            let mut link = Link::new(Timestamp::ZERO, PeerId(u64::from(id)), Role::Viewer, 1000);
            assert!(link.set_geometry(Geometry::new(1000 * 16384)));
            link.state = LinkState::Open;
            for (start, class) in *serves {
                let urgency = (*class, Timestamp::ZERO);
                link.serve(*start + 1, GroupRange::new(*start, *start + 64), urgency, &[]);
            }
            (LinkId(id), link)
        });
        links.collect()
    }

    fn sequence(links: &mut BTreeMap<LinkId, Link>, count: usize) -> Vec<(u32, u32)> {
        let (held, copies) = (GroupSet::full(1000), Copies::new(1000));
        let mut turns = Turns::default();
        let mut order = Vec::new();
        for _ in 0..count {
            let Some(frame) =
                turns.next(links, &Stock { now: Timestamp::ZERO, held: &held, copies: &copies })
            else {
                break;
            };
            let link = links.get_mut(&frame.link).unwrap();
            order.push((frame.link.0, frame.range.start));
            if link.serves[frame.serve].sent(frame.range) {
                link.serves.remove(frame.serve);
            }
        }
        order
    }

    #[test]
    fn urgent_requests_precede_and_background_keeps_a_tenth() {
        let mut links =
            links(&[&[(100, Class::Background)], &[(300, Class::Urgent)], &[(500, Class::Urgent)]]);
        let order = sequence(&mut links, 40);
        let share = order.iter().filter(|(link, _)| *link == 0).count();
        assert_eq!(share, 4);
        assert_eq!(order[..4], [(1, 300), (2, 500), (1, 301), (2, 501)]);
    }

    #[test]
    fn what_is_due_first_leaves_first_and_of_what_is_due_together_the_rarest() {
        let mut links = links(&[&[], &[], &[]]);
        let mut ask = |link, start: u32, due_ms| {
            let urgency = (Class::Urgent, Timestamp::from_millis(due_ms));
            links.get_mut(&LinkId(link)).unwrap().serve(start, GroupRange::one(start), urgency, &[]);
        };
        ask(0, 10, 1100);
        ask(1, 20, 1010);
        ask(2, 30, 100);
        let (held, mut copies) = (GroupSet::full(1000), Copies::new(1000));
        copies.add(10);
        let mut turns = Turns::default();
        let mut order = Vec::new();
        let stock = Stock { now: Timestamp::ZERO, held: &held, copies: &copies };
        while let Some(frame) = turns.next(&links, &stock) {
            links.get_mut(&frame.link).unwrap().serves.clear();
            order.push(frame.range.start);
        }
        assert_eq!(order, [30, 20, 10]);
    }

    #[test]
    fn a_link_whose_channel_is_full_waits() {
        let mut links = links(&[&[(100, Class::Window)], &[(300, Class::Window)]]);
        links.get_mut(&LinkId(0)).unwrap().buffered_bytes = 64 * 1024;
        assert!(sequence(&mut links, 10).iter().all(|(link, _)| *link == 1));
    }

    #[test]
    fn frames_grow_with_the_rate() {
        assert_eq!([100_000, 1_700_000, 100_000_000].map(frame_groups), [1, 2, 3]);
    }

    #[test]
    fn the_cap_holds_over_a_minute_whatever_the_frames() {
        let mut budget = Budget::new(UploadLimit::BitsPerSecond(8_000_000));
        let mut now = Timestamp::from_millis(60_000);
        let start = now;
        let mut sent = 0;
        while now.since(start) < Duration::from_secs(60) {
            now = now.max(budget.ready_at().unwrap());
            budget.spend(now, 50_000);
            sent += 50_000;
        }
        assert!((60_000_000..=60_200_000).contains(&sent), "{sent}");
        budget.set(UploadLimit::Off);
        assert_eq!(budget.ready_at(), None);
    }
}
