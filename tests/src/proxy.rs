//! Reverse proxies with the configurations of `deploy/`: only addresses and the certificate are put in their place.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rcgen::{CertifiedKey, PublicKeyData, generate_simple_self_signed};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::places::{root, system_program};
use crate::ports::free_address;
use crate::program::Program;
use crate::tracker::Tracker;
use crate::wait;

/// How long a proxy may take to listen.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// The name in all configurations.
const HOST: &str = "films.example.org";

/// Where the configurations expect the tracker.
const TRACKER: &str = "127.0.0.1:8080";

/// What nginx has in front of the files of `conf.d`. Files of a person who is not root go into the folder.
const NGINX: &str = "daemon off;
pid FOLDER/pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    include FOLDER/site.conf;
}
";

/// What Caddy has in front of its sites.
const CADDY: &str = "{
	admin off
	auto_https disable_redirects
	storage file_system FOLDER
}
";

/// What Apache has in front of its sites.
const APACHE: &str = "ServerName films.example.org
PidFile FOLDER/pid
Mutex file:FOLDER
ErrorLog /dev/stderr
User www-data
Group www-data
";

/// Modules of Apache that its site needs, and where Debian has them.
const APACHE_MODULES: [&str; 9] = [
    "mpm_event",
    "authz_core",
    "setenvif",
    "socache_shmcb",
    "ssl",
    "headers",
    "alias",
    "proxy",
    "proxy_http",
];
const APACHE_MODULES_DIR: &str = "/usr/lib/apache2/modules";

/// A certificate that nobody vouches for, and how a browser is told to take it.
#[derive(Debug)]
pub struct Certificate {
    certificate: String,
    key: String,
    /// SHA-256 of the public key, in base64.
    pin: String,
}

impl Certificate {
    /// A new one for the name in the configurations.
    pub fn new() -> Result<Self> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([HOST.to_owned()])?;
        let pin = data_encoding::BASE64.encode(&Sha256::digest(signing_key.subject_public_key_info()));
        Ok(Self { certificate: cert.pem(), key: signing_key.serialize_pem(), pin })
    }

    /// Flags of a browser that takes it and finds its name at this machine.
    pub fn flags(&self) -> [String; 2] {
        [
            format!("--ignore-certificate-errors-spki-list={}", self.pin),
            format!("--host-resolver-rules=MAP {HOST} 127.0.0.1"),
        ]
    }
}

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// nginx.
    Nginx,
    /// Caddy.
    Caddy,
    /// HAProxy.
    Haproxy,
    /// Apache.
    Apache,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Nginx, Self::Caddy, Self::Haproxy, Self::Apache];

    const fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Caddy => "Caddyfile",
            Self::Haproxy => "haproxy.cfg",
            Self::Apache => "apache.conf",
        }
    }
}

/// A running proxy in front of a tracker.
#[derive(Debug)]
pub struct Proxy {
    /// Which one it is.
    pub kind: Kind,
    program: Program,
    _folder: TempDir,
    port: u16,
}

impl Proxy {
    /// Starts a proxy and waits until it listens.
    pub async fn start(kind: Kind, tracker: &Tracker, certificate: &Certificate) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        fs::write(at.join("certificate.pem"), &certificate.certificate)?;
        fs::write(at.join("key.pem"), &certificate.key)?;
        fs::write(at.join("both.pem"), format!("{}{}", certificate.certificate, certificate.key))?;
        // Proxies do not tell which port they took.
        let (port, plain_port) = (free_address()?.port(), free_address()?.port());
        let source = root().join("deploy").join(kind.file());
        let site =
            fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
        let site = site.replace(TRACKER, tracker.address());
        let mut command = configured(kind, &site, at, (port, plain_port))
            .with_context(|| format!("deploy/{} has changed", kind.file()))?;
        let program = Program::start(&format!("{kind:?}"), &mut command)?;
        let proxy = Self { kind, program, _folder: folder, port };
        let look = async || Ok(TcpStream::connect(("127.0.0.1", port)).await.ok());
        let listens = wait::until(&format!("{kind:?} listens"), READY_TIMEOUT, look).await;
        listens.with_context(|| proxy.program.stderr().join("\n"))?;
        Ok(proxy)
    }

    /// An address at this proxy, for browsers with the flags of its certificate.
    pub fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.port)
    }
}

/// The command that runs a proxy in `folder`, with its configuration written there. `ports` are those of HTTPS and of HTTP.
fn configured(kind: Kind, site: &str, folder: &Path, ports: (u16, u16)) -> Result<Command> {
    let (port, plain_port) = ports;
    let path = |name: &str| folder.join(name).display().to_string();
    let here = |text: &str| text.replace("FOLDER", &folder.display().to_string());
    let pair = |site: &str| {
        let site = swapped(site, &format!("/etc/ssl/{HOST}/fullchain.pem"), &path("certificate.pem"))?;
        swapped(&site, &format!("/etc/ssl/{HOST}/privkey.pem"), &path("key.pem"))
    };
    Ok(match kind {
        Kind::Nginx => {
            let site = swapped(&pair(site)?, "listen 443 ", &format!("listen 127.0.0.1:{port} "))?;
            let site = swapped(&site, "listen 80;", &format!("listen 127.0.0.1:{plain_port};"))?;
            let lines =
                site.lines().filter(|line| !line.contains("listen [::]")).map(|line| format!("{line}\n"));
            fs::write(folder.join("site.conf"), lines.collect::<String>())?;
            let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
            fs::write(folder.join("nginx.conf"), format!("{user}{}", here(NGINX)))?;
            let mut command = Command::new(system_program(&["nginx"])?);
            command.args(["-e", "stderr", "-p", &path(""), "-c", &path("nginx.conf")]);
            command
        }
        Kind::Caddy => {
            let tls = format!(
                "{HOST}:{port} {{\n\tbind 127.0.0.1\n\ttls {} {}\n",
                path("certificate.pem"),
                path("key.pem")
            );
            let site = swapped(site, &format!("{{$TRIBUTARY_HOST:{HOST}}} {{\n"), &tls)?;
            fs::write(folder.join("Caddyfile"), format!("{}{site}", here(CADDY)))?;
            let mut command = Command::new(system_program(&["caddy"])?);
            command.args(["run", "--adapter", "caddyfile", "--config", &path("Caddyfile")]);
            command.env("XDG_CONFIG_HOME", folder).env("XDG_DATA_HOME", folder);
            command
        }
        Kind::Haproxy => {
            let site = swapped(site, &format!("/etc/haproxy/{HOST}.pem"), &path("both.pem"))?;
            let site = swapped(&site, "bind :443 ", &format!("bind 127.0.0.1:{port} "))?;
            let site = swapped(&site, "bind :80\n", &format!("bind 127.0.0.1:{plain_port}\n"))?;
            fs::write(folder.join("haproxy.cfg"), site)?;
            let mut command = Command::new(system_program(&["haproxy"])?);
            command.args(["-db", "-f", &path("haproxy.cfg")]);
            command
        }
        Kind::Apache => {
            let site = swapped(&pair(site)?, "<VirtualHost *:443>", &format!("<VirtualHost *:{port}>"))?;
            let site = swapped(&site, "<VirtualHost *:80>", &format!("<VirtualHost *:{plain_port}>"))?;
            let modules = APACHE_MODULES
                .map(|name| format!("LoadModule {name}_module {APACHE_MODULES_DIR}/mod_{name}.so\n"))
                .concat();
            let listen = format!("Listen 127.0.0.1:{port}\nListen 127.0.0.1:{plain_port}\n");
            fs::write(folder.join("apache.conf"), format!("{modules}{listen}{}{site}", here(APACHE)))?;
            let mut command = Command::new(system_program(&["apache2"])?);
            command.args(["-D", "FOREGROUND", "-d", &path(""), "-f", &path("apache.conf")]);
            command
        }
    })
}

/// Puts `to` in place of `from`, which is there.
fn swapped(text: &str, from: &str, to: &str) -> Result<String> {
    ensure!(text.contains(from), "it has no `{from}`");
    Ok(text.replace(from, to))
}
