//! Repositories, by name.

use percent_encoding::percent_decode_str;

use super::Unfit;
use super::url::parts;

const WRONG: Unfit = Unfit::Wrong("is neither the name nor the address of a repository on a server");

/// The name of a repository as DX has it, from the address that it is cloned from. Credentials in it are dropped.
///
/// DX's pages ("deployments.create", "pipelineRuns.upsert"): `organisation/name`, with subgroups where there are any; in Azure DevOps
/// `project/name`, in Bitbucket Data Center `project_key/name`, in Bitbucket Cloud the name alone.
pub(crate) fn repository(address: &str) -> Result<String, Unfit> {
    // An example in GoCD's documentation has a word before the address.
    let address = address.strip_prefix("URL:").unwrap_or(address).trim();
    let (host, path) = match parts(address) {
        Some(parts) if parts.scheme.eq_ignore_ascii_case("file") => return Err(WRONG),
        Some(parts) => (parts.authority, parts.rest),
        None if address.contains("://") => return Err(WRONG),
        None => copy_address(address).ok_or(WRONG)?,
    };
    let host = host
        .rsplit_once(':')
        .map_or(host, |(name, _)| name)
        .to_ascii_lowercase();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        segments.push(unescaped(segment).ok_or(WRONG)?);
    }
    let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let last = segments.last_mut().ok_or(WRONG)?;
    *last = last.strip_suffix(".git").unwrap_or(last);
    let name = named(&host, &segments).ok_or(WRONG)?;
    // An `@` before the last `/` comes from a password with a `/` in it, and `*` stands for one that was masked.
    let owner = name.rsplit_once('/').map_or("", |(owner, _)| owner);
    if name.contains(|character: char| character.is_control() || character == '*') || owner.contains('@') {
        return Err(WRONG);
    }
    Ok(name)
}

/// [`repository`] for other crates, so that each reader of a CI system comes to the same name; none if the address names no repository.
#[must_use]
pub fn repository_at(address: &str) -> Option<String> {
    repository(address.trim()).ok()
}

/// A repository's name, as it is. Where people put an address into the variable of a name, it is taken as one.
pub fn repository_name(text: &str) -> Result<String, Unfit> {
    if text.contains("://") || copy_address(text).is_some() {
        return repository(text);
    }
    let is_path = ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
    if is_path || text.contains(['@', ':', '\\', '?', '#']) {
        return Err(WRONG);
    }
    Ok(text.to_owned())
}

/// The repository of a page of it, such as that of a commit or a pull request.
pub fn repository_of_page(url: &str) -> Option<String> {
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

/// `user@host:path`, as `scp` and git write it. A single letter is a drive.
fn copy_address(text: &str) -> Option<(&str, &str)> {
    let (host, path) = text.split_once(':')?;
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    // `user:password@host:path` is no address that git knows, and what would be left is not known to be harmless.
    let is_address =
        host.len() > 1 && !host.contains(['/', '\\']) && !path.is_empty() && !path.contains(['@', ':', '\\']);
    is_address.then_some((host, path))
}

/// The name that the segments of a path make on this host; none without any.
fn named(host: &str, segments: &[&str]) -> Option<String> {
    let is_azure = ["dev.azure.com", "visualstudio.com"]
        .iter()
        .any(|domain| host == *domain || host.ends_with(&format!(".{domain}")));
    let name = match segments {
        // `ssh.dev.azure.com:v3/organisation/project/name`
        ["v3", _, project, name] if is_azure => format!("{project}/{name}"),
        // `git-codecommit.REGION.amazonaws.com/v1/repos/name`
        ["v1", "repos", name] if host.starts_with("git-codecommit.") => (*name).to_owned(),
        [_, name] if host == "bitbucket.org" => (*name).to_owned(),
        // `…/project/_git/name`; a project's only repository has its name, and may stand without it. Directly below the collection or the
        // organisation there is no project to name.
        ["_git", name] | [.., "DefaultCollection", "_git", name] => format!("{name}/{name}"),
        [_, "_git", name] if host == "dev.azure.com" => format!("{name}/{name}"),
        [.., project, "_git", name] => format!("{project}/{name}"),
        // Bitbucket Data Center, below whatever path it is served: `scm/project_key/name`, and its pages. GitLab may have a group `scm`.
        [.., "scm", project, name] if host != "gitlab.com" => format!("{project}/{name}"),
        [.., "projects", project, "repos", name] => format!("{project}/{name}"),
        [.., "users", user, "repos", name] => format!("~{user}/{name}"),
        [] => return None,
        // One segment is a server without organisations.
        _ => segments.join("/"),
    };
    Some(name)
}

/// A segment of a path with its escapes undone (RFC 3986, section 2.1); none if that makes no text.
pub fn unescaped(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn names_of_addresses() {
        for (address, name) in [
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
            ("URL: https://github.com/org/repo", "org/repo"),
            ("https://******@host/org/repo", "org/repo"),
            ("https://gitlab.com/group/scm/sub/repo.git", "group/scm/sub/repo"),
            ("https://git.sr.ht/~user/repo", "~user/repo"),
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
            "https://host/o/a%00b",
            "https://host/o/%ff",
            "https://host/o/****",
            "https://user/pass@host/repo",
            "org/repo",
            "",
        ] {
            assert!(repository(address).is_err(), "{address}: {:?}", repository(address));
        }
    }

    #[test]
    fn a_name_stays_as_it_is_and_an_address_is_taken_as_one() {
        for (given, name) in [
            ("org/repo", "org/repo"),
            ("repo", "repo"),
            ("org/.github", "org/.github"),
            ("group/scm/sub/repo", "group/scm/sub/repo"),
            ("group/a%20b", "group/a%20b"),
            ("~user/repo", "~user/repo"),
            ("https://user:password@github.com/org/repo.git", "org/repo"),
            ("git@github.com:org/repo.git", "org/repo"),
        ] {
            assert_eq!(repository_name(given).unwrap(), name, "{given}");
        }
        for given in ["/srv/repo", "./repo", "~/repo", "token@host/org/repo", "https://host/"] {
            assert!(repository_name(given).is_err(), "{given}");
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
            (
                "https://bitbucket.example.com/projects/KEY/repos/repo/pull-requests/7",
                Some("KEY/repo"),
            ),
            ("https://bitbucket.org/workspace/repo/pull-requests/7", Some("repo")),
            (
                "https://dev.azure.com/org/project/_git/repo/pullrequest/7",
                Some("project/repo"),
            ),
            ("https://gitea.example.com/org/repo/pulls/7", Some("org/repo")),
            ("https://github.com/org/repo", None),
        ] {
            assert_eq!(repository_of_page(url).as_deref(), name, "{url}");
        }
    }
}
