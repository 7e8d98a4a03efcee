//! What an initial peer gives beyond the first copy of everything (DESIGN §7: then it is an ordinary sender).
//!
//! Once all is injected its uplink would be idle while its viewers' are full. So it may be asked for what others
//! hold, too; but only for an eighth of what it injected, however many watch and however long: its load is not to grow
//! with the audience. What viewers needed at once, and got a second time, counts against it.

/// Of what was injected, one byte in so many may be sent again. With packet headers 1.13 copies are 1.27 on the wire.
const SHARE: u64 = 8;
/// What must be left before anybody is told, bytes: less is not worth the messages.
const WORTHWHILE: u64 = 512 * 1024;

/// The account of one initial peer, bytes of payload.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    injected: u64,
    repeated: u64,
}

impl Spare {
    /// Bytes left; `is_first`: nobody else held them.
    pub(crate) const fn sent(&mut self, bytes: u64, is_first: bool) {
        if is_first {
            self.injected += bytes;
        } else {
            self.repeated += bytes;
        }
    }

    /// Bytes that may be asked for, of what others hold.
    const fn left(&self) -> u64 {
        (self.injected / SHARE).saturating_sub(self.repeated)
    }

    /// Whether more may be asked for than these bytes, which are; `is_told`: whether neighbours believe so.
    pub(crate) fn has_more(&self, is_told: bool, asked: impl Iterator<Item = u64>) -> bool {
        let least = if is_told { 0 } else { WORTHWHILE };
        // What is asked for is only added up where it matters: this is looked at all the time.
        self.left() > least && self.left().saturating_sub(asked.sum()) > least
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn an_eighth_of_what_was_injected_may_be_sent_again_and_no_more() {
        let mut spare = Spare::default();
        let has_more = |spare: &Spare, is_told, asked| spare.has_more(is_told, [asked].into_iter());
        assert!(!has_more(&spare, true, 0));
        spare.sent(8 * 2 * WORTHWHILE, true);
        assert!(has_more(&spare, false, 0));
        assert!(!has_more(&spare, false, WORTHWHILE) && has_more(&spare, true, WORTHWHILE));
        assert!(!has_more(&spare, true, 2 * WORTHWHILE), "what was asked for is as good as sent");
        spare.sent(4 * WORTHWHILE, false);
        assert!(!has_more(&spare, true, 0));
        spare.sent(8 * 2 * WORTHWHILE, true);
        assert!(!has_more(&spare, true, 0), "what was sent too much is not forgotten");
    }
}
