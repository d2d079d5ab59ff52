//! The captured crawl of a pipeline against a table of its runs that was made by hand.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::Path;

use pipefold_gocd::mapping::*;
use pipefold_gocd::{Href, Resource, read};
use pipefold_sandbox::Notification;
use support::{captured, mapping, now};

/// The crawl, as a client would put it together.
fn crawl(root: &Path) -> Vec<RunHistory> {
    let read_at = |resource: &Resource| std::fs::read(root.join("go").join(&resource.path()[1..])).unwrap();
    let of = |href: &Href| read_at(&href.resource().unwrap());
    let feed = read::feed(&std::fs::read(root.join("go/api/pipelines/defaultPipeline/stages.xml")).unwrap()).unwrap();
    let mut runs: Vec<RunHistory> = Vec::new();
    for entry in &feed.entries {
        let stage = read::stage(&of(entry.stage_link().unwrap())).unwrap();
        assert_eq!(stage.locator(), entry.stage);
        let jobs = stage
            .job_resources()
            .iter()
            .map(|job| read::job(&read_at(job)).unwrap())
            .collect();
        let stage = StageRun {
            jobs,
            ..StageRun::from(&stage)
        };
        match runs.iter_mut().find(|run| run.run == entry.stage.pipeline) {
            Some(run) => run.stages.push(stage),
            None => runs.push(RunHistory {
                run: entry.stage.pipeline.clone(),
                pipeline: Some(read::pipeline(&of(entry.pipeline_link().unwrap())).unwrap()),
                revisions: Revisions::OfRun,
                stages: vec![stage],
            }),
        }
    }
    runs
}

#[test]
fn the_captured_crawl_gives_the_runs_of_the_table() {
    let test = "the_captured_crawl_gives_the_runs_of_the_table";
    let Some(root) = captured(test, "go-api-client/ordering") else {
        return;
    };
    // Counter, start, end of Units, end of PostBuild and of the run, commit.
    let table = [
        (
            5,
            "2012-10-29T08:08:08Z",
            "2012-10-29T08:08:43Z",
            "2012-10-29T08:09:11Z",
            "53fd6b7cc1d95f8d198b3e52fc0f3755e12ff0de",
        ),
        (
            4,
            "2012-10-26T05:52:10Z",
            "2012-10-26T05:52:51Z",
            "2012-10-26T05:53:19Z",
            "48ce81580ecb6ab8d1c7933087f85466c23c16c0",
        ),
        (
            3,
            "2012-10-23T08:46:07Z",
            "2012-10-23T08:46:42Z",
            "2012-10-23T08:47:11Z",
            "50d153db238600bb4474ecca69e45c408cadfccb",
        ),
        (
            2,
            "2012-10-19T15:18:09Z",
            "2012-10-19T15:18:50Z",
            "2012-10-19T15:19:18Z",
            "eb37d12dfcf3781148f9d155b7ae8fd372669e3d",
        ),
        (
            1,
            "2012-10-17T09:46:08Z",
            "2012-10-17T09:47:19Z",
            "2012-10-17T09:47:47Z",
            "fed1b0c09dffc299f5a7ff51223cacaceb7cd453",
        ),
    ];
    let runs = crawl(&root);
    assert_eq!(runs.len(), table.len());
    for (run, (counter, started, between, finished, commit)) in runs.iter().zip(table) {
        let text = |text: &str| Some(text.to_owned());
        let bare = Notification {
            pipeline_name: text("defaultPipeline"),
            pipeline_source: text("GoCD"),
            reference_id: Some(format!("gocd/go-server.2.project/defaultPipeline/{counter}")),
            ..Notification::default()
        };
        let start = Notification {
            started_at: text(started),
            status: text("running"),
            // `anonymous` let it go: nobody is known by that.
            email: None,
            repository: text("ThoughtWorksInc/go_saas_trigger"),
            commit_sha: text(commit),
            head_branch: text("master"),
            source_url: Some(format!(
                "https://ci.example.com/go/pipelines/value_stream_map/defaultPipeline/{counter}"
            )),
            ..bare.clone()
        };
        let step = |name: &str, began: &str, ended: &str| Notification {
            step: text(name),
            started_at: text(began),
            finished_at: text(ended),
            status: text("success"),
            ..bare.clone()
        };
        let expected = Attempt {
            number: 1,
            reference_id: bare.reference_id.clone().unwrap(),
            steps: vec![step("Units", started, between), step("PostBuild", between, finished)],
            finish: Some(Notification {
                status: text("success"),
                finished_at: text(finished),
                ..start.clone()
            }),
            start,
        };
        assert_eq!(
            mapping().map(run, now()),
            Mapped {
                attempts: vec![expected],
                warnings: vec![]
            }
        );
        assert!(!run.is_open(now()));
    }
}
