//! Blank text. The built-in policy compiles this file too, so that both find the same fields absent.

/// Returns true for a text without any visible character.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(shows_nothing)
}

/// Returns true for a character without a visible mark: white space, and Unicode's invisible characters (zero-width characters, marks of
/// direction, tags).
fn shows_nothing(character: char) -> bool {
    character.is_whitespace()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}
