//! The rounds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use dx_standin::Standin;
use tempfile::TempDir;

use crate::arguments::Arguments;
use crate::disk;
use crate::instructions;
use crate::memory;
use crate::samples::Samples;
use crate::scene::{Scene, quiet};

/// Rounds before those that count: they bring programs and libraries into memory.
const WARM_UP: usize = 3;
/// Each takes the whole time that `exec` gives a finish, which is some seconds.
const HANGING: usize = 3;
/// A file system in memory, on Linux: what is left there is the work without the disk.
const IN_MEMORY: &str = "/dev/shm";

/// The measured values.
pub(crate) struct Results {
    /// `true` by itself.
    pub(crate) nothing: Samples,
    pub(crate) http: Place,
    pub(crate) https: Place,
    /// Over plain HTTP, with the spool in memory; none where there is no such place.
    pub(crate) in_memory: Option<Place>,
    /// `start` where there is no spool yet.
    pub(crate) first_start: Samples,
    pub(crate) hanging: Hanging,
    /// The most memory that each command held, in bytes, with its name.
    pub(crate) peaks: Vec<(String, u64)>,
    /// The number of instructions that a `step` executes; none where they could not be counted.
    pub(crate) instructions: Option<u64>,
}

/// The commands in one place.
#[derive(Default)]
pub(crate) struct Place {
    /// Such as `ext4`.
    pub(crate) file_system: Option<String>,
    /// Making one file durable, by itself.
    pub(crate) durable: Samples,
    pub(crate) curl: Samples,
    pub(crate) start: Samples,
    pub(crate) step: Samples,
    pub(crate) finish: Samples,
    pub(crate) exec: Samples,
}

/// `exec -- true` where DX reads the request and never answers.
#[derive(Default)]
pub(crate) struct Hanging {
    pub(crate) exec: Samples,
    /// True if it reported each time that nothing was delivered.
    pub(crate) said: bool,
}

/// Measures everything.
///
/// # Errors
/// If a command fails, or did not do what it was measured for.
pub(crate) fn run(arguments: &Arguments) -> Result<Results> {
    let pipefold = &arguments.pipefold;
    // Beside the program: as a rule a real disk, where the temporary directory may be one in memory.
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let root = temporary(here.parent().unwrap_or(Path::new(".")))?;
    let shared_memory = Path::new(IN_MEMORY);
    let in_memory = if shared_memory.is_dir() {
        Some(temporary(shared_memory)?)
    } else {
        None
    };

    let mut stages = vec![
        Stage::new(Standin::start(), pipefold, root.path().join("http"))?,
        Stage::new(Standin::start_tls(), pipefold, root.path().join("https"))?,
    ];
    if let Some(in_memory) = &in_memory {
        stages.push(Stage::new(Standin::start(), pipefold, in_memory.path().join("http"))?);
    }
    let first = Scene::new(Standin::start(), pipefold, root.path().join("first"))?;

    eprintln!("bench: {} rounds of each command", arguments.rounds);
    let (mut nothing, mut first_start) = (Samples::default(), Samples::default());
    for round in 0..WARM_UP + arguments.rounds {
        if round == WARM_UP {
            (nothing, first_start) = (Samples::default(), Samples::default());
            stages.iter_mut().for_each(|stage| stage.place = Place::default());
        }
        nothing.time(|| succeed(quiet("true")))?;
        first_start.time(|| succeed(first.first_start(&format!("first-{round}"))))?;
        // Whoever comes first in a round comes last in the next one.
        let count = stages.len();
        for turn in 0..count {
            if let Some(stage) = stages.get_mut((round + turn) % count) {
                stage.play(round)?;
            }
        }
    }
    for stage in &stages {
        let rounds = 0..WARM_UP + arguments.rounds;
        stage
            .scene
            .check(rounds.flat_map(|round| [run_name(round), exec_name(round)]))?;
    }

    eprintln!("bench: {HANGING} times `exec -- true` with a DX that never answers");
    let hanging = hang(&Scene::new(Standin::start(), pipefold, root.path().join("hanging"))?)?;
    eprintln!("bench: the memory of each command");
    let peaks = peaks(&stages)?;
    // A run that has begun and not ended: after its end, a step is sent at once.
    let scene = &stages.first().context("a place to measure in is missing")?.scene;
    succeed(scene.start("counted"))?;
    let instructions = instructions::count(&scene.step("counted"))?;
    let mut places = stages.into_iter().map(Stage::into_place);
    let (Some(http), Some(https)) = (places.next(), places.next()) else {
        bail!("a place to measure in is missing");
    };
    Ok(Results {
        nothing,
        http,
        https,
        in_memory: places.next(),
        first_start,
        hanging,
        peaks,
        instructions,
    })
}

/// A scene and what was measured there.
struct Stage {
    scene: Scene,
    directory: PathBuf,
    place: Place,
}

impl Stage {
    fn new(dx: Standin, pipefold: &Path, directory: PathBuf) -> Result<Self> {
        let scene = Scene::new(dx, pipefold, directory.clone())?;
        succeed(scene.start("the-body"))?;
        scene.learn_body()?;
        succeed(scene.finish("the-body"))?;
        Ok(Self {
            scene,
            directory,
            place: Place::default(),
        })
    }

    /// One round: a run that is started, has a step and is finished; a run by `exec`; `curl`; and the bare disk.
    fn play(&mut self, round: usize) -> Result<()> {
        let (scene, place) = (&self.scene, &mut self.place);
        place.curl.time(|| succeed(scene.curl()))?;
        let run = run_name(round);
        place.start.time(|| succeed(scene.start(&run)))?;
        place.step.time(|| succeed(scene.step(&run)))?;
        place.finish.time(|| succeed(scene.finish(&run)))?;
        place.exec.time(|| succeed(scene.exec(&exec_name(round))))?;
        place
            .durable
            .time(|| disk::write_durably(&self.directory, round))
            .with_context(|| format!("cannot write to {}", self.directory.display()))
    }

    fn into_place(self) -> Place {
        Place {
            file_system: disk::file_system(&self.directory),
            ..self.place
        }
    }
}

fn hang(scene: &Scene) -> Result<Hanging> {
    let mut hanging = Hanging {
        exec: Samples::default(),
        said: true,
    };
    scene.hang();
    for round in 0..HANGING {
        let mut command = scene.exec(&exec_name(round));
        let output = hanging
            .exec
            .time(|| command.stderr(std::process::Stdio::piped()).output())?;
        ensure!(output.status.success(), "{command:?} failed: {}", output.status);
        hanging.said &= String::from_utf8_lossy(&output.stderr).contains("kept: ");
    }
    Ok(hanging)
}

fn peaks(stages: &[Stage]) -> Result<Vec<(String, u64)>> {
    let mut peaks = Vec::new();
    for (stage, scheme) in stages.iter().zip(["http", "https"]) {
        let scene = &stage.scene;
        let commands = [
            ("start", scene.start("peak")),
            ("step", scene.step("peak")),
            ("finish", scene.finish("peak")),
            ("exec", scene.exec("peak-exec")),
            ("curl", scene.curl()),
        ];
        for (name, command) in commands {
            peaks.push((format!("{name}, {scheme}"), memory::peak(&command)?));
        }
    }
    Ok(peaks)
}

pub(crate) fn succeed(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

pub(crate) fn temporary(directory: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix("pipefold-bench-")
        .tempdir_in(directory)
        .with_context(|| format!("cannot make a directory in {}", directory.display()))
}

fn run_name(round: usize) -> String {
    format!("run-{round}")
}

fn exec_name(round: usize) -> String {
    format!("exec-{round}")
}
