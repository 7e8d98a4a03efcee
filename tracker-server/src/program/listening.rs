//! Listeners, and what a person is to do where none can be had.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::net::TcpListener;

use crate::redirect::HTTPS_PORT;

/// Listens at the address that `flag` names.
pub(crate) async fn listen(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let advice = if error.kind() == io::ErrorKind::AddrInUse {
            "it is in use: stop what listens there, or choose another with {flag} (port 0 takes any free one)"
        } else if error.kind() == io::ErrorKind::PermissionDenied {
            "this user may not: choose a port above 1023 with {flag}"
        } else if error.kind() == io::ErrorKind::AddrNotAvailable {
            "it is no address of this machine: choose one that is with {flag}"
        } else {
            return anyhow::anyhow!(
                "cannot listen on {address} ({error}): {flag} takes HOST:PORT, such as 127.0.0.1:8080"
            );
        };
        anyhow::anyhow!("cannot listen on {address}: {}", advice.replace("{flag}", flag))
    })?;
    // Linux listens there, and no connection ever comes.
    let is_of_group = listener.local_addr().is_ok_and(|own| own.ip().is_multicast());
    anyhow::ensure!(
        !is_of_group,
        "cannot listen on {address}: it is the address of a group of machines; choose one of this machine with {flag}"
    );
    Ok(listener)
}

/// Listens where an authority asks, and browsers, too: at port 443 of all addresses.
pub(crate) async fn listen_for_authority() -> anyhow::Result<TcpListener> {
    // Takes connections of IPv4 as well, unless the system was told otherwise. Some have no IPv6 at all.
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, HTTPS_PORT)).await {
        Ok(listener) => Ok(listener),
        Err(_) => listen(&format!("{}:{HTTPS_PORT}", Ipv4Addr::UNSPECIFIED), "--listen").await,
    }
}
