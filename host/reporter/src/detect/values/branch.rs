//! Branches.

use super::Unfit;

/// The name of a branch, without what git or a CI system puts before it. A tag, the ref of a pull request and a detached head are none.
pub(crate) fn branch(text: &str) -> Result<String, Unfit> {
    let name = ["refs/heads/", "refs/remotes/origin/", "remotes/origin/", "origin/"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    // Of a fork it may be `user:branch`; no name of git's has a colon in it.
    let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
    let is_none = is_tag(name)
        || name.starts_with("refs/")
        || is_pull_request(name)
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

/// `pull/7`, `pull/7/head`, `pull/7/merge`, and `pr/7/…` of Jenkins: how a host keeps a pull request, not a branch of anyone.
fn is_pull_request(name: &str) -> bool {
    let rest = name.strip_prefix("pull/").or_else(|| name.strip_prefix("pr/"));
    rest.is_some_and(|rest| {
        let (number, kind) = rest.split_once('/').unwrap_or((rest, ""));
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && matches!(kind, "" | "head" | "merge" | "from")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn prefixes_go_and_the_rest_stays() {
        for (given, name) in [
            ("main", "main"),
            ("origin/main", "main"),
            ("refs/heads/feature/one", "feature/one"),
            ("refs/remotes/origin/main", "main"),
            ("feature/origin/x", "feature/origin/x"),
            ("refs/heads/origin/x", "origin/x"),
            ("pull-request", "pull-request"),
            ("pull/seven", "pull/seven"),
            ("merge/7", "merge/7"),
            ("PR-7", "PR-7"),
            ("stranger:patch-1", "patch-1"),
        ] {
            assert_eq!(branch(given).unwrap(), name, "{given}");
        }
    }

    #[test]
    fn what_is_no_branch_is_absent() {
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
            "HEAD",
            "origin/HEAD",
            "detached",
            "refs/heads/",
        ] {
            assert_eq!(branch(given), Err(Unfit::Absent), "{given}");
        }
    }
}
