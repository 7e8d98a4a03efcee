//! Publications whose bodies arrive slowly, or not at all.

use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tracker_server::PUBLICATIONS_PER_SUBNET_MAX;

use crate::harness::{PATIENCE, Server, manifest};

/// Heads of publications whose bodies do not come.
async fn slow_publications(server: &Server, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    for index in 0..count {
        let mut stream = TcpStream::connect(server.address).await?;
        let head = format!(
            "PUT /v1/manifests/{index:064x} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        streams.push(stream);
    }
    Ok(streams)
}

#[tokio::test]
async fn slow_bodies_of_one_address_do_not_keep_others_from_publishing() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.body = Duration::from_secs(60)).await?;
    let _slow = slow_publications(&server, 100).await?;
    let (swarm, bytes) = manifest("film")?;
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 1, 2, 3], 0).into())?;
    let publish = async {
        let mut stream = socket.connect(server.address).await?;
        let head = format!(
            "PUT /v1/manifests/{swarm} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            bytes.len()
        );
        stream.write_all(&[head.as_bytes(), &bytes].concat()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = timeout(Duration::from_secs(5), publish).await??;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up_in_one_line() -> anyhow::Result<()> {
    let server = Server::start_with(|config| config.deadlines.body = Duration::from_millis(100)).await?;
    let mut slow = slow_publications(&server, 1).await?;
    let mut answer = String::new();
    timeout(PATIENCE, slow[0].read_to_string(&mut answer)).await??;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.ends_with("the manifest arrives too slowly\n"), "{answer}");
    Ok(())
}

/// The head of a publication whose body does not come, from a host of one subnet. It asks to hear when its turn has come.
async fn waiting_publication(server: &Server, host: u8) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 7, 7, host], 0).into())?;
    let mut stream = socket.connect(server.address).await?;
    let head = format!(
        "PUT /v1/manifests/{host:064x} HTTP/1.1\r\nhost: 127.0.0.1\r\nexpect: 100-continue\r\ncontent-length: 1000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

#[tokio::test]
async fn slow_bodies_from_many_addresses_of_a_subnet_do_not_keep_others_from_publishing() -> anyhow::Result<()>
{
    let server = Server::start_with(|config| config.deadlines.body = Duration::from_secs(60)).await?;
    let mut slow = Vec::new();
    for host in 1..=96 {
        slow.push(waiting_publication(&server, host).await?);
    }
    // The first ones have their turns.
    let (served, waiting) = slow.split_at_mut(PUBLICATIONS_PER_SUBNET_MAX);
    for stream in served {
        let mut answer = [0; 12];
        let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await;
        read.context("one of the first has no turn")??;
        anyhow::ensure!(answer == *b"HTTP/1.1 100", "{}", String::from_utf8_lossy(&answer));
    }
    let (swarm, bytes) = manifest("film")?;
    let path = format!("/v1/manifests/{swarm}");
    let put = server.put(&path, bytes);
    let answer = timeout(Duration::from_secs(5), put).await.context("others wait for slow bodies")??;
    assert_eq!(answer.status, 201, "{answer:?}");
    let more = waiting.iter().filter(|stream| stream.try_read(&mut [0; 12]).is_ok()).count();
    assert_eq!(more, 0, "a subnet has more turns than its share");
    Ok(())
}
