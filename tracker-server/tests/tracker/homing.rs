//! Viewers that are sent to the home of their swarm, around an engine in the memory of this process.

use std::time::Duration;

use anyhow::{Context, ensure};
use swarm_core::tracker_message::{
    MOVE, MOVING, PeerRequestBody, SegmentRun, Signal, TRACKER_VERSION, TrackerMessageBody,
};
use swarm_core::{PeerId, SwarmId};
use tokio::time::timeout;

use crate::harness::{PATIENCE, Server, Socket};
use crate::several::{trackers_with, wait_for_counts};

/// As long as several turns of a tracker.
const A_WHILE: Duration = Duration::from_secs(3);

/// Trackers, each of which peers can reach by itself.
async fn trackers(count: usize) -> anyhow::Result<Vec<Server>> {
    let number = std::cell::Cell::new(0);
    let (_engine, servers) = trackers_with(count, |config| {
        config.public_url = Some(address(number.get()));
        config.home_patience = Duration::from_millis(100);
        number.set(number.get() + 1);
    })
    .await?;
    Ok(servers)
}

fn address(number: usize) -> String {
    format!("wss://t{number}.example.org/v1/swarm")
}

/// A peer that says `capabilities`.
async fn enter(
    server: &Server,
    swarm: SwarmId,
    capabilities: &[&str],
    resume: Option<String>,
) -> anyhow::Result<(Socket, PeerId, String)> {
    let mut socket = Socket::open(server.address).await?;
    let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
    let hello =
        PeerRequestBody::Hello { version: TRACKER_VERSION, capabilities, uplink_bps: 0, token: None, resume };
    let TrackerMessageBody::Welcome { peer, resume, .. } = socket.ask(hello).await? else {
        anyhow::bail!("no welcome")
    };
    socket.join(swarm, &[]).await?;
    Ok((socket, peer, resume))
}

/// Where a peer is told to go.
async fn told(socket: &mut Socket) -> anyhow::Result<String> {
    loop {
        if let TrackerMessageBody::Move { to } = socket.notice().await? {
            return Ok(to);
        }
    }
}

/// A viewer at each of two of three trackers, of which the first is the home; the second was told where that is, and goes there.
struct Moved {
    servers: Vec<Server>,
    swarm: SwarmId,
    first: (Socket, PeerId),
    old: Socket,
    new: (Socket, PeerId),
    resume: String,
}

async fn moved() -> anyhow::Result<Moved> {
    let servers = trackers(3).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut first, first_id, _) = enter(&servers[0], swarm, &[MOVE], None).await?;
    let (mut old, id, resume) = enter(&servers[1], swarm, &[MOVE], None).await?;
    ensure!(told(&mut old).await? == address(0));
    while !matches!(first.notice().await?, TrackerMessageBody::Connect { peer, .. } if peer == id) {}
    let (new, new_id, _) = enter(&servers[0], swarm, &[MOVE, MOVING], Some(resume.clone())).await?;
    ensure!(new_id == id, "it is another peer now");
    Ok(Moved { servers, swarm, first: (first, first_id), old, new: (new, new_id), resume })
}

async fn signal(from: &mut Socket, to: (&mut Socket, PeerId)) -> anyhow::Result<()> {
    let signal = Signal::EndOfCandidates;
    let answer = from.ask(PeerRequestBody::Signal { to: to.1, signal }).await?;
    ensure!(answer == TrackerMessageBody::Ok, "{answer:?}");
    while !matches!(to.0.notice().await?, TrackerMessageBody::Signal { .. }) {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_moves_keeps_its_id_and_its_links_and_nobody_is_told() -> anyhow::Result<()> {
    let Moved { servers, mut first, mut old, mut new, .. } = moved().await?;
    assert_eq!(old.close_code().await?, 1001);
    // What was its neighbour still is, both ways, and was not told that it went.
    signal(&mut first.0, (&mut new.0, new.1)).await?;
    let answer = new.0.ask(PeerRequestBody::Signal { to: first.1, signal: Signal::EndOfCandidates }).await?;
    assert_eq!(answer, TrackerMessageBody::Ok);
    let next = first.0.notice().await?;
    assert!(matches!(next, TrackerMessageBody::Signal { from, .. } if from == new.1), "{next:?}");
    wait_for_counts(&mut new.0, (0, 2)).await?;
    servers[0].wait_for_metric("tributary_tracker_moved_here_total 1").await?;
    servers[0].wait_for_metric("tributary_tracker_guests 0").await?;
    servers[1].wait_for_metric("tributary_tracker_sent_home_total 1").await?;
    servers[1].wait_for_metric("tributary_tracker_members 0").await?;
    servers[1].wait_for_metric("tributary_tracker_connections 0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn when_its_home_dies_a_viewer_that_moved_is_bridged_again_and_sent_to_the_next_one()
-> anyhow::Result<()> {
    let Moved { mut servers, swarm, new, resume, .. } = moved().await?;
    let (mut third, third_id, _) = enter(&servers[2], swarm, &[], None).await?;
    wait_for_counts(&mut third, (0, 2)).await?;
    servers.remove(0).kill();
    wait_for_counts(&mut third, (0, 1)).await?;
    let (mut again, id, _) = enter(&servers[0], swarm, &[MOVE], Some(resume)).await?;
    assert_eq!(id, new.1);
    signal(&mut again, (&mut third, third_id)).await?;
    // Either of the two may be the home now. It is the viewer at the other one that is told.
    let (mut late, ..) = enter(&servers[1], swarm, &[MOVE], None).await?;
    let (to, home) = tokio::select! {
        to = told(&mut again) => (to?, 2),
        to = told(&mut late) => (to?, 1),
    };
    assert_eq!(to, address(home));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_follow_is_bridged_and_one_of_before_is_not_told() -> anyhow::Result<()> {
    let servers = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut first, ..) = enter(&servers[0], swarm, &[MOVE], None).await?;
    let (mut before, ..) = enter(&servers[1], swarm, &[], None).await?;
    let (mut stays, ..) = enter(&servers[1], swarm, &[MOVE], None).await?;
    assert_eq!(told(&mut stays).await?, address(0));
    let word = async {
        loop {
            if let message @ TrackerMessageBody::Move { .. } = before.notice().await? {
                return anyhow::Ok(message);
            }
        }
    };
    assert!(timeout(A_WHILE, word).await.is_err(), "it would take it for an error");
    // Nor is a peer told whose home is where it is, or the one that was told again at once.
    servers[1].wait_for_metric("tributary_tracker_sent_home_total 1").await?;
    servers[0].wait_for_metric("tributary_tracker_sent_home_total 0").await?;
    let gained = vec![SegmentRun(0, 9)];
    let answer = stays.ask(PeerRequestBody::Have { gained, dropped: vec![] }).await?;
    assert_eq!(answer, TrackerMessageBody::Ok);
    wait_for_counts(&mut first, (1, 2)).await?;
    servers[1].wait_for_metric("tributary_tracker_members 2").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_given_up_before_the_join_takes_nothing_away() -> anyhow::Result<()> {
    let servers = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut first, ..) = enter(&servers[0], swarm, &[MOVE], None).await?;
    let (mut old, id, resume) = enter(&servers[1], swarm, &[MOVE], None).await?;
    let mut half = Socket::open(servers[0].address).await?;
    let hello = PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities: vec![MOVE.into(), MOVING.into()],
        uplink_bps: 0,
        token: None,
        resume: Some(resume.clone()),
    };
    assert!(matches!(half.ask(hello).await?, TrackerMessageBody::Welcome { peer, .. } if peer == id));
    drop(half);
    servers[0].wait_for_metric("tributary_tracker_connections 1").await?;
    signal(&mut first, (&mut old, id)).await?;
    // One that comes back in the usual way still takes the place of the old connection, and is a newcomer.
    let (_again, again_id, _) = enter(&servers[0], swarm, &[MOVE], Some(resume)).await?;
    assert_eq!((again_id, old.close_code().await?), (id, 1008));
    servers[0].wait_for_metric("tributary_tracker_moved_here_total 0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_finds_the_home_changed_and_still_ends_in_the_swarm() -> anyhow::Result<()> {
    let servers = trackers(3).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut first, ..) = enter(&servers[0], swarm, &[MOVE], None).await?;
    let (_old, id, resume) = enter(&servers[1], swarm, &[MOVE], None).await?;
    // It goes to the third, as if that had been the home a moment ago.
    let (mut new, new_id, _) = enter(&servers[2], swarm, &[MOVE, MOVING], Some(resume)).await?;
    assert_eq!(new_id, id);
    wait_for_counts(&mut first, (0, 2)).await?;
    signal(&mut first, (&mut new, id)).await.context("no link with the peer that went to another tracker")?;
    servers[1].wait_for_metric("tributary_tracker_members 0").await?;
    timeout(PATIENCE, told(&mut new)).await??;
    Ok(())
}
