//! Texts as XML carries them (XML 1.0, sections 2.2, 2.4, 2.7, 2.11 and 3.3.3).

/// Appends a text as the content of an element.
pub fn content(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            // Plain, a reader takes it for a line feed.
            '\r' => into.push_str("&#13;"),
            _ => into.push(carried(character)),
        }
    }
}

/// Appends a text as the value of an attribute in double quotes.
pub fn attribute(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            // Plain, a reader takes each for a space.
            '\t' => into.push_str("&#9;"),
            '\n' => into.push_str("&#10;"),
            '\r' => into.push_str("&#13;"),
            _ => into.push(carried(character)),
        }
    }
}

/// Appends a text as a CDATA section, the way servers write whatever people wrote.
pub fn cdata(into: &mut String, text: &str) {
    // A section has no escapes, so that a carriage return would not survive.
    if text.contains('\r') {
        return content(into, text);
    }
    into.push_str("<![CDATA[");
    let mut parts = text.split("]]>");
    into.extend(parts.next().unwrap_or_default().chars().map(carried));
    for part in parts {
        into.push_str("]]]]><![CDATA[>");
        into.extend(part.chars().map(carried));
    }
    into.push_str("]]>");
}

/// The character, or the one that stands for those that XML 1.0 cannot carry even escaped.
fn carried(character: char) -> char {
    match character {
        '\t' | '\n' | '\r' => character,
        '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: fn(&mut String, &str), text: &str) -> String {
        let mut into = String::new();
        write(&mut into, text);
        into
    }

    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(written(content, "a<b>&c]]>\r\n"), "a&lt;b&gt;&amp;c]]&gt;&#13;\n");
        assert_eq!(written(attribute, "\"a\"\t\n\r'<"), "&quot;a&quot;&#9;&#10;&#13;'&lt;");
        assert_eq!(written(cdata, "a<&"), "<![CDATA[a<&]]>");
        assert_eq!(written(cdata, "]]>]]>"), "<![CDATA[]]]]><![CDATA[>]]]]><![CDATA[>]]>");
        assert_eq!(written(cdata, "a\r<"), "a&#13;&lt;");
    }

    #[test]
    fn what_cannot_be_carried_is_replaced() {
        for write in [content, attribute] {
            assert_eq!(
                written(write, "\0\u{1b}\u{ffff}é\u{10ffff}"),
                "\u{fffd}\u{fffd}\u{fffd}é\u{10ffff}"
            );
        }
        assert_eq!(written(cdata, "\u{8}"), "<![CDATA[\u{fffd}]]>");
    }
}
