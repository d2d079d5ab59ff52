//! How a commit came to be checked out: git's own record of HEAD (gitrepository-layout(5), "logs").

use super::files;
use super::find::Place;
use super::head::commit;

/// The most that is read, in bytes: some 40,000 changes of HEAD. Git keeps those of 90 days.
const LARGEST: u64 = 8 << 20;

/// One change of HEAD.
struct Entry {
    old: String,
    new: String,
    /// Git merged another commit into the old one, here.
    is_merge: bool,
}

/// The commit that was fetched: what `built` was before git merged another commit into it here, else `built` itself. None if nothing is
/// recorded of it.
pub(super) fn fetched(place: &Place, built: &str) -> Option<String> {
    let entries = entries(place);
    let mut of_it = entries.iter().filter(|entry| entry.new == built).peekable();
    of_it.peek()?;
    // A merge of this workspace has a name of its own, and may have been checked out again since.
    let merged = of_it.find(|entry| entry.is_merge);
    Some(merged.map_or(built, |entry| entry.old.as_str()).to_owned())
}

/// The commit in the record whose name begins like this.
pub(super) fn begins_with(place: &Place, beginning: &str) -> Option<String> {
    let commits = entries(place)
        .into_iter()
        .rev()
        .flat_map(|entry| [entry.new, entry.old]);
    commits.into_iter().find(|commit| commit.starts_with(beginning))
}

fn entries(place: &Place) -> Vec<Entry> {
    let bytes = files::read(&place.own.join("logs/HEAD"), LARGEST).unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(entry).collect()
}

/// `OLD NEW Name <address> seconds zone`, a tab, and what was done.
fn entry(line: &[u8]) -> Option<Entry> {
    let line = String::from_utf8_lossy(line);
    let (commits, message) = line.split_once('\t')?;
    let mut words = commits.split(' ');
    Some(Entry {
        old: commit(words.next()?)?,
        new: commit(words.next()?)?,
        is_merge: message.starts_with("merge ") || message.starts_with("commit (merge)"),
    })
}
