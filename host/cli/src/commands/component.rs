//! `component`: looks at WebAssembly components.

use std::process::ExitCode;

use pipefold_sandbox::{Limits, inspect};

use super::print;
use crate::args::{ComponentArgs, ComponentCommand, GlobalFlags};
use crate::terminal::neutral;

/// `pipefold component`
pub(crate) fn run(global: &GlobalFlags, args: &ComponentArgs) -> anyhow::Result<ExitCode> {
    let ComponentCommand::Inspect { file } = &args.command;
    let limits = Limits::default();
    let found = inspect::inspect(file, limits.component_size)?;
    if global.json {
        let mut answer = serde_json::to_value(&found)?;
        if let Some(object) = answer.as_object_mut() {
            object.insert("limits".into(), serde_json::to_value(&limits)?);
        }
        print(format!("{answer}\n").as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = vec![format!(
        "{}@sha256:{}",
        neutral(&file.display().to_string()),
        found.sha256
    )];
    let sized = format!("{} bytes, {} core modules", found.size, found.core_modules);
    lines.push(format!(
        "size      {sized}; the limit is {} bytes",
        limits.component_size
    ));
    let mut list = |title: &str, items: &[inspect::Item]| {
        if items.is_empty() {
            lines.push(format!("{title:<9} none"));
        }
        for item in items {
            lines.push(format!("{title:<9} {} {}", item.kind, neutral(&item.name)));
        }
    };
    list("imports", &found.imports);
    list("exports", &found.exports);
    for producer in &found.producers {
        lines.push(format!("made by   {}", neutral(producer)));
    }
    lines.push(format!(
        "may use   {} MiB memory, {} ms a hook, {} ms a chain, {} KiB stack",
        limits.memory >> 20,
        limits.hook.as_millis(),
        limits.chain.as_millis(),
        limits.stack >> 10
    ));
    print((lines.join("\n") + "\n").as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
