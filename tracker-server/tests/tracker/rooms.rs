//! Swarms that are cut into rooms, at one tracker and at several.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use swarm_core::tracker_message::{PeerRequestBody, Signal, TrackerMessageBody};
use swarm_core::{PeerId, SwarmId};

use crate::harness::{PATIENCE, Server, Socket};
use crate::several::{trackers_with, wait_for_counts};

const ROOM_PEERS_MAX: u32 = 4;

/// Viewers that come a room's worth at a time, so that all trackers know the counts of those before.
async fn enter_all(
    servers: &[Server],
    swarm: SwarmId,
    count: usize,
) -> anyhow::Result<Vec<(Socket, PeerId)>> {
    let mut peers = Vec::new();
    for number in 0..count {
        if number % ROOM_PEERS_MAX as usize == 0 {
            for server in servers {
                wait_for_listed(server, number).await?;
            }
        }
        peers.push(Socket::enter(servers[number % servers.len()].address, swarm, &[]).await?);
    }
    Ok(peers)
}

/// Waits until the catalogue of a tracker shows so many viewers.
async fn wait_for_listed(server: &Server, count: usize) -> anyhow::Result<()> {
    let wait = async {
        while !server.get("/v1/swarms").await?.text().contains(&format!("\"leechers\":{count}")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("never listed: {count} viewers"))?
}

/// Reads introductions of a peer until it is told of one of `others`.
async fn introduced_to_any(socket: &mut Socket, others: &[PeerId]) -> anyhow::Result<PeerId> {
    let wait = async {
        loop {
            if let TrackerMessageBody::Connect { peer, .. } = socket.notice().await?
                && others.contains(&peer)
            {
                return anyhow::Ok(peer);
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("no peer of another room was introduced")?
}

/// A signal from a peer of one room reaches a peer of another.
async fn signals_cross(peers: &mut [(Socket, PeerId)]) -> anyhow::Result<()> {
    let ids: Vec<PeerId> = peers.iter().map(|(_, peer)| *peer).collect();
    let (first, last) = peers.split_at_mut(ids.len() - 1);
    let Some((socket, from)) = last.first_mut() else { bail!("nobody is there") };
    // The last peer is alone in its room.
    let to = introduced_to_any(socket, &ids[..ids.len() - 1]).await?;
    let signal = Signal::Offer { sdp: "v=0".into() };
    let request = PeerRequestBody::Signal { to, signal: signal.clone() };
    ensure!(socket.ask(request).await? == TrackerMessageBody::Ok, "the signal was refused");
    let at = ids.iter().position(|peer| *peer == to).context("an unknown peer")?;
    let expected = TrackerMessageBody::Signal { from: *from, signal };
    let wait = async {
        while first[at].0.notice().await? != expected {}
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the signal did not arrive")?
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tracker_cuts_a_swarm_and_links_its_rooms() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.room_peers_max = ROOM_PEERS_MAX).await?;
    let swarm = server.publish("film").await?;
    let servers = [server];
    let mut peers = enter_all(&servers, swarm, 9).await?;
    let [server] = servers;
    server.wait_for_metric("tributary_tracker_rooms 3").await?;
    // Counts are those of the whole swarm.
    for (socket, _) in &mut peers {
        wait_for_counts(socket, (0, 9)).await?;
    }
    wait_for_listed(&server, 9).await?;
    signals_cross(&mut peers).await?;
    // A room that is empty closes, with all visits to it and from it.
    drop(peers.pop());
    server.wait_for_metric("tributary_tracker_rooms 2").await?;
    drop(peers);
    server.wait_for_metric("tributary_tracker_rooms 0").await?;
    server.wait_for_metric("tributary_tracker_visits 0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_spread_over_trackers_and_go_on_when_one_dies() -> anyhow::Result<()> {
    let (_engine, mut servers) = trackers_with(3, |config| config.room_peers_max = ROOM_PEERS_MAX).await?;
    let swarm = servers[0].publish("film").await?;
    // Joined at two of the trackers; the third gets a room because it has none.
    let mut peers = enter_all(&servers[..2], swarm, 9).await?;
    for (socket, _) in &mut peers {
        wait_for_counts(socket, (0, 9)).await?;
    }
    for server in &servers {
        let rooms = async {
            loop {
                let metrics = server.metrics().await?.text();
                if metrics
                    .lines()
                    .any(|line| line.starts_with("tributary_tracker_homes ") && !line.ends_with(" 0"))
                {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, rooms).await.context("a tracker is the home of no room")??;
    }
    signals_cross(&mut peers).await?;
    // The third has no sockets; what it decided goes on elsewhere.
    servers.pop().context("no tracker")?.kill();
    for (socket, _) in &mut peers {
        wait_for_counts(socket, (0, 9)).await?;
    }
    let (mut late, _) = Socket::enter(servers[0].address, swarm, &[]).await?;
    wait_for_counts(&mut late, (0, 10)).await
}
