//! What the answers mean: a line each, with what to do, and whether viewers can reach this machine.

use std::net::{IpAddr, SocketAddr};

use super::tracker::TrackerFacts;
use crate::program::report::printable;

/// A clock that differs by more is worth a word, s.
const CLOCK_DIFFERENCE_MAX_S: i64 = 60;

/// How a STUN server saw the seeder's port.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) server: String,
    /// Its address, and ours as it saw it; or why it did not say.
    pub(super) mapped: Result<(SocketAddr, SocketAddr), String>,
}

/// What a relay gave.
#[derive(Debug, Clone)]
pub(super) struct RelayFact {
    pub(super) server: String,
    /// An address, or why not. `None`: over TCP or TLS, which a seeder does not use.
    pub(super) outcome: Option<Result<SocketAddr, String>>,
}

/// All that was found out.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) tracker: TrackerFacts,
    /// Whether the person named the port.
    pub(super) is_port_chosen: bool,
    /// The seeder's port, or why it cannot be opened.
    pub(super) port: Result<u16, String>,
    /// The port from which servers were asked.
    pub(super) own_port: u16,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) external: Vec<IpAddr>,
    pub(super) answers: Vec<Answer>,
    pub(super) relays: Vec<RelayFact>,
    /// Whether a datagram from a relay reached the seeder's port unasked; `None` if no relay could send one.
    pub(super) inbound: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Good,
    Note,
    Bad,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    /// What to do about it.
    pub(super) advice: Option<String>,
}

/// What stands between this machine and the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nat {
    /// Nothing: one of its addresses is what servers see.
    None,
    /// A router that maps a port here to one public port for all receivers (RFC 4787, section 4.1).
    Independent,
    /// A router that maps it to another public port for each receiver.
    Symmetric,
    /// One server alone answered.
    Unknown,
    /// No server answered.
    Silent,
}

fn finding(what: &'static str, state: State, found: String, advice: Option<&str>) -> Finding {
    // Servers' own words are among it.
    Finding { what, state, found: printable(&found), advice: advice.map(str::to_owned) }
}

impl Facts {
    fn mapped(&self) -> impl Iterator<Item = (SocketAddr, SocketAddr)> {
        self.answers.iter().filter_map(|answer| answer.mapped.clone().ok())
    }

    fn nat(&self) -> Nat {
        let Some((first, mapped)) = self.mapped().next() else { return Nat::Silent };
        if self.addresses.contains(&mapped.ip()) {
            return Nat::None;
        }
        if self.mapped().any(|(_, other)| other != mapped) {
            return Nat::Symmetric;
        }
        let has_two = self.mapped().any(|(server, _)| server.ip() != first.ip());
        // A router that keeps the number of the port does not choose one for each receiver.
        if has_two || mapped.port() == self.own_port { Nat::Independent } else { Nat::Unknown }
    }

    fn is_answering(&self) -> bool {
        matches!(self.tracker.version, Some(Ok(_))) && self.tracker.refusal.is_none() && self.port.is_ok()
    }

    fn is_direct(&self) -> bool {
        if !self.is_answering() || self.tracker.is_relay_required {
            return false;
        }
        match self.nat() {
            Nat::None | Nat::Independent => true,
            // Viewers are told of an address that a router maps only if it is named.
            Nat::Symmetric | Nat::Unknown => self.inbound == Some(true) && !self.external.is_empty(),
            Nat::Silent if self.answers.is_empty() => {
                self.tracker.is_private || self.addresses.iter().any(is_public)
            }
            Nat::Silent => false,
        }
    }

    fn is_relayed(&self) -> bool {
        self.is_answering() && self.relays.iter().any(|relay| matches!(relay.outcome, Some(Ok(_))))
    }
}

/// Whether viewers can reach this machine, directly or through a relay.
pub(super) fn is_reachable(facts: &Facts) -> bool {
    facts.is_direct() || facts.is_relayed()
}

/// All lines, the verdict last.
pub(super) fn of(facts: &Facts) -> Vec<Finding> {
    let mut findings = tracker(&facts.tracker);
    findings.push(port(facts));
    findings.extend(facts.answers.iter().map(answer));
    findings.push(nat(facts));
    findings.extend(inbound(facts));
    findings.push(ipv6(&facts.addresses));
    findings.extend(relays(facts));
    findings.push(verdict(facts));
    findings
}

fn tracker(facts: &TrackerFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let url = &facts.url;
    match &facts.version {
        Some(Ok(version)) => {
            let tls = if facts.is_secure { "its certificate is good" } else { "without TLS" };
            let text = format!("{url} answers, protocol version {version}, {tls}");
            // Browsers give pages of plain HTTP no service worker, through which the player reads.
            let lacks_tls = !facts.is_secure && !facts.is_private;
            let advice = lacks_tls
                .then_some("browsers play from HTTPS only: give the tracker --domain NAME or --certificate");
            findings.push(finding(
                "tracker",
                if lacks_tls { State::Note } else { State::Good },
                text,
                advice,
            ));
        }
        Some(Err(reason)) => findings.push(finding(
            "tracker",
            State::Bad,
            reason.clone(),
            Some("check the address, and that the tracker runs and its TCP port is open"),
        )),
        None => findings.push(finding(
            "tracker",
            State::Bad,
            format!("{url} was not asked to the end"),
            Some("start again"),
        )),
    }
    if let Some(ahead_s) = facts.ahead_s {
        let is_good = ahead_s.abs() <= CLOCK_DIFFERENCE_MAX_S;
        let text = format!("the tracker's clock differs from this one by {} s", ahead_s.abs());
        let advice =
            "set the clock of the machine that is wrong (NTP): permissions and certificates end by the clock";
        let state = if is_good { State::Good } else { State::Note };
        findings.push(finding("clock", state, text, (!is_good).then_some(advice)));
    }
    if matches!(facts.version, Some(Ok(_))) {
        findings.push(match &facts.refusal {
            None => finding("publishing", State::Good, "the tracker takes what is published with this key".into(), None),
            Some(reason) => finding(
                "publishing",
                State::Bad,
                reason.clone(),
                Some("give the token that the operator gave you; behind a proxy the tracker needs --public-host NAME"),
            ),
        });
    }
    findings
}

fn port(facts: &Facts) -> Finding {
    match &facts.port {
        Ok(port) if facts.is_port_chosen => {
            finding("port", State::Good, format!("UDP port {port} can be opened"), None)
        }
        Ok(_) => finding(
            "port",
            State::Note,
            "a free UDP port was taken, another one each time".into(),
            Some(
                "name one with --udp-port, here and for `seed`, if a firewall or a router has to let it through",
            ),
        ),
        Err(reason) => finding(
            "port",
            State::Bad,
            reason.clone(),
            Some("stop the program that has it, or name another port"),
        ),
    }
}

fn answer(answer: &Answer) -> Finding {
    match &answer.mapped {
        Ok((_, mapped)) => {
            finding("address", State::Good, format!("{} sees this machine as {mapped}", answer.server), None)
        }
        Err(reason) => finding(
            "address",
            State::Note,
            format!("{}: {reason}", answer.server),
            Some("let UDP out to it in the firewall, or have the operator name another server"),
        ),
    }
}

fn nat(facts: &Facts) -> Finding {
    let (state, found, advice) = match facts.nat() {
        Nat::None => (State::Good, "no NAT: the address of this machine is public", None),
        Nat::Independent => (
            State::Good,
            "a NAT that keeps one port for all receivers: most viewers can connect directly",
            None,
        ),
        Nat::Symmetric => (
            State::Bad,
            "a NAT that takes another port for each receiver (symmetric)",
            Some(
                "map the port of --udp-port in the router and name its address with --external-ip, or have a relay",
            ),
        ),
        Nat::Unknown => (
            State::Note,
            "a NAT of unknown kind: one server alone answered",
            Some("name a second server with --stun HOST:PORT"),
        ),
        Nat::Silent if facts.answers.is_empty() => (
            State::Note,
            "unknown: the tracker names no STUN server",
            Some("give the tracker --ice-server stun:HOST:PORT, or name one here with --stun HOST:PORT"),
        ),
        Nat::Silent => (
            State::Bad,
            "no server answers over UDP",
            Some("let UDP out in the firewall; without it viewers cannot reach this machine"),
        ),
    };
    finding("nat", state, found.to_owned(), advice)
}

fn inbound(facts: &Facts) -> Option<Finding> {
    let port = facts.own_port;
    Some(match facts.inbound? {
        true => finding(
            "inbound",
            State::Good,
            format!("a relay's datagram reached UDP port {port} unasked: it is open"),
            (facts.nat() != Nat::None && facts.external.is_empty())
                .then_some("name the router's public address with --external-ip for `seed`"),
        ),
        false => finding(
            "inbound",
            State::Note,
            format!("no datagram reaches UDP port {port} unasked"),
            Some(
                "open the port of --udp-port in the firewall and map it in the router: more viewers then connect directly",
            ),
        ),
    })
}

fn ipv6(addresses: &[IpAddr]) -> Finding {
    match addresses.iter().find(|address| address.is_ipv6() && is_public(address)) {
        Some(address) => finding("ipv6", State::Good, format!("this machine has {address}"), None),
        None => finding(
            "ipv6",
            State::Note,
            "this machine has no public address of IPv6".into(),
            Some("viewers with IPv6 alone need a relay"),
        ),
    }
}

fn relays(facts: &Facts) -> Vec<Finding> {
    if facts.relays.is_empty() {
        let advice = "have the operator give the tracker --turn-url and --turn-secret, for viewers that cannot connect directly";
        return vec![finding("relay", State::Note, "the tracker offers none".into(), Some(advice))];
    }
    let line = |relay: &RelayFact| match &relay.outcome {
        Some(Ok(relayed)) => finding("relay", State::Good, format!("{} gives {relayed}", relay.server), None),
        Some(Err(reason)) => finding(
            "relay",
            State::Bad,
            format!("{}: {reason}", relay.server),
            Some(
                "have the operator check that it runs, its UDP port is open, and its secret is the tracker's",
            ),
        ),
        None => finding(
            "relay",
            State::Note,
            format!("{} is for browsers: TCP or TLS, not tried", relay.server),
            None,
        ),
    };
    facts.relays.iter().map(line).collect()
}

fn verdict(facts: &Facts) -> Finding {
    let (state, found, advice) = match (facts.is_direct(), facts.is_relayed()) {
        (true, true) => {
            (State::Good, "viewers reach this machine directly; those that cannot go through a relay", None)
        }
        (true, false) if facts.nat() == Nat::Silent => {
            (State::Good, "viewers of the same network reach this machine; nothing is known of others", None)
        }
        (true, false) => (
            State::Good,
            "viewers reach this machine directly; strict networks cannot, for lack of a relay",
            None,
        ),
        (false, true) => (State::Good, "viewers reach this machine through a relay only", None),
        (false, false) => (
            State::Bad,
            "viewers cannot reach this machine",
            Some("do what the lines above say, the BAD ones first"),
        ),
    };
    finding("verdict", state, found.to_owned(), advice)
}

/// Whether an address may be reached from everywhere, as far as it tells.
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            !(address.is_private() || address.is_loopback() || address.is_link_local() || is_shared)
        }
        IpAddr::V6(address) => address.segments()[0] & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(seen: &[(&str, &str)]) -> Facts {
        let answer = |(server, mapped): &(&str, &str)| Answer {
            server: (*server).to_owned(),
            mapped: Ok((server.parse().unwrap(), mapped.parse().unwrap())),
        };
        Facts {
            tracker: TrackerFacts { version: Some(Ok(2)), is_secure: true, ..TrackerFacts::default() },
            is_port_chosen: true,
            port: Ok(7000),
            own_port: 7000,
            addresses: vec!["192.168.1.2".parse().unwrap()],
            external: Vec::new(),
            answers: seen.iter().map(answer).collect(),
            relays: Vec::new(),
            inbound: None,
        }
    }

    #[test]
    fn the_kind_of_nat_follows_from_what_servers_see() {
        let nat = |seen: &[(&str, &str)]| facts(seen).nat();
        assert_eq!(nat(&[]), Nat::Silent);
        assert_eq!(nat(&[("9.9.9.9:1", "192.168.1.2:7000")]), Nat::None);
        assert_eq!(nat(&[("9.9.9.9:1", "8.8.8.8:7000")]), Nat::Independent);
        assert_eq!(nat(&[("9.9.9.9:1", "8.8.8.8:5")]), Nat::Unknown);
        assert_eq!(nat(&[("9.9.9.9:1", "8.8.8.8:5"), ("9.9.9.8:1", "8.8.8.8:5")]), Nat::Independent);
        assert_eq!(nat(&[("9.9.9.9:1", "8.8.8.8:5"), ("9.9.9.8:1", "8.8.8.8:6")]), Nat::Symmetric);
    }

    #[test]
    fn behind_a_symmetric_nat_only_a_relay_or_a_mapped_port_makes_it_reachable() {
        let symmetric = facts(&[("9.9.9.9:1", "8.8.8.8:5"), ("9.9.9.8:1", "8.8.8.8:6")]);
        assert!(!is_reachable(&symmetric));
        let relay = RelayFact { server: "r".into(), outcome: Some(Ok("9.9.9.9:50000".parse().unwrap())) };
        assert!(is_reachable(&Facts { relays: vec![relay.clone()], ..symmetric.clone() }));
        let external = vec!["8.8.8.8".parse().unwrap()];
        assert!(is_reachable(&Facts {
            inbound: Some(true),
            external: external.clone(),
            ..symmetric.clone()
        }));
        assert!(!is_reachable(&Facts { inbound: Some(false), external, ..symmetric.clone() }));
        let refused = TrackerFacts { refusal: Some("no".into()), ..symmetric.tracker.clone() };
        assert!(!is_reachable(&Facts { relays: vec![relay], tracker: refused, ..symmetric }));
    }

    #[test]
    fn the_words_of_servers_drive_no_terminal() {
        let mut hostile = facts(&[]);
        let words = "no\u{1b}]0;owned\u{7}\u{202e}";
        hostile.tracker.refusal = Some(words.into());
        hostile.relays = vec![RelayFact { server: "r".into(), outcome: Some(Err(words.into())) }];
        let shown: String = of(&hostile).into_iter().map(|line| line.found).collect();
        assert!(shown.contains("owned"), "{shown:?}");
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
    }

    #[test]
    fn every_bad_line_says_what_to_do() {
        let mut worst = facts(&[("9.9.9.9:1", "8.8.8.8:5"), ("9.9.9.8:1", "8.8.8.8:6")]);
        worst.port = Err("UDP port 7000 is taken".into());
        worst.tracker.refusal = Some("no".into());
        worst.tracker.ahead_s = Some(-4000);
        worst.inbound = Some(false);
        worst.relays =
            vec![RelayFact { server: "r".into(), outcome: Some(Err("it does not answer".into())) }];
        let lines = of(&worst);
        assert!(lines.iter().filter(|line| line.state == State::Bad).count() >= 5, "{lines:?}");
        assert!(lines.iter().all(|line| line.state != State::Bad || line.advice.is_some()), "{lines:?}");
    }
}
