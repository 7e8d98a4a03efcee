//! The catalogue as it is read: in pages of bounded size, from a snapshot that is made once a second at most.
//!
//! A page has a tag made from its bytes, so that a reader that has it already is told so in a few bytes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::limits::{CATALOGUE_AGE_MAX, CATALOGUE_PAGE_BYTES_MAX, CATALOGUE_PAGE_MAX};
use crate::manifests::CatalogueEntry;

/// Bytes of a page around its entries.
const FRAME_BYTES: usize = 64;

/// A page of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// A JSON object: `swarms`, and `next` if there are more.
    pub(crate) body: String,
    /// An HTTP entity tag.
    pub(crate) tag: String,
}

/// Everything listed at one moment, the latest first: numbers, and entries in JSON.
#[derive(Debug, Default)]
struct Snapshot(Vec<(u64, String)>);

impl Snapshot {
    fn new(entries: Vec<CatalogueEntry>) -> Self {
        let json = |entry: CatalogueEntry| Some((entry.number, serde_json::to_string(&entry).ok()?));
        Self(entries.into_iter().filter_map(json).collect())
    }

    /// The page behind the entry with the number `after`, or the first one.
    fn page(&self, after: Option<u64>) -> Page {
        let start = after.map_or(0, |after| self.0.partition_point(|(number, _)| *number >= after));
        let mut body = String::from(r#"{"swarms":["#);
        let mut last = None;
        let mut count = 0;
        for (number, entry) in &self.0[start..] {
            let is_full = count == CATALOGUE_PAGE_MAX
                || body.len() + entry.len() + FRAME_BYTES > CATALOGUE_PAGE_BYTES_MAX;
            if is_full {
                break;
            }
            if count > 0 {
                body.push(',');
            }
            body.push_str(entry);
            last = Some(number);
            count += 1;
        }
        body.push(']');
        if let Some(last) = last.filter(|_| start + count < self.0.len()) {
            body.push_str(&format!(r#","next":"{last}""#));
        }
        body.push('}');
        let tag = format!("\"{}\"", &blake3::hash(body.as_bytes()).to_hex()[..32]);
        Page { body, tag }
    }
}

/// The catalogue, made anew when it is asked for and too old.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    snapshot: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Catalogue {
    /// The page behind the entry with the number `after`, or the first one. `entries` are what is listed now.
    pub(crate) fn page(&self, after: Option<u64>, entries: impl FnOnce() -> Vec<CatalogueEntry>) -> Page {
        let snapshot = {
            let mut kept = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            match &*kept {
                Some((made, snapshot)) if made.elapsed() < CATALOGUE_AGE_MAX => Arc::clone(snapshot),
                Some(_) | None => {
                    let snapshot = Arc::new(Snapshot::new(entries()));
                    *kept = Some((Instant::now(), Arc::clone(&snapshot)));
                    snapshot
                }
            }
        };
        snapshot.page(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swarm_core::SwarmId;

    fn entries(count: u64, name: &str) -> Vec<CatalogueEntry> {
        let entry = |number| CatalogueEntry {
            number,
            swarm: SwarmId([0; 32]),
            name: format!("{name}{number}"),
            title: None,
            media_type: "video/mp4".into(),
            length_bytes: 1,
            duration_ms: None,
            has_poster: false,
            seeders: 0,
            leechers: 0,
            created_s: 0,
        };
        (1..=count).rev().map(entry).collect()
    }

    /// The names of a page, and where the next one begins.
    fn read(page: &Page) -> (Vec<String>, Option<u64>) {
        let value: serde_json::Value = serde_json::from_str(&page.body).unwrap();
        let names =
            value["swarms"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().into());
        (names.collect(), value["next"].as_str().map(|next| next.parse().unwrap()))
    }

    #[test]
    fn pages_follow_one_another_and_none_is_missing() {
        let snapshot = Snapshot::new(entries(120, "film "));
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let (names, next) = read(&snapshot.page(after));
            assert!(names.len() <= CATALOGUE_PAGE_MAX);
            all.extend(names);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (1..=120).rev().map(|number| format!("film {number}")).collect();
        assert_eq!(all, expected);
        assert_eq!(read(&snapshot.page(Some(0))), (vec![], None));
        assert_eq!(snapshot.page(Some(u64::MAX)), snapshot.page(None));
    }

    #[test]
    fn a_page_is_bounded_in_bytes_whatever_the_names_are() {
        let snapshot = Snapshot::new(entries(100, &"\u{1f3ac}\"".repeat(2000)));
        let page = snapshot.page(None);
        assert!(page.body.len() <= CATALOGUE_PAGE_BYTES_MAX, "{}", page.body.len());
        assert!(read(&page).1.is_some());
    }

    #[test]
    fn the_catalogue_is_made_once_for_many_readers() {
        let catalogue = Catalogue::default();
        let mut made = 0;
        let first = catalogue.page(None, || {
            made += 1;
            entries(3, "a")
        });
        let second = catalogue.page(None, || unreachable!());
        assert_eq!((made, &first), (1, &second));
        let changed = Snapshot::new(entries(3, "b")).page(None);
        assert_ne!(first.tag, changed.tag);
    }
}
