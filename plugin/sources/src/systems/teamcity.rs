//! TeamCity's own webhooks ("TeamCity Webhooks" in its documentation), whose payload is a build of its REST API.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, ignored, one, required};
use crate::loose::{Id, List, fields};
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{
    branch, commit, host, name_person, number_of, number_of_ref, pull_request_of_ref, repository_at, server,
};

pub(super) const TEAMCITY: System = System {
    name: "teamcity",
    translate,
};

fields! {
    #[serde(rename_all = "camelCase")]
    Body {
        event_type: String,
        payload: Build,
    }

    #[serde(rename_all = "camelCase")]
    Build {
        id: Id,
        build_type_id: String,
        status: String,
        branch_name: String,
        web_url: String,
        start_date: Moment,
        finish_date: Moment,
        canceled_info: Canceled,
        build_type: BuildType,
        triggered: Triggered,
        revisions: Revisions,
        /// The build's own parameters.
        properties: Properties,
        /// All parameters, where the operator has added them to the payload.
        resulting_properties: Properties,
    }

    Canceled { timestamp: Moment, }

    #[serde(rename_all = "camelCase")]
    BuildType {
        id: String,
        name: String,
        project_name: String,
    }

    Triggered { user: User, }

    User { email: String, }

    Revisions { revision: List<Revision>, }

    #[serde(rename_all = "camelCase")]
    Revision {
        version: String,
        vcs_branch_name: String,
        #[serde(rename = "vcs-root-instance")]
        root: Root,
    }

    Root {
        name: String,
        properties: Properties,
    }

    Properties { property: List<Property>, }

    Property {
        name: String,
        value: String,
    }
}

impl Properties {
    fn get(&self, name: &str) -> Option<String> {
        let List(all) = self.property.as_ref()?;
        let found = all.iter().find(|property| property.name.as_deref() == Some(name))?;
        found.value.clone()
    }
}

fn translate(event: &Event<'_>) -> Translated {
    let body: Body = event.fields()?;
    let kind = required(body.event_type, "eventType")?;
    if !matches!(kind.as_str(), "BUILD_STARTED" | "BUILD_FINISHED" | "BUILD_INTERRUPTED") {
        return ignored(format!("the event {kind} is neither the start nor the end of a build"));
    }
    let mut build = required(body.payload, "payload")?;
    let run = run(&mut build)?;
    let started = required(build.start_date, "payload.startDate")?;
    let cancelled = build.canceled_info;
    // A build that starts has the status SUCCESS already.
    let outcome = match (kind.as_str(), build.status.as_deref()) {
        ("BUILD_STARTED", _) => Outcome::Running,
        // No BUILD_FINISHED follows.
        ("BUILD_INTERRUPTED", _) => Outcome::Cancelled,
        (_, Some("SUCCESS")) => Outcome::Success,
        (_, Some("FAILURE" | "ERROR")) => Outcome::Failure,
        _ if cancelled.is_some() => Outcome::Cancelled,
        _ => Outcome::Ended,
    };
    let stopped = cancelled.and_then(|cancelled| cancelled.timestamp);
    let finished = build.finish_date.or(stopped);
    let finished = finished.or_else(|| Moment::read(event.received_at()));
    one(outcome.of(run, Some(started), finished))
}

/// Returns the run, without its outcome.
fn run(build: &mut Build) -> Result<Notification, String> {
    let page = required(build.web_url.take(), "payload.webUrl")?;
    let server = server_of(&page).ok_or("payload.webUrl is not the page of a build")?;
    let id = required(build.id.take(), "payload.id")?.0;
    let of_type = build.build_type.take().unwrap_or_default();
    let configuration = required(build.build_type_id.take().or(of_type.id), "payload.buildTypeId")?;
    let name = required(of_type.name, "payload.buildType.name")?;
    let project = required(of_type.project_name, "payload.buildType.projectName")?;
    // A build's variable has the name alone, without those of the projects above.
    let above = [" / ", " :: "].iter().find_map(|mark| project.rsplit_once(mark));
    let project = above.map_or(project.as_str(), |(_, name)| name);
    let at = host(&server).ok_or("payload.webUrl has no server")?;
    let mut run = Notification {
        pipeline_name: Some(format!("{project} / {name}")),
        pipeline_source: Some("TeamCity".to_owned()),
        reference_id: Some(format!("teamcity/{at}/{configuration}/{id}")),
        // The form of the variable BUILD_URL.
        source_url: Some(format!("{server}/build/{id}")),
        ..Notification::default()
    };
    let user = build.triggered.take().and_then(|triggered| triggered.user);
    name_person(&mut run, user.and_then(|user| user.email));
    source(&mut run, build);
    Ok(run)
}

/// Adds the repository, commit and branch. Of several roots, as in a build, the logical branch alone is used.
fn source(run: &mut Notification, build: &mut Build) {
    let own = build.properties.take().unwrap_or_default();
    let all = build.resulting_properties.take().unwrap_or_default();
    let property = |name: &str| all.get(name).or_else(|| own.get(name));
    let revisions = build.revisions.take().and_then(|revisions| revisions.revision);
    let only = revisions.and_then(|List(all)| <[Revision; 1]>::try_from(all).ok());
    let (version, vcs_branch, root) = only.map_or((None, None, None), |[revision]| {
        (revision.version, revision.vcs_branch_name, revision.root)
    });
    let root = root.unwrap_or_default();
    let url = root.properties.and_then(|properties| properties.get("url"));
    // A root has the name `URL#refs/heads/main` unless it is given another.
    let address = property("vcsroot.url").or(url).or(root.name);
    let address = address
        .as_deref()
        .map(|address| address.split('#').next().unwrap_or_default());
    run.repository = repository_at(address);

    let logical = build.branch_name.take().filter(|name| name != "<default>");
    let name = vcs_branch.or(logical);
    let given = number_of(property("teamcity.pullRequest.number").map(Id));
    run.pr_number = given.or_else(|| number_of_ref(name.as_deref()?));
    let is_pr = run.pr_number.is_some();
    let is_head = || Some(!pull_request_of_ref(name.as_deref()?)?.is_merge);
    let is_merge = is_pr && is_head() != Some(true);
    run.commit_sha = commit(version.filter(|_| !is_merge));
    let of_pull_request = property("teamcity.pullRequest.source.branch");
    run.head_branch = branch(of_pull_request.or(name.filter(|_| !is_pr)), None);
}

/// Returns the server of a page of a build, in the forms of old and new pages.
fn server_of(page: &str) -> Option<String> {
    let marks = ["/buildConfiguration/", "/viewLog.html", "/viewQueued.html", "/build/"];
    let end = marks.iter().find_map(|mark| page.rfind(mark))?;
    server(page.get(..end)?)
}
