//! What a node of a test does wrong.

/// How a node misbehaves towards others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Flips one bit of every payload that holds this group.
    Corrupts(u32),
    /// Sends no payload at all.
    Silent,
}
