//! A small internet: hosts in network namespaces, some of them behind routers, and a relay.
//!
//! ```text
//! 203.0.113.0/24, one bridge
//!   ├── .254: the way to everywhere else, where nothing is
//!   ├── host (public)
//!   └── router ── 192.168.N.0/24 ── host (private)
//! ```
//! Nothing is laid out in the namespace of the tests, so removing the namespaces removes everything; that happens when
//! [`Internet`] is dropped. The programs on its hosts have to end before.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::places::system_program;
use crate::program::Program;

/// Internets that this process laid out so far: namespaces have names that no other has.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Where namespaces have names.
const NAMES: &str = "/run/netns";

/// Where datagrams go that are for nobody here, private addresses of others among them. They are lost there.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 254);

/// The port of relays.
const RELAY_PORT: u16 = 3478;

/// How long a relay may take to start.
const RELAY_TIMEOUT: Duration = Duration::from_secs(20);

/// What a router lets through besides answers. All of them change the port of each connection (symmetric NAT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Router {
    /// Everything that begins inside.
    Symmetric,
    /// TCP to everywhere; UDP to this address alone.
    UdpOnlyTo(Ipv4Addr),
    /// TCP alone.
    NoUdp,
}

/// Hosts, routers and what connects them.
#[derive(Debug)]
pub struct Internet {
    prefix: String,
    namespaces: Vec<String>,
    public_count: u8,
    private_count: u8,
}

/// Where programs run.
#[derive(Debug, Clone)]
pub struct Host {
    namespace: String,
    /// Its address.
    pub address: Ipv4Addr,
}

impl Internet {
    /// One without hosts.
    pub fn new() -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "tests with hosts of their own need root; run them as root, such as with `sudo -E`"
        );
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("tributary-test-{}-{number}", std::process::id());
        let mut internet = Self { prefix, namespaces: Vec::new(), public_count: 0, private_count: 0 };
        let bridge = internet.namespace("bridge")?;
        ip(&bridge, &["link", "add", "name", "bridge0", "type", "bridge"])?;
        ip(&bridge, &["address", "add", &format!("{ELSEWHERE}/24"), "dev", "bridge0"])?;
        ip(&bridge, &["link", "set", "dev", "bridge0", "up"])?;
        Ok(internet)
    }

    /// A host that everybody reaches.
    pub fn public(&mut self) -> Result<Host> {
        self.public_count += 1;
        let address = Ipv4Addr::new(203, 0, 113, self.public_count);
        let namespace = self.namespace(&format!("public{}", self.public_count))?;
        self.connect(&namespace, address)?;
        Ok(Host { namespace, address })
    }

    /// A host behind a router of its own.
    pub fn behind(&mut self, router: Router) -> Result<Host> {
        let outside = self.public()?;
        self.private_count += 1;
        let number = self.private_count;
        let (gateway, address) = (Ipv4Addr::new(192, 168, number, 1), Ipv4Addr::new(192, 168, number, 2));
        let inside = self.namespace(&format!("private{number}"))?;
        let at = outside.namespace.as_str();
        ip(at, &["link", "add", "name", "inside", "type", "veth", "peer", "name", "eth0", "netns", &inside])?;
        ip(at, &["address", "add", &format!("{gateway}/24"), "dev", "inside"])?;
        ip(at, &["link", "set", "dev", "inside", "up"])?;
        ip(&inside, &["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        ip(&inside, &["link", "set", "dev", "eth0", "up"])?;
        ip(&inside, &["route", "add", "default", "via", &gateway.to_string()])?;
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        quietly(outside.command("sh").args(["-c", forward]))?;
        quietly(outside.command("nft").arg(rules(router)))?;
        Ok(Host { namespace: inside, address })
    }

    /// A namespace with nothing but its own loopback.
    fn namespace(&mut self, name: &str) -> Result<String> {
        let name = format!("{}-{name}", self.prefix);
        quietly(Command::new("ip").args(["netns", "add", &name]))?;
        // From here on there is something to remove.
        self.namespaces.push(name.clone());
        ip(&name, &["link", "set", "dev", "lo", "up"])?;
        Ok(name)
    }

    fn connect(&self, namespace: &str, address: Ipv4Addr) -> Result<()> {
        let bridge = format!("{}-bridge", self.prefix);
        let port = format!("port{}", address.octets()[3]);
        ip(
            &bridge,
            &["link", "add", "name", &port, "type", "veth", "peer", "name", "eth0", "netns", namespace],
        )?;
        ip(&bridge, &["link", "set", "dev", &port, "master", "bridge0", "up"])?;
        ip(namespace, &["address", "add", &format!("{address}/24"), "dev", "eth0"])?;
        ip(namespace, &["link", "set", "dev", "eth0", "up"])?;
        ip(namespace, &["route", "add", "default", "via", &ELSEWHERE.to_string()])
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            if let Err(error) = quietly(Command::new("ip").args(["netns", "delete", namespace])) {
                eprintln!("{namespace} is left behind: {error:#}");
            }
        }
    }
}

/// What a router does, in the words of `nft`.
fn rules(router: Router) -> String {
    let refused = match router {
        Router::Symmetric => String::new(),
        Router::UdpOnlyTo(address) => format!("iifname inside ip daddr != {address} meta l4proto udp drop"),
        Router::NoUdp => "iifname inside meta l4proto udp drop".to_owned(),
    };
    format!(
        "table ip router {{
            chain post {{ type nat hook postrouting priority 100; oifname eth0 masquerade fully-random; }}
            chain in {{ type filter hook input priority 0; iifname eth0 ct state new drop; }}
            chain forward {{
                type filter hook forward priority 0
                iifname eth0 ct state new drop
                {refused}
            }}
        }}"
    )
}

impl Host {
    /// A program that runs here.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        // `ip` becomes the program, so the process that is started is the one that is watched.
        command.args(["netns", "exec", &self.namespace]).arg(program);
        command
    }

    /// The same command, to be run here.
    pub fn run(&self, command: &Command) -> Command {
        let mut here = self.command(command.get_program());
        here.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => here.env(name, value),
                None => here.env_remove(name),
            };
        }
        here
    }

    /// Takes the way to everywhere else away: the kernel then refuses to send to addresses that are not here.
    pub fn close_elsewhere(&self) -> Result<()> {
        ip(&self.namespace, &["route", "delete", "default"])
    }

    /// A listener at a TCP port here.
    pub fn listen(&self, port: u16) -> Result<TcpListener> {
        let inside = self.inside()?;
        let address = self.address;
        let opened = thread::spawn(move || {
            // Of this thread alone; what it opens from here on is inside, wherever it is used.
            move_into_link_name_space(inside.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpListener::bind((address, port))
        });
        let opened =
            opened.join().map_err(|_| anyhow::anyhow!("the thread that listens on a host panicked"))?;
        Ok(opened?)
    }

    fn inside(&self) -> Result<File> {
        File::open(PathBuf::from(NAMES).join(&self.namespace))
            .with_context(|| format!("{} is gone", self.namespace))
    }

    /// Lets the tests reach a TCP port of this host's loopback; the address to connect to. Lasts as long as the process.
    pub fn door(&self, port: u16) -> Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let inside = self.inside()?;
        thread::spawn(move || {
            // Of this thread alone; what it opens from here on is inside.
            if let Err(error) = move_into_link_name_space(inside.as_fd(), Some(LinkNameSpaceType::Network)) {
                eprintln!("the door to a host stays closed: {error}");
                return;
            }
            for outer in listener.incoming() {
                let passed = outer.and_then(|outer| {
                    let inner = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
                    carry(outer.try_clone()?, inner.try_clone()?);
                    carry(inner, outer);
                    Ok(())
                });
                if let Err(error) = passed {
                    eprintln!("a connection through the door to a host failed: {error}");
                }
            }
        });
        Ok(address)
    }
}

/// Copies one direction of a connection until it ends.
fn carry(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // Whichever way it ends, the other side learns of it.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

/// A TURN server with credentials that end (coturn).
#[derive(Debug)]
pub struct Relay {
    _program: Program,
    _folder: tempfile::TempDir,
    address: Ipv4Addr,
}

impl Relay {
    /// What the relay and the tracker share.
    pub const SECRET: &str = "between tracker and relay";

    /// Starts one.
    pub fn start(host: &Host) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = host.address.to_string();
        // It writes whole buffers otherwise, and is ready long before one is full.
        let mut command = host.command("stdbuf");
        command.arg("-oL").arg(system_program(&["turnserver"])?).args([
            "-n",
            "--no-cli",
            "--no-tls",
            "--no-dtls",
        ]);
        command.args(["--listening-ip", &address, "--relay-ip", &address]);
        command.arg(format!("--listening-port={RELAY_PORT}"));
        command.args(["--use-auth-secret", "--realm=relay.test", "--verbose", "--log-file=stdout"]);
        command.arg(format!("--static-auth-secret={}", Self::SECRET));
        command.arg(format!("--pidfile={}", folder.path().join("pid").display()));
        command.arg(format!("--userdb={}", folder.path().join("users").display()));
        let program = Program::start("relay", &mut command)?;
        program.wait_stdout("the relay listens", RELAY_TIMEOUT, |line| {
            line.contains("UDP listener opened on").then_some(())
        })?;
        Ok(Self { _program: program, _folder: folder, address: host.address })
    }

    /// Options of a tracker that offers this relay over `transport`: `udp` or `tcp`.
    pub fn options(&self, transport: &str) -> Vec<String> {
        let url = format!("turn:{}:{RELAY_PORT}?transport={transport}", self.address);
        ["--turn-url", &url, "--turn-secret", Self::SECRET].map(str::to_owned).to_vec()
    }
}

fn ip(namespace: &str, arguments: &[&str]) -> Result<()> {
    quietly(Command::new("ip").args(["-n", namespace]).args(arguments))
}

/// Runs a program, says nothing unless it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output();
    let output =
        output.with_context(|| format!("cannot start {command:?}; `cargo xtask setup` installs it"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
