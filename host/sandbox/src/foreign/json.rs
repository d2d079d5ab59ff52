//! Safe JSON, and the characters that are always escaped. `plugin/core` compiles it too.

/// A JSON text with the characters that [`neutral`] changes as `\uXXXX`: the same value to a parser, and harmless in a terminal and in a CI
/// log. The text has to be JSON; white space between its values stays.
#[must_use]
pub fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        // Control characters of ASCII are escaped in JSON's strings already; between values they are white space.
        let is_escaped = is_hidden(character) && !character.is_ascii_control() || character == '\u{7f}';
        if is_escaped || (character == '#' && shown.ends_with('#')) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Returns true for a character that is always escaped: control characters, line and paragraph separators, and Unicode's
/// `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt), which has the marks of direction, zero widths, the soft hyphen and the tags.
/// Two of those are usual in text and stay: U+FE0E and U+FE0F choose between the two forms of an emoji.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}
