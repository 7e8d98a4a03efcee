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

#[cfg(test)]
mod tests {
    use super::*;

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
