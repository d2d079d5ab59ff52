//! The ways through a list, each along an index, and the search for the values that they start from.

use super::place::Result;
use crate::store::{Cursor, Total};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension};

/// The most pipelines, or values of a column, that are read one by one. With more, all runs are read, of which enough will fit.
pub const ONE_BY_ONE: usize = 32;

/// The most values of a column among which a part is looked for: some 10 ms.
const MOST_VALUES: usize = 5_000;

/// A text behind all others.
pub const LAST: &str = "\u{10ffff}";

/// One way: the condition that an index serves, and its value.
pub struct Way {
    /// Such as `r.pipeline = ?1`.
    pub condition: String,
    pub value: Box<dyn ToSql>,
}

/// The way through a list, and the runs on no way.
pub struct Plan {
    pub ways: Vec<Way>,
    pub ids: Vec<i64>,
    /// The number of runs that fit, if it is known.
    pub total: Option<Total>,
}

impl Plan {
    pub fn of(ways: Vec<Way>) -> Self {
        Self {
            ways,
            ids: Vec::new(),
            total: None,
        }
    }
}

/// The part of the list that is read: from a place, in milliseconds since 1970, to a cursor, exclusive.
pub struct Span {
    pub from: i64,
    pub until: Cursor,
}

impl Default for Span {
    fn default() -> Self {
        Self {
            from: i64::MIN,
            until: Cursor {
                place: i64::MAX,
                id: i64::MAX.unsigned_abs(),
            },
        }
    }
}

/// Returns the way of all runs.
pub fn everything() -> Way {
    way("?1 = 0", 0)
}

pub fn way(condition: impl Into<String>, value: impl ToSql + 'static) -> Way {
    Way {
        condition: condition.into(),
        value: Box::new(value),
    }
}

/// Returns the ways of the commits that begin so; `None` if they are too many.
pub fn of_commit(connection: &Connection, starts: &[String]) -> Result<Option<Vec<Way>>> {
    let mut all = Vec::new();
    for start in starts {
        let last = format!("{start}{LAST}");
        match values(connection, "commit_sha", start, &last, |commit| {
            commit.starts_with(start)
        })? {
            Some(ways) => all.extend(ways),
            None => return Ok(None),
        }
    }
    Ok((all.len() <= ONE_BY_ONE).then_some(all))
}

/// Returns a way for each value of a column from `from` to `until` that fits; `None` if they are too many to be read one by one. Each step
/// goes to the next value by the index.
pub fn values(
    connection: &Connection,
    column: &str,
    from: &str,
    until: &str,
    fits: impl Fn(&str) -> bool,
) -> Result<Option<Vec<Way>>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {column} FROM runs WHERE {column} > ?1 AND {column} <= ?2 ORDER BY {column} LIMIT 1"
    ))?;
    let (mut ways, mut last) = (Vec::new(), from.to_owned());
    // The index has a value itself before all that begin with it.
    if !from.is_empty() {
        ways.push(way(format!("r.{column} = ?1"), last.clone()));
    }
    for _ in 0..MOST_VALUES {
        let next = statement
            .query_row([&last, until], |row| row.get::<_, String>(0))
            .optional()?;
        let Some(value) = next else { return Ok(Some(ways)) };
        if fits(&value) {
            if ways.len() == ONE_BY_ONE {
                return Ok(None);
            }
            ways.push(way(format!("r.{column} = ?1"), value.clone()));
        }
        last = value;
    }
    Ok(None)
}

pub fn of_pipeline(id: i64) -> Way {
    way("r.pipeline = ?1", id)
}

/// Returns the ways of the pipelines whose name fits; `None` if they are too many.
pub fn pipelines(connection: &Connection, fits: impl Fn(&str) -> bool) -> Result<Option<Vec<Way>>> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM pipelines")?;
    let mut rows = statement.query([])?;
    let mut ways = Vec::new();
    while let Some(row) = rows.next()? {
        if fits(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?) {
            if ways.len() == ONE_BY_ONE {
                return Ok(None);
            }
            ways.push(of_pipeline(row.get(0)?));
        }
    }
    Ok(Some(ways))
}
