//! How many cues of WebVTT subtitles are shown at the same time. A browser lays out all of them together, and thousands stop the page.

/// The largest number of cues at one moment. Lines that give no times are left out, as browsers do.
pub(super) fn together_max(text: &[u8]) -> usize {
    let text = String::from_utf8_lossy(text);
    let cues: Vec<(u64, u64)> = text.split(['\n', '\r']).filter_map(times).collect();
    let starts = cues.iter().map(|(start, _)| (*start, true));
    // At one moment ends come before starts: `false` is first.
    let mut changes: Vec<(u64, bool)> = starts.chain(cues.iter().map(|(_, end)| (*end, false))).collect();
    changes.sort_unstable();
    let shown = changes.iter().scan(0_usize, |shown, (_, is_start)| {
        *shown = if *is_start { *shown + 1 } else { *shown - 1 };
        Some(*shown)
    });
    shown.max().unwrap_or(0)
}

/// Start and end of a cue, ms, from its line `START --> END SETTINGS`.
fn times(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once("-->")?;
    let (start, end) = (time_ms(start.trim())?, time_ms(end.split_whitespace().next()?)?);
    (start < end).then_some((start, end))
}

/// `HOURS:MM:SS.mmm` or `MM:SS.mmm`.
fn time_ms(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    let seconds = whole.split(':').try_fold(0_u64, |sum, part| {
        sum.checked_mul(60)?.checked_add(u64::from(part.parse::<u32>().ok()?))
    })?;
    seconds.checked_mul(1000)?.checked_add(u64::from(fraction.parse::<u16>().ok()?))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn cues_that_overlap_count_together() {
        let text = "WEBVTT\n\n1\n00:01.000 --> 00:04.000 line:0\na\n\n00:00:03.500 --> 00:00:05.000\nb\r\n\
            00:04.000-->00:06.000\rc\n\nNOTE --> nothing\n00:09.000 --> 00:08.000\nbackwards\n";
        assert_eq!(together_max(text.as_bytes()), 2);
        let many = "00:01.000 --> 00:02.000\n".repeat(9_000);
        assert_eq!(together_max(many.as_bytes()), 9_000);
        let one_by_one: String =
            (0..500).map(|second| format!("0:{second:02}.000 --> 0:{:02}.000\n", second + 1)).collect();
        assert_eq!(together_max(one_by_one.as_bytes()), 1);
    }

    #[test]
    fn what_is_no_time_counts_for_nothing() {
        for text in [
            "",
            "WEBVTT",
            "a --> b",
            "1 --> 2",
            "00:01 --> 00:02",
            "99999999999:00.0 --> 1.0",
            "-1:00.0 --> 2:00.0",
            "\u{fffd}-->",
        ] {
            assert_eq!(together_max(text.as_bytes()), 0, "{text}");
        }
        let largest = format!("0.0 --> {0}:{0}:{0}:{0}.0", u32::MAX);
        assert!(together_max(largest.as_bytes()) <= 1);
    }
}
