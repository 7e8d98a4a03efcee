//! The least time in which a content can reach everybody.
//!
//! T\* = max{F/us, F/dmin, N·F/(us + Σu)} for a content of F bytes, N leechers present from the start, a seeder
//! with uplink us, leechers with uplinks u and a least downlink dmin (Kumar and Ross, "Peer-assisted file
//! distribution: the minimum distribution time", 2006). Payload only: headers and acknowledgements, which the
//! same uplinks carry, are in what is measured and not in the bound.

use crate::bench::options::Rate;

/// Seconds that cannot be gone below.
pub(crate) fn seconds(length_bytes: u64, seeder_up: Rate, ups: &[Rate], downs: &[Rate]) -> f64 {
    let bits = length_bytes as f64 * 8.0;
    let least_down = downs.iter().map(|down| down.bits_per_s).min().unwrap_or(u64::MAX);
    let all_copies = bits * ups.len() as f64;
    let by_seeder = bits / seeder_up.bits_per_s as f64;
    let by_least_downlink = bits / least_down as f64;
    let by_all_uplinks = all_copies / capacity(seeder_up, ups);
    by_seeder.max(by_least_downlink).max(by_all_uplinks)
}

/// All uplinks together, bits a second.
pub(crate) fn capacity(seeder_up: Rate, ups: &[Rate]) -> f64 {
    ups.iter().chain([&seeder_up]).map(|up| up.bits_per_s as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(mbit: u64) -> Rate {
        Rate { bits_per_s: mbit * 1_000_000 }
    }

    fn bound(mb: u64, seeder_up: u64, ups: &[u64], down: u64) -> f64 {
        let ups: Vec<Rate> = ups.iter().map(|up| rate(*up)).collect();
        seconds(mb * 1_000_000, rate(seeder_up), &ups, &vec![rate(down); ups.len()])
    }

    #[test]
    fn each_of_the_three_limits_can_be_the_one_that_counts() {
        // 8 copies of 160 Mbit over 8 + 8·4 Mbit/s.
        assert!((bound(20, 8, &[4; 8], 32) - 32.0).abs() < 1e-9);
        // 160 Mbit once over a seeder of 2 Mbit/s.
        assert!((bound(20, 2, &[100; 8], 32) - 80.0).abs() < 1e-9);
        // 160 Mbit through a downlink of 5 Mbit/s.
        assert!((bound(20, 100, &[100; 8], 5) - 32.0).abs() < 1e-9);
    }
}
