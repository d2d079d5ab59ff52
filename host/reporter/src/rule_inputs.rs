//! What rules of the built-in policy take from files: the keys of hashes and the rows of maps.

use crate::config::{Input, RULES, RuleKeys};
use crate::http::{SecretFile, SecretFileError};
use csv_core::ReadRecordResult;
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes of the key of a hash: a shorter one can be guessed, and a longer one is another file.
const SHORTEST_KEY: usize = 16;
const LONGEST_KEY: usize = 1024;
/// Bytes of the file of a map, and its rows: the names of a large organisation. They are read in every process.
const LARGEST_MAP: usize = 1 << 20;
const MOST_ROWS: usize = 100_000;

/// A fault of a file that a rule names. Never shows a key or a value.
#[derive(Debug, thiserror::Error)]
enum InputError {
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    #[error("the key in {} has {bytes} bytes; it needs {SHORTEST_KEY} to {LONGEST_KEY}: `openssl rand -hex 32` writes one", .path.display())]
    KeySize { path: PathBuf, bytes: usize },
    #[error("cannot read {}: {reason}", .path.display())]
    Read { path: PathBuf, reason: io::Error },
    #[error("{} has more than {} KiB, the most that a map may have", .0.display(), LARGEST_MAP >> 10)]
    LargeMap(PathBuf),
    #[error("{} has more than {MOST_ROWS} rows, the most that a map may have", .0.display())]
    ManyRows(PathBuf),
    #[error("{}:{line}: this is no row `from,to`", .path.display())]
    Row { path: PathBuf, line: usize },
    #[error("{}:{line}: the text before the comma is in an earlier row too", .path.display())]
    Twice { path: PathBuf, line: usize },
}

/// A fault of a rule's input: the setting, such as `rules[2].key`, and the message.
pub struct InputFault {
    pub key: String,
    pub message: String,
}

/// The settings of the built-in policy: its rules, with the contents of the files that they name.
pub fn settings(rules: &RuleKeys) -> Result<BTreeMap<String, String>, InputFault> {
    let mut settings = BTreeMap::from([(RULES.to_owned(), rules.json.clone())]);
    for (number, input) in &rules.inputs {
        let taken = match input {
            Input::Key(path) => key(path).map(|key| drop(settings.insert(format!("key.{number}"), key))),
            Input::MapFile(path) => map(path).map(|rows| add(&mut settings, *number, rows)),
            Input::Values(values) => {
                add(&mut settings, *number, values.clone());
                Ok(())
            }
        };
        taken.map_err(|error| InputFault {
            key: format!("{RULES}[{number}].{}", input.key()),
            message: error.to_string(),
        })?;
    }
    Ok(settings)
}

fn add(settings: &mut BTreeMap<String, String>, number: usize, rows: BTreeMap<String, String>) {
    let named = rows
        .into_iter()
        .map(|(from, to)| (format!("values.{number}.{from}"), to));
    settings.extend(named);
}

/// The key in a file, without the line ends after it.
fn key(path: &Path) -> Result<String, InputError> {
    let file = SecretFile::read(path, LONGEST_KEY)?;
    let key = file.text.expose_secret().trim_end_matches(['\r', '\n']);
    if !(SHORTEST_KEY..=LONGEST_KEY).contains(&key.len()) {
        let (path, bytes) = (path.to_owned(), key.len());
        return Err(InputError::KeySize { path, bytes });
    }
    Ok(key.to_owned())
}

/// The rows of a map. A first row `from,to` is a header.
fn map(path: &Path) -> Result<BTreeMap<String, String>, InputError> {
    let bytes = read(path).map_err(|reason| InputError::Read {
        path: path.to_owned(),
        reason,
    })?;
    if bytes.len() > LARGEST_MAP {
        return Err(InputError::LargeMap(path.to_owned()));
    }
    let mut rows = Rows::new(&bytes);
    let mut map = BTreeMap::new();
    while let Some(row) = rows.next() {
        let Some((from, to)) = row else {
            return Err(InputError::Row {
                path: path.to_owned(),
                line: rows.line(),
            });
        };
        let is_header = rows.read == 1 && (from.as_str(), to.as_str()) == ("from", "to");
        if is_header {
            continue;
        }
        if map.insert(from, to).is_some() {
            return Err(InputError::Twice {
                path: path.to_owned(),
                line: rows.line(),
            });
        }
        if map.len() > MOST_ROWS {
            return Err(InputError::ManyRows(path.to_owned()));
        }
    }
    Ok(map)
}

/// The rows of a file of CSV.
struct Rows<'f> {
    file: &'f [u8],
    /// The beginning of the last row, and of the next one.
    from: usize,
    at: usize,
    /// The number of rows so far.
    read: usize,
    reader: csv_core::Reader,
    cells: Vec<u8>,
}

impl<'f> Rows<'f> {
    fn new(file: &'f [u8]) -> Self {
        // Some tools write a byte order mark.
        let at = if file.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        Self {
            file,
            from: at,
            at,
            read: 0,
            reader: csv_core::Reader::new(),
            cells: vec![0; file.len()],
        }
    }

    /// The line of the last row, from 1. Takes time in proportion to the file.
    fn line(&self) -> usize {
        let before = self.file.get(..self.from).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// The next row, within another `Option` for one that is no pair; the outer `None` at the end. Blank lines are passed over.
    fn next(&mut self) -> Option<Option<(String, String)>> {
        let rest = self.file.get(self.at..).unwrap_or_default();
        let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.at += breaks;
        self.from = self.at;
        let row = self.file.get(self.at..).filter(|row| !row.is_empty())?;
        let mut ends = [0; 3];
        let (mut result, taken, mut written, mut count) = self.reader.read_record(row, &mut self.cells, &mut ends);
        self.at += taken;
        if result == ReadRecordResult::InputEmpty {
            // The last line has no end: the end of the input is one.
            let (last, _, more, ended) = self.reader.read_record(
                &[],
                self.cells.get_mut(written..).unwrap_or_default(),
                ends.get_mut(count..).unwrap_or_default(),
            );
            (result, written, count) = (last, written + more, count + ended);
        }
        self.read += 1;
        let [first, second, _] = ends;
        let is_pair = result == ReadRecordResult::Record && count == 2 && second <= written;
        Some(is_pair.then(|| self.pair(first, second)).flatten())
    }

    /// The two cells of a row, trimmed. The target may be empty.
    fn pair(&self, first: usize, second: usize) -> Option<(String, String)> {
        let text = |range| {
            let text = std::str::from_utf8(self.cells.get(range)?).ok()?.trim();
            // Nor has a name line breaks: a quote was not closed.
            (!text.chars().any(char::is_control)).then(|| text.to_owned())
        };
        let from = text(0..first).filter(|from| !from.is_empty())?;
        Some((from, text(first..second)?))
    }
}

/// The file, and one byte beyond the largest size.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a named pipe would wait for its other end.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_MAP as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn told<T>(result: Result<T, InputError>, place: &Path) -> String {
        let text = result.map(|_| ()).unwrap_err().to_string();
        text.replace(&place.display().to_string(), "PLACE")
    }

    #[test]
    fn keys_are_read_as_secrets_are() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("hash.key");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            key(&path)
        };
        assert_eq!(read("0123456789abcdef\r\n\n").unwrap(), "0123456789abcdef");
        assert_eq!(read(" 0123456789abcde").unwrap(), " 0123456789abcde");
        assert_eq!(read(&"k".repeat(1024)).unwrap().len(), 1024);
        let short = told(read("0123456789abcde\n"), place.path());
        assert_eq!(
            short,
            "the key in PLACE/hash.key has 15 bytes; it needs 16 to 1024: `openssl rand -hex 32` writes one"
        );
        assert!(told(read(&"k".repeat(1025)), place.path()).contains("has 1025 bytes"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o602)).unwrap();
        assert!(told(key(&path), place.path()).ends_with("run `chmod o-w PLACE/hash.key`"));
        assert!(told(key(&place.path().join("none")), place.path()).contains("PLACE/none: No such file"));
    }

    #[test]
    fn maps_are_rows_of_two_cells() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("users.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            map(&path)
        };
        let rows = read("\u{feff}from,to\r\nmona, m.lisa \n\n\"a,b\",\"say \"\"x\"\"\"\nleft,\n").unwrap();
        let rows: Vec<(&str, &str)> = rows.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        assert_eq!(rows, [("a,b", "say \"x\""), ("left", ""), ("mona", "m.lisa")]);
        assert_eq!(read("from,to\nfrom,to\n").unwrap().len(), 1);
        for (text, rows) in [("", 0), ("\n\n", 0), ("a,b", 1), ("a,b\r\nc,", 2), ("a,\"b\"", 1)] {
            assert_eq!(read(text).unwrap().len(), rows, "{text:?}");
        }
        for (text, fault) in [
            ("a,b\nc\n", "PLACE/users.csv:2: this is no row `from,to`"),
            ("a,b,c\n", "PLACE/users.csv:1: this is no row `from,to`"),
            (",b\n", "PLACE/users.csv:1: this is no row `from,to`"),
            ("a,b\n\n\nc,\"d\ne,f\n", "PLACE/users.csv:4: this is no row `from,to`"),
            ("a,b\nc,\u{1b}[2J\n", "PLACE/users.csv:2: this is no row `from,to`"),
            (
                "a,b\na,c\n",
                "PLACE/users.csv:2: the text before the comma is in an earlier row too",
            ),
        ] {
            assert_eq!(told(read(text), place.path()), fault);
        }
        let many: String = (0..=MOST_ROWS).map(|row| format!("{row},\n")).collect();
        assert!(told(read(&many), place.path()).ends_with("more than 100000 rows, the most that a map may have"));
        let large = format!("a,{}", "x".repeat(LARGEST_MAP));
        assert!(told(read(&large), place.path()).ends_with("more than 1024 KiB, the most that a map may have"));
        assert!(told(map(place.path()), place.path()).ends_with("it is not a regular file"));
    }
}
