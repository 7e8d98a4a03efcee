//! What reads files: media that people publish and rules that they write. What cannot be read costs knowledge, and the
//! content is still cut into a table that holds.

use std::io::Cursor;
use std::path::Path;

use peer_native::inside::{self, Remark};
use peer_native::rules::Statement;
use swarm_core::Geometry;
use swarm_core::segmentation::{self, Structure};

use crate::engine::Seen;

/// Bytes of the sample's header, with some media after it.
const HEADER_BYTES: usize = 28 * 1024;

/// A file of MP4's kind.
pub fn mp4(input: &[u8], seen: &mut Seen) {
    examine(input, "film.mp4", "video/mp4", b"\0\0\0\x18ftyp", seen);
}

/// A file of Matroska's kind.
pub fn matroska(input: &[u8], seen: &mut Seen) {
    examine(input, "film.mkv", "video/x-matroska", &[0x1a, 0x45, 0xdf, 0xa3], seen);
}

fn examine(input: &[u8], name: &str, media_type: &str, magic: &[u8], seen: &mut Seen) {
    // Otherwise most changes of the first bytes only say that it is something else.
    let mut input = input.to_vec();
    for (byte, magic) in input.iter_mut().zip(magic) {
        *byte = *magic;
    }
    let media = inside::examine(&mut Cursor::new(input.as_slice()), name, media_type);
    for remark in &media.remarks {
        let (Remark::Info(text) | Remark::Warning(text)) = remark;
        seen.note(text);
    }
    seen.note_count("keyframes", media.structure.keyframes.len());
    seen.note_count("chapters", media.structure.chapters.len());
    tiles(input.len() as u64, &media.structure, &[]);
}

/// A rules file on a content with keyframes and chapters, and flags.
pub fn rules(input: &[u8], seen: &mut Seen) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let structure = Structure::default();
    let length = 1_000_000;
    match Statement::parse("film.toml", text) {
        Ok(statement) => {
            seen.note_count("rules", statement.rules().len());
            seen.note_count("chapters", statement.chapters().len());
            match statement.check(Geometry::new(length), &structure) {
                Ok(idle) => seen.note_count("idle", idle.len()),
                Err(error) => seen.note(error),
            }
            tiles(length, &structure, &statement.rules());
        }
        Err(error) => seen.note(error),
    }
    let mut flags = Statement::default();
    for added in [flags.add_priority(text), flags.add_background(text)] {
        match added {
            Ok(()) => seen.note("a flag"),
            Err(error) => seen.note(error.to_string().replace(text, "")),
        }
    }
    tiles(length, &structure, &flags.rules());
}

/// The table covers the content, whatever is known of it.
fn tiles(length: u64, structure: &Structure, rules: &[segmentation::Rule]) {
    let geometry = Geometry::new(length);
    let segments = segmentation::segments(geometry, structure, rules);
    let tiled: u64 = segments.iter().map(|segment| u64::from(segment.group_count)).sum();
    assert_eq!(tiled, u64::from(geometry.group_count()));
    assert!(segments.iter().all(|segment| segment.group_count > 0), "an empty segment");
}

/// The header of the sample clip, and a small file of boxes.
pub fn mp4_seeds() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample/river.mp4");
    let sample = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let small = [
        atom(b"ftyp", b"isom\0\0\0\0isom"),
        atom(b"moov", &[atom(b"mvhd", &[0; 100]), atom(b"trak", &atom(b"mdia", &[]))].concat()),
        atom(b"sidx", &[0; 40]),
        atom(b"moof", &atom(b"mfhd", &[0; 8])),
        atom(b"mdat", &[1; 32]),
    ];
    vec![sample.get(..HEADER_BYTES).unwrap_or(&sample).to_vec(), small.concat()]
}

fn atom(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 8).to_be_bytes();
    [&length[..], name, body].concat()
}

/// A film of two frames with an index, chapters and a title.
pub fn matroska_seeds() -> Vec<Vec<u8>> {
    let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"matroska"));
    let info = element(
        &[0x15, 0x49, 0xa9, 0x66],
        &[
            element(&[0x2a, 0xd7, 0xb1], &[0x0f, 0x42, 0x40]),
            element(&[0x44, 0x89], &1000_f64.to_be_bytes()),
            element(&[0x7b, 0xa9], b"title"),
            element(&[0x4d, 0x80], b"m"),
            element(&[0x57, 0x41], b"w"),
        ]
        .concat(),
    );
    let video = element(&[0xe0], &[element(&[0xb0], &[160]), element(&[0xba], &[90])].concat());
    let entry = [
        element(&[0xd7], &[1]),
        element(&[0x73, 0xc5], &[1]),
        element(&[0x83], &[1]),
        element(&[0x86], b"V_VP8"),
        video,
    ];
    let tracks = element(&[0x16, 0x54, 0xae, 0x6b], &element(&[0xae], &entry.concat()));
    let name = element(&[0x80], &[element(&[0x85], b"one"), element(&[0x43, 0x7c], b"eng")].concat());
    let chapter = element(&[0xb6], &[element(&[0x73, 0xc4], &[1]), element(&[0x91], &[0]), name].concat());
    let chapters = element(&[0x10, 0x43, 0xa7, 0x70], &element(&[0x45, 0xb9], &chapter));
    let positions = element(&[0xb7], &[element(&[0xf7], &[1]), element(&[0xf1], &[60])].concat());
    let cues =
        element(&[0x1c, 0x53, 0xbb, 0x6b], &element(&[0xbb], &[element(&[0xb3], &[0]), positions].concat()));
    let frames = [
        element(&[0xe7], &[0]),
        element(&[0xa3], &[0x81, 0, 0, 0x80, 1, 2, 3]),
        element(&[0xa3], &[0x81, 0, 40, 0, 4, 5]),
    ];
    let cluster = element(&[0x1f, 0x43, 0xb6, 0x75], &frames.concat());
    let segment = element(&[0x18, 0x53, 0x80, 0x67], &[info, tracks, chapters, cues, cluster].concat());
    vec![[head, segment].concat()]
}

/// An element with a length of four bytes.
fn element(id: &[u8], body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 | 0x1000_0000).to_be_bytes();
    [id, &length, body].concat()
}

/// Each form of a rule, and flags.
pub fn rules_seeds() -> Vec<Vec<u8>> {
    let file = "title = \"The river\"\nauthor = \"A\"\n\n[[chapter]]\ntime = \"0:20\"\nname = \"The sea\"\n\n\
                [[rule]]\ntime = \"0:00-0:10\"\npriority = 7\nperiod = \"start\"\n\n\
                [[rule]]\nbytes = \"0-65536\"\npriority = 1\n\n[[rule]]\nkind = \"keyframe\"\npriority = 5\n\n\
                [[rule]]\nchapter = \"The sea\"\nperiod = \"background\"\n";
    [file, "0:00-0:30=7", "1:00:00-1:00:01.5"].map(|text| text.as_bytes().to_vec()).to_vec()
}
