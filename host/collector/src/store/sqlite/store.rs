//! The trait, on SQLite.

use super::open::SqliteStore;
use super::readers::snapshot;
use super::{append, backup, detail, feed, forward, list, pipelines, place, stats, upkeep};
use crate::store::{
    Answer, Append, Appended, Backlog, Bucket, FeedQuery, Forwarded, Page, PipelineQuery, PipelineSummary, Retention,
    RunDetail, RunKey, RunQuery, RunSummary, StaleQuery, StatsQuery, Store, StoreError, Waiting, WaitingQuery,
};
use std::path::PathBuf;
use tokio::sync::oneshot;

impl Store for SqliteStore {
    fn append(&self, append: Append) -> Answer<Appended> {
        // Texts, and what holds them.
        let weight = append
            .notifications
            .iter()
            .map(|kept| super::history::text_bytes(&kept.notification) as usize + 1024)
            .sum();
        let (asker, answer) = oneshot::channel();
        let (writer, fold, limits, path) = (
            self.writer.clone(),
            self.fold.clone(),
            self.limits,
            self.path().to_owned(),
        );
        let queued = self.judges.spawn(weight, move |connection| {
            match snapshot(connection, |connection| {
                append::judge(connection, &fold, limits, append)
            }) {
                Ok(judged) => writer.ask_for(asker, weight, move |tx, tools| append::keep(tx, tools, &judged)),
                // No one may wait any more.
                Err(trouble) => drop(asker.send(Err(trouble.told(&path)))),
            }
        });
        Box::pin(async move {
            queued?;
            answer.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn runs(&self, query: RunQuery) -> Answer<Page> {
        self.readers.ask(move |connection| list::runs(connection, &query))
    }

    fn run(&self, key: RunKey) -> Answer<Option<RunDetail>> {
        self.readers.ask(move |connection| detail::run(connection, &key))
    }

    fn pipelines(&self, query: PipelineQuery) -> Answer<Vec<PipelineSummary>> {
        self.readers
            .ask(move |connection| pipelines::pipelines(connection, &query))
    }

    fn pipeline(&self, name: String) -> Answer<Option<PipelineSummary>> {
        self.readers
            .ask(move |connection| pipelines::pipeline(connection, &name))
    }

    fn stats(&self, query: StatsQuery) -> Answer<Vec<Bucket>> {
        self.readers.ask(move |connection| stats::stats(connection, &query))
    }

    fn completed(&self, query: FeedQuery) -> Answer<Vec<RunSummary>> {
        self.readers.ask(move |connection| feed::completed(connection, &query))
    }

    fn waiting(&self, query: WaitingQuery) -> Answer<Vec<Waiting>> {
        self.readers.ask(move |connection| forward::waiting(connection, &query))
    }

    fn backlog(&self) -> Answer<Backlog> {
        self.readers.ask(forward::backlog)
    }

    fn forwarded(&self, forwarded: Forwarded) -> Answer<()> {
        self.writer.ask(0, move |tx, _| forward::forwarded(tx, &forwarded))
    }

    fn stale(&self, query: StaleQuery) -> Answer<Vec<RunSummary>> {
        self.readers.ask(move |connection| upkeep::stale(connection, query))
    }

    fn retain(&self, retention: Retention) -> Answer<u64> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let (mut removed, mut after) = (0, Some(0));
            while let Some(begin) = after {
                let step = writer.ask(0, move |tx, _| upkeep::retain(tx, retention, begin)).await?;
                removed += step.removed;
                after = step.next;
            }
            Ok(removed)
        })
    }

    fn ready(&self) -> Answer<()> {
        let room = place::room(self.path());
        let written = self.writer.ask(0, |tx, tools| tools.sequence.write(tx));
        Box::pin(async move {
            // What was made room for before may still take a small write, and not a notification.
            room?;
            written.await
        })
    }

    fn backup(&self, to: PathBuf) -> Answer<()> {
        self.readers
            .ask_outside(move |connection| backup::write(connection, &to))
    }
}
