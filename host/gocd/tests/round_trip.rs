//! Written documents are read as the same values, with any names.

use chrono::{DateTime, FixedOffset};
use pipefold_gocd::documents::*;
use pipefold_gocd::write::Links;
use pipefold_gocd::{Dialect, Href, ServerUrl, read, write};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Text with a meaning in XML, in addresses or to readers, and text far from ASCII.
const PIECES: &[&str] = &[
    "<",
    ">",
    "&",
    "]]>",
    "<![CDATA[",
    "&amp;",
    "<!--",
    "-->",
    "\"",
    "'",
    "/",
    "//",
    "%",
    "%2F",
    "%41",
    "?",
    "#",
    ":",
    ".",
    "..",
    "+",
    "=",
    "a",
    "Z",
    "9",
    "_",
    "-",
    "stages.xml",
    "1.xml",
    "go",
    "é",
    "日本",
    "\u{10ffff}",
    "\u{2028}",
    "\u{fffd}",
    "\\",
    "@",
];

fn text_of(pieces: &'static [&'static str]) -> impl Strategy<Value = String> {
    vec(select(pieces), 1..6).prop_map(|parts| parts.concat())
}

/// Spaces belong to a name in every place.
fn name() -> impl Strategy<Value = Name> {
    let piece = prop_oneof![4 => select(PIECES).prop_map(str::to_owned), 1 => Just(" ".to_owned())];
    vec(piece, 1..6).prop_filter_map("blank", |parts| Name::new(&parts.concat()).ok())
}

/// Text on one line, and without spaces that would be taken for wrapping.
fn line() -> impl Strategy<Value = String> {
    vec(text_of(PIECES), 1..4)
        .prop_map(|words| words.join(" ").split_whitespace().collect::<Vec<_>>().join(" "))
        .prop_filter("blank", |line| !line.is_empty())
}

/// Text for attributes and messages: all that XML carries.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![3 => select(PIECES), 1 => select(&["\n", "\r", "\r\n", "\t", " ", "  "][..])];
    vec(piece, 1..9)
        .prop_map(|parts| parts.concat().trim().to_owned())
        .prop_filter("blank", |text| !text.is_empty())
}

fn counter() -> impl Strategy<Value = Counter> {
    (1..=u64::MAX).prop_map(|number| Counter::new(number).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_102_444_800i64, -24..=28i32).prop_map(|(seconds, half_hours)| {
        let zone = FixedOffset::east_opt(half_hours * 1800).unwrap();
        DateTime::from_timestamp(seconds, 0).unwrap().with_timezone(&zone)
    })
}

fn href() -> impl Strategy<Value = Href> {
    line().prop_filter_map("no address", |text| Href::new(&text.replace(char::is_whitespace, "")))
}

fn urn() -> impl Strategy<Value = Urn> {
    job_locator().prop_map(|job| Urn::job(&job))
}

fn run_locator() -> impl Strategy<Value = PipelineLocator> {
    (name(), counter()).prop_map(|(name, counter)| PipelineLocator { name, counter })
}

fn stage_locator() -> impl Strategy<Value = StageLocator> {
    (run_locator(), name(), counter()).prop_map(|(pipeline, name, counter)| StageLocator {
        pipeline,
        name,
        counter,
    })
}

fn job_locator() -> impl Strategy<Value = JobLocator> {
    (stage_locator(), name()).prop_map(|(stage, name)| JobLocator { stage, name })
}

fn result() -> impl Strategy<Value = StageResult> {
    select(
        &[
            StageResult::Passed,
            StageResult::Failed,
            StageResult::Cancelled,
            StageResult::Unknown,
        ][..],
    )
}

fn dialect() -> impl Strategy<Value = Dialect> {
    select(&[Dialect::Old, Dialect::New][..])
}

fn links(dialect: Dialect) -> Links {
    Links::new(ServerUrl::parse("https://ci.example.com:8154").unwrap(), dialect)
}

fn entry(dialect: Dialect) -> impl Strategy<Value = StageEntry> {
    let author = (line(), of(line())).prop_map(|(name, email)| Author { name, email });
    let people = (of(line()), vec(author, 0..3), of(line()));
    (stage_locator(), result(), of(time()), people, any::<(u64, u64)>()).prop_map(
        move |(stage, result, updated, (approver, authors, cancelled_by), (stage_id, pipeline_id))| {
            let links = links(dialect);
            StageEntry {
                id: links.entry_id(&stage),
                title: Some(format!("stage {}", stage.counter)),
                updated,
                approver,
                authors,
                cancelled_by,
                links: links.entry_links(&stage, stage_id, pipeline_id),
                categories: Links::categories(result),
                stage,
            }
        },
    )
}

fn feed() -> impl Strategy<Value = (Dialect, StageFeed)> {
    dialect().prop_flat_map(|dialect| {
        let parts = (
            of(line()),
            of(line()),
            of(time()),
            name(),
            any::<u64>(),
            vec(entry(dialect), 0..4),
        );
        (Just(dialect), parts).prop_map(|(dialect, (title, author, updated, pipeline, before, entries))| {
            let links = links(dialect);
            let feed = StageFeed {
                title,
                id: Some(links.feed(&pipeline, None)),
                author,
                updated,
                self_link: Some(links.feed(&pipeline, None)),
                next: Some(links.feed(&pipeline, Some(before))),
                previous: None,
                entries,
            };
            (dialect, feed)
        })
    })
}

fn material() -> impl Strategy<Value = Material> {
    let text = any_text;
    let kind = prop_oneof![
        (text(), of(text()), of(any::<bool>())).prop_map(|(url, branch, shallow_clone)| MaterialKind::Git {
            url,
            branch,
            shallow_clone
        }),
        text().prop_map(|url| MaterialKind::Mercurial { url }),
        (text(), of(text()), of(any::<bool>())).prop_map(|(url, username, check_externals)| MaterialKind::Subversion {
            url,
            username,
            check_externals
        }),
        (text(), of(text()), of(text())).prop_map(|(url, username, view)| MaterialKind::Perforce {
            url,
            username,
            view
        }),
        (text(), of(text()), of(text()), of(text())).prop_map(|(url, username, domain, project_path)| {
            MaterialKind::Tfs {
                url,
                username,
                domain,
                project_path,
            }
        }),
        (text(), text()).prop_map(|(pipeline, stage)| MaterialKind::Dependency { pipeline, stage }),
        (text(), text()).prop_map(|(repository, package)| MaterialKind::Package { repository, package }),
        text().prop_map(|name| MaterialKind::PluggableScm { name }),
        text().prop_map(MaterialKind::Other),
    ];
    let changeset = (of(href()), of(line()), of(time()), of(line()), of(any_text())).prop_map(
        |(uri, user, checked_in, revision, message)| Changeset {
            uri,
            user,
            checked_in,
            revision,
            message,
        },
    );
    (of(href()), kind, vec(changeset, 0..3)).prop_map(|(uri, kind, changesets)| Material { uri, kind, changesets })
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let links = (of(href()), of(urn()), of(href()), of(href()));
    let rest = (of(time()), vec(material(), 0..3), vec(href(), 0..3), of(line()));
    (run_locator(), of(any_text()), links, rest).prop_map(
        |(
            run,
            label,
            (self_link, urn, inserted_before, inserted_after),
            (scheduled, materials, stages, approved_by),
        )| Pipeline {
            name: run.name,
            counter: run.counter,
            label,
            self_link,
            urn,
            inserted_before,
            inserted_after,
            scheduled,
            materials,
            stages,
            approved_by,
        },
    )
}

fn stage_pipeline() -> impl Strategy<Value = StagePipeline> {
    (run_locator(), of(any_text()), of(href())).prop_map(|(run, label, href)| StagePipeline {
        name: run.name,
        counter: run.counter,
        label,
        href,
    })
}

fn stage() -> impl Strategy<Value = Stage> {
    let states = [
        StageState::Completed,
        StageState::Building,
        StageState::Failing,
        StageState::Unknown,
    ];
    let links = (of(href()), of(urn()), stage_pipeline());
    let rest = (
        of(time()),
        result(),
        select(states.to_vec()),
        of(line()),
        vec(href(), 0..3),
    );
    (name(), counter(), links, rest).prop_map(
        |(name, counter, (self_link, urn, pipeline), (updated, result, state, approved_by, jobs))| Stage {
            name,
            counter,
            self_link,
            urn,
            pipeline,
            updated,
            result,
            state,
            approved_by,
            jobs,
        },
    )
}

fn job() -> impl Strategy<Value = Job> {
    let states = [
        JobState::Scheduled,
        JobState::Building,
        JobState::Completed,
        JobState::Rescheduled,
        JobState::Unknown,
    ];
    // Of the properties' numbers one `>` is taken off, as the page of the documentation needs it.
    let property = (any_text(), any_text()).prop_map(|(name, value)| Property {
        name: format!("user {name}"),
        value,
    });
    let stage = (name(), counter(), of(href())).prop_map(|(name, counter, href)| JobStage { name, counter, href });
    let artifacts = (href(), of(any_text())).prop_map(|(base_uri, path)| ArtifactRoot { base_uri, path });
    let links = (of(href()), of(urn()), stage_pipeline(), stage);
    (
        name(),
        links,
        result(),
        select(states.to_vec()),
        vec(property, 0..3),
        of(any_text()),
        of(artifacts),
    )
        .prop_map(
            |(name, (self_link, urn, pipeline, stage), result, state, properties, agent, artifacts)| Job {
                name,
                self_link,
                urn,
                pipeline,
                stage,
                result,
                state,
                properties,
                agent,
                artifacts,
            },
        )
}

proptest! {
    #[test]
    fn lists_of_pipelines(names in vec(name(), 0..5), dialect in dialect()) {
        let links = links(dialect);
        let pipelines = names.into_iter().map(|name| ListedPipeline { feed: links.feed(&name, None), name }).collect();
        let list = Pipelines { self_link: Some(links.pipelines()), pipelines, left_out: 0 };
        prop_assert_eq!(read::pipelines(write::pipelines(&list, dialect).as_bytes()).unwrap(), list);
    }

    #[test]
    fn feeds((dialect, feed) in feed()) {
        let text = write::feed(&feed, dialect);
        prop_assert_eq!(read::feed(text.as_bytes()).unwrap(), feed, "{}", text);
    }

    #[test]
    fn pipelines(pipeline in pipeline(), dialect in dialect()) {
        let text = write::pipeline(&pipeline, dialect);
        let mut expected = pipeline;
        if dialect == Dialect::New {
            expected.label = None;
            for material in &mut expected.materials {
                material.changesets.truncate(1);
                if !matches!(material.kind, MaterialKind::Dependency { .. }) {
                    material.changesets.iter_mut().for_each(|changeset| changeset.uri = None);
                }
            }
        }
        prop_assert_eq!(read::pipeline(text.as_bytes()).unwrap(), expected, "{}", text);
    }

    #[test]
    fn stages(stage in stage(), dialect in dialect()) {
        let text = write::stage(&stage, dialect);
        prop_assert_eq!(read::stage(text.as_bytes()).unwrap(), stage, "{}", text);
    }

    #[test]
    fn jobs(job in job(), dialect in dialect()) {
        let text = write::job(&job, dialect);
        let mut expected = job;
        if dialect == Dialect::New {
            expected.properties.clear();
        }
        prop_assert_eq!(read::job(text.as_bytes()).unwrap(), expected, "{}", text);
    }

    #[test]
    fn texts_that_xml_cannot_carry_make_readable_documents(text in any::<String>(), dialect in dialect()) {
        let feed = StageFeed { title: Some(text.clone()), author: Some(text), ..StageFeed::default() };
        prop_assert!(read::feed(write::feed(&feed, dialect).as_bytes()).is_ok());
    }

    #[test]
    fn addresses(job in job_locator(), id in any::<u64>(), before in of(any::<u64>()), dialect in dialect()) {
        use pipefold_gocd::Resource;
        let server = ServerUrl::parse("http://localhost:8153/go").unwrap();
        let stage = &job.stage;
        for resource in [
            Resource::Pipelines(dialect),
            Resource::StageFeed { dialect, pipeline: stage.name.clone(), before },
            Resource::PipelineById { pipeline: stage.name.clone(), id },
            Resource::Pipeline(stage.pipeline.clone()),
            Resource::StageById(id),
            Resource::StageByName(stage.clone()),
            Resource::Stage(stage.clone()),
            Resource::JobById(id),
            Resource::StagePage(stage.clone()),
            Resource::PipelinePage(stage.clone()),
            Resource::ValueStreamMap(stage.pipeline.clone()),
            Resource::Job(job.clone()),
        ] {
            let href = server.href(&resource);
            prop_assert_eq!(href.resource(), Some(resource), "{}", href);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read::read(&bytes);
    }
}
