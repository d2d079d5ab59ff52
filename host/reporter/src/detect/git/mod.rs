//! Reads the git repository around a directory from its files, so that no program runs and nothing that its configuration names is started.
//! Every read is bounded, and a value that cannot be read is absent.

mod config;
#[cfg(test)]
mod tests;

use crate::source::Environment;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The values of a repository, unchanged from git's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Git {
    /// Name of the directory that was checked out.
    pub directory: Option<String>,
    /// Address of the remote `origin`, else of the only one.
    pub remote: Option<String>,
    /// The branch; none if HEAD is detached.
    pub branch: Option<String>,
    /// The commit; none before the first one.
    pub commit: Option<String>,
    /// `user.email`, of the repository, else of the user.
    pub email: Option<String>,
}

/// Reads the repository that `directory` lies in. Outside of one only the e-mail address is known.
pub fn read(environment: &Environment, directory: &Path) -> Git {
    let mut git = Git::default();
    if let Some(place) = find(directory) {
        let configuration = config::read(&place.common.join("config"));
        git.directory = place
            .worktree
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        git.remote = configuration.remote();
        (git.branch, git.commit) = read_head(&place);
        git.email = configuration.email;
    }
    if git.email.is_none() {
        git.email = of_the_user(environment);
    }
    git
}

/// The commit that was fetched into `directory`: the one before git merged another commit into it to make `built`, else `built` itself. None
/// if git's record of `HEAD` does not name `built`.
pub fn fetched(directory: &Path, built: &str) -> Option<String> {
    let changes = head_changes(&find(directory)?);
    let mut of_it = changes.iter().filter(|change| change.new == built).peekable();
    of_it.peek()?;
    // A merge of this workspace has a name of its own, and may have been checked out again since.
    let merged = of_it.find(|change| change.is_merge);
    Some(merged.map_or(built, |change| change.old.as_str()).to_owned())
}

/// The whole name of a commit that is or was checked out in `directory`, from the beginning of it.
pub fn whole(directory: &Path, beginning: &str) -> Option<String> {
    let place = find(directory)?;
    let (_, head) = read_head(&place);
    head.filter(|head| head.starts_with(beginning)).or_else(|| {
        let changes = head_changes(&place).into_iter().rev();
        let mut commits = changes.flat_map(|change| [change.new, change.old]);
        commits.find(|commit| commit.starts_with(beginning))
    })
}

/// The machine's name, where it is kept in a file (hostname(5)).
pub fn host_name() -> Option<String> {
    line(Path::new("/etc/hostname"))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

/// The `user.email` of the user's own files (git-config(1), FILES), which git reads in this order.
fn of_the_user(environment: &Environment) -> Option<String> {
    let home = environment.absolute_path("HOME");
    let files = match environment.absolute_path("GIT_CONFIG_GLOBAL") {
        Some(file) => vec![file],
        None => {
            let xdg = environment
                .absolute_path("XDG_CONFIG_HOME")
                .or_else(|| home.as_ref().map(|home| home.join(".config")));
            let files = [
                home.map(|home| home.join(".gitconfig")),
                xdg.map(|xdg| xdg.join("git/config")),
            ];
            files.into_iter().flatten().collect()
        }
    };
    files.iter().find_map(|file| config::read(file).email)
}

/// The number of directories that are searched upwards: more than any checkout has, and a bound for a hostile tree.
const LEVELS: usize = 64;

/// A repository's directories.
pub struct RepositoryDirs {
    /// The directory with the checked-out files.
    worktree: PathBuf,
    /// The directory with the worktree's own files: HEAD.
    pub own: PathBuf,
    /// The directory that all worktrees share: refs and configuration.
    pub common: PathBuf,
}

/// The repository that `directory`, which is absolute, lies in. A repository of another user counts as none, as in git: otherwise any user
/// of a shared temporary directory could set the e-mail address. Root reads any.
pub fn find(directory: &Path) -> Option<RepositoryDirs> {
    let (worktree, dot_git) = directory
        .ancestors()
        .take(LEVELS)
        .map(|level| (level, level.join(".git")))
        .find(|(_, dot_git)| dot_git.symlink_metadata().is_ok())?;
    let own = if dot_git.is_dir() {
        dot_git
    } else {
        // A linked worktree or a submodule: a file that names the directory.
        worktree.join(line(&dot_git)?.strip_prefix("gitdir:")?.trim_start())
    };
    if !own.is_dir() || !is_ours(&own) {
        return None;
    }
    let common = match line(&own.join("commondir")) {
        Some(common) => own.join(common),
        None => own.clone(),
    };
    Some(RepositoryDirs {
        worktree: worktree.to_path_buf(),
        own,
        common,
    })
}

#[cfg(unix)]
fn is_ours(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid();
    user.is_root()
        || directory
            .metadata()
            .is_ok_and(|metadata| metadata.uid() == user.as_raw())
}

#[cfg(not(unix))]
fn is_ours(_: &Path) -> bool {
    true
}

/// The file's content, if it is a regular file of at most `most` bytes; a part of a file could have another meaning than the whole.
pub fn read_file(path: &Path, most: u64) -> Option<Vec<u8>> {
    let file = open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= most).then_some(bytes)
}

/// The first line of a small text file, such as HEAD.
pub fn line(path: &Path) -> Option<String> {
    // As long as the longest path that Linux takes, which a file `gitdir` may hold.
    let bytes = read_file(path, 4096)?;
    let text = std::str::from_utf8(&bytes).ok()?;
    text.lines().next().map(|line| line.trim_end().to_owned())
}

/// Opens the file without waiting for a writer if it is a pipe.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// The largest `packed-refs` that is read, in bytes: 100,000 refs, which few repositories have.
const LARGEST_PACKED: u64 = 8 << 20;

/// The branch and commit of HEAD. A repository that does not keep its refs in files (reftable) gives neither.
fn read_head(place: &RepositoryDirs) -> (Option<String>, Option<String>) {
    let Some(head) = line(&place.own.join("HEAD")) else {
        return (None, None);
    };
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else {
        return (None, commit(&head));
    };
    if !is_ref_name(name) {
        return (None, None);
    }
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    let found = line(&place.common.join(name))
        .and_then(|line| commit(&line))
        .or_else(|| packed(&place.common, name));
    (branch, found)
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let bytes = read_file(&common.join("packed-refs"), LARGEST_PACKED)?;
    bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let (id, found) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
        if found == name { commit(id) } else { None }
    })
}

/// An object id: SHA-1 or SHA-256, in hex.
pub fn commit(text: &str) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

/// Returns true for a name that git accepts (git-check-ref-format(1)), as far as it matters for a path.
fn is_ref_name(name: &str) -> bool {
    let parts_are_good = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(".."));
    name.starts_with("refs/") && parts_are_good && !name.contains(|c: char| c.is_control() || c == '\\')
}

/// The largest record of HEAD that is read, in bytes: some 40,000 changes. Git keeps those of 90 days.
const LARGEST: u64 = 8 << 20;

/// One change of HEAD.
struct HeadChange {
    old: String,
    new: String,
    /// True if git merged another commit into the old one here.
    is_merge: bool,
}

fn head_changes(place: &RepositoryDirs) -> Vec<HeadChange> {
    let bytes = read_file(&place.own.join("logs/HEAD"), LARGEST).unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(head_change).collect()
}

/// `OLD NEW Name <address> seconds zone`, a tab, and the action.
fn head_change(line: &[u8]) -> Option<HeadChange> {
    let line = String::from_utf8_lossy(line);
    let (commits, message) = line.split_once('\t')?;
    let mut words = commits.split(' ');
    Some(HeadChange {
        old: commit(words.next()?)?,
        new: commit(words.next()?)?,
        is_merge: message.starts_with("merge ") || message.starts_with("commit (merge)"),
    })
}
