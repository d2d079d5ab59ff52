//! `component`: inspects WebAssembly components, and compiles them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use pipefold::config::Environment;
use pipefold_sandbox::{
    Cache, ChildCompiler, Compiler, ComponentFile, EmbeddedCode, Limits, Precompiled, Role, Sandbox, compile_worker,
    embed,
    inspect::{self, Inspection, Item},
};
use serde_json::{Value, json};

use super::{policies, print_json, print_lines};
use crate::args::{ComponentArgs, ComponentCommand, GlobalFlags};
use crate::terminal::neutral;

/// `pipefold component`
pub fn run(global: &GlobalFlags, args: &ComponentArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        ComponentCommand::Inspect { file } => inspected(global.json, file)?,
        ComponentCommand::Compile { file } => compile(
            global.json,
            file.as_ref(),
            policies::cache_dir(global, &Environment::from_process()).as_ref(),
        )?,
        ComponentCommand::Embed { executable, output } => embedded(global.json, executable, output)?,
        ComponentCommand::CompileWorker => {
            compile_worker(io::stdin(), io::stdout().lock()).context("cannot compile")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The compiler of this command: the command itself, in a child process.
pub fn compiler() -> anyhow::Result<Compiler> {
    let this = std::env::current_exe().context("cannot find this program's own file, to compile with it")?;
    Ok(Compiler::Child(ChildCompiler::new(
        this,
        ["component", "compile-worker"],
    )))
}

/// `pipefold component compile`
fn compile(json: bool, file: Option<&ComponentFile>, cache: Option<&PathBuf>) -> anyhow::Result<()> {
    let began = Instant::now();
    let cache = Cache::open(cache.unwrap_or(&Cache::usual_dir()))?;
    let sandbox = Sandbox::new(Limits::default())?;
    let done = match file {
        Some(file) => sandbox.precompile(file, &cache, &compiler()?)?,
        None => sandbox.precompile_default(&cache, &compiler()?)?,
    };
    let compiled = Compiled::new(done, began);
    let rules = match file {
        Some(_) => None,
        None => {
            let began = Instant::now();
            let done = sandbox.precompile_built_in_policy(&cache, &compiler()?)?;
            Some(Compiled::new(done, began))
        }
    };
    // A collector's own component, without which it would compile at its start.
    #[cfg(feature = "collector")]
    let sources = match file {
        Some(_) => None,
        None => {
            let began = Instant::now();
            let done = sandbox.precompile_built_in_sources(&cache, &compiler()?)?;
            Some(Compiled::new(done, began))
        }
    };
    #[cfg(not(feature = "collector"))]
    let sources: Option<Compiled> = None;
    if json {
        let mut answer = compiled.as_json();
        answer["file"] = json!(file.map(|file| file.path().display().to_string()));
        answer["cache"] = json!(cache.path().display().to_string());
        if let Some(rules) = &rules {
            answer["policy"] = rules.as_json();
        }
        if let Some(sources) = &sources {
            answer["sources"] = sources.as_json();
        }
        return print_json(&answer);
    }
    let mut lines = vec![match file {
        Some(file) => pinned(file.path(), &compiled.done.sha256),
        None => format!("the default component, sha256:{}", compiled.done.sha256),
    }];
    lines.extend(compiled.lines());
    if let Some(rules) = &rules {
        lines.push(format!("the built-in policy, sha256:{}", rules.done.sha256));
        lines.extend(rules.lines());
    }
    if let Some(sources) = &sources {
        lines.push(format!("the built-in sources, sha256:{}", sources.done.sha256));
        lines.extend(sources.lines());
    }
    lines.push(format!("cache     {}", neutral(&cache.path().display().to_string())));
    print_lines(&(lines.join("\n") + "\n"))
}

/// A component whose code is in the cache, and the time that took.
struct Compiled {
    done: Precompiled,
    milliseconds: u64,
}

impl Compiled {
    fn new(done: Precompiled, began: Instant) -> Self {
        let milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Self { done, milliseconds }
    }

    fn as_json(&self) -> Value {
        json!({
            "sha256": self.done.sha256,
            "compiled": self.done.compiled,
            "code_size": self.done.code_size,
            "milliseconds": self.milliseconds,
            "notes": self.done.notes,
        })
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let how = if self.done.compiled {
            "compiled in"
        } else {
            "compiled before; found in"
        };
        let code = format!(
            "code      {} bytes, {how} {} ms",
            self.done.code_size, self.milliseconds
        );
        let notes = self
            .done
            .notes
            .iter()
            .map(|note| format!("note      {}", neutral(note)));
        std::iter::once(code).chain(notes)
    }
}

/// `pipefold component embed`
fn embedded(json: bool, executable: &Path, output: &Path) -> anyhow::Result<()> {
    let EmbeddedCode { target, size } = embed(executable, output)?;
    if json {
        return print_json(&json!({
            "file": output.display().to_string(),
            "target": target,
            "code_size": size,
        }));
    }
    let (file, target) = (neutral(&output.display().to_string()), neutral(&target));
    print_lines(&format!("{file}: {size} bytes of code for {target}\n"))
}

/// `pipefold component inspect`
fn inspected(json: bool, file: &ComponentFile) -> anyhow::Result<()> {
    let found = inspect::inspect(file, Limits::default().component_size)?;
    let limits = limits_of(found.fit.role);
    if json {
        let mut answer = serde_json::to_value(&found)?;
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("limits".into(), serde_json::to_value(&limits)?);
        }
        return print_json(&answer);
    }
    print_lines(&(for_people(file.path(), &found, &limits).join("\n") + "\n"))
}

/// The default limits of a component in this role.
fn limits_of(role: Role) -> Limits {
    match role {
        #[cfg(feature = "collector")]
        Role::Source => Limits::of_sources(),
        _ => Limits::default(),
    }
}

fn for_people(file: &Path, found: &Inspection, limits: &Limits) -> Vec<String> {
    let mut lines = vec![pinned(file, &found.sha256)];
    let sized = format!("{} bytes, {} core modules", found.size, found.core_modules);
    lines.push(format!(
        "size      {sized}; the limit is {} bytes",
        limits.component_size
    ));
    let mut list = |title: &str, items: &[Item]| {
        if items.is_empty() {
            lines.push(format!("{title:<9} none"));
        }
        for item in items {
            lines.push(format!("{title:<9} {} {}", item.kind, neutral(&item.name)));
        }
    };
    list("imports", &found.imports);
    list("exports", &found.exports);
    let fit = &found.fit;
    for version in &fit.wit_versions {
        lines.push(format!("made for  pipefold:ci@{}", neutral(version)));
    }
    for producer in &found.producers {
        lines.push(format!("made by   {}", neutral(producer)));
    }
    let role = fit.role.as_str();
    lines.push(match fit.grants.as_slice() {
        _ if !fit.loads => "loads     no".to_owned(),
        [] if fit.role == Role::Source => format!("loads     as a {role}"),
        [] => format!("loads     as a {role}, without any grant"),
        grants => format!("loads     as a {role}, if it is granted {}", grants.join(", ")),
    });
    for obstacle in &fit.obstacles {
        lines.push(format!("because   {}", neutral(obstacle)));
    }
    let times = match fit.role {
        Role::Source => format!("{} ms a delivery", limits.hook.as_millis()),
        _ => format!(
            "{} ms a hook, {} ms a chain",
            limits.hook.as_millis(),
            limits.chain.as_millis()
        ),
    };
    lines.push(format!(
        "may use   {} MiB memory, {times}, {} KiB stack",
        limits.memory >> 20,
        limits.stack >> 10
    ));
    lines
}

/// The file with its digest, as `--policy` takes it.
pub fn pinned(file: &Path, sha256: &str) -> String {
    format!("{}@sha256:{sha256}", neutral(&file.display().to_string()))
}
