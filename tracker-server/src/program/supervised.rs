//! The two protocols between systemd and a service: listening sockets passed at the start (`LISTEN_FDS`), and notices of
//! readiness and of the end (`NOTIFY_SOCKET`). Without these variables nothing happens.

use std::net::TcpListener;

/// Sockets that were passed, each for what its name says.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// For peers and the page: all without another meaning.
    pub(crate) public: Vec<TcpListener>,
    /// `FileDescriptorName=metrics`.
    pub(crate) private: Option<TcpListener>,
    /// `FileDescriptorName=redirect`.
    pub(crate) redirect: Option<TcpListener>,
}

/// Takes the sockets that were passed. To be called before there are threads, since it changes the environment.
#[cfg(target_os = "linux")]
pub(crate) fn sockets() -> anyhow::Result<Passed> {
    use anyhow::Context;

    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut descriptors = listenfd::ListenFd::from_env();
    let mut passed = Passed::default();
    let mut names = names.split(':');
    for index in 0..descriptors.len() {
        let name = names.next().unwrap_or_default();
        let listener = descriptors
            .take_tcp_listener(index)
            .context("a socket that was passed by LISTEN_FDS cannot be used: only those of TCP can")?;
        let Some(listener) = listener else { continue };
        listener.set_nonblocking(true).context("a socket that was passed cannot be used")?;
        match name {
            "metrics" => passed.private = Some(listener),
            "redirect" => passed.redirect = Some(listener),
            _ => passed.public.push(listener),
        }
    }
    Ok(passed)
}

/// There is none on this platform.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sockets() -> anyhow::Result<Passed> {
    Ok(Passed::default())
}

/// Tells that the service takes connections.
pub(crate) fn tell_ready() {
    #[cfg(target_os = "linux")]
    tell(&[sd_notify::NotifyState::Ready]);
}

/// Tells that the service ends.
pub(crate) fn tell_stopping() {
    #[cfg(target_os = "linux")]
    tell(&[sd_notify::NotifyState::Stopping]);
}

#[cfg(target_os = "linux")]
fn tell(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("the socket that NOTIFY_SOCKET names cannot be told: {error}");
    }
}
