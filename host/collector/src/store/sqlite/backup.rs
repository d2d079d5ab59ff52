//! Everything, in a new file.

use super::connection;
use super::place::{DATABASE_FILE, io_failed};
use super::schema;
use super::trouble::Result;
use crate::store::StoreError;
use rusqlite::Connection;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Writes all that is in the data directory `dir` at this moment to the new file `to`, whether a server uses the directory or not. Put in the
/// place of the database of a stopped server, without files beside it, it is the backup restored.
///
/// # Errors
/// As [`Store::backup`](crate::store::Store::backup).
pub fn backup(dir: &Path, to: &Path) -> std::result::Result<(), StoreError> {
    let database = dir
        .canonicalize()
        .map_err(|e| io_failed("find", dir, &e))?
        .join(DATABASE_FILE);
    let write = || {
        let connection = connection::reader(&database)?;
        schema::check(&connection, &database)?;
        write(&connection, to)
    };
    write().map_err(|trouble| trouble.told(&database))
}

/// Writes the database of `connection`, which is in no transaction, to the new file `to`.
pub(super) fn write(connection: &Connection, to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(StoreError::BackupExists(to.to_owned()).into());
    }
    let aside = aside(to);
    let written = write_aside(connection, &aside).and_then(|()| {
        // Unlike a rename, a link never takes the place of a file that someone put there meanwhile.
        std::fs::hard_link(&aside, to).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::BackupExists(to.to_owned()).into(),
            _ => io_failed("make", to, &e).into(),
        })
    });
    let removed = std::fs::remove_file(&aside);
    written?;
    removed.map_err(|e| io_failed("remove", &aside, &e))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    Ok(File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| io_failed("sync", parent, &e))?)
}

fn write_aside(connection: &Connection, aside: &Path) -> Result<()> {
    // Made by us, as SQLite would make it readable by others; it takes an empty file as a new one.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)
        .map_err(|e| io_failed("make", aside, &e))?;
    let name = aside.to_str().ok_or_else(|| StoreError::Io {
        action: "make",
        path: aside.to_owned(),
        why: "its name is not UTF-8, which SQLite needs: name another file".into(),
    })?;
    // One read transaction: writers go on, and what they write is not in it. The online backup would begin anew with each commit.
    connection.execute("VACUUM INTO ?1", [name])?;
    Ok(file.sync_all().map_err(|e| io_failed("sync", aside, &e))?)
}

fn aside(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    name.into()
}
