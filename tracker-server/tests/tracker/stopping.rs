//! The way to stop, as the library offers it.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{PATIENCE, Server, Socket};

#[tokio::test]
async fn sockets_are_closed_cleanly_when_the_tracker_stops() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let swarm = server.publish("film").await?;
    let (mut first, _) = Socket::enter(server.address, swarm, &[]).await?;
    let mut second = Socket::open(server.address).await?;
    let stopped = server.stop();
    assert_eq!(first.close_code().await?, 1001);
    assert_eq!(second.close_code().await?, 1001);
    timeout(PATIENCE, stopped).await??;
    Ok(())
}

#[tokio::test]
async fn while_it_stops_the_tracker_says_so_and_takes_no_more_peers() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let address = server.address;
    // It does not read, so that the answer to the close frame stays out and stopping takes a while.
    let mut lingering = Socket::open(address).await?;
    lingering.hello(None).await?;
    let stopped = server.stop();
    let is_refused = async {
        loop {
            let answer = crate::harness::request(address, "GET", "/readyz", &[], bytes::Bytes::new()).await?;
            if answer.status == 503 {
                return anyhow::Ok(());
            }
        }
    };
    timeout(PATIENCE, is_refused).await??;
    assert!(Socket::open(address).await.is_err());
    assert_eq!(lingering.close_code().await?, 1001);
    timeout(PATIENCE, stopped).await??;
    assert!(TcpStream::connect(address).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_tracker() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.stop = Duration::from_millis(300)).await?;
    let mut stream = TcpStream::connect(server.address).await?;
    let path = format!("/v1/manifests/{}", "0".repeat(64));
    let head = format!("PUT {path} HTTP/1.1\r\nhost: tracker\r\ncontent-length: 1000\r\n\r\nx");
    stream.write_all(head.as_bytes()).await?;
    timeout(PATIENCE, server.stop()).await??;
    Ok(())
}
