//! Azure Pipelines: a template of steps and one of jobs.

use crate::recipes::{Recipe, Script, Secrets, document, fill};

const RUN: [(&str, &str); 16] = [
    ("TF_BUILD", "True"),
    ("BUILD_BUILDID", "4711"),
    ("BUILD_BUILDNUMBER", "20250101.3"),
    ("BUILD_DEFINITIONNAME", "some_repo"),
    ("BUILD_REASON", "IndividualCI"),
    ("BUILD_REPOSITORY_NAME", "getdx/some_repo"),
    ("BUILD_REPOSITORY_PROVIDER", "GitHub"),
    ("BUILD_REPOSITORY_URI", "https://github.com/getdx/some_repo"),
    ("BUILD_SOURCEBRANCH", "refs/heads/main"),
    ("BUILD_SOURCEVERSION", super::COMMIT),
    ("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "https://dev.azure.com/getdx/"),
    ("SYSTEM_TEAMFOUNDATIONSERVERURI", "https://dev.azure.com/getdx/"),
    ("SYSTEM_TEAMPROJECT", "some project"),
    ("SYSTEM_STAGEATTEMPT", "1"),
    ("SYSTEM_STAGENAME", "__default"),
    ("SYSTEM_TEAMPROJECTID", "c1c1d2a9-6a2e-4f5b-9d57-0d9d3bb2c001"),
];

const BUILD: [(&str, &str); 3] = [
    ("SYSTEM_JOBATTEMPT", "1"),
    ("SYSTEM_JOBDISPLAYNAME", "build"),
    ("SYSTEM_JOBID", "12f1170f-54f2-53f3-20dd-22fc7dff55f9"),
];

const REPORT: [(&str, &str); 3] = [
    ("SYSTEM_JOBATTEMPT", "1"),
    ("SYSTEM_JOBDISPLAYNAME", "Report to DX"),
    ("SYSTEM_JOBID", "5f3d2b8e-9b0a-5c7d-8e1f-0a2b4c6d8e0f"),
];

/// Its scripts, and their places in a run.
pub fn recipe() -> Recipe {
    Recipe {
        source: "Azure Pipelines",
        jobs: [&const { joined(BUILD) }, &const { joined(REPORT) }],
        start: |secrets| step(secrets, "azure-pipelines/pipefold-start.yml", "/steps/0"),
        end: |secrets, outcome| {
            // The last of them decides.
            let result = outcome.of(["SucceededWithIssues", "Failed", "Canceled"]);
            let file = "azure-pipelines/pipefold-finish.yml";
            let names = result_variables();
            let (last, others) = names.split_last().unwrap();
            let script = step(secrets, file, "/jobs/0/steps/1").with(last, result);
            vec![script.with_all(others.iter().map(|name| (name.clone(), "Succeeded")))]
        },
        tells_of_cancelling: true,
        needs: None,
    }
}

const fn joined(job: [(&'static str, &'static str); 3]) -> [(&'static str, &'static str); 19] {
    let mut all = [("", ""); 19];
    let mut i = 0;
    while i < 19 {
        all[i] = if i < 16 { RUN[i] } else { job[i - 16] };
        i += 1;
    }
    all
}

/// A step, with the variables that it maps. Azure leaves one that does not exist as it is written.
fn step(secrets: &Secrets, file: &str, pointer: &str) -> Script {
    let names = ["$(DX_API_URL)", "$(DX_API_TOKEN)"];
    let [url, token] = secrets.or(names);
    let file = document(file);
    let env = file.pointer(&format!("{pointer}/env")).unwrap().as_object().unwrap();
    let value = |text: &str| fill(text, &[(names[0], url), (names[1], token)]);
    let environment = env
        .iter()
        .map(|(name, text)| (name.clone(), value(text.as_str().unwrap())));
    Script::at(&file, &format!("{pointer}/bash")).with_all(environment)
}

/// The step that begins, in this stage and attempt.
pub fn start_in(secrets: &Secrets, stage: &str, attempt: &str) -> Script {
    let start = step(secrets, "azure-pipelines/pipefold-start.yml", "/steps/0");
    start
        .with("SYSTEM_STAGENAME", stage)
        .with("SYSTEM_STAGEATTEMPT", attempt)
}

/// The last stage in this attempt, with what became of the jobs of azure-pipelines-stages.yml.
pub fn finish_stages(secrets: &Secrets, attempt: &str, results: [&str; 2]) -> Script {
    let (template, pipeline) = (
        document("azure-pipelines/pipefold-finish-stages.yml"),
        document("azure-pipelines/azure-pipelines-stages.yml"),
    );
    let stage = &template["stages"][0];
    let each = &stage["jobs"][0]["variables"][0]["${{ each stage in parameters.stages }}"][0]["${{ each job in stage.jobs }}"]
        [0];
    assert_eq!(
        each["value"],
        "$[ stageDependencies.${{ stage.stage }}.${{ job }}.result ]"
    );
    assert_eq!(stage["condition"], "always()");
    let script = step(
        secrets,
        "azure-pipelines/pipefold-finish-stages.yml",
        "/stages/0/jobs/0/steps/1",
    )
    .with("SYSTEM_STAGENAME", stage["stage"].as_str().unwrap())
    .with("SYSTEM_STAGEATTEMPT", attempt);
    let stages = pipeline["stages"][2]["parameters"]["stages"].as_array().unwrap().iter();
    let names = stages.flat_map(|stage| {
        let jobs = stage["jobs"].as_array().unwrap().iter();
        jobs.map(|job| {
            let table = [
                ("${{ stage.stage }}", stage["stage"].as_str().unwrap()),
                ("${{ job }}", job.as_str().unwrap()),
            ];
            fill(each["name"].as_str().unwrap(), &table).to_uppercase()
        })
    });
    let names: Vec<String> = names.collect();
    assert_eq!(names.len(), results.len());
    script.with_all(names.into_iter().zip(results))
}

/// The variables that the template's `each` makes of the jobs of azure-pipelines.yml. Azure hands variables to scripts in capitals.
fn result_variables() -> Vec<String> {
    let (template, pipeline) = (
        document("azure-pipelines/pipefold-finish.yml"),
        document("azure-pipelines/azure-pipelines.yml"),
    );
    let each = &template["jobs"][0]["variables"][0]["${{ each job in parameters.jobs }}"][0];
    assert_eq!(each["value"], "$[ dependencies.${{ job }}.result ]");
    let jobs = pipeline["jobs"][2]["parameters"]["jobs"].as_array().unwrap().iter();
    let name = each["name"].as_str().unwrap();
    jobs.map(|job| fill(name, &[("${{ job }}", job.as_str().unwrap())]).to_uppercase())
        .collect()
}
