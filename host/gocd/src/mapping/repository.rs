//! Repositories, by the addresses they are cloned from.

use percent_encoding::percent_decode_str;

/// The name of a repository as DX has it, from the address of a git material; none if that names no `owner/name` on a server. Credentials
/// are not looked at and do not come out.
///
/// DX's pages: subgroups count; in Azure DevOps it is `project/name`, in Bitbucket Data Center `project_key/name`, in Bitbucket Cloud the
/// name alone.
pub(super) fn repository(url: &str) -> Option<String> {
    // The documentation's example has a word before the address.
    let url = url.trim();
    let url = url.strip_prefix("URL:").unwrap_or(url).trim_start();
    let (host, path) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
        Some((_, rest)) => rest.split_once('/')?,
        None => copy_address(url)?,
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        segments.push(percent_decode_str(segment).decode_utf8().ok()?.into_owned());
    }
    if let Some(last) = segments.last_mut() {
        last.truncate(last.strip_suffix(".git").unwrap_or(last).len());
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let name = named(&host, &segments)?;
    let is_sound = !host.is_empty() && !name.contains(['@', '*']) && !name.contains(char::is_control);
    is_sound.then_some(name)
}

/// `user@host:path`, as `scp` and git write it. A path on the server's own disk is none.
fn copy_address(text: &str) -> Option<(&str, &str)> {
    let (host, path) = text.split_once(':')?;
    // A single letter is a drive.
    let is_address = host.len() > 1 && !host.contains(['/', '\\']) && !path.contains([':', '\\']);
    is_address.then_some((host, path))
}

fn named(host: &str, segments: &[&str]) -> Option<String> {
    let is_azure = ["dev.azure.com", "visualstudio.com"]
        .iter()
        .any(|domain| host == *domain || host.strip_suffix(domain).is_some_and(|before| before.ends_with('.')));
    let name = match segments {
        ["v3", _, project, name] if is_azure => format!("{project}/{name}"),
        [_, name] if host == "bitbucket.org" => (*name).to_owned(),
        // A project's only repository has its name, and may stand without it.
        ["_git", name] => format!("{name}/{name}"),
        [.., "DefaultCollection", "_git", name] => format!("{name}/{name}"),
        [_, "_git", name] if host == "dev.azure.com" => format!("{name}/{name}"),
        [.., project, "_git", name] => format!("{project}/{name}"),
        // Bitbucket Data Center over http, below whatever path it is served.
        [.., "scm", project, name] => format!("{project}/{name}"),
        [_, _, ..] => segments.join("/"),
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_addresses() {
        for (url, name) in [
            ("git@github.com:oogabooga/zinger.git", "oogabooga/zinger"),
            ("ssh://git@host:22/o/n.git", "o/n"),
            (
                "git://go-saas-worker.2.project/ThoughtWorksInc/go_saas_trigger",
                "ThoughtWorksInc/go_saas_trigger",
            ),
            ("https://u:******@host/o/n.git/", "o/n"),
            ("https://******@host/o/n", "o/n"),
            ("URL: https://github.com/gocd/gocd", "gocd/gocd"),
            ("https://gitlab.com/group/sub/name.git", "group/sub/name"),
            ("https://bitbucket.example.com/scm/KEY/name.git", "KEY/name"),
            ("https://bitbucket.org/workspace/name.git", "name"),
            ("https://dev.azure.com/org/My%20Project/_git/name", "My Project/name"),
            ("git@ssh.dev.azure.com:v3/org/project/name", "project/name"),
            ("https://org.visualstudio.com/_git/name", "name/name"),
        ] {
            assert_eq!(repository(url).as_deref(), Some(name), "{url}");
        }
    }

    #[test]
    fn what_names_no_repository() {
        for url in [
            "https://studios-scm.example.com/saas",
            "/srv/git/o/n.git",
            "../o/n",
            "C:\\git\\o\\n",
            "file:///srv/git/o/n",
            "foo/bar",
            "https://host/",
            "https:///o/n",
            "https://user:pass/word@host/o/n",
            "https://host/o/%00n",
            "https://host/o/%ff",
            "",
        ] {
            assert_eq!(repository(url), None, "{url}");
        }
    }
}
