//! What browsers make of WebVTT subtitles: how many cues, lines and tags are shown at the same time, which are laid out together, and how
//! deep tags lie in one another. Thousands stop the page.
//!
//! Lines are read as section 6 of the [WebVTT standard] has it. What one browser takes and another one does not is counted. A line with an arrow
//! begins a cue wherever it stands: in the header, in a comment, in an identifier's place, in a text. So blocks need not be told apart.
//! U+0000, which stands for U+FFFD, is neither digit nor white space, like that.
//!
//! [WebVTT standard]: https://www.w3.org/TR/webvtt1/#parsing

use super::ManifestError;
use crate::limits::{CUE_DEPTH_MAX, CUE_LINES_TOGETHER_MAX, CUE_TAGS_TOGETHER_MAX, CUES_TOGETHER_MAX};

/// Hours up to which browsers agree. Chromium takes more for this, Firefox for what is left after a division by 2^32.
const HOURS_MAX: u64 = i32::MAX as u64;

/// Tags that lie around what follows them. Others are left out.
const TAGS: [&str; 8] = ["c", "i", "b", "u", "v", "lang", "ruby", "rt"];

/// Whether a page can show these subtitles.
pub(super) fn check(bytes: &[u8]) -> Result<(), ManifestError> {
    // Chromium takes what begins with a byte order mark of UTF-16 for UTF-16, in which the same bytes are other cues.
    let Ok(text) = str::from_utf8(bytes) else {
        return Err(ManifestError::Invalid("subtitles are no UTF-8 text"));
    };
    let cues = cues(text);
    if together_max(&cues, |_| 1) > CUES_TOGETHER_MAX {
        return Err(ManifestError::Invalid("subtitles show more than 100 cues at a time"));
    }
    if together_max(&cues, |cue| cue.lines) > CUE_LINES_TOGETHER_MAX {
        return Err(ManifestError::Invalid("subtitles show more than 200 lines at a time"));
    }
    if together_max(&cues, |cue| cue.tags) > CUE_TAGS_TOGETHER_MAX {
        return Err(ManifestError::Invalid("subtitles show more than 2,000 tags at a time"));
    }
    if cues.iter().any(|cue| cue.depth > CUE_DEPTH_MAX) {
        return Err(ManifestError::Invalid("subtitles have a cue with more than 64 tags inside one another"));
    }
    Ok(())
}

/// What counts of a cue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cue {
    start_ms: u64,
    end_ms: u64,
    /// Lines of its text.
    lines: usize,
    /// Signs that begin a tag.
    tags: usize,
    /// How many tags lie around the innermost text.
    depth: usize,
}

fn cues(text: &str) -> Vec<Cue> {
    let mut lines = lines(text).peekable();
    let mut cues = Vec::new();
    while let Some(line) = lines.next() {
        let Some((start_ms, end_ms)) = times(line) else { continue };
        let mut text = String::new();
        while let Some(line) = lines.next_if(|line| !line.is_empty() && !line.contains("-->")) {
            text.push_str(line);
            text.push('\n');
        }
        let [lines, tags] = ['\n', '<'].map(|sign| text.matches(sign).count());
        cues.push(Cue { start_ms, end_ms, lines, tags, depth: depth(&text) });
    }
    cues
}

/// Lines end with CR, LF or both.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Start and end of a cue, ms, from its line `START --> END SETTINGS`.
fn times(line: &str) -> Option<(u64, u64)> {
    let (start_ms, rest) = time(skip_space(line))?;
    let (end_ms, _) = time(skip_space(skip_space(rest).strip_prefix("-->")?))?;
    // A cue that ends before it starts is shown by Chromium while playback stands at its start.
    start_ms.zip(end_ms).map(|(start, end)| (start, end.max(start))).or(Some((0, u64::MAX)))
}

/// `HOURS:MM:SS.mmm` or `MM:SS.mmm`, ms, and what follows; it need not be apart. The time is `None` beyond [`HOURS_MAX`].
fn time(text: &str) -> Option<(Option<u64>, &str)> {
    let (first, rest) = digits(text);
    let (second, rest) = digits(rest.strip_prefix(':')?);
    let (third, rest) = match rest.strip_prefix(':') {
        Some(rest) => {
            let (third, rest) = digits(rest);
            (Some(third), rest)
        }
        None => (None, rest),
    };
    let (millis, rest) = digits(rest.strip_prefix('.')?);
    let (hours, minutes, seconds) = third.map_or(("0", first, second), |third| (first, second, third));
    let is_sexagesimal = |digits: &str| digits.len() == 2 && digits < "60";
    if hours.is_empty() || !is_sexagesimal(minutes) || !is_sexagesimal(seconds) || millis.len() != 3 {
        return None;
    }
    let number = |digits: &str| digits.parse::<u64>().ok();
    let ms = number(hours).filter(|hours| *hours < HOURS_MAX).and_then(|hours| {
        Some(((hours * 60 + number(minutes)?) * 60 + number(seconds)?) * 1000 + number(millis)?)
    });
    Some((ms, rest))
}

/// The digits at the beginning, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\u{c}'])
}

/// The largest sum of what counts of cues at one moment.
fn together_max(cues: &[Cue], count: impl Fn(&Cue) -> usize) -> usize {
    let starts = cues.iter().map(|cue| (cue.start_ms, false, count(cue)));
    let ends = cues.iter().map(|cue| (cue.end_ms, true, count(cue)));
    // At one moment starts come before ends: Chromium shows a cue to the end of its last moment.
    let mut changes: Vec<(u64, bool, usize)> = starts.chain(ends).collect();
    changes.sort_unstable();
    let shown = changes.iter().scan(0_usize, |shown, (_, is_end, count)| {
        *shown = if *is_end { *shown - count } else { *shown + count };
        Some(*shown)
    });
    shown.max().unwrap_or(0)
}

/// How many tags lie in one another in a cue's text. A tag reaches to the next `>`, or to the end. Firefox ends a name at any sign that is
/// no letter, and closes no `rt` with its `ruby`.
fn depth(text: &str) -> usize {
    let mut open: Vec<&str> = Vec::new();
    let mut depth = 0;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, behind) = after.split_once('>').unwrap_or((after, ""));
        rest = behind;
        let name = tag.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
        match tag.strip_prefix('/') {
            Some(end) if open.last() == Some(&end) => {
                open.pop();
            }
            None if TAGS.contains(&name) => open.push(name),
            Some(_) | None => {}
        }
        depth = depth.max(open.len());
    }
    depth
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn together(text: &str) -> usize {
        together_max(&cues(text), |_| 1)
    }

    fn deepest(text: &str) -> usize {
        cues(text).iter().map(|cue| cue.depth).max().unwrap_or(0)
    }

    #[test]
    fn cues_that_overlap_count_together() {
        let text = "WEBVTT\n\n1\n00:01.000 --> 00:03.999 line:0\na\n\n00:00:03.500 --> 00:00:05.000\nb\r\n\
            00:04.000-->00:06.000\rc\n\nNOTE --> nothing\n00:09.000 --> 00:08.000\nbackwards\n";
        assert_eq!(together(text), 2);
        assert_eq!(cues(text).len(), 4);
        let many = "00:01.000 --> 00:02.000\n".repeat(9_000);
        assert_eq!(together(&many), 9_000);
        let one_by_one: String =
            (0..59).map(|second| format!("00:{second:02}.000 --> 00:{:02}.000\n", second + 1)).collect();
        assert_eq!(together(&one_by_one), 2, "a cue and the one after it");
    }

    #[test]
    fn what_browsers_take_as_a_cue_is_counted() {
        for line in [
            "00:00.000 --> 10:00.000x",
            "00:00.000 --> 10:00.000line:0",
            "00:00.000 --> 10:00.000-->",
            " \t\u{c}00:00.000\u{c}-->\t10:00.000\0",
            "00:00.000-->0:10:00.000",
            "000000000000000000000000000:00:00.000 --> 99999999999999999999999999:59:59.999",
            "4294967296:00:00.000 --> 4294967296:10:00.000",
            // Nothing of length, and less than nothing.
            "00:00.000 --> 00:00.000",
            "00:00.000 --> 00:00:00.000",
        ] {
            for (before, after) in [
                ("\n", "\n"),
                ("\n", ""),
                ("\r", "\r"),
                ("\n\n", "\r\n"),
                ("\nNOTE\n", "\n"),
                ("\n\nSTYLE\n", "\n"),
                ("\n\nREGION\nid:x\n", "\n"),
                ("\n\n00:00.000 --> 00:00.000\ntext\n", "\ntext"),
                ("\n\nan id --> with an arrow\n", "\n"),
                ("\n\na --> b\nc\n", "\n"),
            ] {
                let text = format!("\u{feff}WEBVTT{before}{line}{after}");
                let cues = cues(&text);
                assert!(cues.last().is_some_and(|cue| cue.start_ms == 0), "{text:?}: {cues:?}");
            }
        }
        let line = |number: u64| format!("{0}:00:00.000 --> {0}:10:00.000\n", number * (1 << 32));
        assert_eq!(together(&(1..=200).map(line).collect::<String>()), 200, "Firefox shows all of them at 0");
    }

    #[test]
    fn what_is_no_time_counts_for_nothing() {
        for text in [
            "",
            "WEBVTT",
            "a --> b",
            "1 --> 2",
            "00:01 --> 00:02",
            "0:00.000 --> 0:01.000",
            "00:00.00 --> 00:01.000",
            "00:00.000 --> 00:01.0000",
            "00:60.000 --> 01:00.000",
            "60:00.000 --> 61:00.000",
            "1:60:00.000 --> 2:00:00.000",
            "00:00,000 --> 00:01,000",
            "00:00.000 -> 00:01.000",
            "00:00.000 - -> 00:01.000",
            "x00:00.000 --> 00:01.000",
            "\u{a0}00:00.000 --> 00:01.000",
            ":00:00.000 --> 00:01.000",
            "00:00:00:00.000 --> 01:00:00:00.000",
            "-01:00.000 --> 02:00.000",
            "\u{661}\u{661}:00.000 --> 02:00.000",
            "\u{fffd}-->",
        ] {
            assert_eq!(cues(text), [], "{text}");
        }
    }

    #[test]
    fn tags_inside_one_another_are_counted_and_those_beside_one_another_are_not() {
        let cue = |text: &str| format!("WEBVTT\n\n00:00.000 --> 10:00.000\n{text}\n");
        for (text, depth) in [
            ("<i>a</i>".repeat(1000), 1),
            ("<i>".repeat(1000), 1000),
            ("<i>\n".repeat(1000), 1000),
            ("<c.red\n>".repeat(1000), 1000),
            ("<v A person>".repeat(1000), 1000),
            ("<i/>".repeat(1000), 1000),
            ("<i></b>".repeat(1000), 1000),
            ("<i><00:01.000>&lt;</i>".repeat(1000), 1),
            ("<ruby>a<rt>b</rt></ruby>".repeat(1000), 2),
            ("<ruby><rt></ruby>".repeat(1000), 2000),
            ("<b><lang en><u>a</u></lang></b>".into(), 3),
            ("<x><y></x>".repeat(1000), 0),
            ("<i".into(), 1),
            ("a < b > c".repeat(1000), 0),
        ] {
            assert_eq!(deepest(&cue(&text)), depth, "{text:.40}");
        }
        let apart = "00:00.000 --> 10:00.000\n<i>\n\n".repeat(100);
        assert_eq!(deepest(&apart), 1);
        let by_arrow = "00:00.000 --> 10:00.000\n<i>\n".repeat(100);
        assert_eq!(deepest(&by_arrow), 1);
        let by_crlf = "00:00.000 --> 10:00.000\r\n<i>\r\n<i>\r\n\r\n".repeat(9);
        assert_eq!(deepest(&by_crlf), 2, "a line's end of two letters is no empty line");
    }

    #[test]
    fn subtitles_that_stop_a_page_are_refused() {
        let refusal = |text: &[u8]| match check(text) {
            Ok(()) => "",
            Err(ManifestError::Invalid(why)) => why,
            Err(other) => panic!("{other}"),
        };
        let nested = |depth| format!("WEBVTT\n\n00:00.000 --> 10:00.000\n{}x\n", "<i>".repeat(depth));
        assert_eq!(refusal(nested(CUE_DEPTH_MAX).as_bytes()), "");
        assert!(refusal(nested(CUE_DEPTH_MAX + 1).as_bytes()).contains("64 tags"));
        let cues = |count| format!("WEBVTT\n\n{}", "00:00.000 --> 10:00.000x\na\n\n".repeat(count));
        assert_eq!(refusal(cues(CUES_TOGETHER_MAX).as_bytes()), "");
        assert!(refusal(cues(CUES_TOGETHER_MAX + 1).as_bytes()).contains("100 cues"));
        let lined = |count| format!("WEBVTT\n\n00:00.000 --> 10:00.000\n{}", "a\n".repeat(count));
        assert_eq!(refusal(lined(CUE_LINES_TOGETHER_MAX).as_bytes()), "");
        assert!(refusal(lined(CUE_LINES_TOGETHER_MAX + 1).as_bytes()).contains("200 lines"));
        let wide = |count| {
            format!(
                "WEBVTT\n\n{}",
                format!("00:00.000 --> 10:00.000\n{}\n", "<i>a</i>".repeat(count)).repeat(20)
            )
        };
        assert_eq!(refusal(wide(CUE_TAGS_TOGETHER_MAX / 40).as_bytes()), "");
        assert!(refusal(wide(CUE_TAGS_TOGETHER_MAX / 40 + 1).as_bytes()).contains("2,000 tags"));
        let utf16: Vec<u8> = format!("\u{feff}{}", cues(CUES_TOGETHER_MAX + 1))
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(refusal(&utf16).contains("UTF-8"));
    }
}
