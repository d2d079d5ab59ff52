//! A password or a token in a file.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use secrecy::SecretString;

/// A file's secret text, and who may read the file.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// The text, line ends included.
    pub text: SecretString,
    /// True if other users than the owner may read the file, as Kubernetes mounts it. Logged at `-v`.
    pub readable_by_others: bool,
}

impl SecretFile {
    /// Reads a file, following links, as Kubernetes mounts secrets through them. Of a file longer than `limit` bytes some more are read,
    /// enough to see that it is too long.
    ///
    /// # Errors
    ///
    /// [`SecretFileError`] if it cannot be read as UTF-8, or every user may write to it.
    pub fn read(path: &Path, limit: usize) -> Result<Self, SecretFileError> {
        let unreadable = |why: io::Error| SecretFileError::Unreadable {
            path: path.to_owned(),
            why: why.to_string(),
        };
        let file = open(path).map_err(unreadable)?;
        // Metadata of the open file: its name may be another file's by now.
        let access = Access::of(&file.metadata().map_err(unreadable)?);
        if access.writable_by_all {
            return Err(SecretFileError::WritableByAll { path: path.to_owned() });
        }
        let patient = Patient {
            file,
            until: Instant::now() + LONGEST_WAIT,
        };
        let mut text = String::new();
        // Room for a line end after the longest text; one byte more shows that it is too long.
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(3);
        let read = patient.take(limit).read_to_string(&mut text);
        // Before the error, so that what was read is wiped.
        let text = SecretString::from(text);
        read.map_err(unreadable)?;
        Ok(Self {
            text,
            readable_by_others: access.readable_by_others,
        })
    }
}

/// The longest wait for the writer of a pipe, as in `--token-file <(vault …)`, since the build waits meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Opens the file without waiting for a writer if it is a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;

    let flags = OFlags::NONBLOCK.bits().cast_signed();
    File::options().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// A reader that waits up to [`LONGEST_WAIT`] for the writer of a pipe.
struct Patient {
    file: File,
    until: Instant,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const PAUSE: Duration = Duration::from_millis(5);
        loop {
            match self.file.read(buffer) {
                Err(why) if why.kind() == io::ErrorKind::WouldBlock && Instant::now() < self.until => {
                    std::thread::sleep(PAUSE);
                }
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                    let why = format!(
                        "it is a pipe into which nothing was written within {} s",
                        LONGEST_WAIT.as_secs()
                    );
                    return Err(io::Error::other(why));
                }
                read => return read,
            }
        }
    }
}

/// The reason why a file's secret is not used. Never shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretFileError {
    /// The file could not be read.
    #[error("could not read the file {}: {why}; give a file with the secret alone on one line", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: String,
    },
    /// Every user of the machine may change the file, and so choose the secret.
    #[error("the file {0} may be written to by every user, so its content cannot be trusted: run `chmod o-w {0}`", .path.display())]
    WritableByAll {
        /// The file.
        path: PathBuf,
    },
}

/// The access of other users to a file.
struct Access {
    writable_by_all: bool,
    readable_by_others: bool,
}

impl Access {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::PermissionsExt;

        // The mode of a pipe (`--password-file <(…)`) does not show who could have written its content.
        let mode = if metadata.is_file() {
            metadata.permissions().mode()
        } else {
            0
        };
        Self {
            writable_by_all: mode & 0o002 != 0,
            readable_by_others: mode & 0o044 != 0,
        }
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self {
            writable_by_all: false,
            readable_by_others: false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn file_modes() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "open sesame\n").unwrap();
        let read = |mode: u32| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            SecretFile::read(&path, 100)
        };
        for (mode, readable_by_others) in [(0o600, false), (0o640, true), (0o604, true)] {
            let file = read(mode).unwrap();
            assert_eq!(file.text.expose_secret(), "open sesame\n");
            assert_eq!(file.readable_by_others, readable_by_others, "{mode:o}");
            assert!(!format!("{file:?}").contains("sesame"));
        }
        let why = read(0o602).unwrap_err().to_string();
        assert!(why.contains(&format!("chmod o-w {}", path.display())), "{why}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_read_and_not_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let unwritten = SecretFile::read(&path, 100).unwrap();
        assert_eq!(unwritten.text.expose_secret(), "", "without a writer");

        // Opened for reading too, so that it does not wait for a reader.
        let writer = || File::options().read(true).write(true).open(&path).unwrap();
        let silent = writer();
        let start = Instant::now();
        let why = SecretFile::read(&path, 100).unwrap_err().to_string();
        assert!(
            why.contains("nothing was written") && start.elapsed() < LONGEST_WAIT * 5,
            "{why}"
        );
        drop(silent);

        let late = std::thread::spawn({
            let mut writer = writer();
            move || {
                std::thread::sleep(Duration::from_millis(100));
                io::Write::write_all(&mut writer, b"open sesame\n").unwrap();
            }
        });
        let file = SecretFile::read(&path, 100).unwrap();
        assert_eq!(file.text.expose_secret(), "open sesame\n");
        late.join().unwrap();
    }

    #[test]
    fn bounded_and_utf8() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let file = SecretFile::read(&path, 10).unwrap();
        assert_eq!(file.text.expose_secret().len(), 13);
        std::fs::write(&path, b"sesam\xe9").unwrap();
        let why = SecretFile::read(&path, 10).unwrap_err().to_string();
        assert!(why.contains("UTF-8") && !why.contains("sesam"), "{why}");
        assert!(SecretFile::read(dir.path(), 10).is_err());
        assert!(SecretFile::read(&dir.path().join("none"), 10).is_err());
    }
}
