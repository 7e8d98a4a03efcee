//! A gate in front of programs that listen: it passes connections on, and can be shut.
//!
//! In front of several trackers it does what a reverse proxy does: each connection goes to the next of them that takes it. In
//! front of an engine it cuts a tracker off.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where a program listens.
#[derive(Debug, Clone)]
enum Target {
    Address(SocketAddr),
    Path(PathBuf),
}

/// A gate. It ends when it is dropped.
#[derive(Debug)]
pub struct Gate {
    /// Where it listens.
    pub address: SocketAddr,
    is_open: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Gate {
    /// An open gate to programs that listen at these addresses.
    pub async fn to(targets: Vec<SocketAddr>) -> Result<Self> {
        Self::to_any(targets.into_iter().map(Target::Address).collect()).await
    }

    /// An open gate to a program that listens at a socket in the file system.
    pub async fn to_socket(path: &Path) -> Result<Self> {
        Self::to_any(vec![Target::Path(path.to_owned())]).await
    }

    async fn to_any(targets: Vec<Target>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for a gate")?;
        let address = listener.local_addr()?;
        let (is_open, opened) = watch::channel(true);
        let accepting = tokio::spawn(accept(listener, targets.into(), opened));
        Ok(Self { address, is_open, accepting })
    }

    /// Cuts all connections and takes no more.
    pub fn shut(&self) {
        self.is_open.send_replace(false);
    }

    /// Takes connections again.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, targets: Arc<[Target]>, opened: watch::Receiver<bool>) {
    let turn = Arc::new(AtomicUsize::new(0));
    while let Ok((stream, _)) = listener.accept().await {
        if *opened.borrow() {
            tokio::spawn(pass(stream, Arc::clone(&targets), Arc::clone(&turn), opened.clone()));
        }
    }
}

async fn pass(
    mut stream: TcpStream,
    targets: Arc<[Target]>,
    turn: Arc<AtomicUsize>,
    mut opened: watch::Receiver<bool>,
) {
    for _ in 0..targets.len() {
        let target = &targets[turn.fetch_add(1, Ordering::Relaxed) % targets.len()];
        _ = stream.set_nodelay(true);
        // A connection ends when one side ends it, which is nothing to report.
        match target {
            Target::Address(address) => {
                let Ok(mut beyond) = TcpStream::connect(address).await else { continue };
                _ = beyond.set_nodelay(true);
                tokio::select! {
                    _ = copy_bidirectional(&mut stream, &mut beyond) => {}
                    _ = opened.wait_for(|is_open| !is_open) => {}
                }
            }
            Target::Path(path) => {
                let Ok(mut beyond) = UnixStream::connect(path).await else { continue };
                tokio::select! {
                    _ = copy_bidirectional(&mut stream, &mut beyond) => {}
                    _ = opened.wait_for(|is_open| !is_open) => {}
                }
            }
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Refusing;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn connections_go_to_whom_takes_them_and_a_shut_gate_cuts_them() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = Refusing::start().unwrap();
        let gate = Gate::to(vec![dead.address, free.local_addr().unwrap()]).await.unwrap();
        let mut near = TcpStream::connect(gate.address).await.unwrap();
        let (mut far, _) = free.accept().await.unwrap();
        near.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        gate.shut();
        assert!(matches!(near.read(&mut heard).await, Ok(0) | Err(_)));
        let mut refused = TcpStream::connect(gate.address).await.unwrap();
        assert!(matches!(refused.read(&mut heard).await, Ok(0) | Err(_)));
        gate.open();
        let _near = TcpStream::connect(gate.address).await.unwrap();
        free.accept().await.unwrap();
    }
}
