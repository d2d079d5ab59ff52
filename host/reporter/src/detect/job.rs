//! The environment of a job, as the entries of the table see it.

use std::cell::{OnceCell, RefCell};
use std::ffi::OsStr;
use std::path::Path;

use super::ReadFile;
use super::files::{Event, Properties};
use super::git::{self, Git};
use super::system::{Found, Source, Sources, System};
use super::values::{self, Clean, Unfit, sound, truth};
use crate::source::Environment;

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
