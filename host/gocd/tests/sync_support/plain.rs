//! A server whose history is written down run by run, and which can be made to answer anything.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::cell::RefCell;

use chrono::{DateTime, TimeDelta, Utc};
use pipefold_gocd::client::{FetchError, Source};
use pipefold_gocd::documents::PipelineLocator;
use pipefold_gocd::{Resource, ServerUrl};

/// A stage's run: the stage, which run of it, `Passed`, `Failed`, `Cancelled` or `Building`, and the minute of its last change.
pub type PlainStage = (&'static str, u64, &'static str, i64);

/// A run of the pipeline.
#[derive(Clone, Debug)]
pub struct PlainRun {
    pub counter: u64,
    pub stages: Vec<PlainStage>,
}

type Tamper = Box<dyn Fn(&str) -> Option<Result<String, FetchError>>>;

/// A server with pipelines `p` (the one with the runs) and others, which are empty.
pub struct Plain {
    pub is_old: bool,
    pub runs: RefCell<Vec<PlainRun>>,
    pub others: Vec<&'static str>,
    pub materials: String,
    /// The answer to a path that replaces the right one.
    pub tamper: RefCell<Option<Tamper>>,
    pub asked: RefCell<Vec<String>>,
}

pub fn minute(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_600_000_000, 0).unwrap() + TimeDelta::minutes(minute)
}

fn time(of: i64) -> String {
    minute(of).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A run of one stage that has passed.
pub fn passed(counter: u64, at: i64) -> PlainRun {
    PlainRun {
        counter,
        stages: vec![("build", 1, "Passed", at)],
    }
}

pub const GIT: &str = r#"<material type="GitMaterial" url="https://github.com/o/n" branch="main"><modifications><changeset>
    <user>Ann &lt;ann@example.com&gt;</user><checkinTime>2020-01-01T00:00:00Z</checkinTime>
    <revision>abababababababababababababababababababab</revision></changeset></modifications></material>"#;

impl Plain {
    pub fn new(is_old: bool, runs: impl IntoIterator<Item = PlainRun>) -> Self {
        Self {
            is_old,
            runs: RefCell::new(runs.into_iter().collect()),
            others: Vec::new(),
            materials: GIT.into(),
            tamper: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    pub fn tamper(&self, with: impl Fn(&str) -> Option<Result<String, FetchError>> + 'static) {
        self.tamper.replace(Some(Box::new(with)));
    }

    /// The number of requests since the last call.
    pub fn requests(&self) -> usize {
        self.asked.take().len()
    }

    pub fn entry(&self, of: u64, (stage, n, result, at): PlainStage) -> String {
        let (document, run) = if self.is_old {
            (
                format!("api/stages/{}", id(of, stage, n)),
                format!("api/pipelines/p/{}", 9000 + of),
            )
        } else {
            (
                format!("api/feed/pipelines/p/{of}/{stage}/{n}"),
                format!("api/feed/pipelines/p/{of}"),
            )
        };
        format!(
            r#"<entry><updated>{}</updated><id>http://localhost:8153/go/pipelines/p/{of}/{stage}/{n}</id>
            <link href="http://localhost:8153/go/{document}.xml" rel="alternate" type="application/vnd.go+xml"/>
            <link href="http://localhost:8153/go/{run}.xml" rel="http://www.thoughtworks-studios.com/ns/relations/go/pipeline"/>
            <category term="completed"/><category term="{}"/></entry>"#,
            time(at),
            result.to_lowercase()
        )
    }

    pub fn page(&self, before: Option<u64>) -> String {
        let mut all: Vec<(u64, PlainStage)> = Vec::new();
        for run in self.runs.borrow().iter() {
            let ended = run.stages.iter().filter(|stage| stage.2 != "Building");
            all.extend(ended.map(|stage| (run.counter, *stage)));
        }
        // The transition's number is the minute: no two stages end in the same one here.
        let place = |(counter, stage): &(u64, PlainStage)| if self.is_old { stage.3 as u64 } else { *counter };
        all.sort_by_key(|one| std::cmp::Reverse((place(one), one.1.3)));
        all.retain(|one| before.is_none_or(|before| place(one) < before));
        all.truncate(25);
        let next = all.last().map(place);
        let entries: String = all
            .iter()
            .map(|(counter, stage)| self.entry(*counter, *stage))
            .collect();
        self.feed(&entries, next)
    }

    pub fn feed(&self, entries: &str, next: Option<u64>) -> String {
        let api = if self.is_old { "api" } else { "api/feed" };
        let next = next.map(|next| {
            format!(r#"<link rel="next" href="http://localhost:8153/go/{api}/pipelines/p/stages.xml?before={next}"/>"#)
        });
        format!(
            r#"<feed xmlns="http://www.w3.org/2005/Atom"><title>p</title>{}{entries}</feed>"#,
            next.unwrap_or_default()
        )
    }

    fn pipelines(&self) -> String {
        let api = if self.is_old { "api" } else { "api/feed" };
        let listed =
            |name: &&str| format!(r#"<pipeline href="http://localhost:8153/go/{api}/pipelines/{name}/stages.xml"/>"#);
        let all: String = std::iter::once(&"p").chain(&self.others).map(listed).collect();
        format!("<pipelines>{all}</pipelines>")
    }

    fn run(&self, counter: u64) -> Option<String> {
        let runs = self.runs.borrow();
        let run = runs.iter().find(|run| run.counter == counter)?;
        let is_latest = |(name, n, ..): &&PlainStage| !run.stages.iter().any(|other| other.0 == *name && other.1 > *n);
        let link = |(name, n, ..): &PlainStage| {
            if self.is_old {
                format!(
                    r#"<stage href="http://localhost:8153/go/api/stages/{}.xml"/>"#,
                    id(counter, name, *n)
                )
            } else {
                format!(r#"<stage href="http://localhost:8153/go/api/feed/pipelines/p/{counter}/{name}/{n}.xml"/>"#)
            }
        };
        let stages: String = run.stages.iter().filter(is_latest).map(link).collect();
        let scheduled = run.stages.iter().map(|stage| stage.3).min().unwrap_or_default() - 10;
        Some(format!(
            r#"<pipeline name="p" counter="{counter}"><scheduleTime>{}</scheduleTime><materials>{}</materials>
            <stages>{stages}</stages><approvedBy>changes</approvedBy></pipeline>"#,
            time(scheduled),
            self.materials
        ))
    }

    fn stage(&self, wanted: impl Fn(u64, &PlainStage) -> bool) -> Option<String> {
        let runs = self.runs.borrow();
        let mut all = runs
            .iter()
            .flat_map(|run| run.stages.iter().map(|stage| (run.counter, stage)));
        let (of, (name, n, result, at)) = all.find(|(of, stage)| wanted(*of, stage))?;
        let (result, state) = match *result {
            "Building" => ("Unknown", "Building"),
            result => (result, "Completed"),
        };
        Some(format!(
            r#"<stage name="{name}" counter="{n}"><link rel="self" href="http://localhost:8153/go/api/stages/{}.xml"/>
            <pipeline name="p" counter="{of}" href="http://localhost:8153/go/api/pipelines/p/{}.xml"/>
            <updated>{}</updated><result>{result}</result><state>{state}</state><approvedBy>changes</approvedBy><jobs/></stage>"#,
            id(of, name, *n),
            9000 + of,
            time(*at)
        ))
    }

    fn truth(&self, resource: &Resource) -> Option<String> {
        match resource {
            Resource::Pipelines(dialect) => {
                (self.is_old == (*dialect == pipefold_gocd::Dialect::Old)).then(|| self.pipelines())
            }
            Resource::StageFeed { pipeline, before, .. } if pipeline.as_str().eq_ignore_ascii_case("p") => {
                Some(self.page(*before))
            }
            Resource::StageFeed { .. } => Some(self.feed("", None)),
            Resource::PipelineById { id, .. } => self.run(id.checked_sub(9000)?),
            Resource::Pipeline(run) => self.run(run.counter.get()),
            Resource::StageById(wanted) => self.stage(|of, stage| id(of, stage.0, stage.1) == *wanted),
            Resource::Stage(wanted) | Resource::StageByName(wanted) => self.stage(|of, stage| {
                (of, stage.0, stage.1)
                    == (
                        wanted.pipeline.counter.get(),
                        wanted.name.as_str(),
                        wanted.counter.get(),
                    )
            }),
            _ => None,
        }
    }
}

/// A database id.
pub fn id(of: u64, stage: &str, n: u64) -> u64 {
    let name: u64 = stage.bytes().map(u64::from).sum();
    of * 10_000_000 + name * 1000 + n
}

impl Source for Plain {
    fn get(&self, resource: &Resource) -> Result<Vec<u8>, FetchError> {
        let path = resource.path();
        self.asked.borrow_mut().push(path.clone());
        if let Some(answer) = self.tamper.borrow().as_ref().and_then(|tamper| tamper(&path)) {
            return answer.map(String::into_bytes);
        }
        self.truth(resource).map(String::into_bytes).ok_or(FetchError::NotFound)
    }

    fn get_json(&self, run: &PipelineLocator) -> Result<Vec<u8>, FetchError> {
        let path = format!("/api/pipelines/{}/{}", run.name, run.counter);
        self.asked.borrow_mut().push(path.clone());
        let answer = self.tamper.borrow().as_ref().and_then(|tamper| tamper(&path));
        answer.unwrap_or(Err(FetchError::NotFound)).map(String::into_bytes)
    }
}

/// The same server by another name.
pub fn here() -> ServerUrl {
    ServerUrl::parse("http://localhost:8153/go").unwrap()
}
