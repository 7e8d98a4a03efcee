//! Pebble, an ACME authority for tests, and the name server that it asks.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use crate::places::system_program;
use crate::ports::free_address;
use crate::program::Program;
use crate::secure::{Authority, Visitor};
use crate::wait::until;

const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// A running authority.
#[derive(Debug)]
pub struct Pebble {
    program: Program,
    _names: Program,
    folder: TempDir,
    asked: SocketAddr,
    management: SocketAddr,
    visitor: Visitor,
}

impl Pebble {
    /// Starts one whose certificates are good for `validity`. It looks for every name at port `asked` of this machine.
    pub fn start(asked: SocketAddr, validity: Duration) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new()?;
        let own = authority.issue(&["localhost"], folder.path())?;
        std::fs::write(folder.path().join("root.pem"), &authority.root_pem)?;
        let (listen, management) = (free_address()?, free_address()?);
        let config = json!({ "pebble": {
            "listenAddress": listen.to_string(),
            "managementListenAddress": management.to_string(),
            "certificate": own.certificate,
            "privateKey": own.key,
            "httpPort": 1,
            "tlsPort": asked.port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": validity.as_secs(),
        }});
        let path = folder.path().join("pebble.json");
        std::fs::write(&path, config.to_string())?;
        let (names, name_server) = name_server()?;
        let program = start(&path, name_server)?;
        let visitor = Visitor::trusting(&authority.root_pem)?;
        Ok(Self { program, _names: names, folder, asked: listen, management, visitor })
    }

    /// Its directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.asked.port())
    }

    /// A file with the certificate to check its own by.
    pub fn root_file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    /// A visitor that trusts what it gives out.
    pub async fn visitor(&self) -> Result<Visitor> {
        // It says where its root is before it listens there.
        let answer = until("the root of the authority", READY_TIMEOUT, async || {
            Ok(self.visitor.get(self.management, "localhost", "/roots/0").await.ok())
        })
        .await?;
        let (_, pem) = answer.text.split_once("\r\n\r\n").context("no root")?;
        Visitor::trusting(pem)
    }

    /// Ends it.
    pub fn kill(&self) -> Result<()> {
        self.program.kill().map(drop)
    }
}

fn start(config: &Path, name_server: SocketAddr) -> Result<Program> {
    let mut command = Command::new(system_program(&["pebble"])?);
    command.arg("-config").arg(config).args(["-dnsserver", &name_server.to_string()]);
    // It asks at once, and takes every nonce that it gave; it still checks every name each time.
    command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_WFE_NONCEREJECT", "0").env("PEBBLE_AUTHZREUSE", "0");
    let program = Program::start("pebble", &mut command)?;
    program.wait_stdout("its address", READY_TIMEOUT, |line| {
        line.contains("ACME directory available").then_some(())
    })?;
    Ok(program)
}

/// Answers for every name with this machine.
fn name_server() -> Result<(Program, SocketAddr)> {
    let address = free_address()?;
    let mut command = Command::new(system_program(&["pebble-challtestsrv"])?);
    command.args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", &address.to_string()]);
    command.args([
        "-http01",
        "",
        "-https01",
        "",
        "-tlsalpn01",
        "",
        "-management",
        &free_address()?.to_string(),
    ]);
    let program = Program::start("pebble-challtestsrv", &mut command)?;
    Ok((program, address))
}
