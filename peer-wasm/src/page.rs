//! What the page and the worker say to each other: small objects, described here and in `www/app/types.js`.
//!
//! They cross as JSON-shaped objects; what JSON cannot say rides along as a property of the object: a channel
//! or a port from the page, taken by [`Attachment`], and bytes to it.

use js_sys::{Array, JSON, Object, Reflect, Uint8Array};
use serde::{Deserialize, Serialize};
use swarm_core::manifest;
use swarm_core::peer::{Stats, UploadLimit};
use swarm_core::tracker_message::{IceServer, Signal};
use swarm_core::{LinkId, Manifest, SwarmId};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, MessagePort, RtcDataChannel};

use crate::bar;

/// What the page tells the worker. The variant is the object's `type`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromPage {
    /// A link's connection produced a signal for the other side.
    Signal { link: u32, signal: Signal },
    /// A link's channel was created; it is attached.
    Channel { link: u32, label: String },
    /// A link's connection failed or ended; in words.
    Closed { link: u32, reason: String },
    /// The service worker wants bytes, to be sent to the attached port.
    Read { swarm: String, range: Option<String>, is_download: bool },
    /// What plays, and how much media lies buffered beyond it.
    Player { at_ms: u32, ahead_ms: u32 },
    /// The person changed how much may be uploaded.
    Upload { limit: Upload },
    /// The person keeps the content on this device, or no longer does.
    Keep { is_kept: bool },
    /// The person agreed to connections with other peers, or wants none.
    Consent { is_given: bool },
    /// Asks for stats at once.
    Fresh { id: u32 },
    /// Asks for the digest of all that is held.
    Digest { id: u32 },
    /// The page may be about to go away.
    Leaving {},
    /// The page is going away.
    Stop {},
}

/// How much may be uploaded, in the page's words.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Upload {
    mode: UploadMode,
    /// With [`UploadMode::Capped`].
    #[serde(default)]
    bits_per_s: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UploadMode {
    /// As much as the network takes.
    Unlimited,
    /// At most so many bits a second.
    Capped,
    /// Nothing.
    Off,
}

impl From<Upload> for UploadLimit {
    fn from(upload: Upload) -> Self {
        match upload.mode {
            UploadMode::Unlimited => Self::Unlimited,
            UploadMode::Capped => Self::BitsPerSecond(upload.bits_per_s),
            UploadMode::Off => Self::Off,
        }
    }
}

/// What came with a message and is not JSON.
#[derive(Debug)]
pub(crate) enum Attachment {
    /// Nothing.
    None,
    /// A data channel, transferred.
    Channel(RtcDataChannel),
    /// A port: to the service worker, or to a channel that stays in the window.
    Port(MessagePort),
}

impl Attachment {
    fn of(data: &JsValue) -> Self {
        let property = |name: &str| Reflect::get(data, &JsValue::from_str(name)).ok();
        if let Some(channel) = property("channel").and_then(|value| value.dyn_into().ok()) {
            return Self::Channel(channel);
        }
        property("port").and_then(|value| value.dyn_into().ok()).map_or(Self::None, Self::Port)
    }
}

impl FromPage {
    /// Reads a message; the error in words, for the console.
    pub(crate) fn read(data: &JsValue) -> Result<(Self, Attachment), String> {
        let in_words = |_| "a message is no object, or has no form in JSON".to_owned();
        // `{TYPE: MESSAGE}`, which serde reads as it comes. A variant that is named among its own fields takes it much more code.
        let named = Object::new();
        Reflect::set(&named, &Reflect::get(data, &"type".into()).map_err(in_words)?, data)
            .map_err(in_words)?;
        let text = String::from(JSON::stringify(&named).map_err(in_words)?);
        let message = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok((message, Attachment::of(data)))
    }
}

/// What the worker tells the page.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToPage<'a> {
    /// Create a connection for this link.
    Connect {
        link: LinkId,
        is_offerer: bool,
        ice_servers: &'a [IceServer],
        /// Whether it must go through a relay.
        is_relayed: bool,
    },
    /// Hand a signal of the other side to the link's connection.
    Signal { link: LinkId, signal: &'a Signal },
    /// Close the link's connection.
    Close { link: LinkId },
    /// The manifest is here. With `attachments`, an array of [`to_attachment`]'s objects.
    Content {
        swarm: SwarmId,
        name: &'a str,
        title: Option<&'a str>,
        author: Option<&'a str>,
        media_type: &'a str,
        length_bytes: u64,
        duration_ms: Option<u64>,
        /// Where the link says that playback begins.
        start_ms: Option<u64>,
        segments: Vec<bar::Row>,
        chapters: Vec<bar::Mark<'a>>,
    },
    /// The link's time cannot be used; in words.
    BadStart { reason: &'a str },
    /// How things stand; `id` answers `Fresh`. With the arrays of [`bar::Levels`].
    Stats {
        id: Option<u32>,
        stats: &'a Stats,
        /// About where what plays lies, in parts of the content.
        playhead: Option<f64>,
    },
    /// Where the content is stored.
    Storage {
        /// Whether it outlasts this visit.
        is_on_disk: bool,
        /// Whether the person keeps it.
        is_kept: bool,
        /// Bytes that an earlier visit left.
        resumed_bytes: u64,
    },
    /// Answers `Digest`; no digest while groups are missing.
    Digest { id: u32, digest: Option<String> },
    /// The tracker knows us.
    TrackerUp,
    /// The tracker cannot be reached.
    TrackerDown { reason: &'a str, retry_ms: u64 },
    /// Neither the tracker nor a neighbour knows the swarm; it is tried again.
    UnknownSwarm,
    /// Something is awaited and tried again.
    Waiting { reason: &'a str },
    /// The tracker connects this viewer with no peer; with consent, if that is required, it would.
    PeersWithheld { is_consent_required: bool, reason: &'a str },
    /// The tracker takes this viewer no longer; its links stay.
    Dismissed { reason: &'a str },
    /// Everything wanted is held.
    Complete,
    /// A counterpart lost its link for breaking the rules.
    Banned { link: LinkId, reason: &'a str },
    /// A mirror sent wrong bytes and is not asked again.
    MirrorLost { host: &'a str },
    /// The peer cannot go on.
    Failed { reason: &'a str },
}

impl ToPage<'_> {
    /// Posts the message. A page that cannot take it is gone, and this worker with it.
    pub(crate) fn post(&self, scope: &DedicatedWorkerGlobalScope) {
        self.post_with(scope, &[]);
    }

    /// Posts the message with what JSON cannot say.
    pub(crate) fn post_with(&self, scope: &DedicatedWorkerGlobalScope, extras: &[(&str, JsValue)]) {
        let Ok(object) = to_object(self) else { return };
        for (name, value) in extras {
            let _ = Reflect::set(&object, &JsValue::from_str(name), value);
        }
        let _ = scope.post_message(&object);
    }

    /// Tells the page of a content whose manifest is here.
    pub(crate) fn post_content(
        scope: &DedicatedWorkerGlobalScope,
        swarm: SwarmId,
        manifest: &Manifest,
        start_ms: Option<u64>,
    ) {
        let content = ToPage::Content {
            swarm,
            name: &manifest.name,
            title: manifest.title.as_deref(),
            author: manifest.author.as_deref(),
            media_type: &manifest.media_type,
            length_bytes: manifest.length_bytes,
            duration_ms: manifest.duration_ms,
            start_ms,
            segments: bar::rows(manifest),
            chapters: bar::marks(manifest),
        };
        let attachments: Array =
            manifest.attachments.iter().filter_map(|own| to_attachment(own).ok()).collect();
        content.post_with(scope, &[("attachments", attachments.into())]);
    }
}

/// `{kind, media_type, language, label, tiles, bytes: Uint8Array}`; `tiles` is null except for a storyboard.
fn to_attachment(attachment: &manifest::Attachment) -> Result<JsValue, JsValue> {
    #[derive(Serialize)]
    struct Description<'a> {
        kind: &'a str,
        media_type: &'a str,
        language: Option<&'a str>,
        label: Option<&'a str>,
        tiles: Option<manifest::Tiles>,
    }
    let object = to_object(&Description {
        kind: attachment.kind.name(),
        media_type: &attachment.media_type,
        language: attachment.language.as_deref(),
        label: attachment.label.as_deref(),
        tiles: attachment.tiles(),
    })?;
    Reflect::set(&object, &"bytes".into(), &to_array(&attachment.bytes))?;
    Ok(object)
}

/// A copy that can cross to the page.
pub(crate) fn to_array(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// A plain object of the same shape.
pub(crate) fn to_object<T: Serialize>(value: &T) -> Result<JsValue, JsValue> {
    let text = serde_json::to_string(value).map_err(|error| JsValue::from_str(&error.to_string()))?;
    JSON::parse(&text)
}

#[cfg(test)]
#[cfg(target_arch = "wasm32")]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn object(json: &str) -> JsValue {
        JSON::parse(json).unwrap()
    }

    #[wasm_bindgen_test]
    fn a_message_is_read_with_what_json_cannot_say() {
        let data = object(r#"{"type": "channel", "link": 3, "label": "data"}"#);
        let pair = web_sys::MessageChannel::new().unwrap();
        Reflect::set(&data, &"port".into(), &pair.port1()).unwrap();
        let (message, attachment) = FromPage::read(&data).unwrap();
        assert!(matches!(message, FromPage::Channel { link: 3, label } if label == "data"));
        assert!(matches!(attachment, Attachment::Port(_)));
        pair.port1().close();
    }

    #[wasm_bindgen_test]
    fn signals_and_limits_are_read_as_the_page_writes_them() {
        let json = r#"{"type": "signal", "link": 1, "signal": {"kind": "candidate", "candidate": "c",
            "sdp_mid": "0", "sdp_m_line_index": 0}}"#;
        let (message, _) = FromPage::read(&object(json)).unwrap();
        assert!(matches!(message, FromPage::Signal { link: 1, signal: Signal::Candidate { .. } }));
        let json = r#"{"type": "upload", "limit": {"mode": "capped", "bits_per_s": 5000000}}"#;
        let (message, _) = FromPage::read(&object(json)).unwrap();
        let FromPage::Upload { limit } = message else { panic!("{message:?}") };
        assert_eq!(UploadLimit::from(limit), UploadLimit::BitsPerSecond(5_000_000));
        let (message, _) = FromPage::read(&object(r#"{"type": "stop"}"#)).unwrap();
        assert!(matches!(message, FromPage::Stop {}));
        for text in
            [r#"{"type": "no such thing"}"#, r#"{"link": 1}"#, r#"{"type": "fresh"}"#, "[]", "1", "null"]
        {
            assert!(FromPage::read(&object(text)).is_err(), "{text}");
        }
        assert!(FromPage::read(&JsValue::UNDEFINED).is_err());
    }

    #[wasm_bindgen_test]
    fn an_attachment_crosses_with_its_bytes() {
        let attachment = manifest::Attachment {
            kind: manifest::AttachmentKind::Subtitles,
            media_type: "text/vtt".into(),
            language: Some("en".into()),
            label: None,
            bytes: b"WEBVTT".to_vec().into(),
        };
        let object = to_attachment(&attachment).unwrap();
        let field = |name: &str| Reflect::get(&object, &name.into()).unwrap();
        assert_eq!(field("kind").as_string().as_deref(), Some("subtitles"));
        assert!(field("label").is_null() && field("tiles").is_null());
        assert_eq!(Uint8Array::new(&field("bytes")).to_vec(), b"WEBVTT");
    }

    #[wasm_bindgen_test]
    fn the_page_is_told_where_the_tiles_of_a_storyboard_are() {
        let grid = manifest::Grid { columns: 2, count: 3 };
        let attachment = manifest::Attachment {
            kind: manifest::AttachmentKind::Storyboard(grid),
            media_type: "image/webp".into(),
            language: None,
            label: None,
            bytes: b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xb4\0".to_vec().into(),
        };
        let object = to_attachment(&attachment).unwrap();
        let field = |name: &str| Reflect::get(&object, &name.into()).unwrap();
        assert_eq!(field("kind").as_string().as_deref(), Some("storyboard"));
        let tiles = String::from(JSON::stringify(&field("tiles")).unwrap());
        assert_eq!(tiles, r#"{"columns":2,"count":3,"width":160,"height":90}"#);
    }

    #[wasm_bindgen_test]
    fn what_the_page_is_told_is_a_plain_object() {
        let object = to_object(&ToPage::TrackerDown { reason: "gone", retry_ms: 500 }).unwrap();
        let field = |name: &str| Reflect::get(&object, &name.into()).unwrap();
        assert_eq!(field("type").as_string().as_deref(), Some("tracker_down"));
        assert_eq!(field("retry_ms").as_f64(), Some(500.0));
    }
}
