//! The tracker as seen from a page that it served: the WebSocket, and the manifest over HTTP.
//!
//! When to connect, what to say and when to try again is the core's affair.

use std::rc::Rc;

use js_sys::{ArrayBuffer, Promise, Uint8Array};
use swarm_core::limits::{MANIFEST_BYTES_MAX, TRACKER_MESSAGE_BYTES_MAX};
use swarm_core::peer::FetchError;
use swarm_core::relays::{self, Relays};
use swarm_core::tracker_message::{PeerRequest, TrackerMessage};
use swarm_core::{Input, SwarmId};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    CloseEvent, DedicatedWorkerGlobalScope, Event, Headers, MessageEvent, RequestInit, Response, WebSocket,
};

use crate::channel::words;

/// Path of the tracker protocol, relative to the page; its version is in it.
const SOCKET_PATH: &str = "v1/swarm";

/// Path of manifests, relative to the page, followed by the id.
const MANIFEST_PATH: &str = "v1/manifests/";

/// Close code of a connection that ended without a close frame, or never came to be.
const CLOSED_ABNORMALLY: u16 = 1006;

/// Where a tracker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the page came from.
    Own,
    /// At this address of its WebSocket, which the manifest lists.
    Listed(String),
}

impl Place {
    /// The address of a manifest there. `base` is the folder that the page's own tracker is in.
    fn manifest_address(&self, base: &str, swarm: SwarmId) -> String {
        let folder = match self {
            Self::Own => base.to_owned(),
            // `ws` becomes `http` and `wss` becomes `https`.
            Self::Listed(socket) => {
                let folder = socket.strip_suffix(SOCKET_PATH).unwrap_or(socket);
                folder.replacen("ws", "http", 1)
            }
        };
        format!("{folder}{MANIFEST_PATH}{swarm}")
    }
}

/// Who is told of what the tracker sends: the socket's number, then what the core is to know.
pub(crate) type Listener = Rc<dyn Fn(u32, Told)>;

/// What the tracker's socket tells.
#[derive(Debug)]
pub(crate) enum Told {
    /// For the core.
    Input(Input),
    /// Relays, in place of those it gave before.
    Relays(Relays),
}

/// The tracker's WebSocket, if there is one.
pub(crate) struct Tracker {
    /// The address of the folder that the page's own tracker is in, with a slash at its end.
    base: String,
    listener: Listener,
    /// A socket that the loader began to open while this module was still compiling.
    early: Option<WebSocket>,
    socket: Option<Socket>,
    /// The socket that is opened beside it for a move, and where to.
    next: Option<(Socket, Place)>,
    /// The socket that was left, for what is under way to it.
    left: Option<Socket>,
    /// Counts sockets, so that what an old one says is not taken for the new one's.
    serial: u32,
}

/// One WebSocket. Closed and deaf once dropped.
struct Socket {
    serial: u32,
    socket: WebSocket,
    /// Kept for as long as the socket may call them.
    _on_open: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl Tracker {
    pub(crate) fn new(base: String, early: Option<WebSocket>, listener: Listener) -> Self {
        Self { base, listener, early, socket: None, next: None, left: None, serial: 0 }
    }

    /// Whether this is the number of the socket in use.
    pub(crate) fn is_current(&self, serial: u32) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.serial == serial)
    }

    /// Whether this is the number of the socket that is opened for a move.
    pub(crate) fn is_next(&self, serial: u32) -> bool {
        self.next.as_ref().is_some_and(|(socket, _)| socket.serial == serial)
    }

    /// Whether this is the number of the socket that was left.
    pub(crate) fn is_left(&self, serial: u32) -> bool {
        self.left.as_ref().is_some_and(|socket| socket.serial == serial)
    }

    /// The address of the tracker that served the page.
    pub(crate) fn own_address(&self) -> String {
        socket_address(&self.base)
    }

    /// The address of the WebSocket of one of the trackers.
    pub(crate) fn address(&self, place: &Place) -> String {
        match place {
            Place::Own => self.own_address(),
            Place::Listed(address) => address.clone(),
        }
    }

    /// The address of a manifest at one of the trackers.
    pub(crate) fn manifest_address(&self, place: &Place, swarm: SwarmId) -> String {
        place.manifest_address(&self.base, swarm)
    }

    /// Opens a socket to a tracker in place of the one there was; the error in words.
    pub(crate) fn connect(&mut self, address: &Place) -> Result<(), String> {
        self.disconnect();
        self.serial = self.serial.wrapping_add(1);
        let usable = |socket: &WebSocket| socket.ready_state() <= WebSocket::OPEN;
        let early = self.early.take().filter(|socket| usable(socket) && *address == Place::Own);
        let socket = match early {
            Some(socket) => socket,
            None => WebSocket::new(&self.address(address)).map_err(words)?,
        };
        self.socket = Some(Socket::new(socket, self.serial, &self.listener));
        Ok(())
    }

    /// Opens a socket beside the one in use; the error in words.
    pub(crate) fn connect_next(&mut self, address: String) -> Result<(), String> {
        self.serial = self.serial.wrapping_add(1);
        let socket = WebSocket::new(&address).map_err(words)?;
        self.next = Some((Socket::new(socket, self.serial, &self.listener), Place::Listed(address)));
        Ok(())
    }

    /// Sends a message on it if it is open.
    pub(crate) fn send_next(&self, request: &PeerRequest) {
        self.next.iter().for_each(|(socket, _)| socket.send(request));
    }

    /// Closes it.
    pub(crate) fn abandon_next(&mut self) {
        self.next = None;
    }

    /// It is the one in use from now on. The other one is kept, to be left. Returns where it leads.
    pub(crate) fn switch(&mut self) -> Option<Place> {
        let (socket, place) = self.next.take()?;
        self.left = self.socket.replace(socket);
        Some(place)
    }

    /// Closes the one that was in use before.
    pub(crate) fn leave(&mut self) {
        self.left = None;
    }

    /// Whether there is a socket, open or about to be.
    pub(crate) const fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Closes the socket, if there is one.
    pub(crate) fn disconnect(&mut self) {
        self.socket = None;
    }

    /// Sends a message if the socket is open.
    pub(crate) fn send(&self, request: &PeerRequest) {
        self.socket.iter().for_each(|socket| socket.send(request));
    }
}

/// The address of the tracker's WebSocket in a folder, below whatever path that is served.
fn socket_address(folder: &str) -> String {
    // `http` becomes `ws` and `https` becomes `wss`.
    let folder = folder.strip_prefix("http").unwrap_or(folder);
    format!("ws{folder}{SOCKET_PATH}")
}

impl Socket {
    fn new(socket: WebSocket, serial: u32, listener: &Listener) -> Self {
        let told = Rc::clone(listener);
        let on_open =
            Closure::<dyn FnMut(Event)>::new(move |_| told(serial, Told::Input(Input::TrackerOpen)));
        let told = Rc::clone(listener);
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let Some((message, relays)) = read(&event.data()) else { return };
            if let Some(relays) = relays {
                told(serial, Told::Relays(relays));
            }
            told(serial, Told::Input(Input::Tracker(message)));
        });
        let told = Rc::clone(listener);
        let on_close = Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
            told(serial, Told::Input(Input::TrackerClosed(reason(&event))));
        });
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        if socket.ready_state() == WebSocket::OPEN {
            listener(serial, Told::Input(Input::TrackerOpen));
        }
        Self { serial, socket, _on_open: on_open, _on_message: on_message, _on_close: on_close }
    }

    /// Sends a message if the socket is open.
    fn send(&self, request: &PeerRequest) {
        if self.socket.ready_state() == WebSocket::OPEN {
            // A send to an open socket fails only when the browser gives up on it, which `close` follows.
            let _ = self.socket.send_with_str(&request.encode());
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

/// A message, or `None` for what this version does not know: a later tracker may say more.
fn read(data: &JsValue) -> Option<(TrackerMessage, Option<Relays>)> {
    let text = data.dyn_ref::<js_sys::JsString>()?;
    // Checked before it is copied: the limit is in bytes, of which there are no fewer than code units.
    if text.length() as usize > TRACKER_MESSAGE_BYTES_MAX {
        return None;
    }
    let text = String::from(text);
    TrackerMessage::decode(&text).ok().map(|message| (message, relays::of(&text)))
}

fn reason(event: &CloseEvent) -> String {
    match (event.code(), event.reason()) {
        (CLOSED_ABNORMALLY, _) => "the tracker cannot be reached".to_owned(),
        (_, reason) if !reason.is_empty() => format!("the tracker closed the connection: {reason}"),
        (code, _) => format!("the tracker closed the connection (code {code})"),
    }
}

/// Gets a manifest over HTTP: from `early` if the loader has asked for it already.
pub(crate) async fn fetch_manifest(
    scope: DedicatedWorkerGlobalScope,
    address: String,
    early: Option<Promise>,
    token: Option<String>,
) -> Input {
    let asked = early.unwrap_or_else(|| scope.fetch_with_str_and_init(&address, &request(token.as_deref())));
    Input::ManifestFetched(read_manifest(asked).await)
}

/// Brings a manifest back to a tracker that forgot it. Whether it is taken does not matter here: the core keeps asking
/// to join.
pub(crate) fn bring_back(
    scope: DedicatedWorkerGlobalScope,
    address: &str,
    bytes: Vec<u8>,
    token: Option<&str>,
) -> impl Future<Output = ()> + use<> {
    let request = request(token);
    request.set_method("PUT");
    request.set_body(&Uint8Array::from(&bytes[..]));
    let sent = scope.fetch_with_str_and_init(address, &request);
    async move {
        let _ = JsFuture::from(sent).await;
    }
}

/// A request that shows a permission, if there is one.
fn request(token: Option<&str>) -> RequestInit {
    let request = RequestInit::new();
    if let Some(token) = token
        && let Ok(headers) = Headers::new()
    {
        // In a header and not in the address, which logs show. A text that is no header is no permission either.
        let _ = headers.set("authorization", &format!("Bearer {token}"));
        request.set_headers(&headers);
    }
    request
}

async fn read_manifest(asked: Promise) -> Result<bytes::Bytes, FetchError> {
    let failed = |error: JsValue| FetchError::Failed(words(error));
    let unreachable = |_| FetchError::Failed("the tracker cannot be reached".to_owned());
    let response: Response = JsFuture::from(asked).await.map_err(unreachable)?.dyn_into().map_err(failed)?;
    match response.status() {
        404 => return Err(FetchError::NotFound),
        401 | 403 => {
            let text = JsFuture::from(response.text().map_err(failed)?).await.map_err(failed)?;
            let text = text.as_string().unwrap_or_default();
            return Err(FetchError::Refused(format!("the tracker refuses: {}", text.trim())));
        }
        _ if response.ok() => {}
        status => return Err(FetchError::Failed(format!("the tracker answered with status {status}"))),
    }
    let body = JsFuture::from(response.array_buffer().map_err(failed)?).await.map_err(failed)?;
    let body: ArrayBuffer = body.dyn_into().map_err(failed)?;
    if body.byte_length() as usize > MANIFEST_BYTES_MAX {
        return Err(FetchError::Failed("the tracker's answer is longer than 1 MiB".to_owned()));
    }
    Ok(Uint8Array::new(&body).to_vec().into())
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn the_tracker_lies_in_the_folder_of_the_page() {
        for (folder, address) in [
            ("http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/swarm"),
            ("https://example.org/", "wss://example.org/v1/swarm"),
            ("https://example.org/films/t/", "wss://example.org/films/t/v1/swarm"),
        ] {
            assert_eq!(socket_address(folder), address);
        }
    }

    #[test]
    fn manifests_lie_beside_the_socket_of_their_tracker() {
        let swarm = SwarmId([0xab; 32]);
        let base = "https://films.example/";
        let own = Place::Own.manifest_address(base, swarm);
        assert!(own.starts_with("https://films.example/v1/manifests/abab"), "{own}");
        for (socket, address) in [
            ("wss://example.org/v1/swarm", "https://example.org/v1/manifests/"),
            ("ws://127.0.0.1:8080/films/v1/swarm", "http://127.0.0.1:8080/films/v1/manifests/"),
        ] {
            let listed = Place::Listed(socket.into()).manifest_address(base, swarm);
            assert_eq!(listed, format!("{address}{swarm}"));
        }
    }
}
