//! The tracker over TLS: HTTP/1.1, HTTP/2 and WebSockets, and what is done about those that stand in the way.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use certificate_files::CertificateFiles;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use swarm_core::tracker_message::{ErrorCode, TrackerMessage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;
use tracker_server::decision::Rate;
use tracker_server::{Page, ServerConfig, Tls};

use crate::harness::{PATIENCE, Server, code_of, request};

const NAME: &str = "films.example.org";

/// Begins an HTTP/2 connection (RFC 9113, section 3.4), with settings that let nothing be sent to this side.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";

/// An authority of its own, and the files of one certificate.
struct Pki {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Pki {
    fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key)?.der().clone();
        let pki = Self { folder: tempfile::tempdir()?, issuer: Issuer::new(params, key), root };
        pki.issue()?;
        Ok(pki)
    }

    /// Writes a certificate with a key of its own.
    fn issue(&self) -> anyhow::Result<()> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(vec![NAME.into()])?.signed_by(&key, &self.issuer)?;
        let files = self.files();
        std::fs::write(files.key, key.serialize_pem())?;
        std::fs::write(files.certificate, certificate.pem())?;
        Ok(())
    }

    fn files(&self) -> CertificateFiles {
        let path = |name| Path::join(self.folder.path(), name);
        CertificateFiles { certificate: path("certificate.pem"), key: path("key.pem") }
    }

    async fn serve(&self, change: impl FnOnce(&mut ServerConfig)) -> anyhow::Result<Server> {
        let tls = Tls::from_files(self.files())?;
        Server::start_with(|config| {
            config.tls = Some(tls);
            change(config);
        })
        .await
    }

    async fn connect(&self, address: SocketAddr, protocol: &str) -> anyhow::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let provider = tokio_rustls::rustls::crypto::ring::default_provider();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.into()];
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            TlsConnector::from(Arc::new(config))
                .connect(ServerName::try_from(NAME)?, stream)
                .await
                .map_err(anyhow::Error::from)
        };
        let stream = timeout(PATIENCE, connect).await.context("no TLS handshake")??;
        let agreed = stream.get_ref().1.alpn_protocol();
        anyhow::ensure!(agreed == Some(protocol.as_bytes()), "agreed on {agreed:?}");
        Ok(stream)
    }

    /// The certificate that is shown.
    async fn shown(&self, address: SocketAddr) -> anyhow::Result<CertificateDer<'static>> {
        let stream = self.connect(address, "http/1.1").await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        shown.map(|shown| shown.clone().into_owned()).context("no certificate")
    }
}

/// Waits until the other side has closed; the bytes that came before.
async fn closed(stream: &mut (impl AsyncReadExt + Unpin)) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A connection that is cut instead of closed is an error of reading, and as good.
    _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.context("the connection was not closed")?;
    Ok(bytes)
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of `GET path`, in HPACK without any compression.
fn head(path: &str) -> Vec<u8> {
    let text = |name: u8, text: &str| {
        [&[name, u8::try_from(text.len()).unwrap_or(u8::MAX)], text.as_bytes()].concat()
    };
    [vec![0x82, 0x87], text(0x04, path), text(0x01, NAME)].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[tokio::test]
async fn a_request_is_answered_in_both_versions_of_http_by_the_name_of_the_certificate() -> anyhow::Result<()>
{
    let pki = Pki::new()?;
    let server = pki.serve(|_| {}).await?;
    let request =
        || Request::get(format!("https://{NAME}/healthz")).header("host", NAME).body(Empty::<&[u8]>::new());
    let stream = TokioIo::new(pki.connect(server.address, "http/1.1").await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let answer = timeout(PATIENCE, sender.send_request(request()?)).await??;
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, Version::HTTP_11));
    let stream = TokioIo::new(pki.connect(server.address, "h2").await?);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
    tokio::spawn(connection);
    let mut answers = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (mut sender, request) = (sender.clone(), request()?);
        answers.spawn(async move {
            let answer = sender.send_request(request).await?;
            let (status, version) = (answer.status(), answer.version());
            anyhow::Ok((status, version, answer.into_body().collect().await?.to_bytes()))
        });
    }
    for answer in timeout(PATIENCE, answers.join_all()).await? {
        assert_eq!(answer?, (StatusCode::OK, Version::HTTP_2, "ok\n".into()));
    }
    Ok(())
}

#[tokio::test]
async fn a_websocket_opens_over_tls() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let server = pki.serve(|_| {}).await?;
    let stream = pki.connect(server.address, "http/1.1").await?;
    let open = tokio_tungstenite::client_async(format!("wss://{NAME}/v1/swarm"), stream);
    let (mut socket, _) = timeout(PATIENCE, open).await??;
    futures_util::SinkExt::send(&mut socket, Message::text("{")).await?;
    let answer = timeout(PATIENCE, futures_util::StreamExt::next(&mut socket)).await?.context("closed")??;
    let answer = TrackerMessage::decode(answer.to_text()?)?;
    assert_eq!(code_of(&answer.body)?, ErrorCode::BadRequest);
    Ok(())
}

#[tokio::test]
async fn a_name_that_another_points_at_a_private_address_is_refused_without_tls_only() -> anyhow::Result<()> {
    let server = Server::start().await?;
    let answer = request(server.address, "GET", "http://films.example.org/healthz", &[], "".into()).await?;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    Ok(())
}

#[tokio::test]
async fn a_handshake_that_is_not_done_in_time_is_closed() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let server = pki.serve(|config| config.deadlines.header = Duration::from_millis(50)).await?;
    // Nothing at all, and the beginning of a ClientHello.
    for beginning in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = TcpStream::connect(server.address).await?;
        stream.write_all(beginning).await?;
        closed(&mut stream).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_before_its_handshake() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let server = pki.serve(|config| config.connections_max = 1).await?;
    let mut first = pki.connect(server.address, "http/1.1").await?;
    let mut second = TcpStream::connect(server.address).await?;
    assert_eq!(closed(&mut second).await?, b"", "nothing is encrypted for one that gets no place");
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: films.example.org\r\nconnection: close\r\n\r\n").await?;
    let answer = closed(&mut first).await?;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[tokio::test]
async fn an_http2_connection_that_says_nothing_is_closed() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let server = pki
        .serve(|config| {
            config.deadlines.header = Duration::from_millis(50);
            config.deadlines.send = Duration::from_millis(50);
        })
        .await?;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("/healthz"));
    for beginning in [&b""[..], &PREFACE[..10], PREFACE, &[PREFACE, &request].concat()] {
        let mut stream = pki.connect(server.address, "h2").await?;
        stream.write_all(beginning).await?;
        stream.flush().await?;
        closed(&mut stream).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_http2_request_that_never_ends_is_closed() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let server = pki.serve(|config| config.deadlines.header = Duration::from_millis(100)).await?;
    let stream = pki.connect(server.address, "h2").await?;
    let (mut read, mut write) = tokio::io::split(stream);
    write.write_all(PREFACE).await?;
    write.write_all(&frame(HEADERS, END_STREAM, 1, &[0x82])).await?;
    let drip = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        loop {
            ticks.tick().await;
            let part = frame(CONTINUATION, 0, 1, b"");
            if write.write_all(&part).await.is_err() || write.flush().await.is_err() {
                return std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        bytes = closed(&mut read) => bytes.map(drop),
        () = drip => Ok(()),
    }
}

#[tokio::test]
async fn who_asks_over_http2_and_takes_nothing_is_closed() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let www = tempfile::tempdir()?;
    std::fs::write(www.path().join("long"), vec![0; 8 << 20])?;
    let directory = www.path().to_owned();
    let server = pki
        .serve(|config| {
            config.page = Page::Directory(directory);
            config.connections_max = 1;
            config.deadlines.send = Duration::from_millis(50);
        })
        .await?;
    let mut stream = pki.connect(server.address, "h2").await?;
    let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &head("/long"));
    stream.write_all(&[PREFACE, &request].concat()).await?;
    stream.flush().await?;
    closed(&mut stream).await?;
    // Its place is free again.
    pki.connect(server.address, "h2").await.map(drop)
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_their_connection() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    // Longer than this test waits: it is not for doing nothing that the connection ends.
    let server = pki
        .serve(|config| {
            config.deadlines.header = Duration::from_secs(600);
            config.deadlines.send = Duration::from_secs(600);
        })
        .await?;
    let mut stream = pki.connect(server.address, "h2").await?;
    let mut flood = PREFACE.to_vec();
    for index in 0..2_000 {
        let id = index * 2 + 1;
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, id, &head("/healthz")));
        flood.extend(frame(RST_STREAM, 0, id, &8_u32.to_be_bytes()));
    }
    // It may be closed before all is written.
    _ = stream.write_all(&flood).await;
    _ = stream.flush().await;
    closed(&mut stream).await.map(drop)
}

#[tokio::test]
async fn who_asks_over_tls_and_does_not_read_is_cut() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let www = tempfile::tempdir()?;
    std::fs::write(www.path().join("long"), vec![0; 64 << 20])?;
    let directory = www.path().to_owned();
    let server = pki
        .serve(|config| {
            config.page = Page::Directory(directory);
            config.connections_max = 1;
            config.deadlines.send = Duration::from_millis(100);
        })
        .await?;
    let mut stream = pki.connect(server.address, "http/1.1").await?;
    stream.write_all(b"GET /long HTTP/1.1\r\nhost: films.example.org\r\n\r\n").await?;
    stream.flush().await?;
    // The only place is free again although nothing was read.
    let is_served = async { while pki.connect(server.address, "h2").await.is_err() {} };
    timeout(PATIENCE, is_served).await?;
    drop(stream);
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_changes_is_read_again_unless_it_is_broken() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    // It looks as often as it can.
    let server = pki.serve(|config| config.handshakes = Rate { per_s: 1_000_000, burst: 1_000_000 }).await?;
    let first = pki.shown(server.address).await?;
    let pem = std::fs::read(pki.files().certificate)?;
    pki.issue()?;
    let second = changed(&pki, server.address, &first).await?;
    // The first certificate again, but not its key: what was shown last stays, until there is a sound pair.
    std::fs::write(pki.files().certificate, pem)?;
    let looked = certificate_files::LOOK_INTERVAL * 3;
    let start = tokio::time::Instant::now();
    while start.elapsed() < looked {
        assert_eq!(pki.shown(server.address).await?, second);
    }
    pki.issue()?;
    let third = changed(&pki, server.address, &second).await?;
    assert!(third != first && third != second);
    Ok(())
}

/// Waits until another certificate than `last` is shown.
async fn changed(
    pki: &Pki,
    address: SocketAddr,
    last: &CertificateDer<'_>,
) -> anyhow::Result<CertificateDer<'static>> {
    let wait = async {
        loop {
            let shown = pki.shown(address).await?;
            if shown != *last {
                return Ok(shown);
            }
        }
    };
    timeout(PATIENCE, wait).await.context("the certificate never changed")?
}

#[tokio::test]
async fn handshakes_of_one_address_have_a_rate() -> anyhow::Result<()> {
    let pki = Pki::new()?;
    let server = pki.serve(|config| config.handshakes = Rate { per_s: 1, burst: 3 }).await?;
    let mut refused = 0;
    for _ in 0..8 {
        refused += u32::from(pki.connect(server.address, "http/1.1").await.is_err());
    }
    assert!((3..=5).contains(&refused), "{refused}");
    server.wait_for_metric(&format!("tributary_tracker_refused_connections_total {refused}")).await?;
    Ok(())
}
