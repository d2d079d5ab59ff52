//! Repositories, by the addresses they are cloned from.

/// The name of a repository as DX has it, from the address of a git material: the same as detection in a job of GoCD comes to, or DX would have
/// two names of it.
pub(super) fn repository(url: &str) -> Option<String> {
    pipefold::detect::repository_at(url)
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
            ("https://studios-scm.example.com/saas", "saas"),
            ("git@ssh.dev.azure.com:v3/org/project/name", "project/name"),
            ("https://org.visualstudio.com/_git/name", "name/name"),
            ("https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/name", "name"),
        ] {
            assert_eq!(repository(url).as_deref(), Some(name), "{url}");
        }
    }

    #[test]
    fn what_names_no_repository() {
        for url in [
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
