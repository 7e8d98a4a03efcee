//! Numbers and bytes out of an input's bytes, for targets that do one thing after another.

/// What is left of an input. When it is empty, everything is 0.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    /// All of it.
    pub const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Two bytes.
    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number that is mostly small and sometimes at an edge.
    pub fn number(&mut self) -> u32 {
        match self.byte() {
            0xff => u32::MAX,
            0xfe => u32::from(self.short()) << 16 | u32::from(self.short()),
            small => u32::from(small),
        }
    }

    /// A number of bytes, or the like.
    pub fn long(&mut self) -> u64 {
        u64::from(self.number()) << (self.byte() % 40)
    }

    /// At most 255 bytes, with their number first.
    pub fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some
    }

    /// The rest.
    pub const fn rest(self) -> &'a [u8] {
        self.0
    }
}
