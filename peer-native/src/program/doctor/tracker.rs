//! What the tracker says to a publisher: whether it answers, takes a publication, and which servers it names.
//!
//! Relays are given only to peers of a swarm, so a content of a few bytes is published, unlisted, and taken off again. That
//! also tries what most often fails: tokens, keys, and the name by which the tracker knows itself.

use std::time::{Duration, SystemTime};

use swarm_core::manifest::{Mirrors, Period, Seal, Segment, SegmentKind};
use swarm_core::peer::PublishError;
use swarm_core::publisher::Statement;
use swarm_core::relays::Relays;
use swarm_core::tracker_message::{
    CONSENT, IceServer, PeerRequest, PeerRequestBody, Role, TRACKER_VERSION, TrackerMessageBody,
};
use swarm_core::{Challenge, ContentRoot, Manifest, SecretKey, SwarmId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::address::TrackerAddress;
use crate::publications::{self, Credentials, Wish};
use crate::tracker::{Tracker, TrackerEvent};

/// For greeting and joining together.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// The content that is published to try it out.
const CONTENT: &[u8] =
    b"This content was published by `doctor` to find out whether it can be, and is removed at once.\n";

/// What was found out.
#[derive(Debug, Clone, Default)]
pub(super) struct TrackerFacts {
    pub(super) url: String,
    pub(super) is_secure: bool,
    pub(super) is_private: bool,
    /// The protocol version that it speaks, or why it cannot be talked to.
    pub(super) version: Option<Result<u16, String>>,
    /// Seconds by which its clock is ahead of ours, if it told.
    pub(super) ahead_s: Option<i64>,
    /// Why it takes no publication, if it does not.
    pub(super) refusal: Option<String>,
    pub(super) ice_servers: Vec<IceServer>,
    pub(super) relays: Vec<IceServer>,
    pub(super) is_relay_required: bool,
}

/// Asks everything.
pub(super) async fn ask(address: &TrackerAddress, credentials: &Credentials) -> TrackerFacts {
    let mut facts = TrackerFacts {
        url: address.to_string(),
        is_secure: address.to_string().starts_with("wss:"),
        is_private: address.is_private(),
        ..TrackerFacts::default()
    };
    let (own_address, own_credentials) = (address.clone(), credentials.clone());
    let tried = tokio::task::spawn_blocking(move || {
        let ahead_s = publications::tracker_time(&own_address).map(seconds_ahead);
        (ahead_s, publish(&own_address, &own_credentials))
    });
    let Ok((ahead_s, published)) = tried.await else { return facts };
    facts.ahead_s = ahead_s;
    let swarm = match published {
        Ok(swarm) => Some(swarm),
        Err(reason) => {
            facts.refusal = Some(reason);
            None
        }
    };
    let talked = timeout(ANSWER_TIMEOUT, talk(address, credentials, swarm, &mut facts)).await;
    let failed = match talked {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        Err(_) => Some("it does not answer in time".to_owned()),
    };
    match (failed, &facts.version) {
        (Some(reason), None) => facts.version = Some(Err(reason)),
        (Some(reason), Some(_)) if facts.refusal.is_none() => facts.refusal = Some(reason),
        (Some(_) | None, _) => {}
    }
    if let Some(swarm) = swarm {
        let (address, credentials) = (address.clone(), credentials.clone());
        let removal =
            tokio::task::spawn_blocking(move || publications::remove_manifest(&address, swarm, &credentials));
        if !matches!(removal.await, Ok(Ok(_))) {
            tracing::warn!("the trial publication could not be removed; nobody can see it in the catalogue");
        }
    }
    facts
}

fn seconds_ahead(theirs: SystemTime) -> i64 {
    let seconds = |ahead: Duration| i64::try_from(ahead.as_secs()).unwrap_or(i64::MAX);
    match theirs.duration_since(SystemTime::now()) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    }
}

/// Publishes the trial content. Blocks.
fn publish(address: &TrackerAddress, credentials: &Credentials) -> Result<SwarmId, String> {
    let key = credentials.key.as_ref().ok_or("there is no key")?;
    let (swarm, bytes) = trial(key)?;
    let wish = Wish { is_listed: false, is_again: false };
    match publications::publish_manifest(address, swarm, &bytes, wish, credentials) {
        Ok(()) => Ok(swarm),
        Err(PublishError::Refused(reason) | PublishError::Failed(reason)) => Err(reason),
    }
}

fn trial(key: &SecretKey) -> Result<(SwarmId, Vec<u8>), String> {
    let segment = Segment {
        group_count: 1,
        kind: SegmentKind::Data,
        priority: 3,
        period: Period::Playback,
        time_ms: None,
        duration_ms: None,
    };
    let manifest = Manifest {
        seal: Seal::default(),
        name: "doctor.txt".into(),
        title: None,
        media_type: "text/plain".into(),
        length_bytes: CONTENT.len() as u64,
        root: ContentRoot(*blake3::hash(CONTENT).as_bytes()),
        segments: vec![segment],
        duration_ms: None,
        chapters: Vec::new(),
        author: None,
        created_s: 0,
        trackers: Vec::new(),
        attachments: Vec::new(),
        mirrors: Mirrors::default(),
    };
    let manifest = manifest.signed_by(key).map_err(|error| error.to_string())?;
    let swarm = manifest.swarm_id().map_err(|error| error.to_string())?;
    Ok((swarm, manifest.to_bytes().map_err(|error| error.to_string())?))
}

/// Greets, and joins the swarm of the trial content if there is one.
async fn talk(
    address: &TrackerAddress,
    credentials: &Credentials,
    swarm: Option<SwarmId>,
    facts: &mut TrackerFacts,
) -> Result<(), String> {
    let (sender, mut events) = mpsc::channel(16);
    let socket = Tracker::connect(&Handle::current(), address, 0, sender);
    let say = |id, body| {
        if socket.send(PeerRequest { id, body }) {
            Ok(())
        } else {
            Err("its socket takes no request".to_owned())
        }
    };
    while let Some((_, event)) = events.recv().await {
        match event {
            TrackerEvent::Open => {
                let capabilities = vec![CONSENT.to_owned()];
                let token = credentials.token.clone();
                let (version, uplink_bps) = (TRACKER_VERSION, 0);
                say(1, PeerRequestBody::Hello { version, capabilities, uplink_bps, token, resume: None })?;
            }
            TrackerEvent::Relays(Relays { servers, is_required }) => {
                facts.relays = servers;
                facts.is_relay_required = is_required;
            }
            TrackerEvent::Closed(reason) => return Err(reason),
            TrackerEvent::Message(message) => {
                if let TrackerMessageBody::Welcome { version, challenge, ice_servers, .. } = message.body {
                    facts.version = Some(Ok(version));
                    facts.ice_servers = ice_servers;
                    let Some(swarm) = swarm else { return Ok(()) };
                    say(2, join(address, credentials, swarm, challenge))?;
                } else if let TrackerMessageBody::Error { text: reason, .. } = message.body {
                    return Err(reason);
                } else if message.id == Some(2) {
                    return Ok(());
                }
            }
        }
    }
    Err("it closed the connection".to_owned())
}

/// As a publisher joins: with a proof of its key.
fn join(
    address: &TrackerAddress,
    credentials: &Credentials,
    swarm: SwarmId,
    challenge: Challenge,
) -> PeerRequestBody {
    let statement = Statement::Join { swarm, tracker: address.name(), challenge };
    let proof = credentials.key.as_ref().map(|key| key.sign(&statement));
    PeerRequestBody::Join { swarm, role: Role::Initial, have: Vec::new(), playhead: None, proof }
}
