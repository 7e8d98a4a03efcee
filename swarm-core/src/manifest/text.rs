//! Texts that people are shown, and what they must not contain.
//!
//! Control characters could drive a terminal. Bidirectional formatting characters could show a name in another order
//! than it has: `film\u{202e}gpj.exe` reads like a picture. Text in right-to-left scripts needs none of them.

/// Whether a text has nothing that could deceive its reader.
pub fn is_clean(text: &str) -> bool {
    !text.chars().any(is_deceptive)
}

/// The text without what could deceive its reader; a space stands for line breaks and tabs.
pub fn cleaned(text: &str) -> String {
    let keep = |character: char| match character {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some(' '),
        _ if is_deceptive(character) => None,
        _ => Some(character),
    };
    text.chars().filter_map(keep).collect()
}

fn is_deceptive(character: char) -> bool {
    let is_bidirectional = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || is_bidirectional || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn ordinary_texts_of_all_scripts_are_clean() {
        for text in ["", "film.mp4", "Ein Märchen", "映画", "فيلم", "סרט", "👩‍🚀 the movie", "a\u{300}"]
        {
            assert!(is_clean(text), "{text}");
            assert_eq!(cleaned(text), text);
        }
    }

    #[test]
    fn what_deceives_is_taken_out() {
        assert_eq!(cleaned("film\u{202e}gpj.exe"), "filmgpj.exe");
        assert_eq!(cleaned("one\r\ntwo\u{1b}[2J\u{9b}"), "one  two[2J");
        assert!(is_clean(&cleaned(&(0..0x3000).filter_map(char::from_u32).collect::<String>())));
    }
}
