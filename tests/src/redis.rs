//! A Redis server, and trackers around it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::program::Program;
use crate::tracker::Tracker;
use crate::wait::until;

/// How long a server may take to begin, and trackers to find one another.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// A Redis server that keeps nothing, at a socket in a folder of its own.
#[derive(Debug)]
pub struct Redis {
    folder: TempDir,
    program: Program,
}

impl Redis {
    /// Starts a server.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// Starts a server with more options of its command line.
    pub fn start_with(options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let program = launch(&folder.path().join("redis.sock"), options)?;
        Ok(Self { folder, program })
    }

    /// Changes an option while it runs.
    pub async fn configure(&self, option: &str, value: &str) -> Result<()> {
        let answer = self.ask(&format!("CONFIG SET {option} {value}")).await?;
        anyhow::ensure!(answer.starts_with("+OK"), "{option}: {answer}");
        Ok(())
    }

    /// Ends it as a crash would.
    pub fn kill(&self) -> Result<()> {
        self.program.kill().map(drop)
    }

    /// Starts another one at the same place, which knows nothing.
    pub fn restart(&mut self) -> Result<()> {
        self.program = launch(&self.socket(), &[])?;
        Ok(())
    }

    /// The process.
    pub fn process(&self) -> &Program {
        &self.program
    }

    /// Operations since it began.
    pub async fn operations(&self) -> Result<u64> {
        let answer = self.ask("INFO stats").await?;
        let found = answer
            .lines()
            .find_map(|line| line.strip_prefix("total_commands_processed:")?.trim().parse().ok());
        found.context("Redis does not say how much it did")
    }

    /// Sends one command; what it answers.
    pub async fn ask(&self, command: &str) -> Result<String> {
        let mut stream = UnixStream::connect(self.socket()).await?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// The address for `--engine`.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }
}

fn launch(socket: &Path, options: &[&str]) -> Result<Program> {
    let mut command = Command::new("redis-server");
    command
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(socket)
        .args(options);
    let program = Program::start("redis-server", &mut command)
        .context("redis-server is missing; `cargo xtask setup` installs it")?;
    program.wait_stdout("the socket", READY_TIMEOUT, |line| {
        line.contains("ready to accept connections").then_some(())
    })?;
    Ok(program)
}

/// A tracker as `/v1/trackers` has it.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    /// Where it listens.
    pub listens: String,
    /// `serving` or `draining`.
    pub state: String,
    /// Open WebSockets.
    pub connections: u32,
    /// Own peers that another tracker decides for.
    pub members: u32,
    /// Peers of others that it decides for.
    pub guests: u32,
    /// The rooms of swarms that it is the home of.
    pub swarms: Vec<ListedSwarm>,
}

/// A room of a swarm as `/v1/trackers` has it.
#[derive(Debug, Clone, Deserialize)]
pub struct ListedSwarm {
    /// Its id.
    pub swarm: String,
    /// Which of its rooms, from 0.
    pub room: u32,
    /// Peers that hold everything.
    pub seeders: u32,
    /// Peers that do not.
    pub leechers: u32,
}

#[derive(Debug, Deserialize)]
struct List {
    engine: String,
    trackers: Vec<Listed>,
}

/// One of several trackers.
#[derive(Debug)]
pub struct Member {
    /// The tracker.
    pub tracker: Tracker,
    /// `HOST:PORT` of what only operators see.
    private: String,
}

impl Member {
    /// Starts a tracker around an engine.
    pub fn start(engine_url: &str) -> Result<Self> {
        Self::start_at("127.0.0.1:0", engine_url, &[])
    }

    /// The same at an address that another had, with more options of the command line.
    pub fn start_at(listen: &str, engine_url: &str, more: &[&str]) -> Result<Self> {
        let options =
            ["--engine", engine_url, "--secret", "the same everywhere", "--metrics-listen", "127.0.0.1:0"];
        let tracker = Tracker::start_with(listen, &[&options, more].concat())?;
        let private = tracker.process().wait_stderr("the private address", READY_TIMEOUT, |lines| {
            let address = lines.iter().find_map(|line| line.split_once("metrics: http://"))?.1;
            Some(address.trim_end_matches("/metrics").to_owned())
        })?;
        Ok(Self { tracker, private })
    }

    /// Where peers find it.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.tracker.address().parse()?)
    }

    /// The trackers that it knows of; none while the engine is away.
    pub async fn listed(&self) -> Result<Vec<Listed>> {
        let url = format!("http://{}/v1/trackers", self.private);
        let list: List = reqwest::get(&url).await?.json().await.context("no list of trackers")?;
        Ok(if list.engine == "up" { list.trackers } else { Vec::new() })
    }

    /// A number of `/metrics`.
    pub async fn metric(&self, name: &str) -> Result<u64> {
        let text = reqwest::get(format!("http://{}/metrics", self.private)).await?.text().await?;
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        found.with_context(|| format!("no metric {name}"))
    }

    /// Waits until a metric has this value. `name` lacks the common beginning.
    pub async fn wait_for_metric(&self, name: &str, value: u64, timeout: Duration) -> Result<()> {
        let what = format!("{name} {value} at {}", self.tracker.address());
        let name = format!("tributary_tracker_{name}");
        until(&what, timeout, async || Ok((self.metric(&name).await? == value).then_some(()))).await
    }

    /// Waits until it knows of so many trackers.
    pub async fn wait_for_trackers(&self, count: usize) -> Result<()> {
        let what = format!("{count} trackers at {}", self.tracker.address());
        until(&what, READY_TIMEOUT, async || Ok((self.listed().await?.len() == count).then_some(()))).await
    }

    /// Waits until it knows that a swarm has so many peers. Returns where its home listens.
    pub async fn wait_for_peers(&self, swarm: &str, count: u32) -> Result<String> {
        self.wait_for_peers_beside("", swarm, count).await
    }

    /// The same, but the home must not be the tracker that listens at `old`.
    pub async fn wait_for_peers_beside(&self, old: &str, swarm: &str, count: u32) -> Result<String> {
        let what = format!("{count} peers of one swarm at {}", self.tracker.address());
        until(&what, READY_TIMEOUT, async || {
            let listed = self.listed().await?;
            let has_all = |listed: &&Listed| {
                let mut swarms = listed.swarms.iter();
                swarms.any(|found| found.swarm == swarm && found.seeders + found.leechers == count)
            };
            let others = listed.iter().filter(|listed| listed.listens != old);
            Ok(others.into_iter().find(has_all).map(|home| home.listens.clone()))
        })
        .await
    }
}

/// Starts trackers around an engine, each of which knows of all.
pub async fn trackers(engine_url: &str, count: usize) -> Result<Vec<Member>> {
    let started: Result<Vec<Member>> = (0..count).map(|_| Member::start(engine_url)).collect();
    let members = started?;
    for member in &members {
        member.wait_for_trackers(count).await?;
    }
    Ok(members)
}

/// Takes the tracker that listens at an address out of the list.
pub fn take(members: &mut Vec<Member>, listens: &str) -> Result<Member> {
    match members.iter().position(|member| member.tracker.address() == listens) {
        Some(at) => Ok(members.remove(at)),
        None => bail!("no tracker listens at {listens}"),
    }
}
