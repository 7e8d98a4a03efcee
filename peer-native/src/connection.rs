//! One `RTCPeerConnection` of the `webrtc` crate: how it is configured and what it tells its link.
//!
//! Owns the choice of local addresses and of transport settings, and the adapter from the crate's callbacks
//! to a bounded queue. Signalling, channels and life time belong to [`link`](crate::link).

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use rtc::ice::mdns::MulticastDnsMode;
use swarm_core::tracker_message::IceServer;
use tokio::sync::mpsc;
use webrtc::data_channel::DataChannel;
use webrtc::error::Error as RtcError;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder,
    RTCIceCandidateInit, RTCIceGatheringState, RTCIceServer, RTCIceTransportPolicy,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, SettingEngine, SettingEngineBuilder,
};

use crate::link::LinkOptions;
use crate::network::{LinkRuntime, Traffic, relay, stretched};

/// Without an answer for this long a path counts as interrupted.
const ICE_DISCONNECTED: Duration = Duration::from_secs(5);

/// Interrupted for this long the connection counts as failed. The core asks elsewhere long before.
const ICE_FAILED: Duration = Duration::from_secs(10);

/// Interval of keep-alives on an idle path: below the 30 s after which home routers forget a mapping.
const ICE_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// Interval of connectivity checks while a connection is built; nomination waits for the next one.
const ICE_CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// Checks of a path before it is given up on: two seconds of them.
const ICE_CHECKS_MAX: u16 = 100;

/// How long a path over a relay is held back while a direct one may still be found. Every other path is taken
/// as soon as it works: a candidate that a check reveals is mostly one that is just being trickled.
const ICE_RELAY_WAIT: Duration = Duration::from_millis(500);

/// How long a browser's mDNS name is asked for.
const MDNS_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of one packet of SCTP, so that a group with its head and proof is thirteen packets and not fifteen. With
/// encryption, UDP and IPv6 that is 1,381 bytes.
const SCTP_PACKET_BYTES: u32 = 1296;

/// Things a connection may have said before its link listened. Candidates come a handful per interface; beyond
/// this many they are dropped, which costs a path at worst.
pub(crate) const NEWS_MAX: usize = 256;

/// Threads that drive connections, shared by all links of the process. A connection stays on its thread, which
/// moves several times the bytes of one that wanders between worker threads.
const REACTORS_MAX: usize = 4;

/// What a connection tells its link.
pub(crate) enum News {
    /// A local candidate for the other side.
    Candidate(RTCIceCandidateInit),
    /// No more local candidates follow.
    GatheringDone,
    /// The other side opened a channel.
    Channel(Arc<dyn DataChannel>),
    /// The connection is over; in words.
    Ended(&'static str),
}

/// A connection that cannot be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The crate says so.
    #[error("{0}")]
    Rtc(#[from] RtcError),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// What the two sides of a connection know each other by while they look for a path (RFC 8839, section 5.4).
struct Credentials {
    fragment: String,
    password: String,
}

impl Credentials {
    fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes)?;
        let (fragment, password) = bytes.split_at(8);
        Ok(Self { fragment: hexadecimal(fragment), password: hexadecimal(password) })
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Passes callbacks on. They run on the connection's own task and must not wait.
struct Listener {
    news: mpsc::Sender<News>,
}

impl Listener {
    fn tell(&self, news: News) {
        if self.news.try_send(news).is_err() {
            tracing::debug!("a connection had more to say than its link keeps, or its link is gone");
        }
    }
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Listener {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        match event.candidate.to_json() {
            Ok(candidate) => self.tell(News::Candidate(candidate)),
            Err(error) => tracing::debug!(%error, "a local candidate cannot be written down"),
        }
    }

    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            self.tell(News::GatheringDone);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        tracing::debug!(%state, "connection");
        match state {
            RTCPeerConnectionState::Failed => self.tell(News::Ended("no network path to the other peer")),
            RTCPeerConnectionState::Closed => self.tell(News::Ended("the connection was closed")),
            RTCPeerConnectionState::Unspecified
            | RTCPeerConnectionState::New
            | RTCPeerConnectionState::Connecting
            | RTCPeerConnectionState::Connected
            | RTCPeerConnectionState::Disconnected
            | _ => {}
        }
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        self.tell(News::Channel(channel));
    }
}

/// Builds a connection whose events go to `news`, and whose packets are counted in `traffic`.
pub(crate) async fn build(
    options: &LinkOptions,
    news: mpsc::Sender<News>,
    traffic: &Arc<Traffic>,
) -> Result<Arc<dyn PeerConnection>, BuildError> {
    // Browsers hide their addresses behind mDNS names. Without multicast they still reach us at ours.
    match attempt(options, news.clone(), traffic, MulticastDnsMode::QueryOnly).await {
        Ok(connection) => Ok(connection),
        Err(error) => {
            tracing::debug!(%error, "no connection with multicast DNS; trying without");
            attempt(options, news, traffic, MulticastDnsMode::Disabled).await
        }
    }
}

async fn attempt(
    options: &LinkOptions,
    news: mpsc::Sender<News>,
    traffic: &Arc<Traffic>,
    mdns: MulticastDnsMode,
) -> Result<Arc<dyn PeerConnection>, BuildError> {
    let credentials = Credentials::random()?;
    let membership = options.network.shared().map(|port| port.join(&credentials.fragment));
    let runtime = LinkRuntime::new(membership, relay::credentials(&options.ice_servers), Arc::clone(traffic));
    let servers = servers(&options.ice_servers);
    let policy = if options.is_relayed { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
    let configuration = RTCConfigurationBuilder::new()
        .with_ice_servers(servers)
        .with_certificates(vec![options.network.certificate()?])
        .with_ice_transport_policy(policy)
        .build();
    let connection = PeerConnectionBuilder::new()
        .with_configuration(configuration)
        .with_setting_engine(settings(mdns, credentials))
        .with_handler(Arc::new(Listener { news }))
        .with_runtime(Arc::new(runtime))
        .with_udp_addrs(local_addresses(options.is_local))
        .with_dedicated_reactor_pool_size(reactor_count())
        .build()
        .await?;
    Ok(Arc::new(connection))
}

/// The servers in the crate's words.
fn servers(ice_servers: &[IceServer]) -> Vec<RTCIceServer> {
    let servers = ice_servers.iter().map(|server| RTCIceServer {
        urls: server.urls.clone(),
        username: server.username.clone().unwrap_or_default(),
        credential: server.credential.clone().unwrap_or_default(),
    });
    servers.collect()
}

fn settings(mdns: MulticastDnsMode, credentials: Credentials) -> SettingEngine {
    SettingEngineBuilder::new()
        .with_ice_credentials(credentials.fragment, credentials.password)
        .with_multicast_dns_mode(mdns)
        .with_sctp_mtu(SCTP_PACKET_BYTES)
        .with_multicast_dns_timeout(Some(stretched(MDNS_TIMEOUT)))
        .with_ice_connection_attempts(Some(stretched(ICE_CHECK_INTERVAL)), Some(ICE_CHECKS_MAX))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(stretched(ICE_RELAY_WAIT)))
        .with_ice_timeouts(
            Some(stretched(ICE_DISCONNECTED)),
            Some(stretched(ICE_FAILED)),
            Some(stretched(ICE_KEEP_ALIVE)),
        )
        .build()
}

fn reactor_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(REACTORS_MAX)
}

/// Addresses to bind. A wildcard stands for every interface but loopback.
fn local_addresses(is_local: bool) -> Vec<&'static str> {
    let mut addresses = vec!["0.0.0.0:0"];
    if is_local {
        addresses.push("127.0.0.1:0");
    }
    if has_ipv6() {
        addresses.push("[::]:0");
    }
    addresses
}

/// Whether this machine has a way into the IPv6 internet. Asks the routing table; sends nothing.
fn has_ipv6() -> bool {
    UdpSocket::bind("[::]:0").and_then(|socket| socket.connect("[2001:db8::1]:9")).is_ok()
}
