//! GitHub Actions: a composite action, and a job that always runs.

use serde_json::Value;

use crate::recipes::{Recipe, Script, Secrets, document, fill};

macro_rules! job {
    ($($more:expr),*) => {
        &[
            ("CI", "true"),
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_ACTOR", "mona"),
            ("GITHUB_EVENT_NAME", "push"),
            ("GITHUB_HEAD_REF", ""),
            ("GITHUB_REF", "refs/heads/main"),
            ("GITHUB_REF_NAME", "main"),
            ("GITHUB_REF_TYPE", "branch"),
            ("GITHUB_REPOSITORY", "getdx/some_repo"),
            ("GITHUB_RUN_ATTEMPT", "1"),
            ("GITHUB_RUN_ID", "1658821493"),
            ("GITHUB_RUN_NUMBER", "3"),
            ("GITHUB_SERVER_URL", "https://github.com"),
            ("GITHUB_SHA", super::COMMIT),
            ("GITHUB_TRIGGERING_ACTOR", "mona"),
            ("GITHUB_WORKFLOW", "build"),
            $($more),*
        ]
    };
}

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "GitHub Actions",
        jobs: [job!(("GITHUB_JOB", "build")), job!(("GITHUB_JOB", "report"))],
        start: |secrets| action(secrets, "/jobs/build/steps/1", "-"),
        end: |secrets, outcome| vec![action(secrets, "/jobs/report/steps/1", outcome.status())],
        tells_of_cancelling: true,
        needs: None,
    }
}

/// The report of a job's end.
pub fn end_of_job(secrets: &Secrets, status: &str) -> Script {
    action(secrets, "/jobs/build/steps/3", status)
}

/// The action, with what the workflow's step at this place gives it.
fn action(secrets: &Secrets, caller: &str, results: &str) -> Script {
    let (action, workflow) = (
        document("github-actions/action.yml"),
        document("github-actions/workflow.yml"),
    );
    let caller = workflow.pointer(caller).unwrap();
    assert_eq!(caller["uses"], "./.github/actions/pipefold");
    let [url, token] = secrets.or(["", ""]);
    // GitHub's own operators, which only it can run: the worst of the results.
    let worst = "${{ contains(needs.*.result, 'failure') && 'failure' || \
                 contains(needs.*.result, 'cancelled') && 'cancelled' || 'success' }}";
    let given = [
        (worst, results),
        ("${{ job.status }}", results),
        ("${{ secrets.DX_API_URL }}", url),
        ("${{ secrets.DX_API_TOKEN }}", token),
    ];
    let inputs = action["inputs"].as_object().unwrap().iter().map(|(name, input)| {
        let value = caller["with"][name].as_str().map(|value| fill(value, &given));
        let value = value.or_else(|| input["default"].as_str().map(str::to_owned));
        (
            format!("${{{{ inputs.{name} }}}}"),
            value.unwrap_or_else(|| panic!("{name} is not given")),
        )
    });
    let inputs: Vec<(String, String)> = inputs.collect();
    let inputs: Vec<(&str, &str)> = inputs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let step = &action["runs"]["steps"][0];
    let value = |value: &Value| fill(value.as_str().unwrap(), &inputs);
    let environment = step["env"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, text)| (name.clone(), value(text)));
    let script = Script::at(step, "/run").with_all(environment);
    // A value in the script would be code.
    assert!(!script.text.contains("${{"), "{}", script.text);
    script
}
