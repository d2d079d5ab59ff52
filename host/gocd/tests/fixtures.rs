//! Every captured document is read, or refused for a reason that is written down here.

use std::path::{Path, PathBuf};

use crate::support::captured;
use pipefold_gocd::read::{self, Document, ReadFault};
use pipefold_gocd::{Href, Resource};

fn documents(below: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            documents(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "xml") {
            into.push(path);
        }
    }
}

/// The reason why a captured document is refused, by its path.
fn refusal(path: &str) -> Option<fn(&ReadFault) -> bool> {
    let name = path.rsplit('/').next().unwrap();
    if path.starts_with("dialect-a/") {
        // Its entries are named by numbers without a relation to the run.
        Some(|fault| matches!(fault, ReadFault::TooOld))
    } else if name.contains("scheduled") || name == "job-plan.xml" {
        // A list of jobs that wait for an agent: no run is to be had from it that the feed does not have.
        Some(|fault| matches!(fault, ReadFault::UnknownRoot))
    } else {
        None
    }
}

#[test]
fn every_captured_document_is_read_or_refused_for_a_reason() {
    let Some(root) = captured("every_captured_document_is_read_or_refused_for_a_reason", "") else {
        return;
    };
    let mut paths = Vec::new();
    documents(&root, &mut paths);
    assert!(paths.len() > 50, "{}", paths.len());
    for path in paths {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let outcome = read::read(&std::fs::read(&path).unwrap());
        match (refusal(name), outcome) {
            (Some(expected), Err(error)) => assert!(expected(&error.fault), "{name}: {error}"),
            (Some(_), Ok(_)) => panic!("{name} was read"),
            (None, Err(error)) => panic!("{name}: {error}"),
            (None, Ok(document)) => sound(name, &document),
        }
    }
}

/// The fields that any document of the kind has.
fn sound(name: &str, document: &Document) {
    match document {
        Document::Pipelines(list) => assert!(list.self_link.is_some() && !list.pipelines.is_empty(), "{name}"),
        Document::Feed(feed) => {
            assert!(
                feed.id.is_some() && feed.updated.is_some() && feed.author.is_some(),
                "{name}"
            );
            for entry in &feed.entries {
                sound_entry(name, entry);
            }
        }
        Document::Entry(entry) => sound_entry(name, entry),
        Document::Pipeline(pipeline) => {
            assert!(pipeline.scheduled.is_some() && pipeline.urn.is_some(), "{name}");
            assert_eq!(pipeline.stage_resources().len(), pipeline.stages.len(), "{name}");
            assert!(!pipeline.stages.is_empty() && !pipeline.materials.is_empty(), "{name}");
        }
        Document::Stage(stage) => {
            assert!(stage.updated.is_some() && stage.approved_by.is_some(), "{name}");
            assert_eq!(stage.job_resources().len(), stage.jobs.len(), "{name}");
        }
        Document::Job(job) => {
            let link = job.self_link.as_ref().and_then(Href::resource);
            assert!(matches!(link, Some(Resource::JobById(_) | Resource::Job(_))), "{name}");
            let times = job
                .properties
                .iter()
                .filter(|property| property.name.contains("01_scheduled"))
                .count();
            assert_eq!(times, usize::from(job.scheduled().is_some()), "{name}");
        }
        Document::Materials(materials) => {
            assert_eq!(materials.len(), 1, "{name}");
            assert!(
                materials.iter().all(|material| !material.changesets.is_empty()),
                "{name}"
            );
        }
    }
}

fn sound_entry(name: &str, entry: &pipefold_gocd::documents::StageEntry) {
    assert!(entry.updated.is_some() && entry.title.is_some(), "{name}: {}", entry.id);
    assert_ne!(
        entry.result(),
        pipefold_gocd::documents::StageResult::Unknown,
        "{name}: {}",
        entry.id
    );
    let stage = entry.stage_link().and_then(Href::resource);
    assert!(
        matches!(stage, Some(Resource::StageById(_) | Resource::Stage(_))),
        "{name}: {}",
        entry.id
    );
    let pipeline = entry.pipeline_link().and_then(Href::resource);
    assert!(
        matches!(pipeline, Some(Resource::PipelineById { .. } | Resource::Pipeline(_))),
        "{name}: {}",
        entry.id
    );
}

fn text(root: &Path, path: &str) -> Vec<u8> {
    std::fs::read(root.join(path)).unwrap()
}

#[test]
fn text_that_was_wrapped_is_one_line_again() {
    let Some(root) = captured("text_that_was_wrapped_is_one_line_again", "") else {
        return;
    };
    let feed = read::feed(&text(&root, "go-api-client/building/stages.xml")).unwrap();
    assert_eq!(
        feed.entries[0].title.as_deref(),
        Some("defaultPipeline(3) stage Units(1) Passed")
    );
    assert_eq!(
        feed.entries[0].authors[0].name,
        "Manish Chakravarty <manishchaks@gmail.com>"
    );
    assert_eq!(feed.next, None);
}

#[test]
fn a_cursor_is_taken_from_the_next_link() {
    let Some(root) = captured("a_cursor_is_taken_from_the_next_link", "") else {
        return;
    };
    for (path, before, oldest) in [
        ("gocd-docs/20.1+/01-stages-feed.xml", Some(4672), Some(4683)),
        ("go-2.4/criteria-feed.xml", Some(37), Some(1)),
        ("go-2.4/feed-3.xml", None, None),
    ] {
        let feed = read::feed(&text(&root, path)).unwrap();
        assert_eq!((feed.next_before(), feed.oldest_counter()), (before, oldest), "{path}");
    }
}

#[test]
fn doubly_wrapped_materials_are_one() {
    let Some(root) = captured("doubly_wrapped_materials_are_one", "") else {
        return;
    };
    let pipeline = read::pipeline(&text(&root, "gocd-docs/20.1+/02-pipeline.xml")).unwrap();
    assert_eq!(pipeline.label, None);
    assert_eq!(pipeline.materials.len(), 1);
    assert_eq!(
        pipeline.materials[0].changesets[0].message.as_deref(),
        Some("Updated readme")
    );
    insta::assert_debug_snapshot!(pipeline.stage_resources().iter().map(Resource::path).collect::<Vec<_>>(), @r#"
    [
        "/api/feed/pipelines/mypipeline/4683/build-non-server/1.xml",
        "/api/feed/pipelines/mypipeline/4683/build-server/2.xml",
    ]
    "#);
}
