//! The hash tree of a file, built by reading all of it once.

use std::fs::File;
use std::io::{self, Read, Seek};

use swarm_core::limits::GROUP_BYTES;
use swarm_core::{HashTree, TreeBuilder};

/// Bytes read at a time: 64 groups.
const READ_BYTES: usize = 64 * GROUP_BYTES as usize;

/// Builds the tree of a whole file; `None` if it is empty. `progress` is told the bytes read so far.
pub(crate) fn hash(file: &mut File, mut progress: impl FnMut(u64)) -> io::Result<Option<HashTree>> {
    file.rewind()?;
    let mut builder = TreeBuilder::new();
    let mut bytes = Vec::with_capacity(READ_BYTES);
    let mut total = 0;
    loop {
        bytes.clear();
        file.by_ref().take(READ_BYTES as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(builder.finish());
        }
        bytes.chunks(GROUP_BYTES as usize).for_each(|group| builder.push(group));
        total += bytes.len() as u64;
        progress(total);
    }
}
