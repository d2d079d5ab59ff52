//! A host in Rust: loads the component with `pipefold-sandbox`, calls its hooks, and reports the run with `pipefold`.
//!
//! ```text
//! target/debug/examples/host default.wasm notifications.jsonl spool
//! ```
//!
//! Prints what each hook says, one JSON object a line, as `pipefold hook` does. With `DX_API_URL` and `DX_API_TOKEN` it then reports the
//! run as an embedding host does: recorded in the directory `spool`, and delivered within a time budget.

use std::env;
use std::error::Error;
use std::fs;

use pipefold::{Limits, Notification, Report, Reporter, Token, Verdict};
use pipefold_sandbox::Sandbox;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [component, notifications, spool] = arguments.as_slice() else {
        return Err("usage: host COMPONENT NOTIFICATIONS SPOOL".into());
    };
    let history: Vec<Notification> = fs::read_to_string(notifications)?
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let [start, step, finish] = history.as_slice() else {
        return Err("three notifications are expected: a start, a step and a finish".into());
    };

    // `default_plugin()` gives the same component without a file and without compiling it.
    let plugin = Sandbox::new(Limits::default())?.compile_here("default", &fs::read(component)?)?;
    println!("{}", as_json(plugin.pipeline_start(start)?));
    println!("{}", as_json(plugin.step(step)?));
    println!("{}", as_json(plugin.pipeline_finish(&history)?));
    let Report { run, jobs } = plugin.merge(&history)?;
    println!("{}", json!({ "run": run, "jobs": jobs }));

    if let Ok(url) = env::var("DX_API_URL") {
        let reporter = Reporter::builder()
            .dx_url(url)
            .token(Token::new(env::var("DX_API_TOKEN")?)?)
            .spool(spool)
            .build()?;
        reporter.start(start.clone())?;
        reporter.step(step.clone())?;
        let receipt = reporter.finish(finish.clone())?;
        if let Some(why) = receipt.trouble() {
            return Err(format!("kept in {spool}: {why}").into());
        }
    }
    Ok(())
}

fn as_json(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Report(Report { run, jobs }) => json!({ "verdict": "report", "run": run, "jobs": jobs }),
        Verdict::Hold => json!({ "verdict": "hold" }),
        Verdict::Discard(reason) => json!({ "verdict": "discard", "reason": reason }),
    }
}
