//! Azure Pipelines ("Service hook events" in its documentation): `Build completed`, and the changes of a run's, a stage's and a job's state.
//!
//! No event has the attempt of a run, and the in-build id ends in it. A first attempt is assumed: the events of a repeated run go to the same record,
//! which keeps a failure.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, ignored, one, other_event, required};
use crate::loose::{Id, List, fields};
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{
    branch, commit, host, is_uuid, name_person, number_of, number_of_ref, path_segment, repository_at, repository_name,
    server, unescaped,
};

pub(super) const AZURE: System = System {
    name: "azure",
    translate,
};

/// The attempt of a run, which no event gives.
const ATTEMPT: &str = "1";

const RUN_CHANGED: &str = "ms.vss-pipelines.run-state-changed-event";
const STAGE_CHANGED: &str = "ms.vss-pipelines.stage-state-changed-event";
const JOB_CHANGED: &str = "ms.vss-pipelines.job-state-changed-event";

/// The name of the only stage or job of a pipeline that names none.
const DEFAULT: &str = "__default";

fields! {
    #[serde(rename_all = "camelCase")]
    Body {
        event_type: String,
        resource: Resource,
        resource_version: String,
        resource_containers: Containers,
    }

    Containers {
        collection: Container,
        project: Container,
    }

    #[serde(rename_all = "camelCase")]
    Container {
        id: String,
        base_url: String,
    }

    /// A build, or the run, stage or job that changed its state.
    #[serde(rename_all = "camelCase")]
    Resource {
        id: Id,
        url: String,
        #[serde(rename = "_links")]
        links: Links,
        status: String,
        result: String,
        queue_time: Moment,
        start_time: Moment,
        finish_time: Moment,
        reason: String,
        source_branch: String,
        source_version: String,
        source_get_version: String,
        trigger_info: TriggerInfo,
        definition: Definition,
        project: Named,
        repository: Repository,
        requested_for: Identity,
        requests: List<Request>,
        run: Run,
        stage: Part,
        job: Part,
        pipeline: Named,
        repositories: List<Repository>,
    }

    Links { web: Link, }

    Link { href: String, }

    TriggerInfo {
        #[serde(rename = "pr.number")]
        number: Id,
        #[serde(rename = "pr.sourceBranch")]
        branch: String,
        #[serde(rename = "pr.sourceSha")]
        sha: String,
    }

    Definition {
        name: String,
        project: Named,
    }

    Named { name: String, }

    Repository {
        id: String,
        #[serde(rename = "type")]
        kind: String,
        name: String,
        url: String,
    }

    #[serde(rename_all = "camelCase")]
    Request { requested_for: Identity, }

    #[serde(rename_all = "camelCase")]
    Identity { unique_name: String, }

    #[serde(rename_all = "camelCase")]
    Run {
        id: Id,
        #[serde(rename = "_links")]
        links: Links,
        url: String,
        pipeline: Named,
        state: String,
        result: String,
        created_date: Moment,
        finished_date: Moment,
    }

    /// A stage or a job.
    #[serde(rename_all = "camelCase")]
    Part {
        name: String,
        display_name: String,
        #[serde(rename = "_links")]
        links: Links,
        state: String,
        result: String,
        start_time: Moment,
        finish_time: Moment,
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let body: Body = event.fields()?;
    let kind = required(body.event_type, "eventType")?;
    let resource = required(body.resource, "resource")?;
    let place = Place {
        version: body.resource_version,
        containers: body.resource_containers.unwrap_or_default(),
        project: event.setting("project").map(str::to_owned),
    };
    match kind.as_str() {
        "build.complete" => build(place, resource),
        RUN_CHANGED | STAGE_CHANGED | JOB_CHANGED => changed(&kind, place, resource),
        other => other_event(other),
    }
}

/// The values that name the server and the project.
struct Place {
    version: Option<String>,
    containers: Containers,
    project: Option<String>,
}

impl Place {
    /// Returns the address of the collection, and the project. `address` is that of an object in the project, `name` the project's name in the event.
    fn find(self, address: Option<&str>, name: Option<String>) -> Result<(String, Option<String>), String> {
        let name = name.or(self.project);
        let parts = address.and_then(|address| split(address, name.as_deref()));
        let (at, below) = parts.map_or((None, None), |(at, below)| (Some(at), below));
        let base = self
            .containers
            .collection
            .and_then(|collection| server(&collection.base_url?));
        let collection = required(base.or(at), "resource.url")?;
        // The first version of these events names no project.
        let is_first = self.version.is_some_and(|version| version.starts_with("1."));
        let id = below.or_else(|| self.containers.project?.id).filter(|_| is_first);
        Ok((collection, name.or(id)))
    }
}

/// Splits the address of an object in a project, `COLLECTION/PROJECT/_apis/…`. In Azure's own domains `DefaultCollection` is another name of the organisation.
fn split(address: &str, project: Option<&str>) -> Option<(String, Option<String>)> {
    let address = server(address)?;
    let marks = ["/_apis/", "/_build/"];
    let end = marks.iter().filter_map(|mark| address.find(mark)).min()?;
    let path = address.get(..end)?;
    let (above, last) = path.rsplit_once('/')?;
    let last = unescaped(last)?;
    let is_project = is_uuid(&last) || project == Some(&last);
    let (collection, below) = if is_project { (above, Some(last)) } else { (path, None) };
    let domain = host(collection)?;
    let domain = domain.split('/').next()?;
    let is_hosted = domain == "dev.azure.com" || domain.ends_with(".visualstudio.com");
    let alias = collection.strip_suffix("/DefaultCollection").filter(|_| is_hosted);
    Some((alias.unwrap_or(collection).to_owned(), below))
}

/// The values of a run that each of its events has.
fn named(collection: &str, project: &str, id: &str, pipeline: String) -> Result<Notification, String> {
    let server = required(host(collection), "the server of resource.url")?;
    let (in_page, build) = (path_segment(project), path_segment(id));
    Ok(Notification {
        pipeline_name: Some(pipeline),
        pipeline_source: Some("Azure Pipelines".to_owned()),
        reference_id: Some(format!("azure/{server}/{project}/{id}/{ATTEMPT}")),
        source_url: Some(format!("{collection}/{in_page}/_build/results?buildId={build}")),
        ..Notification::default()
    })
}

fn build(place: Place, resource: Resource) -> Translated {
    let definition = resource.definition.unwrap_or_default();
    let project = resource.project.or(definition.project).and_then(|project| project.name);
    let address = resource.url.or_else(|| resource.links?.web?.href);
    let (collection, project) = place.find(address.as_deref(), project)?;
    let project = required(project, "resource.project.name")?;
    let id = required(resource.id, "resource.id")?.0;
    let pipeline = required(definition.name, "resource.definition.name")?;
    let mut run = named(&collection, &project, &id, pipeline)?;
    run.repository = resource
        .repository
        .and_then(|repository| repository_of(repository, &project));

    // `LG:refs/heads/main:SHA` in the first version.
    let got = resource.source_get_version.unwrap_or_default();
    let mut got = got.splitn(3, ':').skip(1).map(str::to_owned);
    let (got_ref, got_sha) = (got.next(), got.next());
    let source = resource.source_branch.or(got_ref);
    let trigger = resource.trigger_info.unwrap_or_default();
    run.pr_number = number_of(trigger.number).or_else(|| number_of_ref(source.as_deref()?));
    let is_pr = run.pr_number.is_some()
        || resource
            .reason
            .is_some_and(|reason| reason.eq_ignore_ascii_case("pullRequest"));
    // Of a pull request the version is a merge that is on no branch, and the branch is the ref of that merge.
    let outside_pr = |text: Option<String>| text.filter(|_| !is_pr);
    run.commit_sha = commit(trigger.sha).or_else(|| commit(outside_pr(resource.source_version.or(got_sha))));
    run.head_branch = branch(trigger.branch.or(outside_pr(source)), None);

    let request = resource
        .requests
        .and_then(|List(requests)| requests.into_iter().next()?.requested_for);
    let identity = resource.requested_for.or(request).unwrap_or_default();
    // A service has an address too, in a domain without a dot.
    let is_person = |name: &String| name.rsplit('@').next().is_some_and(|domain| domain.contains('.'));
    name_person(&mut run, identity.unique_name.filter(is_person));

    // One that was cancelled in the queue has no start.
    let started = required(resource.start_time.or(resource.queue_time), "resource.startTime")?;
    let result = resource.result.or(resource.status);
    one(outcome(result.as_deref()).of(run, Some(started), resource.finish_time))
}

/// Returns the name of the repository at the address, else the given name, which in Azure Repos is below the project.
fn repository_of(given: Repository, project: &str) -> Option<String> {
    let api = given
        .url
        .as_deref()
        .and_then(|url| url.strip_prefix("https://api.github.com/repos/"));
    let by_address = api.map(str::to_owned).or_else(|| repository_at(given.url.as_deref()));
    let is_in_azure_repos = given.kind.is_some_and(|kind| kind.eq_ignore_ascii_case("TfsGit"));
    by_address.or_else(
        || match repository_name(given.name.or(given.id.filter(|id| id.contains('/'))))? {
            name if is_in_azure_repos && !name.contains('/') => Some(format!("{project}/{name}")),
            name => Some(name),
        },
    )
}

fn changed(kind: &str, place: Place, resource: Resource) -> Translated {
    let run = required(resource.run, "resource.run")?;
    let (stage, job) = (resource.stage.unwrap_or_default(), resource.job.unwrap_or_default());
    let pages = [run.links, stage.links, job.links].map(|links| links?.web?.href);
    let addresses: Vec<String> = [run.url].into_iter().chain(pages).flatten().collect();
    let id = run.id.map(|id| id.0);
    let id = id.or_else(|| addresses.iter().find_map(|address| id_in(address)));
    let id = required(id, "resource.run.id")?;
    let pipeline = run.pipeline.or(resource.pipeline).and_then(|pipeline| pipeline.name);
    let pipeline = required(pipeline, "resource.run.pipeline.name")?;
    let project = resource.project.and_then(|project| project.name);
    let (collection, project) = place.find(addresses.first().map(String::as_str), project)?;
    // Its addresses have the project's id, and in a build the run has the project's name: there would be two records of one run.
    let Some(project) = project else {
        return ignored("it does not name its project: give the setting `project`, or send the event Build completed");
    };
    let mut notification = named(&collection, &project, &id, pipeline)?;
    if let Some([only]) = resource
        .repositories
        .and_then(|List(all)| <[Repository; 1]>::try_from(all).ok())
    {
        notification.repository = repository_of(only, &project);
    }
    let part = match kind {
        STAGE_CHANGED => {
            let name = required(stage.name, "resource.stage.name")?;
            if name == DEFAULT {
                return ignored("it is the only stage of a run, which has its own event");
            }
            notification.step = Some(stage.display_name.unwrap_or_else(|| name.clone()));
            notification.step_id = Some(name);
            (stage.state, stage.result, stage.start_time, stage.finish_time)
        }
        JOB_CHANGED => {
            let name = required(job.name, "resource.job.name")?;
            // Azure's own name for it.
            let name = if name == DEFAULT { "Job".to_owned() } else { name };
            let stage = stage.name.filter(|stage| stage != DEFAULT);
            notification.step_id = stage.map(|stage| format!("{stage}/{name}"));
            notification.step = Some(name);
            (job.state, job.result, job.start_time, job.finish_time)
        }
        _ => {
            let created = required(run.created_date, "resource.run.createdDate")?;
            (run.state, run.result, Some(created), run.finished_date)
        }
    };
    let (state, result, started, finished) = part;
    let outcome = match required(state, "the state")?.to_ascii_lowercase().as_str() {
        "notstarted" | "waiting" | "pending" => return ignored("it has not started"),
        "completed"
            if result
                .as_ref()
                .is_some_and(|result| result.eq_ignore_ascii_case("skipped")) =>
        {
            return ignored("it was skipped");
        }
        "completed" => outcome(result.as_deref()),
        _ => Outcome::Running,
    };
    // A stage has no times: without a start, all of its events are of one execution.
    one(outcome.of(notification, started, finished))
}

/// Returns the run's number in an address: `…?buildId=7`, `…/runs/7`.
fn id_in(address: &str) -> Option<String> {
    let (_, id) = address
        .split_once("buildId=")
        .or_else(|| address.split_once("/runs/"))?;
    let digits = id.split(|letter: char| !letter.is_ascii_digit()).next()?;
    (!digits.is_empty()).then(|| digits.to_owned())
}

/// Reads a result. In a partial success, and in a success with issues, all steps that failed were allowed to fail.
fn outcome(result: Option<&str>) -> Outcome {
    match result.unwrap_or_default().to_ascii_lowercase().as_str() {
        "succeeded" | "partiallysucceeded" => Outcome::Success,
        "failed" => Outcome::Failure,
        "canceled" | "stopped" | "rejected" => Outcome::Cancelled,
        _ => Outcome::Ended,
    }
}
