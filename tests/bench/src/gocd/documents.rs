//! Documents as servers send them.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use gocd_standin::{Generation, History, Server, Shape};
use pipefold_gocd::read::{Document, read};
use pipefold_gocd::{Dialect, Resource};

/// Every document of a server with some pipelines, in both dialects that are read: feeds, runs, stages and jobs in the shares in which a
/// reader meets them.
pub(super) fn all() -> Result<Vec<Vec<u8>>> {
    let shape = Shape {
        pipelines: 10,
        runs: 20..=20,
        ..Shape::default()
    };
    let history = History::generate(1, &shape);
    let mut documents = Vec::new();
    for (generation, dialect) in [(Generation::Old, Dialect::Old), (Generation::New, Dialect::New)] {
        let server = Server::new(history.clone(), generation);
        let (mut seen, mut open) = (BTreeSet::new(), vec![Resource::Pipelines(dialect)]);
        while let Some(resource) = open.pop() {
            let path = format!("/go{}", resource.path());
            if !seen.insert(path.clone()) {
                continue;
            }
            let answer = server.answer(&path, &[]);
            ensure!(answer.status == 200, "{path} answered {}", answer.status);
            open.extend(linked(&answer.body).with_context(|| path)?);
            documents.push(answer.body);
        }
    }
    Ok(documents)
}

/// The links of a document.
fn linked(body: &[u8]) -> Result<Vec<Resource>> {
    Ok(match read(body)? {
        Document::Pipelines(list) => list
            .pipelines
            .iter()
            .filter_map(|listed| listed.feed.resource())
            .collect(),
        Document::Feed(feed) => {
            let runs = feed
                .entries
                .iter()
                .filter_map(|entry| entry.pipeline_link()?.resource());
            runs.chain(feed.next.as_ref().and_then(|next| next.resource()))
                .collect()
        }
        Document::Pipeline(pipeline) => pipeline.stage_resources(),
        Document::Stage(stage) => stage.job_resources(),
        _ => Vec::new(),
    })
}
