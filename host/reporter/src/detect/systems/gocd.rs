//! GoCD ("Environment variables" in its documentation), with those of its pull request plugins.

use crate::detect::job::Job;
use crate::detect::systems::Source::{Address, By, Unmerged, Var};
use crate::detect::systems::{Found, System};
use crate::detect::values::{BuiltRef, built_ref, commit_sha, host, path_segment, repository, server};

pub const GOCD: System = System {
    name: "GoCD",
    id: "gocd",
    reference: "https://docs.gocd.org/current/faq/dev_use_current_revision_in_build.html",
    marks: &[
        &["GO_PIPELINE_NAME", "GO_SERVER_URL"],
        &["GO_PIPELINE_NAME", "GO_PIPELINE_COUNTER"],
    ],
    pipeline: &[Var("GO_PIPELINE_NAME")],
    workflow: &[Var("GO_STAGE_NAME")],
    job: &[Var("GO_JOB_NAME")],
    host: &[By("`PIPEFOLD_GOCD_SERVER_ID`, the host in `GO_SERVER_URL`", server_id)],
    scope: &[Var("GO_PIPELINE_NAME")],
    // GO_PIPELINE_LABEL is for people. A stage that is run again keeps the pipeline's counter, as the other stages do.
    run: &[Var("GO_PIPELINE_COUNTER")],
    repository: &[
        Address("GO_MATERIAL_URL"),
        By("`GO_MATERIAL_URL_*` of the only repository", material_repository),
    ],
    sha: &[
        Unmerged("GO_REVISION"),
        Unmerged("GO_TO_REVISION"),
        By(
            "`GO_REVISION_*` of the only repository (no trial merge)",
            material_commit,
        ),
    ],
    // The plugins check out the head; a configured refspec may be of the merge.
    is_merge: |job| material_ref(job).is_some_and(|(built, _)| built.is_merge),
    pr: &[
        By("the end of `GO_SCM_*_PR_URL`", pull_request),
        By(
            "`GO_MATERIAL_BRANCH`, `GO_MATERIAL_BRANCH_*`, if it is a ref such as `refs/pull/7/head`",
            number_of_ref,
        ),
    ],
    pr_page: &[By(
        "`GO_SCM_*_PR_URL` of the only material with one",
        pull_request_of_material,
    )],
    url: &[By(
        "`GO_SERVER_URL`, pipeline, counter, stage and its counter",
        stage_page,
    )],
    branch: &[
        By(
            "`GO_SCM_*_PR_BRANCH` of the only material with one",
            pull_request_branch,
        ),
        By(
            "`GO_MATERIAL_BRANCH`, or `GO_MATERIAL_BRANCH_*` of the only repository: a branch or a refspec",
            material_branch,
        ),
    ],
    // Often a login, or `changes` or `timer`: then it is no address.
    email: &[Var("GO_TRIGGER_USER")],
    left_out: &[
        ("`GO_PIPELINE_LABEL`", "it is for people, and need not be unique"),
        ("`GO_STAGE_COUNTER`", "it counts the runs of one stage"),
        (
            "the commit of `refs/pull/7/merge`",
            "it is a trial merge that is on no branch",
        ),
        (
            "repository, commit and branch of several materials",
            "no variable names the right one",
        ),
    ],
    ..System::NONE
};

/// The variable that names the server in reference ids, for its reader and for jobs on its agents.
pub const GOCD_SERVER_ID: &str = "PIPEFOLD_GOCD_SERVER_ID";

/// Returns why a text cannot name a GoCD server in reference ids, as the end of a message that begins with the setting's name. A job's
/// environment and the reader's settings refuse the same texts, or the two could not agree on the name of a run.
#[must_use]
pub fn server_id_problem(text: &str) -> Option<&'static str> {
    let has_strange = text.contains("://")
        || text.starts_with('/')
        || text.ends_with('/')
        || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    (text.is_empty() || text.len() > 255 || has_strange).then_some(
        "a server's id has 1 to 255 bytes, without spaces, control characters, @ and ://, and no / at its ends, such as ci.example.com",
    )
}

/// The server's name: the configured one, else its host. Not its port nor its path, for one server has several of both, and the
/// reader of its feeds has to come to the same name (`ServerUrl::host` of pipefold-gocd).
fn server_id(job: &Job<'_>) -> Option<Found> {
    if let Some(id) = job.get(GOCD_SERVER_ID) {
        match server_id_problem(id) {
            None => return Some(job.made(id, GOCD_SERVER_ID)),
            Some(problem) => job.warn(format!("{GOCD_SERVER_ID}: {problem}; it was left out")),
        }
    }
    let url = host(job.get("GO_SERVER_URL")?).ok()?;
    let authority = url.split('/').next().unwrap_or_default();
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        _ => authority,
    };
    Some(job.made(name, "GO_SERVER_URL"))
}

/// The variable `PREFIX…SUFFIX` of the only material that has one. With several, none is chosen.
fn only<'j>(job: &'j Job<'_>, prefix: &'static str, suffix: &str) -> Option<(&'j str, &'j str)> {
    let mut found = job.suffixes(prefix).filter_map(|name| {
        let material = name.strip_suffix(suffix).filter(|material| !material.is_empty())?;
        Some((material, job.get(&format!("{prefix}{name}"))?))
    });
    found.next().filter(|_| found.next().is_none())
}

fn pull_request_page<'j>(job: &'j Job<'_>) -> Option<&'j str> {
    Some(only(job, "GO_SCM_", "_PR_URL")?.1)
}

fn pull_request_of_material(job: &Job<'_>) -> Option<Found> {
    Some(job.made(pull_request_page(job)?, "GO_SCM_*_PR_URL"))
}

fn pull_request(job: &Job<'_>) -> Option<Found> {
    let number = pull_request_page(job)?.trim_end_matches('/').rsplit_once('/')?.1;
    Some(job.made(number, "GO_SCM_*_PR_URL"))
}

fn pull_request_branch(job: &Job<'_>) -> Option<Found> {
    let (_, branch) = only(job, "GO_SCM_", "_PR_BRANCH")?;
    Some(job.made(branch, "GO_SCM_*_PR_BRANCH"))
}

/// The only material that is a repository; others are packages or pipelines.
fn material<'j>(job: &'j Job<'_>) -> Option<&'j str> {
    let is_repository = |name: &&str| {
        let url = job.get(&format!("GO_MATERIAL_URL_{name}"));
        let commit = job.get(&format!("GO_REVISION_{name}"));
        url.is_some_and(|url| repository(url).is_ok()) && commit.is_none_or(|commit| commit_sha(commit).is_ok())
    };
    let mut names = job.suffixes("GO_MATERIAL_URL_").filter(is_repository);
    names.next().filter(|_| names.next().is_none())
}

fn material_repository(job: &Job<'_>) -> Option<Found> {
    let url = job.get(&format!("GO_MATERIAL_URL_{}", material(job)?))?;
    Some(job.made(repository(url).ok()?, "GO_MATERIAL_URL_*"))
}

fn material_commit(job: &Job<'_>) -> Option<Found> {
    let commit = match material(job) {
        Some(name) => {
            let commit = job.get(&format!("GO_REVISION_{name}"))?;
            if material_ref(job).is_some_and(|(built, _)| built.is_merge) {
                job.warn_of_merge("GO_REVISION_*", "is not");
                return None;
            }
            commit
        }
        None => {
            only(job, "GO_REVISION_", "")
                .filter(|(_, commit)| commit_sha(commit).is_ok())?
                .1
        }
    };
    Some(job.made(commit, "GO_REVISION_*"))
}

/// The ref from which the only repository was built, and its variable.
fn material_ref(job: &Job<'_>) -> Option<(BuiltRef, &'static str)> {
    let of_name = || job.get(&format!("GO_MATERIAL_BRANCH_{}", material(job)?));
    let own = job.get("GO_MATERIAL_BRANCH").map(|text| (text, "GO_MATERIAL_BRANCH"));
    let (text, variable) = own.or_else(|| Some((of_name()?, "GO_MATERIAL_BRANCH_*")))?;
    Some((built_ref(text), variable))
}

fn material_branch(job: &Job<'_>) -> Option<Found> {
    let (built, variable) = material_ref(job)?;
    Some(job.made(built.branch?, variable))
}

fn number_of_ref(job: &Job<'_>) -> Option<Found> {
    let (built, variable) = material_ref(job)?;
    Some(job.made(built.pr_number?.to_string(), variable))
}

/// The server's address ends in `/go`, which belongs to it.
fn stage_page(job: &Job<'_>) -> Option<Found> {
    let server = server(job.get("GO_SERVER_URL")?)?;
    let mut url = format!("{server}/pipelines");
    for name in [
        "GO_PIPELINE_NAME",
        "GO_PIPELINE_COUNTER",
        "GO_STAGE_NAME",
        "GO_STAGE_COUNTER",
    ] {
        url.push('/');
        url.push_str(&path_segment(job.get(name)?));
    }
    Some(job.made(url, "GO_SERVER_URL"))
}
