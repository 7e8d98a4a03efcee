//! A digest of everything that happened, in order: two runs are the same if and only if it is.

/// Mixes events into 64 bits. For comparison, not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Something happened.
    pub(crate) const fn add(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    /// 16 hexadecimal digits.
    pub(crate) fn digest(&self) -> String {
        format!("{:016x}", self.0)
    }
}
