//! When the person or the system asks the program to end.

use anyhow::Context;
use tokio::sync::watch;

/// Knows whether the program was asked to end. Listens from its making on, so that no signal is lost.
#[derive(Debug, Clone)]
pub struct Ending {
    is_asked: watch::Receiver<bool>,
}

impl Ending {
    /// Starts to listen to Ctrl-C and, where there is such a thing, SIGTERM.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let (sender, is_asked) = watch::channel(false);
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
                let mut signals = signal(kind).context("signals cannot be listened to")?;
                let sender = sender.clone();
                tokio::spawn(async move {
                    signals.recv().await;
                    sender.send_replace(true);
                });
            }
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.context("signals cannot be listened to").is_ok() {
                sender.send_replace(true);
            }
        });
        Ok(Self { is_asked })
    }

    /// Until the program was asked to end.
    pub(crate) async fn asked(&self) {
        if self.is_asked.clone().wait_for(|is_asked| *is_asked).await.is_err() {
            // Nobody listens to signals any more: it is never asked.
            std::future::pending().await
        }
    }
}
