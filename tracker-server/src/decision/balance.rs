//! What the peers of one swarm can send and what its players need, as far as that is known: the only place that adds it up.

use std::collections::BTreeMap;

use swarm_core::PeerId;
use swarm_core::tracker_message::Scarcity;

use crate::limits::UPLINK_UNKNOWN_BPS;

/// What one peer adds to the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Part {
    /// Upload capacity as far as it is believed, bits a second; 0 if not known.
    pub(super) uplink_bps: u64,
    /// Whether it is an initial peer.
    pub(super) is_initial: bool,
    /// Whether its player needs what it does not hold.
    pub(super) is_playing: bool,
}

/// Peers of one kind together.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    uplink_bps: u64,
    count: u64,
    known: u64,
}

impl Sum {
    /// What all send together, where each that has not measured its uplink sends `unknown_bps`.
    const fn supply_bps(self, unknown_bps: u64) -> u64 {
        self.uplink_bps.saturating_add((self.count - self.known).saturating_mul(unknown_bps))
    }
}

/// All peers of one swarm.
#[derive(Debug, Default)]
pub(super) struct Balance {
    /// Rate of the media, bits a second; 0 if not known.
    media_bps: u64,
    parts: BTreeMap<PeerId, Part>,
    viewers: Sum,
    initial: Sum,
    playing: u64,
}

impl Balance {
    pub(super) fn new(media_bps: u64) -> Self {
        Self { media_bps, ..Self::default() }
    }

    /// Notes what a peer adds now; none of a peer that left.
    pub(super) fn set(&mut self, peer: PeerId, part: Option<Part>) {
        if let Some(before) = self.parts.remove(&peer) {
            let sum = if before.is_initial { &mut self.initial } else { &mut self.viewers };
            sum.uplink_bps -= before.uplink_bps;
            sum.count -= 1;
            sum.known -= u64::from(before.uplink_bps > 0);
            self.playing -= u64::from(before.is_playing);
        }
        if let Some(part) = part {
            let sum = if part.is_initial { &mut self.initial } else { &mut self.viewers };
            sum.uplink_bps += part.uplink_bps;
            sum.count += 1;
            sum.known += u64::from(part.uplink_bps > 0);
            self.playing += u64::from(part.is_playing);
            self.parts.insert(peer, part);
        }
    }

    pub(super) const fn media_bps(&self) -> u64 {
        self.media_bps
    }

    /// Upload capacity of a peer, bits a second; 0 if not known.
    pub(super) fn uplink_bps(&self, peer: PeerId) -> u64 {
        self.parts.get(&peer).map_or(0, |part| part.uplink_bps)
    }

    /// Mean upload capacity of the viewers, bits a second; 0 while it is known of fewer than half of them.
    pub(super) const fn mean_bps(&self) -> u64 {
        let Sum { uplink_bps, count, known } = self.viewers;
        if known == 0 || known * 2 < count { 0 } else { uplink_bps / known }
    }

    /// Whether the initial peers carry all playback by themselves, and a tenth more.
    pub(super) const fn is_rich(&self) -> bool {
        let demand_bps = self.viewers.count.saturating_mul(self.media_bps);
        demand_bps > 0 && self.initial.uplink_bps.saturating_mul(10) >= demand_bps.saturating_mul(11)
    }

    /// What all peers can send together, bits a second. One that has not measured its uplink was never asked for all that
    /// it carries: it counts as a usual one, and as one that carries a player, so that no shortage is said that nobody saw.
    pub(super) fn supply_bps(&self) -> u64 {
        let unknown_bps = UPLINK_UNKNOWN_BPS.max(self.media_bps);
        self.viewers.supply_bps(unknown_bps).saturating_add(self.initial.supply_bps(unknown_bps))
    }

    /// What all players need together, bits a second.
    pub(super) const fn demand_bps(&self) -> u64 {
        self.playing.saturating_mul(self.media_bps)
    }

    /// Both, if there is less than what is needed.
    pub(super) fn scarcity(&self) -> Option<Scarcity> {
        let (supply_bps, demand_bps) = (self.supply_bps(), self.demand_bps());
        (supply_bps < demand_bps).then_some(Scarcity { supply_bps, demand_bps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(uplink_bps: u64) -> Option<Part> {
        Some(Part { uplink_bps, is_initial: false, is_playing: true })
    }

    #[test]
    fn sums_follow_those_who_are_present() {
        let mut balance = Balance::new(2_000_000);
        balance.set(PeerId(1), Some(Part { uplink_bps: 10_000_000, is_initial: true, is_playing: false }));
        balance.set(PeerId(2), viewer(1_000_000));
        balance.set(PeerId(3), viewer(3_000_000));
        assert_eq!((balance.supply_bps(), balance.demand_bps()), (14_000_000, 4_000_000));
        assert_eq!(balance.scarcity(), None);
        assert_eq!(balance.mean_bps(), 2_000_000);
        balance.set(PeerId(3), viewer(0));
        assert_eq!(balance.supply_bps(), 11_000_000 + UPLINK_UNKNOWN_BPS);
        assert_eq!((balance.mean_bps(), balance.uplink_bps(PeerId(2))), (1_000_000, 1_000_000));
        balance.set(PeerId(2), viewer(0));
        assert_eq!(balance.mean_bps(), 0, "too little is known");
        [1, 2, 3].into_iter().for_each(|peer| balance.set(PeerId(peer), None));
        assert_eq!((balance.supply_bps(), balance.demand_bps(), balance.parts.len()), (0, 0, 0));
    }

    #[test]
    fn a_shortage_is_said_once_uplinks_are_known_to_carry_less_than_what_is_played() {
        let mut balance = Balance::new(8_000_000);
        let publisher = |uplink_bps| Some(Part { uplink_bps, is_initial: true, is_playing: false });
        balance.set(PeerId(1), publisher(0));
        balance.set(PeerId(2), viewer(0));
        balance.set(PeerId(3), viewer(0));
        assert_eq!(balance.scarcity(), None, "nobody knows");
        balance.set(PeerId(2), viewer(100_000));
        balance.set(PeerId(3), viewer(100_000));
        assert_eq!(balance.scarcity(), Some(Scarcity { supply_bps: 8_200_000, demand_bps: 16_000_000 }));
        balance.set(PeerId(1), publisher(17_000_000));
        assert_eq!((balance.scarcity(), balance.is_rich()), (None, false));
        balance.set(PeerId(1), publisher(17_600_000));
        assert!(balance.is_rich());
    }
}
