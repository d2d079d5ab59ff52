//! The properties of a TeamCity build, which it writes into files instead of setting variables.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use crate::detect::ReadFile;

/// The file of the configuration's parameters, as the file of the build's names it.
const CONFIGURATION: &str = "teamcity.configuration.properties.file";

/// Properties by name, of the build and of its configuration ("Predefined Build Parameters" in TeamCity's documentation).
#[derive(Debug, Default)]
pub(crate) struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The variable that names the first file.
    pub(crate) const VARIABLE: &str = "TEAMCITY_BUILD_PROPERTIES_FILE";

    /// Reads the file and the one that it names.
    pub(crate) fn read(path: &OsStr, read: ReadFile<'_>) -> Result<Self, String> {
        let text = |path: &Path| {
            let bytes = read(path).map_err(|error| format!("the file of properties cannot be read: {error}"))?;
            // Java writes what is not Latin-1 as an escape.
            Ok::<_, String>(bytes.iter().map(|byte| char::from(*byte)).collect::<String>())
        };
        let mut all = parse(&text(Path::new(path))?);
        if let Some(path) = all.get(CONFIGURATION).cloned() {
            all.extend(parse(&text(Path::new(&path))?));
        }
        Ok(Self(all))
    }

    /// Names of the properties that are there and not empty, with this beginning.
    pub(crate) fn beginning_with<'p>(&'p self, prefix: &'p str) -> impl Iterator<Item = &'p str> {
        let from_here = self.0.range(prefix.to_owned()..);
        let of_it = from_here.take_while(move |(name, _)| name.starts_with(prefix));
        of_it
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// A property that is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Java's format, as `Properties.store` writes it: one property a line, `=` between name and value, `\` before what is meant literally.
fn parse(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim_start);
    lines
        .filter(|line| !line.starts_with(['#', '!']))
        .filter_map(|line| {
            let end = unescaped_equals(line)?;
            Some((unescape(line.get(..end)?), unescape(line.get(end + 1..)?)))
        })
        .collect()
}

fn unescaped_equals(line: &str) -> Option<usize> {
    let mut escaped = false;
    line.bytes().position(|byte| {
        let is_end = byte == b'=' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    })
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                plain.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
            }
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain.trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_second_file_is_found_through_the_first() {
        let read = |path: &Path| match path.to_str() {
            Some("/build") => Ok(b"#c\nteamcity.configuration.properties.file=/conf\nteamcity.build.id=1\n".to_vec()),
            Some("/conf") => Ok(b"a\\=b=c\nteamcity.build.id=2\nurl=https\\://host\\u00e9/x\n".to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let properties = Properties::read(OsStr::new("/build"), &read).unwrap();
        assert_eq!(properties.get("teamcity.build.id"), Some("2"));
        assert_eq!(properties.get("a=b"), Some("c"));
        assert_eq!(properties.get("url"), Some("https://hosté/x"));
        assert!(Properties::read(OsStr::new("/none"), &read).is_err());
    }
}
