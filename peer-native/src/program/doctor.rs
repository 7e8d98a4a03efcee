//! `doctor`: finds out whether viewers can reach what is seeded from this machine, and says what to do if not.
//!
//! Asks the tracker as a publisher does ([`tracker`]), its STUN servers and relays from the port that a seeder would use
//! ([`stun`]), and draws its conclusions ([`findings`]).

mod findings;
mod stun;
mod tracker;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use swarm_core::SecretKey;
use swarm_core::tracker_message::IceServer;
use tokio::net::UdpSocket;

use crate::PortError;
use crate::address::TrackerAddress;
use crate::key;
use crate::network_addresses;
use crate::program::cli::{Access, Data, Signing, publish_token};
use crate::program::ending::Ending;
use crate::program::publishing;
use crate::program::reach::Reach;
use crate::program::report::{Event, Reporter};
use crate::publications::Credentials;
use findings::{Answer, Facts, RelayFact, State};
use stun::{Place, Questioner};

/// `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The tracker to publish at, such as wss://HOST/v1/swarm.
    #[arg(long, value_name = "URL")]
    tracker: String,

    /// A further STUN server to ask, such as stun.example.org:3478; may be repeated. Two servers tell which kind of NAT
    /// this machine is behind.
    #[arg(long = "stun", value_name = "HOST:PORT")]
    stun: Vec<String>,

    /// Permission to publish, on a tracker that asks for it.
    #[arg(long, value_name = "TEXT", env = "TRIBUTARY_PUBLISH_TOKEN", hide_env_values = true, value_parser = publish_token)]
    publish_token: Option<String>,

    #[command(flatten)]
    access: Access,

    #[command(flatten)]
    signing: Signing,

    #[command(flatten)]
    reach: Reach,

    #[command(flatten)]
    data: Data,
}

/// Runs the command. Succeeds if viewers can reach this machine, directly or through a relay.
pub(crate) async fn run(options: Doctor, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    let address: TrackerAddress = options.tracker.parse()?;
    let facts = tokio::select! {
        facts = examine(&options, &address) => facts?,
        () = ending.asked() => anyhow::bail!("stopped before everything was asked"),
    };
    let findings = findings::of(&facts);
    for finding in &findings {
        let mark = match finding.state {
            State::Good => "ok  ",
            State::Note => "note",
            State::Bad => "BAD ",
        };
        reporter.text(&format!("{mark} {:<10} {}", finding.what, finding.found));
        if let Some(advice) = &finding.advice {
            reporter.text(&format!("     {:<10} → {advice}", ""));
        }
        reporter.event(&Event::Finding {
            what: finding.what,
            state: finding.state.name(),
            found: &finding.found,
            advice: finding.advice.as_deref(),
        });
    }
    Ok(if findings::is_reachable(&facts) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(options: &Doctor, address: &TrackerAddress) -> anyhow::Result<Facts> {
    let credentials = credentials(options)?;
    let tracker = tracker::ask(address, &credentials).await;
    let wanted = options.reach.udp_port;
    let bound = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, wanted.unwrap_or(0))).await;
    let (seeding, port) = match bound {
        Ok(socket) => {
            let port = socket.local_addr()?.port();
            (socket, Ok(port))
        }
        Err(error) => {
            let refused = PortError::new(wanted.unwrap_or(0), error);
            (UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?, Err(refused.to_string()))
        }
    };
    let seeding = Questioner::new(seeding);
    let (relays, inbound) = relays(&tracker.relays, &seeding, &options.reach.external_ips).await?;
    let named = [&tracker.ice_servers[..], &tracker.relays[..]].concat();
    let mut answers = Vec::new();
    for place in places(&named, &options.stun) {
        let mapped = match place.resolve().await {
            Ok(server) => seeding.mapped(server).await.map(|mapped| (server, mapped)),
            Err(reason) => Err(reason),
        };
        answers.push(Answer { server: place.to_string(), mapped });
    }
    Ok(Facts {
        tracker,
        is_port_chosen: wanted.is_some(),
        port,
        own_port: seeding.port()?,
        addresses: network_addresses(),
        external: options.reach.external_ips.clone(),
        answers,
        relays,
        inbound,
    })
}

/// What is shown to the tracker. A publisher without a key yet is given one for this run only.
fn credentials(options: &Doctor) -> anyhow::Result<Credentials> {
    let data_dir = publishing::data_dir(options.data.dir.clone());
    let path = publishing::key_path(options.signing.key.as_deref(), data_dir.as_ref()).ok();
    let key = match path.filter(|path| path.exists()) {
        Some(path) => key::read(&path)?,
        None => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).context("this machine gives no random numbers")?;
            SecretKey::from_bytes(&bytes)
        }
    };
    let token = options.access.token.clone().or_else(|| options.publish_token.clone());
    Ok(Credentials { key: Some(key), publish_token: options.publish_token.clone(), token })
}

/// The servers to ask for this machine's public address, each once. Relays answer that as well.
fn places(servers: &[IceServer], further: &[String]) -> Vec<Place> {
    let named = servers.iter().flat_map(|server| &server.urls).filter_map(|url| Place::read(url));
    let further = further.iter().filter_map(|text| Place::read(&format!("stun:{text}")));
    let mut places: Vec<Place> = Vec::new();
    for place in named.filter(|place| place.is_udp).chain(further) {
        if !places.iter().any(|other| other.is_same(&place)) {
            places.push(place);
        }
    }
    places
}

/// Asks each relay for an address, and has the first that gives one send a datagram to the seeder's port. That port has
/// sent nothing to anyone yet, so the datagram arrives only if the port is open.
async fn relays(
    servers: &[IceServer],
    seeding: &Questioner,
    external: &[IpAddr],
) -> anyhow::Result<(Vec<RelayFact>, Option<bool>)> {
    let (mut facts, mut inbound) = (Vec::new(), None);
    for server in servers {
        let login = (server.username.as_deref(), server.credential.as_deref());
        let (Some(username), Some(password)) = login else { continue };
        for place in server.urls.iter().filter_map(|url| Place::read(url)) {
            let name = place.to_string();
            if !place.is_udp {
                facts.push(RelayFact { server: name, outcome: None });
                continue;
            }
            // A socket of its own for each: a relay knows an allocation by the address that asked for it.
            let asking = Questioner::new(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?);
            let allocated = match place.resolve().await {
                Ok(address) => asking.allocate(address, username, password).await,
                Err(reason) => Err(reason),
            };
            if let (Ok(allocation), None) = (&allocated, inbound) {
                let ip = external.iter().copied().find(IpAddr::is_ipv4).unwrap_or(allocation.mapped.ip());
                let target = SocketAddr::new(ip, seeding.port()?);
                inbound = asking.reaches(allocation, target, seeding).await;
            }
            if let Ok(allocation) = &allocated {
                asking.release(allocation).await;
            }
            facts.push(RelayFact { server: name, outcome: Some(allocated.map(|found| found.relayed)) });
        }
    }
    Ok((facts, inbound))
}
