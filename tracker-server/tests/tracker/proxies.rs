//! Behind proxies: whose word counts, with and without a PROXY header, and below a path.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tracker_server::proxies::TrustedProxies;
use tracker_server::{Page, ServerConfig};

use crate::harness::{PATIENCE, Server, Socket, request};

/// A tracker that lets each address in once, so that a second peer of one is refused.
async fn server(trusted: &[&str], is_proxy_protocol: bool) -> anyhow::Result<Server> {
    let proxies = TrustedProxies::parse(false, trusted.iter().copied()).map_err(anyhow::Error::msg)?;
    Server::start_with(|config: &mut ServerConfig| {
        config.tracker.connections_per_address_max = 1;
        config.proxies = proxies;
        config.is_proxy_protocol = is_proxy_protocol;
    })
    .await
}

/// A WebSocket that a proxy passes on: `first` before everything, these headers in its request.
async fn open(server: SocketAddr, first: &[u8], headers: &[(&'static str, &str)]) -> anyhow::Result<Socket> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(first).await?;
    let mut request = format!("ws://{server}/v1/swarm").into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse()?);
    }
    let open = tokio_tungstenite::client_async(request, MaybeTlsStream::Plain(stream));
    Ok(Socket::over(timeout(PATIENCE, open).await??.0))
}

/// Whether a peer is let in.
async fn enters(socket: &mut Socket) -> bool {
    socket.hello(None).await.is_ok()
}

#[tokio::test]
async fn peers_behind_a_trusted_proxy_count_by_their_own_addresses() -> anyhow::Result<()> {
    let server = server(&["127.0.0.1", "10.0.0.0/8"], false).await?;
    let from = async |value: &str| open(server.address, b"", &[("x-forwarded-for", value)]).await;
    let mut first = from("203.0.113.1").await?;
    assert!(enters(&mut first).await);
    let mut second = from("203.0.113.2:4711, 10.0.0.3").await?;
    assert!(enters(&mut second).await, "another address");
    assert!(
        !enters(&mut from("198.51.100.9, 203.0.113.1").await?).await,
        "an address that it invented does not help"
    );
    let mut third = open(server.address, b"", &[("forwarded", "for=\"[2001:db8::1]:80\"")]).await?;
    assert!(enters(&mut third).await);
    Ok(())
}

#[tokio::test]
async fn headers_of_strangers_are_ignored() -> anyhow::Result<()> {
    for trusted in [&[][..], &["203.0.113.0/24"]] {
        let server = server(trusted, false).await?;
        let mut first = open(server.address, b"", &[("x-forwarded-for", "203.0.113.1")]).await?;
        assert!(enters(&mut first).await);
        for header in [("x-forwarded-for", "203.0.113.2"), ("forwarded", "for=203.0.113.3")] {
            assert!(!enters(&mut open(server.address, b"", &[header]).await?).await, "{header:?}");
        }
        // Nor is the host that they name: this origin is not the tracker's own.
        let headers = [("origin", "http://films.example"), ("x-forwarded-host", "films.example")];
        let answer = request(server.address, "GET", "/v1/swarms", &headers, Vec::new().into()).await?;
        assert_eq!(answer.status, 403);
    }
    let believed = server(&["127.0.0.0/8"], false).await?;
    let headers = [("origin", "http://films.example"), ("x-forwarded-host", "films.example")];
    let answer = request(believed.address, "GET", "/v1/swarms", &headers, Vec::new().into()).await?;
    assert_eq!(answer.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_proxy_header_names_the_sender_in_both_versions() -> anyhow::Result<()> {
    let server = server(&["127.0.0.1"], true).await?;
    let line = |from: &str| format!("PROXY TCP4 {from} 192.0.2.1 4711 443\r\n").into_bytes();
    let binary =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[203, 0, 113, 2, 192, 0, 2, 1, 1, 2, 3, 4]].concat();
    let mut first = open(server.address, &line("203.0.113.1"), &[]).await?;
    assert!(enters(&mut first).await);
    let mut second = open(server.address, &binary, &[]).await?;
    assert!(enters(&mut second).await);
    // Whom the header names is no proxy, so its own words do not count.
    let invented = [("x-forwarded-for", "198.51.100.9")];
    for header in [&line("203.0.113.1"), &line("203.0.113.2"), &binary] {
        assert!(!enters(&mut open(server.address, header, &invented).await?).await, "{header:?}");
    }
    Ok(())
}

#[tokio::test]
async fn behind_a_proxy_header_that_names_no_sender_headers_do_not_count() -> anyhow::Result<()> {
    let server = server(&["127.0.0.1"], true).await?;
    let unknown = &b"PROXY UNKNOWN\r\n"[..];
    let local = &b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\x00"[..];
    let mut first = open(server.address, unknown, &[("x-forwarded-for", "203.0.113.1")]).await?;
    assert!(enters(&mut first).await, "it counts as the proxy's own");
    for header in [unknown, local] {
        let invented = [("x-forwarded-for", "203.0.113.2")];
        assert!(!enters(&mut open(server.address, header, &invented).await?).await, "{header:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_without_its_header_is_closed_and_a_stranger_needs_none() -> anyhow::Result<()> {
    let strict = server(&["127.0.0.1"], true).await?;
    for start in [&b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"[..], b"PROXY TCP4 nonsense\r\n"] {
        let mut stream = TcpStream::connect(strict.address).await?;
        stream.write_all(start).await?;
        let mut answer = Vec::new();
        // A reset is as good as an end.
        _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await?;
        assert_eq!(String::from_utf8(answer)?, "");
    }
    let metrics = strict.metrics().await?;
    assert_eq!(metrics.status, 200, "the private listener takes no such headers");
    let other = server(&["203.0.113.0/24"], true).await?;
    assert_eq!(other.get("/healthz").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_sender_that_proxy_headers_name_takes_no_more_places_than_one_that_comes_itself()
-> anyhow::Result<()> {
    let proxies = TrustedProxies::parse(true, []).map_err(anyhow::Error::msg)?;
    let server = Server::start_with(|config| {
        (config.proxies, config.is_proxy_protocol, config.connections_max) = (proxies, true, 40);
    })
    .await?;
    let ask = async |sender: &str| {
        let mut stream = TcpStream::connect(server.address).await?;
        let head = format!("PROXY TCP4 {sender} 127.0.0.1 1 2\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut status = [0; 12];
        _ = timeout(PATIENCE, stream.read_exact(&mut status)).await??;
        anyhow::Ok((stream, String::from_utf8(status.to_vec())?))
    };
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..45 {
        let (stream, status) = ask("203.0.113.9").await?;
        if status == "HTTP/1.1 200" { open.push(stream) } else { refused += 1 }
    }
    assert!(refused > 0, "one sender had all places");
    let (_stream, status) = ask("198.51.100.7").await?;
    assert_eq!(status, "HTTP/1.1 200", "another sender is let in");
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_sends_no_header_in_time_is_closed() -> anyhow::Result<()> {
    let proxies = TrustedProxies::parse(true, []).map_err(anyhow::Error::msg)?;
    let server = Server::start_with(|config| {
        config.proxies = proxies;
        config.is_proxy_protocol = true;
        config.deadlines.header = std::time::Duration::from_millis(100);
    })
    .await?;
    let mut stream = TcpStream::connect(server.address).await?;
    stream.write_all(b"PROXY TC").await?;
    let read = timeout(PATIENCE, stream.read(&mut [0; 8])).await?;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    Ok(())
}

#[tokio::test]
async fn everything_is_served_below_the_base_path() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("index.html"), "the page")?;
    let page = Page::Directory(folder.path().to_owned());
    let base = "/films".parse()?;
    let server = Server::start_with(|config| (config.page, config.base_path) = (page, base)).await?;
    let index = server.get("/films/").await?;
    assert_eq!((index.status.as_u16(), index.text().as_str()), (200, "the page"));
    assert!(index.header("content-security-policy").contains("frame-ancestors 'self'"));
    assert_eq!(index.header("x-content-type-options"), "nosniff");
    let folder = server.get("/films?a=b").await?;
    assert_eq!((folder.status.as_u16(), folder.header("location")), (308, "/films/?a=b"));
    assert_eq!(server.get("/films/v1/swarms").await?.text(), "{\"swarms\":[]}");
    // The rules for pages of other origins hold there as well.
    let foreign = [("origin", "https://evil.example")];
    let refused = request(server.address, "GET", "/films/v1/swarms", &foreign, Vec::new().into()).await?;
    assert_eq!(refused.status, 403);
    for (path, status) in
        [("/", 404), ("/v1/swarms", 404), ("/filmsv1/swarms", 404), ("/healthz", 200), ("/readyz", 200)]
    {
        let answer = server.get(path).await?;
        assert_eq!(answer.status, status, "{path}");
        assert!(status == 200 || answer.text().contains("below /films/ (--base-path)"), "{}", answer.text());
    }
    let open = tokio_tungstenite::connect_async(format!("ws://{}/films/v1/swarm", server.address));
    let mut socket = Socket::over(timeout(PATIENCE, open).await.context("no socket")??.0);
    assert!(enters(&mut socket).await);
    Ok(())
}
