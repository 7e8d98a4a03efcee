//! Times and stretches as people write them.

use swarm_core::limits::MEDIA_MS_MAX;
use swarm_core::segmentation::Scope;

/// Reads a time, ms: seconds, minutes and seconds, or hours, minutes and seconds; seconds may have a fraction. The
/// error says what to write.
pub(super) fn time_ms(text: &str) -> Result<u64, String> {
    let error = || format!("`{text}` is no time; write it like 90, 0:05, 1:20 or 1:20:00.5");
    let mut fields = text.trim().rsplit(':');
    let seconds = seconds_ms(fields.next().unwrap_or_default()).ok_or_else(error)?;
    let mut total_ms = seconds.ms;
    let mut unit_ms = 60_000;
    let mut is_two_digits = seconds.is_two_digits;
    for field in fields.by_ref().take(2) {
        // 1:5 could be meant as 1:05 or as 1:50.
        if !is_two_digits || total_ms >= unit_ms {
            return Err(error());
        }
        let count: u64 = whole(field).ok_or_else(error)?;
        is_two_digits = field.len() == 2;
        total_ms = count.checked_mul(unit_ms).and_then(|ms| ms.checked_add(total_ms)).ok_or_else(error)?;
        unit_ms *= 60;
    }
    if fields.next().is_some() || total_ms > MEDIA_MS_MAX {
        return Err(error());
    }
    Ok(total_ms)
}

/// Reads a stretch of time.
pub(super) fn time_range(text: &str) -> Result<Scope, String> {
    let (start, end) = ends(text).ok_or_else(|| {
        format!("`{text}` is no stretch of time; write it like 0:00-0:30, or 1:20:00- for all that follows")
    })?;
    let start_ms = start.map_or(Ok(0), time_ms)?;
    let end_ms = end.map(time_ms).transpose()?;
    if end_ms.is_some_and(|end_ms| end_ms <= start_ms) {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(Scope::Time { start_ms, end_ms })
}

/// Reads a stretch of bytes: the first one, and the first one that is not meant any more.
pub(super) fn byte_range(text: &str) -> Result<Scope, String> {
    let error =
        || format!("`{text}` is no stretch of bytes; write it like 0-65536, or 65536- for all that follows");
    let (start, end) = ends(text).ok_or_else(error)?;
    let offset = |text: &str| whole(text).ok_or_else(error);
    let start = start.map_or(Ok(0), offset)?;
    let end = end.map_or(Ok(u64::MAX), offset)?;
    if end <= start {
        return Err(format!("`{text}` ends before it begins"));
    }
    Ok(Scope::Bytes(start..end))
}

/// The two ends of a stretch, of which one may be left out.
fn ends(text: &str) -> Option<(Option<&str>, Option<&str>)> {
    let (start, end) = text.split_once('-')?;
    let written = |end: &'_ str| !end.trim().is_empty();
    let (start, end) =
        (Some(start.trim()).filter(|end| written(end)), Some(end.trim()).filter(|end| written(end)));
    (start.is_some() || end.is_some()).then_some((start, end))
}

struct Seconds {
    ms: u64,
    is_two_digits: bool,
}

fn seconds_ms(text: &str) -> Option<Seconds> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    // Milliseconds are as fine as times in a manifest are.
    let ms: u64 = format!("{:0<3}", fraction.get(..fraction.len().min(3))?).parse().ok()?;
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|digit| digit.is_ascii_digit());
    let ms = whole(seconds)?.checked_mul(1000)?.checked_add(ms)?;
    is_fraction.then_some(Seconds { ms, is_two_digits: seconds.len() == 2 })
}

/// A number of digits alone.
fn whole(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_ways_people_write_them() {
        for (text, ms) in [
            ("0", 0),
            ("90", 90_000),
            ("0:05", 5000),
            ("1:20", 80_000),
            ("75:00", 4_500_000),
            ("1:20:00", 4_800_000),
            ("0:00.25", 250),
            ("1.5", 1500),
            (" 2.0004 ", 2000),
        ] {
            assert_eq!(time_ms(text), Ok(ms), "{text}");
        }
        for text in [
            "",
            ":",
            "1:",
            ":30",
            "1:5",
            "1:60",
            "1:5:00",
            "1:60:00",
            "-1",
            "1:2:3:4",
            "1e3",
            "+1",
            "1.",
            "1.x",
            "ü",
            "99999999999999999999",
            "2000:00:00",
        ] {
            assert!(time_ms(text).unwrap_err().contains("no time"), "{text}");
        }
    }

    #[test]
    fn stretches_have_an_end_or_none() {
        assert_eq!(time_range("0:10-0:20"), Ok(Scope::Time { start_ms: 10_000, end_ms: Some(20_000) }));
        assert_eq!(time_range("0:10 -"), Ok(Scope::Time { start_ms: 10_000, end_ms: None }));
        assert_eq!(time_range("-0:10"), Ok(Scope::Time { start_ms: 0, end_ms: Some(10_000) }));
        assert_eq!(byte_range("0-65536"), Ok(Scope::Bytes(0..65_536)));
        assert_eq!(byte_range("7-"), Ok(Scope::Bytes(7..u64::MAX)));
        for text in ["", "-", "0:10", "0:10-0:10", "0:20-0:10", "1-2-3"] {
            assert!(time_range(text).is_err(), "{text}");
        }
        for text in ["", "-", "7", "7-7", "0:10-", "1e3-"] {
            assert!(byte_range(text).is_err(), "{text}");
        }
    }
}
