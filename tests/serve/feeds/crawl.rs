//! A crawl through everything, as a GoCD reader does it.

use pipefold_gocd::documents::Job;
use pipefold_gocd::mapping::{Revisions, RunHistory, StageRun};
use pipefold_gocd::{Dialect, read};

use crate::feeds::site::Site;

/// The beginning of a dialect's addresses.
pub fn api(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Old => "/go/api",
        Dialect::New => "/go/api/feed",
    }
}

/// Every run that the feeds lead to.
pub fn crawl(site: &mut Site, dialect: Dialect) -> Vec<RunHistory> {
    let list = read::pipelines(&site.document(&format!("{}/pipelines.xml", api(dialect)))).unwrap();
    let mut found = Vec::new();
    for listed in list.pipelines {
        let mut feed = read::feed(&site.follow(&listed.feed)).unwrap();
        let mut was_newest = true;
        loop {
            for entry in &feed.entries {
                let pipeline = read::pipeline(&site.follow(entry.pipeline_link().unwrap())).unwrap();
                let stage = read::stage(&site.follow(entry.stage_link().unwrap())).unwrap();
                let jobs: Vec<Job> = stage
                    .jobs
                    .iter()
                    .map(|job| read::job(&site.follow(job)).unwrap())
                    .collect();
                found.push(RunHistory {
                    run: entry.stage.pipeline.clone(),
                    pipeline: Some(pipeline),
                    revisions: match dialect {
                        Dialect::Old => Revisions::OfRun,
                        Dialect::New => Revisions::LatestKnown { was_newest },
                    },
                    stages: vec![StageRun {
                        jobs,
                        ..StageRun::from(&stage)
                    }],
                });
                was_newest = false;
            }
            let Some(next) = feed.next.clone() else { break };
            let before = feed.next_before();
            feed = read::feed(&site.follow(&next)).unwrap();
            assert!(
                feed.next_before().is_none_or(|next| Some(next) < before),
                "it goes on for ever"
            );
        }
    }
    found
}
