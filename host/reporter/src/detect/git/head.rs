//! The branch and the commit that are checked out.

use std::path::Path;

use super::files;
use super::find::Place;

/// The most that is read of `packed-refs`, in bytes: 100,000 refs, which few repositories have.
const LARGEST_PACKED: u64 = 8 << 20;

/// Branch and commit. A repository that keeps its refs in another way than in files (reftable) tells neither.
pub(super) fn read(place: &Place) -> (Option<String>, Option<String>) {
    let Some(head) = files::line(&place.own.join("HEAD")) else {
        return (None, None);
    };
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else {
        return (None, commit(&head));
    };
    if !is_ref_name(name) {
        return (None, None);
    }
    let branch = name.strip_prefix("refs/heads/").map(str::to_owned);
    let found = files::line(&place.common.join(name))
        .and_then(|line| commit(&line))
        .or_else(|| packed(&place.common, name));
    (branch, found)
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let bytes = files::read(&common.join("packed-refs"), LARGEST_PACKED)?;
    bytes.split(|byte| *byte == b'\n').find_map(|line| {
        let (id, found) = std::str::from_utf8(line).ok()?.trim_end().split_once(' ')?;
        if found == name { commit(id) } else { None }
    })
}

/// An object id: SHA-1 or SHA-256, in hex.
pub(super) fn commit(text: &str) -> Option<String> {
    let is_id = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

/// Whether a name is one that git takes (git-check-ref-format(1)), as far as it matters to whoever makes a path of it.
fn is_ref_name(name: &str) -> bool {
    let parts_are_good = name
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains(".."));
    name.starts_with("refs/") && parts_are_good && !name.contains(|c: char| c.is_control() || c == '\\')
}
