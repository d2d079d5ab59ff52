//! `policy test --update`: answers into the file of cases, which has every other byte as before.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pipefold::kill_points::pass;

/// The line with `expect` as its expectation. The line is the JSON object of a case.
pub fn with_expectation(line: &[u8], expect: &str) -> Vec<u8> {
    let places = Places::of(line);
    let mut new = Vec::with_capacity(line.len() + expect.len());
    match places.expect {
        Some((begin, end)) => {
            new.extend_from_slice(&line[..begin]);
            new.extend_from_slice(expect.as_bytes());
            new.extend_from_slice(&line[end..]);
        }
        None => {
            new.extend_from_slice(&line[..places.end]);
            new.extend_from_slice(b", \"expect\": ");
            new.extend_from_slice(expect.as_bytes());
            new.extend_from_slice(&line[places.end..]);
        }
    }
    new
}

/// Places in the text of a JSON object that has a key at least.
#[derive(Default)]
struct Places {
    /// The value of the outermost key `expect`.
    expect: Option<(usize, usize)>,
    /// The end of the last value.
    end: usize,
}

impl Places {
    fn of(line: &[u8]) -> Self {
        let mut places = Self::default();
        let (mut depth, mut at) = (0_usize, 0);
        // The last text outside of values, and where the value behind its colon begins.
        let (mut key, mut value): (&[u8], Option<usize>) = (&[], None);
        // The end of what is neither blank nor a comma.
        let mut end = 0;
        while let Some(byte) = line.get(at) {
            let begin = at;
            at += 1;
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'"' => at = end_of_text(line, begin),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth -= 1;
                    if depth == 0 {
                        places.note(key, value.take(), end);
                        places.end = end;
                    }
                }
                b',' if depth == 1 => places.note(key, value.take(), end),
                _ => {}
            }
            match byte {
                b'"' if depth == 1 && value.is_none() => key = &line[begin..at],
                b':' if depth == 1 && value.is_none() => value = Some(first_beyond_blanks(line, at)),
                _ => {}
            }
            end = at;
        }
        places
    }

    fn note(&mut self, key: &[u8], value: Option<usize>, end: usize) {
        // A key may be written with escapes.
        let is_expect = serde_json::from_slice::<String>(key).is_ok_and(|key| key == "expect");
        if let Some(begin) = value.filter(|_| is_expect) {
            self.expect = Some((begin, end));
        }
    }
}

fn first_beyond_blanks(line: &[u8], at: usize) -> usize {
    let blanks = line[at..].iter().take_while(|byte| byte.is_ascii_whitespace());
    at + blanks.count()
}

/// The place behind a text that begins with a quote.
fn end_of_text(line: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(byte) = line.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    line.len()
}

/// Replaces a file's bytes in one step: after any end of the process or the machine it has the old ones or the new ones.
///
/// # Errors
/// The file is not there, or is not the one with the bytes `old`, or the disk fails. Then it has its old bytes.
pub fn replace(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    // The file itself, where its name is a symbolic link.
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let beside = beside(&path);
    let written = write(&beside, new).and_then(|()| {
        fs::set_permissions(&beside, metadata.permissions())?;
        if fs::read(&path)? != old {
            return Err(io::Error::other("it was changed meanwhile; run the command again"));
        }
        pass("cases.rename");
        fs::rename(&beside, &path)?;
        pass("cases.renamed");
        Ok(())
    });
    if let Err(error) = written {
        // It may not be there.
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// A name of this process for a file in the same directory.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// Bytes that are written at a time: a test dies between any two.
const PART: usize = 64 << 10;

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Until it has the mode of the file that it replaces.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for part in bytes.chunks(PART) {
        pass("cases.write");
        file.write_all(part)?;
    }
    pass("cases.sync");
    file.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn updated(line: &str) -> String {
        String::from_utf8_lossy(&with_expectation(line.as_bytes(), "NEW")).into_owned()
    }

    #[test]
    fn only_the_expectation_changes() {
        for (before, after) in [
            (r#"{"a": 1}"#, r#"{"a": 1, "expect": NEW}"#),
            (
                r#" { "a" : [1, {"expect": 2}] }  "#,
                r#" { "a" : [1, {"expect": 2}], "expect": NEW }  "#,
            ),
            (r#"{"expect":{"expect":"}"},"b":"{"}"#, r#"{"expect":NEW,"b":"{"}"#),
            (
                r#"{"b": "expect", "expect" : null }"#,
                r#"{"b": "expect", "expect" : NEW }"#,
            ),
            (
                "{\"b\": \"\\\"expect\\\":\", \"\\u0065xpect\": [1 , 2]\t,\"c\":0}\r",
                "{\"b\": \"\\\"expect\\\":\", \"\\u0065xpect\": NEW\t,\"c\":0}\r",
            ),
            (r#"{"name": "expect"}"#, r#"{"name": "expect", "expect": NEW}"#),
            (r#"{"é\\": "\\", "expect": "é"}"#, r#"{"é\\": "\\", "expect": NEW}"#),
        ] {
            assert_eq!(updated(before), after);
        }
    }

    #[test]
    fn another_change_of_the_file_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cases.jsonl");
        fs::write(&path, "changed").unwrap();
        let error = replace(&path, b"as it was read", b"new").unwrap_err();
        assert!(error.to_string().contains("was changed meanwhile"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"changed");
        replace(&path, b"changed", b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
