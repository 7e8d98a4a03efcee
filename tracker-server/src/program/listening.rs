//! Listeners, and what a person is to do where none can be had.

use std::io;

use tokio::net::TcpListener;

/// Listens at the address that `flag` names.
pub(crate) async fn listen(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
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
    })
}
