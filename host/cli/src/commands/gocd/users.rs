//! The file of e-mail addresses.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::commands::trouble::Trouble;

/// The most that is read of the file, in bytes: the users of the largest companies.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Reads a file with one `NAME = ADDRESS` a line; blank lines and those that begin with `#` say nothing.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, String>, Trouble> {
    let wrong = |why: String| Trouble::input(format!("--user-map {}: {why}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_string(&mut text))
        .map_err(|error| wrong(format!("{error}; check the file")))?;
    if text.len() as u64 > LARGEST {
        return Err(wrong(format!(
            "it is larger than {LARGEST} bytes; is it the right file?"
        )));
    }
    parse(&text).map_err(|line| wrong(format!("line {line} is not of the form NAME = ADDRESS")))
}

/// The users, or the number of the first line that says nothing of one.
fn parse(text: &str) -> Result<BTreeMap<String, String>, usize> {
    let mut users = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, address) = line.split_once('=').ok_or(number + 1)?;
        let (name, address) = (name.trim(), address.trim());
        if name.is_empty() || !address.contains('@') {
            return Err(number + 1);
        }
        users.insert(name.to_owned(), address.to_owned());
    }
    Ok(users)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn one_user_a_line() {
        let users = parse("# people\n\njez = jez@example.com\r\n Jane Doe=jane@example.com\n").unwrap();
        assert_eq!(users["jez"], "jez@example.com");
        assert_eq!(users["Jane Doe"], "jane@example.com");
        assert_eq!(users.len(), 2);
    }

    #[test]
    fn a_line_that_says_nothing_is_named() {
        for (text, line) in [("a@b", 1), ("a = a@b\n= x@y", 2), ("\na = b", 2)] {
            assert_eq!(parse(text), Err(line), "{text}");
        }
    }
}
