//! The links in a server's documents.

use crate::Dialect;
use crate::address::{Href, Resource, ServerUrl, encode};
use crate::documents::{
    ArtifactRoot, Category, JobLocator, Link, Name, PipelineLocator, Relation, StageLocator, StageResult,
};

/// A maker of links for a server's documents. Ids are those of the old dialect's addresses; the new dialect's have counters instead.
#[derive(Clone, Debug)]
pub struct Links {
    server: ServerUrl,
    dialect: Dialect,
}

impl Links {
    /// Takes the server's address for clients: a configured one rather than the host of a request.
    #[must_use]
    pub fn new(server: ServerUrl, dialect: Dialect) -> Self {
        Self { server, dialect }
    }

    /// Returns the address of the list of pipelines.
    #[must_use]
    pub fn pipelines(&self) -> Href {
        self.server.href(&Resource::Pipelines(self.dialect))
    }

    /// Returns the address of a pipeline's feed, or of its page below a cursor.
    #[must_use]
    pub fn feed(&self, pipeline: &Name, before: Option<u64>) -> Href {
        self.server.href(&Resource::StageFeed {
            dialect: self.dialect,
            pipeline: pipeline.clone(),
            before,
        })
    }

    /// Returns the address of a pipeline's run.
    #[must_use]
    pub fn pipeline(&self, run: &PipelineLocator, id: u64) -> Href {
        self.server.href(&match self.dialect {
            Dialect::Old => Resource::PipelineById {
                pipeline: run.name.clone(),
                id,
            },
            Dialect::New => Resource::Pipeline(run.clone()),
        })
    }

    /// Returns the address of a material of a pipeline's run: by id in the old dialect, which never had a document for it, by fingerprint
    /// in the new one.
    #[must_use]
    pub fn material(&self, run: &PipelineLocator, id: u64, fingerprint: &str) -> Href {
        let path = match self.dialect {
            Dialect::Old => format!("/api/materials/{id}.xml"),
            Dialect::New => format!(
                "/api/feed/materials/{}/{}/{}.xml",
                encode(run.name.as_str()),
                run.counter,
                encode(fingerprint)
            ),
        };
        Href::made(format!("{}{path}", self.server))
    }

    /// Returns the address of a change of a material, by its revision.
    #[must_use]
    pub fn change(material: &Href, revision: &str) -> Href {
        let material = material.as_str();
        let material = material.strip_suffix(".xml").unwrap_or(material);
        Href::made(format!("{material}/changeset/{}.xml", encode(revision)))
    }

    /// Returns the address of a stage's run.
    #[must_use]
    pub fn stage(&self, stage: &StageLocator, id: u64) -> Href {
        self.server.href(&match self.dialect {
            Dialect::Old => Resource::StageById(id),
            Dialect::New => Resource::Stage(stage.clone()),
        })
    }

    /// Returns the address of a job.
    #[must_use]
    pub fn job(&self, job: &JobLocator, id: u64) -> Href {
        self.server.href(&match self.dialect {
            Dialect::Old => Resource::JobById(id),
            Dialect::New => Resource::Job(job.clone()),
        })
    }

    /// Returns the id of a stage's entry: the address of the page that shows the stage.
    #[must_use]
    pub fn entry_id(&self, stage: &StageLocator) -> Href {
        self.server.href(&Resource::StagePage(stage.clone()))
    }

    /// Returns the title of a stage's entry, such as `pipe(269) stage build(1) Passed`.
    #[must_use]
    pub fn entry_title(stage: &StageLocator, result: StageResult) -> String {
        let run = &stage.pipeline;
        format!(
            "{}({}) stage {}({}) {}",
            run.name,
            run.counter,
            stage.name,
            stage.counter,
            result.as_str()
        )
    }

    /// Returns the links of a stage's entry. The link to the document comes first in each pair: readers made for the documentation's page
    /// take the first.
    #[must_use]
    pub fn entry_links(&self, stage: &StageLocator, stage_id: u64, pipeline_id: u64) -> Vec<Link> {
        let run = &stage.pipeline;
        let pipeline_page = match self.dialect {
            Dialect::Old => Resource::PipelinePage(stage.clone()),
            Dialect::New => Resource::StagePage(stage.clone()),
        };
        let link = |relation, href, media_type: &'static str, title: String| Link {
            relation,
            href,
            media_type: Some(media_type.into()),
            title: Some(title),
        };
        let of_stage = format!("{} Stage Detail", stage.name);
        let of_pipeline = format!("{} Pipeline Detail", run.name);
        vec![
            link(
                Relation::Alternate,
                self.stage(stage, stage_id),
                DOCUMENT,
                of_stage.clone(),
            ),
            link(Relation::Alternate, self.entry_id(stage), PAGE, of_stage),
            link(
                Relation::Pipeline,
                self.pipeline(run, pipeline_id),
                DOCUMENT,
                of_pipeline.clone(),
            ),
            link(Relation::Pipeline, self.server.href(&pipeline_page), PAGE, of_pipeline),
        ]
    }

    /// Returns the categories of a stage's entry.
    #[must_use]
    pub fn categories(result: StageResult) -> Vec<Category> {
        [
            ("stage", "Stage"),
            ("completed", "Completed"),
            (result.term(), result.as_str()),
        ]
        .into_iter()
        .map(|(term, label)| Category {
            term: term.into(),
            label: Some(label.into()),
            scheme: Some(Category::SCHEME.into()),
        })
        .collect()
    }

    /// Returns the place at which a job's artifacts would be.
    #[must_use]
    pub fn artifacts(&self, job: &JobLocator) -> ArtifactRoot {
        self.server.artifacts(job)
    }
}

/// The type of the Feeds API's documents.
const DOCUMENT: &str = "application/vnd.go+xml";

/// The type of pages for people.
const PAGE: &str = "text/html";
