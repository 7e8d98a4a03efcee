//! The start time in a link: the `t` of `#SWARMID&t=2:15`.
//!
//! Pure. This module parses the text and finds the group at which the core begins. The page makes the player begin
//! there.

use swarm_core::Manifest;

use crate::bar::segment_at;

/// Maximum length of the text, characters. `99:59:59.999` has 12.
const TEXT_CHARS_MAX: usize = 16;

/// Media before the start time that the decoder needs, ms. A picture is decoded from the keyframe before it, and
/// few films have more than two seconds between keyframes.
const LEAD_MS: u64 = 2000;

/// Parses a time into milliseconds. It accepts the usual forms: `135`, `135s`, `2:15`, `0:02:15`, `1h2m3s`. The
/// seconds may have up to three decimals. `None` for any other text.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_CHARS_MAX || !text.is_ascii() {
        return None;
    }
    if text.contains(':') { clock(text) } else { units(text) }
}

/// Parses `H:MM:SS` or `M:SS`. Only the first part may exceed 59.
fn clock(text: &str) -> Option<u64> {
    let (before, last) = text.rsplit_once(':')?;
    let mut minutes = 0;
    for (index, part) in before.split(':').enumerate() {
        let value = whole(part)?;
        if index > 1 || (index > 0 && value > 59) {
            return None;
        }
        minutes = minutes * 60 + value;
    }
    let seconds_ms = seconds_ms(last).filter(|ms| *ms < 60_000)?;
    Some(minutes * 60_000 + seconds_ms)
}

/// Parses `1h2m3s`. Each part may be missing, but the order is fixed. Seconds without `s` are accepted only if
/// there is no other part.
fn units(text: &str) -> Option<u64> {
    let (hours, rest) = part(text, 'h')?;
    let (minutes, rest) = part(rest, 'm')?;
    let is_alone = hours.is_none() && minutes.is_none();
    let seconds_ms = match rest.strip_suffix('s') {
        Some(seconds) => seconds_ms(seconds)?,
        None if rest.is_empty() && !is_alone => 0,
        None if is_alone => seconds_ms(rest)?,
        None => return None,
    };
    Some(hours.unwrap_or(0) * 3_600_000 + minutes.unwrap_or(0) * 60_000 + seconds_ms)
}

/// The number before `unit`, if `unit` occurs, and the text after it.
fn part(text: &str, unit: char) -> Option<(Option<u64>, &str)> {
    match text.split_once(unit) {
        Some((number, rest)) => Some((Some(whole(number)?), rest)),
        None => Some((None, text)),
    }
}

/// Parses a whole number of at most nine digits. The limit makes overflow impossible in the sums above.
fn whole(text: &str) -> Option<u64> {
    let is_number = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Parses seconds with up to three decimals into milliseconds.
fn seconds_ms(text: &str) -> Option<u64> {
    let (seconds, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let scale = [100, 10, 1].get(decimals.len().checked_sub(1)?)?;
    Some(whole(seconds)? * 1000 + whole(decimals)? * scale)
}

/// Whether a content is video or audio, so that a start time applies to it.
pub fn has_time(manifest: &Manifest) -> bool {
    let kind = manifest.media_type.split('/').next().unwrap_or_default();
    kind.eq_ignore_ascii_case("video") || kind.eq_ignore_ascii_case("audio")
}

/// The group from which the picture at `start_ms` can be decoded; `None` if the segment table has no times.
pub fn group_at(manifest: &Manifest, start_ms: u64) -> Option<u32> {
    let timed = segment_at(manifest, start_ms)?;
    // A media segment begins at a keyframe, so the bytes before it are not needed.
    let bytes = timed.offset_at(start_ms.saturating_sub(LEAD_MS));
    Some(manifest.geometry().group_at(bytes))
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use proptest::prelude::*;

    use super::*;
    use crate::fixture::film;
    use swarm_core::limits::GROUP_BYTES;

    #[test]
    fn every_usual_form_of_a_time_is_read() {
        for (text, ms) in [
            ("135", 135_000),
            ("135s", 135_000),
            ("2:15", 135_000),
            ("02:15", 135_000),
            ("0:02:15", 135_000),
            ("2m15s", 135_000),
            ("1h2m3s", 3_723_000),
            ("1h", 3_600_000),
            ("90m", 5_400_000),
            ("90:00", 5_400_000),
            ("1:02:03.25", 3_723_250),
            ("0.5", 500),
            ("0", 0),
            (" 7 ", 7000),
        ] {
            assert_eq!(parse(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "soon",
            "-5",
            "1:60",
            "1:75:00",
            "1:2:3:4",
            ":15",
            "2:",
            "s",
            "hms",
            "1m2h",
            "1h5",
            "5.",
            "1.2345",
            "1e3",
            "2m:15",
            "99999999999999999999",
            "１２",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_group_lies_two_seconds_before_the_moment_but_not_before_its_segment() {
        // 4 groups of header, then segments of 10 s and 100 groups each.
        let film = film();
        assert_eq!(group_at(&film, 0), Some(4));
        assert_eq!(group_at(&film, 1000), Some(4));
        assert_eq!(group_at(&film, 7000), Some(4 + 50));
        assert_eq!(group_at(&film, 11_000), Some(104));
        assert_eq!(film.geometry().offset(104), 104 * u64::from(GROUP_BYTES));
        let mut unknown = film;
        unknown.segments.iter_mut().for_each(|segment| segment.time_ms = None);
        assert_eq!(group_at(&unknown, 7000), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_written_is_read(
            text in "[0-9hms:. -]{0,18}", hours in 0u64..100, minutes in 0u64..60, seconds in 0u64..60,
        ) {
            let _ = parse(&text);
            let ms = (hours * 3600 + minutes * 60 + seconds) * 1000;
            prop_assert_eq!(parse(&format!("{hours}:{minutes:02}:{seconds:02}")), Some(ms));
            prop_assert_eq!(parse(&format!("{hours}h{minutes}m{seconds}s")), Some(ms));
        }
    }
}
