//! The manifests that the tracker keeps in memory: how many, whose, and which have to go.
//!
//! Owns what is kept; receiving it is `publishing`'s business, showing it `catalogue`'s, saving it `archive`'s.
//!
//! A title without peers may go for a new one; which one is the rule of `shares`. Within a subnet the title used longest ago
//! goes first.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use swarm_core::{Manifest, PublisherKey, SwarmId};

use crate::decision::network::Site;
use crate::limits::{CATALOGUE_TEXT_CHARS_MAX, MANIFESTS_BYTES_MAX, MANIFESTS_MAX};
use crate::shares::{NoRoom, Stored, Usage, make_room};

/// What became of a manifest that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// It is kept from now on; these had to go for it.
    Added(Vec<SwarmId>),
    /// It was kept already.
    Known {
        /// Whether it is listed only now, or no longer.
        is_listing_changed: bool,
    },
    /// There is no room that may be taken from others. Try again later.
    Full,
    /// The publisher's address or subnet has its share, and all of that has peers.
    Quota,
    /// It is kept in memory, and the disk did not take it.
    Unsaved,
}

/// What is said about a manifest beside its own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Provenance {
    /// Whose quota it counts towards; none for a publisher that presented the operator's token.
    pub publisher: Option<Site>,
    /// Whether the catalogue shows it.
    pub is_listed: bool,
}

/// One line of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CatalogueEntry {
    /// Grows with every title that is published.
    #[serde(skip)]
    pub number: u64,
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
pub(crate) struct Poster {
    /// Its media type, one of those that a manifest may have.
    pub media_type: String,
    /// The picture.
    pub bytes: Bytes,
}

#[derive(Debug)]
struct Kept {
    publisher: PublisherKey,
    bytes: Bytes,
    /// Kept beside the manifest, so that nothing is parsed when somebody asks for it.
    poster: Option<Poster>,
    provenance: Provenance,
    /// When it was published: grows with every new title.
    number: u64,
    /// When it was put last: grows with every `put`.
    used: u64,
    name: String,
    title: Option<String>,
    media_type: String,
    length_bytes: u64,
    duration_ms: Option<u64>,
    created_s: u64,
}

impl Kept {
    fn usage(&self) -> Usage {
        let poster = self.poster.as_ref().map_or(0, |poster| poster.bytes.len());
        Usage::of(self.bytes.len() + poster)
    }

    fn entry(&self, swarm: SwarmId, (seeders, leechers): (u32, u32)) -> CatalogueEntry {
        CatalogueEntry {
            number: self.number,
            swarm,
            name: shortened(&self.name),
            title: self.title.as_deref().map(shortened),
            media_type: shortened(&self.media_type),
            length_bytes: self.length_bytes,
            duration_ms: self.duration_ms,
            has_poster: self.poster.is_some(),
            seeders,
            leechers,
            created_s: self.created_s,
        }
    }
}

/// The store.
#[derive(Debug)]
pub(crate) struct Manifests {
    kept: BTreeMap<SwarmId, Kept>,
    turn: u64,
    usage: Usage,
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
    pub(crate) const fn new(count_max: usize, bytes_max: usize) -> Self {
        Self { kept: BTreeMap::new(), turn: 0, usage: Usage { count: 0, bytes: 0 }, count_max, bytes_max }
    }

    /// Keeps `bytes`, from which `manifest` was read. Titles without peers may go for it. `is_proven`: its publisher
    /// asks for it, and decides whether it is listed.
    pub(crate) fn put(
        &mut self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        (provenance, is_proven): (Provenance, bool),
        has_peers: impl Fn(SwarmId) -> bool,
    ) -> Put {
        self.turn += 1;
        if let Some(known) = self.kept.get_mut(&swarm) {
            known.used = self.turn;
            let is_listing_changed = is_proven && provenance.is_listed != known.provenance.is_listed;
            if is_listing_changed {
                known.provenance.is_listed = provenance.is_listed;
            }
            return Put::Known { is_listing_changed };
        }
        let kept = kept(manifest, bytes, provenance, self.turn);
        let stored = self.kept.iter().map(|(swarm, kept)| Stored {
            swarm: *swarm,
            site: kept.provenance.publisher,
            bytes: kept.usage().bytes,
            used: kept.used,
            has_peers: has_peers(*swarm),
        });
        let new = (kept.provenance.publisher, kept.usage().bytes);
        let evicted = match make_room(stored, new, (self.count_max, self.bytes_max)) {
            Ok(evicted) => evicted,
            Err(NoRoom::Quota) => return Put::Quota,
            Err(NoRoom::Full) => return Put::Full,
        };
        for swarm in &evicted {
            self.remove(*swarm);
        }
        self.usage.add(kept.usage());
        self.kept.insert(swarm, kept);
        Put::Added(evicted)
    }

    /// Keeps a manifest that was saved as `number`. Whether there is room.
    pub(crate) fn restore(
        &mut self,
        swarm: SwarmId,
        manifest: &Manifest,
        bytes: Bytes,
        provenance: Provenance,
        number: u64,
    ) -> bool {
        let kept = kept(manifest, bytes, provenance, number);
        let has_room = self.usage.fits(kept.usage().bytes, self.count_max, self.bytes_max);
        if has_room && !self.kept.contains_key(&swarm) {
            self.turn = self.turn.max(number);
            self.usage.add(kept.usage());
            self.kept.insert(swarm, kept);
        }
        has_room
    }

    /// Changes the number under which a manifest was published, where several trackers agree upon it.
    pub(crate) fn renumber(&mut self, swarm: SwarmId, number: u64) {
        if let Some(kept) = self.kept.get_mut(&swarm) {
            kept.number = number;
        }
    }

    /// What is kept.
    pub(crate) fn swarms(&self) -> impl Iterator<Item = SwarmId> {
        self.kept.keys().copied()
    }

    /// The canonical bytes of a manifest.
    pub(crate) fn bytes(&self, swarm: SwarmId) -> Option<Bytes> {
        self.kept.get(&swarm).map(|kept| kept.bytes.clone())
    }

    /// Whose a manifest is, and the number under which it was published.
    pub(crate) fn provenance(&self, swarm: SwarmId) -> Option<(Provenance, u64)> {
        self.kept.get(&swarm).map(|kept| (kept.provenance, kept.number))
    }

    /// The picture of a content.
    pub(crate) fn poster(&self, swarm: SwarmId) -> Option<Poster> {
        self.kept.get(&swarm)?.poster.clone()
    }

    /// Who published a manifest.
    pub(crate) fn publisher(&self, swarm: SwarmId) -> Option<PublisherKey> {
        self.kept.get(&swarm).map(|kept| kept.publisher)
    }

    /// Number of manifests.
    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    /// Everything listed, the latest published first, with the seeders and leechers that `counts` says.
    pub(crate) fn catalogue(&self, counts: impl Fn(SwarmId) -> (u32, u32)) -> Vec<CatalogueEntry> {
        let mut listed: Vec<_> = self.kept.iter().filter(|(_, kept)| kept.provenance.is_listed).collect();
        listed.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.number));
        listed.into_iter().map(|(swarm, kept)| kept.entry(*swarm, counts(*swarm))).collect()
    }

    /// What the catalogue says of one content, listed or not.
    pub(crate) fn entry(&self, swarm: SwarmId) -> Option<CatalogueEntry> {
        self.kept.get(&swarm).map(|kept| kept.entry(swarm, (0, 0)))
    }

    /// Forgets a manifest.
    pub(crate) fn remove(&mut self, swarm: SwarmId) {
        if let Some(kept) = self.kept.remove(&swarm) {
            self.usage.subtract(kept.usage());
        }
    }
}

fn kept(manifest: &Manifest, bytes: Bytes, provenance: Provenance, number: u64) -> Kept {
    let poster = manifest
        .poster()
        .map(|poster| Poster { media_type: poster.media_type.clone(), bytes: poster.bytes.clone() });
    Kept {
        publisher: manifest.seal.publisher,
        bytes,
        poster,
        provenance,
        number,
        used: number,
        name: manifest.name.clone(),
        title: manifest.title.clone(),
        media_type: manifest.media_type.clone(),
        length_bytes: manifest.length_bytes,
        duration_ms: manifest.duration_ms,
        created_s: manifest.created_s,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(CATALOGUE_TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::network::Subnet;
    use crate::limits::{
        MANIFESTS_BYTES_PER_ADDRESS_MAX, MANIFESTS_BYTES_PER_SUBNET_MAX, MANIFESTS_PER_ADDRESS_MAX,
    };
    use swarm_core::manifest::{Attachment, AttachmentKind, Grid, Mirrors, Seal};
    use swarm_core::segmentation::doubling;
    use swarm_core::{ContentRoot, group::Geometry};

    fn manifest(name: &str) -> Manifest {
        Manifest {
            seal: Seal::default(),
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
            mirrors: Mirrors::default(),
        }
    }

    fn put(store: &mut Manifests, name: &str, busy: &[SwarmId]) -> (SwarmId, Put) {
        let manifest = manifest(name);
        let bytes = manifest.to_bytes().unwrap();
        let swarm = manifest.swarm_id().unwrap();
        (
            swarm,
            store.put(swarm, &manifest, bytes.into(), (from("192.0.2.1"), true), |swarm| {
                busy.contains(&swarm)
            }),
        )
    }

    fn from(address: &str) -> Provenance {
        Provenance { publisher: Some(Site::of(address.parse().unwrap())), is_listed: true }
    }

    /// Puts `count` titles of `bytes` each; what became of them.
    fn flood(store: &mut Manifests, address: &str, count: usize, bytes: usize) -> Vec<Put> {
        let put = |index| {
            let mut manifest = manifest(&format!("{address} {index}"));
            manifest.created_s = index as u64;
            let swarm = manifest.swarm_id().unwrap();
            store.put(swarm, &manifest, vec![0; bytes].into(), (from(address), true), |_| false)
        };
        (0..count).map(put).collect()
    }

    #[test]
    fn a_flood_from_one_address_goes_at_its_own_cost() {
        let mut store = Manifests::default();
        let (title, _) = put(&mut store, "idle", &[]);
        let outcomes = flood(&mut store, "203.0.113.9", 100, 1 << 20);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Put::Added(_))));
        assert!(store.bytes(title).is_some());
        assert_eq!(store.len(), 1 + MANIFESTS_BYTES_PER_ADDRESS_MAX / (1 << 20));
        flood(&mut store, "203.0.113.9", 5_000, 100);
        assert_eq!(store.len(), 1 + MANIFESTS_PER_ADDRESS_MAX);
    }

    #[test]
    fn a_flood_from_many_addresses_of_a_subnet_goes_at_its_own_cost() {
        let mut store = Manifests::default();
        let (title, _) = put(&mut store, "idle", &[]);
        for host in 1..=50 {
            flood(&mut store, &format!("203.0.113.{host}"), 8, 1 << 20);
        }
        assert!(store.bytes(title).is_some());
        assert_eq!(store.len(), 1 + MANIFESTS_BYTES_PER_SUBNET_MAX / (1 << 20));
    }

    #[test]
    fn in_a_full_store_the_subnet_that_takes_most_makes_room_for_who_takes_little() {
        let mut store = Manifests::new(100, usize::MAX);
        let (title, _) = put(&mut store, "idle", &[]);
        flood(&mut store, "203.0.113.9", 60, 100);
        flood(&mut store, "198.51.100.9", 60, 100);
        let has = |store: &Manifests, subnet: &str| {
            let subnet = Subnet::of(subnet.parse().unwrap());
            let of = |kept: &&Kept| kept.provenance.publisher.map(Site::subnet) == Some(subnet);
            store.kept.values().filter(of).count()
        };
        assert_eq!((has(&store, "203.0.113.0"), has(&store, "198.51.100.0")), (50, 49));
        assert!(matches!(flood(&mut store, "233.252.0.1", 1, 100)[0], Put::Added(_)));
        assert!(store.bytes(title).is_some());
    }

    #[test]
    fn a_publisher_whose_titles_all_have_peers_is_told_that_it_has_its_share() {
        let mut store = Manifests::default();
        flood(&mut store, "203.0.113.9", MANIFESTS_PER_ADDRESS_MAX, 100);
        let more = manifest("more");
        let swarm = more.swarm_id().unwrap();
        let mut put = |from| store.put(swarm, &more, Bytes::from_static(b"more"), (from, true), |_| true);
        assert_eq!(put(from("203.0.113.9")), Put::Quota);
        assert_eq!(put(Provenance { publisher: None, is_listed: false }), Put::Added(vec![]));
    }

    #[test]
    fn only_what_asked_for_it_is_listed_and_long_texts_are_shortened() {
        let mut store = Manifests::default();
        let quiet = manifest(&"x".repeat(1000));
        let swarm = quiet.swarm_id().unwrap();
        let mut put = |is_listed, is_proven| {
            let provenance = Provenance { is_listed, ..from("192.0.2.1") };
            let bytes = Bytes::from_static(b"quiet");
            let outcome = store.put(swarm, &quiet, bytes, (provenance, is_proven), |_| false);
            (outcome, store.catalogue(|_| (0, 0)))
        };
        assert_eq!(put(false, false), (Put::Added(vec![]), vec![]));
        let (outcome, catalogue) = put(true, true);
        assert_eq!(outcome, Put::Known { is_listing_changed: true });
        assert_eq!(catalogue[0].name.len(), CATALOGUE_TEXT_CHARS_MAX);
        let (outcome, catalogue) = put(false, false);
        assert_eq!(outcome, Put::Known { is_listing_changed: false });
        assert_eq!(catalogue.len(), 1, "nobody else hides it");
        let (outcome, catalogue) = put(false, true);
        assert_eq!((outcome, catalogue), (Put::Known { is_listing_changed: true }, vec![]));
    }

    #[test]
    fn what_is_put_again_keeps_its_place_in_the_catalogue() {
        let mut store = Manifests::default();
        for name in ["first", "second", "first"] {
            put(&mut store, name, &[]);
        }
        let names: Vec<_> = store.catalogue(|_| (0, 0)).into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["second", "first"]);
    }

    #[test]
    fn what_is_restored_keeps_its_number_and_its_publisher() {
        let mut store = Manifests::default();
        let film = manifest("film");
        let swarm = film.swarm_id().unwrap();
        assert!(store.restore(swarm, &film, Bytes::from_static(b"film"), from("192.0.2.1"), 70));
        assert_eq!(store.provenance(swarm), Some((from("192.0.2.1"), 70)));
        let (later, _) = put(&mut store, "later", &[]);
        assert_eq!(store.provenance(later).map(|(_, number)| number), Some(71));
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
        assert_eq!(put(&mut store, "third", &[]), (third, Put::Known { is_listing_changed: false }));
        assert_eq!(
            put(&mut store, "fifth", &[first, third]).1,
            Put::Added(vec![manifest("fourth").swarm_id().unwrap()])
        );
        assert_eq!(store.len(), 3);
    }

    #[test]
    fn subnets_that_join_their_own_titles_keep_nobody_out() {
        let mut store = Manifests::default();
        let (honest, _) = put(&mut store, "idle", &[]);
        let mut refused = 0;
        for number in 0..70 {
            let mut manifest = manifest("pinned");
            manifest.created_s = number;
            let swarm = manifest.swarm_id().unwrap();
            // Nine addresses of five subnets; every title has a peer.
            let address = format!("203.0.{}.{}", number % 5, number % 2);
            let outcome =
                store.put(swarm, &manifest, vec![0; 1 << 20].into(), (from(&address), true), |_| true);
            refused += usize::from(!matches!(outcome, Put::Added(_)));
        }
        assert!(refused > 0 && store.bytes(honest).is_some(), "{refused}");
        let mut newcomer = manifest("newcomer");
        newcomer.created_s = 1_000;
        let swarm = newcomer.swarm_id().unwrap();
        let bytes = vec![0; 1 << 20].into();
        let outcome = store.put(swarm, &newcomer, bytes, (from("198.51.100.7"), true), |_| true);
        assert!(matches!(&outcome, Put::Added(evicted) if evicted.len() == 1), "{outcome:?}");
        assert!(store.bytes(honest).is_some() && store.bytes(swarm).is_some());
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
        assert_eq!((store.len(), store.usage.bytes), (2, length * 2));
    }

    #[test]
    fn a_poster_is_kept_and_counts() {
        let mut store = Manifests::default();
        let mut pictured = manifest("pictured");
        let picture = Bytes::from_static(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01");
        pictured.attachments.push(Attachment {
            kind: AttachmentKind::Poster,
            media_type: "image/png".into(),
            language: None,
            label: None,
            bytes: picture.clone(),
        });
        let bytes: Bytes = pictured.to_bytes().unwrap().into();
        let swarm = pictured.swarm_id().unwrap();
        store.put(swarm, &pictured, bytes.clone(), (from("192.0.2.1"), true), |_| false);
        let (plain, _) = put(&mut store, "plain", &[]);
        let expected = Poster { media_type: "image/png".into(), bytes: picture.clone() };
        assert_eq!((store.poster(swarm), store.poster(plain)), (Some(expected), None));
        assert!(store.catalogue(|_| (0, 0)).iter().all(|entry| entry.has_poster == (entry.swarm == swarm)));
        let before = store.usage.bytes;
        store.remove(swarm);
        assert_eq!(before - store.usage.bytes, bytes.len() + picture.len());
    }

    #[test]
    fn a_storyboard_is_in_the_manifest_alone() {
        let mut store = Manifests::default();
        let mut film = manifest("film");
        film.duration_ms = Some(60_000);
        film.attachments.push(Attachment {
            kind: AttachmentKind::Storyboard(Grid { columns: 2, count: 3 }),
            media_type: "image/webp".into(),
            language: None,
            label: None,
            bytes: Bytes::from_static(b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\x40\x01\xb4\0"),
        });
        let bytes: Bytes = film.to_bytes().unwrap().into();
        let swarm = film.swarm_id().unwrap();
        store.put(swarm, &film, bytes.clone(), (from("192.0.2.1"), true), |_| false);
        let catalogue = store.catalogue(|_| (0, 0));
        assert_eq!((catalogue.len(), store.poster(swarm)), (1, None));
        let shown = serde_json::to_string(&catalogue).unwrap();
        assert!(shown.contains(r#""has_poster":false"#) && !shown.contains("storyboard"), "{shown}");
        assert_eq!(store.bytes(swarm), Some(bytes.clone()));
        assert_eq!(store.usage.bytes, bytes.len(), "its bytes are not kept twice");
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
