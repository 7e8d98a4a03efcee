//! A peer that sends wrong bytes, over real connections to real processes: it is banned by the certificate of its
//! connections, whatever it calls itself, and the honest finish.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use peer_native::Network;
use peer_native::inside::{Link, LinkEvent, LinkOptions};
use peer_native::inside::{Tracker, TrackerEvent};
use swarm_core::peer_message::{DataHead, DataMessage, PEER_VERSION, PeerMessage, Serving, Standing};
use swarm_core::tracker_message::{
    PeerRequest, PeerRequestBody, Role, TRACKER_VERSION, TrackerMessage, TrackerMessageBody,
};
use swarm_core::tree::Proof;
use swarm_core::{Geometry, GroupRange, LinkId, PeerId, SwarmId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::content::DEADLINE;
use crate::swarm::{Process, Scene};
use crate::tracker::Manner;

const LENGTH: usize = 8 * 1024 * 1024;

/// What viewers did to a liar, by their ids.
#[derive(Debug, Default)]
struct Account {
    introduced: HashSet<PeerId>,
    greeted: HashSet<PeerId>,
    asked: HashSet<PeerId>,
    closed: HashSet<PeerId>,
}

/// A liar while it has one name: one socket at the tracker, and so one peer id.
struct Liar {
    network: Network,
    swarm: SwarmId,
    tracker: Tracker,
    links: HashMap<LinkId, (PeerId, Link)>,
    link_events: mpsc::Sender<(LinkId, LinkEvent)>,
    last_link: u32,
    last_request: u32,
    account: Account,
}

impl Liar {
    /// Joins the swarm and lies until `is_over`.
    async fn lie(scene: &Scene, network: &Network, is_over: impl Fn(&Account) -> bool) -> Account {
        let swarm = scene.link.rsplit('#').next().unwrap().parse().unwrap();
        let (sender, mut tracker_events) = mpsc::channel(100);
        let (link_events, mut events) = mpsc::channel(100);
        let mut liar = Self {
            network: network.clone(),
            swarm,
            tracker: Tracker::connect(&Handle::current(), &scene.tracker.address, 1, sender),
            links: HashMap::new(),
            link_events,
            last_link: 0,
            last_request: 0,
            account: Account::default(),
        };
        while !is_over(&liar.account) {
            let next = async {
                tokio::select! {
                    Some((_, event)) = tracker_events.recv() => liar.hear(event),
                    Some((id, event)) = events.recv() => liar.take(id, event),
                }
            };
            let in_time = tokio::time::timeout(DEADLINE, next).await;
            in_time.unwrap_or_else(|_| panic!("nothing happens any more: {:?}", liar.account));
        }
        liar.account
    }

    fn ask(&mut self, body: PeerRequestBody) {
        self.last_request += 1;
        assert!(self.tracker.send(PeerRequest { id: self.last_request, body }));
    }

    fn hear(&mut self, event: TrackerEvent) {
        let body = match event {
            TrackerEvent::Open => {
                return self.ask(PeerRequestBody::Hello {
                    version: TRACKER_VERSION,
                    capabilities: Vec::new(),
                    uplink_bps: 100_000_000,
                    token: None,
                    resume: None,
                });
            }
            TrackerEvent::Message(TrackerMessage { body, .. }) => body,
            TrackerEvent::Relays(_) => return,
            TrackerEvent::Closed(reason) => panic!("{reason}"),
        };
        match body {
            TrackerMessageBody::Welcome { .. } => {
                let (swarm, role) = (self.swarm, Role::Viewer);
                self.ask(PeerRequestBody::Join {
                    swarm,
                    role,
                    have: Vec::new(),
                    playhead: None,
                    proof: None,
                });
            }
            TrackerMessageBody::Connect { peer, role: Role::Viewer, offer } => {
                self.account.introduced.insert(peer);
                self.last_link += 1;
                let (id, network) = (LinkId(self.last_link), self.network.clone());
                let options = LinkOptions {
                    is_offerer: offer,
                    ice_servers: [].into(),
                    is_relayed: false,
                    is_local: true,
                    network,
                };
                let link = Link::open(&Handle::current(), id, options, self.link_events.clone());
                self.links.insert(id, (peer, link));
            }
            TrackerMessageBody::Signal { from, signal } => {
                let link = self.links.values().find(|(peer, _)| *peer == from);
                // A link that the other side has just closed takes no signal any more.
                link.into_iter().for_each(|(_, link)| _ = link.signal(signal.clone()));
            }
            _ => {}
        }
    }

    fn take(&mut self, id: LinkId, event: LinkEvent) {
        let Some((peer, link)) = self.links.get(&id) else { return };
        let peer = *peer;
        match event {
            LinkEvent::Signal(signal) => self.ask(PeerRequestBody::Signal { to: peer, signal }),
            LinkEvent::Open => _ = link.control(&self.hello()),
            LinkEvent::Control(PeerMessage::Hello { .. }) => _ = self.account.greeted.insert(peer),
            LinkEvent::Control(PeerMessage::Ping { nonce, sent_ms }) => {
                _ = link.control(&PeerMessage::Pong { nonce, sent_ms });
            }
            LinkEvent::Control(PeerMessage::Request { range, .. }) => {
                // What it is asked for, in the right form, with wrong bytes.
                range.iter().for_each(|group| _ = link.data(wrong(group).encode()));
                self.account.asked.insert(peer);
            }
            LinkEvent::Closed(_) => {
                self.account.closed.insert(peer);
                self.links.remove(&id);
            }
            _ => {}
        }
    }

    /// It says that it holds everything and serves whatever is asked.
    fn hello(&self) -> PeerMessage {
        PeerMessage::Hello {
            version: PEER_VERSION,
            swarm: self.swarm,
            peer: PeerId(0),
            standing: Standing {
                serving: Serving::Everything,
                is_rich: false,
                wants: GroupRange::new(0, 0),
                uplink: 12_500_000,
                is_uplink_known: true,
                downlink: 0,
                credit: 0,
                playing: None,
            },
            have: vec![Geometry::new(LENGTH as u64).all()],
            proof: None,
        }
    }
}

/// A group of zeros.
fn wrong(group: u32) -> DataMessage {
    let range = GroupRange::one(group);
    let length = Geometry::new(LENGTH as u64).len_bytes(range);
    let proof = Proof { top: 0, hashes: Vec::new() };
    let head = DataHead { range, sent_ms: 0, waited_ms: 0, queued_ms: 0, backlog_ms: 0, proof };
    DataMessage { head, payload: Bytes::from(vec![0; usize::try_from(length).unwrap()]) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_liar_is_banned_by_its_certificate_and_a_new_name_does_not_help_while_the_honest_finish() {
    // Slow enough that the viewers depend on other peers that claim to hold the content.
    let scene = Scene::new(LENGTH, Manner::Proper, &["--upload-limit", "8M"]).await;
    let viewers: Vec<Process> = ["a", "b"].map(|name| scene.fetch(name, &["--stay"])).into();
    viewers.iter().for_each(|viewer| drop(viewer.event("ready")));

    let network = Network::own_ports();
    let first =
        Liar::lie(&scene, &network, |account| account.introduced.len() == 2 && account.closed.len() == 2)
            .await;
    assert_eq!(first.greeted, first.introduced, "nobody knew it");
    assert_eq!(first.asked, first.introduced, "both were lied to, and both let it go: {first:?}");

    // Another socket, another peer id, another connection; the certificate is the same.
    let again =
        Liar::lie(&scene, &network, |account| account.introduced.len() == 2 && account.closed.len() == 2)
            .await;
    assert_eq!(again.introduced, first.introduced, "the same viewers, by their own ids");
    assert!(again.greeted.is_empty() && again.asked.is_empty(), "{again:?}");

    // It is the certificate that they know: with another one it would be a stranger.
    let stranger = Liar::lie(&scene, &Network::own_ports(), |account| account.greeted.len() == 2).await;
    assert_eq!(stranger.greeted, first.introduced);

    for (viewer, name) in viewers.iter().zip(["a", "b"]) {
        assert_eq!(viewer.event("done")["bytes"], LENGTH);
        scene.check(name);
    }
}
