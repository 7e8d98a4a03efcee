//! Outposts: further trackers at which an initial peer serves, beside the first one.
//!
//! Each has a conversation of its own. Each tracker gives its own ids to peers. Ids from an outpost are *masked*, which makes
//! them differ from those of the first tracker, so the rest of the peer need not know which tracker introduced a neighbour. A
//! neighbour that two trackers introduce is recognised by its certificate, and has one link.

use std::collections::BTreeMap;

use crate::id::PeerId;
use crate::limits::INITIAL_LINKS_MAX;
use crate::peer::chance::Chance;
use crate::peer::tracker::{Session, Signals};
use crate::publisher::TrackerName;
use crate::time::Timestamp;

/// Names an outpost: its place in [`Publisher::outposts`](crate::peer::Publisher::outposts).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutpostId(pub usize);

/// The conversation with one tracker.
#[derive(Debug)]
pub(crate) struct Outpost {
    pub(crate) name: TrackerName,
    pub(crate) session: Session,
    pub(crate) signals: Signals,
    /// Number of viewers that lack something, by its last word.
    pub(crate) leechers: u32,
    /// What the application was told last: why the peer does not serve there.
    pub(crate) told: Option<String>,
    mask: u64,
}

impl Outpost {
    /// The local id of a peer of this tracker, or the tracker's id of a local one.
    pub(crate) const fn masked(&self, peer: PeerId) -> PeerId {
        PeerId(peer.0 ^ self.mask)
    }
}

/// All outposts, and which of them introduced which peer.
#[derive(Debug, Default)]
pub(crate) struct Outposts {
    posts: Vec<Outpost>,
    /// By masked ids.
    met_at: BTreeMap<PeerId, OutpostId>,
}

impl Outposts {
    pub(crate) fn new(names: &[TrackerName], token: Option<&String>, chance: &mut Chance) -> Self {
        let post = |name: &TrackerName| Outpost {
            name: *name,
            session: Session::new(token.cloned()),
            signals: Signals::default(),
            leechers: 0,
            told: None,
            mask: chance.draw(),
        };
        Self { posts: names.iter().map(post).collect(), met_at: BTreeMap::new() }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = OutpostId> + use<> {
        (0..self.posts.len()).map(OutpostId)
    }

    pub(crate) fn get(&self, id: OutpostId) -> Option<&Outpost> {
        self.posts.get(id.0)
    }

    pub(crate) fn post_mut(&mut self, id: OutpostId) -> Option<&mut Outpost> {
        self.posts.get_mut(id.0)
    }

    /// The outpost that introduced a peer; none if the first tracker did.
    pub(crate) fn met_at(&self, peer: PeerId) -> Option<OutpostId> {
        self.met_at.get(&peer).copied()
    }

    /// An outpost introduced a peer. `is_known` says which peers still have a link.
    pub(crate) fn met(&mut self, peer: PeerId, id: OutpostId, is_known: impl Fn(PeerId) -> bool) {
        if self.met_at.len() >= 2 * INITIAL_LINKS_MAX {
            self.met_at.retain(|peer, _| is_known(*peer));
        }
        self.met_at.insert(peer, id);
    }

    /// Number of viewers that lack something, at all outposts.
    pub(crate) fn leechers(&self) -> u32 {
        self.posts.iter().map(|post| post.leechers).fold(0, u32::saturating_add)
    }

    /// When an outpost needs attention without an input.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let deadline = |post: &Outpost| {
            let signals = post.signals.deadline().filter(|_| post.session.is_joined());
            [post.session.deadline(), signals].into_iter().flatten().min()
        };
        self.posts.iter().filter_map(deadline).min()
    }
}
