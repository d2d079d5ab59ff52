//! The Notification plugin of Jenkins, with the format JSON (`Phase.java` and `model/*.java` in its source).
//!
//! A delivery has the job's address and not `BRANCH_NAME`, so that a branch of a multibranch project is known by its name or by the branch that was checked out.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, ignored, one, required};
use crate::loose::{Id, Loose, fields};
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{
    branch, commit, host, number_of, number_of_ref, page, pull_request_of_ref, repository_at, repository_of_page,
    unescaped,
};

pub(super) const JENKINS: System = System {
    name: "jenkins",
    translate,
};

fields! {
    Body { build: Build, }

    Build {
        full_url: String,
        url: String,
        number: Id,
        phase: String,
        status: String,
        timestamp: Stamp,
        duration: i64,
        scm: Scm,
        parameters: Parameters,
    }

    Scm {
        url: String,
        branch: String,
        commit: String,
    }

    /// Parameters of the GitHub Pull Request Builder.
    Parameters {
        #[serde(rename = "ghprbPullId")]
        number: Id,
        #[serde(rename = "ghprbActualCommit")]
        commit: String,
        #[serde(rename = "ghprbSourceBranch")]
        branch: String,
        #[serde(rename = "ghprbPullLink")]
        page: String,
    }
}

/// The time of a delivery.
#[derive(Clone, Copy)]
enum Stamp {
    /// The time of the phase, in milliseconds since 1970; 0 stands for none.
    Phase(Moment),
    /// The start of the build, in ISO 8601: old versions of the plugin give it in each phase.
    Start(Moment),
}

impl Loose for Stamp {
    fn whole(number: i128) -> Option<Self> {
        Moment::of_milliseconds(number.try_into().ok()?).map(Self::Phase)
    }

    fn text(given: &str) -> Option<Self> {
        Moment::read(given).map(Self::Start)
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let body: Body = event.fields()?;
    let Some(build) = body.build else {
        return ignored("it is about no build");
    };
    let phase = required(build.phase.as_deref(), "build.phase")?;
    let has_ended = match phase {
        "STARTED" => false,
        // FINALIZED comes after COMPLETED, or alone where the endpoint takes only that.
        "COMPLETED" | "FINALIZED" => true,
        "QUEUED" => return ignored("the build was queued; STARTED has its start"),
        other => return ignored(format!("the phase {other} is neither the start nor the end of a build")),
    };
    let stamp = required(build.timestamp, "build.timestamp")?;
    let run = run(&build)?;
    if !has_ended {
        let (Stamp::Phase(started) | Stamp::Start(started)) = stamp;
        return one(Outcome::Running.of(run, Some(started), None));
    }
    let outcome = match build.status.as_deref() {
        Some("SUCCESS") => Outcome::Success,
        // Tests failed.
        Some("FAILURE" | "UNSTABLE") => Outcome::Failure,
        // As the collector reads these two where they are posted to it.
        Some("ABORTED" | "NOT_BUILT") => Outcome::Cancelled,
        _ => Outcome::Ended,
    };
    // Without a duration the start is not known. The end is taken for it: of several starts the earliest counts, so that of STARTED does.
    let duration = build.duration.filter(|duration| *duration >= 0);
    let (started, finished) = match stamp {
        Stamp::Phase(at) => (
            duration.and_then(|duration| at.before(duration)).unwrap_or(at),
            Some(at),
        ),
        Stamp::Start(at) => (at, duration.and_then(|duration| at.before(-duration))),
    };
    one(outcome.of(run, Some(started), finished))
}

/// Returns the run, without its outcome.
fn run(build: &Build) -> Result<Notification, String> {
    let url = required(
        page(build.full_url.clone()),
        "build.full_url (which Jenkins leaves out until its own URL is set in its configuration)",
    )?;
    let number = &required(build.number.as_ref(), "build.number")?.0;
    let (root, path) = split(&url, build.url.as_deref()).ok_or("build.full_url is not the page of a build")?;
    let scm = build.scm.as_ref();
    let built = scm.and_then(|scm| scm.branch.clone());
    let job = Job::of(path, number, built.as_deref()).ok_or("build.full_url is not the page of build.number")?;
    let server = host(root).ok_or("build.full_url has no server")?;
    let parameters = build.parameters.as_ref();

    let given = parameters.and_then(|parameters| number_of(parameters.number.clone()));
    let of_ref = || number_of_ref(built.as_deref()?);
    let pr_number = given.or(job.pull_request).or_else(of_ref);
    // Of a pull request it may be a merge that only the workspace has.
    let outside_pr = |text: Option<String>| text.filter(|_| pr_number.is_none());
    let head = parameters.and_then(|parameters| commit(parameters.commit.clone()));
    let of_job = job.branch.filter(|_| pr_number.is_none());
    let source = parameters.and_then(|parameters| parameters.branch.clone());
    let checked_out = built.filter(|name| pull_request_of_ref(name).is_none());
    let of_page = parameters.and_then(|parameters| repository_of_page(parameters.page.as_deref()?));
    Ok(Notification {
        pipeline_name: Some(job.pipeline),
        pipeline_source: Some("Jenkins".to_owned()),
        reference_id: Some(format!("jenkins/{server}/{}/{number}", job.scope)),
        repository: of_page.or_else(|| repository_at(scm?.url.as_deref())),
        commit_sha: head.or_else(|| commit(outside_pr(scm?.commit.clone()))),
        pr_number,
        head_branch: branch(source.or(outside_pr(checked_out)).or(of_job), None),
        source_url: Some(url),
        ..Notification::default()
    })
}

/// Splits the page of a build into the server's address and the path below it.
fn split<'u>(page: &'u str, path: Option<&'u str>) -> Option<(&'u str, &'u str)> {
    let known = path.and_then(|path| Some((page.strip_suffix(path)?, path)));
    known
        .filter(|(root, _)| root.ends_with('/'))
        .or_else(|| Some((page.get(..page.find("/job/")?)?, page.get(page.find("/job/")? + 1..)?)))
}

/// The names that a build's variables give its job.
struct Job {
    /// `JOB_NAME` without the branch of a multibranch project or the axes of a matrix project.
    pipeline: String,
    /// `JOB_NAME` without the axes of a matrix project. The builds are numbered by it.
    scope: String,
    branch: Option<String>,
    pull_request: Option<i64>,
}

impl Job {
    /// Reads a path such as `job/folder/job/name/7/`. `built` is the branch that was checked out.
    fn of(path: &str, number: &str, built: Option<&str>) -> Option<Self> {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let (mut names, mut axes) = (Vec::new(), None);
        let mut found = None;
        while let Some(kind) = segments.next() {
            match kind {
                "job" => names.push(unescaped(segments.next()?)?),
                // Pages of pull requests and tags are below a view.
                "view" => _ = segments.next()?,
                _ if found.is_none() && kind == number => found = Some(kind),
                _ if axes.is_none() && found.is_none() => axes = Some(kind),
                _ => return None,
            }
        }
        found?;
        let scope = names.join("/");
        let last = names.pop()?;
        let plain = Self {
            pipeline: scope.clone(),
            scope,
            branch: None,
            pull_request: None,
        };
        if names.is_empty() {
            return Some(plain);
        }
        let above = names.join("/");
        let pull_request = last.strip_prefix("PR-").or_else(|| last.strip_prefix("MR-"));
        let pull_request = number_of(pull_request.map(|digits| Id(digits.to_owned())));
        // Jenkins escapes characters that a name of a directory cannot have, and no other name has a `%`.
        let name = unescaped(&last)?;
        let is_branch = name != last || pull_request.is_some() || built == Some(&name);
        Some(if is_branch {
            Self {
                pipeline: above,
                branch: Some(name).filter(|_| pull_request.is_none()),
                pull_request,
                ..plain
            }
        } else if last.split(',').all(|axis| axis.find('=').is_some_and(|at| at > 0)) {
            Self {
                pipeline: above.clone(),
                scope: above,
                ..plain
            }
        } else {
            plain
        })
    }
}
