//! Connections to a tracker that call themselves siblings and do not show it.

use std::net::IpAddr;

use anyhow::Context;
use futures_util::StreamExt;
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async};
use tracker_server::siblings::{SiblingKey, Siblings};
use tracker_server::{SIBLING_PROOF_TIMEOUT, SIBLINGS_MAX, SIBLINGS_PER_ADDRESS_MAX};

use crate::harness::{PATIENCE, Server, Socket};

type Opened = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// Opens a connection for siblings from an address of this machine; the status if that is refused.
async fn open(server: &Server, from: [u8; 4]) -> anyhow::Result<Result<Opened, u16>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::from(from), 0).into())?;
    let stream = MaybeTlsStream::Plain(socket.connect(server.address).await?);
    let url = format!("ws://{}/v1/siblings", server.address);
    match timeout(PATIENCE, client_async(url, stream)).await? {
        Ok((opened, _)) => Ok(Ok(opened)),
        Err(Error::Http(answer)) => Ok(Err(answer.status().as_u16())),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_show_that_it_is_a_sibling_has_few_places_and_not_for_long() -> anyhow::Result<()> {
    let server = Server::start_with(|config| {
        let key = SiblingKey::of_text("a secret of two trackers");
        config.siblings = Siblings { addresses: Vec::new(), key };
    })
    .await?;
    let began = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..SIBLINGS_PER_ADDRESS_MAX {
        let opened = open(&server, [127, 1, 1, 1]).await?;
        silent.push(opened.ok().context("a first connection is refused")?);
    }
    assert_eq!(open(&server, [127, 1, 1, 1]).await?.err(), Some(429), "an address");
    for host in 2..=SIBLINGS_MAX as u8 * 2 {
        silent.extend(open(&server, [127, 1, 1, host]).await?.ok());
    }
    assert_eq!(silent.len(), SIBLINGS_MAX, "a subnet");
    // A sibling elsewhere, and viewers of the same addresses, find room.
    assert!(open(&server, [127, 2, 2, 2]).await?.is_ok());
    let swarm = server.publish("film").await?;
    Socket::enter(server.address, swarm, &[]).await?;
    for mut socket in silent {
        let ends = async { while let Some(Ok(Message::Binary(_))) = socket.next().await {} };
        timeout(PATIENCE, ends).await.context("it stays")?;
    }
    let took = began.elapsed();
    assert!(took >= SIBLING_PROOF_TIMEOUT && took < SIBLING_PROOF_TIMEOUT * 3, "{took:?}");
    assert!(open(&server, [127, 1, 1, 1]).await?.is_ok(), "the places are free again");
    Ok(())
}
