//! A pass over a document: elements one by one, within bounds.

use std::borrow::Cow;

use quick_xml::Error;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::element::{Attributes, Element, shown};
use super::error::limits::{MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, MAX_TEXT};
use super::error::{ReadError, ReadFault};

/// The treatment of a text that is longer than [`MAX_TEXT`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Long {
    Refuse,
    Cut,
}

/// A walk through a document. The receiver of an [`Element`] reads its children or its text, or skips it, and so leaves the scanner behind
/// its end.
pub struct Scanner<'b> {
    bytes: &'b [u8],
    reader: Reader<&'b [u8]>,
    depth: usize,
    elements: usize,
    /// The root's name; `None` before the root.
    root: Option<String>,
}

impl<'b> Scanner<'b> {
    /// Opens a document, and returns its root element.
    pub fn open(bytes: &'b [u8]) -> Result<(Self, Element<'b>), ReadError> {
        let mut scanner = Self {
            bytes,
            reader: Reader::from_reader(bytes),
            depth: 0,
            elements: 0,
            root: None,
        };
        if bytes.len() > MAX_BYTES {
            return Err(scanner.error(ReadFault::TooLong));
        }
        // Byte order marks of the other encodings of Unicode.
        if bytes.starts_with(b"\xfe\xff") || bytes.starts_with(b"\xff\xfe") {
            return Err(scanner.error(ReadFault::Encoding("UTF-16".into())));
        }
        let root = scanner.find_root()?;
        scanner.root = Some(root.name().to_owned());
        Ok((scanner, root))
    }

    fn find_root(&mut self) -> Result<Element<'b>, ReadError> {
        loop {
            match self.event()? {
                Event::Start(start) => return self.begin(start, false),
                Event::Empty(start) => return self.begin(start, true),
                Event::Decl(declaration) => match declaration.encoding() {
                    Some(Ok(name)) if !is_utf8(&name) => {
                        return Err(self.error(ReadFault::Encoding(shown(&name))));
                    }
                    _ => {}
                },
                Event::DocType(text) => {
                    let is_html = text
                        .trim_start()
                        .get(..4)
                        .is_some_and(|name| name.eq_ignore_ascii_case("html"));
                    return Err(self.error(if is_html {
                        ReadFault::Html
                    } else {
                        ReadFault::DocumentType
                    }));
                }
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof if self.bytes.iter().all(u8::is_ascii_whitespace) => {
                    return Err(self.error(ReadFault::Empty));
                }
                Event::Eof => return Err(self.error(ReadFault::Truncated)),
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) | Event::End(_) => {
                    return Err(self.error(ReadFault::NotXml));
                }
            }
        }
    }

    /// Returns the next child of an element; `None` at its end. Text between children is skipped.
    pub fn child(&mut self, of: &Element<'_>) -> Result<Option<Element<'b>>, ReadError> {
        if of.is_empty {
            return Ok(None);
        }
        loop {
            match self.event()? {
                Event::Start(start) => return self.begin(start, false).map(Some),
                Event::Empty(start) => return self.begin(start, true).map(Some),
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(None);
                }
                Event::Eof => return Err(self.error_in(of, ReadFault::Truncated)),
                Event::DocType(_) => return Err(self.error(ReadFault::DocumentType)),
                _ => {}
            }
        }
    }

    /// Skips the rest of an element.
    pub fn skip(&mut self, element: &Element<'_>) -> Result<(), ReadError> {
        while let Some(child) = self.child(element)? {
            // The depth is bounded: so is this recursion.
            self.skip(&child)?;
        }
        Ok(())
    }

    /// Returns an element's text without the white space around it; `None` if nothing is left. Elements within are skipped.
    pub fn text(&mut self, element: &Element<'_>) -> Result<Option<String>, ReadError> {
        self.collect(element, Long::Refuse)
    }

    /// Returns the text as [`Scanner::text`] does, but cut at the greatest length instead of refused.
    pub fn long_text(&mut self, element: &Element<'_>) -> Result<Option<String>, ReadError> {
        self.collect(element, Long::Cut)
    }

    /// Returns the text as [`Scanner::text`] does, on one line: some documents have wrapped texts.
    pub fn line(&mut self, element: &Element<'_>) -> Result<Option<String>, ReadError> {
        let text = self.collect(element, Long::Refuse)?;
        Ok(text.map(|text| {
            // Most texts are on one line.
            if is_one_line(&text) {
                text
            } else {
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }
        }))
    }

    fn collect(&mut self, element: &Element<'_>, long: Long) -> Result<Option<String>, ReadError> {
        if element.is_empty {
            return Ok(None);
        }
        let mut text = String::new();
        loop {
            match self.event()? {
                Event::Text(part) => self.append(&mut text, &part.xml10_content(), element, long)?,
                Event::CData(part) => self.append(&mut text, &part.xml10_content(), element, long)?,
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref().map_err(|error| self.failed(error))? {
                        Some(character) => Cow::Owned(character.to_string()),
                        None => quick_xml::escape::resolve_xml_entity(&reference)
                            .map(Cow::Borrowed)
                            .ok_or_else(|| {
                                let unknown = format!("the entity `&{};` is not declared", shown(&reference));
                                self.error_in(element, ReadFault::Malformed(unknown))
                            })?,
                    };
                    self.append(&mut text, &resolved, element, long)?;
                }
                Event::Start(start) => {
                    let child = self.begin(start, false)?;
                    self.skip(&child)?;
                }
                Event::Empty(start) => {
                    self.begin(start, true)?;
                }
                Event::End(_) => {
                    self.depth -= 1;
                    break;
                }
                Event::Eof => return Err(self.error_in(element, ReadFault::Truncated)),
                Event::DocType(_) => return Err(self.error(ReadFault::DocumentType)),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            }
        }
        let trimmed = text.trim();
        Ok(match trimmed.len() {
            0 => None,
            length if length == text.len() => Some(text),
            _ => Some(trimmed.to_owned()),
        })
    }

    fn append(&self, text: &mut String, part: &str, of: &Element<'_>, long: Long) -> Result<(), ReadError> {
        let room = MAX_TEXT - text.len();
        if part.len() <= room {
            text.push_str(part);
        } else if long == Long::Cut {
            text.push_str(part.get(..part.floor_char_boundary(room)).unwrap_or_default());
        } else if !part.trim().is_empty() {
            return Err(self.error_in(of, ReadFault::TextTooLong));
        }
        Ok(())
    }

    /// Returns an element's attributes.
    pub fn attributes<'e>(&self, element: &'e Element<'_>) -> Result<Attributes<'e>, ReadError> {
        self.within(element, element.attributes())
    }

    /// Turns the fault of an element's attribute into an error at this place.
    pub fn within<T>(&self, element: &Element<'_>, found: Result<T, ReadFault>) -> Result<T, ReadError> {
        found.map_err(|fault| self.error_in(element, fault))
    }

    /// Checks that only comments and white space follow the root.
    pub fn close(mut self) -> Result<(), ReadError> {
        loop {
            match self.event()? {
                Event::Eof => return Ok(()),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Comment(_) | Event::PI(_) => {}
                _ => return Err(self.error(ReadFault::Trailing)),
            }
        }
    }

    fn begin(&mut self, start: BytesStart<'b>, is_empty: bool) -> Result<Element<'b>, ReadError> {
        let element = Element { start, is_empty };
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(self.error_in(&element, ReadFault::TooManyElements));
        }
        if !is_empty {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(self.error_in(&element, ReadFault::TooDeep));
            }
        }
        Ok(element)
    }

    fn event(&mut self) -> Result<Event<'b>, ReadError> {
        self.reader.read_event().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: Error) -> ReadError {
        let fault = match error {
            Error::Encoding(_) => ReadFault::NotUtf8,
            // Before the first element, this may be any kind of file.
            Error::Syntax(_) if self.elements > 0 => ReadFault::Truncated,
            _ if self.elements == 0 => ReadFault::NotXml,
            error => ReadFault::Malformed(shown(&error.to_string())),
        };
        self.error(fault)
    }

    /// Returns an error at the current place.
    pub fn error(&self, fault: ReadFault) -> ReadError {
        let read = usize::try_from(self.reader.buffer_position())
            .unwrap_or(usize::MAX)
            .min(self.bytes.len());
        let line = 1 + self.bytes.iter().take(read).filter(|byte| **byte == b'\n').count();
        let document = match &self.root {
            Some(root) => format!("<{}> document", shown(root)),
            None => "document".to_owned(),
        };
        ReadError {
            document,
            line,
            element: None,
            fault,
        }
    }

    /// Returns an error in an element.
    pub fn error_in(&self, element: &Element<'_>, fault: ReadFault) -> ReadError {
        ReadError {
            element: Some(shown(element.name())),
            ..self.error(fault)
        }
    }
}

fn is_utf8(encoding: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(encoding.trim()))
}

/// Returns true if a text is ASCII without other white space than single spaces.
fn is_one_line(text: &str) -> bool {
    let mut before = 0;
    text.bytes().all(|byte| {
        let is_single = byte != b' ' || before != b' ';
        before = byte;
        is_single && (b' '..0x7f).contains(&byte)
    })
}
