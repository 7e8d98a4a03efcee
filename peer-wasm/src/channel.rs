//! One data channel of a link, wherever the browser lets it live.
//!
//! `RTCDataChannel` can be transferred to a worker in Chromium and Safari; elsewhere it stays in the window,
//! which relays frames over a port (`www/relay.js`). Both look alike from here.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use js_sys::{Array, ArrayBuffer, Reflect, Uint8Array};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, MessageEvent, MessagePort, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

/// What happens on a channel.
#[derive(Debug)]
pub(crate) enum ChannelEvent {
    /// It can carry frames from now on.
    Open,
    /// A frame arrived.
    Frame(Bytes),
    /// It can carry no more.
    Closed,
    /// The buffered amount fell to the low-water mark.
    Drained,
}

/// Who is told of a channel's events.
pub(crate) type Listener = Rc<dyn Fn(ChannelEvent)>;

/// One data channel.
#[derive(Debug)]
pub(crate) enum Channel {
    /// It lives in this worker.
    Direct(Direct),
    /// It lives in the window.
    Relayed(Relayed),
}

impl Channel {
    /// Sends a frame; the error in words.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<(), String> {
        match self {
            Self::Direct(direct) => direct.channel.send_with_u8_array(frame).map_err(words),
            Self::Relayed(relayed) => relayed.send(frame),
        }
    }

    /// Bytes handed over and not yet sent.
    pub(crate) fn buffered_bytes(&self) -> u64 {
        match self {
            Self::Direct(direct) => u64::from(direct.channel.buffered_amount()),
            Self::Relayed(relayed) => relayed.buffered_bytes(),
        }
    }

    /// Sets the amount at which [`ChannelEvent::Drained`] is told.
    pub(crate) fn set_low_water(&self, bytes: u64) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self {
            Self::Direct(direct) => direct.channel.set_buffered_amount_low_threshold(bytes),
            Self::Relayed(relayed) => relayed.post("low", f64::from(bytes)),
        }
    }
}

/// A transferred channel. Closed and deaf once dropped.
#[derive(Debug)]
pub(crate) struct Direct {
    channel: RtcDataChannel,
    /// Kept for as long as the channel may call them.
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_change: [Closure<dyn FnMut(Event)>; 3],
}

impl Direct {
    /// Takes a transferred channel over, in the task in which it arrived.
    pub(crate) fn new(channel: RtcDataChannel, listener: &Listener) -> Self {
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        let told = Rc::clone(listener);
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            // A text frame is no message of ours; the empty frame it becomes does not decode.
            let frame = event.data().dyn_into().map_or_else(|_| Bytes::new(), |buffer| to_bytes(&buffer));
            told(ChannelEvent::Frame(frame));
        });
        let tell = |event: fn() -> ChannelEvent| {
            let told = Rc::clone(listener);
            Closure::<dyn FnMut(Event)>::new(move |_| told(event()))
        };
        let on_change =
            [tell(|| ChannelEvent::Open), tell(|| ChannelEvent::Closed), tell(|| ChannelEvent::Drained)];
        let [open, closed, drained] = &on_change;
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        channel.set_onopen(Some(open.as_ref().unchecked_ref()));
        channel.set_onclose(Some(closed.as_ref().unchecked_ref()));
        channel.set_onbufferedamountlow(Some(drained.as_ref().unchecked_ref()));
        if channel.ready_state() == RtcDataChannelState::Open {
            listener(ChannelEvent::Open);
        }
        Self { channel, _on_message: on_message, _on_change: on_change }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.channel.set_onmessage(None);
        self.channel.set_onopen(None);
        self.channel.set_onclose(None);
        self.channel.set_onbufferedamountlow(None);
        self.channel.close();
    }
}

/// A channel in the window, at the other end of a port.
#[derive(Debug)]
pub(crate) struct Relayed {
    port: MessagePort,
    /// Bytes posted to the window so far.
    posted_bytes: Cell<u64>,
    /// What the window last said: bytes buffered there, and bytes it had been posted by then.
    reported: Rc<Cell<(u64, u64)>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Relayed {
    /// Listens to a port whose other end is a channel in the window.
    pub(crate) fn new(port: MessagePort, listener: &Listener) -> Self {
        let reported = Rc::new(Cell::new((0, 0)));
        let (told, report) = (Rc::clone(listener), Rc::clone(&reported));
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            let data = event.data();
            match data.dyn_ref::<ArrayBuffer>() {
                Some(buffer) => told(ChannelEvent::Frame(to_bytes(buffer))),
                None => on_report(&data, &report, &told),
            }
        });
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Self { port, posted_bytes: Cell::new(0), reported, _on_message: on_message }
    }

    fn send(&self, frame: &[u8]) -> Result<(), String> {
        let buffer = Uint8Array::from(frame).buffer();
        self.posted_bytes.set(self.posted_bytes.get() + frame.len() as u64);
        self.port.post_message_with_transferable(&buffer, &Array::of1(&buffer)).map_err(words)
    }

    fn buffered_bytes(&self) -> u64 {
        let (buffered, seen) = self.reported.get();
        buffered + self.posted_bytes.get().saturating_sub(seen)
    }

    fn post(&self, name: &str, value: f64) {
        let object = js_sys::Object::new();
        let _ = Reflect::set(&object, &name.into(), &value.into());
        let _ = self.port.post_message(&object);
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        self.port.set_onmessage(None);
        self.post("close", 1.0);
        self.port.close();
    }
}

/// Reads `{state: "open" | "closed" | "drained", buffered, seen}` from the window.
fn on_report(data: &JsValue, report: &Cell<(u64, u64)>, told: &Listener) {
    let field = |name: &str| Reflect::get(data, &name.into()).ok();
    let number = |name: &str| field(name).and_then(|value| value.as_f64()).map_or(0, |value| value as u64);
    report.set((number("buffered"), number("seen")));
    match field("state").and_then(|state| state.as_string()).as_deref() {
        Some("open") => told(ChannelEvent::Open),
        Some("closed") => told(ChannelEvent::Closed),
        Some("drained") => told(ChannelEvent::Drained),
        Some(_) | None => {}
    }
}

/// The bytes of a buffer: the one copy that they make on their way in.
fn to_bytes(buffer: &ArrayBuffer) -> Bytes {
    Uint8Array::new(buffer).to_vec().into()
}

/// What an exception says.
pub(crate) fn words(error: JsValue) -> String {
    error
        .dyn_ref::<js_sys::Error>()
        .map_or_else(|| "the browser refused".to_owned(), |error| String::from(error.message()))
}

#[cfg(test)]
#[cfg(target_arch = "wasm32")]
mod tests {
    use std::cell::RefCell;

    use wasm_bindgen_test::wasm_bindgen_test;
    use web_sys::MessageChannel;

    use super::*;
    use crate::fixture::{next, turn};

    /// A relayed channel, the window's end of its port, and what the channel told so far.
    fn relayed() -> (Channel, MessagePort, Rc<RefCell<Vec<ChannelEvent>>>) {
        let pair = MessageChannel::new().unwrap();
        let told = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&told);
        let listener: Listener = Rc::new(move |event| sink.borrow_mut().push(event));
        (Channel::Relayed(Relayed::new(pair.port1(), &listener)), pair.port2(), told)
    }

    fn report(port: &MessagePort, json: &str) {
        port.post_message(&js_sys::JSON::parse(json).unwrap()).unwrap();
    }

    async fn told_count(told: &Rc<RefCell<Vec<ChannelEvent>>>, count: usize) {
        while told.borrow().len() < count {
            turn().await;
        }
    }

    #[wasm_bindgen_test]
    async fn a_relayed_channel_carries_frames_both_ways() {
        let (channel, window, told) = relayed();
        channel.send(&[1, 2, 3]).unwrap();
        let frame: ArrayBuffer = next(&window).await.dyn_into().unwrap();
        assert_eq!(Uint8Array::new(&frame).to_vec(), [1, 2, 3]);
        report(&window, r#"{"state": "open", "buffered": 0, "seen": 0}"#);
        let answer = Uint8Array::from(&[9u8, 8][..]).buffer();
        window.post_message(&answer).unwrap();
        told_count(&told, 2).await;
        let told = told.borrow();
        assert!(matches!(&told[0], ChannelEvent::Open));
        assert!(matches!(&told[1], ChannelEvent::Frame(bytes) if bytes[..] == [9, 8]));
        window.close();
    }

    #[wasm_bindgen_test]
    async fn what_is_on_its_way_to_the_window_counts_as_buffered() {
        let (channel, window, told) = relayed();
        channel.send(&[0; 100]).unwrap();
        channel.send(&[0; 50]).unwrap();
        assert_eq!(channel.buffered_bytes(), 150);
        report(&window, r#"{"state": "taken", "buffered": 70, "seen": 100}"#);
        report(&window, r#"{"state": "drained", "buffered": 20, "seen": 150}"#);
        told_count(&told, 1).await;
        assert!(matches!(told.borrow()[0], ChannelEvent::Drained));
        assert_eq!(channel.buffered_bytes(), 20);
        window.close();
    }
}
