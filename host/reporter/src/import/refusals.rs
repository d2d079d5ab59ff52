//! The file of refused rows, in the format of the input, so that it can be corrected and imported.

use super::mapping::REASON;
use super::reading::{Cells, Content};
use super::{Format, ImportError};
use rustix::fs::OFlags;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file, made with its first row.
#[derive(Debug)]
pub struct Refusals {
    path: PathBuf,
    form: Form,
    file: Option<File>,
    bytes: u64,
}

/// The form of its rows.
#[derive(Clone, Debug)]
pub enum Form {
    /// CSV with these columns.
    Csv {
        /// The header of the input.
        header: Cells,
        /// The character between cells.
        delimiter: u8,
    },
    /// JSON lines.
    Jsonl,
}

impl Form {
    /// The form of an input.
    #[must_use]
    pub fn new(format: Format, header: Option<Cells>, delimiter: u8) -> Self {
        match format {
            Format::Jsonl => Self::Jsonl,
            Format::Csv => Self::Csv {
                header: header.unwrap_or_default(),
                delimiter,
            },
        }
    }
}

impl Refusals {
    /// A file that is not made yet. One of an earlier import is not overwritten, except with `restart`.
    ///
    /// # Errors
    /// A file of an earlier import.
    pub fn new(path: &Path, form: Form, restart: bool) -> Result<Self, ImportError> {
        if restart {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(path, &error)),
                _ => {}
            }
        }
        if path.symlink_metadata().is_ok() {
            return Err(ImportError::Refusals(format!(
                "{} has the refused rows of an earlier import: move it, or name another file by --refused",
                path.display()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            form,
            file: None,
            bytes: 0,
        })
    }

    /// The file of an import that goes on, with the rows that were refused up to its position.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn again(path: &Path, form: Form, bytes: u64) -> Result<Self, ImportError> {
        let mut refusals = Self {
            path: path.to_owned(),
            form,
            file: None,
            bytes,
        };
        let opened = options().open(path);
        match opened {
            Ok(file) => {
                let length = file.metadata().map_err(|error| failed(path, &error))?.len();
                // Rows behind the position are refused again. A shorter file was changed by its user.
                refusals.bytes = length.min(bytes);
                file.set_len(refusals.bytes).map_err(|error| failed(path, &error))?;
                refusals.file = Some(file);
                Ok(refusals)
            }
            // The user took it away, to correct its rows.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self { bytes: 0, ..refusals }),
            Err(error) => Err(failed(path, &error)),
        }
    }

    /// The size of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The error of the disk.
    pub fn add(&mut self, content: &Content, why: &str) -> Result<(), ImportError> {
        let mut row = Vec::new();
        if self.bytes == 0 {
            self.form.header(&mut row);
        }
        self.form.row(content, why, &mut row);
        let failed = |error: &io::Error| failed(&self.path, error);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(
                options()
                    .create_new(true)
                    .open(&self.path)
                    .map_err(|error| failed(&error))?,
            ),
        };
        file.write_all(&row).map_err(|error| failed(&error))?;
        self.bytes += row.len() as u64;
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .append(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    options
}

fn failed(path: &Path, error: &io::Error) -> ImportError {
    ImportError::Refusals(format!(
        "cannot write {}: {error}; name another file by --refused",
        path.display()
    ))
}

impl Form {
    fn header(&self, out: &mut Vec<u8>) {
        if let Self::Csv { header, delimiter } = self {
            self.cells(header, REASON, *delimiter, out);
        }
    }

    fn row(&self, content: &Content, why: &str, out: &mut Vec<u8>) {
        match (self, content) {
            (Self::Csv { delimiter, .. }, Content::Cells(cells)) => self.cells(cells, why, *delimiter, out),
            (Self::Csv { header, delimiter }, Content::Unreadable { text, .. } | Content::Line(text)) => {
                // In the first cell, to be taken apart by a person.
                cell(text, *delimiter, out);
                let others = header.iter().filter(|name| !is_reason(name)).count().max(1);
                out.resize(out.len() + others, *delimiter);
                cell(why.as_bytes(), *delimiter, out);
                out.push(b'\n');
            }
            (Self::Jsonl, Content::Line(line)) if let Some(object) = with_reason(line, why) => {
                out.extend_from_slice(&object);
                out.push(b'\n');
            }
            (Self::Jsonl, Content::Line(text) | Content::Unreadable { text, .. }) => {
                let row = json!({ "row": String::from_utf8_lossy(text), REASON: why });
                out.extend_from_slice(row.to_string().as_bytes());
                out.push(b'\n');
            }
            (Self::Jsonl, Content::Cells(_)) => {}
        }
    }

    /// The cells without an earlier reason, and this one.
    fn cells(&self, cells: &Cells, why: &str, delimiter: u8, out: &mut Vec<u8>) {
        let Self::Csv { header, .. } = self else { return };
        for (place, text) in cells.iter().enumerate() {
            if !header.get(place).is_some_and(is_reason) {
                cell(text, delimiter, out);
                out.push(delimiter);
            }
        }
        // The row may have fewer cells than the header.
        let missing = (cells.len()..header.len()).filter(|place| !header.get(*place).is_some_and(is_reason));
        out.resize(out.len() + missing.count(), delimiter);
        cell(why.as_bytes(), delimiter, out);
        out.push(b'\n');
    }
}

fn is_reason(name: &[u8]) -> bool {
    name.trim_ascii() == REASON.as_bytes()
}

/// Writes a cell of CSV (RFC 4180, section 2).
fn cell(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    let needs_quotes = |byte: &u8| *byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
    if !text.iter().any(needs_quotes) && !text.starts_with("\u{feff}".as_bytes()) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        out.extend_from_slice(if *byte == b'"' {
            b"\"\""
        } else {
            std::slice::from_ref(byte)
        });
    }
    out.push(b'"');
}

/// A JSON object with the reason as its last member, its other text unchanged. None for other text.
fn with_reason(line: &[u8], why: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let Value::Object(object) = serde_json::from_str(text).ok()? else {
        return None;
    };
    let body = text.strip_suffix('}')?;
    // A row that was refused before: its reason is the last member.
    let earlier = body.rsplit_once(&format!(",\"{REASON}\":"));
    let body = match earlier {
        Some((before, reason)) if serde_json::from_str::<String>(reason).is_ok() => before,
        _ => body,
    };
    let comma = if object.is_empty() { "" } else { "," };
    Some(format!("{body}{comma}\"{REASON}\":{}}}", Value::from(why)).into_bytes())
}
