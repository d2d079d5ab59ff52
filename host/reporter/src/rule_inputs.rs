//! What rules of the built-in policy take from files: the keys of hashes and the rows of maps.

use crate::config::{Input, RULES, RuleKeys};
use crate::http::{SecretFile, SecretFileError};
use crate::import::{Content, Format, Rows};
use secrecy::ExposeSecret;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read};
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
    Row { path: PathBuf, line: u64 },
    #[error("{}:{line}: the text before the comma is in an earlier row too", .path.display())]
    Twice { path: PathBuf, line: u64 },
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
    let unreadable = |reason| InputError::Read {
        path: path.to_owned(),
        reason,
    };
    let bytes = read(path).map_err(unreadable)?;
    if bytes.len() > LARGEST_MAP {
        return Err(InputError::LargeMap(path.to_owned()));
    }
    let mut rows = Rows::new(Box::new(Cursor::new(bytes)), Format::Csv, b',');
    let mut map = BTreeMap::new();
    let mut is_first = true;
    while let Some(row) = rows
        .next()
        .map_err(|error| unreadable(io::Error::other(error.to_string())))?
    {
        let line = row.line;
        let (from, to) = pair(&row.content).ok_or_else(|| InputError::Row {
            path: path.to_owned(),
            line,
        })?;
        let is_header = std::mem::take(&mut is_first) && (from.as_str(), to.as_str()) == ("from", "to");
        if is_header {
            continue;
        }
        if map.insert(from, to).is_some() {
            let path = path.to_owned();
            return Err(InputError::Twice { path, line });
        }
        if map.len() > MOST_ROWS {
            return Err(InputError::ManyRows(path.to_owned()));
        }
    }
    Ok(map)
}

/// The two cells of a row, trimmed. The target may be empty.
fn pair(row: &Content) -> Option<(String, String)> {
    let Content::Cells(cells) = row else { return None };
    let text = |index| Some(std::str::from_utf8(cells.get(index)?).ok()?.trim().to_owned());
    let from = text(0).filter(|from| !from.is_empty())?;
    (cells.len() == 2).then_some((from, text(1)?))
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
        for (text, fault) in [
            ("a,b\nc\n", "PLACE/users.csv:2: this is no row `from,to`"),
            ("a,b,c\n", "PLACE/users.csv:1: this is no row `from,to`"),
            (",b\n", "PLACE/users.csv:1: this is no row `from,to`"),
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
