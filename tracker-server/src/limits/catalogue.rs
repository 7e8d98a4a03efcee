//! Limits of the list of what is published.

use std::time::Duration;

/// Entries in one page of the catalogue.
pub(crate) const CATALOGUE_PAGE_MAX: usize = 50;

/// Bytes of one page of the catalogue.
pub(crate) const CATALOGUE_PAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the words that the catalogue is searched for. Every title is looked through for each of them.
pub(crate) const CATALOGUE_QUERY_BYTES_MAX: usize = 200;

/// Words that the catalogue is searched for at a time.
pub(crate) const CATALOGUE_WORDS_MAX: usize = 8;

/// Titles that one word is looked for in for the price of a request. To look takes up to 0.3 µs a title.
pub const CATALOGUE_LOOKS_PER_REQUEST: usize = 128;

/// Characters of a text in the catalogue; the manifest has all of it.
pub(crate) const CATALOGUE_TEXT_CHARS_MAX: usize = 200;

/// How old the catalogue may be: making it looks at every title, and every open page asks each 5 s.
pub(crate) const CATALOGUE_AGE_MAX: Duration = Duration::from_secs(1);
