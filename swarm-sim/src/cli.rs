//! The command line of `swarm-sim`. Flags are stable: scripts and published tables use them.

use clap::{Parser, ValueEnum};
use swarm_sim::{Distribution, Economy, Scenario, Span};
use tracker_server::decision::ROOMS_MAX;
use tracker_server::decision::Wiring;

/// The method, or a variant of it for comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PolicyName {
    /// The method
    Method,
    /// Neighbours are chosen at random, so some viewers have many and some few
    RandomGraph,
    /// No swarm: every viewer fetches from the publisher alone, whose uplink is shared fairly
    ClientServer,
}

/// Simulate a swarm: the real peer core, real tracker decisions, a simulated network
///
/// Without --json the report is in words. Rates are Mbit/s of payload (goodput).
#[derive(Debug, Parser)]
#[command(name = "swarm-sim", version)]
pub(crate) struct Arguments {
    /// Viewers
    #[arg(long, default_value_t = 30)]
    peers: u32,
    /// Initial peers, which hold everything from the start
    #[arg(long, default_value_t = 1)]
    seeders: u32,
    /// Length of the content, MiB
    #[arg(long, default_value_t = 64)]
    mb: u32,
    /// Uplink of each initial peer, Mbit/s
    #[arg(long, default_value_t = 10.0)]
    seeder_up: f64,
    /// Uplinks of viewers, Mbit/s; a list is cycled over them
    #[arg(long, value_delimiter = ',', default_value = "10")]
    peer_up: Vec<f64>,
    /// Downlinks of viewers, Mbit/s; a list is cycled over them
    #[arg(long, value_delimiter = ',', default_value = "100")]
    peer_down: Vec<f64>,
    /// Round-trip time between any two, ms
    #[arg(long, default_value_t = 50.0)]
    rtt: f64,
    /// Rate of the media, Mbit/s; 0: nobody plays
    #[arg(long, default_value_t = 2.0)]
    media: f64,
    /// Viewers join evenly spread over this time, s
    #[arg(long, default_value_t = 0.0)]
    join_over: f64,
    /// Packet loss, per cent
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Largest extra delay in each direction, ms
    #[arg(long, default_value_t = 0.0)]
    jitter: f64,
    /// Viewers that leave each minute without notice and are replaced, per cent
    #[arg(long, default_value_t = 0.0)]
    churn: f64,
    /// Viewers that corrupt what they send, per cent
    #[arg(long, default_value_t = 0.0)]
    corrupt: f64,
    /// Viewers that claim everything and send nothing, per cent
    #[arg(long, default_value_t = 0.0)]
    liars: f64,
    /// Viewers that send 1 kB/s, per cent
    #[arg(long, default_value_t = 0.0)]
    drip: f64,
    /// Players that jump to a random place every 10 s, per cent
    #[arg(long, default_value_t = 0.0)]
    seekers: f64,
    /// No tracker answers from A to B, s
    #[arg(long, value_name = "A-B", value_parser = span)]
    tracker_outage: Option<Span>,
    /// Two halves of the swarm cannot reach one another from A to B, s
    #[arg(long, value_name = "A-B", value_parser = span)]
    partition: Option<Span>,
    /// Viewers that die together: PERCENT@SECONDS
    #[arg(long, value_name = "PCT@S", value_parser = kill)]
    kill: Option<(f64, f64)>,
    /// The initial peers die as soon as the viewers together hold everything
    #[arg(long)]
    kill_seeder: bool,
    /// Viewers leave as soon as they have everything
    #[arg(long)]
    leave_after_done: bool,
    /// Window of each connection: most bytes in flight, KiB
    #[arg(long, default_value_t = 1024)]
    window: u32,
    /// Queue in front of each viewer's downlink, ms at the downlink's rate; what does not fit is dropped and sent again
    #[arg(long, value_name = "MS", default_value_t = 250.0)]
    buffer: f64,
    /// Uplink of a mirror that holds the content, Mbit/s; 0: there is none
    #[arg(long, value_name = "MBIT/S", default_value_t = 0.0)]
    mirror: f64,
    /// The author marks 40 to 50 % of the content with priority 7 and everything beyond 60 % with period `background`
    #[arg(long)]
    rules: bool,
    /// Rooms into which the tracker cuts the swarm
    #[arg(long, default_value_t = 1)]
    rooms: u32,
    /// Policy to simulate
    #[arg(long, value_enum, default_value_t = PolicyName::Method)]
    policy: PolicyName,
    /// How freely the publisher gives
    #[arg(long, value_enum, default_value_t = Economy::Thrifty)]
    economy: Economy,
    /// End after this much simulated time, s
    #[arg(long, default_value_t = 3600.0)]
    limit: f64,
    /// Report the state of the swarm every second, too
    #[arg(long)]
    timeline: bool,
    /// Seed; the same seed gives the same run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// The scenario that the flags describe; an error message if they are out of range or contradict each other.
    pub(crate) fn scenario(&self) -> Result<Scenario, String> {
        let rates = self.peer_up.iter().chain(&self.peer_down).chain([&self.seeder_up]);
        if rates.into_iter().any(|rate| !(*rate > 0.0 && *rate <= 100_000.0)) {
            return Err("rates are above 0 and at most 100,000 Mbit/s".into());
        }
        if !(1..=100_000).contains(&self.peers) || !(1..=8).contains(&self.seeders) {
            return Err("between 1 and 100,000 peers and between 1 and 8 seeders can be simulated".into());
        }
        if !(1..=4096).contains(&self.mb) {
            return Err("--mb is between 1 and 4096".into());
        }
        let shares = [self.loss, self.churn, self.corrupt, self.liars, self.drip, self.seekers];
        if shares.iter().any(|share| !(0.0..=100.0).contains(share)) || self.loss > 50.0 {
            return Err("shares are between 0 and 100 per cent, --loss is at most 50".into());
        }
        let times = [self.rtt, self.jitter, self.join_over, self.media, self.limit, self.buffer];
        if times.iter().any(|time| !(0.0..=1e6).contains(time)) {
            return Err("times and the media's rate are between 0 and 1,000,000".into());
        }
        if !(1..=ROOMS_MAX).contains(&self.rooms) {
            return Err(format!("--rooms is between 1 and {ROOMS_MAX}"));
        }
        if !(0.0..=100_000.0).contains(&self.mirror) {
            return Err("--mirror is between 0 and 100,000 Mbit/s".into());
        }
        if self.policy == PolicyName::ClientServer && self.has_misfortune() {
            return Err("client-server models an ideal server. Leave out --loss, \
                        --jitter, --churn, --corrupt, --liars, --drip, --seekers, --tracker-outage, --partition, \
                        --kill, --kill-seeder, --rules, --mirror and --timeline"
                .into());
        }
        Ok(Scenario {
            peers: self.peers,
            initial_peers: self.seeders,
            mib: self.mb,
            seeder_up_mbps: self.seeder_up,
            peer_up_mbps: self.peer_up.clone(),
            peer_down_mbps: self.peer_down.clone(),
            rtt_ms: self.rtt,
            jitter_ms: self.jitter,
            loss_pct: self.loss,
            media_mbps: self.media,
            join_over_s: self.join_over,
            churn_pct: self.churn,
            corrupt_pct: self.corrupt,
            liars_pct: self.liars,
            drip_pct: self.drip,
            seek_pct: self.seekers,
            tracker_outage: self.tracker_outage,
            partition: self.partition,
            kill: self.kill,
            is_seeder_killed: self.kill_seeder,
            leaves_after_done: self.leave_after_done,
            window_kib: self.window.max(1),
            buffer_ms: self.buffer,
            mirror_mbps: self.mirror,
            has_author_rules: self.rules,
            distribution: distribution(self.policy),
            economy: self.economy,
            wiring: wiring(self.policy),
            rooms: self.rooms,
            has_timeline: self.timeline,
            limit_s: self.limit,
            seed: self.seed,
            ..Scenario::default()
        })
    }

    /// Whether a flag is set that the client-server model does not support.
    fn has_misfortune(&self) -> bool {
        let shares = [self.loss, self.jitter, self.churn, self.corrupt, self.liars, self.drip, self.seekers];
        let has_span = self.tracker_outage.is_some() || self.partition.is_some() || self.kill.is_some();
        let has_flag = self.kill_seeder || self.rules || self.timeline || self.mirror > 0.0;
        shares.iter().any(|share| *share > 0.0) || has_span || has_flag
    }
}

fn distribution(name: PolicyName) -> Distribution {
    if name == PolicyName::ClientServer { Distribution::ClientServer } else { Distribution::Swarm }
}

fn wiring(name: PolicyName) -> Wiring {
    if name == PolicyName::RandomGraph { Wiring::ByChance } else { Wiring::Regular }
}

fn span(text: &str) -> Result<Span, String> {
    let parsed = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    match parsed {
        Some((from_s, to_s)) if from_s < to_s => Ok(Span { from_s, to_s }),
        Some(_) | None => Err("give two times in seconds, such as 20-80".into()),
    }
}

fn kill(text: &str) -> Result<(f64, f64), String> {
    let parsed = text.split_once('@').and_then(|(pct, at)| Some((pct.parse().ok()?, at.parse().ok()?)));
    parsed.ok_or_else(|| "give a share and a time in seconds, such as 33@20".into())
}

#[cfg(test)]
mod tests {
    use swarm_sim::Population;

    use super::*;

    #[test]
    fn the_flags_of_a_population_give_its_scenario() {
        for index in 0..40 {
            let population = Population::draw(5, index, Economy::Generous);
            let flags = population.flags();
            let arguments = Arguments::parse_from(["swarm-sim"].into_iter().chain(flags.split_whitespace()));
            let scenario = arguments.scenario().unwrap();
            assert_eq!(format!("{scenario:?}"), format!("{:?}", population.scenario));
        }
    }

    #[test]
    fn the_baseline_is_not_simulated_with_what_goes_wrong() {
        let scenario = |flags: &[&str]| {
            Arguments::parse_from([&["swarm-sim", "--policy", "client-server"], flags].concat()).scenario()
        };
        assert!(scenario(&[]).is_ok());
        assert!(scenario(&["--loss", "1"]).is_err_and(|error| error.contains("--loss")));
        assert!(scenario(&["--kill", "30@5"]).is_err());
    }
}
