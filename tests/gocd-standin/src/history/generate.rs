//! Histories, invented by a seed.

use std::ops::RangeInclusive;

use chrono::{DateTime, FixedOffset, Utc};
use pipefold_gocd::documents::{Counter, Name};

use super::facts::{AUTHORS, PEOPLE, PIPELINES, STAGES, materials};
use super::material::{Change, Kind, Material};
use super::model::{History, Moment, PipelineHistory, PipelineRun};
use super::run::{ConfiguredStage, Course, at, seconds, stages};
use fastrand::Rng;

/// The size of a history, and the events that may happen in it.
#[derive(Clone, Debug)]
pub struct Shape {
    /// The number of pipelines.
    pub pipelines: usize,
    /// The number of runs of each pipeline.
    pub runs: RangeInclusive<u64>,
    /// The percentage of pipelines with a run of more than 25 stages' runs, which is a page of the feed.
    pub long_runs: u64,
    /// The percentage of re-runs of stages that come months later.
    pub months_later: u64,
    /// True if people approve stages within minutes, and runs follow each other within hours.
    pub is_brisk: bool,
}

impl Shape {
    /// All of it within some days: what a reader that follows along has to find without reading everything again.
    #[must_use]
    pub fn brisk() -> Self {
        Self {
            months_later: 0,
            is_brisk: true,
            ..Self::default()
        }
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            pipelines: 1,
            runs: 1..=12,
            long_runs: 10,
            months_later: 25,
            is_brisk: false,
        }
    }
}

/// The beginning of all histories: 2019-01-07, before GoCD had the new feeds and after it had all that is shown here of the old ones.
const BEGIN: i64 = 1_546_858_800;

/// Seconds between two runs of a pipeline: so close that they overlap, by the hour, by the week.
const PACES: [u64; 3] = [300, 5_000, 600_000];

/// Hours east of Greenwich of the zones of old servers.
const ZONES: [i32; 4] = [0, 19_800, -28_800, 3_600];

impl History {
    /// The history of a seed. It ends in the middle of things, so that some stages are under way.
    ///
    /// # Panics
    ///
    /// If the shape has no pipelines or runs.
    #[must_use]
    pub fn generate(seed: u64, shape: &Shape) -> Self {
        let mut random = Rng::with_seed(seed);
        let pipelines = (0..shape.pipelines)
            .map(|place| pipeline(&mut random, place, shape))
            .collect();
        let mut history = Self {
            pipelines,
            times: Vec::new(),
        };
        history.number(&mut random);
        history
    }

    /// Gives events their places and things their ids.
    fn number(&mut self, random: &mut Rng) {
        let mut moments: Vec<&mut Moment> = Vec::new();
        for pipeline in &mut self.pipelines {
            let changes = pipeline.materials.iter_mut().flat_map(|material| &mut material.changes);
            moments.extend(changes.map(|change| &mut change.known));
            for stage in pipeline.runs.iter_mut().flat_map(|run| &mut run.stages) {
                moments.push(&mut stage.scheduled);
                moments.extend(stage.jobs.iter_mut().filter_map(|job| job.completed.as_mut()));
            }
        }
        // Stable: of two events in the same second the one that was invented first is first.
        moments.sort_by_key(|moment| moment.time);
        let length = moments.len() as u64;
        let kept = length - length * random.u64(0..=15) / 100;
        for (event, moment) in (1..).zip(moments) {
            // What comes after the end never happens.
            moment.event = if event <= kept { event } else { u64::MAX };
            if event <= kept {
                self.times.push(moment.time);
            }
        }
        self.identify();
    }

    /// Database ids: one sequence for each kind of thing, far enough apart that no number means something in two of them.
    fn identify(&mut self) {
        let mut runs: Vec<&mut PipelineRun> = Vec::new();
        for pipeline in &mut self.pipelines {
            runs.extend(&mut pipeline.runs);
        }
        runs.sort_by_key(|run| run.stages.first().map(|stage| stage.scheduled));
        for (id, run) in (9_000..).zip(&mut runs) {
            run.id = id;
        }
        let mut stages: Vec<_> = runs.into_iter().flat_map(|run| &mut run.stages).collect();
        stages.sort_by_key(|stage| stage.scheduled);
        let mut job_id = 700_000;
        for (id, stage) in (20_000..).zip(stages) {
            stage.id = id;
            for job in &mut stage.jobs {
                job.id = job_id;
                job_id += 1;
            }
        }
    }
}

fn pipeline(random: &mut Rng, place: usize, shape: &Shape) -> PipelineHistory {
    let name = format!("{}-{place}", pick(random, &PIPELINES));
    let mut configured = Vec::new();
    for (stage, is_manual) in *pick(random, &STAGES) {
        configured.push(ConfiguredStage::invent(random, checked(stage), *is_manual));
    }
    let mut materials = materials(random.u64(..));
    let pace = *pick(random, if shape.is_brisk { &PACES[..2] } else { &PACES });
    let count = random.u64(shape.runs.clone());
    let long = chance(random, shape.long_runs).then(|| random.u64(1..=count));
    let mut runs = Vec::new();
    let mut time = DateTime::<Utc>::from_timestamp(BEGIN, 0).unwrap_or_default() + seconds(random.u64(0..=86_400));
    for counter in 1..=count {
        let before = time;
        time += seconds(random.u64(60..=pace));
        let is_manual = configured.first().is_some_and(|stage| stage.is_manual);
        let approver = match random.u64(1..=10) {
            _ if is_manual => pick(random, &PEOPLE).0,
            1 => "timer",
            2 => pick(random, &PEOPLE).0,
            _ => "changes",
        };
        let revisions = (0..)
            .zip(&mut materials)
            .map(|(place, material)| {
                let is_due = material.changes.is_empty() || (approver == "changes" && place == 0) || chance(random, 30);
                let new = if is_due { random.u64(1..=3) } else { 0 };
                changes(random, material, new, before, time)
            })
            .collect();
        let course = Course {
            length: if long == Some(counter) { 32 } else { 9 },
            is_brisk: shape.is_brisk,
            again: if long == Some(counter) { 97 } else { 25 },
            months_later: if long == Some(counter) { 0 } else { shape.months_later },
        };
        runs.push(PipelineRun {
            id: 0,
            counter: Counter::new(counter).unwrap_or(Counter::FIRST),
            revisions,
            stages: stages(random, &configured, course, time, approver),
        });
    }
    // Changes that no run was made from.
    for material in &mut materials {
        if chance(random, 20) {
            let until = time + seconds(random.u64(100..=2 * pace));
            changes(random, material, 1, time, until);
        }
    }
    PipelineHistory {
        name: checked(&name),
        materials,
        stages: configured.into_iter().map(|stage| stage.name).collect(),
        zone: FixedOffset::east_opt(*pick(random, &ZONES)).unwrap_or_else(|| panic!("no zone")),
        runs,
    }
}

/// Adds new changes, made and seen between two times, and gives those that a run at the second is made from.
fn changes(
    random: &mut Rng,
    material: &mut Material,
    new: u64,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<usize> {
    let first = material.changes.len();
    let room = u64::try_from((until - after).num_seconds()).unwrap_or_default();
    let mut checked_in = after + seconds(1);
    for _ in 0..new {
        checked_in += seconds(random.u64(0..=(room / 5).max(1)));
        let number = material.changes.len() + 1;
        let (revision, author) = match material.kind {
            Kind::Dependency { pipeline, stage } => (format!("{pipeline}/{number}/{stage}/1"), None),
            Kind::Package { package, .. } => (format!("{package}-1.{number}"), Some(*pick(random, &AUTHORS))),
            _ => (
                (0..5).map(|_| format!("{:08x}", random.u32(..))).collect(),
                Some(*pick(random, &AUTHORS)),
            ),
        };
        material.changes.push(Change {
            known: at(until - seconds(1)),
            checked_in,
            revision,
            author,
        });
    }
    let newest = material.changes.len();
    // Without a change a run is made from what the one before it was.
    let oldest = first.min(newest.saturating_sub(1));
    (oldest..newest).rev().collect()
}

fn checked(name: &str) -> Name {
    Name::new(name).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// True in this many of a hundred cases.
pub(super) fn chance(random: &mut Rng, percent: u64) -> bool {
    random.u64(..100) < percent
}

/// Any of these.
pub(super) fn pick<'a, T>(random: &mut Rng, of: &'a [T]) -> &'a T {
    &of[random.usize(..of.len())]
}
