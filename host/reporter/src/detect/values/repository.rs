//! Names of repositories, and the parts of addresses.

use super::Unfit;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const WRONG: Unfit = Unfit::Wrong("is neither the name nor the address of a repository on a server");

/// The name of a repository as DX has it, from the address that it is cloned from. Credentials in it are dropped.
///
/// DX's pages ("deployments.create", "pipelineRuns.upsert"): `organisation/name`, with subgroups where there are any; in Azure DevOps
/// `project/name`, in Bitbucket Data Center `project_key/name`, in Bitbucket Cloud the name alone.
pub fn repository(address: &str) -> Result<String, Unfit> {
    // An example in GoCD's documentation has `URL:` before the address.
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
    // An `@` before the last `/` comes from a password with a `/` in it, and `*` replaces a masked one.
    let owner = name.rsplit_once('/').map_or("", |(owner, _)| owner);
    if name.contains(|character: char| character.is_control() || character == '*') || owner.contains('@') {
        return Err(WRONG);
    }
    Ok(name)
}

/// The name of a repository from its address, for other crates, so that all of them use the same names; none if the address names no repository.
#[must_use]
pub fn repository_at(address: &str) -> Option<String> {
    repository(address.trim()).ok()
}

/// Checks a repository's name. An address in the variable of a name is read as an address.
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

/// The repository of one of its pages, such as that of a commit or a pull request.
pub fn repository_of_page(url: &str) -> Option<String> {
    // In the order in which they may follow the name.
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
    // `user:password@host:path` is not an address for git, and the rest of it may hold a secret.
    let is_address =
        host.len() > 1 && !host.contains(['/', '\\']) && !path.is_empty() && !path.contains(['@', ':', '\\']);
    is_address.then_some((host, path))
}

/// The repository's name from the segments of a path on this host; none without segments.
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
        // `…/project/_git/name`; a project's only repository has its name, and may be left out. Directly below the collection or the
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

/// A segment of a path with its escapes undone (RFC 3986, section 2.1); none if the result is not UTF-8.
pub fn unescaped(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    Some(text.into_owned())
}

/// The parts of an address, without its credentials.
pub struct Parts<'a> {
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// From the first `/`, `?` or `#` to the end.
    pub rest: &'a str,
}

/// Splits `scheme://user:password@host:port/rest`, and drops user and password.
pub fn parts(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let is_scheme = scheme
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = match authority.rsplit_once(':') {
        Some((_, port)) if !authority.ends_with(']') => port,
        _ => "",
    };
    // A password with a `/` in it ends what looks like the authority too early: then this is not a port, and the rest would reveal the
    // password.
    let is_whole = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_sound = is_scheme && is_whole && !scheme.is_empty() && !authority.is_empty();
    (is_sound && !url.contains(char::is_whitespace)).then_some(Parts {
        scheme,
        authority,
        rest,
    })
}

/// The address of a page, without credentials and otherwise unchanged.
pub fn page(url: &str) -> Result<String, Unfit> {
    match parts(url) {
        Some(Parts {
            scheme,
            authority,
            rest,
        }) if ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) => {
            Ok(format!("{scheme}://{authority}{rest}"))
        }
        _ => Err(Unfit::Wrong("is not the address of a web page")),
    }
}

/// The address of a server, without credentials and without a `/` at its end, for a path to follow.
pub fn server(url: &str) -> Option<String> {
    page(url).ok().map(|url| url.trim_end_matches('/').to_owned())
}

/// The scope in which runs are numbered, unchanged: only an address, which may hold credentials, becomes the name of its repository.
pub fn name(text: &str) -> Result<String, Unfit> {
    if text.contains("://") {
        super::repository(text)
    } else {
        Ok(text.to_owned())
    }
}

/// The name of a server: `host:port/path` of an address, or a plain name unchanged.
pub fn host(text: &str) -> Result<String, Unfit> {
    let host = match parts(text) {
        Some(parts) => {
            let path = parts.rest.split(['?', '#']).next().unwrap_or_default();
            format!("{}{path}", parts.authority.to_ascii_lowercase())
        }
        None if text.contains("://") => return Err(Unfit::Absent),
        None => text.to_owned(),
    };
    let host = host.trim_matches('/');
    if host.is_empty() {
        Err(Unfit::Absent)
    } else {
        Ok(host.to_owned())
    }
}

/// All but the unreserved characters (RFC 3986, section 2.3), and `/`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A name as a segment of a path: characters with a meaning in an address are escaped (RFC 3986, section 2.1).
pub fn path_segment(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
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
    fn addresses_without_a_server_have_no_name() {
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
    fn names_are_unchanged_and_addresses_are_read() {
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

    #[test]
    fn credentials_are_removed_and_the_rest_is_unchanged() {
        for (given, url) in [
            ("https://ci.example.com//", "https://ci.example.com//"),
            ("https://user:pa@ss@host:1234/a@b?q=1#f", "https://host:1234/a@b?q=1#f"),
            ("HTTP://token@host", "HTTP://host"),
            ("https://[::1]:80/x", "https://[::1]:80/x"),
            ("https://user:p@[::1]", "https://[::1]"),
        ] {
            assert_eq!(page(given).unwrap(), url);
        }
    }

    #[test]
    fn text_that_is_not_a_page_is_refused() {
        for given in [
            "null/job/x/1/",
            "vstfs:///Build/Build/1",
            "ssh://host/x",
            "https://",
            "https:///path",
            "https://user:pass/word@host/x",
            "https://host/a b",
            "javascript:alert(1)//http://x",
        ] {
            assert!(page(given).is_err(), "{given}");
        }
    }

    #[test]
    fn hosts() {
        assert_eq!(
            host("https://u:p@Host.example.com/jenkins/?x").unwrap(),
            "host.example.com/jenkins"
        );
        assert_eq!(host("gitlab.example.com").unwrap(), "gitlab.example.com");
        assert_eq!(host("team@acme").unwrap(), "team@acme", "an account's name");
        assert!(host("://x").is_err());
    }
}
