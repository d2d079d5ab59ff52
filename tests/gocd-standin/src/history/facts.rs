//! The constants of generated histories.

use super::material::{Author, Kind, Material};

const fn author(text: &'static str, email: Option<&'static str>, github: Option<&'static str>) -> Author {
    Author { text, email, github }
}

/// People, in all the ways in which captured feeds name them.
pub(super) const AUTHORS: [Author; 8] = [
    author("Ann Example <ann@example.com>", Some("ann@example.com"), None),
    author("bob@example.com", Some("bob@example.com"), None),
    author(
        "Sahil and James <go-saas+sahilm+jrgray@example.com>",
        Some("go-saas+sahilm+jrgray@example.com"),
        None,
    ),
    author(
        "Octo Cat <12345+octocat@users.noreply.github.com>",
        None,
        Some("octocat"),
    ),
    author("mona@users.noreply.github.com", None, Some("mona")),
    author("GitHub <noreply@github.com>", None, None),
    author("Sachin & JJ", None, None),
    author("VGarg", None, None),
];

/// The people who approve stages, with the e-mail address that DX must get.
pub(super) const PEOPLE: [(&str, Option<&str>); 4] = [
    ("admin", None),
    ("carol@example.com", Some("carol@example.com")),
    ("anonymous", None),
    ("dave.d", None),
];

/// The stages, true for those that wait for a person.
pub(super) const STAGES: [&[(&str, bool)]; 6] = [
    &[("build", false)],
    &[("build", false), ("test", false)],
    &[("Units", false), ("PostBuild", false), ("deploy.prod", true)],
    &[("compile", false), ("UAT", true), ("release", false)],
    &[("release", true), ("smoke_test", false)],
    &[("a", false), ("b", false), ("c", true), ("d", false), ("e-2", true)],
];

/// Jobs of a stage.
pub(super) const JOBS: [&[&str]; 3] = [
    &["unit"],
    &["unit.test", "lint"],
    &["it-runInstance-1", "it-runInstance-2", "browser"],
];

/// First parts of pipelines' names.
pub(super) const PIPELINES: [&str; 5] = ["build", "deploy.prod", "Acceptance_Tests", "web-ui", "x"];

fn material(
    kind: Kind,
    repository: Option<&'static str>,
    head_branch: Option<&'static str>,
    pr_number: Option<i64>,
) -> Material {
    Material {
        kind,
        repository,
        head_branch,
        pr_number,
        changes: Vec::new(),
    }
}

/// A pipeline's materials. The first that names a repository is the one that counts.
pub(super) fn materials(choice: u64) -> Vec<Material> {
    let git = |url, branch| Kind::Git { url, branch };
    let main = || {
        let kind = git("https://github.com/org/app.git", "main");
        material(kind, Some("org/app"), Some("main"), None)
    };
    let local = || material(git("/srv/git/local/app.git", "master"), None, None, None);
    let upstream = || {
        let kind = Kind::Dependency {
            pipeline: "upstream",
            stage: "dist",
        };
        material(kind, None, None, None)
    };
    let package = || {
        let kind = Kind::Package {
            repository: "yum",
            package: "go-agent",
        };
        material(kind, None, None, None)
    };
    match choice % 10 {
        0 | 1 => vec![main()],
        2 => vec![material(
            git(
                "git@git.example.com:group/sub/name.git",
                "refs/heads/feature/one:refs/remotes/origin/one",
            ),
            Some("group/sub/name"),
            Some("feature/one"),
            None,
        )],
        3 => vec![
            material(
                git("https://******@git.example.com/org/config", "config"),
                Some("org/config"),
                Some("config"),
                None,
            ),
            main(),
        ],
        4 => vec![local(), main(), upstream()],
        5 => vec![material(
            git(
                "ssh://git@host.example:22/o/n.git",
                "refs/pull/12/head:refs/remotes/origin/pr-12",
            ),
            Some("o/n"),
            None,
            Some(12),
        )],
        6 => vec![upstream()],
        7 => vec![
            package(),
            material(
                Kind::Mercurial {
                    url: "https://hg.example.com/org/tool",
                },
                None,
                None,
                None,
            ),
        ],
        8 => Vec::new(),
        _ => vec![local()],
    }
}

/// The e-mail address that DX must get for a person who approved a stage.
pub(crate) fn address_of(person: &str) -> Option<&'static str> {
    PEOPLE.iter().find(|(name, _)| *name == person)?.1
}
