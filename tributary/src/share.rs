//! `tributary share`: tracker, page and seeder in one process.
//!
//! The seeder reaches the tracker over loopback, like any other peer. When it ends, whatever the reason, the tracker ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use peer_native::network_addresses;
use peer_native::program::{self, Ending, Here, Output, Reporter, Serving};
use tracker_server::program::{Embedded, EncryptionOptions, Listen, PORT_FIRST};
use tracker_server::{BasePath, Page};

use crate::page;

/// `share`.
#[derive(Debug, Args)]
pub(crate) struct Share {
    /// The films to share, and folders whose files to share. The page lists them for everybody who reaches this machine.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Address to listen on; port 0 takes any free one. Default: every address of this machine, at port 8080 or the next one
    /// that is free; with --domain, at port 443.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Directory of a built page, instead of the page inside the program.
    #[arg(long, value_name = "DIR")]
    www: Option<PathBuf>,

    /// Serves everything below this path, such as /films, for a proxy that passes the path on.
    #[arg(long, value_name = "PATH", default_value = "")]
    base_path: BasePath,

    #[command(flatten)]
    encryption: EncryptionOptions,

    #[command(flatten)]
    serving: Serving,
}

/// Runs the command.
pub(crate) fn run(options: Share, output: Output) -> ExitCode {
    program::start_logging(output.verbose);
    program::ended(output, async |reporter, ending| share(options, reporter, ending).await)
}

async fn share(options: Share, reporter: Reporter, ending: Ending) -> anyhow::Result<ExitCode> {
    let page = options.www.map_or(page::inside(), Page::Directory);
    let data_dir = options.serving.data_dir();
    let tls = options.encryption.tls(data_dir.as_deref())?;
    let anywhere = if options.encryption.has_domains() { Listen::ForAuthority } else { Listen::Anywhere };
    let listen = options.listen.as_deref().map_or(anywhere, Listen::At);
    let base = options.base_path.to_string();
    let page = (page, options.base_path);
    let tracker = Embedded::start(listen, page, tls, options.encryption.redirect_listen()).await?;
    let here = here(&tracker, &network_addresses(), base);
    if options.listen.is_none() && here.pages.is_empty() && here.own.port() != PORT_FIRST {
        reporter.note(&format!("port {PORT_FIRST} is in use; the page is at port {}", here.own.port()));
    }
    if !here.network.is_empty() {
        reporter.note(
            "browsers on other machines play over HTTPS only: use --domain or --certificate, see docs/operations.md; \
             `tributary fetch` needs none",
        );
    }
    let result = program::share(options.files, options.serving, here, reporter, ending).await;
    // After the seeder, which takes leave of it.
    let stopped = tracker.stop().await;
    let code = result?;
    stopped.map(|()| code)
}

/// How a tracker is reached. `network` are the addresses of this machine, `base` is the path in front of everything.
fn here(tracker: &Embedded, network: &[IpAddr], base: String) -> Here {
    let pages = tracker.pages().to_vec();
    let (own, network) = reached(tracker.own(), if pages.is_empty() { network } else { &[] });
    Here { own, network, pages, base, publish_token: tracker.publish_token().to_owned() }
}

/// At which addresses a listener at `address` is reached: on this machine, and from others.
fn reached(address: SocketAddr, network: &[IpAddr]) -> (SocketAddr, Vec<SocketAddr>) {
    let port = address.port();
    let (loopback, is_reached): (IpAddr, fn(&IpAddr) -> bool) = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (Ipv4Addr::LOCALHOST.into(), IpAddr::is_ipv4),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => (Ipv6Addr::LOCALHOST.into(), |_| true),
        IpAddr::V4(_) | IpAddr::V6(_) => return (address, Vec::new()),
    };
    let network = network.iter().filter(|ip| is_reached(ip)).map(|ip| SocketAddr::new(*ip, port));
    (SocketAddr::new(loopback, port), network.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(address: &str) -> (String, Vec<String>) {
        let network = ["192.168.1.5", "fd00::7"].map(|text| text.parse().unwrap());
        let (own, network) = reached(address.parse().unwrap(), &network);
        (own.to_string(), network.iter().map(SocketAddr::to_string).collect())
    }

    #[test]
    fn links_name_addresses_that_are_listened_on_and_no_others() {
        assert_eq!(texts("0.0.0.0:80"), ("127.0.0.1:80".into(), vec!["192.168.1.5:80".into()]));
        let both = vec!["192.168.1.5:80".into(), "[fd00::7]:80".into()];
        assert_eq!(texts("[::]:80"), ("[::1]:80".into(), both));
        assert_eq!(texts("127.0.0.1:80"), ("127.0.0.1:80".into(), vec![]));
        assert_eq!(texts("192.168.1.5:80"), ("192.168.1.5:80".into(), vec![]));
    }
}
