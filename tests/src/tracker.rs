//! A tracker process.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::internet::Host;
use crate::places::{binary, page_dir};
use crate::program::{Ended, Program};
use crate::wait::until;

/// How long it may take to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// How long peers may take to come.
const PEERS_TIMEOUT: Duration = Duration::from_secs(30);

/// A running tracker that serves the page.
#[derive(Debug)]
pub struct Tracker {
    program: Program,
    /// `HOST:PORT`, and the base path if there is one.
    address: String,
}

impl Tracker {
    /// Starts a tracker on a free port.
    pub fn start() -> Result<Self> {
        Self::start_at("127.0.0.1:0")
    }

    /// Starts a tracker at an address that another had.
    pub fn start_at(listen: &str) -> Result<Self> {
        Self::start_with(listen, &[])
    }

    /// Starts a tracker with more options of the command line.
    pub fn start_with(listen: &str, options: &[&str]) -> Result<Self> {
        Self::started(Self::program_with(listen, options)?)
    }

    /// Starts a tracker on a host of its own.
    pub fn start_on(host: &Host, options: &[String]) -> Result<Self> {
        // Other machines reach it.
        let options: Vec<&str> = options.iter().map(String::as_str).chain(["--open"]).collect();
        let command = Self::command(&format!("{}:0", host.address), &options)?;
        Self::started(Program::start("tracker", &mut host.run(&command))?)
    }

    fn started(program: Program) -> Result<Self> {
        let page = program.wait_stdout("the address", READY_TIMEOUT, |line| {
            let url = line.split_whitespace().find(|word| word.starts_with("http://"))?;
            Some(url.trim_start_matches("http://").trim_end_matches('/').to_owned())
        })?;
        Ok(Self { program, address: page })
    }

    /// Starts the process without waiting until it listens.
    pub fn program(listen: &str) -> Result<Program> {
        Self::program_with(listen, &[])
    }

    /// The same with more options of the command line.
    pub fn program_with(listen: &str, options: &[&str]) -> Result<Program> {
        Program::start("tracker", &mut Self::command(listen, options)?)
    }

    fn command(listen: &str, options: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("tracker-server")?);
        command.args(["--listen", listen]).arg("--www").arg(page_dir()).env("RUST_BACKTRACE", "1");
        command.args(options);
        Ok(command)
    }

    /// `HOST:PORT`, and the base path if there is one.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What peers are given.
    pub fn url(&self) -> String {
        format!("ws://{}/v1/swarm", self.address)
    }

    /// A page or an answer of it.
    pub fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Status and body of an answer.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let url = self.http(path);
        let response = reqwest::get(&url).await.with_context(|| format!("no answer from {url}"))?;
        Ok((response.status().as_u16(), response.text().await?))
    }

    /// How many peers its catalogue shows for a swarm.
    async fn peers(&self, swarm: &str) -> Result<u64> {
        let (_, body) = self.get("/v1/swarms").await?;
        let list: Value = serde_json::from_str(&body)?;
        let entries = list["swarms"].as_array().context("no list of swarms")?;
        let entry = entries.iter().find(|entry| entry["swarm"] == swarm);
        let count = |entry: &Value, name: &str| entry[name].as_u64().unwrap_or(0);
        Ok(entry.map_or(0, |entry| count(entry, "seeders") + count(entry, "leechers")))
    }

    /// Waits until its catalogue shows that a listed swarm has so many peers.
    pub async fn wait_for_peers(&self, swarm: &str, count: u64) -> Result<()> {
        let what = format!("{count} peers at {}", self.address);
        until(&what, PEERS_TIMEOUT, async || Ok((self.peers(swarm).await? == count).then_some(()))).await
    }

    /// The process.
    pub fn process(&self) -> &Program {
        &self.program
    }

    /// Lines of its log so far.
    pub fn log(&self) -> Vec<String> {
        self.program.stderr()
    }

    /// Asks it to stop.
    pub fn stop(&self) -> Result<Ended> {
        self.program.stop()
    }

    /// Ends it as a crash would.
    pub fn kill(&self) -> Result<Ended> {
        self.program.kill()
    }
}
