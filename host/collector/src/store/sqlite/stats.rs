//! How a pipeline did over time.

use super::history::moment;
use super::list::pipeline_id;
use super::row::status;
use super::trouble::Result;
use crate::store::{Bucket, StatsQuery, StatusCounts};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::time::Duration;

/// How many runs are looked at, the newest: a month of a pipeline that runs every two minutes, in some 50 ms.
const LOOKED_AT: i64 = 20_000;

pub(super) fn stats(connection: &Connection, query: &StatsQuery) -> Result<Vec<Bucket>> {
    let Some(pipeline) = pipeline_id(connection, &query.pipeline)? else {
        return Ok(Vec::new());
    };
    let span = i64::try_from(query.bucket.as_millis()).unwrap_or(i64::MAX).max(1000);
    let mut statement = connection.prepare_cached(
        "SELECT place, status, started, finished FROM runs WHERE pipeline = ?1 AND place >= ?2 AND place < ?3 ORDER BY place DESC LIMIT ?4",
    )?;
    let (from, until) = (query.from.timestamp_millis(), query.until.timestamp_millis());
    let mut rows = statement.query([pipeline, from, until, LOOKED_AT])?;
    let mut spans: BTreeMap<i64, (StatusCounts, Vec<u64>)> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(0)?;
        let (counts, durations) = spans.entry(place.div_euclid(span)).or_default();
        counts.add(status(row.get(1)?)?);
        let (started, finished): (i64, Option<i64>) = (row.get(2)?, row.get(3)?);
        if let Some(finished) = finished {
            durations.push(u64::try_from(finished.saturating_sub(started)).unwrap_or(0));
        }
    }
    let buckets = spans.into_iter().map(|(number, (counts, mut durations))| {
        durations.sort_unstable();
        Ok(Bucket {
            // The first span may begin before time does, as far as dates go.
            from: moment(number.saturating_mul(span)).unwrap_or(query.from),
            counts,
            median: rank(&durations, 50),
            p90: rank(&durations, 90),
        })
    });
    buckets.collect()
}

/// The least of the sorted `durations`, in milliseconds, that `percent` of them do not exceed (nearest rank).
fn rank(durations: &[u64], percent: usize) -> Option<Duration> {
    let place = (durations.len() * percent).div_ceil(100).saturating_sub(1);
    durations.get(place).copied().map(Duration::from_millis)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let ms = |durations: &[u64], percent| rank(durations, percent).map(|duration| duration.as_millis());
        assert_eq!(ms(&[], 50), None);
        assert_eq!((ms(&[7], 50), ms(&[7], 90)), (Some(7), Some(7)));
        assert_eq!((ms(&[1, 2], 50), ms(&[1, 2, 3], 50)), (Some(1), Some(2)));
        let ten: Vec<u64> = (1..=10).collect();
        assert_eq!((ms(&ten, 50), ms(&ten, 90)), (Some(5), Some(9)));
    }
}
