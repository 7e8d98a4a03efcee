//! The manifests that the tracker keeps: a bounded store in memory and the catalogue made from it.
//!
//! Owns what is kept and what has to go; receiving and delivering over HTTP is `http`'s business.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use swarm_core::{Manifest, SwarmId};

use crate::limits::{MANIFESTS_BYTES_MAX, MANIFESTS_MAX};

/// What became of a manifest that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is kept from now on; these had to go for it.
    Added(Vec<SwarmId>),
    /// It was kept already.
    Known,
    /// There is no room: every other manifest has peers. Try again later.
    Full,
}

/// One line of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// The swarm.
    pub swarm: SwarmId,
    /// File name, for people.
    pub name: String,
    /// What it is called, where the author said.
    pub title: Option<String>,
    /// Media type, such as `video/mp4`.
    pub media_type: String,
    /// Length of the content, bytes.
    pub length_bytes: u64,
    /// Duration of the media, ms, where known.
    pub duration_ms: Option<u64>,
    /// Whether there is a picture of it.
    pub has_poster: bool,
    /// Peers that hold everything.
    pub seeders: u32,
    /// Peers that lack something.
    pub leechers: u32,
    /// When it was published, seconds since 1970, by its author's clock.
    pub created_s: u64,
}

/// A picture of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poster {
    /// Its media type, one of those that a manifest may have.
    pub media_type: String,
    /// The picture.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Kept {
    bytes: Bytes,
    /// Kept beside the manifest, so that nothing is parsed when somebody asks for it.
    poster: Option<Poster>,
    /// Grows with every `put`: the smallest is the one put longest ago.
    turn: u64,
    name: String,
    title: Option<String>,
    media_type: String,
    length_bytes: u64,
    duration_ms: Option<u64>,
    created_s: u64,
}

impl Kept {
    fn bytes_kept(&self) -> usize {
        self.bytes.len() + self.poster.as_ref().map_or(0, |poster| poster.bytes.len())
    }
}

/// The store.
#[derive(Debug)]
pub struct Manifests {
    kept: BTreeMap<SwarmId, Kept>,
    turn: u64,
    bytes: usize,
    count_max: usize,
    bytes_max: usize,
}

impl Default for Manifests {
    fn default() -> Self {
        Self::new(MANIFESTS_MAX, MANIFESTS_BYTES_MAX)
    }
}

impl Manifests {
    /// A store of at most `count_max` manifests that have at most `bytes_max` bytes together.
    pub const fn new(count_max: usize, bytes_max: usize) -> Self {
        Self { kept: BTreeMap::new(), turn: 0, bytes: 0, count_max, bytes_max }
    }

    /// Keeps `bytes`, from which `manifest` was read. Those without peers go for it, the one put longest ago
    /// first.
    pub fn put(
        &mut self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        has_peers: impl Fn(SwarmId) -> bool,
    ) -> Put {
        self.turn += 1;
        if let Some(known) = self.kept.get_mut(&swarm) {
            known.turn = self.turn;
            return Put::Known;
        }
        let poster = manifest
            .poster()
            .map(|poster| Poster { media_type: poster.media_type.clone(), bytes: poster.bytes.clone() });
        let bytes_more = bytes.len() + poster.as_ref().map_or(0, |poster| poster.bytes.len());
        let Some(evicted) = self.evictions(bytes_more, has_peers) else { return Put::Full };
        for swarm in &evicted {
            self.remove(*swarm);
        }
        self.bytes += bytes_more;
        let kept = Kept {
            bytes,
            poster,
            turn: self.turn,
            name: manifest.name.clone(),
            title: manifest.title.clone(),
            media_type: manifest.media_type.clone(),
            length_bytes: manifest.length_bytes,
            duration_ms: manifest.duration_ms,
            created_s: manifest.created_s,
        };
        self.kept.insert(swarm, kept);
        Put::Added(evicted)
    }

    /// The canonical bytes of a manifest.
    pub fn bytes(&self, swarm: SwarmId) -> Option<Bytes> {
        self.kept.get(&swarm).map(|kept| kept.bytes.clone())
    }

    /// The picture of a content.
    pub fn poster(&self, swarm: SwarmId) -> Option<Poster> {
        self.kept.get(&swarm)?.poster.clone()
    }

    /// Number of manifests.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Everything kept, the latest published first, with the seeders and leechers that `counts` says.
    pub fn catalogue(&self, counts: impl Fn(SwarmId) -> (u32, u32)) -> Vec<CatalogueEntry> {
        let mut by_turn: Vec<_> = self.kept.iter().collect();
        by_turn.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.turn));
        let entry = |(swarm, kept): (&SwarmId, &Kept)| {
            let (seeders, leechers) = counts(*swarm);
            CatalogueEntry {
                swarm: *swarm,
                name: kept.name.clone(),
                title: kept.title.clone(),
                media_type: kept.media_type.clone(),
                length_bytes: kept.length_bytes,
                duration_ms: kept.duration_ms,
                has_poster: kept.poster.is_some(),
                seeders,
                leechers,
                created_s: kept.created_s,
            }
        };
        by_turn.into_iter().map(entry).collect()
    }

    /// What has to go so that `bytes` more fit; `None` if that is not to be had.
    fn evictions(&self, bytes: usize, has_peers: impl Fn(SwarmId) -> bool) -> Option<Vec<SwarmId>> {
        let fits = |count: usize, total: usize| count < self.count_max && total + bytes <= self.bytes_max;
        let (mut count, mut total) = (self.kept.len(), self.bytes);
        let mut evicted = Vec::new();
        if fits(count, total) {
            return Some(evicted);
        }
        let mut idle: Vec<_> = self.kept.iter().filter(|(swarm, _)| !has_peers(**swarm)).collect();
        idle.sort_by_key(|(_, kept)| kept.turn);
        for (swarm, kept) in idle {
            (count, total) = (count - 1, total - kept.bytes_kept());
            evicted.push(*swarm);
            if fits(count, total) {
                return Some(evicted);
            }
        }
        None
    }

    fn remove(&mut self, swarm: SwarmId) {
        if let Some(kept) = self.kept.remove(&swarm) {
            self.bytes -= kept.bytes_kept();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::manifest::{Attachment, AttachmentKind};
    use swarm_core::segmentation::doubling;
    use swarm_core::{ContentRoot, group::Geometry};

    fn manifest(name: &str) -> Manifest {
        Manifest {
            name: name.into(),
            title: None,
            media_type: "video/mp4".into(),
            length_bytes: 1000,
            root: ContentRoot([0; 32]),
            segments: doubling(Geometry::new(1000)),
            duration_ms: None,
            chapters: Vec::new(),
            author: None,
            created_s: 5,
            trackers: vec![],
            attachments: Vec::new(),
        }
    }

    fn put(store: &mut Manifests, name: &str, busy: &[SwarmId]) -> (SwarmId, Put) {
        let manifest = manifest(name);
        let bytes = manifest.to_bytes().unwrap();
        let swarm = manifest.swarm_id().unwrap();
        (swarm, store.put(swarm, &manifest, bytes.into(), |swarm| busy.contains(&swarm)))
    }

    #[test]
    fn the_oldest_without_peers_goes_for_a_new_one() {
        let mut store = Manifests::new(3, usize::MAX);
        let (first, _) = put(&mut store, "first", &[]);
        let (second, _) = put(&mut store, "second", &[]);
        let (third, _) = put(&mut store, "third", &[]);
        let (_, outcome) = put(&mut store, "fourth", &[first]);
        assert_eq!(outcome, Put::Added(vec![second]));
        assert!(store.bytes(first).is_some() && store.bytes(second).is_none());
        assert_eq!(put(&mut store, "third", &[]), (third, Put::Known));
        assert_eq!(
            put(&mut store, "fifth", &[first, third]).1,
            Put::Added(vec![manifest("fourth").swarm_id().unwrap()])
        );
        assert_eq!(store.len(), 3);
    }

    #[test]
    fn nothing_with_peers_goes() {
        let mut store = Manifests::new(1, usize::MAX);
        let (first, _) = put(&mut store, "first", &[]);
        assert_eq!(put(&mut store, "second", &[first]).1, Put::Full);
        assert!(store.bytes(first).is_some());
    }

    #[test]
    fn bytes_are_bounded_too() {
        let length = manifest("a").to_bytes().unwrap().len();
        let mut store = Manifests::new(100, length * 2);
        let (first, _) = put(&mut store, "a", &[]);
        put(&mut store, "b", &[]);
        assert_eq!(put(&mut store, "c", &[]).1, Put::Added(vec![first]));
        assert_eq!((store.len(), store.bytes), (2, length * 2));
    }

    #[test]
    fn a_poster_is_kept_and_counts() {
        let mut store = Manifests::default();
        let mut pictured = manifest("pictured");
        let picture = Bytes::from_static(b"picture");
        pictured.attachments.push(Attachment {
            kind: AttachmentKind::Poster,
            media_type: "image/png".into(),
            language: None,
            label: None,
            bytes: picture.clone(),
        });
        let bytes: Bytes = pictured.to_bytes().unwrap().into();
        let swarm = pictured.swarm_id().unwrap();
        store.put(swarm, &pictured, bytes.clone(), |_| false);
        let (plain, _) = put(&mut store, "plain", &[]);
        let expected = Poster { media_type: "image/png".into(), bytes: picture.clone() };
        assert_eq!((store.poster(swarm), store.poster(plain)), (Some(expected), None));
        assert!(store.catalogue(|_| (0, 0)).iter().all(|entry| entry.has_poster == (entry.swarm == swarm)));
        let before = store.bytes;
        store.remove(swarm);
        assert_eq!(before - store.bytes, bytes.len() + picture.len());
    }

    #[test]
    fn the_catalogue_begins_with_the_latest() {
        let mut store = Manifests::default();
        put(&mut store, "first", &[]);
        let (second, _) = put(&mut store, "second", &[]);
        let catalogue = store.catalogue(|swarm| (u32::from(swarm == second), 7));
        let lines: Vec<_> =
            catalogue.iter().map(|entry| (&entry.name[..], entry.seeders, entry.leechers)).collect();
        assert_eq!(lines, [("second", 1, 7), ("first", 0, 7)]);
        let json = serde_json::to_string(&catalogue[0]).unwrap();
        let expected = format!(
            r#"{{"swarm":"{second}","name":"second","title":null,"media_type":"video/mp4","length_bytes":1000,"duration_ms":null,"has_poster":false,"seeders":1,"leechers":7,"created_s":5}}"#
        );
        assert_eq!(json, expected);
    }
}
