//! `gocd`: the reader of GoCD's feeds, from its flags to its summary.
//!
//! The crate pipefold-gocd reads the feeds and maps the runs; here are its surroundings: `plan` puts the settings together, `state` keeps how
//! far the server was read, `sink` hands runs to the reporter's spool, `delivery` sends them meanwhile, `observer` and `summary` print.

mod delivery;
mod observer;
mod plan;
mod sink;
mod state;
mod summary;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use chrono::Utc;
use pipefold::detect::Fields;
use pipefold_gocd::client::{Client, FetchError};
use pipefold_gocd::documents::Name;
use pipefold_gocd::sync::{Engine, Observer, Options, Sink, StateStore, SyncError};

use self::delivery::{BackgroundDelivery, DeliveryTotals};
use self::observer::{FailingPipelines, RoundObserver};
use self::plan::{ReadPlan, plan};
use self::sink::{EngineSink, FlushFirst, PrintSink, SpoolSink, Unrecorded};
use self::state::{DryRunState, StateFiles};
use self::summary::{Summary, Totals, counted};
use super::context::Context;
use super::diagnostic::{Diagnostic, print};
use super::policies::say_work;
use super::print_json;
use super::stop::StopFlag;
use crate::args::{GlobalFlags, GocdArgs, GocdCommand, ReadArgs};
use crate::child::make_private;
use crate::terminal::{excerpt, neutral, say};

/// `pipefold gocd`
pub fn run(global: &GlobalFlags, args: &GocdArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        GocdCommand::Sync { read, timeout } => sync(global, read, *timeout),
        GocdCommand::Watch { read, every } => watch(global, read, *every),
    }
}

/// The time for the last delivery of `watch`: a service manager kills after 90 s, and undelivered runs wait on disk.
const LAST_DELIVERY: Duration = Duration::from_secs(5);

/// `pipefold gocd sync`
fn sync(global: &GlobalFlags, read: &ReadArgs, patience: Duration) -> anyhow::Result<ExitCode> {
    let reader = FeedReader::new(global, read)?;
    if reader.context.settings.dry_run {
        return reader.dry_run(global);
    }
    let delivery = BackgroundDelivery::begin(Arc::clone(&reader.context));
    let files = reader.state(global)?;
    let sink = RefCell::new(SpoolSink::new(&reader.context, &delivery, &reader.stop, global.quiet));
    let store = FlushFirst { files, sink: &sink };
    let (mut log, mut failing) = (RoundLog::default(), FailingPipelines::new());
    let mut observer = RoundObserver::new(global.quiet, Some(&delivery), &reader.stop, &mut failing);
    let ended = reader.recorded_round(&store, &sink, &mut observer, &mut log);
    drop(observer);
    let unrecorded = sink.borrow_mut().take_unrecorded();
    drop(store);
    drop(sink);
    let hurry = reader.stop.is_due();
    let patience = if hurry {
        reader.context.settings.budgets.stop
    } else {
        patience
    };
    let delivered = delivery.end(patience, hurry);
    reader.close(global, &log, &unrecorded, Some(&delivered))?;
    let strict = reader.context.settings.strict;
    let is_incomplete =
        log.totals.failed_count > 0 || log.totals.stopped || !reader.warnings(&unrecorded, &delivered).is_empty();
    match ended {
        Err(error) => Err(anyhow!("{}", excerpt(&error.to_string()))),
        Ok(()) if log.totals.is_nothing_read() && !hurry => Ok(ExitCode::FAILURE),
        Ok(()) if !log.totals.unfitted.is_empty() => Ok(ExitCode::FAILURE),
        Ok(()) if strict && is_incomplete => Ok(ExitCode::FAILURE),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// `pipefold gocd watch`
fn watch(global: &GlobalFlags, read: &ReadArgs, every: Option<Duration>) -> anyhow::Result<ExitCode> {
    let reader = FeedReader::new(global, read)?;
    if reader.context.settings.dry_run {
        return reader.dry_run(global);
    }
    let every = every.unwrap_or(reader.every);
    let delivery = BackgroundDelivery::begin(Arc::clone(&reader.context));
    let files = reader.state(global)?;
    let sink = RefCell::new(SpoolSink::new(&reader.context, &delivery, &reader.stop, global.quiet));
    let store = FlushFirst { files, sink: &sink };
    let (mut log, mut failing) = (RoundLog::default(), FailingPipelines::new());
    let mut ended = Ok(());
    loop {
        let before = log.totals.clone();
        let mut observer = RoundObserver::new(global.quiet, Some(&delivery), &reader.stop, &mut failing);
        let round = reader.recorded_round(&store, &sink, &mut observer, &mut log);
        drop(observer);
        match round {
            // The server will not accept them a minute later either, and further requests lock accounts out.
            Err(
                error @ SyncError::Fetch {
                    error: FetchError::BadCredentials,
                    ..
                },
            ) => {
                ended = Err(error);
                break;
            }
            Err(error) => log.round_failed(global, &error),
            Ok(()) => {
                log.round_ended(global, &before);
                let is_failing = |name: &Name| log.totals.failed.iter().any(|(failed, _)| failed == name.as_str());
                failing.retain(|name, _| is_failing(name));
            }
        }
        // Also without news: DX may accept now what it could not before.
        delivery.wake();
        if !reader.stop.sleep(every) {
            break;
        }
    }
    let unrecorded = sink.borrow_mut().take_unrecorded();
    drop(store);
    drop(sink);
    let delivered = delivery.end(LAST_DELIVERY, true);
    reader.close(global, &log, &unrecorded, Some(&delivered))?;
    match ended {
        Err(error) => Err(anyhow!("{}", excerpt(&error.to_string()))),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

/// The reader of one GoCD server.
struct FeedReader {
    context: Arc<Context>,
    client: Client,
    options: Options,
    state: PathBuf,
    every: Duration,
    stop: StopFlag,
    begun: Instant,
}

/// The totals of all rounds, and the last error that was printed.
#[derive(Default)]
struct RoundLog {
    totals: Totals,
    /// The reason why the last round failed as a whole.
    error: Option<String>,
}

impl FeedReader {
    fn new(global: &GlobalFlags, read: &ReadArgs) -> anyhow::Result<Self> {
        // The process holds secrets of two servers.
        make_private();
        let failed = |why: Diagnostic| anyhow!("{}", neutral(why.text()));
        let (context, diagnostics) = Context::load(global, Fields::default()).map_err(failed)?;
        print(&diagnostics, global);
        let stop = StopFlag::on_signals()?;
        let ReadPlan {
            mut client,
            options,
            state,
            every,
        } = plan(read, &context, Utc::now()).map_err(failed)?;
        client.stop = Some(stop.flag());
        if !context.settings.dry_run {
            // Without a spool, all runs would be read again and again.
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

    /// Reads what is new, once. On return all runs that were read are on disk, unless the disk failed; the saved state never names others.
    fn recorded_round(
        &self,
        store: &dyn StateStore,
        sink: &RefCell<SpoolSink<'_>>,
        observer: &mut dyn Observer,
        log: &mut RoundLog,
    ) -> Result<(), SyncError> {
        let read = self.round(store, &mut EngineSink(sink), observer, log);
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
        log: &mut RoundLog,
    ) -> Result<(), SyncError> {
        let stop = || self.stop.is_due();
        let mut engine = Engine::new(&self.client, store, sink, observer, self.options.clone());
        let round = engine.round(Utc::now(), &stop);
        // A stopped request leaves runs unread, which is no failure.
        log.totals.stopped = self.stop.is_due();
        match round {
            Ok(round) => log.totals.add(&round),
            Err(error) => {
                log.totals.requests += engine.requests();
                if !log.totals.stopped {
                    return Err(error);
                }
                tracing::info!(%error, "stopped");
            }
        }
        Ok(())
    }

    /// Prints the upserts that would be sent.
    fn dry_run(&self, global: &GlobalFlags) -> anyhow::Result<ExitCode> {
        let dx = self.context.reporter.destination().url.as_deref();
        let store = DryRunState::over(StateFiles::open_read_only(&self.state, self.server_id(), dx)?);
        let mut sink = PrintSink::new(&self.context);
        let (mut log, mut failing) = (RoundLog::default(), FailingPipelines::new());
        let mut observer = RoundObserver::new(global.quiet, None, &self.stop, &mut failing);
        let ended = self.round(&store, &mut sink, &mut observer, &mut log);
        drop(observer);
        let unrecorded = Unrecorded {
            reasons: std::mem::take(&mut sink.remarks),
            ..Unrecorded::default()
        };
        self.close(global, &log, &unrecorded, None)?;
        ended.map_err(|error| anyhow!("{}", excerpt(&error.to_string())))?;
        let failed = log.totals.is_nothing_read()
            || !log.totals.unfitted.is_empty()
            || (self.context.settings.strict && log.totals.failed_count > 0);
        Ok(ExitCode::from(u8::from(failed)))
    }

    /// Prints the summary.
    fn close(
        &self,
        global: &GlobalFlags,
        log: &RoundLog,
        unrecorded: &Unrecorded,
        delivered: Option<&DeliveryTotals>,
    ) -> anyhow::Result<()> {
        let summary = self.summary(log, unrecorded, delivered);
        if !global.quiet {
            if let Some(words) = self.client.deprecation() {
                say(&format!("pipefold: warning of the GoCD server: {}", excerpt(&words)));
            }
            // Without a round there is nothing to count, and an error has the reason.
            let skipped = usize::from(log.totals.rounds == 0 && !log.totals.stopped);
            for line in summary.lines().into_iter().skip(skipped) {
                say(&format!("pipefold: {line}"));
            }
        }
        if global.json {
            print_json(&summary.json())?;
        }
        say_work(self.context.reporter.plugins(), global);
        Ok(())
    }

    fn summary<'a>(
        &'a self,
        log: &'a RoundLog,
        unrecorded: &'a Unrecorded,
        delivered: Option<&'a DeliveryTotals>,
    ) -> Summary<'a> {
        Summary {
            server: self.client.server().to_string(),
            server_id: self.server_id(),
            totals: &log.totals,
            delivered,
            unrecorded,
            spool: self.context.settings.spool.path.display().to_string(),
            duration: self.begun.elapsed(),
        }
    }

    fn warnings(&self, unrecorded: &Unrecorded, delivered: &DeliveryTotals) -> Vec<String> {
        self.summary(&RoundLog::default(), unrecorded, Some(delivered))
            .warnings()
    }
}

impl RoundLog {
    /// Prints why a round of `watch` failed, once for each reason: the next round may be a minute later.
    fn round_failed(&mut self, global: &GlobalFlags, error: &SyncError) {
        let why = excerpt(&error.to_string());
        if self.error.as_ref() != Some(&why) && !global.quiet {
            say(&format!("pipefold: warning: {why}; it is tried again each round"));
        }
        self.error = Some(why);
    }

    /// Prints the news of a round of `watch`, if any.
    fn round_ended(&mut self, global: &GlobalFlags, before: &Totals) {
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
