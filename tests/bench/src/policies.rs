//! A step behind a policy, beside one without: what someone else's component costs a process, and a hook.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use dx_standin::Standin;

use crate::arguments::Arguments;
use crate::bench::{succeed, temporary};
use crate::plugin;
use crate::report::{microseconds, yes};
use crate::samples::Samples;
use crate::scene::{Scene, quiet};
use crate::table::Table;

/// The targets; each is an upper limit except for `HOOKS`.
mod reach {
    /// The time that a policy made from Rust adds to a hook, in microseconds.
    pub(super) const HOOK: f64 = 100.0;
    /// Hooks a second on one core, each in fresh instances, behind a policy made from Rust.
    pub(super) const HOOKS: f64 = 10_000.0;
    /// The cost of a trap, or of a time-out beyond its limit, in microseconds.
    pub(super) const FAILURE: f64 = 5_000.0;
    /// The time that policies from the cache add to a process, in milliseconds.
    pub(super) const PROCESS: [(&str, f64); 2] = [("rust", 3.0), ("python", 40.0)];
    /// The delay of a command's start by a policy that is not compiled yet, in milliseconds.
    pub(super) const STARTS: f64 = 20.0;
    /// The time that such an `exec -- true` may take: the budget of a finish, in milliseconds.
    pub(super) const ENDS: f64 = 5_000.0;
}

/// Rounds with a policy that is not compiled yet: each takes the whole budget of a finish.
const UNCOMPILED: usize = 5;

/// The time limit of the policy that loops, in microseconds, as `benches/policies.rs` sets it.
const TIME_LIMIT: f64 = 50_000.0;

/// Measures, and prints a table; nothing where no policies are named.
///
/// # Errors
/// If a command fails, or a result of criterion cannot be read.
pub(crate) fn measure_and_print(arguments: &Arguments) -> Result<()> {
    let (Some(policies), Some(criterion)) = (&arguments.policies, &arguments.criterion) else {
        return Ok(());
    };
    let mut table = Table::new(["what", "measured", "reach", "reached"]);
    rows_of_hooks(&mut table, |benchmark| plugin::median(criterion, benchmark))?;
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let root = temporary(here.parent().unwrap_or(Path::new(".")))?;
    let scene = Scene::new(Standin::start(), &arguments.pipefold, root.path().join("policies"))?;
    for (language, reach) in reach::PROCESS {
        let component = policies.join(language).with_extension("wasm");
        let what = format!("`step` behind the policy from {language}, compiled before, over `step` without");
        if !component.is_file() {
            table.row([what, "not measured".into(), format!("≤ {reach} ms"), String::new()]);
            continue;
        }
        let over = process(&scene, &component, arguments.rounds)?;
        let reached = yes(over <= reach);
        table.row([what, format!("{over:.1} ms"), format!("≤ {reach} ms"), reached]);
        let (starts, ends) = uncompiled(&scene, &component)?;
        for (what, value, reach) in [
            ("the command of `exec` starts, over by itself", starts, reach::STARTS),
            ("`exec -- touch` ends", ends, reach::ENDS),
        ] {
            let what = format!("{what}, behind the policy from {language}, not compiled before");
            let cells = [format!("{value:.1} ms"), format!("≤ {reach} ms")];
            let [measured, reach_text] = cells;
            table.row([what, measured, reach_text, yes(value <= reach)]);
        }
    }
    println!("Policies:\n\n{table}");
    Ok(())
}

fn rows_of_hooks(table: &mut Table, measure: impl Fn(&str) -> Result<f64>) -> Result<()> {
    let Ok(behind) = measure("policy/rust") else {
        return Ok(());
    };
    let over = behind - measure("policy/none")?;
    let mut row = |what: &str, value: f64, reach: f64| {
        let cells = [
            what.to_owned(),
            microseconds(value),
            format!("≤ {}", microseconds(reach)),
        ];
        let [what, value_text, reach_text] = cells;
        table.row([what, value_text, reach_text, yes(value <= reach)]);
    };
    row("a policy from Rust, over the hook alone", over, reach::HOOK);
    row("a policy that traps", measure("policy/trap")?, reach::FAILURE);
    row(
        "a policy that loops, over its time limit",
        measure("policy/loop")? - TIME_LIMIT,
        reach::FAILURE,
    );
    let hooks = 1e6 / behind;
    table.row([
        "hooks a second on one core, behind the policy from Rust".into(),
        format!("{hooks:.0}"),
        format!("≥ {}", reach::HOOKS),
        yes(hooks >= reach::HOOKS),
    ]);
    Ok(())
}

/// With a policy that is not compiled yet: how much later a command starts than by itself, and when its `exec` ends, in milliseconds.
fn uncompiled(scene: &Scene, component: &Path) -> Result<(f64, f64)> {
    let file = scene.spool().with_extension("touched");
    // When the command had run, by the time of the file that it made.
    let starts = |command: Command| -> Result<Duration> {
        let _ = std::fs::remove_file(&file);
        let began = SystemTime::now();
        succeed(command)?;
        let touched = std::fs::metadata(&file).and_then(|metadata| metadata.modified());
        let touched = touched.context("the command did not make its file")?;
        Ok(touched.duration_since(began).unwrap_or_default())
    };
    let plain = || -> Command {
        let mut command = quiet("touch");
        command.arg(&file);
        command
    };
    let (mut with, mut alone, mut whole) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..UNCOMPILED {
        alone.add(starts(plain())?);
        let mut command = scene.exec_of(&format!("uncompiled-{round}"), "touch".as_ref(), &file);
        command.env("PIPEFOLD_POLICY", component);
        // A new cache each time.
        command.env("PIPEFOLD_POLICY_CACHE", scene.cache().with_extension(round.to_string()));
        with.add(whole.time(|| starts(command))?);
    }
    Ok((with.median() - alone.median(), whole.median()))
}

/// The time that the policy adds to the process, in milliseconds: the medians of rounds with and without, in turn.
fn process(scene: &Scene, component: &Path, rounds: usize) -> Result<f64> {
    let behind = |run: &str| -> Command {
        let mut command = scene.step(run);
        command.arg("--policy").arg(component);
        command.arg("--policy-cache").arg(scene.cache());
        command
    };
    // Compiles it.
    succeed(behind("first"))?;
    let (mut with, mut without) = (Samples::default(), Samples::default());
    for round in 0..rounds {
        without.time(|| succeed(scene.step(&format!("without-{round}"))))?;
        with.time(|| succeed(behind(&format!("with-{round}"))))?;
    }
    Ok(with.median() - without.median())
}
