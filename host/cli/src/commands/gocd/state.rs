//! The record of how far a server was read: a file for each pipeline, written whole and durably, in a directory of this user's alone.
//!
//! ```text
//! <state>/<server>/        0700; 32 hex digits of the sha256 of server id and DX address
//!   <pipeline>.json        32 hex digits of the sha256 of the pipeline's name
//!   server.json            facts about the server
//!   damaged-<name>         a file that could not be read, set aside; the next one replaces it
//!   lock                   held by the process that reads the server
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use pipefold_gocd::documents::Name;
use pipefold_gocd::sync::{MAX_STATE_BYTES, PipelineState, ServerState, StateError, StateStore};
use rustix::fs::{CWD, Mode, OFlags};
use sha2::{Digest, Sha256};

use crate::terminal::{neutral, say};

/// The file about the server.
const SERVER: &str = "server.json";
/// A file that is being written. One at a time: the writer holds the lock.
const TEMPORARY: &str = ".tmp";
/// The file that is locked while the server is read.
const LOCK: &str = "lock";

/// The files of one server.
pub struct StateFiles {
    dir: Dir,
    path: PathBuf,
    quiet: bool,
    /// True for a dry run, which changes no file.
    read_only: bool,
    _lock: Option<File>,
}

impl StateFiles {
    /// Opens, or makes, the files of a server below `state`, and locks them against other processes. Another DX has received nothing of what
    /// was reported to this one, so each address of DX has files of its own.
    pub fn open(state: &Path, server_id: &str, dx_url: Option<&str>, quiet: bool) -> anyhow::Result<Self> {
        let path = state.join(directory(server_id, dx_url));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.with_context(|| format!("cannot create {}, which keeps how far GoCD was read", path.display()))?;
        let dir = open_private(&path)?;
        let lock = lock(&dir, &path)?;
        Ok(Self {
            dir,
            path,
            quiet,
            read_only: false,
            _lock: lock,
        })
    }

    /// Opens the files of a server to read them; none if there are none.
    pub fn open_read_only(state: &Path, server_id: &str, dx_url: Option<&str>) -> anyhow::Result<Option<Self>> {
        let path = state.join(directory(server_id, dx_url));
        if !path.is_dir() {
            return Ok(None);
        }
        Ok(Some(Self {
            dir: open_private(&path)?,
            path,
            quiet: true,
            read_only: true,
            _lock: None,
        }))
    }

    fn read<T>(&self, name: &str, parse: fn(&[u8]) -> Result<T, StateError>) -> Result<Option<T>, StateError> {
        let file = match self.dir.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("read", name, &error)),
        };
        let mut bytes = Vec::new();
        file.take(MAX_STATE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed("read", name, &error))?;
        match parse(&bytes) {
            Err(damage @ (StateError::Damaged(_) | StateError::TooLong)) => {
                if !self.read_only {
                    self.set_aside(name, &damage)?;
                }
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn set_aside(&self, name: &str, damage: &StateError) -> Result<(), StateError> {
        let aside = format!("damaged-{name}");
        self.dir
            .rename(name, &self.dir, &aside)
            .map_err(|error| self.failed("set aside", name, &error))?;
        if !self.quiet {
            let path = neutral(&self.path.join(name).display().to_string());
            say(&format!(
                "pipefold: warning: {path}: {}; it is now {aside}, and its data is read again from its beginning",
                neutral(&damage.to_string()).split(';').next().unwrap_or_default()
            ));
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = self.dir.open_with(TEMPORARY, &options)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            self.dir.rename(TEMPORARY, &self.dir, name)?;
            self.dir.open(".")?.sync_all()
        };
        write().map_err(|error| self.failed("write", name, &error))
    }

    fn failed(&self, action: &str, name: &str, error: &io::Error) -> StateError {
        StateError::Storage(format!(
            "could not {action} {}: {error}; check the disk, or name another directory with --state",
            self.path.join(name).display()
        ))
    }
}

impl StateStore for StateFiles {
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError> {
        self.read(&file(pipeline), PipelineState::from_json)
    }

    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError> {
        self.write(&file(pipeline), &state.to_json()?)
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        self.read(SERVER, ServerState::from_json)
    }

    fn save_server(&self, state: &ServerState) -> Result<(), StateError> {
        self.write(SERVER, &state.to_json()?)
    }
}

/// Opens the directory, if no other user may change its files.
fn open_private(path: &Path) -> anyhow::Result<Dir> {
    // Not by cap-std, whose handles of directories cannot be synced; and not through a link, which may lead anywhere.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
    let opened = opened.with_context(|| format!("cannot open {} as a directory", path.display()))?;
    let dir = Dir::from_std_file(File::from(opened));
    let stat = rustix::fs::fstat(&dir).with_context(|| format!("cannot read the attributes of {}", path.display()))?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o022 != 0 {
        bail!(
            "{} is not this user's alone: run `chmod 700` on it, or name another directory with --state",
            path.display()
        );
    }
    Ok(dir)
}

fn lock(dir: &Dir, path: &Path) -> anyhow::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    let file = dir
        .open_with(LOCK, &options)
        .with_context(|| format!("cannot make {}", path.join(LOCK).display()))?
        .into_std();
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => bail!(
            "another pipefold reads this GoCD server already and locks {}: stop it, or give this one another directory with \
             --state",
            path.display()
        ),
        // Some network file systems have no locks: reading twice repeats upserts, which does no harm.
        Err(TryLockError::Error(error)) => {
            tracing::info!(%error, path = %path.display(), "there are no locks here");
            Ok(None)
        }
    }
}

fn directory(server_id: &str, dx_url: Option<&str>) -> String {
    digits(&format!("{server_id}\0{}", dx_url.unwrap_or_default()))
}

fn file(pipeline: &Name) -> String {
    format!("{}.json", digits(pipeline.as_str()))
}

/// The first 32 hex digits of the sha256, a good file name for names of any length and with any characters.
fn digits(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The state of a dry run: earlier rounds from disk, this one in memory only.
#[derive(Default)]
pub struct DryRunState {
    files: Option<StateFiles>,
    pipelines: RefCell<HashMap<Name, PipelineState>>,
    server: RefCell<Option<ServerState>>,
}

impl DryRunState {
    pub fn over(files: Option<StateFiles>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }
}

impl StateStore for DryRunState {
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError> {
        match (self.pipelines.borrow().get(pipeline), &self.files) {
            (Some(state), _) => Ok(Some(state.clone())),
            (None, Some(files)) => files.load(pipeline),
            (None, None) => Ok(None),
        }
    }

    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError> {
        self.pipelines.borrow_mut().insert(pipeline.clone(), state.clone());
        Ok(())
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        match (&*self.server.borrow(), &self.files) {
            (Some(state), _) => Ok(Some(state.clone())),
            (None, Some(files)) => files.load_server(),
            (None, None) => Ok(None),
        }
    }

    fn save_server(&self, state: &ServerState) -> Result<(), StateError> {
        *self.server.borrow_mut() = Some(state.clone());
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn open(state: &Path) -> anyhow::Result<StateFiles> {
        StateFiles::open(state, "ci", Some("https://x.getdx.net"), true)
    }

    #[test]
    fn state_is_of_one_server_and_one_dx() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("a/b");
        let files = open(&state).unwrap();
        assert_eq!(files.load(&name("web")).unwrap(), None);
        files.save(&name("web"), &PipelineState::default()).unwrap();
        assert_eq!(files.load(&name("web")).unwrap(), Some(PipelineState::default()));
        assert_eq!(files.load(&name("Web")).unwrap(), None);
        let mode = std::fs::metadata(&files.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        for (id, dx) in [
            ("ci", None),
            ("ci2", Some("https://x.getdx.net")),
            ("ci", Some("https://y.getdx.net")),
        ] {
            let other = StateFiles::open(&state, id, dx, true).unwrap();
            assert_eq!(other.load(&name("web")).unwrap(), None, "{id} {dx:?}");
        }
    }

    #[test]
    fn one_process_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let files = open(root.path()).unwrap();
        let error = open(root.path()).err().unwrap().to_string();
        assert!(
            error.contains("another pipefold reads this GoCD server already"),
            "{error}"
        );
        drop(files);
        // A test beside this one may be starting a process, which has a copy of the lock until it is another program.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = open(root.path()) {
            assert!(Instant::now() < deadline, "{error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_one_of_a_later_version_is_left() {
        let root = tempfile::tempdir().unwrap();
        let files = open(root.path()).unwrap();
        let path = files.path.join(file(&name("web")));
        for damage in ["", "{", "{\"form\":1,\"newest\":\"x\"}"] {
            std::fs::write(&path, damage).unwrap();
            assert_eq!(files.load(&name("web")).unwrap(), None, "{damage}");
            assert!(!path.exists());
            let aside = files.path.join(format!("damaged-{}", file(&name("web"))));
            assert_eq!(std::fs::read_to_string(aside).unwrap(), damage);
        }
        std::fs::write(&path, "{\"form\":99}").unwrap();
        assert!(matches!(files.load(&name("web")), Err(StateError::Newer(99))));
        assert!(path.exists());
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let files = open(root.path()).unwrap();
        std::fs::set_permissions(&files.path, PermissionsExt::from_mode(0o777)).unwrap();
        drop(files);
        let error = open(root.path()).err().unwrap().to_string();
        assert!(error.contains("is not this user's alone"), "{error}");
    }

    #[test]
    fn opening_read_only_makes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("none");
        assert!(StateFiles::open_read_only(&state, "ci", None).unwrap().is_none());
        assert!(!state.exists());
    }
}
