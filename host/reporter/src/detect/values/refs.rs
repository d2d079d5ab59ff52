//! Commits, branches and pull requests, and the refs that name them. The built-in sources use this file too.

use super::Unfit;

/// A commit's name: 7 (git's shortest usual abbreviation) to 64 (SHA-256) hexadecimal digits. Buildkite's `HEAD` means that the commit is
/// not known yet; DX cannot link a Subversion revision or a pipeline's label.
pub fn commit_sha(text: &str) -> Result<String, Unfit> {
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

/// A whole number from 1. `false` and `0` mean that there is none.
pub fn pr_number(text: &str) -> Result<String, Unfit> {
    const WRONG: Unfit = Unfit::Wrong("is not the number of a pull request");
    match text {
        "false" | "0" => Err(Unfit::Absent),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse::<i64>() {
            Ok(0) => Err(Unfit::Absent),
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(WRONG),
        },
        _ => Err(WRONG),
    }
}

/// Returns the name of a branch, without the prefixes of git and CI systems. A tag, the ref of a pull request and a detached head are not
/// branches.
pub fn branch(text: &str) -> Result<String, Unfit> {
    let name = ["refs/heads/", "refs/remotes/origin/", "remotes/origin/", "origin/"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    // A fork's branch may be `user:branch`; git's names have no colon.
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    let is_none = is_tag(name)
        || name.starts_with("refs/")
        || is_pull_request(name)
        // A wildcard of a refspec.
        || name.contains('*')
        || matches!(name, "" | "HEAD" | "detached" | "(no branch)" | "(detached)");
    if is_none {
        Err(Unfit::Absent)
    } else {
        Ok(name.to_owned())
    }
}

fn is_tag(name: &str) -> bool {
    name.starts_with("tags/") || name.starts_with("refs/tags/")
}

fn is_pull_request(name: &str) -> bool {
    pull_request_of_ref(name).is_some()
}

/// A ref of a pull request, which is not a branch, in the forms of hosts and plugins: `pull/7`, `pull/7/head`, `pull/7/merge`, `pr/7/…` of
/// Jenkins, also below `refs/` and, with `head` or `merge`, below the name of a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullRequestRef<'a> {
    /// The pull request's number.
    pub number: &'a str,
    /// True for the trial merge with the target.
    pub is_merge: bool,
}

/// Reads a ref of a pull request.
pub fn pull_request_of_ref(name: &str) -> Option<PullRequestRef<'_>> {
    let name = ["refs/remotes/", "refs/heads/", "refs/", "remotes/"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name);
    let read = |name| {
        let rest = ["pull/", "pr/", "pull-requests/", "merge-requests/"]
            .iter()
            .find_map(|prefix| str::strip_prefix(name, prefix))?;
        let (number, kind) = rest.split_once('/').unwrap_or((rest, ""));
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_known = matches!(kind, "" | "head" | "merge" | "from" | "train");
        (is_number && is_known).then_some((number, kind))
    };
    let of_remote = || read(name.split_once('/')?.1).filter(|(_, kind)| !kind.is_empty());
    let (number, kind) = read(name).or_else(of_remote)?;
    let is_merge = matches!(kind, "merge" | "train");
    Some(PullRequestRef { number, is_merge })
}

/// The branch or pull request that a git material of GoCD was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuiltRef {
    /// The branch; none if it is the ref of a pull request, a tag or a wildcard.
    pub branch: Option<String>,
    /// The number of the pull request.
    pub pr_number: Option<i64>,
    /// True if its commit is the trial merge of the pull request with its target, which is on no branch.
    pub is_merge: bool,
}

/// Reads a branch or a refspec (`+refs/pull/7/head:refs/remotes/origin/pr-7`). The one rule for detection in a job and for the reader of
/// GoCD's feeds.
#[must_use]
pub fn built_ref(text: &str) -> BuiltRef {
    let source = text.trim_start_matches('+').split(':').next().unwrap_or_default();
    let pull_request = pull_request_of_ref(source);
    BuiltRef {
        branch: branch(source).ok(),
        pr_number: pull_request
            .and_then(|pull_request| pull_request.number.parse().ok())
            .filter(|number| *number > 0),
        is_merge: pull_request.is_some_and(|pull_request| pull_request.is_merge),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_removed() {
        for (given, name) in [
            ("main", "main"),
            ("origin/main", "main"),
            ("refs/heads/feature/one", "feature/one"),
            ("refs/remotes/origin/main", "main"),
            ("feature/origin/x", "feature/origin/x"),
            ("refs/heads/origin/x", "origin/x"),
            ("pull-request", "pull-request"),
            ("pull/seven", "pull/seven"),
            ("fix/pull/7", "fix/pull/7"),
            ("merge/7", "merge/7"),
            ("PR-7", "PR-7"),
            ("stranger:patch-1", "patch-1"),
        ] {
            assert_eq!(branch(given).unwrap(), name, "{given}");
        }
    }

    #[test]
    fn refs_that_are_not_branches_are_absent() {
        for given in [
            "refs/tags/v1",
            "tags/v1",
            "origin/tags/v1",
            "refs/heads/tags/v1",
            "refs/pull/7/merge",
            "refs/merge-requests/7/head",
            "refs/pull-requests/7/from",
            "refs/changes/01/1/2",
            "pull/7",
            "pull/7/merge",
            "origin/pr/7/merge",
            "origin-pull/pull/7/merge",
            "refs/remotes/origin/pr/7/head",
            "HEAD",
            "origin/HEAD",
            "detached",
            "refs/heads/",
        ] {
            assert_eq!(branch(given), Err(Unfit::Absent), "{given}");
        }
    }

    #[test]
    fn refs_of_pull_requests_give_number_and_kind() {
        for (given, number, is_merge) in [
            ("refs/pull/7/merge", "7", true),
            ("refs/pull/7/head", "7", false),
            ("origin/pr/8/merge", "8", true),
            ("origin-pull/pull/7/merge", "7", true),
            ("refs/merge-requests/9/train", "9", true),
            ("pull/8", "8", false),
        ] {
            assert_eq!(
                pull_request_of_ref(given),
                Some(PullRequestRef { number, is_merge }),
                "{given}"
            );
        }
    }

    #[test]
    fn branches_and_pull_requests_of_refspecs() {
        for (given, branch, pr_number, is_merge) in [
            ("master", Some("master"), None, false),
            ("refs/heads/feature/one", Some("feature/one"), None, false),
            ("refs/heads/one:refs/remotes/origin/one", Some("one"), None, false),
            ("+refs/pull/12/head:refs/remotes/origin/pr-12", None, Some(12), false),
            ("refs/pull/12/merge:refs/remotes/origin/pr-12", None, Some(12), true),
            ("refs/merge-requests/7/head", None, Some(7), false),
            ("refs/pull/*/head:refs/remotes/origin/pr-*", None, None, false),
            ("refs/heads/*:refs/remotes/origin/*", None, None, false),
            ("refs/tags/v1", None, None, false),
            ("refs/pull/-1/head", None, None, false),
            ("refs/pull/0/head", None, None, false),
        ] {
            let expected = BuiltRef {
                branch: branch.map(str::to_owned),
                pr_number,
                is_merge,
            };
            assert_eq!(built_ref(given), expected, "{given}");
        }
    }
}
