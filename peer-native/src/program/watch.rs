//! Watches a running peer for what a person must hear, each change of state once.

use crate::Notice;
use swarm_core::peer::Event;
use swarm_core::tracker_message::Scarcity;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::program::report::Reporter;

/// The next notice; `None` when the peer has ended. What was missed is skipped: the rest says where it stands.
pub(crate) async fn next(notices: &mut Receiver<Notice>) -> Option<Notice> {
    loop {
        match notices.recv().await {
            Ok(notice) => return Some(notice),
            Err(RecvError::Lagged(count)) => tracing::debug!(count, "notices were missed"),
            Err(RecvError::Closed) => return None,
        }
    }
}

/// What was said last of the tracker, so that nothing is said twice.
#[derive(Debug, Default)]
pub(crate) struct TrackerWatch {
    said: Option<String>,
    /// Where the peer went on.
    moved: Option<String>,
}

impl TrackerWatch {
    /// Says what a notice changes.
    pub(crate) fn note(&mut self, notice: &Notice, tracker: &str, reporter: Reporter) {
        match notice {
            Notice::Peer(Event::TrackerDown { reason, retry_ms }) => {
                tracing::debug!(reason, retry_ms, "no tracker");
                self.say(
                    format!("the tracker cannot be reached: {reason}; trying again until it can"),
                    reporter,
                );
            }
            Notice::Peer(Event::Waiting { reason }) => self.say(format!("waiting: {reason}"), reporter),
            Notice::Peer(Event::PeersWithheld { reason, .. }) => {
                self.say(format!("no peers here: {reason}"), reporter);
            }
            Notice::Peer(Event::Dismissed { reason }) => self.say(
                format!(
                    "{reason}. What others send goes on, for as long as they stay; nobody new can be found"
                ),
                reporter,
            ),
            Notice::Moved(address) => {
                self.say(format!("going on at the tracker {address}"), reporter);
                self.moved = Some(address.clone());
            }
            Notice::Joined => {
                if self.said.take().is_some() {
                    let tracker = self.moved.as_deref().unwrap_or(tracker);
                    reporter.note(&format!("the tracker is reached: {tracker}"));
                }
            }
            Notice::Peer(Event::Banned { link, reason }) => {
                tracing::info!(link = link.0, reason, "a peer was banned");
            }
            Notice::Peer(Event::MirrorLost { host }) => {
                reporter.note(&format!(
                    "the mirror {host} sent wrong bytes; they were not kept, and it is not asked again"
                ));
            }
            Notice::Peer(Event::Scarcity(Some(scarcity))) => reporter.note(&shortage(*scarcity)),
            Notice::Peer(Event::Scarcity(None)) => {
                reporter.note("the uplinks of all peers carry again what the viewers need");
            }
            // Who seeds names the tracker.
            Notice::Peer(
                Event::Outpost { .. }
                | Event::TrackerUp
                | Event::ManifestReady(_)
                | Event::UnknownSwarm
                | Event::Complete
                | Event::Failed(_),
            )
            | Notice::StoreReady { .. }
            | Notice::Finished
            | Notice::StoreFailed(_) => {}
        }
    }

    fn say(&mut self, text: String, reporter: Reporter) {
        if self.said.as_ref() != Some(&text) {
            reporter.note(&text);
            self.said = Some(text);
        }
    }
}

/// What a person hears of a shortage.
fn shortage(Scarcity { supply_bps, demand_bps }: Scarcity) -> String {
    let mbit = |bps: u64| bps as f64 / 1e6;
    format!(
        "the uplinks of all peers carry {:.1} of the {:.1} Mbit/s that the viewers need: playback may pause",
        mbit(supply_bps),
        mbit(demand_bps)
    )
}

/// Why a peer cannot go on, if that is what a notice says.
pub(crate) fn failure(notice: &Notice) -> Option<&str> {
    match notice {
        Notice::Peer(Event::Failed(text)) | Notice::StoreFailed(text) => Some(text),
        Notice::Peer(_)
        | Notice::Moved(_)
        | Notice::Joined
        | Notice::StoreReady { .. }
        | Notice::Finished => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_said_in_mbit_a_second() {
        let text = shortage(Scarcity { supply_bps: 12_340_000, demand_bps: 20_000_000 });
        assert_eq!(
            text,
            "the uplinks of all peers carry 12.3 of the 20.0 Mbit/s that the viewers need: playback may pause"
        );
    }
}
