//! XML that is being written: elements, one a line, indented by their depth, and texts escaped as XML 1.0 carries them (sections 2.2, 2.4,
//! 2.7, 2.11 and 3.3.3).

use chrono::SecondsFormat;

use crate::Dialect;
use crate::documents::Timestamp;

/// An attribute's name, and its value if there is one.
pub type Attribute<'a> = (&'a str, Option<&'a str>);

/// A document that is being written.
pub struct Markup {
    text: String,
    open: Vec<&'static str>,
}

impl Markup {
    /// Starts a document without an XML declaration.
    pub fn bare() -> Self {
        Self {
            text: String::new(),
            open: Vec::new(),
        }
    }

    /// Starts a document with an XML declaration. The old dialect has an empty line behind it.
    pub fn declared(dialect: Dialect) -> Self {
        let mut markup = Self::bare();
        markup.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        if dialect == Dialect::Old {
            markup.text.push('\n');
        }
        markup
    }

    /// Opens an element whose children follow, until [`Markup::close`].
    pub fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes);
        self.text.push_str(">\n");
        self.open.push(name);
    }

    /// Closes the element that was opened last.
    pub fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.end(name);
        }
    }

    /// Writes an element without content.
    pub fn empty(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }

    /// Writes an element with a text; nothing if there is no text.
    pub fn text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.start(name, &[]);
            self.text.push('>');
            content(&mut self.text, text);
            self.end(name);
        }
    }

    /// Writes an element with a text as a CDATA section; nothing if there is no text.
    pub fn cdata(&mut self, name: &'static str, attributes: &[Attribute<'_>], text: Option<&str>) {
        if let Some(text) = text {
            self.start(name, attributes);
            self.text.push('>');
            cdata(&mut self.text, text);
            self.end(name);
        }
    }

    /// Writes an element with a point in time, to the second; nothing if there is no time.
    pub fn time(&mut self, name: &'static str, time: Option<Timestamp>, dialect: Dialect) {
        let written = time.map(|time| match dialect {
            Dialect::Old => time.to_rfc3339_opts(SecondsFormat::Secs, true),
            Dialect::New => time.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        self.text(name, written.as_deref());
    }

    /// Writes a comment. The text cannot end it.
    pub fn comment(&mut self, words: &'static str) {
        self.indent();
        self.text.push_str("<!--");
        self.text.push_str(words);
        self.text.push_str("-->\n");
    }

    /// Returns the document.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.open.len()));
    }

    fn start(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            if let Some(value) = value {
                self.text.push(' ');
                self.text.push_str(key);
                self.text.push_str("=\"");
                attribute_value(&mut self.text, value);
                self.text.push('"');
            }
        }
    }

    fn end(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push_str(">\n");
    }
}

/// Appends a text as the content of an element.
fn content(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            // Unescaped, a reader takes it for a line feed.
            '\r' => into.push_str("&#13;"),
            _ => into.push(carried(character)),
        }
    }
}

/// Appends a text as the value of an attribute in double quotes.
fn attribute_value(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            // Unescaped, a reader takes each for a space.
            '\t' => into.push_str("&#9;"),
            '\n' => into.push_str("&#10;"),
            '\r' => into.push_str("&#13;"),
            _ => into.push(carried(character)),
        }
    }
}

/// Appends a text as a CDATA section, as servers write texts of people.
fn cdata(into: &mut String, text: &str) {
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

/// Returns the character, or U+FFFD for those that XML 1.0 cannot carry even escaped.
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
        assert_eq!(
            written(attribute_value, "\"a\"\t\n\r'<"),
            "&quot;a&quot;&#9;&#10;&#13;'&lt;"
        );
        assert_eq!(written(cdata, "a<&"), "<![CDATA[a<&]]>");
        assert_eq!(written(cdata, "]]>]]>"), "<![CDATA[]]]]><![CDATA[>]]]]><![CDATA[>]]>");
        assert_eq!(written(cdata, "a\r<"), "a&#13;&lt;");
    }

    #[test]
    fn what_cannot_be_carried_is_replaced() {
        for write in [content, attribute_value] {
            assert_eq!(
                written(write, "\0\u{1b}\u{ffff}é\u{10ffff}"),
                "\u{fffd}\u{fffd}\u{fffd}é\u{10ffff}"
            );
        }
        assert_eq!(written(cdata, "\u{8}"), "<![CDATA[\u{fffd}]]>");
    }
}
