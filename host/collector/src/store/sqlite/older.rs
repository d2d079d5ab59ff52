//! Content of older versions, brought up to date when a store is opened.

use super::append::find_by;
use super::place::Result;
use super::recent::Known;
use super::rows;
use super::rows::{Tools, json, notifications};
use super::weight::job_bytes;
use crate::store::FoldError;
use pipefold_sandbox::{Job, Notification, Status};
use rusqlite::{Connection, params};
use std::collections::BTreeSet;

/// Folds the runs that an older version left unfolded. A run that cannot be folded stays as it was.
pub fn fold_leftovers(connection: &mut Connection, tools: &mut Tools) -> Result<()> {
    for id in ids(connection, "SELECT id FROM runs WHERE folded < notifications")? {
        let history = notifications(connection, id)?;
        let record = match (tools.fold)(&history) {
            Ok(report) => report.run,
            Err(why) => {
                tracing::warn!("run {id} is listed without its latest notifications: {}", discreet(why));
                continue;
            }
        };
        let tx = connection.transaction()?;
        if let Some(known) = find_by(&tx, "r.id = ?1", &id)? {
            let mut folded = Known {
                is_folded: true,
                ..known.clone()
            };
            rows::replace(&tx, &known, &mut folded, record, tools)?;
            tools.sequence.write(&tx)?;
        }
        tx.commit()?;
    }
    Ok(())
}

/// Makes jobs of the steps that an older version kept as notifications. A step that is none by the rules is dropped; where they refuse the
/// history, jobs have the names of the steps alone. Jobs of a run that waits for DX wait, too.
pub fn fold_steps(connection: &mut Connection, tools: &Tools) -> Result<()> {
    for id in ids(
        connection,
        "SELECT DISTINCT run FROM jobs WHERE body IS NULL AND name <> ''",
    )? {
        let steps: Vec<Notification> = notifications(connection, id)?
            .into_iter()
            .filter(|notification| notification.step.is_some())
            .collect();
        let jobs = match (tools.fold)(&steps) {
            Ok(report) => report.jobs,
            Err(why) => {
                tracing::warn!("the jobs of run {id} have no status: {}", discreet(why));
                let names: BTreeSet<String> = steps.into_iter().filter_map(|step| step.step).collect();
                let job = |name: String| Job {
                    reference_id: name.clone(),
                    name,
                    status: Status::Unknown,
                    started_at: None,
                    finished_at: None,
                };
                names.into_iter().map(job).collect()
            }
        };
        let tx = connection.transaction()?;
        for job in &jobs {
            tx.prepare_cached(
                "UPDATE jobs SET body = ?3, waiting_since = (SELECT waiting_since FROM runs WHERE id = ?1) WHERE run = ?1 AND name = ?2",
            )?
            .execute(params![id, job.reference_id, json(job)?])?;
        }
        tx.execute("DELETE FROM jobs WHERE run = ?1 AND body IS NULL AND name <> ''", [id])?;
        let bytes: u64 = jobs.iter().map(job_bytes).sum();
        tx.execute(
            "UPDATE runs SET jobs = ?2, job_bytes = ?3 WHERE id = ?1",
            params![id, jobs.len() as i64, bytes.cast_signed()],
        )?;
        tx.commit()?;
    }
    Ok(())
}

fn ids(connection: &Connection, query: &str) -> Result<Vec<i64>> {
    let mut statement = connection.prepare(query)?;
    let found = statement.query_map([], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Returns the text of an error without that of a refusal, which may repeat text of a notification.
fn discreet(why: FoldError) -> String {
    match why {
        FoldError::Refused(_) => "the rules refuse it".to_owned(),
        FoldError::Failed(why) => why,
    }
}
