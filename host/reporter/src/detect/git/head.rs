//! `HEAD`, and what git did to it.

use std::path::Path;

use super::find::{self, RepositoryDirs};

/// The most that is read of `packed-refs`, in bytes: 100,000 refs, which few repositories have.
const LARGEST_PACKED: u64 = 8 << 20;

/// Branch and commit. A repository that keeps its refs in another way than in files (reftable) tells neither.
pub fn read(place: &RepositoryDirs) -> (Option<String>, Option<String>) {
    let Some(head) = find::line(&place.own.join("HEAD")) else {
        return (None, None);
    };
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else {
        return (None, commit(&head));
    };
    if !is_ref_name(name) {
        return (None, None);
    }
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    let found = find::line(&place.common.join(name))
        .and_then(|line| commit(&line))
        .or_else(|| packed(&place.common, name));
    (branch, found)
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let bytes = find::read(&common.join("packed-refs"), LARGEST_PACKED)?;
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

/// Whether a name is one that git takes (git-check-ref-format(1)), as far as it matters for a path.
fn is_ref_name(name: &str) -> bool {
    let parts_are_good = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(".."));
    name.starts_with("refs/") && parts_are_good && !name.contains(|c: char| c.is_control() || c == '\\')
}

/// The most that is read, in bytes: some 40,000 changes of HEAD. Git keeps those of 90 days.
const LARGEST: u64 = 8 << 20;

/// One change of HEAD.
struct HeadChange {
    old: String,
    new: String,
    /// Git merged another commit into the old one, here.
    is_merge: bool,
}

/// The commit that was fetched: what `built` was before git merged another commit into it here, else `built` itself. None if nothing is
/// recorded of it.
pub fn fetched(place: &RepositoryDirs, built: &str) -> Option<String> {
    let entries = entries(place);
    let mut of_it = entries.iter().filter(|entry| entry.new == built).peekable();
    of_it.peek()?;
    // A merge of this workspace has a name of its own, and may have been checked out again since.
    let merged = of_it.find(|entry| entry.is_merge);
    Some(merged.map_or(built, |entry| entry.old.as_str()).to_owned())
}

/// The commit in the record whose name begins like this.
pub fn begins_with(place: &RepositoryDirs, beginning: &str) -> Option<String> {
    let commits = entries(place)
        .into_iter()
        .rev()
        .flat_map(|entry| [entry.new, entry.old]);
    commits.into_iter().find(|commit| commit.starts_with(beginning))
}

fn entries(place: &RepositoryDirs) -> Vec<HeadChange> {
    let bytes = find::read(&place.own.join("logs/HEAD"), LARGEST).unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(entry).collect()
}

/// `OLD NEW Name <address> seconds zone`, a tab, and what was done.
fn entry(line: &[u8]) -> Option<HeadChange> {
    let line = String::from_utf8_lossy(line);
    let (commits, message) = line.split_once('\t')?;
    let mut words = commits.split(' ');
    Some(HeadChange {
        old: commit(words.next()?)?,
        new: commit(words.next()?)?,
        is_merge: message.starts_with("merge ") || message.starts_with("commit (merge)"),
    })
}
