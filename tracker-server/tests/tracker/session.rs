//! What well-behaved peers go through.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use swarm_core::publisher::{Statement, TrackerName};
use swarm_core::tracker_message::{
    ErrorCode, PeerRequest, PeerRequestBody, Role, SegmentRun, Share, Signal, TRACKER_VERSION,
    TrackerMessageBody, Want,
};
use swarm_core::{PeerId, relays};
use tokio_tungstenite::tungstenite::Message;
use tracker_server::relays::Relays;

use crate::harness::{Server, Socket, code_of, hello, key, manifest};

fn connect(peer: PeerId, offer: bool) -> TrackerMessageBody {
    TrackerMessageBody::Connect { peer, role: Role::Viewer, offer }
}

#[tokio::test]
async fn relays_are_for_peers_that_joined_and_their_credentials_expire() -> anyhow::Result<()> {
    let server = Server::start_with(|config| {
        config.relays = Relays {
            fixed: Vec::new(),
            urls: vec!["turn:relay.example:3478".into()],
            secret: Some("north".into()),
        };
    })
    .await?;
    let swarm = server.publish("film").await?;
    let mut socket = Socket::open(server.address).await?;
    socket
        .send_raw(Message::text(PeerRequest { id: 1, body: hello(TRACKER_VERSION, None) }.encode()))
        .await?;
    let welcome = socket.receive_text().await?;
    assert!(!welcome.contains("turn:"), "{welcome}");
    let join = PeerRequestBody::Join { swarm, role: Role::Viewer, have: vec![], playhead: None, proof: None };
    socket.send_raw(Message::text(PeerRequest { id: 2, body: join }.encode())).await?;
    let relays = relays::of(&socket.receive_text().await?).context("no relays")?;
    let username = relays.servers[0].username.as_deref().context("no user")?;
    let (expiry_s, user) = username.split_once(':').context("no expiry")?;
    assert!(
        user.len() == 16 && !welcome.contains(user),
        "it stands for an address, not for a peer: {username}"
    );
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    assert!((now_s + 3_600..now_s + 24 * 3_600).contains(&expiry_s.parse()?), "{username}");
    let report = PeerRequestBody::Report { received: vec![], uplink_bps: 0, playhead: None, ahead_ms: None };
    socket.send_raw(Message::text(PeerRequest { id: 3, body: report }.encode())).await?;
    let state = socket.receive_text().await?;
    assert!(state.contains("swarm") && relays::of(&state).is_none(), "not again so soon: {state}");
    Ok(())
}

#[tokio::test]
async fn two_peers_are_introduced_and_signal_one_another() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let (mut first, first_id) = Socket::enter(server.address, swarm, &[]).await?;
    let mut second = Socket::open(server.address).await?;
    let (second_id, _) = second.hello(None).await?;
    assert_eq!(second.join(swarm, &[]).await?, (0, 2));
    assert_eq!(second.notice().await?, connect(first_id, true));
    assert_eq!(first.notice().await?, connect(second_id, false));

    let offer = Signal::Offer { sdp: "v=0 ".repeat(2000) };
    let request = PeerRequestBody::Signal { to: first_id, signal: offer.clone() };
    assert_eq!(second.ask(request).await?, TrackerMessageBody::Ok);
    assert_eq!(first.notice().await?, TrackerMessageBody::Signal { from: second_id, signal: offer });
    let answer = Signal::Answer { sdp: "v=0".into() };
    let request = PeerRequestBody::Signal { to: second_id, signal: answer.clone() };
    assert_eq!(first.ask(request).await?, TrackerMessageBody::Ok);
    assert_eq!(second.notice().await?, TrackerMessageBody::Signal { from: first_id, signal: answer });

    drop(second);
    assert_eq!(first.notice().await?, TrackerMessageBody::Gone { peer: second_id });
    Ok(())
}

#[tokio::test]
async fn a_stranger_cannot_signal_into_another_swarm() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (film, song) = (server.publish("film").await?, server.publish("song").await?);
    let (mut inside, inside_id) = Socket::enter(server.address, film, &[]).await?;
    let (mut stranger, _) = Socket::enter(server.address, song, &[]).await?;
    let request = PeerRequestBody::Signal { to: inside_id, signal: Signal::EndOfCandidates };
    assert_eq!(code_of(&stranger.ask(request).await?)?, ErrorCode::UnknownPeer);
    // The next thing the peer inside hears is the answer to its own request: no signal came before it.
    assert_eq!(inside.ask(PeerRequestBody::Leave).await?, TrackerMessageBody::Ok);
    Ok(())
}

#[tokio::test]
async fn a_want_is_answered_with_who_has_it_and_who_is_to_send_it() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let (_holder, holder_id) = Socket::enter(server.address, swarm, &[SegmentRun(0, 2)]).await?;
    let (mut taker, _) = Socket::enter(server.address, swarm, &[]).await?;
    assert_eq!(taker.notice().await?, connect(holder_id, true));
    let segments = vec![Want { segments: SegmentRun(1, 2), remaining_ms: 100 }];
    let answer = taker.ask(PeerRequestBody::Want { segments }).await?;
    let TrackerMessageBody::Peers { providing, looking } = answer else { panic!("{answer:?}") };
    let providing: Vec<_> = providing.into_iter().map(|entry| (entry.peer, entry.segments)).collect();
    assert_eq!(providing, [(holder_id, vec![SegmentRun(1, 1)])]);
    assert!(looking.is_empty());
    let TrackerMessageBody::Assign { segments, source, .. } = taker.notice().await? else { panic!() };
    assert_eq!((segments, source), (vec![SegmentRun(1, 1)], holder_id));
    Ok(())
}

#[tokio::test]
async fn an_unknown_swarm_can_be_joined_once_it_is_published() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let (swarm, _) = manifest("film")?;
    let mut socket = Socket::open(server.address).await?;
    let welcome = socket.ask(hello(TRACKER_VERSION, None)).await?;
    let TrackerMessageBody::Welcome { challenge, .. } = welcome else { panic!("{welcome:?}") };
    let statement = Statement::Join { swarm, tracker: TrackerName::of("127.0.0.1"), challenge };
    let proof = Some(key().sign(&statement));
    let join = PeerRequestBody::Join { swarm, role: Role::Initial, have: vec![], playhead: None, proof };
    let refused = socket.ask(join.clone()).await?;
    assert_eq!(code_of(&refused)?, ErrorCode::UnknownSwarm);
    assert!(matches!(refused, TrackerMessageBody::Error { retry_after_ms: Some(1000), .. }));
    server.publish("film").await?;
    assert_eq!(
        socket.ask(join).await?,
        TrackerMessageBody::Swarm {
            seeders: 1,
            leechers: 0,
            at_risk: Vec::new(),
            share: Some(Share { index: 0, count: 1 }),
            scarcity: None
        }
    );
    Ok(())
}

#[tokio::test]
async fn another_version_is_told_so_and_closed() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    let answer = socket.ask(hello(99, None)).await?;
    assert_eq!(code_of(&answer)?, ErrorCode::UnsupportedVersion);
    assert_eq!(socket.close_code().await?, 1002);
    Ok(())
}

#[tokio::test]
async fn a_peer_that_comes_back_keeps_its_id_even_over_a_restart_of_the_tracker() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let mut socket = Socket::open(server.address).await?;
    let (peer, resume) = socket.hello(None).await?;
    let mut again = Socket::open(server.address).await?;
    assert_eq!(again.hello(Some(resume.clone())).await?.0, peer);
    // The connection that was left behind is told and closed.
    assert_eq!(code_of(&socket.notice().await?)?, ErrorCode::Forbidden);
    assert_eq!(socket.close_code().await?, 1008);
    drop(again);
    server.stop().await?;

    let restarted = Server::start_with(|config| config.tracker.seed = 2).await?;
    let mut socket = Socket::open(restarted.address).await?;
    assert_eq!(socket.hello(Some(resume)).await?.0, peer);
    Ok(())
}

#[tokio::test]
async fn ice_servers_reach_the_peer() -> anyhow::Result<()> {
    use swarm_core::tracker_message::IceServer;
    let ice = IceServer { urls: vec!["stun:example.org:3478".into()], username: None, credential: None };
    let expected = vec![ice.clone()];
    let server = Server::start_with(|config| config.tracker.ice_servers = vec![ice]).await?;
    let mut socket = Socket::open(server.address).await?;
    let answer = socket.ask(hello(TRACKER_VERSION, None)).await?;
    assert!(matches!(answer, TrackerMessageBody::Welcome { ice_servers, .. } if ice_servers == expected));
    Ok(())
}
