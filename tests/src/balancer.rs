//! nginx in front of several trackers, without TLS: each connection goes to the next of them that takes it.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::places::system_program;
use crate::ports::free_address;
use crate::program::Program;
use crate::wait;

/// How long it may take to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// As in `deploy/nginx.conf`, for several trackers. `max_fails=0`: a tracker that stops closes many sockets, which are no reason to leave
/// it out when it is back; one that refuses a connection is passed over at once.
const CONFIGURATION: &str = "daemon off;
pid FOLDER/pid;
error_log stderr crit;
worker_processes 1;
worker_rlimit_nofile 65536;
events { worker_connections 32768; }
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    map $http_upgrade $tributary_connection { default upgrade; '' ''; }
    upstream trackers { TRACKERS }
    server {
        listen 127.0.0.1:PORT;
        client_max_body_size 2m;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $tributary_connection;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_next_upstream error timeout http_503;
        proxy_connect_timeout 2s;
        proxy_read_timeout 75s;
        proxy_send_timeout 75s;
        location / { proxy_pass http://trackers; }
    }
}
";

/// A running nginx. It ends when it is dropped.
#[derive(Debug)]
pub struct Balancer {
    /// Where it listens.
    pub address: SocketAddr,
    _program: Program,
    _folder: TempDir,
}

impl Balancer {
    /// Starts it and waits until it listens.
    pub async fn start(trackers: &[SocketAddr]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_address()?.port();
        let servers = trackers.iter().map(|address| format!("server {address} max_fails=0; "));
        let text = CONFIGURATION.replace("FOLDER", &folder.path().display().to_string());
        let text = text.replace("TRACKERS", &servers.collect::<String>()).replace("PORT", &port.to_string());
        let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
        let path = folder.path().join("nginx.conf");
        fs::write(&path, format!("{user}{text}"))?;
        let mut command = Command::new(system_program(&["nginx"])?);
        command.args(["-e", "stderr", "-p"]).arg(folder.path()).arg("-c").arg(&path);
        let program = Program::start("nginx", &mut command)?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let look = async || Ok(TcpStream::connect(address).await.ok());
        let listens = wait::until("nginx listens", READY_TIMEOUT, look).await;
        listens.with_context(|| program.stderr().join("\n"))?;
        Ok(Self { address, _program: program, _folder: folder })
    }
}
