//! Several trackers that act as one, around an engine in the memory of this process.

use std::time::Duration;

use anyhow::{Context, ensure};
use swarm_core::publisher::{Action, Statement, TrackerName};
use swarm_core::tracker_message::{ErrorCode, PeerRequestBody, Role, SegmentRun, Signal, TrackerMessageBody};
use swarm_core::{PeerId, SwarmId};
use tracker_server::ServerConfig;
use tracker_server::engine::memory::MemoryEngine;
use tracker_server::engine::{Choice, Engine};

use crate::harness::{PATIENCE, Server, Socket, code_of, key, manifest};

/// Trackers around one engine, each of which knows of all.
async fn trackers(count: usize) -> anyhow::Result<(MemoryEngine, Vec<Server>)> {
    trackers_with(count, |_| {}).await
}

/// The same with something else in their configuration.
pub(crate) async fn trackers_with(
    count: usize,
    configure: impl Fn(&mut ServerConfig),
) -> anyhow::Result<(MemoryEngine, Vec<Server>)> {
    let engine = MemoryEngine::default();
    let mut servers = Vec::new();
    for seed in 1..=count {
        let engine = engine.clone();
        servers.push(
            Server::start_with(|config| {
                config.tracker.seed = seed as u64;
                config.engine = Choice::Memory(engine);
                configure(config);
            })
            .await?,
        );
    }
    for server in &servers {
        server.wait_for_metric(&format!("tributary_tracker_trackers {count}")).await?;
    }
    Ok((engine, servers))
}

fn viewer(swarm: SwarmId) -> PeerRequestBody {
    PeerRequestBody::Join { swarm, role: Role::Viewer, have: vec![], playhead: None, proof: None }
}

fn report() -> PeerRequestBody {
    PeerRequestBody::Report {
        received: vec![],
        uplink_bps: 1_000_000,
        playhead: Some(0),
        ahead_ms: Some(9_000),
    }
}

/// Reports until the swarm has so many seeders and leechers.
pub(crate) async fn wait_for_counts(socket: &mut Socket, expected: (u32, u32)) -> anyhow::Result<()> {
    let wait = async {
        loop {
            let answer = socket.ask(report()).await?;
            if let TrackerMessageBody::Swarm { seeders, leechers, .. } = answer
                && (seeders, leechers) == expected
            {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("never came: {expected:?}"))?
}

/// Reads to the introduction of a peer; whether the receiver makes the offer.
async fn introduced(socket: &mut Socket, peer: PeerId) -> anyhow::Result<bool> {
    loop {
        if let TrackerMessageBody::Connect { peer: other, offer, .. } = socket.notice().await?
            && other == peer
        {
            return Ok(offer);
        }
    }
}

async fn signal(from: (&mut Socket, PeerId), to: (&mut Socket, PeerId)) -> anyhow::Result<()> {
    let offer = Signal::Offer { sdp: "v=0".into() };
    let request = PeerRequestBody::Signal { to: to.1, signal: offer.clone() };
    ensure!(from.0.ask(request).await? == TrackerMessageBody::Ok);
    let expected = TrackerMessageBody::Signal { from: from.1, signal: offer };
    while to.0.notice().await? != expected {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_of_two_trackers_are_one_swarm() -> anyhow::Result<()> {
    let (_engine, servers) = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut first, first_id) = Socket::enter(servers[0].address, swarm, &[]).await?;
    let (mut second, second_id) = Socket::enter(servers[1].address, swarm, &[SegmentRun(0, 1)]).await?;
    assert!(!introduced(&mut first, second_id).await?);
    assert!(introduced(&mut second, first_id).await?);
    signal((&mut second, second_id), (&mut first, first_id)).await?;
    signal((&mut first, first_id), (&mut second, second_id)).await?;
    wait_for_counts(&mut second, (0, 2)).await?;
    servers[1].wait_for_metric("tributary_tracker_members 1").await?;
    servers[0].wait_for_metric("tributary_tracker_guests 1").await?;
    servers[0].wait_for_metric("tributary_tracker_connections 1").await?;
    // What is wrong is refused in the same words.
    let answer = second.ask(viewer(swarm)).await?;
    assert_eq!(code_of(&answer)?, ErrorCode::BadRequest);
    let stranger = PeerRequestBody::Signal { to: PeerId(1), signal: Signal::EndOfCandidates };
    assert_eq!(code_of(&second.ask(stranger).await?)?, ErrorCode::UnknownPeer);
    // The other tracker shows what is published and how many are there.
    let listed = async {
        loop {
            let catalogue = servers[1].get("/v1/swarms").await?.text();
            if catalogue.contains(&format!("\"{swarm}\"")) && catalogue.contains("\"leechers\":2") {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listed).await.context("the catalogue does not show it")??;
    drop(second);
    wait_for_counts(&mut first, (0, 1)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_proves_its_role_through_another_tracker_and_nobody_else_can() -> anyhow::Result<()> {
    let (_engine, servers) = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut viewer, _) = Socket::enter(servers[0].address, swarm, &[]).await?;
    for is_genuine in [false, true] {
        let mut socket = Socket::open(servers[1].address).await?;
        let TrackerMessageBody::Welcome { challenge, .. } =
            socket.ask(crate::harness::hello(swarm_core::tracker_message::TRACKER_VERSION, None)).await?
        else {
            anyhow::bail!("no welcome")
        };
        let tracker = TrackerName::of(&servers[1].address.to_string());
        let signed = if is_genuine { swarm } else { SwarmId([9; 32]) };
        let proof = Some(key().sign(&Statement::Join { swarm: signed, tracker, challenge }));
        let join = PeerRequestBody::Join { swarm, role: Role::Initial, have: vec![], playhead: None, proof };
        let answer = socket.ask(join).await?;
        if is_genuine {
            assert!(
                matches!(answer, TrackerMessageBody::Swarm { seeders: 1, share: Some(_), .. }),
                "{answer:?}"
            );
            wait_for_counts(&mut viewer, (1, 1)).await?;
        } else {
            assert_eq!(code_of(&answer)?, ErrorCode::Forbidden);
            assert_eq!(socket.close_code().await?, 1008);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_home_dies_its_swarm_goes_on_elsewhere_over_the_same_sockets() -> anyhow::Result<()> {
    let (_engine, mut servers) = trackers(3).await?;
    let swarm = servers[0].publish("film").await?;
    // The first to be joined is the home.
    let (home_peer, _) = Socket::enter(servers[0].address, swarm, &[]).await?;
    let (mut second, second_id) = Socket::enter(servers[1].address, swarm, &[SegmentRun(0, 9)]).await?;
    let (mut third, third_id) = Socket::enter(servers[2].address, swarm, &[]).await?;
    introduced(&mut third, second_id).await?;
    introduced(&mut second, third_id).await?;
    servers.remove(0).kill();
    drop(home_peer);
    // Both are still in the swarm, one still holds everything, and they are still neighbours.
    wait_for_counts(&mut third, (1, 1)).await?;
    signal((&mut third, third_id), (&mut second, second_id)).await?;
    let (mut newcomer, newcomer_id) = Socket::enter(servers[0].address, swarm, &[]).await?;
    introduced(&mut newcomer, third_id).await?;
    introduced(&mut third, newcomer_id).await?;
    wait_for_counts(&mut newcomer, (1, 2)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_engine_each_goes_on_with_its_own_peers_and_they_come_together_after()
-> anyhow::Result<()> {
    let (engine, servers) = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut first, first_id) = Socket::enter(servers[0].address, swarm, &[]).await?;
    let (mut second, second_id) = Socket::enter(servers[1].address, swarm, &[]).await?;
    introduced(&mut second, first_id).await?;
    introduced(&mut first, second_id).await?;
    engine.set_away(true);
    for server in &servers {
        server.wait_for_metric("tributary_tracker_engine_up 0").await?;
        assert_eq!(server.get("/readyz").await?.status, 200);
    }
    wait_for_counts(&mut first, (0, 1)).await?;
    wait_for_counts(&mut second, (0, 1)).await?;
    let (mut third, third_id) = Socket::enter(servers[1].address, swarm, &[]).await?;
    introduced(&mut second, third_id).await?;
    introduced(&mut third, second_id).await?;
    engine.set_away(false);
    wait_for_counts(&mut first, (0, 3)).await?;
    wait_for_counts(&mut second, (0, 3)).await?;
    wait_for_counts(&mut third, (0, 3)).await?;
    signal((&mut third, third_id), (&mut second, second_id)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_between_trackers_is_said_again_and_answered_once() -> anyhow::Result<()> {
    let (engine, servers) = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    let (mut first, _) = Socket::enter(servers[0].address, swarm, &[]).await?;
    let (mut second, _) = Socket::enter(servers[1].address, swarm, &[]).await?;
    wait_for_counts(&mut first, (0, 2)).await?;
    // Shorter than the lease: nobody stops being the home.
    engine.set_away(true);
    let gained = vec![SegmentRun(0, 9)];
    let told = second.ask(PeerRequestBody::Have { gained, dropped: vec![] });
    let back = async {
        let nothing = "tributary_tracker_lost_frames_total 0";
        while servers[1].metrics().await?.text().lines().any(|line| line == nothing) {
            tokio::task::yield_now().await;
        }
        engine.set_away(false);
        anyhow::Ok(())
    };
    // The request is answered although it was lost on its way; a second answer would fail the next one.
    let (answer, lost) = tokio::join!(told, back);
    assert_eq!((answer?, lost?), (TrackerMessageBody::Ok, ()));
    wait_for_counts(&mut first, (1, 1)).await?;
    wait_for_counts(&mut second, (1, 1)).await?;
    servers[1].wait_for_metric("tributary_tracker_engine_up 1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_stops_hands_its_swarms_over_first() -> anyhow::Result<()> {
    let (_engine, mut servers) = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    let mut home_peer = Socket::open(servers[0].address).await?;
    let (home_id, resume) = home_peer.hello(None).await?;
    home_peer.join(swarm, &[SegmentRun(0, 9)]).await?;
    let (mut other, _) = Socket::enter(servers[1].address, swarm, &[]).await?;
    wait_for_counts(&mut other, (1, 1)).await?;
    let stopped = servers.remove(0).stop();
    assert_eq!(home_peer.close_code().await?, 1001);
    let mut again = Socket::open(servers[0].address).await?;
    assert_eq!(again.hello(Some(resume)).await?.0, home_id, "a peer keeps its id at another tracker");
    assert_eq!(again.join(swarm, &[SegmentRun(0, 9)]).await?, (1, 1));
    wait_for_counts(&mut other, (1, 1)).await?;
    Ok(stopped.await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_publisher_does_at_one_tracker_counts_at_all() -> anyhow::Result<()> {
    let (_engine, servers) = trackers(2).await?;
    let swarm = servers[0].publish("film").await?;
    // A tracker that has not read the list yet finds a swarm that a peer wants to join.
    let (_socket, _) = Socket::enter(servers[1].address, swarm, &[]).await?;
    assert_eq!(servers[1].get(&format!("/v1/manifests/{swarm}")).await?.status, 200);
    let removed = servers[1].act(&key(), Action::Remove, swarm, "").await?;
    assert_eq!(removed.status, 200, "{}", removed.text());
    let gone = async {
        while servers[0].get(&format!("/v1/manifests/{swarm}")).await?.status != 404 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, gone).await.context("it was not removed")??;
    let (_, bytes) = manifest("film")?;
    let refused = servers[0].put(&format!("/v1/manifests/{swarm}"), bytes).await?;
    assert_eq!(refused.status, 410, "only its publisher brings it back");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swarm_that_nobody_published_is_unknown_everywhere() -> anyhow::Result<()> {
    let (_engine, servers) = trackers(2).await?;
    let mut socket = Socket::open(servers[1].address).await?;
    socket.hello(None).await?;
    assert_eq!(code_of(&socket.ask(viewer(SwarmId([5; 32]))).await?)?, ErrorCode::UnknownSwarm);
    // On the same connection it works once it is published, at whichever tracker.
    let swarm = servers[0].publish("late").await?;
    assert_eq!(socket.join(swarm, &[]).await?, (0, 1));
    Ok(())
}

async fn shows(server: &Server, swarm: SwarmId) -> anyhow::Result<bool> {
    Ok(server.get(&format!("/v1/manifests/{swarm}")).await?.status == 200)
}

/// Waits until a tracker shows a manifest.
async fn wait_shown(server: &Server, swarm: SwarmId) -> anyhow::Result<()> {
    let wait = async {
        while !shows(server, swarm).await? {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, wait).await.context("it is not shown")?
}

async fn join_engine(engine: &MemoryEngine, seed: u64) -> anyhow::Result<Server> {
    let engine = engine.clone();
    Server::start_with(|config| {
        config.tracker.seed = seed;
        config.engine = Choice::Memory(engine);
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_the_engine_lost_is_no_removal_and_may_be_put_again() -> anyhow::Result<()> {
    let (engine, servers) = trackers(2).await?;
    let lost = servers[0].publish("lost").await?;
    wait_shown(&servers[1], lost).await?;
    engine.evict(lost);
    // A tracker that reads the list from its beginning finds the entry, and nothing behind it.
    let late = join_engine(&engine, 9).await?;
    late.wait_for_metric("tributary_tracker_trackers 3").await?;
    let next = servers[0].publish("next").await?;
    wait_shown(&late, next).await?;
    assert!(shows(&servers[0], lost).await? && shows(&servers[1], lost).await?, "they keep it");
    let (_, bytes) = manifest("lost")?;
    let again = late.put(&format!("/v1/manifests/{lost}"), bytes).await?;
    assert_eq!(again.status, 201, "{}", again.text());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_stands_against_a_tracker_that_has_not_read_it() -> anyhow::Result<()> {
    let (engine, servers) = trackers(2).await?;
    let removed = servers[0].publish("removed").await?;
    // Not asked for with `remove` at a tracker: so neither tracker has read it when the title comes again.
    engine.remove(removed, bytes::Bytes::new()).await?;
    let (_, bytes) = manifest("removed")?;
    let late = join_engine(&engine, 9).await?;
    let path = format!("/v1/manifests/{removed}");
    let by_stranger = late.put(&path, bytes.clone()).await?;
    assert_eq!(by_stranger.status, 410, "{}", by_stranger.text());
    assert!(engine.publication(removed).await?.is_none());
    for server in servers.iter().chain([&late]) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while server.get(&path).await?.status != 404 {
            anyhow::ensure!(tokio::time::Instant::now() < deadline, "it is still there");
            tokio::task::yield_now().await;
        }
    }
    // Its publisher brings it back.
    assert_eq!(late.publish("removed").await?, removed);
    wait_shown(&servers[1], removed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_without_memory_takes_no_publications_for_a_while_and_is_told_them_after()
-> anyhow::Result<()> {
    let (engine, servers) = trackers(2).await?;
    engine.set_full(true);
    let film = servers[0].publish("film").await?;
    servers[0].wait_for_metric("tributary_tracker_engine_full 1").await?;
    servers[0].wait_for_metric("tributary_tracker_unshared_publications 1").await?;
    for server in &servers {
        assert_eq!(server.get("/readyz").await?.status, 200);
        server.wait_for_metric("tributary_tracker_engine_up 1").await?;
    }
    assert!(shows(&servers[0], film).await? && !shows(&servers[1], film).await?);
    engine.set_full(false);
    wait_shown(&servers[1], film).await?;
    // With the second refresh in which nothing is refused, 20 s after the first.
    if servers[0].wait_for_metric("tributary_tracker_engine_full 0").await.is_err() {
        servers[0].wait_for_metric("tributary_tracker_engine_full 0").await?;
    }
    servers[0].wait_for_metric("tributary_tracker_unshared_publications 0").await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_publishes_more_than_its_share_loses_its_own_titles_in_the_engine() -> anyhow::Result<()> {
    let (engine, servers) = trackers(1).await?;
    let mut swarms = Vec::new();
    for number in 0..tracker_server::MANIFESTS_PER_ADDRESS_MAX + 4 {
        let (swarm, bytes) = manifest(&format!("film {number}"))?;
        let answer = servers[0].put(&format!("/v1/manifests/{swarm}"), bytes).await?;
        assert_eq!(answer.status, 201, "{}", answer.text());
        swarms.push(swarm);
    }
    // Asked of the engine itself: a tracker that reads it has shares of its own.
    for (number, swarm) in swarms.iter().enumerate() {
        let is_there = engine.publication(*swarm).await?.is_some();
        assert_eq!(is_there, number >= 4, "{number}: the oldest go, and no others");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_with_another_secret_does_not_start() -> anyhow::Result<()> {
    let (engine, _servers) = trackers(1).await?;
    let mut config = tracker_server::ServerConfig::new(2, b"another secret");
    config.engine = Choice::Memory(engine);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let serving = tracker_server::serve(config, listener, std::future::pending());
    let ended = tokio::time::timeout(PATIENCE, serving).await.context("it goes on")?;
    assert!(ended.err().context("it ended well")?.to_string().contains("another --secret"));
    Ok(())
}
