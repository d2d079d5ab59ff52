//! DX's records when a run, or a part of it, is run again: no record is left running, none is red for a re-run that was green, and none is split.
//!
//! Each test is a story of one system: which job runs in which attempt, and how it ends. All machines share the directory that they run in,
//! as jobs share artifacts, a cache or a build's meta-data.

use std::os::unix::fs::PermissionsExt;

use super::systems::{azure_pipelines, bitbucket, buildkite, circleci, codebuild, github_actions, gitlab, jenkins};
use super::{Machines, Outcome, Recipe, Script, Secrets};

/// A DX, and a system that runs jobs.
struct Story {
    machines: Machines,
    secrets: Secrets,
    recipe: Recipe,
}

impl Story {
    fn of(recipe: Recipe) -> Self {
        let machines = Machines::new();
        let secrets = Secrets::of(&machines.ci);
        Self {
            machines,
            secrets,
            recipe,
        }
    }

    /// Runs a script in the recipe's first or second job.
    fn run(&self, job: usize, script: &Script) {
        let output = self.machines.run(script, self.recipe.jobs[job]);
        output.assert_code(0);
        assert_eq!(output.stderr(), "", "{output}");
    }

    fn start(&self) -> Script {
        (self.recipe.start)(&self.secrets)
    }

    /// The script of the last job. Recipes with several scripts there end with the one that reports the status of the run.
    fn end(&self, outcome: Outcome) -> Script {
        (self.recipe.end)(&self.secrets, outcome).pop().unwrap()
    }

    /// The records, by the ends of their ids: how each went. All have ended.
    fn ended(&self, expected: &[(&str, &str)]) {
        let records = self.machines.ci.dx.records();
        for record in records.values() {
            assert!(record.finished_at.is_some(), "left running: {record:?}");
        }
        let found = records.iter().map(|(id, record)| (id.as_str(), record.status.as_str()));
        let found: Vec<(&str, &str)> = found.collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((id, status), (end, wanted)) in found.iter().zip(expected) {
            assert!(id.ends_with(end) && status == wanted, "{found:?}, not {expected:?}");
        }
    }

    /// The status of this record while it has no finish.
    fn is_running(&self, end: &str) {
        let records = self.machines.ci.dx.records();
        let (_, record) = records.iter().find(|(id, _)| id.ends_with(end)).unwrap();
        assert_eq!(
            (record.status.as_str(), &record.finished_at),
            ("running", &None),
            "{record:?}"
        );
    }
}

mod github {
    use super::*;

    fn attempt(script: &Script, number: &str) -> Script {
        script.clone().with("GITHUB_RUN_ATTEMPT", number)
    }

    #[test]
    fn whole() {
        let story = Story::of(github_actions::recipe());
        for (number, outcome) in [("1", Outcome::Failure), ("2", Outcome::Success)] {
            story.run(0, &attempt(&story.start(), number));
            story.run(1, &attempt(&story.end(outcome), number));
        }
        story.ended(&[("/1658821493/1", "failure"), ("/1658821493/2", "success")]);
    }

    /// Also one job alone: `report` needs it, and so runs again.
    #[test]
    fn failed_jobs() {
        let story = Story::of(github_actions::recipe());
        story.run(0, &attempt(&story.start(), "1"));
        story.run(1, &attempt(&story.end(Outcome::Failure), "1"));
        story.run(1, &attempt(&story.end(Outcome::Failure), "2"));
        story.run(1, &attempt(&story.end(Outcome::Success), "3"));
        story.ended(&[("/1", "failure"), ("/2", "failure"), ("/3", "success")]);
    }
}

mod gitlab_ci {
    use super::*;

    #[test]
    fn whole() {
        let story = Story::of(gitlab::recipe());
        for (id, outcome) in [("1000042", Outcome::Failure), ("1000043", Outcome::Success)] {
            story.run(0, &story.start().with("CI_PIPELINE_ID", id));
            story.run(1, &story.end(outcome).with("CI_PIPELINE_ID", id));
        }
        story.ended(&[("/1000042", "failure"), ("/1000043", "success")]);
    }

    #[test]
    fn failed_jobs_by_hand() {
        let story = Story::of(gitlab::recipe());
        let job = |status| {
            story.run(0, &story.start());
            story.run(0, &gitlab::after_script(&story.secrets, status));
        };
        job("failed");
        story.run(1, &gitlab::post(&story.secrets, "failure"));
        // GitLab does not run a job of `.post` again that passed.
        job("failed");
        story.ended(&[("/1000042", "failure")]);
        job("success");
        story.run(1, &gitlab::post(&story.secrets, "success"));
        story.ended(&[("/1000042", "failure"), ("/1000042/2", "success")]);
    }

    /// The jobs of `.post` that did not run before are run then.
    #[test]
    fn one_job_that_passed_and_fails_then() {
        let story = Story::of(gitlab::recipe());
        story.run(0, &story.start());
        story.run(0, &gitlab::after_script(&story.secrets, "success"));
        story.run(1, &gitlab::post(&story.secrets, "success"));
        story.run(0, &story.start());
        story.run(0, &gitlab::after_script(&story.secrets, "failed"));
        story.run(1, &gitlab::post(&story.secrets, "failure"));
        story.ended(&[("/1000042", "failure")]);
    }

    /// By the recipe's page.
    #[test]
    fn failed_jobs_by_hand_without_a_common_cache() {
        let story = Story::of(gitlab::recipe());
        story.run(0, &story.start());
        story.run(1, &gitlab::post(&story.secrets, "failure"));
        let mark = story.machines.ci.workspace().join("pipefold-failed-1000042");
        std::fs::remove_file(mark).unwrap();
        story.run(1, &gitlab::post(&story.secrets, "success"));
        story.ended(&[("/1000042", "failure")]);
    }

    /// A runner's directory is not emptied between pipelines where nothing is checked out.
    #[test]
    fn the_mark_of_another_pipeline_is_none() {
        let story = Story::of(gitlab::recipe());
        story.run(1, &gitlab::post(&story.secrets, "failure"));
        let other = gitlab::post(&story.secrets, "success").with("CI_PIPELINE_ID", "1000043");
        story.run(1, &other);
        story.ended(&[("/1000042", "failure"), ("/1000043", "success")]);
    }
}

mod bitbucket_pipelines {
    use super::*;

    /// A step of this name, in this run of it. Only the last one has the script that reports success. A container has what the steps before left,
    /// and not what an earlier run of its own did.
    fn step(story: &Story, name: &str, run: &str, exit_code: &str) {
        let left = story.machines.ci.workspace().join("pipefold-attempt").join(name);
        if left.exists() {
            std::fs::remove_file(left).unwrap();
        }
        let number = usize::from(name == "deploy");
        for script in [
            bitbucket::before(&story.secrets, number),
            bitbucket::after(&story.secrets, number, exit_code),
        ] {
            let script = script.with("BITBUCKET_STEP_UUID", name);
            story.run(0, &script.with("BITBUCKET_STEP_RUN_NUMBER", run));
        }
    }

    #[test]
    fn whole() {
        let story = Story::of(bitbucket::recipe());
        step(&story, "build", "1", "0");
        step(&story, "deploy", "1", "2");
        let other = |script: Script| {
            script
                .with("BITBUCKET_PIPELINE_UUID", "{9f}")
                .with("BITBUCKET_BUILD_NUMBER", "43")
        };
        std::fs::remove_dir_all(story.machines.ci.workspace().join("pipefold-attempt")).unwrap();
        story.run(0, &other(bitbucket::before(&story.secrets, 1)));
        story.run(0, &other(bitbucket::after(&story.secrets, 1, "0")));
        story.ended(&[("2f8f1f6f3c11/1", "failure"), ("/9f/1", "success")]);
    }

    #[test]
    fn one_step() {
        let story = Story::of(bitbucket::recipe());
        step(&story, "build", "1", "0");
        step(&story, "test", "1", "2");
        story.ended(&[("/1", "failure")]);
        step(&story, "test", "2", "0");
        story.ended(&[("/1", "failure")]);
        step(&story, "deploy", "1", "0");
        story.ended(&[("/1", "failure"), ("/2", "success")]);
    }

    #[test]
    fn the_last_step_after_another() {
        let story = Story::of(bitbucket::recipe());
        step(&story, "build", "1", "0");
        step(&story, "test", "1", "2");
        step(&story, "test", "2", "0");
        step(&story, "deploy", "1", "1");
        step(&story, "deploy", "2", "0");
        story.ended(&[("/1", "failure"), ("/2", "failure"), ("/3", "success")]);
    }

    #[test]
    fn failed_parallel_steps() {
        let story = Story::of(bitbucket::recipe());
        step(&story, "build", "1", "0");
        for name in ["unit", "lint"] {
            step(&story, name, "1", "2");
        }
        // They do not see what each other left.
        step(&story, "unit", "2", "0");
        story.ended(&[("/1", "failure")]);
        std::fs::remove_file(story.machines.ci.workspace().join("pipefold-attempt/unit")).unwrap();
        step(&story, "lint", "2", "0");
        step(&story, "deploy", "1", "0");
        story.ended(&[("/1", "failure"), ("/2", "success")]);
    }

    /// By the recipe's page.
    #[test]
    fn one_step_without_artifacts() {
        let story = Story::of(bitbucket::recipe());
        step(&story, "test", "1", "2");
        step(&story, "test", "2", "0");
        std::fs::remove_dir_all(story.machines.ci.workspace().join("pipefold-attempt")).unwrap();
        step(&story, "deploy", "1", "0");
        story.ended(&[("/1", "failure")]);
    }
}

mod azure {
    use super::*;

    #[test]
    fn whole() {
        let story = Story::of(azure_pipelines::recipe());
        for (build, outcome) in [("4711", Outcome::Failure), ("4712", Outcome::Success)] {
            story.run(0, &story.start().with("BUILD_BUILDID", build));
            story.run(1, &story.end(outcome).with("BUILD_BUILDID", build));
        }
        story.ended(&[("/4711/1", "failure"), ("/4712/1", "success")]);
    }

    /// Without stages: the first job passed and does not run again.
    #[test]
    fn failed_jobs() {
        let story = Story::of(azure_pipelines::recipe());
        story.run(0, &story.start());
        story.run(1, &story.end(Outcome::Failure));
        story.run(1, &story.end(Outcome::Success).with("SYSTEM_STAGEATTEMPT", "2"));
        story.ended(&[("/4711/1", "failure"), ("/4711/2", "success")]);
    }

    #[test]
    fn one_stage() {
        let story = Story::of(azure_pipelines::recipe());
        let finish = |attempt, results| {
            let script = azure_pipelines::finish_stages(&story.secrets, attempt, results);
            story.run(1, &script);
        };
        story.run(0, &azure_pipelines::start_in(&story.secrets, "build", "1"));
        story.is_running("/4711/1");
        finish("1", ["Succeeded", "Failed"]);
        // The stage `test` is run again, and the last one behind it.
        finish("2", ["Succeeded", "Succeeded"]);
        story.ended(&[("/4711/1", "failure"), ("/4711/2", "success")]);
    }

    /// The first stage has fewer attempts than the last one when it is run again.
    #[test]
    fn the_first_of_several_stages_after_another() {
        let story = Story::of(azure_pipelines::recipe());
        let finish = |attempt, results| {
            let script = azure_pipelines::finish_stages(&story.secrets, attempt, results);
            story.run(1, &script);
        };
        story.run(0, &azure_pipelines::start_in(&story.secrets, "build", "1"));
        finish("1", ["Succeeded", "Failed"]);
        finish("2", ["Succeeded", "Canceled"]);
        story.run(0, &azure_pipelines::start_in(&story.secrets, "build", "2"));
        finish("3", ["Succeeded", "Succeeded"]);
        story.ended(&[("/1", "failure"), ("/2", "cancelled"), ("/3", "success")]);
    }
}

/// A `buildkite-agent` that keeps a build's meta-data in files.
pub fn buildkite_agent(machines: &Machines) {
    let file = machines.ci.directory().join("bin/buildkite-agent");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let script = r#"#!/bin/sh
case "$1 $2" in
  "meta-data get") cat ".meta-data-$3" 2>/dev/null || printf %s "$5" ;;
  "meta-data set") printf %s "$4" >".meta-data-$3" ;;
  *) exit 1 ;;
esac
"#;
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
}

mod buildkite_jobs {
    use super::*;

    fn story() -> Story {
        let story = Story::of(buildkite::recipe());
        buildkite_agent(&story.machines);
        story
    }

    /// A job of a pipeline whose last step is `deploy`: its step, which try of it this is, and how it ends.
    fn job(story: &Story, key: &str, tries: &str, outcome: Outcome) {
        for script in [story.start(), story.end(outcome)] {
            let script = script
                .with("BUILDKITE_STEP_KEY", key)
                .with("BUILDKITE_RETRY_COUNT", tries);
            story.run(0, &script.with("DX_LAST_STEP", "deploy"));
        }
    }

    #[test]
    fn whole() {
        let story = story();
        for (build, outcome) in [("01-a", Outcome::Failure), ("01-b", Outcome::Success)] {
            story.run(0, &story.start().with("BUILDKITE_BUILD_ID", build));
            story.run(0, &story.end(outcome).with("BUILDKITE_BUILD_ID", build));
        }
        story.ended(&[("/01-a", "failure"), ("/01-b", "success")]);
    }

    #[test]
    fn one_step() {
        let story = story();
        job(&story, "build", "0", Outcome::Success);
        story.is_running("/1");
        job(&story, "test", "0", Outcome::Failure);
        job(&story, "test", "1", Outcome::Success);
        story.ended(&[("/1", "failure")]);
        job(&story, "deploy", "0", Outcome::Success);
        story.ended(&[("/1", "failure"), ("/2", "success")]);
    }

    #[test]
    fn failed_jobs_and_the_last_step() {
        let story = story();
        for key in ["unit", "lint"] {
            job(&story, key, "0", Outcome::Failure);
        }
        for key in ["unit", "lint"] {
            job(&story, key, "1", Outcome::Success);
        }
        story.ended(&[("/1", "failure")]);
        job(&story, "deploy", "0", Outcome::Failure);
        job(&story, "deploy", "1", Outcome::Success);
        story.ended(&[("/1", "failure"), ("/2", "failure"), ("/3", "success")]);
    }

    /// Retried because its agent was lost, which reported nothing; or one whose failure was only noted.
    #[test]
    fn a_job_whose_failure_was_not_reported() {
        let story = story();
        story.run(0, &story.start().with("DX_LAST_STEP", "deploy"));
        job(&story, "test", "1", Outcome::Success);
        job(&story, "deploy", "0", Outcome::Success);
        story.ended(&[("/1", "success")]);
    }

    /// By the recipe's page.
    #[test]
    fn without_a_final_step_a_retried_failure_stays() {
        let story = story();
        story.run(0, &story.start());
        story.run(0, &story.end(Outcome::Failure));
        story.run(0, &story.start().with("BUILDKITE_RETRY_COUNT", "1"));
        story.run(0, &story.end(Outcome::Success).with("BUILDKITE_RETRY_COUNT", "1"));
        story.ended(&[("0c1d2e3f4a5b", "failure")]);
    }
}

mod others {
    use super::*;

    /// CircleCI: each re-run, also from the failed jobs, is a workflow of its own.
    #[test]
    fn circleci_whole_and_from_failed() {
        let story = Story::of(circleci::recipe());
        story.run(0, &story.start());
        story.run(1, &story.end(Outcome::Failure));
        let again = |script: Script| script.with("CIRCLE_WORKFLOW_ID", "c505edf1-8d7f-4e46-a447-be1a25e1a3b5");
        story.run(1, &again(story.start()));
        story.run(1, &again(story.end(Outcome::Success)));
        story.ended(&[
            ("/b505edf1-8d7f-4e46-a447-be1a25e1a3b5", "failure"),
            ("/c505edf1-8d7f-4e46-a447-be1a25e1a3b5", "success"),
        ]);
    }

    /// Jenkins: a rebuild begins at the first stage, a restart from a stage does not.
    #[test]
    fn jenkins_whole_and_from_a_stage() {
        let story = Story::of(jenkins::recipe());
        let build = |script: Script, number: &str| script.with("BUILD_NUMBER", number);
        story.run(0, &story.start());
        story.run(0, &story.end(Outcome::Failure));
        story.run(0, &build(story.start(), "43"));
        story.run(0, &build(story.end(Outcome::Failure), "43"));
        story.run(0, &build(story.end(Outcome::Success), "44"));
        story.ended(&[
            ("/main/42", "failure"),
            ("/main/43", "failure"),
            ("/main/44", "success"),
        ]);
    }

    /// Jenkins: a stage that is retried within its build is no other run.
    #[test]
    fn jenkins_one_stage_within_the_build() {
        let story = Story::of(jenkins::recipe());
        story.run(0, &story.start());
        story.run(0, &story.start());
        story.is_running("/main/42");
        story.run(0, &story.end(Outcome::Success));
        story.ended(&[("/main/42", "success")]);
    }

    /// CodeBuild: each build, also of a batch, has an id of its own.
    #[test]
    fn codebuild_whole_and_of_a_batch() {
        let story = Story::of(codebuild::recipe());
        let build = |script: Script, id: &str, identifier: &str| {
            let script = script.with("CODEBUILD_BUILD_ID", &format!("some_repo:{id}"));
            script.with("CODEBUILD_BATCH_BUILD_IDENTIFIER", identifier)
        };
        for (id, identifier, outcome) in [
            ("a", "linux", Outcome::Failure),
            ("b", "arm", Outcome::Success),
            ("c", "linux", Outcome::Success),
        ] {
            story.run(0, &build(story.start(), id, identifier));
            story.run(0, &build(story.end(outcome), id, identifier));
        }
        story.ended(&[("/a", "failure"), ("/b", "success"), ("/c", "success")]);
        let records = story.machines.ci.dx.records();
        let names: Vec<&str> = records.values().map(|record| record.pipeline_name.as_str()).collect();
        assert_eq!(names, ["some_repo / linux", "some_repo / arm", "some_repo / linux"]);
    }
}
