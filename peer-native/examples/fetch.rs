//! Fetches a content: `cargo run -p peer-native --example fetch LINK FILE`.

use peer_native::address::{ContentAddress, TrackerAddress};
use peer_native::{Content, DriverOptions, Network, Notice, PeerHandle};
use swarm_core::peer::PeerConfig;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let usage = "usage: fetch LINK FILE; a link looks like http://HOST:PORT/#SWARMID";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [link, file] = arguments.as_slice() else { anyhow::bail!(usage) };
    let ContentAddress { swarm, tracker: Some(tracker), .. } = link.parse()? else { anyhow::bail!(usage) };
    let (peer, mut notices) = PeerHandle::start(options(swarm, tracker, file))?;
    loop {
        match notices.recv().await? {
            Notice::Finished => break println!("{file} is complete"),
            Notice::StoreFailed(reason) => anyhow::bail!(reason),
            notice @ (Notice::Peer(_) | Notice::Moved(_) | Notice::Joined | Notice::StoreReady { .. }) => {
                println!("{notice:?}");
            }
        }
    }
    peer.stop().await;
    Ok(())
}

fn options(swarm: swarm_core::SwarmId, tracker: TrackerAddress, file: &str) -> DriverOptions {
    DriverOptions {
        peer: PeerConfig::viewer(swarm, u64::from(std::process::id())),
        tracker,
        outposts: Vec::new(),
        content: Content::Fetch(file.into()),
        network: Network::own_ports(),
        is_listed: false,
        publish_token: None,
    }
}
