//! Bitbucket Cloud: `repo:commit_status_created` and `repo:commit_status_updated` ("Event payloads" in its documentation).
//!
//! Pipelines gives the commit a status for each run, whose page has the run's number. Other systems give statuses too: those are runs of their own,
//! named after the status, since the delivery does not say which system's they are. Jobs have no events; the traces of Pipelines
//! (`pipeline:span_created`) do not name the repository.

use super::System;
use crate::Notification;
use crate::event::{Event, Translated, ignored, one, other_event, required};
use crate::loose::fields;
use crate::outcome::Outcome;
use crate::time::Moment;
use crate::values::{branch, commit, host, page, path_segment, repository_at, sound};

pub(super) const BITBUCKET: System = System {
    name: "bitbucket",
    translate,
};

fields! {
    Body {
        commit_status: Status,
        repository: Repository,
    }

    Status {
        key: String,
        state: String,
        url: String,
        refname: String,
        created_on: Moment,
        updated_on: Moment,
        commit: Commit,
    }

    Commit { hash: String, }

    Repository {
        full_name: String,
        links: Links,
    }

    Links { html: Link, }

    Link { href: String, }
}

fn translate(event: &Event<'_>) -> Translated {
    let kind = event.header("x-event-key").filter(|kind| !kind.is_empty());
    if let Some(other) = kind.filter(|kind| !kind.starts_with("repo:commit_status_")) {
        return other_event(other);
    }
    let body: Body = event.fields()?;
    if kind.is_none() && body.commit_status.is_none() {
        return ignored("it is about no status of a commit");
    }
    let status = required(body.commit_status, "commit_status")?;
    let outcome = match status.state.as_deref() {
        Some("INPROGRESS") => Outcome::Running,
        Some("SUCCESSFUL") => Outcome::Success,
        Some("FAILED") => Outcome::Failure,
        Some("STOPPED") => Outcome::Cancelled,
        _ => return Err("commit_status.state is missing or not documented".to_owned()),
    };
    let repository = required(body.repository, "repository")?;
    let full_name = required(sound(repository.full_name), "repository.full_name")?;
    let home = repository.links.and_then(|links| links.html?.href);
    // Bitbucket Cloud's repositories have their name alone in DX.
    let own_name = full_name.rsplit('/').next().map(str::to_owned);
    let name = repository_at(home.as_deref()).or(own_name);
    let address = required(status.url, "commit_status.url")?;
    let known = match pipeline_number(&address, &full_name) {
        Some(number) => Notification {
            pipeline_name: Some(full_name.clone()),
            pipeline_source: Some("Bitbucket Pipelines".to_owned()),
            reference_id: Some(format!("bitbucket/{full_name}/{number}")),
            source_url: Some(format!(
                "https://bitbucket.org/{}/addon/pipelines/home#!/results/{number}",
                path_segment(&full_name)
            )),
            ..Notification::default()
        },
        None => of_another_system(status.key, &address, &full_name)?,
    };
    let started = required(status.created_on, "commit_status.created_on")?;
    let notification = Notification {
        repository: name,
        commit_sha: commit(status.commit.and_then(|commit| commit.hash)),
        head_branch: branch(status.refname, None),
        ..known
    };
    one(outcome.of(notification, Some(started), status.updated_on))
}

/// Returns the number of the run in the address of a pipeline: `…/acme/shop/addon/pipelines/home#!/results/4` and `…/acme/shop/pipelines/results/4`.
fn pipeline_number(address: &str, full_name: &str) -> Option<u64> {
    let path = address
        .strip_prefix("https://bitbucket.org/")?
        .strip_prefix(full_name)?;
    let path = path
        .strip_prefix("/addon")
        .unwrap_or(path)
        .strip_prefix("/pipelines/")?;
    let number = path.split_once("results/")?.1;
    let end = number
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(number.len());
    number.get(..end)?.parse().ok()
}

/// Returns a run of another system, by the key that it gave the status and the page of its run.
fn of_another_system(key: Option<String>, address: &str, full_name: &str) -> Result<Notification, String> {
    let key = required(sound(key), "commit_status.key")?;
    let page = page(Some(address.to_owned())).ok_or("commit_status.url is not the address of a page")?;
    let run = host(&page).ok_or("commit_status.url is not the address of a page")?;
    Ok(Notification {
        pipeline_name: Some(format!("{full_name} / {key}")),
        pipeline_source: Some("Bitbucket commit status".to_owned()),
        reference_id: Some(format!("bitbucket/{full_name}/{key}/{run}")),
        source_url: Some(page),
        ..Notification::default()
    })
}
