//! The page inside the program: the table that build.rs made of `dist/`.

use tracker_server::Page;
use tracker_server::page::PageFile;

const FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The page that the program was built with; it may be missing.
pub(crate) const fn inside() -> Page {
    Page::Inside(FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_inside_whole_or_not_at_all() {
        let has = |path: &str| FILES.iter().any(|file| file.path == path && !file.plain.is_empty());
        let whole = [
            "index.html",
            "style.css",
            "sw.js",
            "worker.js",
            "app/main.js",
            "peer-wasm.js",
            "peer-wasm_bg.wasm",
        ];
        assert!(
            FILES.is_empty() || whole.iter().all(|path| has(path)),
            "{:?}",
            FILES.iter().map(|file| file.path).collect::<Vec<_>>()
        );
        assert!(FILES.iter().all(|file| !file.path.ends_with(".br") && !file.path.starts_with('/')));
    }
}
