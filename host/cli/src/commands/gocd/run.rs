//! `gocd sync` and `gocd watch`.

use std::cell::RefCell;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use chrono::Utc;
use pipefold::detect::Fields;
use pipefold_gocd::client::{Client, FetchError};
use pipefold_gocd::documents::Name;
use pipefold_gocd::sync::{Engine, Observer, Options, Sink, StateStore, SyncError};

use super::deliverer::{Delivered, Deliverer};
use super::dry_run::{PrintSink, Rehearsal};
use super::plan::{Plan, plan};
use super::sink::{Losses, Remembered, SpoolSink, Taking};
use super::state::StateFiles;
use super::stop::Stop;
use super::summary::{Summary, counted};
use super::totals::Totals;
use super::watcher::{Failing, Watcher};
use crate::args::{GlobalFlags, ReadArgs};
use crate::child::make_private;
use crate::commands::context::Context;
use crate::commands::print_json;
use crate::commands::trouble::{Trouble, tell};
use crate::terminal::{excerpt, neutral, say};

/// The time that a watching process that ends tries to deliver what is left: a service manager kills after 90 s, and what is left waits on disk.
const LAST: Duration = Duration::from_secs(5);

/// `pipefold gocd sync`
pub(super) fn sync(global: &GlobalFlags, read: &ReadArgs, patience: Duration) -> anyhow::Result<ExitCode> {
    let reader = Reader::new(global, read)?;
    if reader.context.settings.dry_run {
        return reader.rehearse(global);
    }
    let deliverer = Deliverer::begin(Arc::clone(&reader.context));
    let files = reader.state(global)?;
    let sink = RefCell::new(SpoolSink::new(&reader.context, &deliverer, &reader.stop, global.quiet));
    let store = Remembered { files, sink: &sink };
    let (mut told, mut failing) = (Told::default(), Failing::new());
    let mut watcher = Watcher::new(global.quiet, Some(&deliverer), &reader.stop, &mut failing);
    let ended = reader.recorded_round(&store, &sink, &mut watcher, &mut told);
    drop(watcher);
    let losses = sink.borrow_mut().losses();
    drop(store);
    drop(sink);
    let hurry = reader.stop.is_due();
    let patience = if hurry {
        reader.context.settings.budgets.stop
    } else {
        patience
    };
    let delivered = deliverer.end(patience, hurry);
    reader.close(global, &told, &losses, Some(&delivered))?;
    let strict = reader.context.settings.strict;
    let is_incomplete =
        told.totals.failed_count > 0 || told.totals.stopped || !reader.troubles(&losses, &delivered).is_empty();
    match ended {
        Err(error) => Err(anyhow!("{}", excerpt(&error.to_string()))),
        Ok(()) if told.totals.is_nothing_read() && !hurry => Ok(ExitCode::FAILURE),
        Ok(()) if !told.totals.unfitted.is_empty() => Ok(ExitCode::FAILURE),
        Ok(()) if strict && is_incomplete => Ok(ExitCode::FAILURE),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// `pipefold gocd watch`
pub(super) fn watch(global: &GlobalFlags, read: &ReadArgs, every: Option<Duration>) -> anyhow::Result<ExitCode> {
    let reader = Reader::new(global, read)?;
    if reader.context.settings.dry_run {
        return reader.rehearse(global);
    }
    let every = every.unwrap_or(reader.every);
    let deliverer = Deliverer::begin(Arc::clone(&reader.context));
    let files = reader.state(global)?;
    let sink = RefCell::new(SpoolSink::new(&reader.context, &deliverer, &reader.stop, global.quiet));
    let store = Remembered { files, sink: &sink };
    let (mut told, mut failing) = (Told::default(), Failing::new());
    let mut ended = Ok(());
    loop {
        let before = told.totals.clone();
        let mut watcher = Watcher::new(global.quiet, Some(&deliverer), &reader.stop, &mut failing);
        let round = reader.recorded_round(&store, &sink, &mut watcher, &mut told);
        drop(watcher);
        match round {
            // It will not be taken a minute later either, and asking on locks accounts out.
            Err(
                error @ SyncError::Fetch {
                    error: FetchError::BadCredentials,
                    ..
                },
            ) => {
                ended = Err(error);
                break;
            }
            Err(error) => told.failed(global, &error),
            Ok(()) => {
                told.of_round(global, &before);
                let is_failing = |name: &Name| told.totals.failed.iter().any(|(failed, _)| failed == name.as_str());
                failing.retain(|name, _| is_failing(name));
            }
        }
        // Also without news: what DX could not take before may be taken now.
        deliverer.wake();
        if !reader.stop.sleep(every) {
            break;
        }
    }
    let losses = sink.borrow_mut().losses();
    drop(store);
    drop(sink);
    let delivered = deliverer.end(LAST, true);
    reader.close(global, &told, &losses, Some(&delivered))?;
    match ended {
        Err(error) => Err(anyhow!("{}", excerpt(&error.to_string()))),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// What reading needs, and what it reads.
struct Reader {
    context: Arc<Context>,
    client: Client,
    options: Options,
    state: std::path::PathBuf,
    every: Duration,
    stop: Stop,
    begun: Instant,
}

/// The trouble that was printed so far.
#[derive(Default)]
struct Told {
    totals: Totals,
    /// The reason why the last round failed as a whole.
    error: Option<String>,
}

impl Reader {
    fn new(global: &GlobalFlags, read: &ReadArgs) -> anyhow::Result<Self> {
        // It holds secrets of two servers.
        make_private();
        let failed = |trouble: Trouble| anyhow!("{}", neutral(trouble.text()));
        let mut context = Context::load(global, Fields::default()).map_err(failed)?;
        tell(&std::mem::take(&mut context.troubles), global);
        let stop = Stop::on_signals()?;
        let Plan {
            mut client,
            options,
            state,
            every,
        } = plan(read, &context, Utc::now()).map_err(failed)?;
        client.stop = Some(stop.flag());
        if !context.settings.dry_run {
            // Without a place for what was read, all of it would be read again and again.
            context.reporter.spool().map_err(|error| anyhow!("{error}"))?;
        }
        Ok(Self {
            context: Arc::new(context),
            client: Client::new(client)?,
            options,
            state,
            every,
            stop,
            begun: Instant::now(),
        })
    }

    fn server_id(&self) -> &str {
        self.options.mapping.server_id.as_str()
    }

    fn state(&self, global: &GlobalFlags) -> anyhow::Result<StateFiles> {
        let dx = self.context.reporter.destination().url.as_deref();
        StateFiles::open(&self.state, self.server_id(), dx, global.quiet)
    }

    /// Reads what is new, once. On return all of it that is remembered is on disk, and what else was read too, unless the disk refused.
    fn recorded_round(
        &self,
        store: &dyn StateStore,
        sink: &RefCell<SpoolSink<'_>>,
        observer: &mut dyn Observer,
        told: &mut Told,
    ) -> Result<(), SyncError> {
        let read = self.round(store, &mut Taking(sink), observer, told);
        let recorded = sink.borrow_mut().flush();
        read?;
        Ok(recorded?)
    }

    /// Reads what is new, once.
    fn round(
        &self,
        store: &dyn StateStore,
        sink: &mut dyn Sink,
        observer: &mut dyn Observer,
        told: &mut Told,
    ) -> Result<(), SyncError> {
        let stop = || self.stop.is_due();
        let mut engine = Engine::new(&self.client, store, sink, observer, self.options.clone());
        let round = engine.round(Utc::now(), &stop);
        // Whatever a stopped request left unread is no failure.
        told.totals.stopped = self.stop.is_due();
        match round {
            Ok(round) => told.totals.add(&round),
            Err(error) => {
                told.totals.requests += engine.requests();
                if !told.totals.stopped {
                    return Err(error);
                }
                tracing::info!(%error, "stopped");
            }
        }
        Ok(())
    }

    /// Prints what would be sent.
    fn rehearse(&self, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
        let dx = self.context.reporter.destination().url.as_deref();
        let store = Rehearsal::over(StateFiles::look(&self.state, self.server_id(), dx)?);
        let mut sink = PrintSink::new(&self.context);
        let (mut told, mut failing) = (Told::default(), Failing::new());
        let mut watcher = Watcher::new(global.quiet, None, &self.stop, &mut failing);
        let ended = self.round(&store, &mut sink, &mut watcher, &mut told);
        drop(watcher);
        let losses = Losses {
            reasons: std::mem::take(&mut sink.remarks),
            ..Losses::default()
        };
        self.close(global, &told, &losses, None)?;
        ended.map_err(|error| anyhow!("{}", excerpt(&error.to_string())))?;
        let failed = told.totals.is_nothing_read()
            || !told.totals.unfitted.is_empty()
            || (self.context.settings.strict && told.totals.failed_count > 0);
        Ok(ExitCode::from(u8::from(failed)))
    }

    /// Prints the result.
    fn close(
        &self,
        global: &GlobalFlags,
        told: &Told,
        losses: &Losses,
        delivered: Option<&Delivered>,
    ) -> anyhow::Result<()> {
        let summary = self.summary(told, losses, delivered);
        if !global.quiet {
            if let Some(words) = self.client.deprecation() {
                say(&format!("pipefold: the GoCD server says: {}", excerpt(&words)));
            }
            // Without a round there is nothing to count, and an error says why.
            let unsaid = usize::from(told.totals.rounds == 0 && !told.totals.stopped);
            for line in summary.lines().into_iter().skip(unsaid) {
                say(&format!("pipefold: {line}"));
            }
        }
        if global.json {
            print_json(&summary.json())?;
        }
        Ok(())
    }

    fn summary<'a>(&'a self, told: &'a Told, losses: &'a Losses, delivered: Option<&'a Delivered>) -> Summary<'a> {
        Summary {
            server: self.client.server().to_string(),
            server_id: self.server_id(),
            totals: &told.totals,
            delivered,
            losses,
            spool: self.context.settings.spool.path.display().to_string(),
            took: self.begun.elapsed(),
        }
    }

    fn troubles(&self, losses: &Losses, delivered: &Delivered) -> Vec<String> {
        self.summary(&Told::default(), losses, Some(delivered)).troubles()
    }
}

impl Told {
    /// Says why a round of many failed, once for each reason: the next may come in a minute.
    fn failed(&mut self, global: &GlobalFlags, error: &SyncError) {
        let why = excerpt(&error.to_string());
        if self.error.as_ref() != Some(&why) && !global.quiet {
            say(&format!("pipefold: warning: {why}; it is tried again each round"));
        }
        self.error = Some(why);
    }

    /// Says what a round of many brought, if anything.
    fn of_round(&mut self, global: &GlobalFlags, before: &Totals) {
        self.error = None;
        let (runs, attempts) = (self.totals.runs - before.runs, self.totals.attempts - before.attempts);
        if runs > 0 && !global.quiet {
            let (runs, attempts) = (counted(runs, "run"), counted(attempts, "attempt"));
            say(&format!("pipefold: {runs} with news, {attempts}"));
        }
        for pattern in self
            .totals
            .unfitted
            .iter()
            .filter(|pattern| !before.unfitted.contains(pattern))
        {
            if !global.quiet {
                let pattern = excerpt(pattern);
                say(&format!(
                    "pipefold: warning: --pipelines {pattern} fits no pipeline that this user may view"
                ));
            }
        }
    }
}
