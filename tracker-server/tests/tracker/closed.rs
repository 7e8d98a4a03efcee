//! A closed tracker: who has a permission sees one content, and who has none sees nothing.

use std::time::Duration;

use bytes::Bytes;
use swarm_core::tracker_message::{ErrorCode, PeerRequestBody, Role, TRACKER_VERSION, TrackerMessageBody};
use swarm_core::{PeerId, SwarmId};
use tracker_server::viewer_tokens::{AUDIENCE_DEFAULT, Grant, mint};

use crate::harness::{Server, Socket, code_of, manifest, request};

fn hello(token: Option<&str>) -> PeerRequestBody {
    let token = token.map(str::to_owned);
    PeerRequestBody::Hello {
        version: TRACKER_VERSION,
        capabilities: vec![],
        uplink_bps: 0,
        token,
        resume: None,
    }
}

async fn greet(server: &Server, token: Option<&str>) -> anyhow::Result<(Socket, Result<PeerId, ErrorCode>)> {
    let mut socket = Socket::open(server.address).await?;
    let answer = socket.ask(hello(token)).await?;
    let greeted =
        if let TrackerMessageBody::Welcome { peer, .. } = answer { Ok(peer) } else { Err(code_of(&answer)?) };
    Ok((socket, greeted))
}

async fn status(server: &Server, path: &str, token: Option<&str>) -> anyhow::Result<u16> {
    let value = token.map(|token| format!("Bearer {token}"));
    let header = value.as_deref().map(|value| ("authorization", value));
    let headers: Vec<_> = header.into_iter().collect();
    Ok(request(server.address, "GET", path, &headers, Bytes::new()).await?.status.as_u16())
}

#[tokio::test]
async fn a_closed_tracker_shows_a_content_only_to_those_who_may_see_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key");
    std::fs::write(&file, "north north north north north north")?;
    let named = format!("a={}", file.display());
    let server = Server::start_with(|config| {
        config.viewer_tokens.add("a", "north north north north north north").unwrap();
        config.publish_token = Some("publisher".into());
    })
    .await?;
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    let headers = [("authorization", "Bearer publisher")];
    assert_eq!(request(server.address, "PUT", &path, &headers, bytes.into()).await?.status, 201);

    let token = |swarm, role, lifetime| {
        mint(
            &named,
            &Grant { swarm, role, lifetime: Duration::from_secs(lifetime), audience: AUDIENCE_DEFAULT },
        )
    };
    let good = token(swarm, Role::Viewer, 60)?;
    let other = token(SwarmId([5; 32]), Role::Viewer, 60)?;
    for (given, manifest, catalogue) in [
        (None, 401, 401),
        (Some("nonsense"), 401, 401),
        (Some(&other[..]), 403, 403),
        (Some(&good[..]), 200, 403),
        (Some("publisher"), 200, 200),
    ] {
        assert_eq!(status(&server, &path, given).await?, manifest, "{given:?}");
        let poster = status(&server, &format!("{path}/poster"), given).await?;
        assert_eq!(poster, if manifest == 200 { 404 } else { manifest }, "{given:?}");
        assert_eq!(status(&server, "/v1/swarms", given).await?, catalogue, "{given:?}");
    }

    assert_eq!(greet(&server, None).await?.1, Err(ErrorCode::Forbidden));
    assert_eq!(greet(&server, Some("nonsense")).await?.1, Err(ErrorCode::Forbidden));
    for (given, is_let_in) in [(&good, true), (&other, false)] {
        let (mut socket, greeted) = greet(&server, Some(given)).await?;
        assert!(greeted.is_ok());
        let (role, have) = (Role::Viewer, vec![]);
        let answer =
            socket.ask(PeerRequestBody::Join { swarm, role, have, playhead: None, proof: None }).await?;
        assert_eq!(matches!(answer, TrackerMessageBody::Swarm { .. }), is_let_in, "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tracker_that_is_closed_to_viewers_takes_manifests_only_from_those_who_may_watch_them()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key");
    std::fs::write(&file, "north north north north north north")?;
    let named = format!("a={}", file.display());
    let mint = |swarm| {
        let lifetime = Duration::from_secs(60);
        mint(&named, &Grant { swarm, role: Role::Viewer, lifetime, audience: AUDIENCE_DEFAULT })
    };
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    let put = async |server: &Server, token: Option<&str>| {
        let value = token.map(|token| format!("Bearer {token}"));
        let header = value.as_deref().map(|value| ("authorization", value));
        let headers: Vec<_> = header.into_iter().collect();
        request(server.address, "PUT", &path, &headers, bytes.clone().into()).await
    };
    let by_token = Server::start_with(|config| config.tracker.token = Some("friend".into())).await?;
    for (token, status) in [(None, 401), (Some("foe"), 401), (Some("friend"), 201)] {
        assert_eq!(put(&by_token, token).await?.status, status, "{token:?}");
    }
    let by_key = Server::start_with(|config| {
        config.viewer_tokens.add("a", "north north north north north north").unwrap();
    })
    .await?;
    let (good, other) = (mint(swarm)?, mint(SwarmId([5; 32]))?);
    for (token, status) in [(None, 401), (Some("x"), 401), (Some(&other[..]), 403), (Some(&good[..]), 201)] {
        assert_eq!(put(&by_key, token).await?.status, status, "{token:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_permission_that_ends_ends_the_visit_and_lets_nobody_join_any_more() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key");
    std::fs::write(&file, "north north north north north north")?;
    let named = format!("a={}", file.display());
    let server = Server::start_with(|config| {
        config.viewer_tokens.add("a", "north north north north north north").unwrap();
        config.publish_token = Some("publisher".into());
        config.viewer_tokens.set_leeway(0);
    })
    .await?;
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    let headers = [("authorization", "Bearer publisher")];
    assert_eq!(request(server.address, "PUT", &path, &headers, bytes.into()).await?.status, 201);
    let (role, lifetime) = (Role::Viewer, Duration::from_secs(1));
    let token = mint(&named, &Grant { swarm, role, lifetime, audience: AUDIENCE_DEFAULT })?;
    let (mut joined, greeted) = greet(&server, Some(&token)).await?;
    assert!(greeted.is_ok());
    joined.join(swarm, &[]).await?;
    let (mut waiting, greeted) = greet(&server, Some(&token)).await?;
    assert!(greeted.is_ok());
    for socket in [&mut joined, &mut waiting] {
        let TrackerMessageBody::Error { code, text, .. } = socket.notice().await? else {
            anyhow::bail!("it is not told");
        };
        assert_eq!(code, ErrorCode::Forbidden);
        assert!(text.contains("has expired; ask for a new link"), "{text}");
        assert_eq!(socket.close_code().await?, 1008);
    }
    assert_eq!(greet(&server, Some(&token)).await?.1, Err(ErrorCode::Forbidden));
    server.wait_for_metric("tributary_tracker_peers 0").await?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_token_is_told_apart_from_none() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.tracker.token = Some("right".into())).await?;
    let path = format!("/v1/manifests/{}", SwarmId([1; 32]));
    for (headers, words) in [
        (&[][..], "this tracker is closed"),
        (&[("authorization", "Bearer wrong")], "the token that was shown is not this tracker's"),
    ] {
        let answer = request(server.address, "GET", &path, headers, Bytes::new()).await?;
        assert_eq!(answer.status, 401);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    Ok(())
}
