//! `dx-standin`: the stand-in for DX as a process of its own, for demonstrations and measurements.
//!
//! The first line on stdout is its URL. When stdin ends, or its time is up, it stops and prints the records as JSON.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use dx_standin::{Options, Standin};
use serde_json::{Map, Value};

const USAGE: &str =
    "usage: dx-standin [--tls] [--token TOKEN]... [--addr-file FILE] [--ca-file FILE] [--seconds N] [--ignore-stdin]
  --tls            speak HTTPS, with a certificate of an unknown authority
  --token TOKEN    accept this token; may be given more than once
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
    addr_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    seconds: u64,
    ignore_stdin: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments {
        options: Options::default(),
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
            "--seconds" => {
                parsed.seconds = value()?
                    .parse()
                    .map_err(|_| format!("--seconds takes a whole number\n{USAGE}"))?
            }
            _ => return Err(format!("{arg} is not known\n{USAGE}")),
        }
    }
    if !tokens.is_empty() {
        parsed.options.tokens = tokens;
    }
    Ok(parsed)
}

fn run(args: impl Iterator<Item = String>) -> Result<(), String> {
    let Arguments {
        options,
        addr_file,
        ca_file,
        seconds,
        ignore_stdin,
    } = parse(args)?;
    let dx = Standin::try_start(options).map_err(|why| format!("could not start: {why}"))?;
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

    let records: Map<String, Value> = dx
        .records()
        .into_iter()
        .map(|(name, record)| (name, record.to_json()))
        .collect();
    print(&format!("{:#}", Value::Object(records)))
}

fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|why| format!("could not write to stdout: {why}"))
}
