//! The captured crawl of a pipeline against a table of its runs that was made by hand.

use std::path::PathBuf;

use crate::support::{captured, mapping, now};
use pipefold_gocd::client::{FetchError, Source};
use pipefold_gocd::documents::{Name, PipelineLocator};
use pipefold_gocd::sync::*;
use pipefold_gocd::{Dialect, Resource, ServerUrl};
use pipefold_sandbox::Notification;

/// A server that is a directory, and lists the one pipeline in it.
struct Directory(PathBuf);

impl Source for Directory {
    fn get(&self, resource: &Resource) -> Result<Vec<u8>, FetchError> {
        let path = match resource {
            Resource::Pipelines(Dialect::Old) => {
                let list =
                    r#"<pipelines><pipeline href="http://x/go/api/pipelines/defaultPipeline/stages.xml"/></pipelines>"#;
                return Ok(list.into());
            }
            Resource::StageFeed { before: Some(_), .. } => return Ok(b"<feed></feed>".into()),
            resource => self.0.join("go").join(&resource.path()[1..]),
        };
        std::fs::read(path).map_err(|_| FetchError::NotFound)
    }

    fn get_json(&self, _: &PipelineLocator) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::NotFound)
    }
}

/// A store that keeps nothing, so that every round is the first.
struct Nothing;

impl StateStore for Nothing {
    fn load(&self, _: &Name) -> Result<Option<PipelineState>, StateError> {
        Ok(None)
    }

    fn save(&self, _: &Name, _: &PipelineState) -> Result<(), StateError> {
        Ok(())
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        Ok(None)
    }

    fn save_server(&self, _: &ServerState) -> Result<(), StateError> {
        Ok(())
    }
}

#[derive(Default)]
struct Told(Vec<Reported>);

impl Sink for Told {
    fn take(&mut self, run: &Reported) -> Result<(), SinkError> {
        self.0.push(run.clone());
        Ok(())
    }
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
    let mut told = Told::default();
    let options = Options::new(ServerUrl::parse("http://go-server.2.project:8153").unwrap(), mapping());
    let done = Engine::new(&Directory(root), &Nothing, &mut told, &mut (), options)
        .round(now(), &|| false)
        .unwrap();
    assert!(done.failed.is_empty() && done.notices.is_empty(), "{done:?}");
    assert_eq!(told.0.len(), table.len());
    for (run, (counter, started, between, finished, commit)) in told.0.iter().zip(table) {
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
            // Approved by `anonymous`, which is no person.
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
        let expected = News {
            number: 1,
            reference_id: bare.reference_id.clone().unwrap(),
            // The end has all its fields.
            start: None,
            steps: vec![
                step("Units/Test", started, between),
                step("PostBuild/PostBuild", between, finished),
            ],
            finish: Some(Notification {
                status: text("success"),
                finished_at: text(finished),
                ..start
            }),
        };
        assert_eq!(run.attempts, [expected]);
    }
}
