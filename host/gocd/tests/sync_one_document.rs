//! Each document of 500 servers, one failing in each way: every other run is reported in that round, the failing one when it answers.
//!
//! `PIPEFOLD_SOAK_ROUNDS` asks for every document of a history where it is one otherwise.

use std::collections::BTreeSet;

use crate::sync_support::*;
use chrono::{DateTime, TimeDelta, Utc};
use gocd_standin::{Generation, History, Reading, Shape, Way};
use pipefold_gocd::Resource;

/// The number of histories, each on a server of either age.
const HISTORIES: u64 = 500;

fn shape() -> Shape {
    Shape {
        pipelines: 2,
        runs: 1..=6,
        ..Shape::default()
    }
}

/// The subject of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    /// A page of a pipeline's feed.
    Feed(String),
    /// A run of a pipeline.
    Run(String, u64),
}

impl About {
    fn of(path: &str, history: &History) -> Option<Self> {
        let resource = Resource::parse(&format!("/go{path}"))?;
        let runs = history
            .pipelines
            .iter()
            .flat_map(|pipeline| pipeline.runs.iter().map(move |run| (pipeline, run)));
        let mut runs = runs.map(|(pipeline, run)| (Self::Run(pipeline.name.to_string(), run.counter.get()), run));
        match resource {
            Resource::StageFeed { pipeline, .. } => Some(Self::Feed(pipeline.to_string())),
            Resource::PipelineById { id, .. } => Some(runs.find(|(_, run)| run.id == id)?.0),
            Resource::StageById(id) => Some(runs.find(|(_, run)| run.stages.iter().any(|stage| stage.id == id))?.0),
            Resource::JobById(id) => {
                let mut jobs = runs.flat_map(|(about, run)| {
                    let jobs = run.stages.iter().flat_map(|stage| stage.jobs.iter().map(|job| job.id));
                    jobs.map(move |job| (about.clone(), job)).collect::<Vec<_>>()
                });
                Some(jobs.find(|(_, job)| *job == id)?.0)
            }
            Resource::Pipeline(run) => Some(Self::Run(run.name.to_string(), run.counter.get())),
            Resource::Stage(stage) | Resource::StageByName(stage) => {
                Some(Self::Run(stage.pipeline.name.to_string(), stage.pipeline.counter.get()))
            }
            _ => None,
        }
    }

    /// Returns true if it is about this run.
    fn is_of(&self, reference_id: &str) -> bool {
        let path = reference_id.strip_prefix("gocd/go/").unwrap();
        match self {
            Self::Feed(pipeline) => path.split('/').next() == Some(pipeline),
            Self::Run(pipeline, counter) => {
                let run = format!("{pipeline}/{counter}");
                path == run || path.starts_with(&format!("{run}/attempt-"))
            }
        }
    }
}

/// A reader of a server of which one document fails.
struct Case {
    seed: u64,
    generation: Generation,
    document: String,
    way: Way,
    about: About,
    history: History,
    source: Memory,
    files: Files,
    told: Told,
}

impl Case {
    /// Reads; nothing but the feed of a pipeline, or a run, is missing afterwards.
    fn round(&mut self, now: DateTime<Utc>) {
        let done = round(&self.source, &self.files, &mut self.told, &options(), now);
        let done = done.unwrap_or_else(|why| panic!("{}: {why}", self.context()));
        for (pipeline, failure) in &done.failed {
            let is_it = matches!(&self.about, About::Feed(failing) if failing == pipeline.as_str());
            assert!(is_it, "{}: {pipeline}: {failure}", self.context());
        }
    }

    fn context(&self) -> String {
        format!(
            "seed {}, {:?}, {} {:?}",
            self.seed, self.generation, self.document, self.way
        )
    }

    fn assert_told(&self, is_meant: impl Fn(&str) -> bool) {
        let is = (self.generation, Reading::BackFill, false);
        let found = differences_of(&self.history, self.history.events(), is, &self.told, is_meant);
        assert!(found.is_empty(), "{}: {found:#?}", self.context());
    }

    fn run(&mut self) {
        let now = late();
        let about = self.about.clone();
        let is_other = |id: &str| !about.is_of(id);
        self.round(now);
        self.assert_told(is_other);
        let is_mended_soon = self.seed.is_multiple_of(2);
        match self.way {
            Way::MissingOnce => self.round(now + TimeDelta::minutes(11)),
            Way::Missing => {
                for minutes in [1, 11, 23] {
                    self.round(now + TimeDelta::minutes(minutes));
                }
            }
            _ => {
                let hours = if is_mended_soon { 2 } else { 9 };
                for hour in 1..=hours {
                    self.round(now + TimeDelta::hours(hour));
                    self.assert_told(is_other);
                }
                if !is_mended_soon && matches!(self.about, About::Run(..)) {
                    self.assert_something_told();
                }
                self.source.failing.take();
                self.round(now + TimeDelta::days(3));
            }
        }
        match self.way {
            Way::Missing => {
                self.assert_told(is_other);
                if matches!(self.about, About::Run(..)) {
                    self.assert_something_told();
                }
            }
            // DX keeps a record that was reported without the document after hours.
            way if way != Way::MissingOnce && !is_mended_soon => {
                self.assert_told(is_other);
                self.assert_something_told();
            }
            _ => self.assert_told(|_| true),
        }
        // Nothing of it is left: without news it is the list, and a page each.
        self.source.failing.take();
        self.round(now + TimeDelta::days(20));
        self.source.asked.take();
        self.round(now + TimeDelta::days(20) + TimeDelta::minutes(1));
        let asked = self.source.asked.take();
        assert_eq!(
            asked.len(),
            1 + self.history.pipelines.len(),
            "{}: {asked:?}",
            self.context()
        );
    }

    /// Checks that something was reported of the document's subject, if there is anything to report without it.
    fn assert_something_told(&self) {
        let is = (self.generation, Reading::BackFill, false);
        let found = differences_of(&self.history, self.history.events(), is, &self.told, |id| {
            self.about.is_of(id)
        });
        let has_none = !self.told.by_run.keys().any(|id| self.about.is_of(id));
        let is_expected = found.iter().any(|line| line.ends_with("is not there"));
        assert!(
            !(has_none && is_expected) || self.is_all(),
            "{}: {found:#?}",
            self.context()
        );
    }

    /// Returns true if the document is all that there is of a run: its only stage's, or in the new dialect, where the feed's page is long past, its own.
    fn is_all(&self) -> bool {
        let About::Run(pipeline, counter) = &self.about else {
            return false;
        };
        let of_it = |one: &&gocd_standin::PipelineHistory| one.name.as_str() == pipeline;
        let pipeline = self.history.pipelines.iter().find(of_it).unwrap();
        let run = pipeline.runs.iter().find(|run| run.counter.get() == *counter).unwrap();
        run.known(self.history.events()).len() < 2
    }
}

/// The documents that a server has, as a reader asks for them.
fn documents(history: &History, generation: Generation) -> Vec<(String, About)> {
    let source = Memory::new(history, generation);
    round(&source, &Files::default(), &mut Told::default(), &options(), late()).unwrap();
    let asked: BTreeSet<String> = source.asked.take().into_iter().collect();
    let is_there = |path: &String| source.server.borrow().answer(&format!("/go{path}"), &[]).status < 400;
    let there = asked.into_iter().filter(is_there);
    there
        .filter_map(|path| About::of(&path, history).map(|about| (path, about)))
        .collect()
}

fn simulate(generation: Generation) {
    let has_all = std::env::var_os("PIPEFOLD_SOAK_ROUNDS").is_some();
    for seed in 0..HISTORIES {
        let history = History::generate(seed, &shape());
        let documents = documents(&history, generation);
        let dice = Dice::new(seed);
        let one = usize::try_from(dice.roll(documents.len() as u64)).unwrap();
        for (place, (document, about)) in documents.into_iter().enumerate() {
            if !has_all && place != one {
                continue;
            }
            let ways = Way::ALL.len() as u64;
            let way = Way::ALL[usize::try_from((seed / 2 + place as u64) % ways).unwrap()];
            let source = Memory::new(&history, generation);
            source.failing.replace(Some((document.clone(), way)));
            let mut case = Case {
                seed,
                generation,
                document,
                way,
                about,
                history: history.clone(),
                source,
                files: Files::default(),
                told: Told::default(),
            };
            case.run();
        }
    }
}

#[test]
fn one_document_of_an_old_server_fails() {
    simulate(Generation::Old);
}

#[test]
fn one_document_of_a_new_server_fails() {
    simulate(Generation::New);
}
