//! A tree as bytes, for a store that wants to resume. All known nodes are written; only nodes that the root proves are read
//! back.

use super::{HashTree, NodeHash, PAGE_NODES};
use crate::group::Geometry;
use crate::id::ContentRoot;

/// Bytes of a page beside its hashes: level, index and which nodes are known.
const PAGE_HEAD_BYTES: usize = 7;

impl HashTree {
    /// The groups whose nodes are known, in order: only these can be held.
    pub fn known_groups(&self) -> impl Iterator<Item = u32> + '_ {
        let lone = (self.height == 0).then_some(0);
        let pages = self.pages.range((0, 0)..(1, 0));
        let known = pages.flat_map(|((_, index), page)| {
            let first = index * PAGE_NODES;
            (0..PAGE_NODES).filter(|place| page.known >> place & 1 == 1).map(move |place| first + place)
        });
        lone.into_iter().chain(known)
    }

    /// Whether every node is known.
    pub fn is_whole(&self) -> bool {
        (0..self.height).map(|level| u64::from(self.width(level))).sum::<u64>() == self.known_count
    }

    /// Length of [`HashTree::export`].
    pub fn export_bytes(&self) -> u64 {
        self.known_count * size_of::<NodeHash>() as u64 + (self.pages.len() * PAGE_HEAD_BYTES) as u64
    }

    /// The known nodes as bytes, for a store that wants to resume: pages of 16 nodes, each as its level (1 byte), its index
    /// in the level (4, little-endian), a bitmap of the known nodes (2, little-endian) and their hashes.
    pub fn export(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.export_bytes()).unwrap_or(0));
        for ((level, index), page) in &self.pages {
            bytes.push(*level);
            bytes.extend_from_slice(&index.to_le_bytes());
            bytes.extend_from_slice(&page.known.to_le_bytes());
            let known = page.hashes.iter().enumerate().filter(|(place, _)| page.known >> place & 1 == 1);
            known.for_each(|(_, hash)| bytes.extend_from_slice(hash));
        }
        bytes
    }

    /// Reads what [`HashTree::export`] wrote, keeping only what verifies from the root down.
    ///
    /// If the bytes are cut short or damaged, only the nodes that they no longer prove are lost.
    pub fn import(geometry: Geometry, root: ContentRoot, bytes: &[u8]) -> Self {
        let mut claimed = Self::unknown(geometry, root);
        claimed.take_in(bytes);
        let mut tree = Self::unknown(geometry, root);
        for level in (0..tree.height).rev() {
            let width = tree.width(level);
            for (_, index) in claimed.pages.range((level, 0)..(level + 1, 0)).map(|(key, _)| *key) {
                let first = index.saturating_mul(PAGE_NODES);
                for left in (first..width.min(first.saturating_add(PAGE_NODES))).step_by(2) {
                    let pair = (left..width.min(left + 2)).map(|index| claimed.node(level, index));
                    let Some(pair) = pair.collect::<Option<Vec<NodeHash>>>() else { continue };
                    if tree.fold(level, &pair).first().copied() == tree.node(level + 1, left / 2) {
                        (left..).zip(pair).for_each(|(index, hash)| tree.learn(level, index, hash));
                    }
                }
            }
        }
        tree
    }

    /// Learns the nodes of exported bytes, as far as they can be read.
    fn take_in(&mut self, mut bytes: &[u8]) {
        while let Some(([level, a, b, c, d, low, high], rest)) = bytes.split_first_chunk::<PAGE_HEAD_BYTES>()
        {
            bytes = rest;
            let first = u32::from_le_bytes([*a, *b, *c, *d]).saturating_mul(PAGE_NODES);
            let known = u16::from_le_bytes([*low, *high]);
            for place in (0..PAGE_NODES).filter(|place| known >> place & 1 == 1) {
                let Some((hash, rest)) = bytes.split_first_chunk::<32>() else { return };
                bytes = rest;
                self.learn(*level, first.saturating_add(place), *hash);
            }
        }
    }
}
