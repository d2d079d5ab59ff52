//! The progress and the warnings of a round, printed for people.

use std::collections::BTreeMap;
use std::time::Instant;

use pipefold_gocd::documents::{Name, PipelineLocator};
use pipefold_gocd::sync::{Failure, Gone, Notice, Observer};

use super::StopFlag;
use super::delivery::BackgroundDelivery;
use crate::terminal::{ProgressLine, excerpt, neutral, say};

/// Pipelines that were not read to their end, with the reasons. A reason is printed once in many rounds, until it changes.
pub type FailingPipelines = BTreeMap<Name, String>;

/// The observer that prints a round while it goes on.
pub struct RoundObserver<'a> {
    progress: ProgressLine,
    delivery: Option<&'a BackgroundDelivery>,
    stop: &'a StopFlag,
    failing: &'a mut FailingPipelines,
    quiet: bool,
    begun: Instant,
    pipelines: usize,
    at: usize,
    pages: u64,
    runs: u64,
    gone: usize,
}

/// The most pipelines, and runs of one, that are named where the user may have lost the right to see all.
const MOST_NAMED: usize = 20;

impl<'a> RoundObserver<'a> {
    pub fn new(
        quiet: bool,
        delivery: Option<&'a BackgroundDelivery>,
        stop: &'a StopFlag,
        failing: &'a mut FailingPipelines,
    ) -> Self {
        Self {
            progress: ProgressLine::of_stderr(quiet),
            delivery,
            stop,
            failing,
            quiet,
            begun: Instant::now(),
            pipelines: 0,
            at: 0,
            pages: 0,
            runs: 0,
            gone: 0,
        }
    }

    fn show(&mut self) {
        let (at, pipelines, pages, runs) = (self.at, self.pipelines, self.pages, self.runs);
        let (begun, delivery) = (self.begun, self.delivery);
        self.progress.show(at.saturating_sub(1), pipelines, || {
            let per_second = runs as f64 / begun.elapsed().as_secs_f64().max(0.001);
            let delivered = delivery.map_or(String::new(), |delivery| format!(", {} delivered", delivery.accepted()));
            format!("pipeline {at} of {pipelines}, {pages} pages, {runs} runs, {per_second:.0} runs/s{delivered}")
        });
    }
}

impl Observer for RoundObserver<'_> {
    fn pipelines(&mut self, count: usize) {
        self.pipelines = count;
        self.show();
    }

    fn pipeline(&mut self, _: &Name) {
        self.at += 1;
        self.show();
    }

    fn page(&mut self, _: &Name) {
        self.pages += 1;
        self.show();
    }

    fn request(&mut self) {
        self.show();
    }

    fn run(&mut self, run: &PipelineLocator, attempts: usize) {
        self.runs += 1;
        tracing::debug!(pipeline = %neutral(run.name.as_str()), counter = %run.counter, attempts, "read a run");
        self.show();
    }

    fn notice(&mut self, pipeline: &Name, run: Option<&PipelineLocator>, notice: &Notice) {
        let counter = run.map(|run| run.counter.to_string()).unwrap_or_default();
        tracing::info!(pipeline = %neutral(pipeline.as_str()), counter, notice = %excerpt(&notice.to_string()));
    }

    fn gone(&mut self, gone: &Gone) {
        self.gone += 1;
        if self.quiet || self.gone > MOST_NAMED {
            return;
        }
        self.progress.clear();
        let name = neutral(gone.pipeline.as_str());
        let runs: Vec<String> = gone.under_way.iter().take(MOST_NAMED).map(u64::to_string).collect();
        let left = match &runs[..] {
            [] => String::new(),
            [one] => format!("; run {one} had not ended, and stays so in DX"),
            more => format!("; runs {} had not ended, and stay so in DX", more.join(", ")),
        };
        say(&format!(
            "pipefold: warning: pipeline {name} is not listed any more: renamed, deleted or hidden from the user{left}"
        ));
    }

    fn failed(&mut self, pipeline: &Name, failure: &Failure) {
        // A stop makes the request fail, and nothing is wrong.
        if self.quiet || self.stop.is_due() {
            return;
        }
        let why = excerpt(&failure.to_string());
        if self.failing.get(pipeline) == Some(&why) {
            return;
        }
        self.progress.clear();
        say(&format!(
            "pipefold: warning: pipeline {} was not read to its end: {}",
            neutral(pipeline.as_str()),
            why
        ));
        self.failing.insert(pipeline.clone(), why);
    }
}
