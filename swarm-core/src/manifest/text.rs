//! Texts that people are shown, and what they must not contain.
//!
//! Control characters could drive a terminal. Bidirectional formatting characters could show a name in another order
//! than it has: `film\u{202e}gpj.exe` reads like a picture. Text in right-to-left scripts needs none of them. Invisible
//! characters make two different names look the same: all of Unicode's format controls (`Cf`) and what else has no width.
//! Joiners and variation selectors stay where scripts and emoji need them, behind letters that are not ASCII.
//! Letters of different scripts that look alike stay as well: who published a title is told by its key, not by its name.

/// Whether a text has nothing that could deceive its reader.
pub(crate) fn is_clean(text: &str) -> bool {
    let mut before = None;
    text.chars().all(|character| {
        let is_plain = !is_deceptive(character) && !is_idle(before, character);
        before = Some(character);
        is_plain
    })
}

/// The text without what could deceive its reader; a space stands for line breaks and tabs.
pub fn cleaned(text: &str) -> String {
    let keep = |character: char| match character {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some(' '),
        _ if is_deceptive(character) => None,
        _ => Some(character),
    };
    let mut cleaned = String::with_capacity(text.len());
    let mut before = None;
    for character in text.chars().filter_map(keep) {
        if !is_idle(before, character) {
            cleaned.push(character);
            before = Some(character);
        }
    }
    cleaned
}

/// Whether a character changes how the one before it is shown, and there is none that it could change: a joiner at the start or
/// behind ASCII, a variation selector at the start or behind a letter of ASCII, and either behind another one.
fn is_idle(before: Option<char>, character: char) -> bool {
    let is_joiner = |character| matches!(character, '\u{200c}' | '\u{200d}');
    let is_selector = |character| matches!(character, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
    match before {
        _ if !is_joiner(character) && !is_selector(character) => false,
        None => true,
        Some(before) if is_joiner(before) => true,
        // Emoji are joined behind their selector.
        Some(before) if is_joiner(character) => before.is_ascii(),
        Some(before) => is_selector(before) || before.is_ascii_alphabetic() || before == ' ',
    }
}

fn is_deceptive(character: char) -> bool {
    let is_bidirectional = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control()
        || is_bidirectional
        || is_invisible(character)
        || matches!(character, '\u{2028}' | '\u{2029}')
}

/// Characters that no script needs in a title: Unicode's `Cf` and `Default_Ignorable_Code_Point` without joiners, variation
/// selectors and what is unassigned, the marks of annotations, and the blank of Braille.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn ordinary_texts_of_all_scripts_are_clean() {
        for text in [
            "",
            "film.mp4",
            "Ein Märchen",
            "映画",
            "فيلم",
            "סרט",
            "👩‍🚀 the movie",
            "a\u{300}",
            "می\u{200c}خواهم",
            "葛\u{e0100}",
            "1\u{fe0f}\u{20e3}",
            "❤\u{fe0f}\u{200d}🔥",
        ] {
            assert!(is_clean(text), "{text}");
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn what_deceives_is_taken_out() {
        assert_eq!(cleaned("film\u{202e}gpj.exe"), "filmgpj.exe");
        assert_eq!(cleaned("one\r\ntwo\u{1b}[2J\u{9b}"), "one  two[2J");
        for invisible in [
            "\u{200b}",
            "\u{feff}",
            "\u{ad}",
            "\u{3164}",
            "\u{34f}",
            "\u{2800}",
            "\u{2060}",
            "\u{e0041}",
            "\u{fff9}",
        ] {
            assert!(!is_clean(invisible), "{}", invisible.escape_unicode());
            assert_eq!(cleaned(&format!("fi{invisible}lm")), "film");
        }
        for idle in [
            "fi\u{200d}lm",
            "\u{200c}film",
            "film\u{fe0f}",
            "fi\u{e0100}lm",
            "film \u{fe0e}",
            "fi\u{200d}\u{200c}\u{fe0f}lm",
        ] {
            assert!(!is_clean(idle), "{}", idle.escape_unicode());
            assert!(cleaned(idle).trim() == "film", "{}", idle.escape_unicode());
        }
        for format in ['\u{600}', '\u{6dd}', '\u{70f}', '\u{8e2}', '\u{110bd}', '\u{13430}'] {
            assert!(!is_clean(&format.to_string()), "{}", format.escape_unicode());
        }
        assert!(is_clean(&cleaned(&(0..0xf0000).filter_map(char::from_u32).collect::<String>())));
    }
}
