//! The table of CI systems, one file a system, or a few that set each other's variables.
//!
//! To add one: a file with its entry ([`System`]), and its line in [`SYSTEMS`].

mod appveyor;
mod azure;
mod bamboo;
mod bitbucket;
mod bitrise;
mod buddy;
mod buildkite;
mod circleci;
mod cirrus;
mod cloudbuild;
mod codebuild;
mod codefresh;
mod concourse;
mod drone;
mod github;
mod gitlab;
pub mod gocd;
mod jenkins;
mod prow;
mod semaphore;
mod sourcehut;
mod teamcity;
mod travis;
mod vela;
mod woodpecker;
mod xcode;

use super::job::Job;
use std::fmt::Write;

/// The systems in the order in which they are tried. A system that sets another's variables comes before it; systems whose marks are the
/// most usual names come last. Tekton and Argo are not here: they set no variables, and their recipes set `PIPEFOLD_…`.
pub const SYSTEMS: &[System] = &[
    github::FORGEJO,
    github::GITEA,
    github::GITHUB,
    woodpecker::WOODPECKER,
    sourcehut::SOURCEHUT,
    cirrus::CIRRUS,
    vela::VELA,
    xcode::XCODE_CLOUD,
    gitlab::GITLAB,
    circleci::CIRCLECI,
    buildkite::BUILDKITE,
    azure::AZURE_RELEASE,
    azure::AZURE,
    bitbucket::BITBUCKET,
    travis::TRAVIS,
    drone::HARNESS,
    drone::DRONE,
    teamcity::TEAMCITY,
    appveyor::APPVEYOR,
    semaphore::SEMAPHORE,
    bitrise::BITRISE,
    buddy::BUDDY,
    codefresh::CODEFRESH,
    bamboo::BAMBOO,
    gocd::GOCD,
    codebuild::CODEBUILD,
    prow::PROW,
    jenkins::JENKINS_X,
    concourse::CONCOURSE,
    jenkins::JENKINS,
    cloudbuild::CLOUDBUILD,
];

/// A source of a value. A field has a list of sources, the best first; the first that gives a sound value is used.
#[derive(Clone, Copy)]
pub enum Source {
    /// A variable that holds a name or another plain value.
    Var(&'static str),
    /// A variable that holds the address of a repository, whose name is used.
    Address(&'static str),
    /// A variable that is about something else in the build of a pull request, such as the target branch.
    OutsidePr(&'static str),
    /// A variable that holds a commit, unless this build is of a trial merge ([`System::is_merge`]).
    Unmerged(&'static str),
    /// A variable that names the author of the commit, who started the run only if a push did.
    Pushed(&'static str),
    /// A computed value: its description for the table in `docs/detection.md`, and the function.
    By(&'static str, fn(&Job<'_>) -> Option<Found>),
}

/// A value, and the variable that it mainly came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub value: String,
    pub variable: &'static str,
}

/// A list of sources, the best first.
pub type Sources = &'static [Source];

/// A CI system: the variables by which it is recognised, and the sources of its values.
///
/// Each member becomes a field, a fact for templates or a part of `reference_id`; the values are trimmed, checked and cleaned by what they
/// are ([`super::values`]), so an entry only names variables. Members that a system does not have are left out: `..System::NONE`. The table
/// in `docs/detection.md` is made from these entries ([`super::table`]).
#[derive(Clone, Copy)]
pub struct System {
    /// The system's usual name: the field `pipeline_source`.
    pub name: &'static str,
    /// The system's short name, the beginning of each `reference_id`. It must never change: a run under way would become two.
    pub id: &'static str,
    /// Page of the system's documentation that names the variables.
    pub reference: &'static str,
    /// Sets of variables. The system is recognised if all variables of one set are set; `NAME=value` requires that value.
    pub marks: &'static [&'static [&'static str]],
    /// Variables of a program that imitates this system. If one is set, the system is not recognised.
    pub unless: &'static [&'static str],
    /// Name of the pipeline.
    pub pipeline: Sources,
    /// Name of the workflow, where a pipeline has several.
    pub workflow: Sources,
    /// Name of the job.
    pub job: Sources,
    /// Name of the step in the job.
    pub step: Sources,
    /// Address or name of the server, or of the organisation on it. Part of `reference_id`.
    pub host: Sources,
    /// The repository or pipeline within which runs are numbered. Part of `reference_id`.
    pub scope: Sources,
    /// The name or number of the run in its scope, the same in each of its jobs. Part of `reference_id`.
    pub run: Sources,
    /// The attempt of a re-run that keeps the run's number. Part of `reference_id`.
    pub attempt: Sources,
    /// The repository. For a pull request, the one that numbers it.
    pub repository: Sources,
    /// The commit. For a pull request, its head, never a trial merge.
    pub sha: Sources,
    /// Number of the pull request.
    pub pr: Sources,
    /// Page of the pull request. Its repository takes precedence over [`Self::repository`], so that number and repository are of one
    /// project.
    pub pr_page: Sources,
    /// Returns true in the build of a pull request, also without a number.
    pub is_pr: fn(&Job<'_>) -> bool,
    /// Returns true if the checked-out commit is, or may be, a trial merge that is on no branch.
    pub is_merge: fn(&Job<'_>) -> bool,
    /// Returns true if a push started the run. A pull request is not a push.
    pub is_push: fn(&Job<'_>) -> bool,
    /// Page of the run.
    pub url: Sources,
    /// The branch.
    pub branch: Sources,
    /// The tag. A branch of the same name is left out.
    pub tag: Sources,
    /// GitHub user name of the person who started the run.
    pub github: Sources,
    /// GitLab user name of the person who started the run.
    pub gitlab: Sources,
    /// E-mail address of the person who started the run.
    pub email: Sources,
    /// Values that are not reported although the system has a variable for them, or that have no variable; each with the reason.
    pub left_out: &'static [(&'static str, &'static str)],
}

impl System {
    /// A system without variables.
    pub const NONE: Self = Self {
        name: "",
        id: "",
        reference: "",
        marks: &[],
        unless: &[],
        pipeline: &[],
        workflow: &[],
        job: &[],
        step: &[],
        host: &[],
        scope: &[],
        run: &[],
        attempt: &[],
        repository: &[],
        sha: &[],
        pr: &[],
        pr_page: &[],
        is_pr: |_| false,
        is_merge: |job| job.is_pr(),
        is_push: |_| false,
        url: &[],
        branch: &[],
        tag: &[],
        github: &[],
        gitlab: &[],
        email: &[],
        left_out: &[],
    };

    /// The first variable of the first set of marks whose variables are all set.
    pub fn recognised_by(&self, job: &Job<'_>) -> Option<&'static str> {
        if self.unless.iter().any(|mark| is_set(job, mark)) {
            return None;
        }
        let set = self.marks.iter().find(|set| set.iter().all(|mark| is_set(job, mark)))?;
        set.first()
            .map(|mark| mark.split_once('=').map_or(*mark, |(name, _)| name))
    }
}

fn is_set(job: &Job<'_>, mark: &str) -> bool {
    match mark.split_once('=') {
        Some((name, value)) => job.raw(name).is_some_and(|given| given == value),
        // Some tools switch a CI system's behaviour off this way.
        None => job.raw(mark).is_some_and(|given| given != "false" && given != "0"),
    }
}

/// The text of the page before the systems.
const HEAD: &str = "# What is detected

Made from the table in `host/reporter/src/detect/systems`; `PIPEFOLD_WRITE=1 cargo test --test detection` writes it again.

For each CI system: the fields of a run, and the source of each. The first source that gives a sound value is used. Flags, `PIPEFOLD_*`
variables and `pipefold.toml` take precedence over all of them; `pipefold doctor` shows the result in a job.

`reference_id` is `system/server/scope/run` and, where there is one, `/attempt`: the same in each job of a run, and different for a
re-run. Missing parts are left out. `pipeline_name` is the repository where no source gives one.

- *not in a pull request*: the variable is about something else there.
- *no trial merge*: the variable may hold a merge of a pull request with its target, which is on no branch. It is left out then, with a warning.
- *after a push*: the variable names the author of the commit, who started the run only if it was a push.
- *by its address*: the variable holds the address of the repository, whose name is used.
- *page of the pull request*: the repository of this page takes precedence, since it numbers the pull request.

Systems are tried in this order, and the first that is recognised by one of its sets of variables is used. Tekton and Argo Workflows set no
variables; their [recipes](../examples/ci/README.md) name the run.
";

/// The text of `docs/detection.md`.
#[must_use]
pub fn table() -> String {
    let mut text = HEAD.to_owned();
    for system in SYSTEMS {
        describe(&mut text, system);
    }
    text
}

fn describe(text: &mut String, system: &System) {
    let title = match SYSTEMS.iter().filter(|other| other.name == system.name).count() {
        1 => system.name.to_owned(),
        _ => format!("{} ({})", system.name, system.marks[0][0]),
    };
    let marks: Vec<String> = system.marks.iter().map(|set| code(set).join(" with ")).collect();
    let mut recognised = format!("Recognised by {}", marks.join(", or by "));
    if !system.unless.is_empty() {
        let _ = write!(recognised, "; not with {}", code(system.unless).join(" or "));
    }
    let _ = write!(
        text,
        "\n## {title}\n\n{recognised}. [Its variables]({}).\n\n",
        system.reference
    );
    text.push_str("| field | from, in order |\n|---|---|\n");
    for (field, sources) in rows(system) {
        if !sources.is_empty() {
            let _ = writeln!(text, "| {field} | {} |", list(sources));
        }
    }
    if !system.left_out.is_empty() {
        text.push_str("\nLeft out:\n\n");
        for (what, why) in system.left_out {
            let _ = writeln!(text, "- {what}: {why}.");
        }
    }
}

fn rows(system: &System) -> [(&'static str, Sources); 18] {
    [
        ("`pipeline_name`", system.pipeline),
        ("`repository`", system.repository),
        ("`commit_sha`", system.sha),
        ("`pr_number`", system.pr),
        ("page of the pull request", system.pr_page),
        ("`head_branch`", system.branch),
        ("tag, which is not a branch", system.tag),
        ("`source_url`", system.url),
        ("`email`", system.email),
        ("`github_username`", system.github),
        ("`gitlab_username`", system.gitlab),
        ("server in `reference_id`", system.host),
        ("scope in `reference_id`", system.scope),
        ("run in `reference_id`", system.run),
        ("attempt in `reference_id`", system.attempt),
        ("workflow", system.workflow),
        ("job", system.job),
        ("step", system.step),
    ]
}

fn list(sources: Sources) -> String {
    let each = sources.iter().map(|source| match source {
        Source::Var(name) => format!("`{name}`"),
        Source::Address(name) => format!("`{name}` (by its address)"),
        Source::OutsidePr(name) => format!("`{name}` (not in a pull request)"),
        Source::Unmerged(name) => format!("`{name}` (no trial merge)"),
        Source::Pushed(name) => format!("`{name}` (after a push)"),
        Source::By(how, _) => (*how).to_owned(),
    });
    each.collect::<Vec<_>>().join("; ")
}

fn code(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("`{name}`")).collect()
}
