//! Runs that are kept beside the database.

use super::support::{append, detail, ended, fresh, query, references, running, try_append};
use crate::store::RunFilter;
use crate::store::sqlite::DATABASE_FILE;

#[test]
fn a_run_that_another_program_removed_begins_again() {
    let (dir, store) = fresh();
    let first = append(&store, running("web", "r", 0), 0).run;
    append(&store, running("web", "r", 0), 1);
    let other = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    other
        .execute_batch("DELETE FROM notifications; DELETE FROM jobs; DELETE FROM runs")
        .unwrap();
    let again = append(&store, running("web", "r", 0), 2);
    assert!(again.is_new && again.run.id > first.id);
    assert_eq!(detail(&store, "r").unwrap().received.len(), 1);
}

#[test]
fn a_refused_notification_changes_nothing_of_what_is_kept() {
    let (_dir, store) = fresh();
    append(&store, running("web", "r", 0), 0);
    try_append(&store, ended("web", "r", 0, "refused"), 1).unwrap_err();
    let whole = append(&store, ended("web", "r", 0, "success"), 2).run;
    assert_eq!(
        (whole.notifications, detail(&store, "r").unwrap().summary),
        (2, whole.clone())
    );
}

#[test]
fn more_runs_than_are_kept_are_all_stored() {
    let (_dir, store) = fresh();
    let names: Vec<String> = (0..5_000).map(|n| format!("r{n}")).collect();
    let appended: Vec<_> = names
        .iter()
        .map(|name| append(&store, running("web", name, 0), 0))
        .collect();
    assert!(appended.iter().all(|appended| appended.is_new));
    for name in ["r0", "r2500", "r4999"] {
        assert_eq!(append(&store, ended("web", name, 0, "success"), 1).run.notifications, 2);
    }
    assert_eq!(references(&store, query(RunFilter::default(), 200)).len(), 5_000);
}
