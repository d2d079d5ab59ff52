//! `import`: a file of runs and jobs, from its flags to its summary. The library's `import` reads, judges and sends the rows.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use pipefold::import::{
    Ended, Format, Import, ImportError, ImportOptions, Input, MappingOptions, Totals, Watcher, format_of,
};
use serde_json::json;

use super::context::{Context, conclude_unloaded};
use super::diagnostic::{print, remark};
use super::policies::say_work;
use super::print_json;
use super::stop::StopFlag;
use crate::args::{FormatName, GlobalFlags, ImportArgs};
use crate::child::make_private;
use crate::terminal::{ProgressLine, excerpt, human_duration, neutral, say};

/// The refused rows that are printed; the file has all.
const MOST_SHOWN: u64 = 10;

/// `pipefold import`
pub fn run(global: &GlobalFlags, args: &ImportArgs) -> anyhow::Result<ExitCode> {
    // It may run for days.
    make_private();
    let begun = Instant::now();
    // The spool is not used: the file itself is the record.
    let (context, diagnostics) = match Context::load_read_only(global) {
        Ok(loaded) => loaded,
        Err(why) => {
            conclude_unloaded(global, why);
            return Ok(ExitCode::FAILURE);
        }
    };
    print(&diagnostics, global);
    let is_dry = context.settings.dry_run;
    if !is_dry && !context.reporter.has_outlet() {
        if context.reporter.dx().is_none() {
            bail!("DX_API_URL is not set: give the address by it or by --dx-url");
        }
        if !context.reporter.has_token() {
            bail!("there is no token to send with: set DX_API_TOKEN, or name a file by --token-file");
        }
    }
    let input = InputFile::open(&args.file)?;
    let options = match input.options(args, is_dry) {
        Ok(options) => options,
        Err(why) => return Ok(wrong_line(&why)),
    };
    let stop = StopFlag::on_signals()?;
    let mut watcher = Shown::new(global.quiet, input.size);
    let flag = stop.flag();
    let imported = Import::new(&context.reporter, &options, input.input, &mut watcher)
        .and_then(|import| import.run(&flag, &mut watcher));
    drop(watcher);
    let ended = match imported {
        Ok(ended) => ended,
        Err(error @ (ImportError::Options(_) | ImportError::Header(_))) => {
            return Ok(wrong_line(&error.to_string()));
        }
        Err(error) => return Err(anyhow!("{}", neutral(&error.to_string()))),
    };
    let summary = Summary {
        ended: &ended,
        options: &options,
        duration: begun.elapsed(),
    };
    for line in summary.lines() {
        remark(global, &line);
    }
    say_work(context.reporter.plugins(), global);
    if global.json {
        print_json(&summary.json())?;
    }
    let Totals { rows, refused, .. } = ended.totals;
    let has_failed = ended.unfinished.is_some() || (rows > 0 && rows == refused);
    let failed = has_failed || (context.settings.strict && refused > 0);
    Ok(ExitCode::from(u8::from(failed)))
}

fn wrong_line(why: &str) -> ExitCode {
    say(&format!("pipefold: {}", neutral(why)));
    ExitCode::from(2)
}

/// The input as the command line names it.
struct InputFile {
    input: Box<dyn Input>,
    /// Its name and size, if it is a regular file. Others cannot be read twice, and no file can be made beside them.
    name: Option<PathBuf>,
    size: Option<u64>,
}

impl InputFile {
    fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self {
                input: Box::new(std::io::stdin()),
                name: None,
                size: None,
            });
        }
        let shown = neutral(&path.display().to_string());
        let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let metadata = file.metadata().with_context(|| format!("cannot read {shown}"))?;
        if metadata.is_dir() {
            bail!("{shown} is a directory: name a file");
        }
        let is_file = metadata.is_file();
        Ok(Self {
            input: Box::new(file),
            name: is_file.then(|| path.to_owned()),
            size: is_file.then_some(metadata.len()),
        })
    }

    /// The options of the import, or what is missing on the command line.
    fn options(&self, args: &ImportArgs, is_dry: bool) -> Result<ImportOptions, String> {
        let name = args.file.to_string_lossy();
        let format = match args.format {
            Some(FormatName::Csv) => Format::Csv,
            Some(FormatName::Jsonl) => Format::Jsonl,
            None => format_of(&name).ok_or("the name does not end in .csv, .tsv, .jsonl or .ndjson: give --format")?,
        };
        let is_tabbed = name.to_ascii_lowercase().ends_with(".tsv");
        let beside = |ending: &str| {
            let mut name = OsString::from(self.name.as_ref()?);
            name.push(ending);
            Some(PathBuf::from(name))
        };
        let ending = match format {
            Format::Csv => ".refused.csv",
            Format::Jsonl => ".refused.jsonl",
        };
        let refused = args.refused.clone().or_else(|| beside(ending));
        let refused = refused.or_else(|| is_dry.then(PathBuf::new));
        Ok(ImportOptions {
            format,
            delimiter: args.delimiter.unwrap_or(if is_tabbed { b'\t' } else { b',' }),
            mapping: MappingOptions {
                columns: args.columns.clone(),
                constants: args.constants.clone(),
                statuses: args.statuses.clone(),
            },
            per_second: args.rate,
            at_once: args.concurrency,
            patience: args.timeout,
            state: args.state.clone().or_else(|| beside(".import")),
            refused: refused
                .ok_or("name a file for refused rows by --refused: the input is no file to put it beside")?,
            restart: args.restart,
            is_dry,
        })
    }
}

/// The progress and the first refusals, for people.
struct Shown {
    progress: ProgressLine,
    quiet: bool,
    size: Option<u64>,
    refused: u64,
    /// The beginning, and the rows that were settled then.
    begun: Option<(Instant, u64)>,
}

impl Shown {
    fn new(quiet: bool, size: Option<u64>) -> Self {
        Self {
            progress: ProgressLine::of_stderr(quiet),
            quiet,
            size,
            refused: 0,
            begun: None,
        }
    }
}

impl Watcher for Shown {
    fn progress(&mut self, totals: &Totals, bytes: u64) {
        let (begun, before) = *self.begun.get_or_insert_with(|| (Instant::now(), totals.rows));
        let whole = self.size.unwrap_or_default();
        let done = (bytes.saturating_mul(1000)).checked_div(whole).unwrap_or_default();
        self.progress
            .show(usize::try_from(done).unwrap_or(usize::MAX), 1000, || {
                let rate = (totals.rows - before) as f64 / begun.elapsed().as_secs_f64().max(0.001);
                let part = self.size.map_or(String::new(), |_| format!("{} %, ", done / 10));
                let refused = match totals.refused {
                    0 => String::new(),
                    refused => format!(", {refused} refused"),
                };
                format!("{part}{} rows{refused}, {rate:.0} a second", totals.rows)
            });
    }

    fn refused(&mut self, line: u64, why: &str) {
        self.refused += 1;
        if self.quiet || self.refused > MOST_SHOWN {
            return;
        }
        self.progress.clear();
        say(&format!("pipefold: line {line} is refused: {}", excerpt(why)));
    }

    fn remark(&mut self, text: &str) {
        if !self.quiet {
            self.progress.clear();
            say(&format!("pipefold: {text}"));
        }
    }
}

/// The summary that is printed at the end.
struct Summary<'a> {
    ended: &'a Ended,
    options: &'a ImportOptions,
    duration: Duration,
}

impl Summary<'_> {
    fn per_second(&self) -> f64 {
        let rows = self.ended.totals.rows - self.ended.before;
        rows as f64 / self.duration.as_secs_f64().max(0.001)
    }

    fn lines(&self) -> Vec<String> {
        let Self { ended, options, .. } = self;
        let totals = &ended.totals;
        let mut parts = vec![format!(
            "{} and {} {}",
            counted(totals.runs, "run"),
            counted(totals.jobs, "job"),
            if options.is_dry {
                "would be sent"
            } else {
                "accepted by DX"
            }
        )];
        let others = [
            (totals.refused, "refused"),
            (totals.dropped, "dropped by a policy"),
            (totals.left_out, "about jobs left out"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        parts.extend(others.map(|(count, what)| format!("{count} {what}")));
        let mut lines = vec![format!(
            "{}: {}, in {}, {:.0} rows a second",
            counted(totals.rows, "row"),
            parts.join(", "),
            human_duration(self.duration),
            self.per_second()
        )];
        if ended.before > 0 {
            lines.push(format!("{} of them by earlier imports of this file", ended.before));
        }
        if ended.lacks_jobs {
            lines.push("the server has no method for jobs, so none are sent".to_owned());
        }
        if totals.refused > 0 && !options.is_dry {
            lines.push(format!(
                "the refused rows are in {} with the reasons: correct them and import that file with the same flags",
                neutral(&options.refused.display().to_string())
            ));
        }
        if let Some(why) = &ended.unfinished {
            let how = match (&options.state, options.is_dry) {
                (_, true) => "",
                (Some(_), _) => "; the same command goes on from there",
                (None, _) => "; there is no --state to go on from",
            };
            lines.push(match why {
                None => format!("stopped before the end{how}"),
                Some(why) => format!("warning: stopped before the end: {}{how}", excerpt(why)),
            });
        }
        lines
    }

    fn json(&self) -> serde_json::Value {
        let Self { ended, options, .. } = self;
        let totals = &ended.totals;
        json!({
            "rows": totals.rows,
            "runs": totals.runs,
            "jobs": totals.jobs,
            "refused": totals.refused,
            "dropped": totals.dropped,
            "left_out": totals.left_out,
            "before": ended.before,
            "finished": ended.unfinished.is_none(),
            "why": ended.unfinished.as_ref().and_then(Option::as_ref),
            "refused_file": (totals.refused > 0 && !options.is_dry).then(|| options.refused.display().to_string()),
            "seconds": self.duration.as_secs_f64(),
            "per_second": self.per_second(),
        })
    }
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
