//! Repositories, by name.

use super::Unfit;
use super::url::parts;

const WRONG: Unfit = Unfit::Wrong("is neither the name nor the address of a repository on a server");

/// The name of a repository as DX has it, from that name or from the address it is cloned from.
///
/// DX's pages ("deployments.create", "pipelineRuns.upsert"): `organisation/name`, with subgroups where there are any; in Azure DevOps
/// `project/name`, in Bitbucket Data Center `project_key/name`, in Bitbucket Cloud the name alone.
pub(crate) fn repository(text: &str) -> Result<String, Unfit> {
    let (host, path) = match parts(text) {
        Some(parts) if parts.scheme == "file" => return Err(WRONG),
        Some(parts) => (parts.authority, parts.rest),
        None if text.contains("://") => return Err(WRONG),
        None => match copy_address(text) {
            Some(split) => split,
            None if text.starts_with(['/', '.', '~', '\\']) || text.contains(['@', ':', '\\', '?', '#']) => {
                return Err(WRONG);
            }
            None => ("", text),
        },
    };
    let host = host
        .rsplit_once(':')
        .map_or(host, |(name, _)| name)
        .to_ascii_lowercase();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(unescape)
        .collect();
    let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if let Some(last) = segments.last_mut() {
        *last = last.strip_suffix(".git").unwrap_or(last);
    }
    let name = named(&host, &segments).join("/");
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(WRONG);
    }
    Ok(name)
}

/// The same from the address of a page of the repository, such as that of a commit or a pull request.
pub(crate) fn repository_of_page(url: &str) -> Option<String> {
    // In the order in which they may stand behind the name.
    let marks = [
        "/-/",
        "/pull/",
        "/pulls/",
        "/commit/",
        "/commits/",
        "/pull-requests/",
        "/merge_requests/",
        "/pullrequest/",
    ];
    let end = marks.iter().filter_map(|mark| url.find(mark)).min()?;
    repository(url.get(..end)?).ok()
}

/// `user@host:path`, as `scp` and git write it.
fn copy_address(text: &str) -> Option<(&str, &str)> {
    let (host, path) = text.split_once(':')?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // `user:password@host:path` is no address that git knows, and what would be left is not known to be harmless.
    let is_address = host.len() > 1 && !host.contains('/') && !path.is_empty() && !path.contains(['@', ':', '\\']);
    is_address.then_some((host, path))
}

/// The segments that make the name on this host.
fn named<'s>(host: &str, segments: &[&'s str]) -> Vec<&'s str> {
    let is_azure = ["dev.azure.com", "visualstudio.com"]
        .iter()
        .any(|domain| host == *domain || host.ends_with(&format!(".{domain}")));
    match segments {
        // `ssh.dev.azure.com:v3/organisation/project/name`
        ["v3", _, project, name] if is_azure => vec![project, name],
        // `git-codecommit.REGION.amazonaws.com/v1/repos/name`
        ["v1", "repos", name] if host.starts_with("git-codecommit.") => vec![name],
        [.., name] if host == "bitbucket.org" => vec![name],
        _ => match segments.iter().position(|segment| *segment == "_git") {
            // `…/project/_git/name`; a project's only repository has its name, and may stand without it.
            Some(at) => {
                let name = segments.get(at + 1..).and_then(<[_]>::last);
                let before = at.checked_sub(1).and_then(|before| segments.get(before));
                // Directly below the collection or the organisation there is no project to name.
                let below_collection = (host == "dev.azure.com" && at < 2) || before == Some(&"DefaultCollection");
                let project = before.filter(|_| !below_collection).or(name);
                project.into_iter().chain(name).copied().collect()
            }
            None => match segments.iter().position(|segment| *segment == "scm") {
                // `host/scm/project_key/name` of Bitbucket Data Center, below whatever path it is served.
                Some(at) if segments.len() == at + 3 => segments.get(at + 1..).unwrap_or_default().to_vec(),
                _ => segments.to_vec(),
            },
        },
    }
}

/// Undoes the escapes of RFC 3986; one that makes no text stays.
fn unescape(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| !digits.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| segment.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_of_addresses() {
        for (address, name) in [
            ("org/repo", "org/repo"),
            ("repo", "repo"),
            ("https://github.com/org/repo.git", "org/repo"),
            ("https://github.com/org/repo/", "org/repo"),
            (
                "https://user:password@1.1.1.1:1234/org/repo_with_@_yeah.git",
                "org/repo_with_@_yeah",
            ),
            ("git@github.com:org/repo.git", "org/repo"),
            ("github.com:org/repo.git", "org/repo"),
            ("ssh://git@host.xz:54321/path/to/repo.git/", "path/to/repo"),
            ("git@gitlab.com:group/sub/group/repo.git", "group/sub/group/repo"),
            ("git://host/repo", "repo"),
            ("https://dev.azure.com/org/My%20Project/_git/repo", "My Project/repo"),
            ("https://org@dev.azure.com/org/project/_git/repo", "project/repo"),
            ("https://dev.azure.com/org/_git/repo", "repo/repo"),
            ("https://org.visualstudio.com/project/_git/repo", "project/repo"),
            (
                "https://org.visualstudio.com/DefaultCollection/project/_git/repo",
                "project/repo",
            ),
            ("https://org.visualstudio.com/DefaultCollection/_git/repo", "repo/repo"),
            ("https://org.visualstudio.com/_git/repo", "repo/repo"),
            ("git@ssh.dev.azure.com:v3/org/project/repo", "project/repo"),
            (
                "https://tfs.example.com/tfs/Collection/project/_git/repo",
                "project/repo",
            ),
            ("https://bitbucket.org/workspace/repo.git", "repo"),
            ("git@bitbucket.org:workspace/repo.git", "repo"),
            ("https://bitbucket.example.com/scm/KEY/repo.git", "KEY/repo"),
            ("ssh://git@bitbucket.example.com:7999/key/repo.git", "key/repo"),
            ("https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/repo", "repo"),
        ] {
            assert_eq!(repository(address).unwrap(), name, "{address}");
        }
    }

    #[test]
    fn what_lies_on_no_server_has_no_name() {
        for address in [
            "/srv/git/repo.git",
            "./repo",
            "file:///srv/git/repo.git",
            "C:\\repo",
            "https://host/",
            "https://",
            "user:password@host:org/repo",
            "https://user:pass/word@host/org/repo",
            "token@host/org/repo",
            "https://host/a%00b",
        ] {
            assert!(repository(address).is_err(), "{address}: {:?}", repository(address));
        }
    }

    #[test]
    fn names_of_pages() {
        for (url, name) in [
            ("https://github.com/org/repo/commit/0123456", Some("org/repo")),
            ("https://github.com/org/repo/pull/7", Some("org/repo")),
            (
                "https://gitlab.com/group/sub/repo/-/merge_requests/7",
                Some("group/sub/repo"),
            ),
            ("https://github.com/org/repo", None),
        ] {
            assert_eq!(repository_of_page(url).as_deref(), name, "{url}");
        }
    }
}
