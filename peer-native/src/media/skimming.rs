//! A reader that lets a demuxer walk a long file in little time and memory: once told to skim, it reads the small
//! fields between frames and passes over the frames themselves.
//!
//! It also bounds what a hostile file can cost: how many operations a walk may take, and how long an element may
//! claim to be before it is refused, since the demuxer makes room for it first.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Bytes read at a time, around where the demuxer is.
const WINDOW_BYTES: usize = 4096;

/// Reads of more bytes than this are of frames: fields have at most eight.
const FIELD_BYTES_MAX: usize = 16;

/// Bytes of an element that is read into memory, at most: well above a frame of 8K video without losses.
const ELEMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Operations until a file counts as endless: a few seconds' worth, some ten million frames.
const OPERATIONS_MAX: u64 = 200_000_000;

/// Operations until a header counts as endless.
const HEADER_OPERATIONS_MAX: u64 = 5_000_000;

/// First byte and rest of the id of a Matroska cluster.
const CLUSTER_ID: (u8, [u8; 3]) = (0x1f, [0x43, 0xb6, 0x75]);

/// First byte and rest of the id of Matroska's index.
const CUES_ID: (u8, [u8; 3]) = (0x1c, [0x53, 0xbb, 0x6b]);

/// What the owner of a reader that was given away still sees of it, and tells it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    position: Cell<u64>,
    is_skimming: Cell<bool>,
    operations: Cell<u64>,
    cluster: Cell<Option<u64>>,
    cues: Cell<Option<u64>>,
}

impl Progress {
    /// Where the demuxer is, a byte offset.
    pub(super) fn position(&self) -> u64 {
        self.position.get()
    }

    /// From now on frames are passed over.
    pub(super) fn skim(&self) {
        self.is_skimming.set(true);
        self.operations.set(0);
    }

    /// Where the last cluster starts that was come upon since this was last asked.
    pub(super) fn take_cluster(&self) -> Option<u64> {
        self.cluster.take()
    }

    /// Where the index starts, if it was come upon.
    pub(super) fn cues(&self) -> Option<u64> {
        self.cues.get()
    }

    /// Whether the walk was given up as endless.
    pub(super) fn is_exhausted(&self) -> bool {
        let max = if self.is_skimming.get() { OPERATIONS_MAX } else { HEADER_OPERATIONS_MAX };
        self.operations.get() >= max
    }

    fn count(&self) -> io::Result<()> {
        self.operations.set(self.operations.get() + 1);
        if self.is_exhausted() {
            return Err(io::Error::other("it has no end"));
        }
        Ok(())
    }
}

/// The reader.
#[derive(Debug)]
pub(super) struct Skimming<'a, R> {
    file: &'a mut R,
    length: u64,
    window_start: u64,
    window: Vec<u8>,
    /// The last field read, if it had one byte: where it was and what.
    last_byte: Option<(u64, u8)>,
    progress: Rc<Progress>,
}

impl<'a, R: Read + Seek> Skimming<'a, R> {
    pub(super) fn new(file: &'a mut R) -> io::Result<(Self, Rc<Progress>)> {
        let length = file.seek(SeekFrom::End(0))?;
        let progress = Rc::new(Progress::default());
        let reader = Self {
            file,
            length,
            window_start: 0,
            window: Vec::new(),
            last_byte: None,
            progress: Rc::clone(&progress),
        };
        Ok((reader, progress))
    }

    /// The bytes read ahead from the position on; empty where nothing is.
    fn ahead(&mut self, wanted: usize) -> io::Result<&[u8]> {
        let position = self.progress.position();
        let within = position.checked_sub(self.window_start).and_then(|at| usize::try_from(at).ok());
        let is_there = within.is_some_and(|at| at.saturating_add(wanted.max(1)) <= self.window.len());
        if !is_there {
            self.window.clear();
            self.window_start = position;
            self.file.seek(SeekFrom::Start(position))?;
            self.file.by_ref().take(WINDOW_BYTES as u64).read_to_end(&mut self.window)?;
        }
        let at = usize::try_from(position - self.window_start).unwrap_or(usize::MAX);
        Ok(self.window.get(at..).unwrap_or_default())
    }

    /// Notes where elements start whose places the demuxer does not tell.
    fn note(&mut self, position: u64, field: &[u8]) {
        if let (Some((at, first)), [a, b, c]) = (self.last_byte, field)
            && at + 1 == position
        {
            let id = (first, [*a, *b, *c]);
            if id == CLUSTER_ID {
                self.progress.cluster.set(Some(at));
            } else if id == CUES_ID {
                self.progress.cues.set(Some(at));
            }
        }
        self.last_byte = if let [byte] = field { Some((position, *byte)) } else { None };
    }
}

impl<R: Read + Seek> Read for Skimming<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.progress.count()?;
        let position = self.progress.position();
        let count = if self.progress.is_skimming.get() && into.len() > FIELD_BYTES_MAX {
            // What a frame holds is of no interest; the demuxer has made room for it, and keeps zeros.
            let left = self.length.saturating_sub(position);
            into.len().min(usize::try_from(left).unwrap_or(usize::MAX))
        } else {
            let ahead = self.ahead(into.len().min(FIELD_BYTES_MAX))?;
            let count = ahead.len().min(into.len());
            if let (Some(into), Some(ahead)) = (into.get_mut(..count), ahead.get(..count)) {
                into.copy_from_slice(ahead);
            }
            count
        };
        self.note(position, into.get(..count.min(FIELD_BYTES_MAX)).unwrap_or_default());
        self.progress.position.set(position.saturating_add(count as u64));
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Skimming<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.progress.count()?;
        let position = self.progress.position();
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::Current(by) => position.checked_add_signed(by),
            // The demuxer asks how much is left before it makes room for an element.
            SeekFrom::End(by) => {
                self.length.min(position.saturating_add(ELEMENT_BYTES_MAX)).checked_add_signed(by)
            }
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.progress.position.set(target);
        Ok(target)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn frames_are_passed_over_and_fields_are_read() {
        let mut file = Cursor::new((0..=255u8).cycle().take(100_000).collect::<Vec<_>>());
        let (mut reader, progress) = Skimming::new(&mut file).unwrap();
        let mut large = vec![0; 5000];
        reader.read_exact(&mut large).unwrap();
        assert_eq!((large[1], large[4999]), (1, 135));
        progress.skim();
        let mut frame = vec![0; 5000];
        reader.read_exact(&mut frame).unwrap();
        assert!(frame.iter().all(|byte| *byte == 0));
        let mut field = [0; 4];
        reader.read_exact(&mut field).unwrap();
        assert_eq!(field, [16, 17, 18, 19]);
        assert_eq!(progress.position(), 10_004);
    }

    #[test]
    fn clusters_are_noticed_however_the_demuxer_reads_their_ids() {
        let mut file = Cursor::new([0, 0, 0x1f, 0x43, 0xb6, 0x75, 0x81, 0]);
        let (mut reader, progress) = Skimming::new(&mut file).unwrap();
        for bytes in [1, 1, 1, 3, 1] {
            reader.read_exact(&mut vec![0; bytes]).unwrap();
        }
        assert_eq!(progress.take_cluster(), Some(2));
        assert_eq!(progress.take_cluster(), None);
    }

    #[test]
    fn an_endless_walk_ends() {
        let mut file = Cursor::new([0; 8]);
        let (mut reader, progress) = Skimming::new(&mut file).unwrap();
        while reader.seek(SeekFrom::Start(0)).is_ok() {}
        assert!(progress.is_exhausted());
    }
}
