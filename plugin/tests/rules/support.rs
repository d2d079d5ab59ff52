//! Notifications to start from.

pub use crate::generate::name;
use pipefold_plugin::{Job, Notification, Report, Run, Verdict, Violation};

/// The notification of DX's example request, without a status or a finish.
pub fn minimal() -> Notification {
    Notification {
        pipeline_name: Some("build_panda_finder".into()),
        pipeline_source: Some("Tekton".into()),
        reference_id: Some("AA713E04-1880-4E17-8C49-4A41733DAFCF".into()),
        started_at: Some("2025-01-01T12:05:00".into()),
        ..Notification::default()
    }
}

/// A notification that started at this time, with this status (none if empty).
pub fn at(time: &str, status: &str) -> Notification {
    Notification {
        started_at: Some(format!("2025-01-01T{time}")),
        status: Some(status.into()).filter(|_| !status.is_empty()),
        ..minimal()
    }
}

/// Such a notification of a step.
pub fn step_at(time: &str, status: &str) -> Notification {
    Notification {
        step: Some("lint".into()),
        ..at(time, status)
    }
}

/// The five rows of the table on DX's page, with the finish that its 11:46:67 must mean.
pub fn worked_example() -> Vec<Notification> {
    vec![
        at("11:25:18", "running"),
        at("11:25:21", "success"),
        at("11:24:40", "failure"),
        at("11:25:21", "running"),
        Notification {
            finished_at: Some("2025-01-01T11:46:07".into()),
            ..at("11:26:07", "success")
        },
    ]
}

/// The run that a verdict reports.
pub fn reported(verdict: Result<Verdict, Vec<Violation>>) -> Run {
    report(verdict).run
}

/// The report in a verdict.
pub fn report(verdict: Result<Verdict, Vec<Violation>>) -> Report {
    match verdict {
        Ok(Verdict::Report(report)) => report,
        other => panic!("not reported: {other:?}"),
    }
}

/// A run as a notification, as a gateway upserts it after folding its part.
pub fn upsert(run: Run) -> Notification {
    Notification {
        pipeline_name: Some(run.pipeline_name),
        pipeline_source: Some(run.pipeline_source),
        reference_id: Some(run.reference_id),
        started_at: Some(run.started_at),
        finished_at: run.finished_at,
        status: Some(name(run.status).into()),
        repository: run.repository,
        commit_sha: run.commit_sha,
        pr_number: run.pr_number,
        source_url: run.source_url,
        head_branch: run.head_branch,
        email: run.email,
        github_username: run.github_username,
        gitlab_username: run.gitlab_username,
        attributes: run.attributes,
        ..Notification::default()
    }
}

/// A report as notifications: the run, then each of its jobs.
pub fn upserts(report: Report) -> Vec<Notification> {
    let Report { run, jobs } = report;
    let of_run = upsert(run);
    let step = |job: Job| Notification {
        started_at: job.started_at,
        finished_at: job.finished_at,
        status: Some(name(job.status).into()),
        step: Some(job.name),
        step_id: Some(job.reference_id),
        ..of_run.clone()
    };
    let steps: Vec<Notification> = jobs.into_iter().map(step).collect();
    std::iter::once(of_run).chain(steps).collect()
}
