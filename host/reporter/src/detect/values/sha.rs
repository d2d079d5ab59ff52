//! Commits.

use super::Unfit;

/// A commit's name: 7 (git's shortest usual abbreviation) to 64 (SHA-256) hexadecimal digits. Buildkite's `HEAD` says that it is not known
/// yet; a number of Subversion or a pipeline's label is no commit that DX could link.
pub(crate) fn commit_sha(text: &str) -> Result<String, Unfit> {
    if text == "HEAD" {
        return Err(Unfit::Absent);
    }
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(7..=64).contains(&text.len()) {
        return Err(Unfit::Wrong("is not the name of a commit"));
    }
    // A push that deletes a branch has the zero commit.
    if text.bytes().all(|byte| byte == b'0') {
        return Err(Unfit::Absent);
    }
    Ok(text.to_ascii_lowercase())
}
