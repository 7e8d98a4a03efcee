//! What only a publisher's key may do: be initial, list, change and remove.

use swarm_core::publisher::{Action, Statement, TrackerName};
use swarm_core::tracker_message::{
    ErrorCode, PeerRequestBody, Role, Share, TRACKER_VERSION, TrackerMessageBody,
};
use swarm_core::{SecretKey, SwarmId};

use crate::harness::{Server, Socket, code_of, hello, key, manifest};

/// Greets, and joins as an initial peer with a signature by `key` for the tracker of that name.
async fn join_as_initial(
    socket: &mut Socket,
    swarm: SwarmId,
    signer: Option<(&SecretKey, &str)>,
) -> anyhow::Result<TrackerMessageBody> {
    let welcome = socket.ask(hello(TRACKER_VERSION, None)).await?;
    let TrackerMessageBody::Welcome { challenge, .. } = welcome else { anyhow::bail!("{welcome:?}") };
    let proof = signer
        .map(|(key, name)| key.sign(&Statement::Join { swarm, tracker: TrackerName::of(name), challenge }));
    let (role, have) = (Role::Initial, vec![]);
    socket.ask(PeerRequestBody::Join { swarm, role, have, playhead: None, proof }).await
}

#[tokio::test]
async fn eight_impostors_do_not_shut_the_publisher_out() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let stranger = SecretKey::from_bytes(&[8; 32]);
    for signer in [None, Some((&stranger, "127.0.0.1"))].into_iter().cycle().take(8) {
        let mut socket = Socket::open(server.address).await?;
        let refused = join_as_initial(&mut socket, swarm, signer).await?;
        assert_eq!(code_of(&refused)?, ErrorCode::Forbidden);
        assert_eq!(socket.close_code().await?, 1008);
    }
    let mut socket = Socket::open(server.address).await?;
    let joined = join_as_initial(&mut socket, swarm, Some((&key(), "127.0.0.1"))).await?;
    let share = Some(Share { index: 0, count: 1 });
    assert_eq!(
        joined,
        TrackerMessageBody::Swarm { seeders: 1, leechers: 0, at_risk: vec![], share, scarcity: None }
    );
    Ok(())
}

#[tokio::test]
async fn a_tracker_that_knows_its_name_takes_no_proof_that_was_made_for_another() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.public_hosts = vec!["here.example".into()]).await?;
    let (swarm, bytes) = manifest("film")?;
    server.put(&format!("/v1/manifests/{swarm}"), bytes).await?;
    // The socket calls the tracker by its address, as a relay would call it by any name that suits it.
    for (name, is_refused) in [("127.0.0.1", true), ("here.example", false)] {
        let mut socket = Socket::open(server.address).await?;
        let answer = join_as_initial(&mut socket, swarm, Some((&key(), name))).await?;
        assert_eq!(code_of(&answer).is_ok(), is_refused, "{name}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_title_is_listed_unlisted_and_removed_by_its_publisher_only() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data_dir = folder.path().to_owned();
    let server = Server::start_with(|config| config.data_dir = Some(data_dir.clone())).await?;
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    let stranger = SecretKey::from_bytes(&[8; 32]);
    assert_eq!(server.put(&path, bytes.clone()).await?.status, 201, "anybody may bring it back");
    assert_eq!(server.put(&format!("{path}?list=true"), bytes.clone()).await?.status, 403);
    assert_eq!(server.act(&stranger, Action::List, swarm, bytes.clone()).await?.status, 403);
    let answer = server.act(&key(), Action::List, swarm, bytes.clone()).await?;
    assert_eq!(answer.text(), "known already, and listed from now on\n");
    assert_eq!(server.put(&path, bytes.clone()).await?.text(), "known already\n", "it stays listed");
    let answer = server.act(&key(), Action::Publish, swarm, bytes.clone()).await?;
    assert_eq!(answer.text(), "known already, and no longer listed\n");

    let viewer = Socket::enter(server.address, swarm, &[]).await?;
    assert_eq!(server.act(&stranger, Action::Remove, swarm, "").await?.status, 403);
    assert_eq!(server.act(&key(), Action::Remove, swarm, "").await?.status, 200);
    assert_eq!(server.get(&path).await?.status, 404);
    assert_eq!(server.put(&path, bytes.clone()).await?.status, 410, "viewers do not bring it back");
    assert!(Socket::enter(server.address, swarm, &[]).await.is_err());
    assert_eq!(server.act(&key(), Action::Remove, swarm, "").await?.status, 404);
    drop(viewer);

    server.stop().await?;
    let server = Server::start_with(|config| config.data_dir = Some(data_dir)).await?;
    assert_eq!(server.put(&path, bytes.clone()).await?.status, 410, "a restart does not forget it");
    assert_eq!(server.act(&key(), Action::Publish, swarm, bytes).await?.status, 201, "its publisher does");
    assert_eq!(server.get(&path).await?.status, 200);
    Ok(())
}
