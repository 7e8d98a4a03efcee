//! Whether every link in the built pages leads to a file and a heading that exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A page for addresses that do not exist: where its links lead to follows from the address.
const NOT_FOUND: &str = "404.html";

/// What mdBook writes into its pages. Other pages are copies of files that the book links to.
const MARK: &str = "<!-- Book generated using mdBook -->";

/// Checks all pages below a folder and returns how many links they have. The error lists those that lead nowhere.
pub(super) fn check(folder: &Path) -> Result<usize> {
    let mut pages = BTreeMap::new();
    read(folder, &mut pages)?;
    ensure!(!pages.is_empty(), "{} has no pages", folder.display());
    let mut count = 0;
    let mut dead = Vec::new();
    for (page, text) in &pages {
        for target in targets(text) {
            count += 1;
            if !leads_somewhere(page, target, &pages) {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    ensure!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
    Ok(count)
}

fn read(folder: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let is_page = path.extension().is_some_and(|ending| ending == "html") && !path.ends_with(NOT_FOUND);
        if path.is_dir() {
            read(&path, pages)?;
        } else if is_page {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if text.contains(MARK) {
                pages.insert(path, text);
            }
        }
    }
    Ok(())
}

/// Relative addresses in `href` and `src`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let after = |name: &'static str| text.split(name).skip(1).filter_map(|rest| rest.split('"').next());
    let is_local = |target: &&str| {
        !target.is_empty() && !target.contains(':') && !target.starts_with('/') && *target != "#"
    };
    after(" href=\"").chain(after(" src=\"")).filter(is_local)
}

fn leads_somewhere(page: &Path, target: &str, pages: &BTreeMap<PathBuf, String>) -> bool {
    let (file, heading) =
        target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let path = if file.is_empty() { page.to_owned() } else { page.with_file_name("").join(file) };
    let Ok(path) = path.canonicalize() else { return false };
    let Some(heading) = heading else { return true };
    let is_page = |known: &&PathBuf| known.canonicalize().is_ok_and(|known| known == path);
    let text = pages.keys().find(is_page).and_then(|known| pages.get(known));
    text.is_none_or(|text| text.contains(&format!("id=\"{heading}\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_addresses_are_looked_at() {
        let text = r##"<a href="a.html#b"> <a href="https://example.org/"> <img src="c.png"> <a href="#"> <a href="mailto:x"> <a href="/x">"##;
        assert_eq!(targets(text).collect::<Vec<_>>(), ["a.html#b", "c.png"]);
    }

    #[test]
    fn a_dead_link_is_found_and_a_live_one_is_not() {
        let folder = std::env::temp_dir().join(format!("tributary-book-links-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("b.html", &format!(r#"{MARK}<h2 id="here">"#));
        write("copy.html", r#"<a href="nowhere.html">"#);
        write("a.html", &format!(r#"{MARK}<a href="b.html#here"><a href="b.html">"#));
        assert_eq!(check(&folder).unwrap(), 2);
        write("a.html", &format!(r#"{MARK}<a href="b.html#there"><a href="c.html">"#));
        let error = check(&folder).unwrap_err().to_string();
        assert!(error.contains("b.html#there") && error.contains("c.html"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
