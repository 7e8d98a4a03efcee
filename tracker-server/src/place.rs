//! A place of a connection: taken when it is accepted, given back when the last holder goes.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::decision::places::{Place, PlaceRefusal, Places};
use crate::limits::{FAREWELL_TIMEOUT, FAREWELLS_MAX, HTTP_BUFFER_BYTES};

/// The places of one tracker, shared by its connections.
#[derive(Debug, Clone)]
pub(crate) struct SharedPlaces {
    places: Arc<Mutex<Places>>,
    farewells: Arc<Semaphore>,
}

impl SharedPlaces {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            places: Arc::new(Mutex::new(Places::new(max))),
            farewells: Arc::new(Semaphore::new(FAREWELLS_MAX)),
        }
    }

    /// A place for a connection from `address`, if there is one.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> Result<Permit, PlaceRefusal> {
        let place = lock(&self.places).take(address)?;
        Ok(Permit(Arc::new(Held { places: Arc::clone(&self.places), place: Mutex::new(place) })))
    }

    /// Tells a connection why it gets no place, then closes it. A few are told at a time; the others are just closed.
    pub(crate) fn refuse(&self, mut stream: TcpStream, refusal: PlaceRefusal) {
        let Ok(turn) = Arc::clone(&self.farewells).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let farewell = async {
                let text = refusal.text();
                let answer = format!(
                    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain\r\nretry-after: 10\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{text}\n",
                    text.len() + 1
                );
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await?;
                // A socket that is closed with unread bytes takes its answer back.
                let mut unread = [0; 512];
                let mut left = HTTP_BUFFER_BYTES;
                while left > 0 {
                    match stream.read(&mut unread).await? {
                        0 => break,
                        count => left = left.saturating_sub(count),
                    }
                }
                io::Result::Ok(())
            };
            // One that does not take its answer cannot be told.
            _ = timeout(FAREWELL_TIMEOUT, farewell).await;
            drop(turn);
        });
    }
}

/// The right to be open. Clones share one place.
#[derive(Debug, Clone)]
pub(crate) struct Permit(Arc<Held>);

impl Permit {
    /// Notes that the connection became a WebSocket.
    pub(crate) fn upgrade(&self) {
        lock(&self.0.places).upgrade(&mut lock(&self.0.place));
    }
}

#[derive(Debug)]
struct Held {
    places: Arc<Mutex<Places>>,
    place: Mutex<Place>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let place = *lock(&self.place);
        lock(&self.places).give_back(place);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
