//! A mirror: a plain HTTP server with a film and its tree, good or bad.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::internet::Host;
use crate::program::Program;
use crate::seeder;

/// How long a film may take to be hashed.
const TREE_TIMEOUT: Duration = Duration::from_secs(60);

/// How a mirror answers. A bad one is good to those who publish: they see it before it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should.
    Good,
    /// One bit of the film is another in each answer.
    FlipsABit,
    /// The connection ends after half of the bytes.
    Truncates,
    /// Nothing follows the head.
    Stalls,
    /// Elsewhere.
    Redirects,
    /// The whole file, whatever was asked for.
    Whole,
    /// A page for people.
    Page,
}

#[derive(Debug)]
struct Shared {
    files: BTreeMap<String, Vec<u8>>,
    manner: Mutex<Manner>,
    has_cors: AtomicBool,
    is_dead: AtomicBool,
    sent_bytes: AtomicU64,
}

/// A running mirror. Dropping it kills it.
#[derive(Debug)]
pub struct Mirror {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Mirror {
    /// A mirror of a film on this machine's loopback. Its tree is made by `seeder tree`.
    pub fn start(film: &Path, home: &Path) -> Result<Self> {
        Self::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, film, home)
    }

    /// The same on a host of its own.
    pub fn start_on(host: &Host, film: &Path, home: &Path) -> Result<Self> {
        Self::serve(host.listen(8000)?, film, home)
    }

    fn serve(listener: TcpListener, film: &Path, home: &Path) -> Result<Self> {
        let out = home.join("of-the-mirror.tree");
        let mut command = seeder::command(home)?;
        command.arg("tree").arg(film).arg("--out").arg(&out).arg("--json");
        let ended = Program::start("tree", &mut command)?.wait_end(TREE_TIMEOUT)?;
        ensure!(ended.status.success(), "no tree was written: {ended:?}");
        let name = film.file_name().context("a film without a name")?.to_string_lossy().into_owned();
        let tree = std::fs::read(&out)?;
        let files =
            BTreeMap::from([(format!("/{name}.tree"), tree), (format!("/{name}"), std::fs::read(film)?)]);
        let shared = Arc::new(Shared {
            files,
            manner: Mutex::new(Manner::Good),
            has_cors: AtomicBool::new(true),
            is_dead: AtomicBool::new(false),
            sent_bytes: AtomicU64::new(0),
        });
        let address = listener.local_addr()?;
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if own.is_dead.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&own);
                // A browser that leaves is no failure.
                thread::spawn(move || drop(shared.answer(stream)));
            }
        });
        Ok(Self { shared, address })
    }

    /// Address of the film.
    pub fn url(&self) -> String {
        let film = self.shared.files.keys().find(|name| !name.ends_with(".tree"));
        format!("http://{}{}", self.address, film.map_or("", String::as_str))
    }

    /// From now on it answers like this.
    pub fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
    }

    /// From now on it lets no page of another origin read what it sends.
    pub fn refuse_pages(&self) {
        self.shared.has_cors.store(false, Ordering::SeqCst);
    }

    /// Bytes of bodies that it sent.
    pub fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes.load(Ordering::SeqCst)
    }

    /// Ends it: nothing is answered any more, and what is under way is cut.
    pub fn kill(&self) {
        self.shared.is_dead.store(true, Ordering::SeqCst);
        // The listener looks up, and closes.
        let _ = TcpStream::connect(self.address);
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) -> Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let length = reader.read_line(&mut line)?;
            if length == 0 || line.trim().is_empty() {
                break;
            }
            lines.push(line.trim().to_owned());
        }
        let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        let range = lines.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let (start, end) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
            let range = (start.parse::<usize>().ok()?, end.parse::<usize>().ok()?);
            name.eq_ignore_ascii_case("range").then_some(range)
        });
        let is_preflight = lines.first().is_some_and(|line| line.starts_with("OPTIONS"));
        let manner = *self.manner.lock().unwrap_or_else(PoisonError::into_inner);
        let cors = if self.has_cors.load(Ordering::SeqCst) {
            "access-control-allow-origin: *\r\naccess-control-allow-headers: range\r\n\
             access-control-expose-headers: content-range\r\n"
        } else {
            ""
        };
        let mut head = |line: &str, length: usize| {
            write!(stream, "HTTP/1.1 {line}\r\n{cors}content-length: {length}\r\nconnection: close\r\n\r\n")
        };
        let Some(file) = self.files.get(&path).filter(|_| !is_preflight) else {
            return Ok(head(if is_preflight { "204 No Content" } else { "404 Not Found" }, 0)?);
        };
        let (start, end) = range.map_or((0, file.len()), |(start, end)| (start, end + 1));
        let part = file.get(start..end.min(file.len())).unwrap_or_default();
        let is_film = !path.ends_with(".tree");
        let partial =
            format!("206 Partial Content\r\ncontent-range: bytes {start}-{}/{}", end - 1, file.len());
        match manner {
            Manner::Redirects => head(&format!("302 Found\r\nlocation: {path}?again"), 0)?,
            Manner::Whole => {
                head("200 OK", file.len())?;
                self.send(&mut stream, file)?;
            }
            Manner::Page => {
                let page = b"<!doctype html><title>Sign in</title>";
                head("200 OK\r\ncontent-type: text/html", page.len())?;
                stream.write_all(page)?;
            }
            Manner::Stalls => {
                head(&partial, part.len())?;
                // Until the other side gives up.
                let _ = stream.read(&mut [0]);
            }
            Manner::Truncates => {
                head(&partial, part.len())?;
                self.send(&mut stream, part.get(..part.len() / 2).unwrap_or_default())?;
            }
            Manner::FlipsABit if is_film => {
                let mut part = part.to_vec();
                let middle = part.len() / 2;
                part.get_mut(middle).into_iter().for_each(|byte| *byte ^= 16);
                head(&partial, part.len())?;
                self.send(&mut stream, &part)?;
            }
            Manner::Good | Manner::FlipsABit => {
                head(&partial, part.len())?;
                self.send(&mut stream, part)?;
            }
        }
        Ok(())
    }

    fn send(&self, stream: &mut TcpStream, bytes: &[u8]) -> Result<()> {
        for part in bytes.chunks(16 * 1024) {
            ensure!(!self.is_dead.load(Ordering::SeqCst), "it was killed");
            stream.write_all(part)?;
            self.sent_bytes.fetch_add(part.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }
}
