//! The catalogue as it is read: in pages of bounded size, from a snapshot that is made once a second at most.
//!
//! A page has a tag made from its bytes, so that a reader that has it already is told so in a few bytes.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use crate::limits::{
    CATALOGUE_AGE_MAX, CATALOGUE_LOOKS_PER_REQUEST, CATALOGUE_PAGE_BYTES_MAX, CATALOGUE_PAGE_MAX,
    CATALOGUE_WORDS_MAX,
};
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

/// In which order the catalogue is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// The latest published first.
    #[default]
    New,
    /// Those with most peers first.
    Peers,
    /// By title, or by name where there is none.
    Name,
}

/// Which page is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PageRequest {
    /// The number of the entry before it, or none for the first page.
    after: Option<u64>,
    /// What all entries have in their name or title, in lower case.
    words: Vec<String>,
    order: Order,
}

impl PageRequest {
    /// `words`: separated by white space.
    pub(crate) fn new(after: Option<u64>, words: Option<&str>, order: Option<Order>) -> Self {
        let words = words.unwrap_or_default().to_lowercase();
        let words = words.split_whitespace().take(CATALOGUE_WORDS_MAX).map(str::to_owned).collect();
        Self { after, words, order: order.unwrap_or_default() }
    }

    /// What looking for its words in so many titles costs, in requests.
    pub(crate) fn search_cost(&self, titles: usize) -> u32 {
        let looks = self.words.len().saturating_mul(titles);
        u32::try_from(looks / CATALOGUE_LOOKS_PER_REQUEST).unwrap_or(u32::MAX)
    }
}

/// One entry of a snapshot.
#[derive(Debug)]
struct Row {
    number: u64,
    json: String,
    /// Title and name in lower case.
    text: String,
    peers: u32,
}

impl Row {
    fn new(entry: &CatalogueEntry) -> Option<Self> {
        let title = entry.title.as_deref().unwrap_or_default();
        let text = format!("{title} {}", entry.name).trim_start().to_lowercase();
        let peers = entry.seeders.saturating_add(entry.leechers);
        Some(Self { number: entry.number, json: serde_json::to_string(entry).ok()?, text, peers })
    }
}

/// Everything listed at one moment, the latest first, and where its entries are in other orders.
#[derive(Debug, Default)]
struct Snapshot {
    rows: Vec<Row>,
    by_peers: OnceLock<Vec<usize>>,
    by_name: OnceLock<Vec<usize>>,
}

impl Snapshot {
    fn new(entries: &[CatalogueEntry]) -> Self {
        Self { rows: entries.iter().filter_map(Row::new).collect(), ..Self::default() }
    }

    /// The rows in an order. Those that are alike in it stay the latest first.
    fn ordered(&self, order: Order) -> Box<dyn Iterator<Item = &Row> + '_> {
        let sorted = |compare: fn(&Row, &Row) -> Ordering| {
            let mut indices: Vec<usize> = (0..self.rows.len()).collect();
            indices.sort_by(|left, right| compare(&self.rows[*left], &self.rows[*right]));
            indices
        };
        let indices = match order {
            Order::New => return Box::new(self.rows.iter()),
            Order::Peers => self.by_peers.get_or_init(|| sorted(|left, right| right.peers.cmp(&left.peers))),
            Order::Name => self.by_name.get_or_init(|| sorted(|left, right| left.text.cmp(&right.text))),
        };
        Box::new(indices.iter().map(|index| &self.rows[*index]))
    }

    /// The rows behind the entry with the number `after`. An entry that is gone has none behind it, except in the order of
    /// numbers.
    fn behind(&self, request: &PageRequest) -> Box<dyn Iterator<Item = &Row> + '_> {
        let rows = self.ordered(request.order);
        match request.after {
            None => rows,
            Some(after) if request.order == Order::New => {
                Box::new(rows.skip_while(move |row| row.number >= after))
            }
            Some(after) => Box::new(rows.skip_while(move |row| row.number != after).skip(1)),
        }
    }

    fn page(&self, request: &PageRequest) -> Page {
        let is_meant = |row: &&Row| request.words.iter().all(|word| row.text.contains(word.as_str()));
        let mut body = String::from(r#"{"swarms":["#);
        let mut last = None;
        let mut has_more = false;
        for (count, row) in self.behind(request).filter(is_meant).enumerate() {
            has_more = count == CATALOGUE_PAGE_MAX
                || body.len() + row.json.len() + FRAME_BYTES > CATALOGUE_PAGE_BYTES_MAX;
            if has_more {
                break;
            }
            if count > 0 {
                body.push(',');
            }
            body.push_str(&row.json);
            last = Some(row.number);
        }
        body.push(']');
        if let Some(last) = last.filter(|_| has_more) {
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
    /// A page. `entries` are what is listed now.
    pub(crate) fn page(&self, request: &PageRequest, entries: impl FnOnce() -> Vec<CatalogueEntry>) -> Page {
        let snapshot = {
            let mut kept = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            match &*kept {
                Some((made, snapshot)) if made.elapsed() < CATALOGUE_AGE_MAX => Arc::clone(snapshot),
                Some(_) | None => {
                    let snapshot = Arc::new(Snapshot::new(&entries()));
                    *kept = Some((Instant::now(), Arc::clone(&snapshot)));
                    snapshot
                }
            }
        };
        snapshot.page(request)
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
    fn a_search_costs_by_its_words_and_what_it_looks_through() {
        let cost = |words: &str, titles| PageRequest::new(None, Some(words), None).search_cost(titles);
        assert_eq!((cost("", 4096), cost("one", 100)), (0, 0), "the request itself is counted before");
        assert_eq!((cost("one", 4096), cost("one two", 4096)), (32, 64));
        assert_eq!(cost(&"word ".repeat(40), 4096), 256, "so many words are looked for and no more");
    }

    #[test]
    fn pages_follow_one_another_and_none_is_missing() {
        let snapshot = Snapshot::new(&entries(120, "film "));
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let (names, next) = read(&snapshot.page(&PageRequest::new(after, None, None)));
            assert!(names.len() <= CATALOGUE_PAGE_MAX);
            all.extend(names);
            after = next;
            if after.is_none() {
                break;
            }
        }
        let expected: Vec<String> = (1..=120).rev().map(|number| format!("film {number}")).collect();
        assert_eq!(all, expected);
        let page = |after| snapshot.page(&PageRequest::new(after, None, None));
        assert_eq!(read(&page(Some(0))), (vec![], None));
        assert_eq!(page(Some(u64::MAX)), page(None));
    }

    #[test]
    fn a_page_is_bounded_in_bytes_whatever_the_names_are() {
        let snapshot = Snapshot::new(&entries(100, &"\u{1f3ac}\"".repeat(2000)));
        let page = snapshot.page(&PageRequest::default());
        assert!(page.body.len() <= CATALOGUE_PAGE_BYTES_MAX, "{}", page.body.len());
        assert!(read(&page).1.is_some());
    }

    #[test]
    fn the_catalogue_is_made_once_for_many_readers() {
        let catalogue = Catalogue::default();
        let mut made = 0;
        let first = catalogue.page(&PageRequest::default(), || {
            made += 1;
            entries(3, "a")
        });
        let second = catalogue.page(&PageRequest::default(), || unreachable!());
        assert_eq!((made, &first), (1, &second));
        let changed = Snapshot::new(&entries(3, "b")).page(&PageRequest::default());
        assert_ne!(first.tag, changed.tag);
    }

    #[test]
    fn every_word_of_a_search_must_occur_and_pages_go_on_within_it() {
        let mut listed = entries(200, "Film ");
        listed[7].title = Some("A River, at Night".into());
        let snapshot = Snapshot::new(&listed);
        let found = |words: &str, after| read(&snapshot.page(&PageRequest::new(after, Some(words), None)));
        let (names, next) = found("  NIGHT river ", None);
        assert_eq!((names.len(), next), (1, None));
        assert_eq!(found("night day", None).0.len(), 0);
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let (names, next) = found("film 1", after);
            all.extend(names);
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), 119, "numbers up to 200 with the digit 1");
        all.dedup();
        assert_eq!(all.len(), 119);
    }

    #[test]
    fn the_order_is_the_readers() {
        let mut listed = entries(120, "film ");
        listed[100].leechers = 3;
        listed[90].seeders = 5;
        listed[50].title = Some("A film".into());
        let snapshot = Snapshot::new(&listed);
        let names = |order| {
            let (mut after, mut names) = (None, Vec::new());
            loop {
                let (page, next) = read(&snapshot.page(&PageRequest::new(after, None, Some(order))));
                names.extend(page);
                after = next;
                if after.is_none() {
                    return names;
                }
            }
        };
        let by_peers = names(Order::Peers);
        assert_eq!(by_peers[..3], [&listed[90].name, &listed[100].name, &listed[0].name].map(String::clone));
        let by_name = names(Order::Name);
        assert_eq!(by_name[0], listed[50].name, "its title comes first");
        for mut order in [by_peers, by_name] {
            order.sort();
            order.dedup();
            assert_eq!(order.len(), 120, "none twice, none missing");
        }
    }
}
