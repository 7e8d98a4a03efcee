//! The hub at the tracker that has a viewer's socket: it says where the home is, and the viewer goes there.

use swarm_core::tracker_message::TrackerMessageBody;

use super::{Hub, State};
use crate::cluster::Manners;
use crate::decision::Outgoing;

impl Hub {
    /// Tells some of the viewers that are decided for elsewhere where that is. Each second.
    pub(super) fn send_home(&self, state: &mut State) {
        let now = self.now();
        let State { tracker, cluster: Some(cluster), visits, .. } = &mut *state else { return };
        let manners =
            Manners { own_url: self.config.public_url.as_deref(), patience: self.config.home_patience };
        // The visits of a peer are at the tracker that has its socket: they would end, and its links there.
        let can_move = |connection| tracker.can_move(connection) && visits.of(connection).is_empty();
        let told = cluster.send_home(now, manners, can_move);
        self.metrics.count_sent_home(told.len());
        let notices = told.into_iter().map(|(connection, to)| (connection, TrackerMessageBody::Move { to }));
        let outgoing = notices.map(|(connection, body)| (connection, Outgoing::notice(body))).collect();
        self.deliver(state, outgoing);
    }
}
