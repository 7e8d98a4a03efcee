//! The index of a stored content as bytes: what is held, where it lies, and what proves it.
//!
//! Numbers are little-endian. Two slots take turns; the valid one with the higher sequence counts, so that a crash while
//! one is written leaves the other.
//!
//! ```text
//! "TRIBSTOR" · version 1 (4 bytes) · sequence (8) · length of the manifest (4) · number of runs (4) · length of the tree (4)
//! manifest: its canonical bytes, with the publisher's signature
//! runs: first group (4) · first place (4) · count (4), each
//! tree: `HashTree::export`
//! BLAKE3 of everything before (32)
//! ```
//!
//! Nothing in it is believed: the manifest must hash to the swarm's id, nodes must be proven by the root, and bytes must hash
//! to their node. The checksum only tells a torn index from a whole one.

use super::file::{File, FileError};

/// First bytes of an index.
const MAGIC: [u8; 8] = *b"TRIBSTOR";

/// What this version writes. Others are not read: what they hold is fetched again.
const VERSION: u32 = 1;

/// Bytes before the manifest.
const HEAD_BYTES: usize = 32;

/// Bytes of a run.
const RUN_BYTES: usize = 12;

/// Bytes of the checksum.
const SUM_BYTES: usize = 32;

/// An index is no longer than this: that of 64 GiB, held whole, with its tree.
const INDEX_BYTES_MAX: u64 = 320 * 1024 * 1024;

/// Groups that lie next to each other in the content file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first group.
    pub(crate) group: u32,
    /// Its place, counted in full groups.
    pub(crate) place: u32,
    /// How many groups, in as many places.
    pub(crate) count: u32,
}

/// What an index says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Counts the times that it was written.
    pub(crate) sequence: u64,
    /// The manifest's canonical bytes.
    pub(crate) manifest: Vec<u8>,
    /// Where held groups lie.
    pub(crate) runs: Vec<Run>,
    /// The tree as far as it is known, exported.
    pub(crate) tree: Vec<u8>,
}

impl Index {
    /// The index as bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        let body = self.manifest.len() + self.runs.len() * RUN_BYTES + self.tree.len();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + body + SUM_BYTES);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes
            .extend([length(self.manifest.len()), length(self.runs.len()), length(self.tree.len())].concat());
        bytes.extend(&self.manifest);
        for Run { group, place, count } in &self.runs {
            bytes.extend([group, place, count].map(|number| number.to_le_bytes()).concat());
        }
        bytes.extend(&self.tree);
        let sum = blake3::hash(&bytes);
        bytes.extend(sum.as_bytes());
        bytes
    }

    /// Reads what [`Index::encode`] wrote; `None` for anything else, such as an index that was cut short.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let lengths = Lengths::of(bytes)?;
        let (body, sum) = bytes.get(..lengths.total()?)?.split_last_chunk::<SUM_BYTES>()?;
        if blake3::hash(body) != *sum {
            return None;
        }
        let (manifest, rest) = body.get(HEAD_BYTES..)?.split_at_checked(lengths.manifest)?;
        let (runs, tree) = rest.split_at_checked(lengths.runs * RUN_BYTES)?;
        let number = |bytes: &[u8], at: usize| {
            let bytes = bytes.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let run = |bytes: &[u8]| {
            Some(Run { group: number(bytes, 0)?, place: number(bytes, 4)?, count: number(bytes, 8)? })
        };
        Some(Self {
            sequence: lengths.sequence,
            manifest: manifest.to_vec(),
            runs: runs.chunks_exact(RUN_BYTES).map(run).collect::<Option<_>>()?,
            tree: tree.to_vec(),
        })
    }

    /// Reads a slot.
    pub(crate) fn read(slot: &dyn File) -> Result<Option<Self>, FileError> {
        let mut head = [0; HEAD_BYTES];
        if slot.read(0, &mut head)? < HEAD_BYTES {
            return Ok(None);
        }
        let total = Lengths::of(&head).and_then(|lengths| lengths.total());
        let size = slot.size()?.min(INDEX_BYTES_MAX);
        let Some(total) = total.filter(|total| *total as u64 <= size) else { return Ok(None) };
        let mut bytes = vec![0; total];
        let is_whole = slot.read(0, &mut bytes)? == total;
        Ok(if is_whole { Self::decode(&bytes) } else { None })
    }

    /// Which of two slots the index goes to.
    pub(crate) const fn slot(&self) -> usize {
        if self.sequence.is_multiple_of(2) { 0 } else { 1 }
    }
}

/// The head of an index.
struct Lengths {
    sequence: u64,
    manifest: usize,
    runs: usize,
    tree: usize,
}

impl Lengths {
    fn of(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&MAGIC)?.strip_prefix(&VERSION.to_le_bytes())?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let mut numbers = rest.chunks_exact(4).map_while(|chunk| chunk.first_chunk::<4>());
        let mut next = || numbers.next().and_then(|bytes| usize::try_from(u32::from_le_bytes(*bytes)).ok());
        Some(Self {
            sequence: u64::from_le_bytes(*sequence),
            manifest: next()?,
            runs: next()?,
            tree: next()?,
        })
    }

    /// Bytes of the whole index.
    fn total(&self) -> Option<usize> {
        let runs = self.runs.checked_mul(RUN_BYTES)?;
        let body = HEAD_BYTES.checked_add(self.manifest)?.checked_add(runs)?.checked_add(self.tree)?;
        body.checked_add(SUM_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;
    use crate::store::file::tests::Disk;

    fn sample() -> Index {
        let runs = vec![Run { group: 3, place: 0, count: 2 }, Run { group: 9, place: 2, count: 1 }];
        Index { sequence: 7, manifest: b"a manifest".to_vec(), runs, tree: vec![5; 100] }
    }

    fn read(bytes: &[u8]) -> Option<Index> {
        let slot = Disk::new(u64::MAX).file("index0");
        slot.write(0, bytes).unwrap();
        Index::read(&slot).unwrap()
    }

    #[test]
    fn an_index_comes_back_as_it_was_written_whatever_lies_behind_it() {
        assert_eq!(read(&sample().encode()), Some(sample()));
        let mut longer = sample().encode();
        longer.extend([9; 50]);
        assert_eq!(read(&longer), Some(sample()), "a longer index was there before");
        assert_eq!(read(b""), None);
        assert_eq!((sample().slot(), Index { sequence: 8, ..sample() }.slot()), (1, 0));
    }

    #[test]
    fn an_index_that_is_cut_short_or_has_a_flipped_bit_is_none() {
        let bytes = sample().encode();
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), None, "{end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&flipped), None, "{bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), is_ours: bool) {
            if is_ours {
                let head = [&MAGIC[..], &VERSION.to_le_bytes()].concat();
                bytes.splice(0..0, head);
            }
            prop_assert_eq!(read(&bytes), None);
        }
    }
}
