//! The environment of a job, as the entries of the table see it.

use super::git::Git;
use super::systems::{Found, Source, Sources, System};
use super::values::{Clean, Unfit, sound, truth};
use super::{ReadFile, git, values};
use crate::source::Environment;
use serde::Deserialize;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::Read;
use std::path::Path;

/// A job of one system: its variables, the files they point to, and what was wrong with them.
pub struct Job<'a> {
    pub system: &'a System,
    environment: &'a Environment,
    /// Where the command runs, if files may be looked for there.
    directory: Option<&'a Path>,
    read: ReadFile<'a>,
    event: OnceCell<Event>,
    properties: OnceCell<Properties>,
    is_pr: OnceCell<bool>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Job<'a> {
    pub fn new(
        system: &'a System,
        environment: &'a Environment,
        directory: Option<&'a Path>,
        read: ReadFile<'a>,
    ) -> Self {
        Self {
            system,
            environment,
            directory,
            read,
            event: OnceCell::new(),
            properties: OnceCell::new(),
            is_pr: OnceCell::new(),
            warnings: RefCell::default(),
        }
    }

    /// The variable as it is.
    pub fn raw(&self, name: &str) -> Option<&OsStr> {
        self.environment.get_os(name)
    }

    /// The variable's text without the white space around it. One that can be no part of a record is absent, and named in a warning.
    pub fn get(&self, name: &str) -> Option<&str> {
        match sound(self.raw(name)?) {
            Ok(text) => Some(text),
            Err(Unfit::Absent) => None,
            Err(Unfit::Wrong(why)) => {
                self.warn(format!("{name} {why}; it was left out"));
                None
            }
        }
    }

    /// The variable's text, with its name.
    pub fn found(&self, name: &'static str) -> Option<Found> {
        self.get(name).map(|text| self.made(text, name))
    }

    /// A value that was worked out.
    pub fn made(&self, value: impl Into<String>, variable: &'static str) -> Found {
        Found {
            value: value.into(),
            variable,
        }
    }

    /// Whether the variable says yes: `true` or `1`, as the system's habit is.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(truth)
    }

    /// Whether the variable is one of these words, whatever their case; or absent, if that counts.
    pub fn is_one_of(&self, name: &str, words: &[&str], absent: bool) -> bool {
        self.get(name).map_or(absent, |given| {
            words.iter().any(|word| word.eq_ignore_ascii_case(given))
        })
    }

    /// What follows `prefix` in the names of variables, in order.
    pub fn suffixes<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s str> {
        self.environment
            .names(prefix)
            .filter_map(move |name| name.strip_prefix(prefix))
    }

    /// The first sound value, as `clean` makes it.
    pub fn first(&self, sources: Sources, clean: Clean) -> Option<Found> {
        self.first_of(sources, |_| clean)
    }

    /// The repository: the name in a variable is checked, and what was worked out is a name already.
    pub fn repository(&self) -> Option<Found> {
        self.first_of(self.system.repository, |source| match source {
            Source::By(..) => values::text,
            _ => values::repository_name,
        })
    }

    fn first_of(&self, sources: Sources, clean: impl Fn(&Source) -> Clean) -> Option<Found> {
        sources.iter().find_map(|source| {
            let Found { value, variable } = self.at(source)?;
            let clean = match source {
                Source::Address(_) => values::repository,
                _ => clean(source),
            };
            // What was put together may have grown too long, and what stands in a file may be anything.
            match sound(value.as_ref()).and_then(clean) {
                Ok(value) if values::is_blank(&value) => None,
                Ok(value) => Some(Found { value, variable }),
                Err(Unfit::Absent) => None,
                Err(Unfit::Wrong(why)) => {
                    self.warn(format!("{variable} {why}; it was left out"));
                    None
                }
            }
        })
    }

    fn at(&self, source: &Source) -> Option<Found> {
        match source {
            Source::Var(name) | Source::Address(name) => self.found(name),
            Source::OutsidePr(name) => self.found(name).filter(|_| !self.is_pr()),
            Source::Unmerged(name) => self.found(name).filter(|_| !(self.system.is_merge)(self)),
            Source::Pushed(name) => self.found(name).filter(|_| self.is_push()),
            Source::By(_, work_out) => work_out(self),
        }
    }

    /// Whether this is the build of a pull request.
    pub fn is_pr(&self) -> bool {
        *self
            .is_pr
            .get_or_init(|| (self.system.is_pr)(self) || self.first(self.system.pr, values::pr_number).is_some())
    }

    /// Whether a push started the run.
    pub fn is_push(&self) -> bool {
        (self.system.is_push)(self) && !self.is_pr()
    }

    /// Directories in which the repository may be checked out: where the command runs, and the one that a variable names.
    pub fn checkouts<'j>(&'j self, variable: &str) -> impl Iterator<Item = &'j Path> {
        // Without a place to look at, the variable's is not looked at either: then detection reads no file system at all.
        let named = self.raw(variable).map(Path::new).filter(|path| path.is_absolute());
        self.directory
            .into_iter()
            .flat_map(move |here| [Some(here), named])
            .flatten()
    }

    /// What the git repository says that the command runs in.
    pub fn git(&self) -> Git {
        self.directory
            .map_or_else(Git::default, |directory| git::read(self.environment, directory))
    }

    /// What started the run, as GitHub and those like it write it down.
    pub fn event(&self) -> &Event {
        self.event.get_or_init(|| {
            let Some(path) = self.raw(Event::VARIABLE) else {
                return Event::default();
            };
            Event::read(path, self.read).unwrap_or_else(|why| {
                self.warn(format!("{}: {why}; the run is described without it", Event::VARIABLE));
                Event::default()
            })
        })
    }

    /// What TeamCity writes down of a build.
    pub fn properties(&self) -> &Properties {
        self.properties.get_or_init(|| {
            let Some(path) = self.raw(Properties::VARIABLE) else {
                return Properties::default();
            };
            Properties::read(path, self.read).unwrap_or_else(|why| {
                self.warn(format!(
                    "{}: {why}; the run is described without it",
                    Properties::VARIABLE
                ));
                Properties::default()
            })
        })
    }

    /// Says what is wrong, once. Values never stand in a warning: they may hold a credential.
    pub fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Says that a commit was left out, which `is not` or `may not be` the head of the pull request.
    pub fn warn_of_merge(&self, variable: &str, is_not: &str) {
        self.warn(format!(
            "{variable} {is_not} the head of the pull request; commit_sha was left out (set PIPEFOLD_COMMIT_SHA to the head commit)"
        ));
    }

    pub fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }
}

/// The most that is read, in bytes. GitHub caps the payload of an event at 25 MB ("Webhook events and payloads" in its documentation); the
/// file holds it with white space added.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The bytes of a regular file of at most 32 MiB.
///
/// # Errors
/// What the disk said; a message of its own for what is no regular file, and for a larger one.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // Asked of the open file, not of the path: between two looks at a path it can be changed.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(LARGEST)).unwrap_or_default());
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 32 MiB"));
    }
    Ok(bytes)
}

/// Opens without waiting for a writer, should the path be a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// What is needed of the event ("Webhook events and payloads" in GitHub's documentation). All else is skipped without being kept.
#[derive(Debug, Default, Deserialize)]
pub struct Event {
    /// The pull request, if the event is about one.
    pub pull_request: Option<PullRequest>,
    /// Who caused the event.
    pub sender: Option<EventPerson>,
}

/// A pull request.
#[derive(Debug, Deserialize)]
pub struct PullRequest {
    /// Its number.
    pub number: Option<u64>,
    /// What is to be merged.
    pub head: Option<Head>,
}

/// The branch and commit that are to be merged.
#[derive(Debug, Deserialize)]
pub struct Head {
    /// The commit.
    pub sha: Option<String>,
    /// Name of the branch.
    #[serde(rename = "ref")]
    pub branch: Option<String>,
}

/// A user.
#[derive(Debug, Deserialize)]
pub struct EventPerson {
    /// E-mail address, which Gitea and Forgejo give and GitHub does not.
    pub email: Option<String>,
}

impl Event {
    /// The variable that names the file.
    const VARIABLE: &str = "GITHUB_EVENT_PATH";

    /// Reads the file, or says what is wrong with it.
    pub fn read(path: &OsStr, read: ReadFile<'_>) -> Result<Self, String> {
        let bytes = read(Path::new(path)).map_err(|error| format!("the event's file cannot be read: {error}"))?;
        // serde_json stops at 128 levels in known fields, and skips unknown fields without recursion. Its message would quote the file.
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("the event's file is not as expected in line {}", error.line()))
    }

    /// What is to be merged.
    pub fn head(&self) -> Option<&Head> {
        self.pull_request.as_ref()?.head.as_ref()
    }
}

/// The file of the configuration's parameters, as the file of the build's names it.
const CONFIGURATION: &str = "teamcity.configuration.properties.file";

/// Properties by name, of the build and of its configuration ("Predefined Build Parameters" in TeamCity's documentation).
#[derive(Debug, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The variable that names the first file.
    const VARIABLE: &str = "TEAMCITY_BUILD_PROPERTIES_FILE";

    /// Reads the file and the one that it names.
    pub fn read(path: &OsStr, read: ReadFile<'_>) -> Result<Self, String> {
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
    pub fn beginning_with<'p>(&'p self, prefix: &'p str) -> impl Iterator<Item = &'p str> {
        let from_here = self.0.range(prefix.to_owned()..);
        let of_it = from_here.take_while(move |(name, _)| name.starts_with(prefix));
        of_it
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// A property that is there and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
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
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_a_larger_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("event.json");
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read_file(&path).unwrap(), b"{}");
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(read_file(&path).unwrap_err().to_string().contains("32 MiB"));
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_neither_read_nor_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        for path in [pipe.as_path(), directory.path(), Path::new("/dev/zero")] {
            let error = read_file(path).unwrap_err().to_string();
            assert!(error.contains("no regular file"), "{}: {error}", path.display());
        }
        assert!(read_file(Path::new("/nonexistent")).is_err());
    }

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
