//! GoCD: tasks that run if others passed, failed or were cancelled.

use crate::recipes::{Outcome, Recipe, Script, Secrets, document};

macro_rules! job {
    ($($more:expr),*) => {
        &[
            ("GO_SERVER_URL", "https://gocd.example.com/go"),
            ("GO_PIPELINE_NAME", "build"),
            ("GO_PIPELINE_COUNTER", "42"),
            ("GO_PIPELINE_LABEL", "42"),
            ("GO_STAGE_COUNTER", "1"),
            ("GO_MATERIAL_URL", "https://git.example.com/getdx/some_repo.git"),
            ("GO_MATERIAL_BRANCH", "main"),
            ("GO_REVISION", super::COMMIT),
            ("GO_TRIGGER_USER", "changes"),
            $($more),*
        ]
    };
}

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "GoCD",
        jobs: [
            job!(("GO_STAGE_NAME", "build"), ("GO_JOB_NAME", "build")),
            job!(("GO_STAGE_NAME", "test"), ("GO_JOB_NAME", "test")),
        ],
        start: |secrets| exec(secrets, "/0", None),
        end: |secrets, outcome| match outcome {
            Outcome::Success => vec![exec(secrets, "/3", Some("passed"))],
            Outcome::Failure => vec![exec(secrets, "/2", Some("failed"))],
            Outcome::Cancelled => vec![exec(secrets, "/1/exec/on_cancel", None)],
        },
        tells_of_cancelling: true,
        needs: None,
    }
}

/// A task of the last stage.
fn exec(secrets: &Secrets, task: &str, run_if: Option<&str>) -> Script {
    let file = document("gocd/build.gocd.yaml");
    let tasks = file.pointer("/pipelines/build/stages/1/test/jobs/test/tasks").unwrap();
    let exec = tasks.pointer(&format!("{task}/exec")).unwrap();
    assert_eq!(
        (exec["command"].as_str(), exec["arguments"][0].as_str()),
        (Some("sh"), Some("-c"))
    );
    assert_eq!(exec["run_if"].as_str(), run_if);
    Script::at(exec, "/arguments/1").with_all(secrets.variables())
}
