//! The tree as a file beside the content, for servers that know nothing of trees: `NAME.tree`.
//!
//! ```text
//! header  64 bytes   "TRBTREE1", length of the content (u64, little-endian), content root, 16 zero bytes
//! page 0             the nodes beside the path from the page to the root, bottom up, 32 bytes each
//!                    the nodes of its 256 groups (fewer in the last page), 32 bytes each
//! page 1 …
//! ```
//!
//! A page proves its 256 groups (4 MiB) by itself, and pages lie in the order of their groups. So one range of this file
//! verifies a range of the content, and its place follows from the range of groups alone. All paths have the same number of
//! places; a place without a node, at the right edge of the tree, is zero. The file has 0.21 % of the content's length. Less
//! than 9 KiB of it have to be read before the first group can be verified.

use std::ops::Range;

use super::{HashTree, NodeHash, VerifyError, width_at};
use crate::group::{Geometry, GroupRange};
use crate::id::ContentRoot;

/// The first bytes of the file. The digit is the version.
pub const MAGIC: &[u8; 8] = b"TRBTREE1";
/// The first bytes of a file of any version.
pub const MAGIC_OF_ALL_VERSIONS: &[u8] = b"TRBTREE";
/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Levels of the tree inside one page.
const PAGE_LEVELS: u8 = 8;
/// Groups of one page: 4 MiB of content.
pub const PAGE_GROUPS: u32 = 1 << PAGE_LEVELS;
/// Bytes of one node.
const NODE: u64 = size_of::<NodeHash>() as u64;

/// Bytes that are not the header of a tree file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SidecarError {
    /// Write the file again: it is of another kind, or of another version.
    #[error("this is not a tree file of a version this program knows")]
    NotATree,
}

/// Length of the whole file for a content.
pub fn file_bytes(geometry: Geometry) -> u64 {
    HEADER_BYTES as u64
        + u64::from(page_count(geometry)) * path_bytes(geometry)
        + u64::from(geometry.group_count()) * NODE
}

/// The bytes of the file that verify a range of groups; empty for no groups.
pub fn span(geometry: Geometry, range: GroupRange) -> Range<u64> {
    let range = range.and(geometry.all());
    let Some(last) = range.end.checked_sub(1).filter(|_| !range.is_empty()) else { return 0..0 };
    let start = page_offset(geometry, range.start / PAGE_GROUPS);
    let end = page_offset(geometry, last / PAGE_GROUPS + 1);
    start..end.min(file_bytes(geometry))
}

/// The groups of the pages that cover a range.
pub(crate) fn covered(geometry: Geometry, range: GroupRange) -> GroupRange {
    let end = range.end.div_ceil(PAGE_GROUPS).saturating_mul(PAGE_GROUPS);
    GroupRange::new(range.start / PAGE_GROUPS * PAGE_GROUPS, end).and(geometry.all())
}

/// The file's header.
pub fn header(geometry: Geometry, root: ContentRoot) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let fields = [&MAGIC[..], &geometry.length_bytes().to_le_bytes(), &root.0].concat();
    header.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
    header
}

/// The length and the root of the content that a header describes.
pub fn read_header(bytes: &[u8]) -> Result<(u64, ContentRoot), SidecarError> {
    let parts = bytes.split_first_chunk::<8>().and_then(|(magic, rest)| {
        let (length, rest) = rest.split_first_chunk::<8>()?;
        let (root, zeros) = rest.split_first_chunk::<32>()?;
        let is_header = magic == MAGIC && zeros.iter().all(|byte| *byte == 0);
        (is_header && bytes.len() == HEADER_BYTES)
            .then_some((u64::from_le_bytes(*length), ContentRoot(*root)))
    });
    parts.ok_or(SidecarError::NotATree)
}

/// The pages of the file.
pub fn page_count(geometry: Geometry) -> u32 {
    geometry.group_count().div_ceil(PAGE_GROUPS)
}

fn page_offset(geometry: Geometry, page: u32) -> u64 {
    let page_bytes = path_bytes(geometry) + u64::from(PAGE_GROUPS) * NODE;
    HEADER_BYTES as u64 + u64::from(page) * page_bytes
}

/// Bytes of the path in front of each page.
fn path_bytes(geometry: Geometry) -> u64 {
    let above = (PAGE_LEVELS..super::LEVELS_MAX).take_while(|level| width_at(geometry, *level) > 1);
    above.count() as u64 * NODE
}

impl HashTree {
    /// A page of the tree file; `None` if a node of it is not known, or there is no such page.
    pub fn page(&self, page: u32) -> Option<Vec<u8>> {
        let groups = covered(self.geometry, GroupRange::one(page.checked_mul(PAGE_GROUPS)?));
        let mut bytes = Vec::new();
        for level in PAGE_LEVELS..self.height {
            let sibling = (page >> (level - PAGE_LEVELS)) ^ 1;
            let hash = if sibling < self.width(level) { self.node(level, sibling)? } else { [0; 32] };
            bytes.extend_from_slice(&hash);
        }
        for group in groups.iter() {
            bytes.extend_from_slice(&self.node(0, group)?);
        }
        (!groups.is_empty()).then_some(bytes)
    }

    /// Whether these groups can be verified without any further node.
    pub(crate) fn knows_groups(&self, range: GroupRange) -> bool {
        range.iter().all(|group| self.node(0, group).is_some())
    }

    /// Learns the pages that cover a range, from the bytes at [`span`].
    ///
    /// Nothing is learnt unless all of them lead to the root.
    pub(crate) fn learn_pages(&mut self, range: GroupRange, bytes: &[u8]) -> Result<(), VerifyError> {
        let span = span(self.geometry, range);
        if range.is_empty() || bytes.len() as u64 != span.end - span.start {
            return Err(VerifyError::BadProof);
        }
        let groups = covered(self.geometry, range);
        let mut learnt = Vec::new();
        let mut rest = bytes;
        for start in groups.iter().step_by(PAGE_GROUPS as usize) {
            let page = GroupRange::new(start, start.saturating_add(PAGE_GROUPS)).and(groups);
            let length = path_bytes(self.geometry) + u64::from(page.len()) * NODE;
            let at = usize::try_from(length).map_err(|_| VerifyError::BadProof)?;
            let (own, after) = rest.split_at_checked(at).ok_or(VerifyError::BadProof)?;
            self.verify_page(page, own, &mut learnt)?;
            rest = after;
        }
        for (level, index, hash) in learnt {
            self.learn(level, index, hash);
        }
        Ok(())
    }

    fn verify_page(
        &self,
        page: GroupRange,
        bytes: &[u8],
        learnt: &mut Vec<(u8, u32, NodeHash)>,
    ) -> Result<(), VerifyError> {
        let (nodes, _) = bytes.as_chunks::<32>();
        let path_len = nodes.len().saturating_sub(page.len() as usize);
        let (path, leaves) = nodes.split_at_checked(path_len).ok_or(VerifyError::BadProof)?;
        let mut row = leaves.to_vec();
        let mut first = page.start;
        let top = PAGE_LEVELS.min(self.height);
        for level in 0..top {
            learnt.extend((first..).zip(&row).map(|(index, hash)| (level, index, *hash)));
            row = self.fold(level, &row);
            first >>= 1;
        }
        for (level, beside) in (top..self.height).zip(path) {
            let sibling = first ^ 1;
            if sibling < self.width(level) {
                if sibling < first {
                    row.insert(0, *beside)
                } else {
                    row.push(*beside)
                }
                let left = first.min(sibling);
                learnt.extend((left..).zip(&row).map(|(index, hash)| (level, index, *hash)));
            } else if *beside == [0; 32] {
                learnt.extend(row.iter().map(|hash| (level, first, *hash)));
            } else {
                return Err(VerifyError::BadProof);
            }
            row = self.fold(level, &row);
            first >>= 1;
        }
        if row == [self.root.0] { Ok(()) } else { Err(VerifyError::Corrupt) }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::tree::{Proof, TreeBuilder};

    const GROUP: usize = 16_384;

    /// Contents are of one byte value a group, so that large ones are made fast.
    fn content(length: usize) -> Bytes {
        (0..length).map(|at| (at / GROUP * 31 + at % 7) as u8).collect()
    }

    fn tree_of(bytes: &[u8]) -> HashTree {
        let mut builder = TreeBuilder::new();
        bytes.chunks(GROUP).for_each(|group| builder.push(group));
        builder.finish().unwrap()
    }

    fn file_of(tree: &HashTree) -> Vec<u8> {
        let pages = (0..page_count(tree.geometry())).flat_map(|page| tree.page(page).unwrap());
        header(tree.geometry(), tree.root()).into_iter().chain(pages).collect()
    }

    fn cut(file: &[u8], geometry: Geometry, range: GroupRange) -> Vec<u8> {
        let span = span(geometry, range);
        file[span.start as usize..span.end as usize].to_vec()
    }

    #[test]
    fn the_file_is_as_long_as_is_said_and_its_header_is_read() {
        for length in [1, GROUP, GROUP + 1, 256 * GROUP, 256 * GROUP + 1, 700 * GROUP - 3] {
            let bytes = content(length);
            let tree = tree_of(&bytes);
            let file = file_of(&tree);
            assert_eq!(file.len() as u64, file_bytes(tree.geometry()), "{length}");
            let head = file[..HEADER_BYTES].to_vec();
            assert_eq!(read_header(&head), Ok((length as u64, tree.root())));
            for wrong in [&head[1..], &[&head[..], &[0]].concat(), &[b"X", &head[1..]].concat()] {
                assert_eq!(read_header(wrong), Err(SidecarError::NotATree));
            }
        }
        let large = Geometry::new(crate::limits::CONTENT_BYTES_MAX);
        assert!(file_bytes(large) * 1000 < large.length_bytes() * 3, "0.3 % of the content at most");
        assert!(span(large, GroupRange::one(7)).end - span(large, GroupRange::one(7)).start < 9 * 1024);
    }

    #[test]
    fn a_tree_that_learnt_all_pages_is_whole() {
        for groups in [1, 2, 3, 255, 256, 257, 513] {
            let whole = tree_of(&content(groups * GROUP));
            let mut tree = HashTree::unknown(whole.geometry(), whole.root());
            let all = tree.geometry().all();
            tree.learn_pages(all, &cut(&file_of(&whole), whole.geometry(), all)).unwrap();
            assert!(tree.is_whole() && tree.export() == whole.export(), "{groups}");
        }
    }

    #[test]
    fn the_file_is_that_of_the_protocol_document() {
        let bytes: Vec<u8> = (0..40_000).map(|at| (at % 251) as u8).collect();
        let file = file_of(&tree_of(&bytes));
        let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
        let expected = [
            b"TRBTREE1".to_vec(),
            40_000u64.to_le_bytes().to_vec(),
            hex("ccd32b4544a24c50fbefb249e10a8fcedc26e2794c79eb8a44ad0631bf07f53f"),
            vec![0; 16],
            hex("5384f9b342c6cb86badedcbe662b0e980476a8db17db3cc1f13b19329749ab1f"),
            hex("406632eceb31aa6735f072ad0554f5963f4082b5139978455b44f67732cf949d"),
            hex("083663d9bddc14d40cc2f3869e01c5bebde7632dfea165eda38af01d93d5045b"),
        ];
        assert_eq!((file.len(), file), (160, expected.concat()));
    }

    #[test]
    fn a_page_of_an_unknown_tree_cannot_be_made() {
        let whole = tree_of(&content(300 * GROUP));
        let unknown = HashTree::unknown(whole.geometry(), whole.root());
        assert_eq!((unknown.page(0), whole.page(2), whole.page(u32::MAX)), (None, None, None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_cut_from_file_and_content_verifies_and_flipped_bits_do_not(
            length in 1usize..1100 * GROUP,
            (start, count) in (0u32..1100, 1u32..600),
            (place, bit) in (0usize..100_000, 0u8..8),
        ) {
            let bytes = content(length);
            let whole = tree_of(&bytes);
            let geometry = whole.geometry();
            let start = start % geometry.group_count();
            let range = GroupRange::new(start, start + count).and(geometry.all());
            let pages = cut(&file_of(&whole), geometry, range);
            let mut tree = HashTree::unknown(geometry, whole.root());

            let mut flipped = pages.clone();
            let at = place % flipped.len();
            flipped[at] ^= 1 << bit;
            prop_assert!(tree.learn_pages(range, &flipped).is_err());
            prop_assert!(tree.learn_pages(range, &pages[1..]).is_err());
            prop_assert_eq!(tree.export_bytes(), 0, "nothing is learnt from a wrong page");

            tree.learn_pages(range, &pages).unwrap();
            prop_assert!(tree.knows_groups(covered(geometry, range)));
            for group in [range.start, range.end - 1] {
                let one = GroupRange::one(group);
                let span = geometry.bytes(one);
                let data = bytes.slice(span.start as usize..span.end as usize);
                let proof = Proof { top: 0, hashes: Vec::new() };
                let mut wrong = data.to_vec();
                let at = place % wrong.len();
                wrong[at] ^= 1 << bit;
                prop_assert!(tree.verify(one, &proof, wrong.into()).is_err());
                prop_assert!(tree.verify(one, &proof, data).is_ok());
            }
        }
    }
}
