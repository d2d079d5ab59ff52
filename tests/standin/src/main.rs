//! `dx-standin`: the stand-in for DX as a process of its own, for demonstrations and measurements.
//!
//! The first line on stdout is its URL. When stdin ends, or its time is up, it stops and prints the records as JSON, each with its
//! jobs if it has any.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use dx_standin::{Endpoint, Job, Mode, Options, Record, Standin, Times};
use serde_json::{Map, Value};

const USAGE: &str =
    "usage: dx-standin [--tls] [--token TOKEN]... [--slow MILLISECONDS] [--without-jobs] [--addr-file FILE] [--ca-file FILE] [--seconds N]
                  [--ignore-stdin]
  --tls            speak HTTPS, with a certificate of an unknown authority
  --token TOKEN    accept this token; may be given more than once
  --slow MILLISECONDS
                   answer after this time
  --without-jobs   lack the method pipelineJobs.upsert, as older versions of DX
  --addr-file FILE write the URL to this file too
  --ca-file FILE   write the authority's certificate to this file
  --seconds N      stop after so many seconds (600)
  --ignore-stdin   do not stop when stdin ends, as it does at once in the background of a shell";

/// The limit of a forgotten process.
const DEFAULT_SECONDS: u64 = 600;

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("dx-standin: {why}");
            ExitCode::FAILURE
        }
    }
}

struct Arguments {
    options: Options,
    slow: Option<Duration>,
    without_jobs: bool,
    addr_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    seconds: u64,
    ignore_stdin: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        options: Options::default(),
        slow: None,
        without_jobs: false,
        addr_file: None,
        ca_file: None,
        seconds: DEFAULT_SECONDS,
        ignore_stdin: false,
    };
    let mut tokens = Vec::new();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value\n{USAGE}"));
        match arg.as_str() {
            "--tls" => parsed.options.tls = true,
            "--ignore-stdin" => parsed.ignore_stdin = true,
            "--token" => tokens.push(value()?),
            "--addr-file" => parsed.addr_file = Some(value()?.into()),
            "--ca-file" => parsed.ca_file = Some(value()?.into()),
            "--slow" => parsed.slow = Some(Duration::from_millis(number(&arg, &value()?)?)),
            "--without-jobs" => parsed.without_jobs = true,
            "--seconds" => parsed.seconds = number(&arg, &value()?)?,
            _ => return Err(format!("{arg} is not known\n{USAGE}")),
        }
    }
    if !tokens.is_empty() {
        parsed.options.tokens = tokens;
    }
    Ok(parsed)
}

fn number(arg: &str, value: &str) -> Result<u64, String> {
    let number = value.parse();
    number.map_err(|_| format!("{arg} takes a whole number\n{USAGE}"))
}

fn run(args: impl Iterator<Item = String>) -> Result<(), String> {
    let Arguments {
        options,
        slow,
        without_jobs,
        addr_file,
        ca_file,
        seconds,
        ignore_stdin,
    } = parse(args)?;
    let dx = Standin::try_start(options).map_err(|why| format!("could not start: {why}"))?;
    if without_jobs {
        let [unknown_method, ..] = Mode::lacking();
        dx.misbehave_at(Endpoint::Jobs, unknown_method, Times::Always);
    }
    if let Some(pause) = slow {
        dx.misbehave(Mode::Slow(pause), Times::Always);
    }
    for (file, text) in [(ca_file, dx.ca_pem()), (addr_file, &format!("{}\n", dx.url()))] {
        if let Some(file) = file {
            std::fs::write(&file, text).map_err(|why| format!("could not write {}: {why}", file.display()))?;
        }
    }
    print(&dx.url())?;

    let (ended, end) = mpsc::channel();
    if !ignore_stdin {
        let keep = ended.clone();
        std::thread::spawn(move || {
            // What comes does not matter, only that it ends.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            keep.send(())
        });
    }
    // Stdin has ended or the time is up: either way it is time.
    let _ = end.recv_timeout(Duration::from_secs(seconds));
    // Only now, or the wait would end at once without a stdin.
    drop(ended);

    print(&format!("{:#}", Value::Object(records(&dx))))
}

/// The records by run. The jobs of one are sorted, since senders may send them in any order.
fn records(dx: &Standin) -> Map<String, Value> {
    let mut jobs = dx.all_jobs();
    let record = |(run, record): (String, Record)| {
        let mut record = record.to_json();
        if let Some(mut jobs) = jobs.remove(&run) {
            jobs.sort_by(|one, other| one.reference_id.cmp(&other.reference_id));
            record["jobs"] = jobs.iter().map(Job::to_json).collect();
        }
        (run, record)
    };
    dx.records().into_iter().map(record).collect()
}

fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|why| format!("could not write to stdout: {why}"))
}
