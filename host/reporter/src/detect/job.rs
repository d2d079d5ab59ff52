//! The variables and files of a job, for the entries of the table of systems.

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

/// A job of one system: its variables, the files that they name, and the warnings about both.
pub struct Job<'a> {
    pub system: &'a System,
    environment: &'a Environment,
    /// The command's working directory, if its files may be read.
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

    /// The variable's value, unchanged.
    pub fn raw(&self, name: &str) -> Option<&OsStr> {
        self.environment.get_os(name)
    }

    /// The variable's text without the white space around it. A value that a record cannot hold counts as absent, and a warning names the
    /// variable.
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

    /// A computed value, with the variable that it came from.
    pub fn made(&self, value: impl Into<String>, variable: &'static str) -> Found {
        Found {
            value: value.into(),
            variable,
        }
    }

    /// Returns true if the variable is `true` or `1`; systems use either.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(truth)
    }

    /// Returns true if the variable is one of these words, in any case. An absent variable gives `absent`.
    pub fn is_one_of(&self, name: &str, words: &[&str], absent: bool) -> bool {
        self.get(name).map_or(absent, |given| {
            words.iter().any(|word| word.eq_ignore_ascii_case(given))
        })
    }

    /// The rest of each variable's name behind `prefix`, in order.
    pub fn suffixes<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = &'s str> {
        self.environment
            .names(prefix)
            .filter_map(move |name| name.strip_prefix(prefix))
    }

    /// The first sound value, in the form that `clean` gives it.
    pub fn first(&self, sources: Sources, clean: Clean) -> Option<Found> {
        self.first_of(sources, |_| clean)
    }

    /// The repository: a variable's value is checked, and a computed value is a checked name already.
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
            // A combined value may be too long, and a value from a file may be anything.
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

    /// Returns true in the build of a pull request.
    pub fn is_pr(&self) -> bool {
        *self
            .is_pr
            .get_or_init(|| (self.system.is_pr)(self) || self.first(self.system.pr, values::pr_number).is_some())
    }

    /// Returns true if a push started the run.
    pub fn is_push(&self) -> bool {
        (self.system.is_push)(self) && !self.is_pr()
    }

    /// Directories in which the repository may be checked out: the working directory, and the one that a variable names.
    pub fn checkouts<'j>(&'j self, variable: &str) -> impl Iterator<Item = &'j Path> {
        // Without a working directory the variable's is not read either: then detection reads no file system at all.
        let named = self.raw(variable).map(Path::new).filter(|path| path.is_absolute());
        self.directory
            .into_iter()
            .flat_map(move |here| [Some(here), named])
            .flatten()
    }

    /// Data from the git repository around the working directory.
    pub fn git(&self) -> Git {
        self.directory
            .map_or_else(Git::default, |directory| git::read(self.environment, directory))
    }

    /// The event that started the run, from the file that GitHub, Gitea and Forgejo write.
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

    /// The properties of the build, from the files that TeamCity writes.
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

    /// Adds a warning, once. A warning never holds a value: it may be a credential.
    pub fn warn(&self, warning: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// Adds a warning that a commit was left out because it `is not`, or `may not be`, the head of the pull request.
    pub fn warn_of_merge(&self, variable: &str, is_not: &str) {
        self.warn(format!(
            "{variable} {is_not} the head of the pull request; commit_sha was left out (set PIPEFOLD_COMMIT_SHA to the head commit)"
        ));
    }

    pub fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }
}

/// The largest file that is read, in bytes. GitHub caps the payload of an event at 25 MB ("Webhook events and payloads" in its
/// documentation); the file holds it with white space added.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The bytes of a regular file of at most 32 MiB.
///
/// # Errors
/// The error of the disk, or one that says that the file is not regular or is larger.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // Metadata of the open file, not of the path, which could change in between.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(LARGEST)).unwrap_or_default());
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 32 MiB"));
    }
    Ok(bytes)
}

/// Opens the file without waiting for a writer if it is a pipe.
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

/// The needed members of the event ("Webhook events and payloads" in GitHub's documentation). All others are skipped unread.
#[derive(Debug, Default, Deserialize)]
pub struct Event {
    /// The pull request, if the event is about one.
    pub pull_request: Option<PullRequest>,
    /// The user who caused the event.
    pub sender: Option<EventPerson>,
}

/// A pull request.
#[derive(Debug, Deserialize)]
pub struct PullRequest {
    /// The pull request's number.
    pub number: Option<u64>,
    /// The head of the pull request.
    pub head: Option<Head>,
}

/// The head of a pull request: the branch and commit to merge.
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

    /// Reads the file. An error is the end of a message that begins with the variable's name.
    pub fn read(path: &OsStr, read: ReadFile<'_>) -> Result<Self, String> {
        let bytes = read(Path::new(path)).map_err(|error| format!("the event's file cannot be read: {error}"))?;
        // serde_json stops at 128 levels in known fields, and skips unknown fields without recursion. Its message would quote the file.
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("the event's file is not as expected in line {}", error.line()))
    }

    /// The head of the pull request.
    pub fn head(&self) -> Option<&Head> {
        self.pull_request.as_ref()?.head.as_ref()
    }
}

/// The property in the first file that names the file of the configuration's parameters.
const CONFIGURATION: &str = "teamcity.configuration.properties.file";

/// Properties by name, of the build and of its configuration ("Predefined Build Parameters" in TeamCity's documentation).
#[derive(Debug, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// The variable that names the first file.
    const VARIABLE: &str = "TEAMCITY_BUILD_PROPERTIES_FILE";

    /// Reads the file and the one that it names. An error is the end of a message that begins with the variable's name.
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

    /// Names of the non-empty properties that begin with `prefix`.
    pub fn beginning_with<'p>(&'p self, prefix: &'p str) -> impl Iterator<Item = &'p str> {
        let from_here = self.0.range(prefix.to_owned()..);
        let of_it = from_here.take_while(move |(name, _)| name.starts_with(prefix));
        of_it
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, _)| name.as_str())
    }

    /// The property of this name, if it is not empty.
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
    fn a_pipe_is_neither_read_nor_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        for path in [pipe.as_path(), directory.path(), Path::new("/dev/zero")] {
            let error = read_file(path).unwrap_err().to_string();
            assert!(error.contains("not a regular file"), "{}: {error}", path.display());
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
