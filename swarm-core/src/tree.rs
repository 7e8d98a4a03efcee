//! The BLAKE3 tree over groups, known wholly or in part, and the only way to a [`Verified`] range.
//!
//! A node `(level, index)` covers the groups `index << level .. (index + 1) << level`, cut at the end of
//! the content; a node without a right child is its left child. Folding level by level this way gives
//! exactly BLAKE3's left-complete tree (BLAKE3 paper, §2.1), whose root is the content root.
//!
//! ```text
//! level 2            (2,0) = root
//! level 1      (1,0)        (1,1) = (0,2)
//! level 0   (0,0) (0,1)        (0,2)
//! groups      0     1            2
//! ```
//!
//! **A node is learnt with its sibling.** To verify a group below a parent, a peer needs both children of the
//! parent, so it knows either both children of a node or neither. A peer that holds any group below a parent
//! therefore knows both of that parent's children. So a sender can tell which nodes a receiver knows by its
//! `have` and by the groups sent before. A [`Proof`] carries only the nodes between the range and the first
//! known node.

mod saved;
pub mod sidecar;

use std::collections::BTreeMap;

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::group::{Geometry, GroupRange};
use crate::id::ContentRoot;
use crate::limits::FRAME_GROUPS_MAX;

/// Chaining value of a node, or the content root at the top.
pub type NodeHash = [u8; 32];

/// Most levels above the groups: [`GROUPS_MAX`](crate::limits::GROUPS_MAX) is 2^22.
pub(crate) const LEVELS_MAX: u8 = 22;

/// Most hashes in one proof: two for each level.
pub(crate) const PROOF_HASHES_MAX: usize = 2 * LEVELS_MAX as usize;

/// Tree nodes that let a receiver verify a range by itself.
///
/// Levels go up from the groups of the range. Each level gives first the sibling to the left of the range, then the one
/// to the right, if there is one. The last level is the one below `top`, whose nodes the receiver knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The level whose nodes the receiver is expected to know.
    pub top: u8,
    /// Sibling hashes, bottom up, left before right.
    pub hashes: Vec<NodeHash>,
}

/// A range does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Ban the sender: these are not the bytes of the content.
    #[error("the bytes are not those of the content")]
    Corrupt,
    /// Ban the sender: the proof has the wrong shape, or starts at nodes that we never said we know.
    #[error("the proof does not reach a node that is known")]
    BadProof,
}

/// Bytes of a range that are verified as those of the content. Only [`HashTree::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    range: GroupRange,
    bytes: Bytes,
}

impl Verified {
    /// The groups.
    pub const fn range(&self) -> GroupRange {
        self.range
    }

    /// Their bytes.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Number of nodes of one level in a page. It is even, so that siblings are in the same page.
const PAGE_NODES: u32 = 16;

/// A page: consecutive nodes of one level, of which at least one is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    /// Which of them are known, least significant bit first.
    known: u16,
    hashes: Box<[NodeHash]>,
}

/// The known part of the tree of one content. The root is always known.
///
/// Memory grows with the nodes that were learnt, not with the length that a manifest claims.
#[derive(Debug, Clone)]
pub struct HashTree {
    geometry: Geometry,
    /// Known nodes by level and place, from the groups up to (not including) the root.
    pages: BTreeMap<(u8, u32), Page>,
    known_count: u64,
    /// Level of the root: 0 for a content of one group.
    height: u8,
    root: ContentRoot,
}

impl HashTree {
    /// A tree of which only the root is known.
    pub fn unknown(geometry: Geometry, root: ContentRoot) -> Self {
        let height = (0..LEVELS_MAX).take_while(|level| width_at(geometry, *level) > 1).count();
        let height = u8::try_from(height).unwrap_or(LEVELS_MAX);
        Self { geometry, pages: BTreeMap::new(), known_count: 0, height, root }
    }

    /// The geometry of the content.
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The content root.
    pub const fn root(&self) -> ContentRoot {
        self.root
    }

    fn width(&self, level: u8) -> u32 {
        width_at(self.geometry, level)
    }

    fn node(&self, level: u8, index: u32) -> Option<NodeHash> {
        if level >= self.height {
            return (index == 0).then_some(self.root.0);
        }
        let page = self.pages.get(&(level, index / PAGE_NODES))?;
        let place = index % PAGE_NODES;
        (page.known >> place & 1 == 1).then(|| page.hashes.get(place as usize).copied()).flatten()
    }

    fn learn(&mut self, level: u8, index: u32, hash: NodeHash) {
        if level >= self.height || index >= self.width(level) {
            return;
        }
        let width = self.width(level);
        let page = self.pages.entry((level, index / PAGE_NODES)).or_insert_with(|| {
            let count = PAGE_NODES.min(width - index / PAGE_NODES * PAGE_NODES);
            Page { known: 0, hashes: vec![[0; 32]; count as usize].into() }
        });
        let place = index % PAGE_NODES;
        if let Some(slot) = page.hashes.get_mut(place as usize) {
            *slot = hash;
            self.known_count += u64::from(page.known >> place & 1 == 0);
            page.known |= 1 << place;
        }
    }

    /// Proof of `range` for a receiver.
    ///
    /// `knows(groups)`: whether the receiver holds, or was sent, any of these groups. If so for the groups below a parent,
    /// the receiver knows that parent's children. `None` if a node that the proof needs is not known here, which cannot
    /// happen for a range that is held.
    pub fn prove(&self, range: GroupRange, knows: impl Fn(GroupRange) -> bool) -> Option<Proof> {
        let mut hashes = Vec::new();
        let (mut first, mut last, mut level) = (range.start, range.end.checked_sub(1)?, 0);
        if range.is_empty() || range.end > self.geometry.group_count() {
            return None;
        }
        while level < self.height {
            let parents = [first >> 1, last >> 1];
            if parents.iter().all(|parent| knows(groups_below(level + 1, *parent))) {
                break;
            }
            if first & 1 == 1 {
                hashes.push(self.node(level, first - 1)?);
            }
            if last & 1 == 0 && last + 1 < self.width(level) {
                hashes.push(self.node(level, last + 1)?);
            }
            (first, last, level) = (first >> 1, last >> 1, level + 1);
        }
        Some(Proof { top: level, hashes })
    }

    /// Verifies `bytes` as the content of `range` and learns the nodes that the proof brought.
    ///
    /// Takes one BLAKE3 pass over the bytes. Learns nothing unless everything verifies.
    pub fn verify(
        &mut self,
        range: GroupRange,
        proof: &Proof,
        bytes: Bytes,
    ) -> Result<Verified, VerifyError> {
        self.check_shape(range, proof, &bytes)?;
        let mut learnt = Vec::new();
        let mut hashes = proof.hashes.iter().copied();
        let (mut first, mut level) = (range.start, 0u8);
        let mut row = self.hash_groups(range, &bytes);
        while level < proof.top {
            if first & 1 == 1 {
                first -= 1;
                row.insert(0, hashes.next().ok_or(VerifyError::BadProof)?);
            }
            let last = first + u32::try_from(row.len()).unwrap_or(u32::MAX) - 1;
            if last & 1 == 0 && last + 1 < self.width(level) {
                row.push(hashes.next().ok_or(VerifyError::BadProof)?);
            }
            for (index, hash) in (first..).zip(&row) {
                learnt.push((level, index, *hash));
            }
            row = self.fold(level, &row);
            (first, level) = (first >> 1, level + 1);
        }
        if hashes.next().is_some() {
            return Err(VerifyError::BadProof);
        }
        for (index, hash) in (first..).zip(&row) {
            match self.node(level, index) {
                Some(known) if known == *hash => {}
                Some(_) => return Err(VerifyError::Corrupt),
                None => return Err(VerifyError::BadProof),
            }
        }
        for (level, index, hash) in learnt {
            self.learn(level, index, hash);
        }
        Ok(Verified { range, bytes })
    }

    fn check_shape(&self, range: GroupRange, proof: &Proof, bytes: &Bytes) -> Result<(), VerifyError> {
        let in_content = !range.is_empty() && range.end <= self.geometry.group_count();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let well_formed = in_content
            && range.len() <= FRAME_GROUPS_MAX
            && length == self.geometry.len_bytes(range)
            && proof.top <= self.height
            && proof.hashes.len() <= PROOF_HASHES_MAX;
        if well_formed { Ok(()) } else { Err(VerifyError::BadProof) }
    }

    /// Hashes of a range's groups; the root hash if the content has only one.
    fn hash_groups(&self, range: GroupRange, bytes: &[u8]) -> Vec<NodeHash> {
        if self.height == 0 {
            return vec![*blake3::hash(bytes).as_bytes()];
        }
        let group_bytes = crate::limits::GROUP_BYTES as usize;
        range.iter().zip(bytes.chunks(group_bytes)).map(|(group, bytes)| group_hash(group, bytes)).collect()
    }

    /// Parents of a row of siblings at `level`. A lone last node is its own parent.
    fn fold(&self, level: u8, row: &[NodeHash]) -> Vec<NodeHash> {
        let below_root = level + 1 == self.height;
        row.chunks(2)
            .map(|pair| match pair {
                [left, right] if below_root => *merge_subtrees_root(left, right, Mode::Hash).as_bytes(),
                [left, right] => merge_subtrees_non_root(left, right, Mode::Hash),
                [lone] => *lone,
                _ => [0; 32],
            })
            .collect()
    }

    /// Whether `bytes` are those of `group`, by a tree that knows the group's node. For resuming a store.
    pub fn is_group(&self, group: u32, bytes: &[u8]) -> bool {
        let expected = self.geometry.len_bytes(GroupRange::one(group).and(self.geometry.all()));
        let hash = self.hash_groups(GroupRange::one(group), bytes).first().copied();
        bytes.len() as u64 == expected
            && expected > 0
            && self.node(0, group).is_some()
            && self.node(0, group) == hash
    }
}

/// Builds the whole tree of a content from its bytes, in order.
#[derive(Debug)]
pub struct TreeBuilder {
    groups: Vec<NodeHash>,
    /// Kept because a content of one group is hashed as a root.
    first: Option<blake3::Hash>,
    length_bytes: u64,
}

impl TreeBuilder {
    /// A builder that has seen nothing.
    pub const fn new() -> Self {
        Self { groups: Vec::new(), first: None, length_bytes: 0 }
    }

    /// Takes the next group: 16 KiB, fewer only for the last.
    pub fn push(&mut self, bytes: &[u8]) {
        let group = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        if group == 0 {
            self.first = Some(blake3::hash(bytes));
        }
        self.groups.push(group_hash(group, bytes));
        self.length_bytes += bytes.len() as u64;
    }

    /// The tree of all groups that were pushed; `None` if there were none.
    pub fn finish(self) -> Option<HashTree> {
        let first = ContentRoot(*self.first?.as_bytes());
        let mut tree = HashTree::unknown(Geometry::new(self.length_bytes), first);
        let mut row = self.groups;
        for level in 0..tree.height {
            let parents = tree.fold(level, &row);
            for (index, hash) in (0..).zip(row) {
                tree.learn(level, index, hash);
            }
            row = parents;
            if let Some(root) = row.first().filter(|_| level + 1 == tree.height) {
                tree.root = ContentRoot(*root);
            }
        }
        Some(tree)
    }
}

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

fn group_hash(group: u32, bytes: &[u8]) -> ChainingValue {
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(u64::from(group) * u64::from(crate::limits::GROUP_BYTES));
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// The groups below a node, not cut at the end of the content.
fn groups_below(level: u8, index: u32) -> GroupRange {
    let start = u64::from(index) << level;
    let end = (u64::from(index) + 1) << level;
    let clip = |group: u64| u32::try_from(group).unwrap_or(u32::MAX);
    GroupRange::new(clip(start), clip(end))
}

fn width_at(geometry: Geometry, level: u8) -> u32 {
    u32::try_from(u64::from(geometry.group_count()).div_ceil(1u64 << level)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use bao_tree::{BlockSize, io::outboard::PostOrderMemOutboard};
    use proptest::prelude::*;

    fn content(length: usize) -> Bytes {
        (0..length).map(|index| (index * 31 + index / 251) as u8).collect()
    }

    fn build(bytes: &[u8]) -> HashTree {
        let mut builder = TreeBuilder::new();
        bytes.chunks(16384).for_each(|group| builder.push(group));
        builder.finish().unwrap()
    }

    fn slice(bytes: &Bytes, tree: &HashTree, range: GroupRange) -> Bytes {
        let span = tree.geometry().bytes(range);
        bytes.slice(span.start as usize..span.end as usize)
    }

    #[test]
    fn the_root_is_that_of_blake3_and_of_bao_tree() {
        for length in [1, 1024, 16384, 16385, 3 * 16384, 5 * 16384 + 7, 16 * 16384, 33 * 16384 - 1] {
            let bytes = content(length);
            let tree = build(&bytes);
            assert_eq!(tree.root().0, *blake3::hash(&bytes).as_bytes(), "{length} bytes");
            let bao = PostOrderMemOutboard::create(&bytes, BlockSize::from_chunk_log(4));
            assert_eq!(tree.root().0, *bao.root.as_bytes());
        }
    }

    #[test]
    fn every_inner_node_is_one_that_bao_tree_stores() {
        let bytes = content(13 * 16384 + 100);
        let tree = build(&bytes);
        let bao = PostOrderMemOutboard::create(&bytes[..], BlockSize::from_chunk_log(4));
        let pairs: Vec<&[u8]> = bao.data.chunks(64).collect();
        let mut found = 0;
        for level in 0..tree.height {
            for left in (0..tree.width(level).saturating_sub(1)).step_by(2) {
                let pair = [tree.node(level, left).unwrap(), tree.node(level, left + 1).unwrap()].concat();
                assert!(pairs.contains(&&pair[..]), "level {level}, pair at {left}");
                found += 1;
            }
        }
        assert_eq!(found, pairs.len());
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed_and_nothing_is_learnt() {
        let bytes = content(20 * 16384);
        let full = build(&bytes);
        let range = GroupRange::new(5, 7);
        let proof = full.prove(range, |_| false).unwrap();
        let mut tree = HashTree::unknown(full.geometry(), full.root());
        let mut bad = slice(&bytes, &full, range).to_vec();
        bad[20_000] ^= 4;
        assert_eq!(tree.verify(range, &proof, bad.into()).unwrap_err(), VerifyError::Corrupt);
        let mut bad_proof = proof.clone();
        bad_proof.hashes[1][3] ^= 1;
        let good = slice(&bytes, &full, range);
        assert_eq!(tree.verify(range, &bad_proof, good.clone()).unwrap_err(), VerifyError::Corrupt);
        assert_eq!(tree.node(0, 5), None);
        assert!(tree.verify(range, &proof, good).is_ok());
        assert!(tree.node(0, 5).is_some());
    }

    #[test]
    fn proofs_of_the_wrong_shape_are_refused() {
        let bytes = content(20 * 16384);
        let full = build(&bytes);
        let mut tree = HashTree::unknown(full.geometry(), full.root());
        let range = GroupRange::one(3);
        let good = full.prove(range, |_| false).unwrap();
        let data = slice(&bytes, &full, range);
        let mut long = good.clone();
        long.hashes.push([0; 32]);
        let short = Proof { top: good.top, hashes: good.hashes[1..].to_vec() };
        let low = Proof { top: 0, hashes: vec![] };
        let high = Proof { top: 200, hashes: good.hashes.clone() };
        for proof in [long, short, low, high] {
            assert_eq!(tree.verify(range, &proof, data.clone()).unwrap_err(), VerifyError::BadProof);
        }
        for range in [GroupRange::new(3, 3), GroupRange::new(0, 5), GroupRange::new(19, 21)] {
            assert!(tree.verify(range, &good, data.clone()).is_err());
        }
    }

    #[test]
    fn an_import_keeps_only_what_the_root_proves() {
        let bytes = content(50 * 16384 + 3);
        let full = build(&bytes);
        let exported = full.export();
        assert_eq!(exported.len() as u64, full.export_bytes());
        let again = HashTree::import(full.geometry(), full.root(), &exported);
        assert_eq!(again.known_groups().collect::<Vec<_>>(), (0..51).collect::<Vec<_>>());
        assert_eq!(again.pages, full.pages);
        assert!(again.is_whole());
        let mut damaged = exported.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        let partial = HashTree::import(full.geometry(), full.root(), &damaged);
        assert!(partial.node(0, 50).is_none() && !partial.is_whole());
        let cut = HashTree::import(full.geometry(), full.root(), &exported[..100]);
        assert!(cut.pages.is_empty());
    }

    #[test]
    fn what_is_kept_grows_with_what_is_learnt_and_not_with_the_length_that_is_claimed() {
        let claimed = Geometry::new(crate::limits::CONTENT_BYTES_MAX);
        let mut tree = HashTree::unknown(claimed, ContentRoot([7; 32]));
        assert_eq!((tree.height, tree.pages.len(), tree.export().len()), (LEVELS_MAX, 0, 0));
        // A path from one group to the root: a page of 16 nodes for each level.
        (0..LEVELS_MAX).for_each(|level| tree.learn(level, (1 << 21) >> level, [1; 32]));
        let kept: usize = tree.pages.values().map(|page| page.hashes.len() * 32).sum();
        assert!(kept <= 22 * 16 * 32, "{kept} bytes");
        assert_eq!(tree.export().len() as u64, tree.export_bytes());
        assert_eq!(tree.known_groups().collect::<Vec<_>>(), [1 << 21]);
    }

    proptest! {
        /// Ranges arrive in any order; the sender infers what the receiver knows only from what it holds.
        #[test]
        fn a_receiver_can_verify_any_order_of_ranges_by_inferred_proofs(
            groups in 1u32..70, tail in 1usize..16385, order in prop::collection::vec((0u32..70, 1u32..4), 1..60),
        ) {
            let bytes = content((groups as usize - 1) * 16384 + tail);
            let full = build(&bytes);
            let mut receiver = HashTree::unknown(full.geometry(), full.root());
            let mut held = crate::group_set::GroupSet::empty(groups);
            let sweep = (0..groups).map(|group| (group, 1));
            for (start, len) in order.into_iter().chain(sweep) {
                let range = GroupRange::new(start, start + len).and(full.geometry().all());
                if range.is_empty() { continue; }
                let proof = full.prove(range, |below| held.has_any(below)).unwrap();
                let verified = receiver.verify(range, &proof, slice(&bytes, &full, range));
                prop_assert!(verified.is_ok(), "{range:?} {proof:?}");
                held.insert(range);
                // What it knows is enough to serve the range to a peer that knows nothing.
                let onward = receiver.prove(range, |_| false).unwrap();
                let mut third = HashTree::unknown(full.geometry(), full.root());
                prop_assert!(third.verify(range, &onward, slice(&bytes, &full, range)).is_ok());
                prop_assert!(receiver.is_group(range.start, &slice(&bytes, &full, GroupRange::one(range.start))));
            }
            prop_assert_eq!(&receiver.pages, &full.pages);
        }

        #[test]
        fn hostile_input_never_panics(
            start in any::<u32>(), len in any::<u32>(), top in any::<u8>(),
            hashes in prop::collection::vec(any::<[u8; 32]>(), 0..50), length in 0usize..70_000,
            exported in prop::collection::vec(any::<u8>(), 0..4000),
        ) {
            let mut tree = HashTree::import(Geometry::new(1_000_000), ContentRoot([1; 32]), &exported);
            let range = GroupRange::from((start, len));
            let proof = Proof { top, hashes };
            prop_assert!(tree.verify(range, &proof, content(length)).is_err());
            prop_assert!(tree.prove(range, |_| false).is_none());
        }
    }
}
