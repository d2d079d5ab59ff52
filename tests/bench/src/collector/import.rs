//! `pipefold import` into a collector, with the notifications of the load as its rows.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Load, Server};
use crate::arguments::Arguments;
use crate::memory;
use crate::scene::quiet;

/// The results.
pub(crate) struct Imported {
    pub(crate) rows: u64,
    /// Rows a second.
    pub(crate) rate: f64,
    /// The most memory that an import of the file held, in bytes, without sending it.
    pub(crate) memory: u64,
}

/// Writes the load into a file, imports it into a fresh collector, and measures.
pub(crate) fn run(arguments: &Arguments, load: Load, root: &Path) -> Result<Imported> {
    let file = root.join("load.jsonl");
    let mut rows = 0;
    let mut out = BufWriter::new(File::create(&file).context("cannot write the file to be imported")?);
    load.each(|body| {
        rows += 1;
        writeln!(out, "{body}")
    })?;
    out.flush()?;
    drop(out);
    let command = |url: &str, flags: &[&str]| {
        let mut command = quiet(&arguments.pipefold);
        command.args(["import", "--rate", "100000", "--concurrency", "64", "--quiet", "--json"]);
        command.args(["--dx-url", url]).args(flags).arg(&file);
        command.env("DX_API_TOKEN", "bench");
        command
    };
    let collector = Server::collector(&arguments.pipefold, &root.join("imported"))?;
    let url = format!("http://{}", collector.address());
    let output = command(&url, &[])
        .stdout(Stdio::piped())
        .output()
        .context("cannot start the import")?;
    ensure!(output.status.success(), "the import failed: {output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).context("the import gave no JSON")?;
    ensure!(said["runs"] == rows, "the import did not send all rows: {said}");
    collector.stop()?;
    let memory = memory::peak(&command(&url, &["--dry-run"]))?;
    fs::remove_file(&file)?;
    Ok(Imported {
        rows,
        rate: said["per_second"].as_f64().context("the import gave no rate")?,
        memory,
    })
}
