//! A storyboard: one picture with small pictures of moments of the film, side by side, so that a player can show a moment before it jumps
//! there.

use serde::{Deserialize, Serialize};

use super::ManifestError;
use super::picture::Picture;
use crate::limits::{STORYBOARD_PIXELS_MAX, STORYBOARD_TILES_MAX, TILE_EDGE_MAX, TILE_EDGE_MIN};

/// How a storyboard's picture is divided: tiles of equal size in rows of `columns`, without gaps, in the order of reading. Only the last
/// row may have places that are not used.
///
/// Tile `i` stands for the part of the film from `i / count` to `(i + 1) / count` of the manifest's duration. It shows a moment of that part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Tiles in a row, 1 to `count`.
    pub columns: u16,
    /// Tiles, 1 to [`STORYBOARD_TILES_MAX`].
    pub count: u16,
}

/// A grid with the size of its tiles, which the picture's header tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tiles {
    /// Where they are.
    #[serde(flatten)]
    pub grid: Grid,
    /// Width of one tile, pixels.
    pub width: u32,
    /// Height of one tile, pixels.
    pub height: u32,
}

impl Grid {
    /// Rows, the last of which may have fewer tiles.
    pub const fn rows(self) -> u16 {
        self.count.div_ceil(self.columns)
    }

    /// The tiles of such a picture. The error is a picture or a grid that a manifest may not have.
    pub(super) fn tiles(self, bytes: &[u8]) -> Result<Tiles, ManifestError> {
        let Self { columns, count } = self;
        if count == 0 || count > STORYBOARD_TILES_MAX || columns == 0 || columns > count {
            return Err(ManifestError::Invalid(
                "a storyboard has no tiles, more than 240, or rows longer than all",
            ));
        }
        let picture = Picture::read(bytes)?;
        if picture.is_png || picture.pixels() > STORYBOARD_PIXELS_MAX {
            return Err(ManifestError::Invalid(
                "a storyboard is no JPEG or WebP, or has more than 4 million pixels",
            ));
        }
        let Picture { width, height, .. } = picture;
        let (columns, rows) = (u32::from(columns), u32::from(self.rows()));
        let tiles = Tiles { grid: self, width: width / columns, height: height / rows };
        let is_divided = width.is_multiple_of(columns) && height.is_multiple_of(rows);
        let edges = TILE_EDGE_MIN..=TILE_EDGE_MAX;
        if !is_divided || !edges.contains(&tiles.width) || !edges.contains(&tiles.height) {
            return Err(ManifestError::Invalid(
                "a storyboard's picture does not divide into tiles of 16 to 512 pixels a side",
            ));
        }
        Ok(tiles)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::super::tests::{sample, storyboard, webp};
    use super::*;
    use crate::limits::STORYBOARD_BYTES_MAX;
    use crate::manifest::{Attachment, AttachmentKind, Manifest};
    use crate::{ContentRoot, SwarmId};

    fn holding(attachments: Vec<Attachment>) -> Result<Vec<u8>, ManifestError> {
        Manifest { attachments, ..sample(100, ContentRoot([7; 32])) }.to_bytes()
    }

    fn tiled(columns: u16, count: u16, picture: &[u8]) -> Result<Tiles, ManifestError> {
        let grid = Grid { columns, count };
        let board = Attachment { kind: AttachmentKind::Storyboard(grid), ..storyboard(picture) };
        holding(vec![board.clone()]).map(|_| board.tiles().unwrap())
    }

    #[test]
    fn a_storyboard_divides_its_picture_into_equal_tiles() {
        // Three rows of four, of which the last has two.
        let tiles = tiled(4, 10, &webp(640, 270)).unwrap();
        assert_eq!((tiles.grid.rows(), tiles.width, tiles.height), (3, 160, 90));
        assert!(tiled(4, 10, &webp(641, 270)).is_err());
        assert!(tiled(4, 10, &webp(640, 271)).is_err());
        assert!(tiled(4, 8, &webp(640, 270)).is_ok(), "135 pixels high");
        assert_eq!(tiled(1, 1, &webp(16, 512)).map(|tiles| (tiles.width, tiles.height)), Ok((16, 512)));
        for (width, height) in [(15, 90), (90, 15), (513, 90), (90, 513)] {
            assert!(tiled(1, 1, &webp(width, height)).is_err(), "{width} x {height}");
        }
    }

    #[test]
    fn a_grid_has_bounds() {
        let picture = webp(240 * 16, 16);
        assert!(tiled(240, 240, &picture).is_ok());
        for (columns, count) in [(0, 0), (0, 240), (240, 0), (240, 239), (240, 241), (u16::MAX, u16::MAX)] {
            assert!(tiled(columns, count, &picture).is_err(), "{columns} of {count}");
        }
    }

    #[test]
    fn a_storyboard_is_a_small_jpeg_or_webp_by_type_and_bytes() {
        let board = |change: fn(&mut Attachment)| {
            let mut board = storyboard(&webp(640, 270));
            change(&mut board);
            holding(vec![board])
        };
        assert!(board(|_| ()).is_ok());
        assert!(board(|board| board.media_type = "image/jpeg".into()).is_ok(), "browsers go by the bytes");
        for other in ["image/png", "image/avif", "image/svg+xml", "text/vtt"] {
            let typed = Attachment { media_type: other.into(), ..storyboard(&webp(640, 270)) };
            assert!(holding(vec![typed]).is_err(), "{other}");
        }
        assert!(board(|board| board.bytes = vec![].into()).is_err());
        assert!(board(|board| board.bytes = b"<svg/>".as_slice().into()).is_err());
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x02\x80\0\0\x01\x0e";
        assert!(holding(vec![storyboard(png)]).is_err());
        let padded = |bytes: usize| [webp(640, 270), vec![0; bytes - webp(640, 270).len()]].concat();
        assert!(holding(vec![storyboard(&padded(STORYBOARD_BYTES_MAX))]).is_ok());
        assert!(holding(vec![storyboard(&padded(STORYBOARD_BYTES_MAX + 1))]).is_err());
        let grid = Grid { columns: 8, count: 64 };
        let sized = |width, height| grid.tiles(&webp(width, height));
        assert!(sized(2048, 2048).is_ok() && sized(2056, 2048).is_err(), "4 Mi pixels");
    }

    #[test]
    fn there_is_one_storyboard_at_most_and_only_of_what_has_a_duration() {
        let board = storyboard(&webp(640, 270));
        assert!(holding(vec![board.clone()]).is_ok());
        assert!(holding(vec![board.clone(), board.clone()]).is_err());
        for duration_ms in [None, Some(0)] {
            let manifest = Manifest {
                attachments: vec![board.clone()],
                duration_ms,
                ..sample(100, ContentRoot([7; 32]))
            };
            assert!(matches!(manifest.to_bytes(), Err(ManifestError::Invalid(_))));
        }
    }

    #[test]
    fn the_kind_is_encoded_as_the_protocol_document_says() {
        let kind = AttachmentKind::Storyboard(Grid { columns: 8, count: 60 });
        assert_eq!(postcard::to_allocvec(&kind).unwrap(), [0x02, 0x08, 0x3c]);
    }

    #[test]
    fn a_manifest_with_a_storyboard_survives_its_canonical_form() {
        let board = storyboard(&webp(640, 270));
        let unsigned = Manifest { attachments: vec![board], ..sample(100, ContentRoot([7; 32])) };
        let manifest = unsigned.signed_by(&super::super::tests::key()).unwrap();
        let swarm: SwarmId = manifest.swarm_id().unwrap();
        assert_eq!(Manifest::from_bytes(swarm, &manifest.to_bytes().unwrap()), Ok(manifest));
    }
}
