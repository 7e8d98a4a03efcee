//! Small contents for tests.

use bytes::Bytes;
use swarm_core::limits::GROUP_BYTES;
use swarm_core::manifest::{Mirrors, Period, Seal, Segment, SegmentKind};
use swarm_core::segmentation::doubling;
use swarm_core::{ContentRoot, Geometry, GroupRange, Manifest, TreeBuilder, Verified};

/// Bytes in a group.
pub(crate) const GROUP: usize = GROUP_BYTES as usize;

/// The manifest of a content of that length.
pub(crate) fn manifest(length_bytes: u64, media_type: &str) -> Manifest {
    Manifest {
        seal: Seal::default(),
        name: "film.mp4".into(),
        title: None,
        media_type: media_type.into(),
        length_bytes,
        root: ContentRoot([1; 32]),
        segments: doubling(Geometry::new(length_bytes)),
        duration_ms: None,
        chapters: vec![],
        author: None,
        created_s: 0,
        trackers: vec![],
        attachments: vec![],
        mirrors: Mirrors::default(),
    }
}

/// A manifest whose times are known: 4 groups of header, then three segments of 10 s and 100 groups each.
pub(crate) fn film() -> Manifest {
    let media = |index: u64| Segment {
        group_count: 100,
        kind: SegmentKind::Media,
        priority: 3,
        period: Period::Playback,
        time_ms: Some(index * 10_000),
        duration_ms: Some(10_000),
    };
    let header =
        Segment { group_count: 4, kind: SegmentKind::Header, time_ms: None, duration_ms: None, ..media(0) };
    Manifest {
        segments: std::iter::once(header).chain((0..3).map(media)).collect(),
        duration_ms: Some(30_000),
        ..manifest(304 * u64::from(GROUP_BYTES), "video/mp4")
    }
}

/// A content of four groups, the last of 100 bytes, and its groups verified on demand.
pub(crate) fn content() -> (Vec<u8>, Geometry, impl Fn(GroupRange) -> Verified) {
    let content: Vec<u8> = (0..3 * GROUP + 100).map(|at| u8::try_from(at / 7 % 251).unwrap()).collect();
    let mut builder = TreeBuilder::new();
    content.chunks(GROUP).for_each(|group| builder.push(group));
    let tree = builder.finish().unwrap();
    let geometry = tree.geometry();
    let all = Bytes::from(content.clone());
    let verified = move |range: GroupRange| {
        let span = geometry.bytes(range);
        let [start, end] = [span.start, span.end].map(|offset| usize::try_from(offset).unwrap());
        let proof = tree.prove(range, |_| false).unwrap();
        tree.clone().verify(range, &proof, all.slice(start..end)).unwrap()
    };
    (content, geometry, verified)
}

/// What only runs in a browser or in Node.
#[cfg(target_arch = "wasm32")]
mod ports {
    use js_sys::{Function, Promise, Reflect};
    use wasm_bindgen::prelude::Closure;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;
    use web_sys::{MessageEvent, MessagePort};

    /// The next message at a port.
    pub(crate) async fn next(port: &MessagePort) -> JsValue {
        let promise = Promise::new(&mut |resolve, _| {
            let take = Closure::once_into_js(move |event: MessageEvent| {
                let _ = resolve.call1(&JsValue::NULL, &event.data());
            });
            port.set_onmessage(Some(take.unchecked_ref()));
        });
        let message = JsFuture::from(promise).await.unwrap();
        port.set_onmessage(None);
        message
    }

    /// Lets the event loop turn once.
    pub(crate) async fn turn() {
        let promise = Promise::new(&mut |resolve, _| {
            let set: Function =
                Reflect::get(&js_sys::global(), &"setTimeout".into()).unwrap().unchecked_into();
            set.call2(&JsValue::NULL, &resolve, &0.into()).unwrap();
        });
        JsFuture::from(promise).await.unwrap();
    }
}
#[cfg(target_arch = "wasm32")]
pub(crate) use ports::{next, turn};
