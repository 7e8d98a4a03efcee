//! What a browser's pages take of memory, as the kernel counts.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// Memory of a page's process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageMemory {
    /// Resident bytes that are this process's own, as the browser's task manager counts.
    pub private_bytes: u64,
    /// Resident bytes with those of the browser's program, which all of its processes share, and with files.
    pub resident_bytes: u64,
}

/// Memory of the largest renderer process below a browser's process: the one with the page.
pub(crate) fn page_memory(browser: i32) -> Result<PageMemory> {
    let mut parents: BTreeMap<i32, i32> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("memory is read as Linux tells it")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may have ended meanwhile.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        parents.insert(process, number(&status, "PPid:").unwrap_or(0));
    }
    let is_below = |process: i32| {
        std::iter::successors(Some(process), |process| parents.get(process).copied())
            .take(parents.len())
            .any(|process| process == browser)
    };
    let renderers = parents.keys().filter(|process| is_below(**process)).filter_map(|process| {
        let command = fs::read_to_string(format!("/proc/{process}/cmdline")).ok()?;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let bytes = |name: &str| number::<u64>(&status, name).map(|kibibytes| kibibytes * 1024);
        let private_bytes = bytes("RssAnon:")? + bytes("VmSwap:").unwrap_or(0);
        let memory = PageMemory { private_bytes, resident_bytes: bytes("VmRSS:")? };
        command.contains("--type=renderer").then_some(memory)
    });
    renderers.max().context("the browser has no renderer process")
}

fn number<T: std::str::FromStr>(status: &str, name: &str) -> Option<T> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_from_its_line() {
        let status = "Name:\tchromium\nPPid:\t12\nVmRSS:\t  2048 kB\n";
        assert_eq!(number::<i32>(status, "PPid:"), Some(12));
        assert_eq!(number::<u64>(status, "VmRSS:"), Some(2048));
        assert_eq!(number::<u64>(status, "VmSwap:"), None);
    }
}
