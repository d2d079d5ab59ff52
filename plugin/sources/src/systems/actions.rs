//! The events `workflow_run` and `workflow_job` of GitHub, and of Gitea, which sends the same with other fields
//! ("Webhook events and payloads" in GitHub's documentation; `modules/structs/repo_actions.go` in Gitea's source).

use crate::Notification;
use crate::event::{Event, Translated, ignored, one, other_event, required};
use crate::loose::{List, fields};
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{branch, commit, host, number, page, path_segment, pull_request_of_ref, server_of, sound};

/// A server with these events.
#[derive(Clone, Copy)]
pub(super) struct Server {
    /// The system's usual name.
    pub name: &'static str,
    /// The beginning of each `reference_id`.
    pub id: &'static str,
    /// The headers with the event's name, the best first.
    pub headers: &'static [&'static str],
    /// True for GitHub itself.
    pub is_github: bool,
}

fields! {
    Body {
        action: String,
        workflow_run: Run,
        workflow_job: WorkflowJob,
        workflow: Workflow,
        repository: Repository,
    }

    Run {
        id: i64,
        name: String,
        path: String,
        run_attempt: i64,
        event: String,
        html_url: String,
        head_branch: String,
        head_sha: String,
        conclusion: String,
        created_at: Moment,
        /// A field of GitHub alone.
        run_started_at: Moment,
        updated_at: Moment,
        triggering_actor: User,
        actor: User,
        /// A field of Gitea alone, as the next one.
        started_at: Moment,
        completed_at: Moment,
        pull_requests: List<PullRequest>,
    }

    WorkflowJob {
        run_id: i64,
        run_attempt: i64,
        workflow_name: String,
        name: String,
        head_sha: String,
        conclusion: String,
        started_at: Moment,
        completed_at: Moment,
    }

    Workflow {
        id: String,
        name: String,
    }

    PullRequest {
        number: i64,
        head: Side,
        base: Side,
    }

    Side {
        #[serde(rename = "ref")]
        branch: String,
        repo: SideRepository,
    }

    SideRepository { id: i64, }

    User {
        login: String,
    }

    Repository {
        id: i64,
        full_name: String,
        html_url: String,
    }
}

/// The repository of a run, and its server.
struct Place {
    repository: String,
    repository_id: Option<i64>,
    /// Address of the server.
    server: String,
}

impl Place {
    fn of(repository: Option<Repository>) -> Result<Self, String> {
        let repository = required(repository, "repository")?;
        let name = required(repository.full_name, "repository.full_name")?;
        let page = required(repository.html_url, "repository.html_url")?;
        let server = server_of(&page, &name).ok_or("repository.html_url is not the page of repository.full_name")?;
        Ok(Self {
            repository: name,
            repository_id: repository.id,
            server,
        })
    }

    /// Returns the names and the address of the run with this number.
    fn run(&self, server: Server, id: i64, attempt: Option<i64>) -> Result<Notification, String> {
        let host = host(&self.server).ok_or("repository.html_url has no server")?;
        let attempt = |before: &str| attempt.map_or(String::new(), |attempt| format!("{before}{attempt}"));
        let reference = format!("{}/{host}/{}/{id}{}", server.id, self.repository, attempt("/"));
        let page = format!(
            "{}/{}/actions/runs/{id}{}",
            self.server,
            path_segment(&self.repository),
            attempt("/attempts/")
        );
        Ok(Notification {
            pipeline_source: Some(server.name.to_owned()),
            reference_id: Some(reference),
            repository: Some(self.repository.clone()),
            // Gitea's pages have the repository's own number of the run, up to version 1.25.
            source_url: Some(page).filter(|_| server.is_github),
            ..Notification::default()
        })
    }

    /// Returns true if a pull request goes to another repository.
    fn is_elsewhere(&self, base: Option<&Side>) -> bool {
        let base = base.and_then(|base| base.repo.as_ref()?.id);
        matches!((base, self.repository_id), (Some(base), Some(own)) if base != own)
    }
}

pub(super) fn translate(event: &Event<'_>, server: Server) -> Translated {
    let kind = event.first_header(server.headers);
    if let Some(other) = kind.filter(|kind| !matches!(*kind, "workflow_run" | "workflow_job")) {
        return other_event(other);
    }
    let body: Body = event.fields()?;
    let is_job = kind.map_or(body.workflow_job.is_some(), |kind| kind == "workflow_job");
    if is_job {
        job(body, server)
    } else if kind.is_some() || body.workflow_run.is_some() {
        run(body, server)
    } else {
        ignored("it is about no run of a workflow")
    }
}

fn run(body: Body, server: Server) -> Translated {
    let action = required(body.action, "action")?;
    let run = required(body.workflow_run, "workflow_run")?;
    // A delivery before the end may have the conclusion of an attempt before it.
    let outcome = match action.as_str() {
        "requested" => Outcome::Open,
        "in_progress" => Outcome::Running,
        "completed" => concluded(run.conclusion.as_deref()),
        other => return ignored(format!("the action `{other}` changes no run")),
    };
    let id = required(run.id, "workflow_run.id")?;
    let place = Place::of(body.repository)?;
    let known = place.run(server, id, attempt(&run, server)?)?;
    let named = name(&run, body.workflow.as_ref(), server);
    let pipeline_name = required(named, "workflow_run.name")?;
    let built = Built::of(&run, &place, server);
    let (started, finished) = if server.is_github {
        (run.run_started_at.or(run.created_at), run.updated_at)
    } else if run.started_at.is_none() && !outcome.has_ended() {
        return ignored("the run has not started");
    } else {
        // A run that was cancelled in the queue has no start.
        let finished = run.completed_at.or(run.updated_at);
        (run.started_at.or(run.created_at).or(finished), finished)
    };
    let actor = run.triggering_actor.or(run.actor).and_then(|user| user.login);
    let notification = Notification {
        pipeline_name: Some(pipeline_name),
        commit_sha: built.commit,
        pr_number: built.pr_number,
        head_branch: built.branch,
        // Gitea's users are not GitHub's.
        github_username: sound(actor).filter(|_| server.is_github),
        source_url: known.source_url.clone().or_else(|| page(run.html_url)),
        ..known
    };
    let field = if server.is_github {
        "workflow_run.run_started_at"
    } else {
        "workflow_run.started_at"
    };
    let started = required(started, field)?;
    one(outcome.of(notification, Some(started), finished))
}

/// Translates the event of a job. It does not have the start of the run, so the run begins with its first job until the run's own event arrives.
fn job(body: Body, server: Server) -> Translated {
    let action = required(body.action, "action")?;
    let job = required(body.workflow_job, "workflow_job")?;
    let outcome = match (action.as_str(), job.conclusion.as_deref()) {
        ("queued" | "waiting", _) => return ignored("the job has not started"),
        ("in_progress", _) => Outcome::Running,
        ("completed", Some("skipped")) => return ignored("the job was skipped"),
        ("completed", conclusion) => concluded(conclusion),
        (other, _) => return ignored(format!("the action `{other}` changes no job")),
    };
    let Some(name) = job.workflow_name else {
        // Without it the run would get another name.
        return if server.is_github {
            Err("workflow_job.workflow_name is missing or of another type".to_owned())
        } else {
            ignored("the job does not name its workflow")
        };
    };
    let id = required(job.run_id, "workflow_job.run_id")?;
    let attempt = required(job.run_attempt, "workflow_job.run_attempt")?;
    let place = Place::of(body.repository)?;
    let notification = Notification {
        pipeline_name: Some(name),
        commit_sha: commit(job.head_sha),
        step: Some(required(sound(job.name), "workflow_job.name")?),
        ..place.run(server, id, Some(attempt).filter(|attempt| *attempt > 0))?
    };
    one(outcome.of(notification, job.started_at, job.completed_at))
}

/// Reads a conclusion. A run or job that was skipped ends without a result, like a cancelled one. A run that waits for an approval continues under the same number.
fn concluded(conclusion: Option<&str>) -> Outcome {
    match conclusion {
        Some("success" | "neutral") => Outcome::Success,
        Some("failure" | "timed_out" | "startup_failure") => Outcome::Failure,
        Some("cancelled" | "stale" | "skipped") => Outcome::Cancelled,
        Some("action_required") => Outcome::Open,
        _ => Outcome::Ended,
    }
}

/// Returns the attempt, without which a re-run would change the record of the first one. Servers from before there were attempts have neither it nor
/// the start; Gitea's have 0.
fn attempt(run: &Run, server: Server) -> Result<Option<i64>, String> {
    match run.run_attempt {
        None if server.is_github && run.run_started_at.is_none() => Ok(Some(1)),
        None => Err("workflow_run.run_attempt is missing or of another type".to_owned()),
        Some(attempt) => Ok(Some(attempt).filter(|attempt| *attempt > 0)),
    }
}

/// Returns the name in `GITHUB_WORKFLOW`. In Gitea it is that of the workflow's file, which stands in front of the ref in `ci.yml@refs/heads/main`.
fn name(run: &Run, workflow: Option<&Workflow>, server: Server) -> Option<String> {
    if server.is_github {
        let of_workflow = || workflow.and_then(|workflow| workflow.name.clone());
        return run.name.clone().or_else(of_workflow).or_else(|| run.path.clone());
    }
    let file = run
        .path
        .as_deref()
        .map(|path| path.split_once("@refs/").map_or(path, |(file, _)| file));
    let file = file.map(str::to_owned).filter(|file| !file.is_empty());
    file.or_else(|| workflow.and_then(|workflow| workflow.id.clone()))
}

/// The commit, branch and pull request of a run.
struct Built {
    commit: Option<String>,
    branch: Option<String>,
    pr_number: Option<i64>,
}

impl Built {
    fn of(run: &Run, place: &Place, server: Server) -> Self {
        let event = run.event.as_deref();
        // Of a push GitHub lists the pull requests that are open from the branch, which it was not made for.
        let is_pr = event.is_none_or(|event| event.starts_with("pull_request"));
        let listed = run.pull_requests.as_ref().and_then(|list| list.0.first());
        // In a fork they are those of the repository it was made from, which numbers them.
        let listed = listed.filter(|listed| is_pr && !place.is_elsewhere(listed.base.as_ref()));
        let head = listed.and_then(|listed| listed.head.as_ref()?.branch.clone());
        let numbered = number(listed.and_then(|listed| listed.number));
        let commit_sha = commit(run.head_sha.clone());
        if server.is_github {
            // A release runs on its tag.
            let name = run.head_branch.clone().filter(|_| event != Some("release"));
            return Self {
                commit: commit_sha,
                branch: branch(name, None),
                pr_number: numbered,
            };
        }
        let name = run
            .path
            .as_deref()
            .and_then(|path| path.split_once("@refs/"))
            .map(|(_, name)| format!("refs/{name}"));
        let of_ref = name.as_deref().and_then(pull_request_of_ref);
        let of_ref = number(of_ref.and_then(|pull_request| pull_request.number.parse().ok()));
        Self {
            // Its commit is the target's there.
            commit: commit_sha.filter(|_| event != Some("pull_request_target")),
            branch: branch(head, None).or_else(|| branch(name.or_else(|| run.head_branch.clone()), None)),
            pr_number: of_ref.or(numbered),
        }
    }
}
