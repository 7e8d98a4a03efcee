//! Where one frame of a WebSocket ends and the next begins (RFC 6455, section 5.2), read beside the library that decodes
//! them.
//!
//! The library makes room for a frame by the length that its header announces. So the headers are read here first, and the
//! last byte of one is kept back until there is room for what it announces.

/// Bytes of the longest header.
const HEADER_BYTES_MAX: usize = 14;

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Bytes of the payload.
    pub(super) length: u64,
    /// Whether the payload is part of a message; the others are pings, pongs and closes.
    pub(super) is_data: bool,
    /// Whether it is the last frame of its message.
    pub(super) is_last: bool,
}

/// Who decides upon frames.
pub(super) trait Decide {
    /// Whether a frame may come. Asked before the last byte of its header passes, and again after a no.
    fn admits(&mut self, header: Header) -> bool;

    /// A message ends. Whether to stop there.
    fn ended(&mut self) -> bool;
}

/// Reads headers from a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    header_length: usize,
    /// Bytes of the current payload that are still to come, and whether a message ends with them.
    payload: Option<(u64, bool)>,
}

/// What to do with the bytes that were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All may pass.
    Pass,
    /// So many may pass; the next one completes a header that was not admitted.
    Stop(usize),
    /// So many may pass; a message ends there, and the one who asks wants to know.
    Ended(usize),
}

impl Frames {
    /// Looks at the next bytes.
    pub(super) fn look(&mut self, bytes: &[u8], decide: &mut impl Decide) -> Step {
        let mut at = 0;
        while at < bytes.len() {
            match self.payload {
                None => {
                    let Some(byte) = bytes.get(at) else { break };
                    if let Some(slot) = self.header.get_mut(self.header_length) {
                        *slot = *byte;
                    }
                    match self.complete(self.header_length + 1) {
                        None => self.header_length += 1,
                        Some(header) if decide.admits(header) => {
                            self.header_length = 0;
                            self.payload = Some((header.length, header.is_data && header.is_last));
                        }
                        Some(_) => return Step::Stop(at),
                    }
                    at += 1;
                }
                Some((left, is_end)) => {
                    let here = bytes.len() - at;
                    let count = usize::try_from(left).unwrap_or(here).min(here);
                    at += count;
                    self.payload = Some((left - count as u64, is_end));
                }
            }
            if let Some((0, is_end)) = self.payload {
                self.payload = None;
                if is_end && decide.ended() {
                    return Step::Ended(at);
                }
            }
        }
        Step::Pass
    }

    /// The header, if it is complete with `count` bytes.
    fn complete(&self, count: usize) -> Option<Header> {
        let (&first, &second) = (self.header.first()?, self.header.get(1)?);
        if count < 2 {
            return None;
        }
        let (short, is_masked) = (second & 0x7f, second & 0x80 != 0);
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if count < 2 + extended + if is_masked { 4 } else { 0 } {
            return None;
        }
        let long = self.header.get(2..2 + extended)?;
        let length = long.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        Some(Header {
            length: if extended == 0 { u64::from(short) } else { length },
            is_data: first & 0x08 == 0,
            is_last: first & 0x80 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Admits frames up to a length, notes them, and counts messages.
    #[derive(Default)]
    struct Noting {
        length_max: u64,
        found: Vec<Header>,
        ends: usize,
    }

    impl Decide for Noting {
        fn admits(&mut self, header: Header) -> bool {
            let is_admitted = header.length <= self.length_max;
            if is_admitted {
                self.found.push(header);
            }
            is_admitted
        }

        fn ended(&mut self) -> bool {
            self.ends += 1;
            false
        }
    }

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..126 => bytes.push(0x80 | length as u8),
            126..65_536 => bytes.extend([&[0xfe][..], &(length as u16).to_be_bytes()].concat()),
            _ => bytes.extend([&[0xff][..], &(length as u64).to_be_bytes()].concat()),
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + length, 7);
        bytes
    }

    #[test]
    fn the_last_byte_of_a_header_waits_until_its_frame_is_admitted() {
        let mut frames = Frames::default();
        let bytes = [frame(0x81, 3), frame(0x01, 300)].concat();
        let first = frame(0x81, 3).len();
        let mut decide = Noting { length_max: 100, ..Noting::default() };
        assert_eq!(frames.look(&bytes, &mut decide), Step::Stop(first + 7), "all of it but its last byte");
        let rest = &bytes[first + 7..];
        assert_eq!(frames.look(rest, &mut decide), Step::Stop(0), "it is asked again");
        decide.length_max = 300;
        assert_eq!(frames.look(rest, &mut decide), Step::Pass);
        assert_eq!((decide.found.len(), decide.ends), (2, 1));
    }

    proptest! {
        #[test]
        fn frames_are_found_however_the_bytes_are_cut(
            lengths in proptest::collection::vec((0usize..3, 0usize..70_000, any::<bool>()), 1..6),
            cut in 1usize..5_000,
        ) {
            let kinds = [0x01, 0x00, 0x09];
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for (kind, length, is_last) in lengths {
                let opcode = kinds[kind];
                let is_data = opcode < 8;
                let length = if is_data { length } else { length % 126 };
                let is_last = is_last || !is_data;
                bytes.extend(frame(opcode | if is_last { 0x80 } else { 0 }, length));
                expected.push(Header { length: length as u64, is_data, is_last });
            }
            let mut frames = Frames::default();
            let mut decide = Noting { length_max: u64::MAX, ..Noting::default() };
            for part in bytes.chunks(cut) {
                prop_assert_eq!(frames.look(part, &mut decide), Step::Pass);
            }
            let messages = expected.iter().filter(|header| header.is_data && header.is_last).count();
            prop_assert_eq!(decide.ends, messages);
            prop_assert_eq!(decide.found, expected);
        }
    }
}
