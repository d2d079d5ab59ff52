//! What DX must know in the end: the plugin's own fold, compiled natively, of what was accepted.

use pipefold_plugin::{Notification, Status, merge};
use serde_json::{Map, Value};

/// The record of a run, as DX names its fields, from its upserts.
pub fn fold<'a>(accepted: impl IntoIterator<Item = &'a Value>) -> Value {
    let history: Vec<Notification> = accepted.into_iter().map(notification).collect();
    let run = merge(&history).unwrap_or_else(|why| panic!("{history:?}: {why:?}"));
    let status = match run.status {
        Status::Unknown => "unknown",
        Status::Running => "running",
        Status::Success => "success",
        Status::Cancelled => "cancelled",
        Status::Failure => "failure",
    };
    let texts = [
        ("pipeline_name", Some(run.pipeline_name)),
        ("pipeline_source", Some(run.pipeline_source)),
        ("reference_id", Some(run.reference_id)),
        ("started_at", Some(run.started_at)),
        ("finished_at", run.finished_at),
        ("status", Some(status.to_owned())),
        ("source_url", run.source_url),
        ("head_branch", run.head_branch),
        ("email", run.email),
        ("github_username", run.github_username),
        ("gitlab_username", run.gitlab_username),
    ];
    let given = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?.into())));
    Value::Object(given.collect::<Map<_, _>>())
}

fn notification(upsert: &Value) -> Notification {
    let text = |name: &str| upsert[name].as_str().map(str::to_owned);
    Notification {
        pipeline_name: text("pipeline_name"),
        pipeline_source: text("pipeline_source"),
        reference_id: text("reference_id"),
        started_at: text("started_at"),
        finished_at: text("finished_at"),
        status: text("status"),
        source_url: text("source_url"),
        head_branch: text("head_branch"),
        email: text("email"),
        github_username: text("github_username"),
        gitlab_username: text("gitlab_username"),
        ..Notification::default()
    }
}

#[test]
fn the_fold_is_dxs_own_example() {
    // DX's page, "Usage info"; its last finish, 11:46:67, is no time of day.
    let starts = [
        ("11:25:18", "running"),
        ("11:25:21", "success"),
        ("11:24:40", "failure"),
        ("11:25:21", "running"),
        ("11:26:07", "success"),
    ];
    let upserts = starts.map(|(start, status)| {
        serde_json::json!({
            "pipeline_name": "p", "pipeline_source": "s", "reference_id": "r", "started_at": format!("2025-01-01T{start}Z"), "status": status,
        })
    });
    let folded = fold(&upserts);
    assert_eq!(
        (&folded["started_at"], &folded["status"]),
        (&"2025-01-01T11:24:40Z".into(), &"failure".into())
    );
    assert_eq!(folded.get("finished_at"), None);
}
