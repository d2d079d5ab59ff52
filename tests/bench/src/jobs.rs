//! A `finish` with many jobs, beside curl posting them one after the other.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dx_standin::{Mode, Standin};

use crate::arguments::Arguments;
use crate::bench::{succeed, temporary};
use crate::report::yes;
use crate::samples::Samples;
use crate::scene::Scene;
use crate::table::Table;

/// Steps of the run.
const STEPS: usize = 50;
/// The time that DX takes for a request.
const DX: Duration = Duration::from_millis(50);
/// Rounds: each takes some seconds.
const ROUNDS: usize = 5;
/// The target: the time of `finish`, in times of curl's.
const REACH: f64 = 0.25;

/// Measures, and prints a table.
///
/// # Errors
/// If a command fails, or DX did not get every job.
pub(crate) fn measure_and_print(arguments: &Arguments) -> Result<()> {
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let root = temporary(here.parent().unwrap_or(Path::new(".")))?;
    let scene = Scene::new(Standin::start(), &arguments.pipefold, root.path().join("jobs"))?;
    eprintln!("bench: {ROUNDS} times a `finish` with {STEPS} jobs");
    let (mut finish, mut curl) = (Samples::default(), Samples::default());
    for round in 0..ROUNDS {
        let run = format!("run-{round}");
        scene.answer(Mode::Normal);
        succeed(scene.start(&run))?;
        scene.learn_body()?;
        for step in 0..STEPS {
            succeed(scene.named_step(&run, &format!("step {step}")))?;
        }
        scene.answer(Mode::Slow(DX));
        finish.time(|| succeed(scene.finish(&run)))?;
        let jobs = scene.jobs(&run);
        ensure!(jobs == STEPS, "DX has {jobs} of the {STEPS} jobs of {run}");
        curl.time(|| (0..=STEPS).try_for_each(|_| succeed(scene.curl())))?;
    }
    let mut table = Table::new(["what", "pipefold", "beside it", "ratio", "reach", "reached"]);
    let ratio = finish.median() / curl.median();
    table.row([
        format!("`finish` with {STEPS} jobs, each answered after {} ms", DX.as_millis()),
        format!("{:.0} ms", finish.median()),
        format!("curl, {} requests in a row {:.0} ms", STEPS + 1, curl.median()),
        format!("{ratio:.2} ×"),
        format!("≤ {REACH} ×"),
        yes(ratio <= REACH),
    ]);
    println!("{table}");
    Ok(())
}
