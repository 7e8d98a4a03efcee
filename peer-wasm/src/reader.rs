//! Readers: open answers of the service worker, each fed from the store over its own port.
//!
//! The service worker asks for bytes when the browser takes some (`pull`), and gets them as soon as the
//! next ones are verified. A reader's position is what the core schedules by. Words on the port:
//!
//! ```text
//! service worker ─→ {type: "pull"} · {type: "cancel"}
//! service worker ←─ {type: "head", status, headers} · ArrayBuffer · {type: "alive"} · {type: "end"}
//!                   {type: "fail", reason}
//! ```

use std::collections::BTreeMap;
use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Reflect, Uint8Array};
use serde::Serialize;
use swarm_core::{Input, Manifest, ReaderId};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, MessageEvent, MessagePort};

use crate::page::to_object;
use crate::range::{Head, Wanted};
use crate::start;
use crate::store::Store;

/// Open answers; beyond it the oldest is ended. A player keeps two or three.
const READERS_MAX: usize = 24;

/// Bytes handed over at a time.
const DELIVERY_BYTES_MAX: u64 = 256 * 1024;

/// What a download is assumed to have in hand: it wants bytes in order, and none of them urgently.
const DOWNLOAD_AHEAD_MS: u32 = 9_000;

/// What a player is assumed to have in hand that only looks at media on its way to where it will play: the next
/// few groups are urgent, since it waits for them, and not the two seconds that playing from there would take.
const DETOUR_AHEAD_MS: u32 = 1_900;

/// What a reader is assumed to have in hand that takes no bytes while a newer one is open: after a seek a
/// browser may keep the old one for a while, and what plays is the new one's.
const SUPERSEDED_AHEAD_MS: u32 = 30_000;

/// What a service worker says to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// It can take more bytes.
    Pull,
    /// It wants none any more, or is gone.
    Cancel,
}

/// Who is told of what a reader is asked.
pub(crate) type Listener = Rc<dyn Fn(ReaderId, Call)>;

/// What is said on a port beside bytes.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Word<'a> {
    Head(&'a Head),
    Alive,
    End,
    Fail { reason: &'a str },
}

/// One open answer.
struct Reader {
    port: Port,
    at: u64,
    end: u64,
    is_pulled: bool,
    is_download: bool,
    is_headed: bool,
    range: Option<String>,
}

/// A message port that is closed and deaf once dropped.
struct Port {
    port: MessagePort,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    on_close: Closure<dyn FnMut(Event)>,
}

/// Where playback is to begin: the core hears of it before the player has read the headers and asks there.
#[derive(Debug)]
struct Expected {
    reader: ReaderId,
    /// Where the media begins: what lies before are headers, which the player needs at once.
    media_start: u64,
    /// Where it will read.
    at: u64,
}

impl Expected {
    /// Whether a player that reads there only looks for something: it will play elsewhere.
    const fn is_detour(&self, at: u64) -> bool {
        self.media_start <= at && at < self.at
    }
}

/// All open answers.
pub(crate) struct Readers {
    open: BTreeMap<u32, Reader>,
    listener: Listener,
    serial: u32,
    /// Media buffered in the player, as last told.
    ahead_ms: u32,
    /// Until the player has media in hand.
    expected: Option<Expected>,
}

impl Readers {
    pub(crate) const fn new(listener: Listener) -> Self {
        Self { open: BTreeMap::new(), listener, serial: 0, ahead_ms: 0, expected: None }
    }

    /// Playback is to begin at `start_ms`: a position for the core before there is a reader, where the
    /// segment table knows one.
    pub(crate) fn expect(&mut self, manifest: &Manifest, start_ms: u64) -> Option<Input> {
        let group = start::group_at(manifest, start_ms)?;
        let geometry = manifest.geometry();
        let first_media = manifest.segment_ranges().find(|(_, segment)| segment.time_ms.is_some());
        let media_start = first_media.map_or(0, |(range, _)| geometry.offset(range.start));
        let reader = self.next_id();
        self.expected = Some(Expected { reader, media_start, at: geometry.offset(group) });
        Some(Input::ReaderAt { reader, group, ahead_ms: 0 })
    }

    const fn next_id(&mut self) -> ReaderId {
        let id = ReaderId(self.serial);
        self.serial += 1;
        id
    }

    /// Opens a reader for what `range` asks. Its head is sent as soon as [`Readers::serve`] is called with
    /// a store. Gives the reader that had to end for it, if one had to.
    pub(crate) fn open(
        &mut self,
        port: MessagePort,
        range: Option<String>,
        is_download: bool,
    ) -> Option<Input> {
        let ended = if self.open.len() < READERS_MAX { None } else { self.open.pop_first() };
        let id = self.next_id();
        let reader = Reader {
            port: Port::new(port, id, &self.listener),
            at: 0,
            end: 0,
            is_pulled: false,
            is_download,
            is_headed: false,
            range,
        };
        self.open.insert(id.0, reader);
        // A new reader waits for its first byte, whatever the one before it had in hand.
        if !is_download {
            self.ahead_ms = 0;
        }
        ended.map(|(id, reader)| {
            reader.port.say(&Word::Fail { reason: "too many open readers" });
            Input::ReaderClosed(ReaderId(id))
        })
    }

    /// Takes what the service worker said; what the core is to know of it.
    pub(crate) fn handle(&mut self, id: ReaderId, call: Call, store: Option<&Store>) -> Option<Input> {
        match call {
            Call::Cancel => self.open.remove(&id.0).map(|_| Input::ReaderClosed(id)),
            Call::Pull => {
                let reader = self.open.get_mut(&id.0)?;
                reader.is_pulled = true;
                self.deliver(id, store?)
            }
        }
    }

    /// Sends heads and whatever bytes are waited for and held.
    pub(crate) fn serve(&mut self, manifest: &Manifest, store: &Store) -> Vec<Input> {
        let mut inputs = Vec::new();
        let ids: Vec<u32> = self.open.keys().copied().collect();
        for id in ids.into_iter().map(ReaderId) {
            inputs.extend(self.head(id, manifest, store));
            inputs.extend(self.deliver(id, store));
        }
        inputs
    }

    fn head(&mut self, id: ReaderId, manifest: &Manifest, store: &Store) -> Option<Input> {
        let ahead_ms = self.ahead_ms;
        let reader = self.open.get_mut(&id.0).filter(|reader| !reader.is_headed)?;
        let wanted = Wanted::parse(reader.range.as_deref(), manifest.length_bytes);
        let bytes = wanted.bytes(manifest.length_bytes);
        (reader.at, reader.end, reader.is_headed) = (bytes.start, bytes.end, true);
        reader.port.say(&Word::Head(&Head::new(&wanted, manifest, reader.is_download)));
        (!bytes.is_empty()).then(|| reader.position(id, store, ahead_ms, self.expected.as_ref()))
    }

    /// Sends the next bytes if they are waited for and held; the reader's new position.
    fn deliver(&mut self, id: ReaderId, store: &Store) -> Option<Input> {
        let reader = self.open.get_mut(&id.0).filter(|reader| reader.is_pulled && reader.is_headed)?;
        if reader.at < reader.end {
            let slices = store.read(reader.at, reader.end, DELIVERY_BYTES_MAX);
            let length: usize = slices.iter().map(bytes::Bytes::len).sum();
            if length == 0 {
                return None;
            }
            let array = Uint8Array::new_with_length(u32::try_from(length).ok()?);
            let mut at = 0;
            for slice in &slices {
                let end = at + u32::try_from(slice.len()).ok()?;
                array.subarray(at, end).copy_from(slice);
                at = end;
            }
            reader.at += length as u64;
            reader.is_pulled = false;
            reader.port.give(&array.buffer());
        }
        if reader.at == reader.end {
            reader.port.say(&Word::End);
            self.open.remove(&id.0);
            return Some(Input::ReaderClosed(id));
        }
        Some(reader.position(id, store, self.ahead_ms, self.expected.as_ref()))
    }

    /// Takes how much media the player has in hand; the positions of all readers, if that changed.
    pub(crate) fn set_ahead(&mut self, ahead_ms: u32, store: &Store) -> Vec<Input> {
        self.ahead_ms = ahead_ms;
        let reached = self.expected.take_if(|_| ahead_ms > 0);
        let newest = self.open.iter().rfind(|(_, reader)| !reader.is_download).map(|(id, _)| *id);
        let headed = self.open.iter().filter(|(_, reader)| reader.is_headed);
        let positions = headed.map(|(id, reader)| {
            let is_superseded = Some(*id) != newest && !reader.is_pulled;
            let ahead_ms = if is_superseded { ahead_ms.max(SUPERSEDED_AHEAD_MS) } else { ahead_ms };
            reader.position(ReaderId(*id), store, ahead_ms, self.expected.as_ref())
        });
        positions.chain(reached.map(|expected| Input::ReaderClosed(expected.reader))).collect()
    }

    /// Tells those who wait that they do not wait for somebody gone.
    pub(crate) fn say_alive(&self) {
        for reader in self.open.values().filter(|reader| reader.is_pulled || !reader.is_headed) {
            reader.port.say(&Word::Alive);
        }
    }

    /// Ends all readers; they will not get what they wait for.
    pub(crate) fn fail(&mut self, reason: &str) {
        for (_, reader) in std::mem::take(&mut self.open) {
            reader.port.say(&Word::Fail { reason });
        }
    }
}

/// Answers a read that cannot be served, in words.
pub(crate) fn refuse(port: &MessagePort, reason: &str) {
    say(port, &Word::Fail { reason });
    port.close();
}

fn say(port: &MessagePort, word: &Word<'_>) {
    if let Ok(object) = to_object(word) {
        let _ = port.post_message(&object);
    }
}

impl Reader {
    fn position(&self, id: ReaderId, store: &Store, ahead_ms: u32, expected: Option<&Expected>) -> Input {
        let ahead_ms = match expected {
            _ if self.is_download => DOWNLOAD_AHEAD_MS,
            Some(expected) if expected.is_detour(self.at) => DETOUR_AHEAD_MS,
            Some(_) | None => ahead_ms,
        };
        Input::ReaderAt { reader: id, group: store.geometry().group_at(self.at), ahead_ms }
    }
}

impl Port {
    fn new(port: MessagePort, id: ReaderId, listener: &Listener) -> Self {
        let told = Rc::clone(listener);
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let kind = Reflect::get(&event.data(), &"type".into()).ok().and_then(|kind| kind.as_string());
            match kind.as_deref() {
                Some("pull") => told(id, Call::Pull),
                Some("cancel") => told(id, Call::Cancel),
                Some(_) | None => {}
            }
        });
        let told = Rc::clone(listener);
        let on_close = Closure::<dyn FnMut(Event)>::new(move |_| told(id, Call::Cancel));
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        // Fired where the browser tells that the other end is gone; elsewhere `READERS_MAX` bounds the loss.
        let _ = port.add_event_listener_with_callback("close", on_close.as_ref().unchecked_ref());
        Self { port, _on_message: on_message, on_close }
    }

    fn say(&self, word: &Word<'_>) {
        say(&self.port, word);
    }

    fn give(&self, buffer: &ArrayBuffer) {
        let _: Result<(), JsValue> = self.port.post_message_with_transferable(buffer, &Array::of1(buffer));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.port.set_onmessage(None);
        let _ =
            self.port.remove_event_listener_with_callback("close", self.on_close.as_ref().unchecked_ref());
        self.port.close();
    }
}

#[cfg(test)]
#[cfg(target_arch = "wasm32")]
mod tests {
    use std::cell::RefCell;

    use swarm_core::GroupRange;
    use wasm_bindgen_test::wasm_bindgen_test;
    use web_sys::MessageChannel;

    use super::*;
    use crate::fixture::{GROUP, content, film, manifest, next, turn};
    use crate::store::STORE_BYTES_MAX;

    type Calls = Rc<RefCell<Vec<(ReaderId, Call)>>>;

    fn readers() -> (Readers, Calls) {
        let calls = Calls::default();
        let sink = Rc::clone(&calls);
        (Readers::new(Rc::new(move |id, call| sink.borrow_mut().push((id, call)))), calls)
    }

    fn say_pull(port: &MessagePort) {
        port.post_message(&js_sys::JSON::parse(r#"{"type": "pull"}"#).unwrap()).unwrap();
    }

    fn field(message: &JsValue, name: &str) -> JsValue {
        Reflect::get(message, &name.into()).unwrap()
    }

    #[wasm_bindgen_test]
    async fn bytes_are_delivered_when_pulled_and_as_soon_as_held() {
        let (content, geometry, verified) = content();
        let (manifest, mut store) =
            (manifest(geometry.length_bytes(), "video/mp4"), Store::new(geometry, STORE_BYTES_MAX));
        let (mut readers, calls) = readers();
        let pair = MessageChannel::new().unwrap();
        let window = pair.port2();
        let range = format!("bytes={}-{}", GROUP - 2, GROUP + 2);
        assert!(readers.open(pair.port1(), Some(range), false).is_none());

        let told = readers.serve(&manifest, &store);
        assert!(matches!(told[..], [Input::ReaderAt { group: 0, ahead_ms: 0, .. }]), "{told:?}");
        assert_eq!(field(&next(&window).await, "status").as_f64(), Some(206.0));

        say_pull(&window);
        while calls.borrow().is_empty() {
            turn().await;
        }
        let (id, call) = calls.borrow()[0];
        assert!(readers.handle(id, call, Some(&store)).is_none(), "nothing is held yet");
        store.put(&verified(GroupRange::one(0))).unwrap();
        let told = readers.serve(&manifest, &store);
        assert!(matches!(told[..], [Input::ReaderAt { group: 1, .. }]), "{told:?}");
        let buffer: ArrayBuffer = next(&window).await.dyn_into().unwrap();
        assert_eq!(Uint8Array::new(&buffer).to_vec(), content[GROUP - 2..GROUP]);

        store.put(&verified(GroupRange::one(1))).unwrap();
        assert!(readers.serve(&manifest, &store).is_empty(), "nothing more was pulled");
        assert!(matches!(readers.handle(id, Call::Pull, Some(&store)), Some(Input::ReaderClosed(_))));
        let buffer: ArrayBuffer = next(&window).await.dyn_into().unwrap();
        assert_eq!(Uint8Array::new(&buffer).to_vec(), content[GROUP..GROUP + 3]);
        window.close();
    }

    #[wasm_bindgen_test]
    async fn where_playback_begins_is_told_before_anybody_reads_and_until_media_is_in_hand() {
        let film = film();
        let store = Store::new(film.geometry(), STORE_BYTES_MAX);
        let (mut readers, _) = readers();
        let told = readers.expect(&film, 25_000);
        assert!(
            matches!(told, Some(Input::ReaderAt { reader: ReaderId(0), group: 234, ahead_ms: 0 })),
            "{told:?}"
        );

        // The headers are as pressing; media on the way there is not.
        let (head, detour) = (MessageChannel::new().unwrap(), MessageChannel::new().unwrap());
        readers.open(head.port1(), Some("bytes=0-".into()), false);
        readers.open(detour.port1(), Some(format!("bytes={}-", 50 * GROUP)), false);
        let told = readers.serve(&film, &store);
        let ahead = |told: &Input| {
            let Input::ReaderAt { ahead_ms, .. } = told else { panic!("{told:?}") };
            *ahead_ms
        };
        assert_eq!(told.iter().map(ahead).collect::<Vec<_>>(), [0, DETOUR_AHEAD_MS]);

        assert_eq!(readers.set_ahead(0, &store).len(), 2);
        let told = readers.set_ahead(400, &store);
        assert!(matches!(told[..], [_, _, Input::ReaderClosed(ReaderId(0))]), "{told:?}");
        assert_eq!(readers.set_ahead(500, &store).len(), 2);
        readers.fail("the test is over");
        [head, detour].iter().for_each(|pair| pair.port2().close());
    }

    #[wasm_bindgen_test]
    async fn a_read_beyond_the_content_gets_its_head_and_moves_nothing() {
        let (_, geometry, _) = content();
        let (manifest, store) =
            (manifest(geometry.length_bytes(), "video/mp4"), Store::new(geometry, STORE_BYTES_MAX));
        let (mut readers, _) = readers();
        let pair = MessageChannel::new().unwrap();
        readers.open(pair.port1(), Some("bytes=9999999-".into()), false);
        assert!(readers.serve(&manifest, &store).is_empty());
        assert_eq!(field(&next(&pair.port2()).await, "status").as_f64(), Some(416.0));
        assert!(readers.handle(ReaderId(0), Call::Cancel, Some(&store)).is_some());
        pair.port2().close();
    }

    #[wasm_bindgen_test]
    fn the_oldest_reader_ends_when_there_are_too_many() {
        let (mut readers, _) = readers();
        let ends: Vec<_> = (0..=READERS_MAX)
            .filter_map(|_| readers.open(MessageChannel::new().unwrap().port1(), None, false))
            .collect();
        assert!(matches!(ends[..], [Input::ReaderClosed(ReaderId(0))]), "{ends:?}");
        readers.fail("the test is over");
    }
}
