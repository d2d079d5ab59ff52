//! The recipes of `examples/ci`, one module of tests a system: their shell lines, taken out of the very files, run under the variables that the
//! system sets, with the real command and a stand-in for DX.

mod check;
mod document;
mod machines;
mod recipe;
mod reruns;
mod systems;

use document::{blocks, document, files, fill};
use machines::Machines;
use pipefold_tests::Ci;
use recipe::{Outcome, Recipe, Script, Secrets};

macro_rules! recipes {
    ($($system:ident),* $(,)?) => { $(
        mod $system {
            use super::{Outcome, check, systems::$system::recipe};

            #[test]
            fn a_run_that_passes_is_one_record_whatever_its_machines() {
                check::ends(&recipe(), Outcome::Success);
            }

            #[test]
            fn a_run_that_fails_is_a_failure_and_no_script_hides_it() {
                check::ends(&recipe(), Outcome::Failure);
            }

            #[test]
            fn a_cancelled_run_is_reported_where_the_system_reports_it() {
                check::cancelled(&recipe());
            }

            #[test]
            fn without_secrets_it_is_quiet_and_green() {
                check::without_secrets(&recipe());
            }

            #[test]
            fn without_the_command_it_is_green_with_a_warning() {
                check::without_the_command(&recipe());
            }

            #[test]
            fn without_dx_it_is_green_with_a_warning() {
                check::without_dx(&recipe());
            }

            #[test]
            fn its_shell_lines_are_sound() {
                check::syntax(&recipe());
            }
        }
    )*

    #[test]
    fn shellcheck_finds_nothing() {
        let is_installed = [$(systems::$system::recipe()),*].iter().all(check::shellcheck);
        if !is_installed {
            pipefold_tests::skipped("shellcheck_finds_nothing", "shellcheck is not installed");
        }
    } };
}

recipes!(
    argo,
    azure_pipelines,
    bitbucket,
    buildkite,
    circleci,
    codebuild,
    concourse,
    drone,
    github_actions,
    gitlab,
    gocd,
    jenkins,
    jenkins_plain,
    tekton,
    woodpecker,
);

#[test]
fn each_folder_has_a_page_of_at_most_forty_lines_and_is_tested() {
    let directory = files("");
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().replace('-', "_");
        assert!(
            include_str!("recipes.rs").contains(&format!("    {name},")),
            "{name} has no tests"
        );
        let page = std::fs::read_to_string(path.join("README.md")).unwrap();
        assert!(page.lines().count() <= 40, "{name}: {} lines", page.lines().count());
        let overview = std::fs::read_to_string(directory.join("README.md")).unwrap();
        let link = format!("({}/README.md)", path.file_name().unwrap().to_string_lossy());
        assert!(overview.contains(&link), "the overview has no link to {name}");
    }
}

#[test]
fn every_file_of_theirs_is_yaml() {
    let mut read = 0;
    for (path, _) in Ci::files(&files("")) {
        if path
            .extension()
            .is_some_and(|ending| ending == "yml" || ending == "yaml")
        {
            assert!(document(path.to_str().unwrap()).is_object(), "{}", path.display());
            read += 1;
        }
    }
    assert!(read >= 14, "{read}");
}

/// A resource of Concourse answers three requests; two of them have nothing to do.
#[test]
fn the_concourse_resource_finds_nothing_and_fetches_nothing() {
    if check::cannot_run(&systems::concourse::recipe()) {
        return;
    }
    let machines = Machines::new();
    for (name, answer) in [("check", "[]"), ("in", r#"{"version":{"build":"42"}}"#)] {
        let script = Script {
            text: blocks(&format!("concourse/{name}")).remove(0),
            stdin: r#"{"source":{},"version":{"build":"42"}}"#.to_owned(),
            ..Script::default()
        };
        let output = machines.run(&script, &[]);
        output.assert_code(0);
        let expected: serde_json::Value = serde_json::from_str(answer).unwrap();
        assert_eq!(output.json(), expected);
    }
    assert!(machines.ci.dx.requests().is_empty());
}

/// GitLab retries a job under the pipeline's id, on the same runner or another one.
#[test]
fn a_gitlab_job_that_passes_when_it_is_retried_is_green() {
    let machines = Machines::new();
    let secrets = Secrets::of(&machines.ci);
    let recipe = systems::gitlab::recipe();
    let [failed, passed] = ["failed", "success"].map(|status| systems::gitlab::after_script(&secrets, status));
    for script in [&(recipe.start)(&secrets), &failed, &(recipe.start)(&secrets), &passed] {
        machines.run_on(0, script, recipe.jobs[0]).assert_code(0);
        assert!(
            machines
                .ci
                .dx
                .upserts()
                .iter()
                .all(|upsert| upsert["status"] == "running")
        );
    }
    machines
        .run_on(0, &systems::gitlab::post(&secrets, "success"), recipe.jobs[1])
        .assert_code(0);
    assert_eq!(machines.record().status, "success");
}

/// Each job of a workflow is one in DX, from its start to its end.
#[test]
fn the_jobs_of_a_github_workflow_are_jobs_in_dx() {
    let machines = Machines::new();
    let secrets = Secrets::of(&machines.ci);
    let recipe = systems::github_actions::recipe();
    for (machine, (name, status)) in [("build", "success"), ("test", "failure")].into_iter().enumerate() {
        let end = systems::github_actions::end_of_job(&secrets, status);
        for script in [(recipe.start)(&secrets), end] {
            let temporary = machines.ci.directory().join(name);
            std::fs::create_dir_all(&temporary).unwrap();
            let script = script
                .with("GITHUB_JOB", name)
                .with("RUNNER_TEMP", temporary.to_str().unwrap());
            machines.run_on(machine, &script, recipe.jobs[0]).assert_code(0);
        }
        assert_eq!(machines.record().status, "running");
    }
    let finish = (recipe.end)(&secrets, Outcome::Failure).remove(0);
    machines.run_on(2, &finish, recipe.jobs[1]).assert_code(0);
    let record = machines.record();
    assert_eq!(record.status, "failure");
    let jobs = machines.ci.dx.jobs(&record.reference_id);
    let shown: Vec<_> = jobs
        .iter()
        .map(|job| (job.name.as_str(), job.status.as_str()))
        .collect();
    assert_eq!(shown, [("build", "success"), ("test", "failure")]);
    // Not compared as texts: these have no trailing zeros.
    let time = |text: &Option<String>| chrono::DateTime::parse_from_rfc3339(text.as_deref()?).ok();
    let has_times =
        |job: &dx_standin::Job| time(&job.started_at).is_some() && time(&job.started_at) <= time(&job.finished_at);
    assert!(jobs.iter().all(has_times), "{jobs:?}");
}

/// Each job of a GitLab pipeline is one in DX, wherever the job of the last stage runs: of one that was retried the last try.
#[test]
fn the_jobs_of_a_gitlab_pipeline_are_jobs_in_dx() {
    let machines = Machines::new();
    let secrets = Secrets::of(&machines.ci);
    let recipe = systems::gitlab::recipe();
    let ended = |status, name, started| {
        let script = systems::gitlab::after_script(&secrets, status);
        let script = script.with("CI_JOB_NAME", name).with("CI_JOB_STARTED_AT", started);
        machines.run_on(0, &script, recipe.jobs[0]).assert_code(0);
    };
    machines
        .run_on(0, &(recipe.start)(&secrets), recipe.jobs[0])
        .assert_code(0);
    ended("success", "build", "2025-01-31T12:00:00Z");
    ended("failed", "test 1/2", "2025-01-31T12:05:00Z");
    ended("success", "test 1/2", "2025-01-31T12:10:00Z");
    ended("failed", "lint", "2025-01-31T12:05:00Z");
    machines
        .run_on(1, &systems::gitlab::post(&secrets, "success"), recipe.jobs[1])
        .assert_code(0);
    let record = machines.record();
    assert_eq!(record.status, "success");
    let jobs = machines.ci.dx.jobs(&record.reference_id);
    let shown: Vec<_> = jobs
        .iter()
        .map(|job| (job.name.as_str(), job.status.as_str(), job.started_at.as_deref()))
        .collect();
    let expected = [
        ("build", "success", Some("2025-01-31T12:00:00Z")),
        ("test 1/2", "success", Some("2025-01-31T12:10:00Z")),
        ("lint", "failure", Some("2025-01-31T12:05:00Z")),
    ];
    assert_eq!(shown, expected);
    assert!(jobs.iter().all(|job| job.finished_at.is_some()), "{jobs:?}");
}

/// A Buildkite agent sources its hooks: one that exits would end the job, or hide how it ended.
#[test]
fn buildkite_hooks_neither_exit_nor_leave_variables_behind() {
    let machines = Machines::new();
    reruns::buildkite_agent(&machines);
    let recipe = systems::buildkite::recipe();
    for secrets in [Secrets::of(&machines.ci), Secrets::NONE] {
        let ends = (recipe.end)(&secrets, Outcome::Failure);
        for script in [(recipe.start)(&secrets)].into_iter().chain(ends) {
            let text = format!("set >before\n{}\nset >after\nexit 7", script.text);
            machines.run(&Script { text, ..script }, recipe.jobs[0]).assert_code(7);
            let variables = |name| {
                let all = std::fs::read_to_string(machines.ci.workspace().join(name)).unwrap();
                // The last word of the last command: the shell's own.
                let lines = all.lines().filter(|line| !line.starts_with("_="));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(variables("before"), variables("after"));
        }
    }
}

/// A Buildkite step that may fail, or is retried, is not the build's failure.
#[test]
fn a_buildkite_step_that_may_fail_does_not_make_the_build_red() {
    let machines = Machines::new();
    let secrets = Secrets::of(&machines.ci);
    let recipe = systems::buildkite::recipe();
    let tolerated = (recipe.end)(&secrets, Outcome::Failure)
        .remove(0)
        .with("DX_MAY_FAIL", "true");
    machines
        .run_on(0, &(recipe.start)(&secrets), recipe.jobs[0])
        .assert_code(0);
    machines.run_on(0, &tolerated, recipe.jobs[0]).assert_code(0);
    // Of another step than the one that speaks for all.
    let other = (recipe.end)(&secrets, Outcome::Success)
        .remove(0)
        .with("DX_LAST_STEP", "deploy");
    machines.run_on(0, &other, recipe.jobs[0]).assert_code(0);
    assert_eq!(machines.record().status, "running");
    let last = (recipe.end)(&secrets, Outcome::Success).remove(0);
    machines.run_on(0, &last, recipe.jobs[1]).assert_code(0);
    assert_eq!(machines.record().status, "success");
}

/// Tekton and Argo set no variables: what the recipe hands on is all there is.
#[test]
fn where_nothing_can_be_detected_the_recipe_names_the_commit() {
    for recipe in [systems::tekton::recipe(), systems::argo::recipe()] {
        let machines = Machines::new();
        machines
            .run(&(recipe.start)(&Secrets::of(&machines.ci)), recipe.jobs[0])
            .assert_code(0);
        let record = machines.record();
        assert_eq!(record.pipeline_name, "build");
        assert_eq!(record.get("repository"), Some("getdx/some_repo"));
        assert_eq!(record.get("commit_sha"), Some(systems::COMMIT));
    }
}
