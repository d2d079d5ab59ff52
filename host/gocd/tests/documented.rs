//! The documentation's page: its examples are read, stray characters and all, and ours are like them.

use pipefold_gocd::documents::*;
use pipefold_gocd::write::Links;
use pipefold_gocd::{Dialect, Resource, ServerUrl, read, write};

const FEED: &str = r#"
<feed xmlns="http://www.w3.org/2005/Atom">
    <title>Stages</title>
    <id>http://goserver.com:8153/go/api/pipelines/go_pipeline/stages.xml</id>
    <author>
        <name>Go</name>
    </author>
    <updated>2009-11-04T19:00:35Z</updated>
    <link rel="self" href="http://goserver.com:8153/go/api/pipelines/go_pipeline/stages.xml"/>
    <link rel="next" href="http://goserver.com:8153/go/api/pipelines/go_pipeline/stages.xml?before=6"/>
    <entry>
        <title>go_pipeline/2/UATest/1</title>
        <updated>2009-11-04T18:54:49Z</updated>
        <id>http://goserver.com:8153/go/pipelines/go_pipeline/2/UATest/1</id>
        <link href="http://localhost:8153/go/api/stages/77.xml" rel="alternate"/>
        <link href="http://localhost:8153/go/pipelines/go_pipeline/2/UATest/1" rel="alternate" type="text/html"/>
        <link href="http://localhost:8153/go/api/pipelines/go_pipeline/55.xml" rel="http://studios.thoughtworks.com/ns/relations/go/pipeline" type="text/xml"/>
        <category scheme="http://studios.thoughtworks.com/ns/categories/go" term="stage" label="Stage" />
        <category scheme="http://studios.thoughtworks.com/ns/categories/go" term="completed" label="Completed" />
        <category scheme="http://studios.thoughtworks.com/ns/categories/go" term="failed" label="Failed" />
    </entry>
</feed>
"#;

#[test]
fn the_page_s_feed_is_read() {
    let feed = read::feed(FEED.as_bytes()).unwrap();
    assert_eq!(feed.next_before(), Some(6));
    let entry = &feed.entries[0];
    assert_eq!(entry.stage.name.as_str(), "UATest");
    assert_eq!((entry.stage.pipeline.counter.get(), entry.stage.counter.get()), (2, 1));
    assert_eq!(entry.result(), StageResult::Failed);
    // The links are on another host than the feed: what they lead to counts, and that is looked for on the configured one.
    let server = ServerUrl::parse("http://goserver.com:8153/go").unwrap();
    let link = entry.stage_link().unwrap();
    assert!(server.is_foreign(link) && !server.is_foreign(&entry.id));
    assert_eq!(link.resource(), Some(Resource::StageById(77)));
    assert_eq!(
        server.url(&link.resource().unwrap()),
        "http://goserver.com:8153/go/api/stages/77.xml"
    );
    assert!(matches!(
        entry.pipeline_link().unwrap().resource(),
        Some(Resource::PipelineById { id: 55, .. })
    ));
}

#[test]
fn the_page_s_stray_characters_are_taken_off() {
    let stage = read::stage(
        br#"<stage name="dev" counter="1">
    <link rel="self" href="http://goserver.com:8153/go/api/stages/65615.xml"/>
    <id>urn:x-go.studios.thoughtworks.com:stage-id:go_pipeline:2:dev:1></id>
    <pipeline name="go_pipeline" counter="2" label="2.1.2322" href="http://goserver.com:8153/go/api/pipelines/go_pipeline/23.xml"/>
    <updated>2010-11-02T17:49:32+05:30</updated>
    <result>Passed</result>
    <state>Completed</state>
    <approvedBy>changes</approvedBy>
    <jobs>
        <job href="http://goserver.com:8153/go/api/jobs/45.xml" />
        <job href="http://goserver.com:8153/go/api/jobs/46.xml" />
    </jobs>
</stage>"#,
    )
    .unwrap();
    assert_eq!(stage.urn, Some(Urn::stage(&stage.locator())));
    assert_eq!(stage.job_resources(), [Resource::JobById(45), Resource::JobById(46)]);
    let job = read::job(
        br#"<job name="build">
    <pipeline name="go_pipeline" counter="2" label="2.1.2322" href="http://goserver.com:8153/go/api/pipelines/go_pipeline/23.xml"/>
    <stage name="DEV" counter="1" href="http://goserver.com:8153/go/api/stages/76.xml"/>
    <state>Completed</state>
    <result>Failed</result>
    <properties>
        <property name="cruise_pipeline_counter">2></property>
        <property name="cruise_timestamp_01_scheduled">2010-09-22T12:36:15+05:30</property>
        <property name="tests_total_duration">1599.552></property>
        <property name="mine">2></property>
        <property name="cruise_agent">a></property>
    </properties>
    <environmentvariables>
        <variable name="COMPRESS_JS">No</variable>
    </environmentvariables>
 </job>"#,
    )
    .unwrap();
    let values: Vec<&str> = job.properties.iter().map(|property| property.value.as_str()).collect();
    assert_eq!(values, ["2", "2010-09-22T12:36:15+05:30", "1599.552", "2>", "a>"]);
    assert_eq!(job.scheduled().unwrap().to_utc().to_string(), "2010-09-22 07:06:15 UTC");
    assert_eq!((job.result, job.state), (StageResult::Failed, JobState::Completed));
}

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

/// The run of the page, with a name that needs every kind of escape.
fn job_locator() -> JobLocator {
    let name = |text| Name::new(text).unwrap();
    let counter = |number| Counter::new(number).unwrap();
    let pipeline = PipelineLocator {
        name: name("a/b <&]]> é"),
        counter: counter(2),
    };
    let stage = StageLocator {
        pipeline,
        name: name("DEV"),
        counter: counter(1),
    };
    JobLocator {
        stage,
        name: name("UnitTest"),
    }
}

fn documents(dialect: Dialect) -> String {
    let links = Links::new(ServerUrl::parse("http://goserver.com:8153").unwrap(), dialect);
    let job = job_locator();
    let stage = &job.stage;
    let run = &stage.pipeline;
    let updated = time("2009-11-05T00:30:35+05:30");
    let list = Pipelines {
        self_link: Some(links.pipelines()),
        pipelines: vec![ListedPipeline {
            name: run.name.clone(),
            feed: links.feed(&run.name, None),
        }],
        left_out: 0,
    };
    let feed = StageFeed {
        title: Some(run.name.to_string()),
        id: Some(links.feed(&run.name, None)),
        author: Some("Go".into()),
        updated,
        self_link: Some(links.feed(&run.name, None)),
        next: Some(links.feed(&run.name, Some(6))),
        previous: None,
        entries: vec![StageEntry {
            stage: stage.clone(),
            id: links.entry_id(stage),
            title: Some(Links::entry_title(stage, StageResult::Cancelled)),
            updated,
            approver: Some("jez".into()),
            authors: vec![Author {
                name: "Jez <jez@example.com>".into(),
                email: Some("jez@example.com".into()),
            }],
            cancelled_by: Some("badger".into()),
            links: links.entry_links(stage, 76, 55),
            categories: Links::categories(StageResult::Cancelled),
        }],
    };
    let changeset = Changeset {
        uri: Some(links.stage(stage, 3)),
        user: Some("Jez <jez@example.com>".into()),
        checked_in: updated,
        revision: Some("ab".repeat(20)),
        message: Some("one\n]]> two".into()),
    };
    let material = |kind| Material {
        uri: None,
        kind,
        changesets: vec![changeset.clone(), changeset.clone()],
    };
    let pipeline = Pipeline {
        name: run.name.clone(),
        counter: run.counter,
        label: Some("2.1.2322".into()),
        self_link: Some(links.pipeline(run, 55)),
        urn: Some(Urn::pipeline(run)),
        inserted_before: None,
        inserted_after: Some(links.pipeline(run, 54)),
        scheduled: updated,
        materials: vec![
            material(MaterialKind::Git {
                url: "git@host:o/n.git".into(),
                branch: Some("main".into()),
                shallow_clone: Some(false),
            }),
            material(MaterialKind::Dependency {
                pipeline: "up".into(),
                stage: "s".into(),
            }),
            material(MaterialKind::Package {
                repository: "r".into(),
                package: "p".into(),
            }),
        ],
        stages: vec![links.stage(stage, 76)],
        approved_by: Some("changes".into()),
    };
    let of = StagePipeline {
        name: run.name.clone(),
        counter: run.counter,
        label: pipeline.label.clone(),
        href: None,
    };
    let stage_document = Stage {
        name: stage.name.clone(),
        counter: stage.counter,
        self_link: Some(links.stage(stage, 76)),
        urn: Some(Urn::stage(stage)),
        pipeline: StagePipeline {
            href: Some(links.pipeline(run, 55)),
            ..of.clone()
        },
        updated,
        result: StageResult::Cancelled,
        state: StageState::Completed,
        approved_by: Some("jez".into()),
        jobs: vec![links.job(&job, 45)],
    };
    let job_document = Job {
        name: job.name.clone(),
        self_link: Some(links.job(&job, 45)),
        urn: Some(Urn::job(&job)),
        pipeline: of,
        stage: JobStage {
            name: stage.name.clone(),
            counter: stage.counter,
            href: Some(links.stage(stage, 76)),
        },
        result: StageResult::Cancelled,
        state: JobState::Completed,
        properties: vec![Property {
            name: "cruise_job_duration".into(),
            value: "402".into(),
        }],
        agent: Some("2e9c36c1-5a41-43ad-85a7-8195f179388c".into()),
        artifacts: Some(links.artifacts(&job)),
    };
    [
        write::pipelines(&list, dialect),
        write::feed(&feed, dialect),
        write::pipeline(&pipeline, dialect),
        write::stage(&stage_document, dialect),
        write::job(&job_document, dialect),
    ]
    .join("\n=====\n\n")
}

#[test]
fn documents_of_the_old_dialect() {
    insta::assert_snapshot!(documents(Dialect::Old));
}

#[test]
fn documents_of_the_new_dialect() {
    insta::assert_snapshot!(documents(Dialect::New));
}
