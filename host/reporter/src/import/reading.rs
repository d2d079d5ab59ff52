//! The rows of a file, one at a time and in bounded memory: CSV (RFC 4180) and JSON lines.

use super::{Format, ImportError};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Stdin};
use std::mem;

/// The largest row, in bytes. The fields of DX have 56 KiB at most; the rest is for columns that are not imported, such as a commit's message.
pub const MAX_ROW: usize = 1024 * 1024;

/// The size of one read.
const READ: usize = 64 * 1024;

/// The bytes of an unreadable row that are kept to be shown.
const SHOWN: usize = 4096;

/// A source of bytes.
pub trait Input: Read {
    /// Goes back to this byte. Returns false if the source cannot.
    ///
    /// # Errors
    /// The error of the system.
    fn back_to(&mut self, byte: u64) -> io::Result<bool>;
}

impl Input for File {
    fn back_to(&mut self, byte: u64) -> io::Result<bool> {
        // A pipe has no position.
        Ok(self.metadata()?.is_file() && self.seek(SeekFrom::Start(byte)).is_ok())
    }
}

impl Input for Stdin {
    fn back_to(&mut self, _byte: u64) -> io::Result<bool> {
        Ok(false)
    }
}

impl Input for io::Cursor<Vec<u8>> {
    fn back_to(&mut self, byte: u64) -> io::Result<bool> {
        self.set_position(byte);
        Ok(true)
    }
}

/// A position between two rows, with a digest of all bytes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The number of rows before it, without the header.
    pub rows: u64,
    /// The number of bytes before it.
    pub bytes: u64,
    /// The sha256 of these bytes.
    pub digest: [u8; 32],
}

/// A row as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line of the file in which it begins, from 1.
    pub line: u64,
    /// The position behind it.
    pub end: Mark,
    /// Its content.
    pub content: Content,
}

/// The content of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Cells of CSV.
    Cells(Cells),
    /// A line that should be a JSON object.
    Line(Vec<u8>),
    /// Neither.
    Unreadable {
        /// The beginning of its first line.
        text: Vec<u8>,
        /// The fault.
        why: &'static str,
    },
}

impl Content {
    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Cells(cells) => cells.text.len() + cells.ends.len() * mem::size_of::<usize>(),
            Self::Line(text) | Self::Unreadable { text, .. } => text.len(),
        }
    }
}

/// The cells of a row of CSV, without their quotes. They may have any bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    /// The number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// A cell; none past the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let begin = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(begin..*self.ends.get(index)?)
    }

    /// All cells.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

const TOO_LONG: &str = "the row is longer than 1 MiB";
const NOT_CLOSED: &str = "a quote is not closed: write each quote within a cell twice";
const LOST: &str =
    "a quote is not closed, and the rest of the input was taken for one cell: import a file instead of a pipe";

/// Reads rows.
pub struct Rows {
    input: Box<dyn Input>,
    /// Bytes that were read; those before `at` are behind the position.
    buffer: Vec<u8>,
    at: usize,
    is_read: bool,
    /// The parser of CSV; none for JSON lines.
    parser: Option<Box<Reader>>,
    /// True if cells have no line breaks: a quote was not closed to the end of the file, so quotes are no guide to the ends of rows.
    by_line: bool,
    position: Position,
}

/// The position, which goes back as a whole.
#[derive(Clone, Default)]
struct Position {
    digest: Sha256,
    bytes: u64,
    rows: u64,
    lines: u64,
}

/// The reading of one row of CSV.
enum Scanned {
    Cells(Cells, usize),
    TooLong,
    NotClosed,
}

impl Rows {
    /// Reads from the beginning. `delimiter` separates the cells of CSV.
    #[must_use]
    pub fn new(input: Box<dyn Input>, format: Format, delimiter: u8) -> Self {
        let csv = || Box::new(ReaderBuilder::new().delimiter(delimiter).build());
        Self {
            input,
            buffer: Vec::new(),
            at: 0,
            is_read: false,
            parser: (format == Format::Csv).then(csv),
            by_line: false,
            position: Position::default(),
        }
    }

    /// The first row of CSV, with the names of the columns; none in an empty file.
    ///
    /// # Errors
    /// The error of the disk, or a header that cannot be read.
    pub fn header(&mut self) -> Result<Option<Cells>, ImportError> {
        let row = self.next()?;
        self.position.rows = 0;
        match row.map(|row| row.content) {
            None => Ok(None),
            Some(Content::Cells(cells)) => Ok(Some(cells)),
            Some(_) => Err(ImportError::Header(
                "the header could not be read: a quote in it is not closed".into(),
            )),
        }
    }

    /// The next row; none at the end. Blank lines are passed over.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn next(&mut self) -> Result<Option<Row>, ImportError> {
        if self.position.bytes == 0 {
            self.pass_mark()?;
        }
        if !self.pass_blank_lines()? {
            return Ok(None);
        }
        let line = self.position.lines + 1;
        let content = if self.by_line { self.line()? } else { self.record()? };
        self.position.rows += 1;
        Ok(Some(Row {
            line,
            end: self.position.mark(),
            content,
        }))
    }

    /// Passes over a byte order mark, which some tools write.
    fn pass_mark(&mut self) -> Result<(), ImportError> {
        while self.unread().len() < 3 && self.fill()? {}
        if self.unread().starts_with("\u{feff}".as_bytes()) {
            self.advance(3);
        }
        Ok(())
    }

    /// Returns false at the end.
    fn pass_blank_lines(&mut self) -> Result<bool, ImportError> {
        loop {
            // A cell may begin with blanks, and a JSON object not.
            let blank: &[u8] = if self.parser.is_some() { b"\r\n" } else { b"\r\n \t" };
            let is_break = |byte: &&u8| blank.contains(byte);
            let count = self.unread().iter().take_while(is_break).count();
            self.advance(count);
            if !self.unread().is_empty() {
                return Ok(true);
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// Reads one line as a row.
    fn line(&mut self) -> Result<Content, ImportError> {
        let mut searched = 0;
        let end = loop {
            let unread = self.unread();
            if let Some(found) = unread[searched..].iter().position(|byte| *byte == b'\n') {
                break searched + found + 1;
            }
            searched = unread.len();
            if searched > MAX_ROW {
                return self.long_line();
            }
            if !self.fill()? {
                break searched;
            }
        };
        if end > MAX_ROW {
            return self.long_line();
        }
        let text = self.unread()[..end].to_vec();
        self.advance(end);
        let Some(reader) = &mut self.parser else {
            return Ok(Content::Line(text.trim_ascii_end().to_vec()));
        };
        reader.reset();
        let mut scan = Scan::default();
        let is_whole = scan.feed(reader, &text).is_some() || scan.feed(reader, b"\n").is_some();
        Ok(if is_whole {
            Content::Cells(scan.cells())
        } else {
            unreadable(&text, NOT_CLOSED)
        })
    }

    /// Passes over a line that is too long.
    fn long_line(&mut self) -> Result<Content, ImportError> {
        let content = unreadable(self.unread(), TOO_LONG);
        loop {
            let unread = self.unread();
            let found = unread.iter().position(|byte| *byte == b'\n');
            self.advance(found.map_or(unread.len(), |found| found + 1));
            if found.is_some() || !self.fill()? {
                return Ok(content);
            }
        }
    }

    /// Reads a row of CSV, which ends where its quotes say, or a line.
    fn record(&mut self) -> Result<Content, ImportError> {
        // Not a copy: the library copies a parser without its tables.
        let Some(mut reader) = self.parser.take() else {
            return self.line();
        };
        let content = self.record_by(&mut reader);
        self.parser = Some(reader);
        match content? {
            Some(content) => Ok(content),
            None => {
                self.by_line = true;
                self.line()
            }
        }
    }

    /// Reads a row of CSV; none if a quote in it is not closed.
    fn record_by(&mut self, reader: &mut Reader) -> Result<Option<Content>, ImportError> {
        let begin = self.position.clone();
        match self.scan(reader)? {
            Scanned::Cells(cells, length) => {
                self.advance(length);
                Ok(Some(Content::Cells(cells)))
            }
            Scanned::NotClosed => Ok(None),
            Scanned::TooLong => {
                let content = unreadable(self.unread(), TOO_LONG);
                if self.pass_record(reader)? {
                    return Ok(Some(content));
                }
                if !self.input.back_to(begin.bytes).map_err(ImportError::Read)? {
                    return Ok(Some(match content {
                        Content::Unreadable { text, .. } => Content::Unreadable { text, why: LOST },
                        other => other,
                    }));
                }
                self.position = begin;
                self.buffer.clear();
                (self.at, self.is_read) = (0, false);
                self.fill()?;
                Ok(None)
            }
        }
    }

    /// Reads a row without moving the position.
    fn scan(&mut self, reader: &mut Reader) -> Result<Scanned, ImportError> {
        reader.reset();
        let mut scan = Scan::default();
        let mut scanned = 0;
        let found = loop {
            let unread = &self.buffer[self.at..];
            if let Some(length) = scan.feed(reader, &unread[scanned..]) {
                break Scanned::Cells(scan.cells(), scanned + length);
            }
            scanned = unread.len();
            if scanned > MAX_ROW {
                break Scanned::TooLong;
            }
            if !self.fill()? {
                break match scan.feed(reader, b"\n") {
                    Some(_) => Scanned::Cells(scan.cells(), scanned),
                    None => Scanned::NotClosed,
                };
            }
        };
        Ok(match found {
            Scanned::Cells(_, length) if length > MAX_ROW => Scanned::TooLong,
            found => found,
        })
    }

    /// Passes over a row of CSV of any length. Returns false if it has no end.
    fn pass_record(&mut self, reader: &mut Reader) -> Result<bool, ImportError> {
        reader.reset();
        let mut scan = Scan {
            is_passing: true,
            ..Scan::default()
        };
        loop {
            let unread = &self.buffer[self.at..];
            let found = scan.feed(reader, unread);
            let length = found.unwrap_or(unread.len());
            self.advance(length);
            if found.is_some() {
                return Ok(true);
            }
            if !self.fill()? {
                return Ok(scan.feed(reader, b"\n").is_some());
            }
        }
    }

    /// The size of the buffer.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Moves the position over bytes that were read.
    fn advance(&mut self, length: usize) {
        let passed = &self.buffer[self.at..self.at + length];
        self.position.digest.update(passed);
        self.position.bytes += length as u64;
        self.position.lines += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at += length;
    }

    /// Reads more. Returns false at the end.
    fn fill(&mut self) -> Result<bool, ImportError> {
        if self.is_read {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + READ, 0);
        let count = loop {
            match self.input.read(&mut self.buffer[length..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let count = count
            .inspect_err(|_| self.buffer.truncate(length))
            .map_err(ImportError::Read)?;
        self.buffer.truncate(length + count);
        self.is_read = count == 0;
        Ok(count > 0)
    }
}

impl Position {
    fn mark(&self) -> Mark {
        Mark {
            rows: self.rows,
            bytes: self.bytes,
            digest: self.digest.clone().finalize().into(),
        }
    }
}

fn unreadable(text: &[u8], why: &'static str) -> Content {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Content::Unreadable {
        text: line[..line.len().min(SHOWN)].trim_ascii_end().to_vec(),
        why,
    }
}

/// The cells of a row so far.
#[derive(Default)]
struct Scan {
    cells: Cells,
    length: usize,
    count: usize,
    /// True if cells are not kept.
    is_passing: bool,
}

impl Scan {
    /// Reads more of the row. Returns the length of its last part when it is whole.
    fn feed(&mut self, reader: &mut Reader, mut input: &[u8]) -> Option<usize> {
        let whole = input.len();
        // Without input, the parser would take it for the end of the file.
        while !input.is_empty() {
            let Cells { text, ends } = &mut self.cells;
            if text.len() == self.length {
                text.resize(self.length + input.len().clamp(256, READ), 0);
            }
            if ends.len() == self.count {
                ends.resize(self.count + 32, 0);
            }
            let (result, read, written, ended) =
                reader.read_record(input, &mut text[self.length..], &mut ends[self.count..]);
            input = &input[read..];
            self.length += written;
            self.count += ended;
            if self.is_passing {
                (self.length, self.count) = (0, 0);
            }
            if result == ReadRecordResult::Record {
                return Some(whole - input.len());
            }
        }
        None
    }

    fn cells(self) -> Cells {
        let Self {
            mut cells,
            length,
            count,
            ..
        } = self;
        cells.text.truncate(length);
        cells.ends.truncate(count);
        cells
    }
}
