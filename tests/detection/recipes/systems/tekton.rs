//! Tekton: a task, and a pipeline with a finally task.

use super::COMMIT;
use super::argo::kubernetes;
use crate::recipes::{Outcome, Recipe, Script, Secrets, document, fill};

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Tekton",
        jobs: [&[], &[]],
        start: |secrets| task(secrets, "/spec/tasks/0", ""),
        end: |secrets, outcome| {
            if outcome == Outcome::Cancelled {
                return vec![];
            }
            vec![task(
                secrets,
                "/spec/finally/0",
                outcome.of(["Completed", "Failed", ""]),
            )]
        },
        tells_of_cancelling: false,
        needs: None,
    }
}

/// The task `pipefold`, with the parameters that the pipeline's task at this place gives it.
fn task(secrets: &Secrets, caller: &str, status: &str) -> Script {
    let (task, pipeline) = (document("tekton/task.yaml"), document("tekton/pipeline.yaml"));
    let caller = pipeline.pointer(caller).unwrap();
    assert_eq!(caller["taskRef"]["name"], "pipefold");
    let context = [
        ("$(tasks.status)", status),
        ("$(context.pipeline.name)", "build"),
        ("$(context.pipelineRun.namespace)", "ci"),
        ("$(context.pipelineRun.name)", "build-run-8w2lq"),
        ("$(context.pipelineRun.uid)", "8f6b6b4e-1ad5-4f3b-8f6b-2f8f1f6f3c11"),
        ("$(params.repository)", "getdx/some_repo"),
        ("$(params.commit)", COMMIT),
    ];
    let given = |name: &str| {
        let given = caller["params"]
            .as_array()
            .unwrap()
            .iter()
            .find(|param| param["name"] == name)?;
        Some(fill(given["value"].as_str().unwrap(), &context))
    };
    let declared = task["spec"]["params"].as_array().unwrap();
    let params: Vec<(String, String)> = declared
        .iter()
        .map(|param| {
            let name = param["name"].as_str().unwrap();
            let default = param["default"].as_str().map(str::to_owned);
            let value = given(name).or(default).unwrap_or_else(|| panic!("{name} is not given"));
            (format!("$(params.{name})"), value)
        })
        .collect();
    let table: Vec<(&str, &str)> = params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let environment = kubernetes(task.pointer("/spec/steps/0/env").unwrap(), secrets, &table);
    Script::at(&task, "/spec/steps/0/script").with_all(environment)
}
