//! Real media that was damaged: it is cut with what can be read of it, and always into a table that holds.

use std::io::Cursor;
use std::path::Path;
use std::sync::LazyLock;

use peer_native::inside::{Remark, examine};
use proptest::prelude::*;
use swarm_core::{Geometry, segmentation};

/// The first half of the sample clip: its header, then media that is cut off.
static CLIP: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample/river.mp4");
    let mut clip = std::fs::read(path).unwrap();
    clip.truncate(clip.len() / 2);
    clip
});

/// Bytes of the clip's header, where damage matters.
const HEADER_BYTES: usize = 26_514;

#[test]
fn a_file_that_was_cut_off_is_cut_at_the_keyframes_that_are_left() {
    let media = examine(&mut Cursor::new(CLIP.as_slice()), "river.mp4", "video/mp4");
    assert!(
        media
            .remarks
            .iter()
            .any(|remark| matches!(remark, Remark::Warning(text) if text.contains("cut off")))
    );
    let segments = segmentation::segments(Geometry::new(CLIP.len() as u64), &media.structure, &[]);
    assert!(segments.iter().filter(|segment| segment.time_ms.is_some()).count() > 3);
}

proptest! {
    #[test]
    fn damage_costs_knowledge_and_nothing_else(
        damage in prop::collection::vec((0..HEADER_BYTES, any::<u8>()), 1..20),
        length in prop_oneof![8..HEADER_BYTES, Just(CLIP.len())],
    ) {
        let mut clip = CLIP[..length].to_vec();
        for (at, value) in damage {
            if let Some(byte) = clip.get_mut(at) {
                *byte = value;
            }
        }
        let media = examine(&mut Cursor::new(clip.as_slice()), "river.mp4", "video/mp4");
        let geometry = Geometry::new(length as u64);
        let segments = segmentation::segments(geometry, &media.structure, &[]);
        let tiled: u32 = segments.iter().map(|segment| segment.group_count).sum();
        prop_assert_eq!(tiled, geometry.group_count());
        let is_known = media.structure.keyframes.len() > 1;
        let is_warned = media.remarks.iter().any(|remark| matches!(remark, Remark::Warning(_)));
        let is_no_mp4 = media.remarks.is_empty() && media.structure == Default::default();
        prop_assert!(is_known || is_warned || is_no_mp4, "nothing is known and nobody is told: {media:?}");
    }
}
