//! Argo Workflows: a workflow template with an exit handler.

use serde_json::Value;

use super::COMMIT;
use crate::recipes::{Outcome, Recipe, Script, Secrets, document, fill};

const FILE: &str = "argo/workflow.yaml";

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Argo Workflows",
        jobs: [&[], &[]],
        start: |secrets| report(secrets, "/spec/templates/0/dag/tasks/0", "-"),
        end: |secrets, outcome| {
            if outcome == Outcome::Cancelled {
                return vec![];
            }
            let status = outcome.of(["Succeeded", "Failed", ""]);
            vec![report(secrets, "/spec/templates/2/steps/0/0", status)]
        },
        tells_of_cancelling: false,
        needs: None,
    }
}

/// The template `report`, as the caller at this place of the file fills it.
fn report(secrets: &Secrets, caller: &str, workflow_status: &str) -> Script {
    let file = document(FILE);
    let caller = file.pointer(caller).unwrap();
    assert_eq!(caller["template"], "report");
    let status = caller["arguments"]["parameters"][0]["value"].as_str().unwrap();
    let status = fill(status, &[("{{workflow.status}}", workflow_status)]);
    let table = [
        ("{{inputs.parameters.status}}", status.as_str()),
        ("{{workflow.namespace}}", "ci"),
        ("{{workflow.name}}", "build-x7k2p"),
        ("{{workflow.uid}}", "0b0f7f0e-6c61-4b44-9a8a-5b4b1a1f7a51"),
        ("{{workflow.creationTimestamp.RFC3339}}", "2025-01-01T12:05:00Z"),
        ("{{workflow.parameters.repository}}", "getdx/some_repo"),
        ("{{workflow.parameters.commit}}", COMMIT),
        ("{{workflow.parameters.branch}}", "main"),
    ];
    let template = "/spec/templates/3/script";
    let environment = kubernetes(file.pointer(&format!("{template}/env")).unwrap(), secrets, &table);
    Script::at(&file, &format!("{template}/source")).with_all(environment)
}

/// The variables of a container. Those from an optional secret that does not exist are not set.
pub fn kubernetes(env: &Value, secrets: &Secrets, table: &[(&str, &str)]) -> Vec<(String, String)> {
    let [url, token] = secrets.or(["", ""]);
    let value = |entry: &Value| match entry["valueFrom"]["secretKeyRef"].as_object() {
        None => Some(fill(entry["value"].as_str().unwrap(), table)),
        Some(secret) => {
            assert!(secret["optional"].as_bool().unwrap() && secret["name"] == "dx");
            let values = [("url", url), ("token", token)];
            let found = values.iter().find(|(key, _)| secret["key"] == **key).unwrap().1;
            secrets.values.is_some().then(|| found.to_owned())
        }
    };
    let entries = env.as_array().unwrap().iter();
    entries
        .filter_map(|entry| Some((entry["name"].as_str().unwrap().to_owned(), value(entry)?)))
        .collect()
}
