//! The browser peer of Tributary: drives the core inside a dedicated worker.
//!
//! `www/worker.js` loads this module and calls [`start`](fn@start); from then on everything is messages. What only a
//! window may own (connections, the player, what is seen) lives in `www/` and knows no protocol.
//!
//! File names are those of `peer-native`, so that one can be read beside the other.

pub mod bar;
mod channel;
mod digest;
mod driver;
mod execute;
#[cfg(test)]
mod fixture;
mod keeping;
mod link;
mod mirror;
mod moving;
pub mod origins;
mod page;
pub mod range;
mod reader;
pub mod start;
mod state;
pub mod store;
mod tracker;
mod turns;

use std::rc::Rc;

use js_sys::Promise;
use serde::Deserialize;
use swarm_core::peer::{Appetite, Consent, MirrorUse, PeerConfig};
use swarm_core::web_address::WebAddress;
use swarm_core::{Input, SwarmId};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, WebSocket};

use crate::driver::{Driver, Early, Happening};
use crate::page::{Attachment, FromPage, ToPage};
use crate::store::STORE_BYTES_MAX;

/// A running peer, as the loader holds it.
#[wasm_bindgen]
pub struct Session {
    driver: Rc<Driver>,
}

#[wasm_bindgen]
impl Session {
    /// Takes a message of the page. What is no message is ignored: page and worker are of one build.
    pub fn handle(&self, data: &JsValue) {
        match FromPage::read(data) {
            Ok((message @ (FromPage::Leaving {} | FromPage::Stop {}), _)) => self.driver.leave(message),
            // What a channel tells is lost unless it is listened to by the end of the task in which it arrived.
            Ok((message, attachment @ Attachment::Channel(_))) => {
                self.driver.tell(Happening::Page(message, attachment));
            }
            Ok((message, attachment)) => self.driver.tell_in_turn(Happening::Page(message, attachment)),
            Err(_) => {}
        }
    }
}

/// What the loader knows before anything is fetched.
#[derive(Debug, Deserialize)]
struct Wishes {
    /// The swarm, in hexadecimal digits.
    swarm: String,
    /// Where the link says that playback begins, in its own words.
    time: Option<String>,
    /// The link's permission to use a closed tracker.
    token: Option<String>,
    /// Whether the page before this one may not have let go of what is stored yet.
    is_reload: bool,
    /// Whether the person agreed to connections with other peers; none if nobody asked.
    consent: Option<bool>,
    /// The address of the folder that the tracker and the page's files are in, with a slash at its end.
    base: String,
}

/// Starts a peer. `wishes` is JSON of the loader's making. `socket` and `manifest` (a promise of a `Response`) are what the
/// loader began to get meanwhile. The error says what is wrong, for a person.
#[wasm_bindgen]
pub fn start(wishes: &str, socket: Option<WebSocket>, manifest: Option<Promise>) -> Result<Session, JsValue> {
    let wishes: Wishes =
        serde_json::from_str(wishes).map_err(|error| JsValue::from_str(&format!("bad start: {error}")))?;
    let Wishes { swarm, time, token, is_reload, consent, base } = wishes;
    let scope: DedicatedWorkerGlobalScope = js_sys::global()
        .dyn_into()
        .map_err(|_| JsValue::from_str("the peer runs in a dedicated worker only"))?;
    report_panics();
    let swarm: SwarmId = swarm.parse().map_err(|error| JsValue::from_str(&format!("bad link: {error}")))?;
    let mut seed = [0; 8];
    scope.crypto()?.get_random_values_with_u8_array(&mut seed)?;
    let config = PeerConfig {
        appetite: Appetite::Viewer { budget_bytes: STORE_BYTES_MAX, is_kept: false },
        token: token.clone(),
        mirrors: mirrors(&scope),
        ..PeerConfig::viewer(swarm, u64::from_le_bytes(seed))
    };
    let start_ms = time.as_deref().and_then(start::parse);
    if time.is_some() && start_ms.is_none() {
        let reason = "the link's time is not understood (write 2:15 or 135); playing from the beginning";
        ToPage::BadStart { reason }.post(&scope);
    }
    let driver = Driver::new(scope, config, Early { start_ms, token, base, socket, manifest });
    driver.open_storage(is_reload);
    driver.tell(Happening::Input(Input::Consent(match consent {
        Some(true) => Consent::Given,
        Some(false) => Consent::Refused,
        None => Consent::Open,
    })));
    driver.tell(Happening::Input(Input::Start));
    Ok(Session { driver })
}

/// A page of the internet does not choose what is asked in a private network.
fn mirrors(scope: &DedicatedWorkerGlobalScope) -> MirrorUse {
    let origin = scope.location().origin();
    let is_local = WebAddress::read(&origin, &["http", "https"]).is_some_and(|address| address.is_local());
    if is_local { MirrorUse::All } else { MirrorUse::Public }
}

/// A panic ends the peer, not silently: the page says so.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let reason = format!("the peer stopped on an error of its own; reload the page ({info})");
        if let Ok(scope) = js_sys::global().dyn_into() {
            ToPage::Failed { reason: &reason }.post(&scope);
        }
    }));
}
