//! File systems that a test can fill up and write-protect.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A small file system in memory, mounted while this lives.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
}

impl Mounted {
    /// Makes the directory and mounts a file system of so many KiB there.
    ///
    /// # Errors
    /// The reason of the system: as a rule only root may, and not in every container.
    pub fn tmpfs(path: PathBuf, kib: u64) -> Result<Self, String> {
        std::fs::create_dir(&path).map_err(|error| error.to_string())?;
        let options = format!("size={kib}k,mode=0700");
        run(
            "mount",
            &[
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                options.as_ref(),
                "tmpfs".as_ref(),
                &path,
            ],
        )?;
        Ok(Self { path })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes away the right to write, root's too, or gives it back.
    ///
    /// # Panics
    /// If that fails.
    pub fn read_only(&self, read_only: bool) {
        let options = if read_only { "remount,ro" } else { "remount,rw" };
        run("mount", &["-o".as_ref(), options.as_ref(), &self.path]).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that a failed test left behind may still have a file open.
        if let Err(why) = run("umount", &["-l".as_ref(), &self.path])
            && !std::thread::panicking()
        {
            panic!("{} is still mounted: {why}", self.path.display());
        }
    }
}

fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
