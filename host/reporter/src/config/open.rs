//! Reading a file of settings, bounded, and only what may be trusted as far as it has to be.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use super::{ConfigError, Trust};

/// The most that is read of a file of settings, in bytes: a hundred times what a long one has.
const LARGEST: u64 = 256 * 1024;

/// The text of the file.
pub(super) fn read_text(path: &Path, trust: Trust) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable {
        path: path.to_path_buf(),
        source,
    };
    let file = match open(path, trust) {
        Ok(file) => file,
        Err(_) if trust == Trust::Workspace && path.is_symlink() => {
            return Err(ConfigError::Link {
                path: path.to_path_buf(),
            });
        }
        Err(error) => return Err(unreadable(error)),
    };
    // Asked of the open file, not of the path: between two looks at a path it can be changed.
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ConfigError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    if trust == Trust::Operator && writable_by_everyone(&metadata) {
        return Err(ConfigError::WorldWritable {
            path: path.to_path_buf(),
        });
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ConfigError::TooLarge {
            path: path.to_path_buf(),
            limit: LARGEST,
        });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        ConfigError::NotUtf8 {
            path: path.to_path_buf(),
            line: line_of(error.as_bytes(), good),
        }
    })
}

/// The line, from 1, that the byte at `offset` stands in.
pub(super) fn line_of(text: &[u8], offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Opens without waiting for a writer, should the path be a pipe. Operators' files may be links: Kubernetes mounts them so.
#[cfg(unix)]
fn open(path: &Path, trust: Trust) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = match trust {
        Trust::Workspace => OFlags::NONBLOCK | OFlags::NOFOLLOW,
        Trust::Operator => OFlags::NONBLOCK,
    };
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, trust: Trust) -> io::Result<File> {
    if trust == Trust::Workspace && path.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    OpenOptions::new().read(true).open(path)
}

#[cfg(unix)]
fn writable_by_everyone(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o002 != 0
}

#[cfg(not(unix))]
fn writable_by_everyone(_: &std::fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use std::fs;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_file_of_the_largest_size_is_read_and_one_byte_more_is_not() {
        let directory = directory();
        let path = directory.path().join("pipefold.toml");
        fs::write(&path, "#".repeat(LARGEST as usize)).unwrap();
        assert_eq!(read_text(&path, Trust::Workspace).unwrap().len() as u64, LARGEST);
        fs::write(&path, "#".repeat(LARGEST as usize + 1)).unwrap();
        let error = read_text(&path, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::TooLarge { limit: LARGEST, .. }), "{error}");
    }

    #[test]
    fn a_directory_and_an_absent_file_are_named() {
        let directory = directory();
        let error = read_text(directory.path(), Trust::Operator).unwrap_err();
        assert!(matches!(error, ConfigError::NotAFile { .. }), "{error}");
        let absent = directory.path().join("absent.toml");
        let text = read_text(&absent, Trust::Operator).unwrap_err().to_string();
        assert!(
            text.contains("absent.toml") && text.ends_with("; check the path"),
            "{text}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_named_by_line() {
        let directory = directory();
        let path = directory.path().join("pipefold.toml");
        fs::write(&path, b"a = 1\nb = \"\xff\"\n").unwrap();
        let error = read_text(&path, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::NotUtf8 { line: 2, .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_refused_in_a_workspace_and_followed_for_an_operator() {
        let directory = directory();
        let (file, link) = (directory.path().join("real"), directory.path().join("pipefold.toml"));
        fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let error = read_text(&link, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::Link { .. }), "{error}");
        assert_eq!(read_text(&link, Trust::Operator).unwrap(), "x");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_at_once() {
        let directory = directory();
        let path = directory.path().join("pipefold.toml");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let error = read_text(&path, Trust::Workspace).unwrap_err();
        assert!(matches!(error, ConfigError::NotAFile { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn an_operator_file_that_everyone_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = directory();
        let path = directory.path().join("operator.toml");
        fs::write(&path, "").unwrap();
        for (mode, refused) in [(0o666, true), (0o602, true), (0o664, false), (0o644, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let answer = read_text(&path, Trust::Operator);
            assert_eq!(
                matches!(answer, Err(ConfigError::WorldWritable { .. })),
                refused,
                "{mode:o}"
            );
            assert!(read_text(&path, Trust::Workspace).is_ok(), "{mode:o}");
        }
    }
}
