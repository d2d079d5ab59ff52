//! The collector under load, and with a year's runs in it.
//!
//! Sixty-four connections report a million notifications of a hundred thousand runs, each answered once it is on disk; the same bodies go
//! to a route that parses them and answers. Then the collector is started again on what it holds, and asked for its pages.

mod bare;
mod connection;
mod import;
pub(crate) mod load;
mod server;
mod webhooks;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pipefold::dx::METHOD_PATH;

use self::connection::Connection;
use crate::arguments::Arguments;
use crate::bench::temporary;
use crate::report::yes;
use crate::samples::Samples;
use crate::table::Table;

pub(crate) use self::load::Load;
pub(crate) use self::server::Server;
pub(crate) use bare::{FLAG as BARE_FLAG, serve as serve_bare};

/// The targets.
mod reach {
    /// Upserts a second, each durable, from 64 connections; the lower limit.
    pub(super) const RATE: f64 = 5_000.0;
    /// The 99th percentile of them, in milliseconds.
    pub(super) const UPSERT: f64 = 50.0;
    /// The 99th percentile of pages, beside that of a static route.
    pub(super) const PAGE: f64 = 25.0;
    /// The same of a search that finds nothing, which looks at every run.
    pub(super) const SEARCH: f64 = 200.0;
    /// The most memory that the server held under the load, in MiB.
    pub(super) const MEMORY: f64 = 150.0;
    /// Rows of an import, beside upserts from as many connections; the lower limit.
    pub(super) const IMPORT: f64 = 0.8;
    /// The most memory that an import held, whatever the length of its file, in MiB.
    pub(super) const IMPORT_MEMORY: f64 = 48.0;
    /// Deliveries, beside upserts of the same runs: the time of one, and its 99th percentile.
    pub(super) const DELIVERY: f64 = 2.0;
    /// The most memory that a server held that took a delivery of 25 MB, in MiB.
    pub(super) const LARGEST_DELIVERY: f64 = 150.0;
    /// From the start of the process to its address on stdout, in milliseconds.
    pub(super) const START: f64 = 200.0;
}

/// Deliveries: 20 KB each, all in memory before the first is sent.
const MOST_DELIVERIES: u64 = 5_000;

/// The page that looks at every run.
const SEARCH: &str = "a search that finds nothing";

/// Pages asked for of each kind: enough that one in a hundred is several.
const PAGES: usize = 500;

/// Measures, and prints a table.
///
/// # Errors
/// If a server does not start, or refuses a request.
pub(crate) fn measure_and_print(arguments: &Arguments) -> Result<()> {
    let here = std::env::current_exe().context("cannot find this program's own file")?;
    let root = temporary(here.parent().unwrap_or(Path::new(".")))?;
    let data = root.path().join("runs");

    let bare = Server::bare()?;
    // A tenth is enough for a rate: nothing of it is kept, so the last request costs what the first did.
    let beside = load::run(bare.address(), Load::of(arguments.notifications / 10))?;
    bare.stop()?;

    let collector = Server::collector(&arguments.pipefold, &data)?;
    let loaded = load::run(collector.address(), Load::of(arguments.notifications))?;
    let memory = collector.peak_memory()?;
    collector.stop()?;

    let begun = Instant::now();
    let collector = Server::collector(&arguments.pipefold, &data)?;
    let start = begun.elapsed();

    let mut table = Table::new(["what", "measured", "beside it", "reach", "reached"]);
    let mut row = |what: String, measured: String, beside: String, reach: String, reached: bool| {
        table.row([what, measured, beside, reach, yes(reached)]);
    };
    let (rate, bare_rate) = (loaded.rate(), beside.rate());
    row(
        format!(
            "{} upserts, each on disk before its answer, 64 connections",
            loaded.samples.count()
        ),
        format!("{rate:.0} a second"),
        format!(
            "a route that parses and answers: {bare_rate:.0} a second, {:.1} ×",
            bare_rate / rate
        ),
        format!("≥ {} a second", reach::RATE),
        rate >= reach::RATE,
    );
    let (slow, bare_slow) = (loaded.samples.quantile(99), beside.samples.quantile(99));
    row(
        "99 in 100 of them took at most".into(),
        format!("{slow:.1} ms"),
        format!("{bare_slow:.1} ms"),
        format!("≤ {} ms", reach::UPSERT),
        slow <= reach::UPSERT,
    );
    let mib = memory as f64 / f64::from(1 << 20);
    row(
        "the most memory it held meanwhile".into(),
        format!("{mib:.0} MiB"),
        String::new(),
        format!("≤ {} MiB", reach::MEMORY),
        mib <= reach::MEMORY,
    );
    let start = start.as_secs_f64() * 1e3;
    row(
        "start-up on what it then holds".into(),
        format!("{start:.0} ms"),
        String::new(),
        format!("≤ {} ms", reach::START),
        start <= reach::START,
    );
    let mut fixed = None;
    for (what, pages) in pages(&collector, &loaded)? {
        let (slow, median) = (pages.quantile(99), pages.median());
        let fixed = *fixed.get_or_insert(slow);
        let reach = match what {
            SEARCH => reach::SEARCH,
            _ => reach::PAGE,
        };
        row(
            format!("{what}, {} times: 99 in 100 took at most", pages.count()),
            format!("{slow:.2} ms (half {median:.2} ms)"),
            format!("a static route {fixed:.2} ms, {:.0} ×", slow / fixed),
            format!("≤ {reach} ×"),
            slow <= reach * fixed,
        );
    }
    collector.stop()?;
    let imported = import::run(arguments, Load::of(arguments.notifications), root.path())?;
    row(
        format!("`import` of {} rows of the same, 64 at a time", imported.rows),
        format!("{:.0} a second", imported.rate),
        format!("the upserts above: {rate:.0} a second, {:.2} ×", imported.rate / rate),
        format!("≥ {} ×", reach::IMPORT),
        imported.rate >= reach::IMPORT * rate,
    );
    let mib = imported.memory as f64 / f64::from(1 << 20);
    row(
        "the most memory it held".into(),
        format!("{mib:.0} MiB"),
        String::new(),
        format!("≤ {} MiB", reach::IMPORT_MEMORY),
        mib <= reach::IMPORT_MEMORY,
    );
    let delivered = webhooks::run(arguments, arguments.notifications.min(MOST_DELIVERIES), root.path())?;
    rows_of_webhooks(&mut row, &delivered);
    println!("The collector, with its load on the same cores:\n\n{table}");
    Ok(())
}

fn rows_of_webhooks(row: &mut impl FnMut(String, String, String, String, bool), delivered: &webhooks::Delivered) {
    let count = delivered.deliveries.count() as f64;
    let (rate, upserts) = (count / delivered.took, count / delivered.upserts_took);
    row(
        format!("{count} signed deliveries of 20 KB, each on disk before its answer, 64 connections"),
        format!("{rate:.0} a second"),
        format!(
            "upserts of the same runs: {upserts:.0} a second, {:.2} ×",
            upserts / rate
        ),
        format!("≤ {} ×", reach::DELIVERY),
        upserts <= reach::DELIVERY * rate,
    );
    let (slow, beside) = (delivered.deliveries.quantile(99), delivered.upserts.quantile(99));
    row(
        "99 in 100 of them took at most".into(),
        format!("{slow:.1} ms"),
        format!("{beside:.1} ms, {:.2} ×", slow / beside),
        format!("≤ {} ×", reach::DELIVERY),
        slow <= reach::DELIVERY * beside,
    );
    let mib = delivered.memory as f64 / f64::from(1 << 20);
    row(
        "the most memory with a delivery of 25 MB".into(),
        format!("{mib:.0} MiB"),
        String::new(),
        format!("≤ {} MiB", reach::LARGEST_DELIVERY),
        mib <= reach::LARGEST_DELIVERY,
    );
    let slow = delivered.meanwhile.quantile(99);
    row(
        format!(
            "{} upserts while it came: 99 in 100 took at most",
            delivered.meanwhile.count()
        ),
        format!("{slow:.1} ms"),
        String::new(),
        format!("≤ {} ms", reach::UPSERT),
        slow <= reach::UPSERT,
    );
}

/// The pages that people and readers of feeds ask for, over one connection.
fn pages(collector: &Server, loaded: &load::Loaded) -> Result<Vec<(&'static str, Samples)>> {
    let mut connection = Connection::open(collector.address())?;
    let pipeline = |page: usize| loaded.load.pipeline((page * 7) as u64);
    let mut kinds: Vec<(&'static str, Box<dyn Fn(usize) -> String>)> = vec![
        ("a static route", Box::new(|_| "/assets/icon.svg".into())),
        ("the start page", Box::new(|_| "/".into())),
        ("the list of runs", Box::new(|_| "/runs".into())),
        (
            "that of one status or branch",
            Box::new(|page| ["/runs?status=failure", "/runs?branch=main"][page % 2].into()),
        ),
        ("that of a part of a name", Box::new(|_| "/runs?person=e".into())),
        (SEARCH, Box::new(|_| "/runs?text=nosuchrun".into())),
        (
            "a pipeline's page",
            Box::new(move |page| format!("/pipelines/{}", pipeline(page))),
        ),
        (
            "`GET /api/runs`, 50 runs",
            Box::new(move |page| format!("/api/runs?pipeline={}", pipeline(page))),
        ),
    ];
    for (what, path) in [
        ("a page of GoCD's stage feed, old URL", "/go/api/pipelines/"),
        ("the same, new URL", "/go/api/feed/pipelines/"),
    ] {
        kinds.push((
            what,
            Box::new(move |page| {
                let cursor = if page.is_multiple_of(2) { "" } else { "?before=150" };
                format!("{path}{}/stages.xml{cursor}", pipeline(page))
            }),
        ));
    }
    let mut measured = Vec::new();
    for (what, path) in kinds {
        let mut samples = Samples::default();
        for page in 0..PAGES {
            let path = path(page);
            let status = samples.time(|| connection.get(&path))?;
            ensure!(status == 200, "{path} answered {status}");
        }
        measured.push((what, samples));
    }
    Ok(measured)
}

/// The time that a server may take to start, to answer or to end: none of it is measured, and a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);
