//! Finding a nats-server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::workspace_root;

/// The end of a script that cannot run on this machine.
const CANNOT: i32 = 77;

/// A nats-server: `PIPEFOLD_NATS_SERVER`, the machine's own, Debian's package or PyPI's. Looked for once a process.
///
/// # Errors
/// The reason why there is no server.
///
/// # Panics
/// If the script that looks for it fails in another way.
pub fn server() -> Result<PathBuf, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    FOUND.get_or_init(find).clone()
}

/// The reason why this server cannot be trusted with replicas, if it cannot: in 2.9.10 they were seen to disagree after a majority was killed, and that
/// what had been acknowledged was lost.
pub(super) fn unfit_for_replicas(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let version = told.rsplit('v').next()?;
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let is_old = (numbers.next()?, numbers.next()?) < (2, 10);
    is_old.then(|| format!("{told} loses messages of replicated streams: 2.10 or newer is needed"))
}

fn find() -> Result<PathBuf, String> {
    let mut command = Command::new("bash");
    command
        .arg(workspace_root().join("tests/fleet/nats-server.sh"))
        .stdin(Stdio::null());
    let output = command.output().map_err(|why| format!("bash: {why}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())),
        Some(CANNOT) => Err(told
            .lines()
            .find_map(|line| line.strip_prefix("skipped: "))
            .unwrap_or("no nats-server is to be had")
            .to_owned()),
        _ => panic!("{told}"),
    }
}
