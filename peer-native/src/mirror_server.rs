//! A seeder as a mirror: files and their trees over HTTP, for viewers whose networks let no peer through.
//!
//! Serves what it was given and nothing else, at `/ROOT` and `/ROOT.tree`, where `ROOT` is the content's digest. One range is
//! answered by 206, one beyond the end by 416. A `Range` that is malformed or names several is ignored, as RFC 9110
//! (section 14.2) allows: the answer is 200 with everything. With a certificate it speaks
//! TLS, which HTTPS pages ask of a mirror; without one, a proxy has to.

mod patient_stream;
mod places;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use certificate_files::{Certificate, server_config};
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use swarm_core::ContentRoot;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::store::FileStamp;
use patient_stream::PatientStream;
use places::{Place, Places};

/// A handshake ends within this time, and so does a request's head…
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// …and a connection lasts no longer than this, whatever is read of it.
const CONNECTION_MAX: Duration = Duration::from_secs(600);
/// A reader that takes nothing for this long is dropped. A slow one stays: it takes something in this time.
const STALL: Duration = Duration::from_secs(15);
/// Connections that are told at a time that there is no place for them; others are closed without a word.
const REFUSALS_MAX: usize = 64;
/// Each of them for no longer than this, and no more of its request is read.
const REFUSAL_MAX: Duration = Duration::from_secs(2);
const REFUSED_BYTES_MAX: u64 = 8 * 1024;
/// What they are told.
const NO_PLACE: &str = "HTTP/1.1 503 Service Unavailable\r\naccess-control-allow-origin: *\r\nretry-after: 10\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 79\r\nconnection: close\r\n\r\n\
    your address or network has all the connections that this mirror gives to one.\n";
/// Bytes read and sent at a time.
const PART_BYTES: u64 = 64 * 1024;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// One file that is served.
#[derive(Debug, Clone)]
struct Served {
    path: PathBuf,
    stamp: FileStamp,
    media_type: String,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    files: Mutex<BTreeMap<String, Served>>,
    places: Places,
    pace: Pace,
    stall: Duration,
    /// How TLS is spoken; none for plain HTTP.
    tls: Option<Arc<ServerConfig>>,
}

/// The rate of all connections together.
#[derive(Debug)]
struct Pace {
    /// Bytes a second.
    rate: Option<u64>,
    /// When the next byte may leave. Locked for as long as one connection waits for that; the others follow in order.
    next: tokio::sync::Mutex<Instant>,
}

/// A running server. It ends with the program.
#[derive(Debug, Clone)]
pub struct MirrorServer {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl MirrorServer {
    /// Listens at `HOST:PORT`; sends at most `rate` bytes a second over all connections. Speaks TLS if there is a
    /// `certificate`, which is read again when it changes. Runs in a tokio runtime.
    pub async fn start(
        listen: &str,
        rate: Option<u64>,
        certificate: Option<Certificate>,
    ) -> io::Result<Self> {
        Self::start_with(listen, rate, certificate, STALL).await
    }

    async fn start_with(
        listen: &str,
        rate: Option<u64>,
        certificate: Option<Certificate>,
        stall: Duration,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let tls = certificate.map(tls_config).transpose().map_err(io::Error::other)?;
        let (files, places, pace) = (Mutex::default(), Places::default(), Pace::new(rate));
        let shared = Arc::new(Shared { files, places, pace, stall, tls });
        tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves a content and its tree from now on.
    pub fn add(
        &self,
        root: ContentRoot,
        media_type: &str,
        content: PathBuf,
        tree: PathBuf,
    ) -> io::Result<()> {
        let of = |path: PathBuf, media_type: &str| {
            let stamp = FileStamp::of(&File::open(&path)?)?;
            Ok::<_, io::Error>(Served { path, stamp, media_type: media_type.to_owned() })
        };
        let (content, tree) = (of(content, media_type)?, of(tree, "application/octet-stream")?);
        let mut files = lock(&self.shared.files);
        files.insert(format!("/{root}"), content);
        files.insert(format!("/{root}.tree"), tree);
        Ok(())
    }
}

/// Shows the certificate of the moment, for as long as the program runs.
fn tls_config(certificate: Certificate) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = server_config(certificate.resolver(), &[b"http/1.1"])?;
    tokio::spawn(async move { certificate.keep().await });
    Ok(config)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                if let Some(place) = shared.places.take(from.ip()) {
                    tokio::spawn(serve(stream, Arc::clone(&shared), place));
                } else if shared.tls.is_none()
                    // A handshake would cost more than the answer is worth: over TLS the connection just ends.
                    && let Ok(turn) = Arc::clone(&refusals).try_acquire_owned()
                {
                    tokio::spawn(refuse(stream, turn));
                }
            }
            // Too many open files, say: it passes.
            Err(error) => {
                tracing::debug!(%error, "a connection to the mirror was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Says that there is no place. What has come of the request is read: a connection that is closed before loses the answer.
async fn refuse(mut stream: TcpStream, turn: OwnedSemaphorePermit) {
    let talk = async {
        stream.write_all(NO_PLACE.as_bytes()).await?;
        stream.shutdown().await?;
        stream.take(REFUSED_BYTES_MAX).read_to_end(&mut Vec::new()).await
    };
    // Who does not listen is not waited for.
    _ = timeout(REFUSAL_MAX, talk).await;
    drop(turn);
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, place: Place) {
    let stream = PatientStream::new(stream, Arc::clone(&place.traffic), shared.stall);
    let served = async {
        match shared.tls.clone() {
            None => converse(stream, &shared).await,
            // One that talks nonsense is no failure of ours.
            Some(tls) => {
                if let Ok(Ok(stream)) = timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await {
                    converse(stream, &shared).await;
                }
            }
        }
    };
    tokio::select! {
        _ = timeout(CONNECTION_MAX, served) => {}
        () = place.traffic.gives_way() => {}
    }
    drop(place);
}

/// Answers requests until the connection ends.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, shared: &Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(shared);
        async move { Ok::<_, Infallible>(answer(&shared, &request)) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(16 * 1024);
    // One that leaves, or talks nonsense, is no failure of ours.
    _ = http.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(shared: &Arc<Shared>, request: &Request<Incoming>) -> Response<Body> {
    let is_head = match *request.method() {
        Method::GET => false,
        Method::HEAD => true,
        Method::OPTIONS => return bare(StatusCode::NO_CONTENT),
        _ => return bare(StatusCode::METHOD_NOT_ALLOWED),
    };
    let served = lock(&shared.files).get(request.uri().path()).cloned();
    let Some(served) = served else { return bare(StatusCode::NOT_FOUND) };
    let opened = File::open(&served.path).and_then(|file| Ok((FileStamp::of(&file)?, file)));
    let Ok((stamp, file)) = opened else { return bare(StatusCode::NOT_FOUND) };
    if stamp != served.stamp {
        // What it holds now is not what the link names.
        return bare(StatusCode::GONE);
    }
    let (length, text) = (stamp.length_bytes, |name: HeaderName| request.headers().get(name)?.to_str().ok());
    let tag = format!("\"{}\"", request.uri().path().trim_start_matches('/'));
    let is_same = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let wanted =
        text(header::RANGE).filter(|_| is_same).map_or(Wanted::All, |range| Wanted::of(range, length));
    let (status, range) = match wanted {
        Wanted::All => (StatusCode::OK, 0..length),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Beyond => {
            let mut refused = bare(StatusCode::RANGE_NOT_SATISFIABLE);
            set(&mut refused, header::CONTENT_RANGE, &format!("bytes */{length}"));
            return refused;
        }
    };
    let mut response = bare(status);
    set(&mut response, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    set(&mut response, header::CONTENT_TYPE, &served.media_type);
    set(&mut response, header::ETAG, &tag);
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
        set(&mut response, header::CONTENT_RANGE, &text);
    }
    if !is_head {
        let frames = parts(Arc::clone(shared), file, served.stamp, range).map(|part| part.map(Frame::data));
        *response.body_mut() = StreamBody::new(frames).boxed_unsync();
    }
    response
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Beyond,
}

impl Wanted {
    /// RFC 9110, sections 14.1.2 and 14.2: what is malformed, or names several ranges, is ignored.
    fn of(text: &str, length: u64) -> Self {
        let number = |digits: &str| -> Option<u64> {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // More digits than fit are beyond any end.
            is_number.then(|| digits.parse().unwrap_or(u64::MAX))
        };
        let Some((first, last)) = text.trim().strip_prefix("bytes=").and_then(|range| range.split_once('-'))
        else {
            return Self::All;
        };
        match (number(first), number(last)) {
            (None, Some(suffix)) if first.is_empty() && suffix > 0 && length > 0 => {
                Self::Part(length.saturating_sub(suffix)..length)
            }
            (None, Some(_)) if first.is_empty() => Self::Beyond,
            (Some(first), None) if last.is_empty() && first < length => Self::Part(first..length),
            (Some(first), Some(last)) if first <= last && first < length => {
                Self::Part(first..last.saturating_add(1).min(length))
            }
            (Some(first), Some(last)) if first > last => Self::All,
            (Some(_), Some(_)) => Self::Beyond,
            (Some(_), None) if last.is_empty() => Self::Beyond,
            (Some(_) | None, None) | (None, Some(_)) => Self::All,
        }
    }
}

/// An answer without a body: pages of all origins may read it, and no browser makes a page of it.
fn bare(status: StatusCode) -> Response<Body> {
    let empty = Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync();
    let mut response = Response::new(empty);
    *response.status_mut() = status;
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "range"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, "content-range, content-length, etag"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ALLOW, "GET, HEAD, OPTIONS"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn set(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The bytes of a range, read as they leave. An error cuts the connection: nothing wrong follows what was sent.
fn parts(
    shared: Arc<Shared>,
    file: File,
    stamp: FileStamp,
    range: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((shared, file, range), move |(shared, mut file, range)| async move {
        let length = PART_BYTES.min(range.end - range.start);
        if length == 0 {
            return Ok(None);
        }
        shared.pace.wait_turn(length).await;
        let reading = tokio::task::spawn_blocking(move || {
            if FileStamp::of(&file)? != stamp {
                return Err(io::Error::other("the file changed"));
            }
            let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
            file.seek(SeekFrom::Start(range.start))?;
            file.read_exact(&mut bytes)?;
            Ok((Bytes::from(bytes), file, range.start + length..range.end))
        });
        let (bytes, file, rest) = reading.await.map_err(io::Error::other)??;
        Ok(Some((bytes, (shared, file, rest))))
    })
}

impl Pace {
    fn new(rate: Option<u64>) -> Self {
        Self { rate, next: tokio::sync::Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may leave. A connection that ends while it waits takes nothing of the rate.
    async fn wait_turn(&self, bytes: u64) {
        let Some(rate) = self.rate else { return };
        let mut next = self.next.lock().await;
        sleep_until(*next).await;
        *next = (*next).max(Instant::now()) + Duration::from_micros(bytes * 1_000_000 / rate.max(1));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn requests_that_are_given_up_take_nothing_of_the_rate() {
        let pace = Pace::new(Some(PART_BYTES * 2));
        let began = Instant::now();
        pace.wait_turn(PART_BYTES).await;
        for _ in 0..200 {
            assert!(pace.wait_turn(PART_BYTES).now_or_never().is_none(), "it is not its turn yet");
        }
        let turn = tokio::time::timeout(Duration::from_secs(20), pace.wait_turn(PART_BYTES));
        assert!(turn.await.is_ok(), "it waits for those that left");
        assert!(began.elapsed() >= Duration::from_millis(500), "the rate holds");
    }

    /// A mirror with a file of `length_bytes`, and the path of that.
    async fn mirror(folder: &Path, length_bytes: usize, stall: Duration) -> (MirrorServer, String) {
        let (content, tree) = (folder.join("content"), folder.join("tree"));
        std::fs::write(&content, vec![7; length_bytes]).unwrap();
        std::fs::write(&tree, b"tree").unwrap();
        let server = MirrorServer::start_with("127.0.0.1:0", None, None, stall).await.unwrap();
        let root = ContentRoot([3; 32]);
        server.add(root, "video/mp4", content, tree).unwrap();
        (server, format!("/{root}"))
    }

    /// A reader with a small buffer that has asked for a path.
    async fn reader(server: &MirrorServer, path: &str) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let mut stream = socket.connect(server.address()).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: m\r\n\r\n").as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_dropped_and_its_place_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let stall = Duration::from_millis(1_500);
        let (server, path) = mirror(folder.path(), 32 << 20, stall).await;
        let reader = reader(&server, &path).await;
        let is_gone = async {
            // It comes before it goes.
            while server.shared.places.is_empty() {
                tokio::task::yield_now().await;
            }
            while !server.shared.places.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), is_gone).await.expect("it keeps its place");
        drop(reader);
    }

    #[tokio::test]
    async fn a_slow_reader_keeps_its_place_for_as_long_as_it_takes_something() {
        let folder = tempfile::tempdir().unwrap();
        let stall = Duration::from_millis(1_500);
        let (server, path) = mirror(folder.path(), 32 << 20, stall).await;
        let mut reader = reader(&server, &path).await;
        let (began, mut read, mut buffer) = (Instant::now(), 0, vec![0; 8 * 1024]);
        // 160 kB/s, over several times the bound.
        let mut turns = tokio::time::interval(Duration::from_millis(50));
        while began.elapsed() < stall * 4 {
            turns.tick().await;
            let count = reader.read(&mut buffer).await.expect("it was dropped");
            assert!(count > 0, "it was dropped after {read} bytes");
            read += count;
        }
        assert!(read < 4 << 20, "{read} bytes: it was not slow");
        assert!(!server.shared.places.is_empty());
    }

    #[tokio::test]
    async fn who_has_all_connections_of_its_address_is_told_so() {
        let folder = tempfile::tempdir().unwrap();
        let (server, path) = mirror(folder.path(), 32 << 20, Duration::from_secs(60)).await;
        let mut readers = Vec::new();
        let answer = loop {
            let mut next = reader(&server, &path).await;
            let mut line = [0; 12];
            next.read_exact(&mut line).await.unwrap();
            if &line != b"HTTP/1.1 200" {
                let mut rest = String::new();
                next.read_to_string(&mut rest).await.unwrap();
                break format!("{}{rest}", String::from_utf8_lossy(&line));
            }
            readers.push(next);
            assert!(readers.len() < 100, "nobody is refused");
        };
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503") && body.starts_with("your address"), "{answer}");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    }

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (text, wanted) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=5-", Wanted::Part(5..100)),
            ("bytes=-5", Wanted::Part(95..100)),
            ("bytes=-500", Wanted::Part(0..100)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=90-99999999999999999999999", Wanted::Part(90..100)),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=100-200", Wanted::Beyond),
            ("bytes=99999999999999999999999-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=5-1", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("groups=0-1", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(Wanted::of(text, 100), wanted, "{text}");
        }
    }
}
