//! Amounts as people write and read them.

use anyhow::{Context, bail};
use swarm_core::peer::UploadLimit;

/// Reads an upload limit: bits a second with a decimal suffix, or `off`.
pub(crate) fn upload_limit(text: Option<&str>) -> anyhow::Result<UploadLimit> {
    let Some(text) = text else { return Ok(UploadLimit::Unlimited) };
    if text.eq_ignore_ascii_case("off") {
        return Ok(UploadLimit::Off);
    }
    let bits = bits(text).with_context(|| {
        format!("`{text}` is no upload limit; write bits a second, such as 800K or 8M, or `off`")
    })?;
    Ok(if bits == 0 { UploadLimit::Off } else { UploadLimit::BitsPerSecond(bits) })
}

/// Reads what the uplink carries, bits a second with a decimal suffix, as bytes a second.
pub(crate) fn uplink(text: Option<&str>) -> anyhow::Result<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    let bits = bits(text).ok().filter(|bits| *bits >= 8000);
    let bits =
        bits.with_context(|| format!("`{text}` is no uplink; write bits a second, such as 800K or 20M"))?;
    Ok(Some(bits / 8))
}

fn bits(text: &str) -> anyhow::Result<u64> {
    let (digits, factor) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'g' | 'G')) => (&text[..at], 1e9),
        Some(_) => (text, 1.0),
        None => bail!("nothing is there"),
    };
    if !digits.starts_with(|digit: char| digit.is_ascii_digit()) {
        bail!("it does not start with a digit");
    }
    let bits = digits.parse::<f64>()? * factor;
    // Beyond this no network card goes, and below it every number is exact.
    if !(0.0..=1e15).contains(&bits) {
        bail!("it is out of range");
    }
    Ok(bits as u64)
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// A time of media for people: `1:20:00.500`, or `0:05` where nothing is beyond the second.
pub(crate) fn media_time(ms: u64) -> String {
    let (seconds, rest) = (ms / 1000, ms % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let whole = match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    };
    if rest == 0 { whole } else { format!("{whole}.{rest:03}") }
}

/// A moment for people, in UTC: `2023-11-14 22:13`. From seconds since 1970 by the civil calendar (Howard Hinnant,
/// "chrono-compatible low-level date algorithms", 2013).
pub(crate) fn moment(since_1970_s: u64) -> String {
    let (days, seconds) = (since_1970_s / 86_400, since_1970_s % 86_400);
    // Days since the first of March of the year 0, so that leap days end years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = u128::from(era) * 400 + u128::from(year + carry);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", seconds / 3600, seconds / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_media_are_written_as_rules_read_them() {
        assert_eq!([0, 5_000, 80_500].map(media_time), ["0:00", "0:05", "1:20.500"]);
        assert_eq!(media_time(3_600_000 + 20 * 60_000 + 1), "1:20:00.001");
    }

    #[test]
    fn moments_are_days_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00");
        assert_eq!(moment(1_700_000_000), "2023-11-14 22:13");
        assert_eq!(moment(951_782_400), "2000-02-29 00:00");
        assert_eq!(moment(951_868_799), "2000-02-29 23:59");
        assert_eq!(moment(951_868_800), "2000-03-01 00:00");
        assert_eq!(moment(4_102_444_799), "2099-12-31 23:59");
        assert!(!moment(u64::MAX).is_empty(), "whatever a manifest says");
    }

    #[test]
    fn limits_are_bits_a_second_with_decimal_suffixes() {
        let limit = |text| upload_limit(Some(text)).unwrap();
        assert_eq!(limit("8M"), UploadLimit::BitsPerSecond(8_000_000));
        assert_eq!(limit("1.5g"), UploadLimit::BitsPerSecond(1_500_000_000));
        assert_eq!(limit("800k"), UploadLimit::BitsPerSecond(800_000));
        assert_eq!(limit("1234"), UploadLimit::BitsPerSecond(1234));
        assert_eq!(limit("0"), UploadLimit::Off);
        assert_eq!(limit("Off"), UploadLimit::Off);
        assert_eq!(upload_limit(None).unwrap(), UploadLimit::Unlimited);
    }

    #[test]
    fn what_is_no_limit_is_refused_with_an_example() {
        for text in ["", "M", "-1", "8MB", "inf", "nan", "1e99", "ä", "8 M"] {
            let error = upload_limit(Some(text)).unwrap_err();
            assert!(error.to_string().contains("8M"), "{text}");
        }
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(5), "5 bytes");
        assert_eq!(size(64 << 20), "64.0 MiB");
        assert_eq!(size(1536), "1.5 KiB");
    }
}
