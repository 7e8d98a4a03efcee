//! What only a publisher's key may do: be initial, list, change and remove.

use swarm_core::publisher::{Action, Statement, TrackerName};
use swarm_core::tracker_message::{
    ErrorCode, PeerRequestBody, Role, Share, TRACKER_VERSION, TrackerMessageBody,
};
use swarm_core::{SecretKey, SwarmId};
use tracker_server::proxies::TrustedProxies;

use crate::harness::{Server, Socket, code_of, hello, key, manifest, request};

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
async fn a_proof_that_was_made_for_another_tracker_counts_nowhere_else_though_nobody_named_this_one()
-> anyhow::Result<()> {
    // A public tracker behind a proxy, which passes on the name that the sender chose.
    let proxies = TrustedProxies::parse(false, ["127.0.0.1"]).map_err(anyhow::Error::msg)?;
    let server = Server::start_with(|config| config.proxies = proxies).await?;
    let (swarm, bytes) = manifest("film")?;
    let publisher = key();
    let path = format!("/v1/manifests/{swarm}?list=true");
    for (host, from, status) in [
        ("evil.example", "198.51.100.7", 403),
        ("198.51.100.7", "198.51.100.7", 403),
        ("192.168.1.5:8080", "198.51.100.7", 403),
        ("localhost", "198.51.100.7", 403),
        ("192.168.1.5:8080", "192.168.1.9", 201),
    ] {
        // The hostile tracker was shown this signature by the publisher, whom it gave our challenge.
        let challenge = server.get("/v1/challenge").await?.text().trim().parse()?;
        let (action, tracker) = (Action::List, TrackerName::of(host));
        let signature = publisher.sign(&Statement::Publication { action, swarm, tracker, challenge });
        let proof = format!("{challenge}.{signature}");
        let headers =
            [("tributary-proof", &proof[..]), ("x-forwarded-host", host), ("x-forwarded-for", from)];
        let answer = request(server.address, "PUT", &path, &headers, bytes.clone().into()).await?;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
        assert!(status == 201 || answer.text().contains("--public-host"), "{}", answer.text());
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
    // A `seed` that ran all the time has the key, and comes again by itself.
    let challenge = server.get("/v1/challenge").await?.text().trim().parse()?;
    let (action, tracker) = (Action::Publish, TrackerName::of("127.0.0.1"));
    let signature = key().sign(&Statement::Publication { action, swarm, tracker, challenge });
    let proof = format!("{challenge}.{signature}");
    let again = format!("{path}?again=true");
    let headers = [("tributary-proof", &proof[..])];
    let answer = request(server.address, "PUT", &again, &headers, bytes.clone().into()).await?;
    assert_eq!(answer.status, 410, "{answer:?}");
    assert!(answer.text().contains("start `seed` again"), "{}", answer.text());

    server.stop().await?;
    let server = Server::start_with(|config| config.data_dir = Some(data_dir)).await?;
    assert_eq!(server.put(&path, bytes.clone()).await?.status, 410, "a restart does not forget it");
    assert_eq!(server.act(&key(), Action::Publish, swarm, bytes).await?.status, 201, "its publisher does");
    assert_eq!(server.get(&path).await?.status, 200);
    Ok(())
}
