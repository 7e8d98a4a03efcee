//! A crowd of viewers at a real tracker, with or without a hostile crowd beside it.
//!
//! Viewers and attackers speak the tracker's protocol over real sockets; no content and no WebRTC is involved. So this
//! measures what the tracker gives to each viewer, and nothing else. [`honest`] is a viewer, [`hostile`] an attacker,
//! [`audience`] many viewers that stay, leave and come back, [`socket`] the connection of all.

pub mod audience;
pub mod honest;
pub mod hostile;
pub mod socket;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use swarm_core::group::Geometry;
use swarm_core::manifest::{Mirrors, Seal};
use swarm_core::segmentation::doubling;
use swarm_core::{ContentRoot, Manifest, SecretKey, SwarmId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::honest::{Ear, Times, Viewer};
use self::hostile::{Attack, Target};
use crate::tracker::Tracker;

/// Where all attackers come from.
pub const HOSTILE_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 66, 6, 6);

/// Viewers behind one address.
const VIEWERS_PER_ADDRESS: usize = 10;

/// How long a round may take beyond the time over which viewers join.
const ROUND_TIMEOUT: Duration = Duration::from_secs(90);

/// The key of the one publisher.
const PUBLISHER: [u8; 32] = [1; 32];

/// What takes part in one round.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Viewers.
    pub honest: usize,
    /// Attackers; 0 for a round without.
    pub hostile: usize,
    /// Time over which the viewers join, evenly.
    pub join_over: Duration,
}

/// What one round measured.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// One entry for each viewer that completed.
    pub times: Vec<Times>,
    /// What honest viewers were refused, and connections of theirs that ended.
    pub lost: Vec<String>,
    /// Maximum resident memory of the tracker, bytes.
    pub memory_max_bytes: u64,
    /// Processor time of the tracker, s.
    pub cpu_s: f64,
    /// What attackers did, by kind.
    pub acts: Vec<(&'static str, u64)>,
}

/// Runs one round at a tracker of its own.
pub async fn round(plan: Plan) -> Result<Round> {
    raise_open_files()?;
    let tracker = Tracker::start()?;
    let address: SocketAddr = tracker.address().parse().context("the tracker's address")?;
    let key = SecretKey::from_bytes(&PUBLISHER);
    let swarm =
        publish(address, IpAddr::V4(Ipv4Addr::LOCALHOST), &manifest("crowd", 30_000_000, &key)?).await?;

    let (over, is_over) = watch::channel(false);
    let (ear, mut heard) = mpsc::channel(plan.honest + 1);
    let target = Arc::new(Target::new(address, swarm));
    let mut viewers = JoinSet::new();
    let publisher = Viewer { from: address_of(0), tracker: address, swarm, key: Some(key), number: 0 };
    viewers.spawn(publisher.take_part(Ear {
        target: Arc::clone(&target),
        times: None,
        is_over: is_over.clone(),
    }));

    let attack = (plan.hostile > 0).then(|| Attack::start(plan.hostile, &target)).transpose()?;
    if let Some(attack) = &attack {
        attack.wait_for_all_kinds().await?;
    }
    let mut arrivals = tokio::time::interval(gap(plan));
    for number in 1..=plan.honest {
        arrivals.tick().await;
        let viewer = Viewer { from: address_of(number), tracker: address, swarm, key: None, number };
        let ear = Ear { target: Arc::clone(&target), times: Some(ear.clone()), is_over: is_over.clone() };
        viewers.spawn(viewer.take_part(ear));
    }
    drop(ear);

    let mut round = Round::default();
    let all = async {
        while let Some(times) = heard.recv().await {
            round.times.push(times);
        }
    };
    let is_late = timeout(ROUND_TIMEOUT, all).await.is_err();
    round.memory_max_bytes = tracker.process().memory_max_bytes()?;
    round.cpu_s = tracker.process().cpu_s()?;
    round.acts = target.acts();
    over.send_replace(true);
    while let Some(ended) = viewers.join_next().await {
        round.lost.extend(ended??);
    }
    drop(attack);
    let ended = tracker.stop()?;
    if !ended.status.success() {
        bail!("the tracker did not end well: {ended:?}");
    }
    if is_late {
        let missing = plan.honest.saturating_sub(round.times.len());
        round.lost.push(format!("{missing} viewers did not complete in {} s", ROUND_TIMEOUT.as_secs()));
    }
    Ok(round)
}

/// The address of a viewer: they are spread over many subnets, as an audience is.
pub fn address_of(viewer: usize) -> IpAddr {
    let place = viewer / VIEWERS_PER_ADDRESS;
    let [high, low] = u16::try_from(place).unwrap_or(u16::MAX).to_be_bytes();
    Ipv4Addr::new(127, 100 + high % 100, low, 1).into()
}

fn gap(plan: Plan) -> Duration {
    let viewers = u32::try_from(plan.honest).unwrap_or(u32::MAX).max(1);
    (plan.join_over / viewers).max(Duration::from_micros(1))
}

/// A manifest of random content of this length, without a title.
pub fn manifest(name: &str, length_bytes: u64, key: &SecretKey) -> Result<Manifest> {
    let manifest = Manifest {
        seal: Seal::default(),
        name: name.to_owned(),
        title: None,
        media_type: "video/mp4".into(),
        length_bytes,
        root: ContentRoot([0; 32]),
        segments: doubling(Geometry::new(length_bytes)),
        duration_ms: None,
        chapters: Vec::new(),
        author: None,
        created_s: 0,
        trackers: Vec::new(),
        attachments: Vec::new(),
        mirrors: Mirrors::default(),
    };
    manifest.signed_by(key).context("the manifest cannot be signed")
}

/// Publishes over HTTP.
pub async fn publish(tracker: SocketAddr, from: IpAddr, manifest: &Manifest) -> Result<SwarmId> {
    let swarm = manifest.swarm_id()?;
    let status = socket::put(tracker, from, &format!("/v1/manifests/{swarm}"), &manifest.to_bytes()?).await?;
    if !(200..300).contains(&status) {
        bail!("the manifest was refused: {status}");
    }
    Ok(swarm)
}

/// Each socket takes a descriptor, and many systems start programs with a soft limit of 1,024.
pub fn raise_open_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).context("the limit on open files cannot be raised")
}
