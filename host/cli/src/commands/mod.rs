//! The commands, from their flags to their exit codes.

mod component;
mod context;
mod diagnostic;
mod doctor;
mod exec;
mod fleet;
#[cfg(feature = "gocd")]
mod gocd;
mod hook;
mod import;
mod policies;
mod policy;
mod receipt;
mod report;
#[cfg(feature = "collector")]
mod serve;
#[cfg(any(feature = "collector", feature = "fleet"))]
mod server;
#[cfg(feature = "collector")]
mod source;
#[cfg(feature = "collector")]
mod sources;
mod spool;
mod stop;
mod stream;
#[cfg(feature = "collector")]
mod token;
mod wrapped;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use pipefold_sandbox::foreign;
use serde::Serialize;

use crate::args::{Cli, Command, CompletionsArgs, ManArgs, definition};
use crate::terminal::lines;

pub use wrapped::despite_a_panic;

/// Runs a command.
///
/// # Errors
/// The reason why the command failed, for a person: the caller shows it and ends with a failure.
pub fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let global = &cli.global;
    match &cli.command {
        Command::Exec(args) => exec::run(global, args),
        Command::Start(args) => report::start(global, args),
        Command::Step(args) => report::step(global, args),
        Command::Finish(args) => report::finish(global, args),
        Command::Flush(args) => spool::flush(global, args),
        Command::Status(_) => spool::status(global),
        Command::Hook(args) => hook::run(global, args),
        Command::Import(args) => import::run(global, args),
        Command::Doctor(args) => doctor::run(global, args),
        Command::Component(args) => component::run(global, args),
        Command::Policy(args) => policy::run(global, args),
        #[cfg(feature = "collector")]
        Command::Serve(args) => serve::run(global, args),
        #[cfg(feature = "collector")]
        Command::Token(args) => token::run(global, args),
        #[cfg(feature = "collector")]
        Command::Source(args) => source::run(global, args),
        #[cfg(not(feature = "collector"))]
        Command::Serve(_) | Command::Token(_) | Command::Source(_) => lacks("collector"),
        #[cfg(feature = "gocd")]
        Command::Gocd(args) => gocd::run(global, args),
        #[cfg(not(feature = "gocd"))]
        Command::Gocd(_) => lacks("gocd"),
        Command::Forward(args) => fleet::forward(global, args),
        Command::Queue(args) => fleet::queue(global, args),
        Command::Completions(args) => print_completions(args),
        Command::Man(args) => print_manual(args),
    }
}

/// Bytes that a pipe of Linux holds.
const PIPE: usize = 64 << 10;

/// The error of a command that this build was made without.
#[cfg(not(all(feature = "collector", feature = "gocd")))]
fn lacks(feature: &str) -> anyhow::Result<ExitCode> {
    anyhow::bail!(
        "this build of pipefold lacks the command, as it was built without the feature `{feature}`: use one that has it"
    )
}

/// Writes an answer in JSON to stdout: one line, without text that a terminal or a CI system obeys.
fn print_json(answer: &impl Serialize) -> anyhow::Result<()> {
    print_raw((foreign::json(&serde_json::to_string(answer)?) + "\n").as_bytes())
}

/// Answers in JSON on stdout, a line each, as safe as those of [`print_json`].
struct JsonLines(io::BufWriter<io::StdoutLock<'static>>);

impl JsonLines {
    fn new() -> Self {
        Self(io::BufWriter::with_capacity(PIPE, io::stdout().lock()))
    }

    /// Adds an answer, and writes all of them if the reader waits for them. Returns false if it has closed its end.
    fn print(&mut self, answer: &impl Serialize, reader_waits: bool) -> anyhow::Result<bool> {
        let line = foreign::json(&serde_json::to_string(answer)?) + "\n";
        let written = self.0.write_all(line.as_bytes());
        written
            .and_then(|()| if reader_waits { self.0.flush() } else { Ok(()) })
            .map_or_else(closed, |()| Ok(true))
    }

    /// Writes what is not written yet.
    fn end(mut self) -> anyhow::Result<()> {
        self.0.flush().or_else(|error| closed(error).map(|_| ()))
    }
}

/// The result of writing to a reader that may have closed its end, as `| head` does: false if it has.
fn closed(error: io::Error) -> anyhow::Result<bool> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(false),
        _ => Err(error).context("cannot write to stdout"),
    }
}

/// Writes an answer in JSON to stdout, in lines for people, as safe as [`print_json`].
#[cfg(feature = "collector")]
fn print_json_in_lines(answer: &impl Serialize) -> anyhow::Result<()> {
    print_raw((foreign::json(&serde_json::to_string_pretty(answer)?) + "\n").as_bytes())
}

/// Writes an answer for people to stdout, each line safe to show.
fn print_lines(answer: &str) -> anyhow::Result<()> {
    print_raw(lines(answer).as_bytes())
}

/// Writes a command's whole answer to stdout unchanged: it has no foreign text, or that is safe to show already. A reader that closes early,
/// as `| head`, is no error.
fn print_raw(answer: &[u8]) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(answer).and_then(|()| stdout.flush());
    written.or_else(|error| closed(error).map(|_| ()))
}

/// `pipefold completions`: prints a shell's completions.
fn print_completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    // Generated in memory first: the generator panics if its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "pipefold", &mut script);
    print_raw(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// `pipefold man`: prints the main page, or writes one page a command, `pipefold-step.1` and so on, to a directory.
fn print_manual(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let command = definition();
    if let Some(directory) = &args.out {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make the directory {directory:?}"))?;
        clap_mangen::generate_to(command, directory)
            .with_context(|| format!("cannot write the manual pages to {directory:?}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .context("cannot make the manual page")?;
    print_raw(&page)?;
    Ok(ExitCode::SUCCESS)
}
