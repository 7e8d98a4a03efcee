//! Random swarms: which viewers, which publisher, which network. The same seed and index give the same one.

use crate::scenario::{Economy, Scenario};

/// Viewers.
const PEERS: [u32; 6] = [6, 12, 20, 30, 45, 60];
/// Rates of the media, Mbit/s.
const MEDIA_MBPS: [f64; 3] = [1.0, 2.0, 4.0];
/// Uplinks of viewers, Mbit/s: none to speak of (twice as likely), ADSL, cable, fibre.
const UP_MBPS: [f64; 8] = [0.1, 0.1, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];
/// How many uplinks there are in one population.
const UP_KINDS: [u32; 4] = [1, 3, 5, 7];
/// Slow downlinks, in multiples of the media's rate.
const SLOW_DOWN_OVER_MEDIA: [f64; 3] = [2.0, 3.0, 5.0];
/// Probability that a downlink is one of the slow ones, per cent.
const SLOW_DOWN_PCT: u32 = 40;
/// Fast downlinks, Mbit/s.
const FAST_DOWN_MBPS: [f64; 3] = [50.0, 100.0, 300.0];
/// How many downlinks there are in one population.
const DOWN_KINDS: [u32; 2] = [1, 3];
/// Uplinks of the publisher, Mbit/s.
const PUBLISHER_MBPS: [f64; 6] = [5.0, 10.0, 20.0, 50.0, 100.0, 300.0];
/// Lengths of the content, MiB.
const CONTENT_MIB: [u32; 2] = [24, 48];
/// Round-trip times, ms.
const RTT_MS: [f64; 4] = [20.0, 50.0, 120.0, 200.0];
/// Times over which viewers join, s; half of the populations are flash crowds.
const JOIN_OVER_S: [f64; 4] = [0.0, 0.0, 20.0, 60.0];
/// Shortest limit of simulated time, s; where the bound is long the limit is longer.
const LIMIT_S_MIN: f64 = 1200.0;

/// A random swarm and its place in the sequence of its seed.
#[derive(Debug, Clone)]
pub struct Population {
    /// Seed of the sequence.
    pub seed: u64,
    /// Place in the sequence, from 0.
    pub index: u32,
    /// What is to be simulated.
    pub scenario: Scenario,
}

impl Population {
    /// Draws a population; each index is drawn by itself.
    pub fn draw(seed: u64, index: u32, economy: Economy) -> Self {
        let mut draw = Draw::new(seed, index);
        let media_mbps = draw.one_of(&MEDIA_MBPS);
        let up_kinds = draw.one_of(&UP_KINDS);
        let down_kinds = draw.one_of(&DOWN_KINDS);
        let scenario = Scenario {
            peers: draw.one_of(&PEERS),
            mib: draw.one_of(&CONTENT_MIB),
            seeder_up_mbps: draw.one_of(&PUBLISHER_MBPS),
            peer_up_mbps: (0..up_kinds).map(|_| draw.one_of(&UP_MBPS)).collect(),
            peer_down_mbps: (0..down_kinds).map(|_| draw.downlink_mbps(media_mbps)).collect(),
            rtt_ms: draw.one_of(&RTT_MS),
            media_mbps,
            join_over_s: draw.one_of(&JOIN_OVER_S),
            economy,
            seed: u64::from(index) + 1,
            ..Scenario::default()
        };
        let limit_s = LIMIT_S_MIN.max((2.0 * scenario.bound_s()).ceil() + 60.0);
        Self { seed, index, scenario: Scenario { limit_s, ..scenario } }
    }

    /// The flags with which `swarm-sim` runs this population.
    pub fn flags(&self) -> String {
        let Scenario { peers, mib, seeder_up_mbps, rtt_ms, media_mbps, join_over_s, limit_s, seed, .. } =
            &self.scenario;
        let (up, down) = (list(&self.scenario.peer_up_mbps), list(&self.scenario.peer_down_mbps));
        let economy = self.scenario.economy.name();
        format!(
            "--peers {peers} --mb {mib} --seeder-up {seeder_up_mbps} --peer-up {up} --peer-down {down} --rtt {rtt_ms} \
             --media {media_mbps} --join-over {join_over_s} --economy {economy} --limit {limit_s} --seed {seed}"
        )
    }
}

/// SplitMix64, written out here so that a seed means the same populations whatever generator the core uses.
struct Draw(u64);

impl Draw {
    fn new(seed: u64, index: u32) -> Self {
        let mut of_seed = Self(seed);
        Self(of_seed.next() ^ u64::from(index))
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    const fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * bound as u64) >> 32) as u32
    }

    fn one_of<T: Copy, const N: usize>(&mut self, values: &[T; N]) -> T {
        values[self.below(N as u32) as usize]
    }

    fn downlink_mbps(&mut self, media_mbps: f64) -> f64 {
        if self.below(100) < SLOW_DOWN_PCT {
            self.one_of(&SLOW_DOWN_OVER_MEDIA) * media_mbps
        } else {
            self.one_of(&FAST_DOWN_MBPS)
        }
    }
}

fn list(values: &[f64]) -> String {
    values.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(seed: u64, index: u32) -> String {
        Population::draw(seed, index, Economy::Thrifty).flags()
    }

    #[test]
    fn a_seed_and_an_index_always_give_the_same_population() {
        assert_eq!(
            flags(1, 0),
            "--peers 45 --mb 24 --seeder-up 100 --peer-up 10,0.1,0.1,0.1,5,50,0.1 --peer-down 300 --rtt 50 --media 2 \
             --join-over 60 --economy thrifty --limit 1200 --seed 1"
        );
        assert_eq!(flags(7, 12), flags(7, 12));
    }

    #[test]
    fn seeds_and_indices_give_different_populations() {
        let mut all: Vec<String> =
            (1..=4).flat_map(|seed| (0..50).map(move |index| flags(seed, index))).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn every_value_is_drawn_sooner_or_later() {
        let scenarios: Vec<Scenario> =
            (0..300).map(|index| Population::draw(1, index, Economy::Thrifty).scenario).collect();
        let has = |is: &dyn Fn(&Scenario) -> bool| scenarios.iter().any(is);
        assert!(PEERS.iter().all(|peers| has(&|scenario| scenario.peers == *peers)));
        assert!(PUBLISHER_MBPS.iter().all(|up| has(&|scenario| scenario.seeder_up_mbps == *up)));
        assert!(RTT_MS.iter().all(|rtt| has(&|scenario| scenario.rtt_ms == *rtt)));
        assert!(UP_KINDS.iter().all(|kinds| has(&|scenario| scenario.peer_up_mbps.len() == *kinds as usize)));
        let flash_crowds = scenarios.iter().filter(|scenario| scenario.join_over_s == 0.0).count();
        assert!((120..=180).contains(&flash_crowds), "{flash_crowds}");
    }

    #[test]
    fn the_limit_leaves_room_for_twice_the_bound() {
        for index in 0..100 {
            let scenario = Population::draw(3, index, Economy::Thrifty).scenario;
            assert!(scenario.limit_s >= 1.2 * scenario.bound_s() + 3.0, "{scenario:?}");
        }
    }
}
