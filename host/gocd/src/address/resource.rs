//! The documents and pages of a server, and names as parts of their paths.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::Dialect;
use crate::documents::{Counter, JobLocator, Name, PipelineLocator, StageLocator};

/// A document or page of a GoCD server, without the server: the only addresses that are called or followed.
///
/// The forms with ids are those of the old dialect, the ones with locators those of the new one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The list of pipelines.
    Pipelines(Dialect),
    /// The feed of a pipeline's completed stages.
    StageFeed {
        /// The dialect of the address.
        dialect: Dialect,
        /// The pipeline.
        pipeline: Name,
        /// The cursor: only entries before it are on the page. In the old dialect it is a job transition's id, in the new one a pipeline's
        /// counter.
        before: Option<u64>,
    },
    /// A pipeline's run by its database id (old). The server ignores the name.
    PipelineById {
        /// The pipeline that the address names.
        pipeline: Name,
        /// The run's id.
        id: u64,
    },
    /// A pipeline's run (new).
    Pipeline(PipelineLocator),
    /// A stage's run by its database id (old).
    StageById(u64),
    /// A stage's run by names and counters, which an old server answers with a redirection to the one by id.
    StageByName(StageLocator),
    /// A stage's run (new).
    Stage(StageLocator),
    /// A job by its database id (old).
    JobById(u64),
    /// A job (new).
    Job(JobLocator),
    /// The page that shows a stage's run to people; its address is also the id of a feed's entry.
    StagePage(StageLocator),
    /// The page that shows a stage's run as a part of its pipeline's run.
    PipelinePage(StageLocator),
    /// The page that shows a pipeline's run with its upstream pipelines and materials.
    ValueStreamMap(PipelineLocator),
}

impl Resource {
    /// Returns the path below the server's `/go`, with the query.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Pipelines(Dialect::Old) => "/api/pipelines.xml".into(),
            Self::Pipelines(Dialect::New) => "/api/feed/pipelines.xml".into(),
            Self::StageFeed {
                dialect,
                pipeline,
                before,
            } => {
                let api = match dialect {
                    Dialect::Old => "/api/pipelines",
                    Dialect::New => "/api/feed/pipelines",
                };
                let query = before.map_or(String::new(), |before| format!("?before={before}"));
                format!("{api}/{}/stages.xml{query}", encode(pipeline.as_str()))
            }
            Self::PipelineById { pipeline, id } => format!("/api/pipelines/{}/{id}.xml", encode(pipeline.as_str())),
            Self::Pipeline(run) => format!("/api/feed/pipelines/{}.xml", pipeline_path(run)),
            Self::StageById(id) => format!("/api/stages/{id}.xml"),
            Self::StageByName(stage) => format!("/pipelines/{}.xml", stage_path(stage)),
            Self::Stage(stage) => format!("/api/feed/pipelines/{}.xml", stage_path(stage)),
            Self::JobById(id) => format!("/api/jobs/{id}.xml"),
            Self::Job(job) => {
                format!("/api/feed/pipelines/{}.xml", job_path(job))
            }
            Self::StagePage(stage) => format!("/pipelines/{}", stage_path(stage)),
            Self::PipelinePage(stage) => format!("/pipelines/{}/pipeline", stage_path(stage)),
            Self::ValueStreamMap(run) => format!("/pipelines/value_stream_map/{}", pipeline_path(run)),
        }
    }

    /// Returns the resource of a path, with or without a query. The match is case-sensitive. Segments before `/go` are the server's own
    /// path and are ignored. `None` for a path that is not in [`Resource`].
    #[must_use]
    pub fn parse(path_and_query: &str) -> Option<Self> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let mut segments = path.strip_prefix('/')?.split('/');
        segments.find(|segment| *segment == "go")?;
        let segments: Vec<&str> = segments.collect();
        match segments.as_slice() {
            ["api", "pipelines.xml"] => Some(Self::Pipelines(Dialect::Old)),
            ["api", "feed", "pipelines.xml"] => Some(Self::Pipelines(Dialect::New)),
            ["api", "stages", file] => Some(Self::StageById(number(file.strip_suffix(".xml")?)?)),
            ["api", "jobs", file] => Some(Self::JobById(number(file.strip_suffix(".xml")?)?)),
            ["api", "pipelines", pipeline, "stages.xml"] => feed(Dialect::Old, pipeline, query),
            ["api", "feed", "pipelines", pipeline, "stages.xml"] => feed(Dialect::New, pipeline, query),
            ["api", "pipelines", pipeline, file] => {
                let id = number(file.strip_suffix(".xml")?)?;
                Some(Self::PipelineById {
                    pipeline: name(pipeline)?,
                    id,
                })
            }
            ["api", "feed", "pipelines", pipeline, file] => {
                Some(Self::Pipeline(run(pipeline, file.strip_suffix(".xml")?)?))
            }
            ["api", "feed", "pipelines", pipeline, of, stage_name, file] => Some(Self::Stage(stage(
                pipeline,
                of,
                stage_name,
                file.strip_suffix(".xml")?,
            )?)),
            ["api", "feed", "pipelines", pipeline, of, stage_name, counter, file] => {
                let name = name(file.strip_suffix(".xml")?)?;
                Some(Self::Job(JobLocator {
                    stage: stage(pipeline, of, stage_name, counter)?,
                    name,
                }))
            }
            ["pipelines", "value_stream_map", pipeline, counter] => Some(Self::ValueStreamMap(run(pipeline, counter)?)),
            ["pipelines", pipeline, of, stage_name, file] => match file.strip_suffix(".xml") {
                Some(counter) => Some(Self::StageByName(stage(pipeline, of, stage_name, counter)?)),
                None => Some(Self::StagePage(stage(pipeline, of, stage_name, file)?)),
            },
            ["pipelines", pipeline, of, stage_name, counter, "pipeline"] => {
                Some(Self::PipelinePage(stage(pipeline, of, stage_name, counter)?))
            }
            _ => None,
        }
    }
}

fn pipeline_path(run: &PipelineLocator) -> String {
    format!("{}/{}", encode(run.name.as_str()), run.counter)
}

fn stage_path(stage: &StageLocator) -> String {
    format!(
        "{}/{}/{}",
        pipeline_path(&stage.pipeline),
        encode(stage.name.as_str()),
        stage.counter
    )
}

pub fn job_path(job: &JobLocator) -> String {
    format!("{}/{}", stage_path(&job.stage), encode(job.name.as_str()))
}

fn name(segment: &str) -> Option<Name> {
    Name::new(&decode(segment)?).ok()
}

/// Parses digits only: `parse` would accept a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

fn run(pipeline: &str, counter: &str) -> Option<PipelineLocator> {
    Some(PipelineLocator {
        name: name(pipeline)?,
        counter: Counter::parse(counter)?,
    })
}

fn stage(pipeline: &str, of: &str, stage: &str, counter: &str) -> Option<StageLocator> {
    Some(StageLocator {
        pipeline: run(pipeline, of)?,
        name: name(stage)?,
        counter: Counter::parse(counter)?,
    })
}

/// Returns `None` for a cursor that is not a number: without the cursor the feed would begin at the top again.
fn feed(dialect: Dialect, pipeline: &str, query: &str) -> Option<Resource> {
    let cursor = query.split('&').find_map(|pair| pair.strip_prefix("before="));
    let before = match cursor {
        Some(text) => Some(number(text)?),
        None => None,
    };
    Some(Resource::StageFeed {
        dialect,
        pipeline: name(pipeline)?,
        before,
    })
}

/// All characters but the unreserved ones of RFC 3986, section 2.3: a `/` or `%` in a name must not become a part of the path.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a name as one segment of a path. GoCD's own names are unchanged.
pub fn encode(name: &str) -> Cow<'_, str> {
    // Unescaped, these two are the path segments "here" and "one up".
    match name {
        "." => Cow::Borrowed("%2E"),
        ".." => Cow::Borrowed("%2E%2E"),
        _ => utf8_percent_encode(name, RESERVED).into(),
    }
}

/// Returns the name that a segment encodes. `None` if the bytes are not UTF-8.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(segment).decode_utf8().ok()
}
