//! What one peer sees, without a network: content, neighbours and advice, for tests of the components that read them.

use std::sync::Arc;
use std::time::Duration;

use crate::group::GroupRange;
use crate::group_set::GroupSet;
use crate::id::{ContentRoot, Fingerprint, LinkId, PeerId};
use crate::limits::GROUP_BYTES;
use crate::manifest::tests::sample;
use crate::manifest::{Manifest, PRIORITY_DEFAULT, Period, Segment, SegmentKind};
use crate::peer::content::Content;
use crate::peer::neighbours::{Greeting, Introduction, Link, Neighbours, Opening};
use crate::peer::receive::View;
use crate::peer::tracker::Advice;
use crate::peer_message::{Serving, Standing};
use crate::time::Timestamp;
use crate::tracker_message::Role;
use crate::tree::HashTree;

/// What one peer sees.
pub(crate) struct Scene {
    pub(crate) content: Content,
    pub(crate) neighbours: Neighbours,
    pub(crate) advice: Advice,
}

/// A manifest of equal segments that last equally long; `change` may change it.
pub(crate) fn manifest(
    groups: u32,
    segments: u32,
    duration_ms: u64,
    change: impl FnOnce(&mut Manifest),
) -> Manifest {
    let mut manifest = sample(u64::from(groups) * u64::from(GROUP_BYTES), ContentRoot([7; 32]));
    let segment = Segment {
        group_count: groups / segments,
        kind: SegmentKind::Data,
        priority: PRIORITY_DEFAULT,
        period: Period::Playback,
        time_ms: None,
        duration_ms: Some(duration_ms / u64::from(segments)),
    };
    manifest.duration_ms = Some(duration_ms);
    manifest.segments = vec![segment; segments as usize];
    change(&mut manifest);
    manifest
}

/// A session description that names the certificate of the node with that number.
pub(crate) fn description(number: u8) -> String {
    let byte = format!("{number:02X}");
    format!("v=0\r\na=fingerprint:sha-256 {}\r\n", vec![byte; 32].join(":"))
}

/// A neighbour that serves and wants everything and whose uplink, bytes a second, is known.
pub(crate) fn standing(uplink: u64) -> Standing {
    Standing {
        serving: Serving::Everything,
        is_rich: false,
        wants: GroupRange::new(0, u32::MAX),
        uplink,
        is_uplink_known: true,
        downlink: 0,
        credit: u32::MAX,
        playing: None,
    }
}

impl Scene {
    /// A content of which `held` is held.
    pub(crate) fn new(manifest: Manifest, held: GroupRange) -> Self {
        let geometry = manifest.geometry();
        let mut set = GroupSet::empty(geometry.group_count());
        set.insert(held);
        let tree = HashTree::unknown(geometry, manifest.root);
        let mut neighbours = Neighbours::default();
        neighbours.set_geometry(geometry);
        Self {
            content: Content::new(Arc::new(manifest), &set, tree),
            neighbours,
            advice: Advice::new(geometry.group_count()),
        }
    }

    /// A thousand groups, ten a second, of which none is held.
    pub(crate) fn film() -> Self {
        Self::new(manifest(1000, 1, 100_000, |_| ()), GroupRange::new(0, 0))
    }

    /// A link opens; the neighbour with the n-th link is peer n.
    pub(crate) fn link(
        &mut self,
        now: Timestamp,
        role: Role,
        standing: Standing,
        have: &[GroupRange],
    ) -> LinkId {
        let id = self.opening(now, role);
        let greeting = self.neighbours.greeted(now, id, role, standing);
        assert_eq!(greeting, Greeting::Welcome);
        assert!(self.neighbours.set_link_geometry(id, self.content.geometry()));
        self.neighbours.announced(id, have, &[]).unwrap();
        id
    }

    /// A link opens whose neighbour has yet to greet.
    pub(crate) fn opening(&mut self, now: Timestamp, role: Role) -> LinkId {
        let peer = PeerId(self.neighbours.iter().count() as u64 + 1);
        let (introduction, _) = self.neighbours.introduced(now, peer, role, 100);
        let Introduction::Connect(id) = introduction else { panic!("{introduction:?}") };
        self.neighbours.described(id, true, Fingerprint([200; 32]));
        self.neighbours.described(id, false, Fingerprint([u8::try_from(id.0).unwrap(); 32]));
        assert_eq!(self.neighbours.opened(now, id), Opening::Greet);
        id
    }

    /// A viewer with an uplink, bytes a second, that holds groups.
    pub(crate) fn viewer(&mut self, uplink: u64, have: &[GroupRange]) -> LinkId {
        self.link(Timestamp::ZERO, Role::Viewer, standing(uplink), have)
    }

    /// A publisher that holds everything.
    pub(crate) fn publisher(&mut self, uplink: u64, serving: Serving, is_rich: bool) -> LinkId {
        let all = self.content.geometry().all();
        let standing = Standing { serving, is_rich, ..standing(uplink) };
        self.link(Timestamp::ZERO, Role::Initial, standing, &[all])
    }

    /// A ping was answered after this long.
    pub(crate) fn measure(&mut self, link: LinkId, rtt: Duration) {
        self.neighbours.pinged(Timestamp::ZERO, link, 1);
        self.neighbours.ponged(Timestamp::ZERO + rtt, link, 1);
    }

    pub(crate) fn of(&self, link: LinkId) -> &Link {
        self.neighbours.get(link).unwrap()
    }

    /// What the picker reads; everything is wanted.
    pub(crate) fn view(&self, now: Timestamp) -> View<'_> {
        let wanted = self.content.geometry().all();
        View { now, content: &self.content, neighbours: &self.neighbours, advice: &self.advice, wanted }
    }
}
