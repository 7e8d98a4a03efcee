//! A seeder as a mirror, asked by clients that do as they please.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use certificate_files::{Certificate, CertificateFiles, LOOK_INTERVAL, provider};
use peer_native::mirror_server::MirrorServer;
use swarm_core::ContentRoot;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::content::{self, DEADLINE};

const LENGTH: usize = 300_000;

struct Scene {
    directory: TempDir,
    server: MirrorServer,
    root: ContentRoot,
}

impl Scene {
    async fn new(rate: Option<u64>) -> Self {
        Self::with(tempfile::tempdir().unwrap(), rate, None).await
    }

    async fn with(directory: TempDir, rate: Option<u64>, certificate: Option<Certificate>) -> Self {
        content::file(directory.path(), "film", 1, LENGTH);
        content::file(directory.path(), "film.tree", 2, 100);
        let server = MirrorServer::start("127.0.0.1:0", rate, certificate).await.unwrap();
        let root = ContentRoot([7; 32]);
        let at = |name: &str| directory.path().join(name);
        server.add(root, "video/mp4", at("film"), at("film.tree")).unwrap();
        Self { directory, server, root }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Head and body of the answer to one request, after which the connection is closed.
    async fn ask(&self, request: &str) -> (String, Vec<u8>) {
        let mut stream = self.connect();
        let request = request.replace("ROOT", &self.root.to_string());
        let asked = tokio::task::spawn_blocking(move || {
            // A server that has no place for it may have closed it already.
            let _ = write!(stream, "{request}\r\nhost: h\r\nconnection: close\r\n\r\n");
            let mut answer = Vec::new();
            // What is cut counts as far as it came.
            let _ = stream.read_to_end(&mut answer);
            answer
        });
        let answer = asked.await.unwrap();
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(answer.len());
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        (head, answer.get(end + 4..).unwrap_or_default().to_vec())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_answered_by_its_bytes_and_any_page_may_read_them() {
    let scene = Scene::new(None).await;
    let film = content::bytes(1, LENGTH);
    let (head, body) = scene.ask("GET /ROOT HTTP/1.1\r\nrange: bytes=100-200099").await;
    assert!(head.starts_with("http/1.1 206"), "{head}");
    assert_eq!(body, film[100..200_100]);
    for line in [
        "content-range: bytes 100-200099/300000",
        "access-control-allow-origin: *",
        "x-content-type-options: nosniff",
        "content-type: video/mp4",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    let (head, body) = scene.ask("GET /ROOT.tree HTTP/1.1\r\nrange: bytes=-10").await;
    assert!(
        head.contains("content-range: bytes 90-99/100") && body == content::bytes(2, 100)[90..],
        "{head}"
    );
    let (head, body) = scene.ask("HEAD /ROOT HTTP/1.1").await;
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 300000") && body.is_empty());
    let (head, _) = scene.ask("OPTIONS /ROOT HTTP/1.1").await;
    assert!(
        head.starts_with("http/1.1 204") && head.contains("access-control-allow-headers: range"),
        "{head}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_by_one_range_is_answered_as_the_standard_says() {
    let scene = Scene::new(None).await;
    let film = content::bytes(1, LENGTH);
    for range in ["bytes=5-1", "bytes=0-1,5-6", "bytes=x", "lines=0-1"] {
        let (head, body) = scene.ask(&format!("GET /ROOT HTTP/1.1\r\nrange: {range}")).await;
        assert!(head.starts_with("http/1.1 200") && body == film, "{range}: {head}");
    }
    let (head, body) = scene.ask("GET /ROOT HTTP/1.1\r\nrange: bytes=300000-").await;
    assert!(head.starts_with("http/1.1 416") && head.contains("content-range: bytes */300000"), "{head}");
    assert!(body.is_empty());
    let (head, _) = scene.ask("GET /ROOT HTTP/1.1\r\nrange: bytes=0-1\r\nif-range: \"other\"").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_what_it_was_given_is_served() {
    let scene = Scene::new(None).await;
    for request in [
        "GET / HTTP/1.1",
        "GET /../film HTTP/1.1",
        "GET /ROOT/../../film HTTP/1.1",
        "GET //ROOT HTTP/1.1",
        "GET /ROOT.tree.part HTTP/1.1",
        "POST /ROOT HTTP/1.1",
        "nonsense",
    ] {
        let (head, body) = scene.ask(request).await;
        assert!(head.starts_with("http/1.1 4") && body.is_empty(), "{request}: {head}");
    }
    content::file(scene.directory.path(), "film", 3, LENGTH - 1);
    let (head, _) = scene.ask("GET /ROOT HTTP/1.1").await;
    assert!(head.starts_with("http/1.1 410"), "it changed: {head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_few_places_and_gets_them_back() {
    let scene = Scene::new(None).await;
    let held: Vec<TcpStream> = (0..8).map(|_| scene.connect()).collect();
    let (head, body) = scene.ask("GET /ROOT HTTP/1.1").await;
    let words = String::from_utf8_lossy(&body);
    assert!(
        head.starts_with("http/1.1 503") && words.contains("all the connections"),
        "a ninth connection is told that there is no place: {head} {words}"
    );
    drop(held);
    let begun = Instant::now();
    loop {
        let (head, _) = scene.ask("HEAD /ROOT HTTP/1.1").await;
        if head.starts_with("http/1.1 200") {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "no place is given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_holds_over_all_connections() {
    // 600 kB at 400 kB/s: the first 64 KiB leave at once.
    let scene = Scene::new(Some(400_000)).await;
    let begun = Instant::now();
    let both = tokio::join!(scene.ask("GET /ROOT HTTP/1.1"), scene.ask("GET /ROOT HTTP/1.1"));
    assert_eq!((both.0.1.len(), both.1.1.len()), (LENGTH, LENGTH));
    assert!(begun.elapsed().as_millis() >= 1300, "{:?}", begun.elapsed());
}

/// Writes a certificate for `localhost` and its key.
fn certify(files: &CertificateFiles) -> CertificateDer<'static> {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    certificate.der().clone()
}

/// The answer over TLS to one that trusts nothing but this certificate.
fn ask_over_tls(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    request: &str,
) -> io::Result<Vec<u8>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut stream = StreamOwned::new(connection, stream);
    write!(stream, "{request}\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_it_speaks_tls_and_shows_a_renewed_one() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| Path::join(directory.path(), name);
    let files = CertificateFiles { certificate: at("c.pem"), key: at("k.pem") };
    let first = certify(&files);
    let certificate = Certificate::read(files.clone()).unwrap();
    let scene = Scene::with(directory, None, Some(certificate)).await;
    let (address, film) = (scene.server.address(), content::bytes(1, LENGTH));
    let request = format!("GET /{} HTTP/1.1\r\nrange: bytes=100-200099", scene.root);
    let over_tls = {
        let request = request.clone();
        move |trusted: &CertificateDer<'static>| {
            let (trusted, request) = (trusted.clone(), request.clone());
            tokio::task::spawn_blocking(move || ask_over_tls(address, &trusted, &request))
        }
    };
    let answer = over_tls(&first).await.unwrap().unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 206") && answer.ends_with(&film[100..200_100]));

    // Nothing is said in the clear.
    let (head, body) = scene.ask(&request).await;
    assert!(!head.contains("http/1.1") && body.is_empty(), "{head}");

    let second = certify(&files);
    tokio::time::sleep(LOOK_INTERVAL * 3).await;
    assert!(over_tls(&second).await.unwrap().unwrap().starts_with(b"HTTP/1.1 206"));
    assert!(over_tls(&first).await.unwrap().is_err(), "the one before is shown still");
}
