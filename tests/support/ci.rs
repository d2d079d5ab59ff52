//! A machine to test on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dx_standin::{Record, Standin};
use tempfile::TempDir;

use crate::Pipefold;

/// The pipeline's name in what [`Ci::report`] reports.
pub const PIPELINE: &str = "build";
/// The pipeline's source in what [`Ci::report`] reports.
pub const SOURCE: &str = "tests";
/// The run's `reference_id` in what [`Ci::report`] reports.
pub const RUN: &str = "run-1";

/// A machine: a stand-in for DX, and a temporary directory with a spool, a workspace and an operator's file. All goes when it is dropped.
#[derive(Debug)]
pub struct Ci {
    /// The stand-in for DX.
    pub dx: Standin,
    directory: TempDir,
}

impl Default for Ci {
    fn default() -> Self {
        Self::new()
    }
}

impl Ci {
    /// A machine with a DX that speaks plain HTTP.
    ///
    /// # Panics
    /// If there is no place for it.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Standin::start())
    }

    /// A machine with this DX.
    ///
    /// # Panics
    /// As [`Self::new`].
    #[must_use]
    pub fn with(dx: Standin) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("pipefold-test-")
            .tempdir()
            .expect("the temporary directory can be written to");
        for name in ["workspace", "home", "tmp"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        let ci = Self { dx, directory };
        ci.operator("");
        ci
    }

    /// The directory of everything below.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The spool, which the first command makes.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.directory().join("spool")
    }

    /// The directory in which commands run.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.directory().join("workspace")
    }

    /// Writes the operator's file, which every command gets by `--config`, so that the machine's own is never read.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn operator(&self, toml: &str) -> &Self {
        std::fs::write(self.operator_file(), toml).unwrap();
        self
    }

    /// The operator's file.
    #[must_use]
    pub fn operator_file(&self) -> PathBuf {
        self.directory().join("operator.toml")
    }

    /// Replaces the operator's file by one that sets the time budgets, in milliseconds.
    ///
    /// # Panics
    /// As [`Self::operator`].
    pub fn budgets(&self, start: u64, finish: u64, stop: u64) -> &Self {
        self.operator(&format!(
            "[budgets]\nstart = \"{start}ms\"\nfinish = \"{finish}ms\"\nstop = \"{stop}ms\"\n"
        ))
    }

    /// A `pipefold` command: these arguments and no others, except `--config` in front of them. Its environment is that of [`Self::program`].
    pub fn pipefold<I: IntoIterator<Item: Into<OsString>>>(&self, arguments: I) -> Pipefold {
        self.program(crate::binary("pipefold"))
            .args(["--config".into(), self.operator_file().into_os_string()])
            .args(arguments)
    }

    /// Any program, without arguments: with this machine's DX, token and spool in variables, with a `HOME` and a `TMPDIR` of its own and
    /// the `PATH` of the tests. See [`Pipefold::env`] and [`Pipefold::env_remove`].
    pub fn program(&self, program: impl Into<PathBuf>) -> Pipefold {
        Pipefold::new(program.into(), &self.workspace())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory().join("home"))
            .env("TMPDIR", self.directory().join("tmp"))
            .env("DX_API_URL", self.dx.url())
            .env("DX_API_TOKEN", self.dx.token())
            .env("PIPEFOLD_SPOOL", self.spool())
    }

    /// A command about [`RUN`]: the required fields are put behind the first of the arguments, which is the command's name.
    pub fn report<I: IntoIterator<Item: Into<OsString>>>(&self, arguments: I) -> Pipefold {
        self.report_run(RUN, arguments)
    }

    /// A command about the run of this name.
    pub fn report_run<I: IntoIterator<Item: Into<OsString>>>(&self, reference_id: &str, arguments: I) -> Pipefold {
        let mut all: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let fields = [
            "--pipeline-name",
            PIPELINE,
            "--pipeline-source",
            SOURCE,
            "--reference-id",
            reference_id,
        ];
        let behind_the_name = all.len().min(1);
        all.splice(behind_the_name..behind_the_name, fields.map(OsString::from));
        self.pipefold(all)
    }

    /// `pipefold exec` of [`RUN`] around this command.
    pub fn exec<I: IntoIterator<Item: Into<OsString>>>(&self, command: I) -> Pipefold {
        self.report(
            ["exec".into(), "--".into()]
                .into_iter()
                .chain(command.into_iter().map(Into::into)),
        )
    }

    /// `pipefold exec` of [`RUN`] around a shell script; `pipefold` in it is the one under test.
    pub fn exec_script(&self, script: &str) -> Pipefold {
        let binary = crate::binary("pipefold");
        let mut path = OsString::from(binary.parent().unwrap_or(Path::new("/")));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        self.exec(["sh", "-c", script]).env("PATH", path)
    }

    /// DX's record of [`RUN`].
    ///
    /// # Panics
    /// If it knows nothing of it.
    #[must_use]
    pub fn record(&self) -> Record {
        self.record_of(RUN)
    }

    /// DX's record of the run with this name.
    ///
    /// # Panics
    /// If it knows nothing of it.
    #[must_use]
    pub fn record_of(&self, reference_id: &str) -> Record {
        let mut records = self.dx.records();
        records.remove(reference_id).unwrap_or_else(|| {
            panic!(
                "DX has no record of {reference_id}; it has {:?}, after {} requests",
                records.keys(),
                self.dx.requests().len()
            )
        })
    }

    /// Every file below a directory with its content, for tests that search them all.
    ///
    /// # Panics
    /// If one cannot be read.
    #[must_use]
    pub fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        let Ok(entries) = std::fs::read_dir(directory) else {
            return found;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                found.extend(Self::files(&path));
            } else if path.is_file() {
                match std::fs::read(&path) {
                    // A process at work may have renamed it meanwhile.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    content => found.push((path, content.unwrap())),
                }
            }
        }
        found
    }

    /// A text without the parts that differ from one run of a test to the next, for snapshots: the directory as `[dir]`, DX's address as
    /// `[dx]`, the duration in a closing line as `[time]`.
    #[must_use]
    pub fn neutral(&self, text: &str) -> String {
        let directory = self.directory().display().to_string();
        let text = text.replace(&directory, "[dir]").replace(&self.dx.url(), "[dx]");
        let mut parts = text.split(" in ");
        let mut neutral = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // Such as "12 ms, delivered".
            let is_time = part.starts_with(|first: char| first.is_ascii_digit());
            match part.split_once(", ").filter(|_| is_time) {
                Some((_, after)) => neutral += &format!(" in [time], {after}"),
                None => neutral += &format!(" in {part}"),
            }
        }
        neutral
    }
}
