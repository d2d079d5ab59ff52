//! Elements, one a line, indented by their depth.

use chrono::SecondsFormat;

use super::escape;
use crate::Dialect;
use crate::documents::Timestamp;

/// An attribute's name, and its value if it has one.
pub type Attribute<'a> = (&'a str, Option<&'a str>);

/// A document that is being written.
pub struct Markup {
    text: String,
    open: Vec<&'static str>,
}

impl Markup {
    /// A document without an XML declaration.
    pub fn bare() -> Self {
        Self {
            text: String::new(),
            open: Vec::new(),
        }
    }

    /// A document with one. The old dialect has an empty line behind it.
    pub fn declared(dialect: Dialect) -> Self {
        let mut markup = Self::bare();
        markup.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        if dialect == Dialect::Old {
            markup.text.push('\n');
        }
        markup
    }

    /// An element whose children follow, until [`Markup::close`].
    pub fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes);
        self.text.push_str(">\n");
        self.open.push(name);
    }

    /// Ends the element that was opened last.
    pub fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.end(name);
        }
    }

    /// An element without content.
    pub fn empty(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }

    /// An element with a text; none if there is no text.
    pub fn text(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.start(name, &[]);
            self.text.push('>');
            escape::content(&mut self.text, text);
            self.end(name);
        }
    }

    /// An element with a text as a CDATA section; none if there is no text.
    pub fn cdata(&mut self, name: &'static str, attributes: &[Attribute<'_>], text: Option<&str>) {
        if let Some(text) = text {
            self.start(name, attributes);
            self.text.push('>');
            escape::cdata(&mut self.text, text);
            self.end(name);
        }
    }

    /// An element with a point in time, to the second; none if there is no time.
    pub fn time(&mut self, name: &'static str, time: Option<Timestamp>, dialect: Dialect) {
        let written = time.map(|time| match dialect {
            Dialect::Old => time.to_rfc3339_opts(SecondsFormat::Secs, true),
            Dialect::New => time.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true),
        });
        self.text(name, written.as_deref());
    }

    /// A comment, of words that cannot end it.
    pub fn comment(&mut self, words: &'static str) {
        self.indent();
        self.text.push_str("<!--");
        self.text.push_str(words);
        self.text.push_str("-->\n");
    }

    /// The document.
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
                escape::attribute(&mut self.text, value);
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
