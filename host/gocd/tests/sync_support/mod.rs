//! A server, a store and a sink in memory, and DX's rule in short.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod plain;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use gocd_standin::{Answer, Expected, Generation, History, Reading, Server, Wanted, Way};
use pipefold_gocd::client::{FetchError, Source};
use pipefold_gocd::documents::{Name, PipelineLocator};
use pipefold_gocd::mapping::{Mapping, ServerId};
use pipefold_gocd::sync::*;
use pipefold_gocd::{Href, Resource, ServerUrl};
use pipefold_sandbox::Notification;
use serde_json::{Value, json};

/// The address of the server's pages.
pub const PAGES: &str = "https://go.example.com/go";

/// Random numbers through a shared reference.
pub struct Dice(RefCell<fastrand::Rng>);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed).into())
    }

    /// A number below `end`.
    pub fn roll(&self, end: u64) -> u64 {
        self.0.borrow_mut().u64(..end)
    }
}

/// A server that is asked without a network.
pub struct Memory {
    pub server: RefCell<Server>,
    /// Paths with queries, as they were asked for.
    pub asked: RefCell<Vec<String>>,
    /// The failing requests in a thousand, and the random numbers that choose them.
    pub trouble: Option<(u64, Dice)>,
    /// A document that fails, and how.
    pub failing: RefCell<Option<(String, Way)>>,
}

impl Memory {
    pub fn new(history: &History, generation: Generation) -> Self {
        Self {
            server: RefCell::new(Server::new(history.clone(), generation)),
            asked: RefCell::default(),
            trouble: None,
            failing: RefCell::default(),
        }
    }

    fn answer(&self, path: &str, accept: &str) -> Result<Answer, FetchError> {
        self.asked.borrow_mut().push(path.to_owned());
        if let Some((often, dice)) = &self.trouble
            && dice.roll(1000) < *often
        {
            let status = [None, Some(500), Some(503)][usize::try_from(dice.roll(3)).unwrap()];
            return Err(unavailable(status));
        }
        let headers = [("accept".to_owned(), accept.to_owned())];
        let mut answer = self.server.borrow().answer(&format!("/go{path}"), &headers);
        let way = self
            .failing
            .borrow()
            .as_ref()
            .filter(|(failing, _)| failing == path)
            .map(|(_, way)| *way);
        match way {
            None => {}
            Some(Way::Status(status)) => return Err(unavailable(Some(status))),
            Some(Way::Cut | Way::Slow) => return Err(unavailable(None)),
            Some(Way::CutShort) => answer.body.truncate(answer.body.len() / 2),
            Some(Way::MissingOnce) => {
                self.failing.take();
                return Err(FetchError::NotFound);
            }
            Some(Way::Missing) => return Err(FetchError::NotFound),
        }
        Ok(answer)
    }
}

pub fn unavailable(status: Option<u16>) -> FetchError {
    FetchError::Unavailable {
        status,
        retry_after: None,
        why: "on purpose".into(),
    }
}

/// An answer as the client returns it.
pub fn body(answer: Answer) -> Result<Vec<u8>, FetchError> {
    match answer.status {
        200 => Ok(answer.body),
        401 if answer.header("WWW-Authenticate").is_some() => Err(FetchError::BadCredentials),
        401 | 403 => Err(FetchError::NoPermission),
        404 => Err(FetchError::NotFound),
        status if status >= 500 => Err(unavailable(Some(status))),
        status => Err(FetchError::Refused {
            status,
            why: "no".into(),
        }),
    }
}

impl Source for Memory {
    fn get(&self, resource: &Resource) -> Result<Vec<u8>, FetchError> {
        let answer = self.answer(&resource.path(), "application/xml")?;
        if answer.status == 302 {
            let to = Href::new(answer.header("Location").unwrap()).unwrap();
            return self.get(&to.resource().unwrap());
        }
        body(answer)
    }

    fn get_json(&self, run: &PipelineLocator) -> Result<Vec<u8>, FetchError> {
        let path = format!("/api/pipelines/{}/{}", run.name, run.counter);
        body(self.answer(&path, "application/vnd.go.cd+json")?)
    }
}

/// States as they would be in files.
#[derive(Default)]
pub struct Files {
    pub pipelines: RefCell<BTreeMap<Name, Vec<u8>>>,
    pub server: RefCell<Option<Vec<u8>>>,
    pub saves: Cell<u64>,
    pub trouble: Option<(u64, Dice)>,
}

impl Files {
    fn fail(&self) -> Result<(), StateError> {
        match &self.trouble {
            Some((often, dice)) if dice.roll(1000) < *often => Err(StateError::Storage("full".into())),
            _ => Ok(()),
        }
    }
}

impl StateStore for Files {
    fn load(&self, pipeline: &Name) -> Result<Option<PipelineState>, StateError> {
        self.fail()?;
        let pipelines = self.pipelines.borrow();
        pipelines
            .get(pipeline)
            .map(|bytes| PipelineState::from_json(bytes))
            .transpose()
    }

    fn save(&self, pipeline: &Name, state: &PipelineState) -> Result<(), StateError> {
        self.fail()?;
        self.saves.set(self.saves.get() + 1);
        self.pipelines.borrow_mut().insert(pipeline.clone(), state.to_json()?);
        Ok(())
    }

    fn load_server(&self) -> Result<Option<ServerState>, StateError> {
        self.server.borrow().as_deref().map(ServerState::from_json).transpose()
    }

    fn save_server(&self, state: &ServerState) -> Result<(), StateError> {
        self.server.replace(Some(state.to_json()?));
        Ok(())
    }
}

/// The reported notifications, by the name of the run in DX.
#[derive(Default)]
pub struct Told {
    pub by_run: BTreeMap<String, Vec<Notification>>,
    pub reports: Vec<Reported>,
    pub trouble: Option<(u64, Dice)>,
}

impl Sink for Told {
    fn take(&mut self, run: &Reported) -> Result<(), SinkError> {
        if let Some((often, dice)) = &self.trouble
            && dice.roll(1000) < *often
        {
            return Err(SinkError("full".into()));
        }
        assert!(!run.attempts.is_empty());
        for attempt in &run.attempts {
            let told = self.by_run.entry(attempt.reference_id.clone()).or_default();
            let before = told.len();
            told.extend(attempt.start.clone());
            told.extend(attempt.steps.clone());
            told.extend(attempt.finish.clone());
            assert!(told.len() > before, "{attempt:?}");
        }
        self.reports.push(run.clone());
        Ok(())
    }
}

impl Told {
    pub fn notifications(&self) -> usize {
        self.by_run.values().map(Vec::len).sum()
    }

    /// The records that DX would hold.
    pub fn records(&self) -> BTreeMap<String, Value> {
        self.by_run
            .iter()
            .map(|(id, told)| (id.clone(), record(told)))
            .collect()
    }

    /// The jobs that DX would hold.
    pub fn jobs(&self) -> BTreeMap<String, Vec<Value>> {
        let jobs = |told: &Vec<Notification>| dx_standin::jobs(&told.iter().map(|one| json!(one)).collect::<Vec<_>>());
        self.by_run.iter().map(|(id, told)| (id.clone(), jobs(told))).collect()
    }
}

/// DX's record of a finished run: only notifications without a step decide the status and the finish.
pub fn record(told: &[Notification]) -> Value {
    let upsert = |one: &Notification| {
        let mut upsert = json!(one);
        let fields = upsert.as_object_mut().unwrap();
        if fields.remove("step").is_some() {
            fields.remove("status");
            fields.remove("finished_at");
        }
        upsert
    };
    // A step without a start adds nothing to the run.
    let dated = told.iter().filter(|one| one.started_at.is_some());
    dx_standin::fold(&dated.map(upsert).collect::<Vec<_>>())
}

pub fn options() -> Options {
    let mapping = Mapping::new(ServerId::new("go").unwrap(), ServerUrl::parse(PAGES).unwrap());
    Options::new(ServerUrl::parse("http://go.internal:8153/go").unwrap(), mapping)
}

/// A time long after all histories.
pub fn late() -> DateTime<Utc> {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

pub fn round(
    source: &dyn Source,
    files: &Files,
    told: &mut Told,
    options: &Options,
    now: DateTime<Utc>,
) -> Result<Round, SyncError> {
    Engine::new(source, files, told, &mut (), options.clone()).round(now, &|| false)
}

/// The differences between the expected records and jobs of a history and the reported ones.
pub fn differences(
    history: &History,
    events: u64,
    (generation, reading, enriched): (Generation, Reading, bool),
    told: &Told,
) -> Vec<String> {
    differences_of(history, events, (generation, reading, enriched), told, |_| true)
}

/// The same of some of the runs.
pub fn differences_of(
    history: &History,
    events: u64,
    (generation, reading, enriched): (Generation, Reading, bool),
    told: &Told,
    is_meant: impl Fn(&str) -> bool,
) -> Vec<String> {
    let wanted = Wanted {
        generation,
        reading,
        enriched,
        server_id: "go".into(),
        pages: PAGES.into(),
    };
    let mut expected = Expected::of(history, events, &wanted);
    expected.retain(|one| is_meant(&one.reference_id));
    let mut records = told.records();
    records.retain(|id, _| is_meant(id));
    let mut jobs = told.jobs();
    jobs.retain(|id, _| is_meant(id));
    let mut found = Expected::differences(&expected, &records);
    found.extend(Expected::job_differences(&expected, &jobs));
    found
}
