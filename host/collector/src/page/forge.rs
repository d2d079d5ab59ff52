//! Forges: the sites with the pages of repositories, commits and pull requests.

use super::link::{VALUE, is_web_address};
use crate::access::{Glob, GlobError};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use pipefold_sandbox::Run;

/// The paths of a kind of forge, behind the address of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Paths {
    kind: &'static str,
    commit: &'static str,
    pull_request: &'static str,
}

/// The kinds.
const KINDS: [Paths; 5] = [
    Paths {
        kind: "github",
        commit: "/commit/",
        pull_request: "/pull/",
    },
    Paths {
        kind: "gitlab",
        commit: "/-/commit/",
        pull_request: "/-/merge_requests/",
    },
    Paths {
        kind: "gitea",
        commit: "/commit/",
        pull_request: "/pulls/",
    },
    Paths {
        kind: "forgejo",
        commit: "/commit/",
        pull_request: "/pulls/",
    },
    Paths {
        kind: "bitbucket",
        commit: "/commits/",
        pull_request: "/pull-requests/",
    },
];

/// The sources that are part of a forge: the page of such a run is below that of its repository.
const SOURCES: [(&str, &str); 5] = [
    ("GitHub Actions", "github"),
    ("GitLab CI", "gitlab"),
    ("Gitea Actions", "gitea"),
    ("Forgejo Actions", "forgejo"),
    ("Bitbucket Pipelines", "bitbucket"),
];

/// A name in a path: its slashes are the path's.
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// A site with repositories, as an operator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forge {
    url: String,
    paths: Paths,
    repositories: Option<Glob>,
}

/// The error of a forge that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// The kind is not known.
    #[error("the kind is not known: use one of github, gitlab, gitea, forgejo, bitbucket")]
    Kind,
    /// The address is none.
    #[error("the url is the beginning of the addresses of repositories, such as https://git.example.com")]
    Url,
    /// The pattern is none.
    #[error("the pattern of repositories: {0}")]
    Repositories(#[from] GlobError),
}

impl Forge {
    /// Returns a forge of a kind with the repositories that a pattern with `*` and `?` describes.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub fn new(kind: &str, url: &str, repositories: Option<&str>) -> Result<Self, ForgeError> {
        if !is_web_address(url) || url.contains(['?', '#']) {
            return Err(ForgeError::Url);
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            paths: paths(kind).ok_or(ForgeError::Kind)?,
            repositories: repositories.map(str::parse).transpose()?,
        })
    }
}

fn paths(kind: &str) -> Option<Paths> {
    KINDS.into_iter().find(|paths| paths.kind == kind)
}

/// The pages of a run's repository, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    pub repository: Option<String>,
    pub commit: Option<String>,
    pub pull_request: Option<String>,
}

impl Pages {
    /// Returns the pages of a run: on the first of `forges` that has its repository, else on the site that its own page is on.
    pub fn of(run: &Run, forges: &[Forge]) -> Self {
        let Some(name) = run.repository.as_deref() else {
            return Self::default();
        };
        // `..` is a step through a path, and the name may be an address itself.
        if !name.split('/').all(|part| !matches!(part, "" | "." | "..")) {
            return Self {
                repository: is_web_address(name).then(|| name.to_owned()),
                ..Self::default()
            };
        }
        let has = |forge: &&Forge| forge.repositories.as_ref().is_none_or(|glob| glob.matches(name));
        let path = utf8_percent_encode(name, PATH);
        let known = forges
            .iter()
            .find(has)
            .map(|forge| (forge.paths, format!("{}/{path}", forge.url)));
        let Some((paths, repository)) = known.or_else(|| beside(run, name)) else {
            return Self::default();
        };
        let page = |path: &str, name: String| format!("{repository}{path}{name}");
        let commit = run.commit_sha.as_deref();
        Self {
            commit: commit.map(|commit| page(paths.commit, utf8_percent_encode(commit, VALUE).to_string())),
            pull_request: run.pr_number.map(|number| page(paths.pull_request, number.to_string())),
            repository: Some(repository),
        }
    }
}

/// Returns the address of the repository by that of the run's own page.
fn beside(run: &Run, name: &str) -> Option<(Paths, String)> {
    let (_, kind) = SOURCES.into_iter().find(|(source, _)| *source == run.pipeline_source)?;
    let page = run.source_url.as_deref().filter(|page| is_web_address(page))?;
    let rest = page.split_once("://")?.1;
    let start = page.len() - rest.len() + rest.find('/')?;
    // The site may itself be below a path.
    let end = start + page[start..].find(&format!("/{name}/"))? + 1 + name.len();
    Some((paths(kind)?, page[..end].to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    fn run(source: &str, repository: &str, page: &str) -> Run {
        Run {
            pipeline_source: source.into(),
            repository: Some(repository.into()),
            commit_sha: Some("abc".into()),
            pr_number: Some(7),
            source_url: Some(page.into()),
            ..serde_json::from_str(
                r#"{"pipeline_name":"p","pipeline_source":"s","reference_id":"r","started_at":"t","status":"success"}"#,
            )
            .unwrap()
        }
    }

    fn pages(run: &Run, forges: &[Forge]) -> [Option<String>; 3] {
        let Pages {
            repository,
            commit,
            pull_request,
        } = Pages::of(run, forges);
        [repository, commit, pull_request]
    }

    #[test]
    fn a_run_of_a_forge_gives_its_pages_away() {
        for (source, name, page, expected) in [
            (
                "GitHub Actions",
                "acme/shop",
                "https://github.com/acme/shop/actions/runs/1",
                ["https://github.com/acme/shop", "/commit/abc", "/pull/7"],
            ),
            (
                "GitLab CI",
                "a/b/c",
                "https://x.example/git/a/b/c/-/pipelines/1",
                ["https://x.example/git/a/b/c", "/-/commit/abc", "/-/merge_requests/7"],
            ),
            (
                "Forgejo Actions",
                "a/b",
                "https://codeberg.org/a/b/actions/runs/3",
                ["https://codeberg.org/a/b", "/commit/abc", "/pulls/7"],
            ),
            (
                "Bitbucket Pipelines",
                "a/b",
                "https://bitbucket.org/a/b/pipelines/results/3",
                ["https://bitbucket.org/a/b", "/commits/abc", "/pull-requests/7"],
            ),
        ] {
            let [base, commit, request] = expected;
            let expected = [base.to_owned(), format!("{base}{commit}"), format!("{base}{request}")].map(Some);
            assert_eq!(pages(&run(source, name, page), &[]), expected, "{source}");
        }
        for (source, name, page) in [
            ("Jenkins", "a/b", "https://jenkins.example/a/b/1"),
            ("GitHub Actions", "a/b", "https://github.com/other/runs/1"),
            ("GitHub Actions", "a/b", "javascript://x/a/b/1"),
            ("GitHub Actions", "a/../b", "https://github.com/a/../b/1"),
            ("GitHub Actions", "github.com", "https://github.com/"),
        ] {
            assert_eq!(
                pages(&run(source, name, page), &[]),
                [None, None, None],
                "{name} {page}"
            );
        }
    }

    #[test]
    fn an_operator_names_the_forges_of_other_systems() {
        let forges = [
            Forge::new("gitea", "https://git.example/", Some("team/*")).unwrap(),
            Forge::new("github", "https://github.com", None).unwrap(),
        ];
        let jenkins = |name: &str| pages(&run("Jenkins", name, "https://jenkins.example/1"), &forges)[2].clone();
        assert_eq!(
            jenkins("team/a b").as_deref(),
            Some("https://git.example/team/a%20b/pulls/7")
        );
        assert_eq!(jenkins("acme/x").as_deref(), Some("https://github.com/acme/x/pull/7"));
        assert_eq!(jenkins("../x"), None);
        let itself = pages(&run("Jenkins", "https://git.example/x.git", ""), &forges);
        assert_eq!(itself, [Some("https://git.example/x.git".into()), None, None]);
        assert_eq!(Forge::new("svn", "https://x", None), Err(ForgeError::Kind));
        assert_eq!(Forge::new("gitea", "javascript:x", None), Err(ForgeError::Url));
        assert!(Forge::new("gitea", "https://x", Some("")).is_err());
    }
}
