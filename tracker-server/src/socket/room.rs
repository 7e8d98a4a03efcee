//! Memory for messages that have begun and not ended.
//!
//! A message of usual length takes what its connection has anyway. A longer one takes room from here before any of it is
//! read: so much for each address, for each subnet and in all. A connection that finds no room waits; those of others go on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::account::{Account, Bounds};
use crate::decision::network::Site;
use crate::limits::{
    UNFINISHED_BYTES_MAX, UNFINISHED_BYTES_PER_ADDRESS_MAX, UNFINISHED_BYTES_PER_SUBNET_MAX,
};

/// Bytes for messages.
const BOUNDS: Bounds = Bounds {
    all: UNFINISHED_BYTES_MAX,
    address: UNFINISHED_BYTES_PER_ADDRESS_MAX,
    subnet: UNFINISHED_BYTES_PER_SUBNET_MAX,
    kept: 0,
};

/// The room of one tracker.
#[derive(Debug)]
pub(crate) struct MessageRoom(Mutex<Account>);

impl Default for MessageRoom {
    fn default() -> Self {
        Self(Mutex::new(Account::new(BOUNDS)))
    }
}

/// Room that one message has. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    room: Arc<MessageRoom>,
    site: Site,
    bytes: usize,
}

impl Reserved {
    /// No room yet, for a message from `site`.
    pub(crate) const fn none(room: Arc<MessageRoom>, site: Site) -> Self {
        Self { room, site, bytes: 0 }
    }

    /// Takes as much more as is lacking to `bytes`. Takes nothing and says so if that is not there.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let is_taken = self.room.lock().take(self.site, more);
        if is_taken {
            self.bytes += more;
        }
        is_taken
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.room.lock().give_back(self.site, self.bytes);
    }
}

impl MessageRoom {
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const MESSAGE: usize = 128 * 1024;

    fn site(subnet: u8, host: u8) -> Site {
        Site::of(Ipv4Addr::new(198, 51, subnet, host).into())
    }

    /// Messages from a site that find room.
    fn fill(room: &Arc<MessageRoom>, site: Site) -> Vec<Reserved> {
        let all = (0..1_000).map(|_| Reserved::none(Arc::clone(room), site));
        all.filter_map(|mut reserved| reserved.grow_to(MESSAGE).then_some(reserved)).collect()
    }

    #[test]
    fn an_address_and_a_subnet_leave_room_for_the_messages_of_others() {
        let room = Arc::new(MessageRoom::default());
        let first = fill(&room, site(1, 1));
        assert_eq!(first.len(), UNFINISHED_BYTES_PER_ADDRESS_MAX / MESSAGE);
        let neighbours: Vec<_> = (2..=250).flat_map(|host| fill(&room, site(1, host))).collect();
        let of_subnet = first.len() + neighbours.len();
        assert_eq!(of_subnet, UNFINISHED_BYTES_PER_SUBNET_MAX / MESSAGE);
        let others: Vec<_> = (2..=250).flat_map(|subnet| fill(&room, site(subnet, 1))).collect();
        assert_eq!(of_subnet + others.len(), UNFINISHED_BYTES_MAX / MESSAGE);
        drop((first, neighbours, others));
        assert_eq!(room.lock().sums(), (0, 0, 0), "all is given back");
    }

    #[test]
    fn a_message_that_grows_takes_what_it_lacks_and_nothing_when_that_is_not_there() {
        let room = Arc::new(MessageRoom::default());
        let mut reserved = Reserved::none(Arc::clone(&room), site(1, 1));
        assert!(reserved.grow_to(1_000) && reserved.grow_to(900) && reserved.grow_to(3_000));
        assert_eq!(room.lock().sums().0, 3_000);
        assert!(!reserved.grow_to(UNFINISHED_BYTES_MAX * 2));
        assert_eq!(room.lock().sums().0, 3_000);
    }
}
