//! A network of its own: one namespace a program, all on one bridge, each link capped in both directions.
//!
//! ```text
//! namespace of a program                    namespace of the switch
//!   eth0 ──── veth ──── port3 ──┐
//!   ↑ tbf caps what is sent     ├── bridge0
//!        tbf caps what comes ↑  │
//!   eth0 ──── veth ──── port4 ──┘
//! ```
//!
//! Nothing is laid out in the namespace that this program runs in, so removing the namespaces removes
//! everything; that happens when [`Network`] is dropped.
//!
//! **Caps.** `tbf` counts whole Ethernet frames. Its bucket is the larger of 16 KiB and 4 ms at the rate, so that
//! a timer of 250 Hz keeps up; its queue holds 50 ms, about what a home router's does, then frames are lost.
//! Senders are not let hand over frames larger than the link carries (`gso_max_segs 1`), or headers would not be
//! counted and the cap would work in steps of 64 KiB.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::bench::options::Rate;

/// Least size of a cap's bucket.
const BURST_BYTES_MIN: u64 = 16 * 1024;

/// A bucket holds what passes in this many milliseconds at least.
const BURST_MS: u64 = 4;

/// A cap's queue holds what passes in this time.
const QUEUE: &str = "50ms";

/// What a namespace of ours begins with; the number of this process follows.
const PREFIX: &str = "tributary-bench";

/// The network; its namespaces end with it.
#[derive(Debug)]
pub(crate) struct Network {
    prefix: String,
    switch: String,
    places: Vec<Place>,
}

/// Where one program runs.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    namespace: String,
    port: String,
    /// Its address; the others reach it there.
    pub(crate) address: Ipv4Addr,
}

/// What an interface counted, Ethernet frames with their headers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Bytes the program sent.
    pub(crate) sent: u64,
    /// Bytes the program received.
    pub(crate) received: u64,
    /// Frames the program sent.
    pub(crate) frames_sent: u64,
}

/// Whether this user may lay out networks.
pub(crate) fn check_rights() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "network namespaces need root; run this as root, such as with `sudo -E`"
    );
    Ok(())
}

impl Network {
    /// A switch that nobody is connected to.
    pub(crate) fn new() -> Result<Self> {
        check_rights()?;
        let prefix = format!("{PREFIX}-{}", std::process::id());
        let switch = format!("{prefix}-switch");
        ip(&["netns", "add", &switch])?;
        // From here on there is something to remove, so there is somebody to do it.
        let network = Self { prefix, switch, places: Vec::new() };
        network.at_switch(&["link", "add", "name", "bridge0", "type", "bridge"])?;
        network.at_switch(&["link", "set", "dev", "bridge0", "addrgenmode", "none", "up"])?;
        Ok(network)
    }

    /// Connects one more program, whose links are capped if rates are given.
    pub(crate) fn place(&mut self, up: Option<Rate>, down: Option<Rate>) -> Result<Place> {
        let number = u16::try_from(self.places.len() + 1).context("too many places")?;
        let [high, low] = number.to_be_bytes();
        let port = format!("port{number}");
        let namespace = format!("{}-{number}", self.prefix);
        let place = Place { namespace, port, address: Ipv4Addr::new(10, 0, high, low) };
        ip(&["netns", "add", &place.namespace])?;
        self.places.push(place.clone());
        let (inside, port) = (place.namespace.as_str(), place.port.as_str());
        let link = ["link", "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", inside];
        self.at_switch(&link)?;
        let quiet = ["gso_max_segs", "1", "addrgenmode", "none"];
        self.at_switch(&[&["link", "set", "dev", port], &quiet[..], &["master", "bridge0", "up"]].concat())?;
        ip(&["-n", inside, "address", "add", &format!("{}/16", place.address), "dev", "eth0"])?;
        ip(&[&["-n", inside, "link", "set", "dev", "eth0"], &quiet[..], &["up"]].concat())?;
        ip(&["-n", inside, "link", "set", "dev", "lo", "up"])?;
        if let Some(up) = up {
            cap(inside, "eth0", up)?;
        }
        if let Some(down) = down {
            cap(&self.switch, port, down)?;
        }
        Ok(place)
    }

    /// What each place's interface counted so far.
    pub(crate) fn counters(&self, places: &[Place]) -> Result<Vec<Counters>> {
        let links = ["-n", &self.switch, "-json", "-statistics", "link", "show"];
        let ports = port_counters(&ip(&links)?)?;
        let of_place = |place: &Place| ports.get(&place.port).copied().unwrap_or_default();
        Ok(places.iter().map(of_place).collect())
    }

    /// Share of what each place had to send that was lost because its uplink's queue was full.
    pub(crate) fn losses(places: &[Place]) -> Result<Vec<f64>> {
        let queues = |place: &Place| {
            let line = ["-n", &place.namespace, "-json", "-statistics", "qdisc", "show", "dev", "eth0"];
            loss(&quietly("tc", &line)?)
        };
        places.iter().map(queues).collect()
    }

    fn at_switch(&self, arguments: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.switch], arguments].concat()).map(drop)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in self.places.iter().map(|place| &place.namespace).chain([&self.switch]) {
            if let Err(error) = ip(&["netns", "delete", namespace]) {
                eprintln!("bench: {namespace} is left behind: {error:#}");
            }
        }
    }
}

impl Counters {
    /// What was counted since an earlier time.
    pub(crate) const fn since(self, earlier: Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(earlier.sent),
            received: self.received.saturating_sub(earlier.received),
            frames_sent: self.frames_sent.saturating_sub(earlier.frames_sent),
        }
    }
}

impl Place {
    /// A program that runs here.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        // `ip` becomes the program, so the process that is started is the one that is measured and killed.
        command.args(["netns", "exec", &self.namespace]).arg(program);
        command
    }
}

fn cap(namespace: &str, interface: &str, rate: Rate) -> Result<()> {
    let (bits, burst) = (format!("{}bit", rate.bits_per_s), format!("{}b", burst_bytes(rate)));
    let line = ["-n", namespace, "qdisc", "add", "dev", interface, "root", "tbf"];
    let limits = ["rate", &bits, "burst", &burst, "latency", QUEUE];
    quietly("tc", &[&line[..], &limits[..]].concat()).map(drop)
}

fn burst_bytes(rate: Rate) -> u64 {
    (rate.bits_per_s / 8 * BURST_MS / 1000).max(BURST_BYTES_MIN)
}

fn ip(arguments: &[&str]) -> Result<String> {
    quietly("ip", arguments)
}

/// Runs a program, says nothing unless it fails; what it printed.
fn quietly(program: &str, arguments: &[&str]) -> Result<String> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown()))?;
    if !output.status.success() {
        bail!("`{}` failed: {}", shown(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Counters by interface, from what `ip -json -statistics link show` prints at the switch: what a port
/// receives, its program sent.
fn port_counters(json: &str) -> Result<HashMap<String, Counters>> {
    #[derive(Deserialize)]
    struct Link {
        ifname: String,
        stats64: Option<Stats>,
    }
    #[derive(Deserialize)]
    struct Stats {
        rx: Direction,
        tx: Direction,
    }
    #[derive(Deserialize)]
    struct Direction {
        bytes: u64,
        packets: u64,
    }
    let links: Vec<Link> = serde_json::from_str(json).context("cannot read what `ip` counted")?;
    let counters = links.into_iter().filter_map(|link| {
        let Stats { rx, tx } = link.stats64?;
        Some((link.ifname, Counters { sent: rx.bytes, received: tx.bytes, frames_sent: rx.packets }))
    });
    Ok(counters.collect())
}

/// Share of frames that a queue lost, from what `tc -json -statistics qdisc show` prints.
fn loss(json: &str) -> Result<f64> {
    #[derive(Deserialize)]
    struct Queue {
        packets: u64,
        drops: u64,
    }
    let queues: Vec<Queue> = serde_json::from_str(json).context("cannot read what `tc` counted")?;
    let (sent, lost) =
        queues.iter().fold((0, 0), |(sent, lost), queue| (sent + queue.packets, lost + queue.drops));
    Ok(if lost == 0 { 0.0 } else { lost as f64 / (sent + lost) as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_port_receives_its_program_sent() {
        let json = r#"[{"ifname":"lo"},{"ifname":"port3","mtu":1500,"stats64":{
            "rx":{"bytes":2091460,"packets":1386,"errors":0},"tx":{"bytes":49726,"packets":749,"errors":0}}}]"#;
        let counters = port_counters(json).unwrap();
        let expected = Counters { sent: 2_091_460, received: 49_726, frames_sent: 1386 };
        assert_eq!(counters, HashMap::from([("port3".to_owned(), expected)]));
        assert!(port_counters("not JSON").is_err());
    }

    #[test]
    fn a_loss_is_a_share_of_what_was_to_be_sent() {
        let json = r#"[{"kind":"tbf","bytes":28750544,"packets":300,"drops":100,"backlog":34000}]"#;
        assert_eq!(loss(json).unwrap(), 0.25);
        assert_eq!(loss("[]").unwrap(), 0.0);
    }

    #[test]
    fn a_bucket_suits_its_rate() {
        assert_eq!(burst_bytes(Rate { bits_per_s: 4_000_000 }), 16 * 1024);
        assert_eq!(burst_bytes(Rate { bits_per_s: 1_000_000_000 }), 500_000);
    }

    #[test]
    fn a_program_that_fails_is_shown_with_its_reason() {
        let error = quietly("sh", &["-c", "echo no such thing >&2; exit 2"]).unwrap_err().to_string();
        assert!(error.starts_with("`sh -c") && error.ends_with("failed: no such thing"), "{error}");
    }
}
