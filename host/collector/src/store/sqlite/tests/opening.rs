//! Opening what is ours, and refusing what is not, or is not whole.

use super::support::{append, detail, ended, fold, fresh, open, page, query, running, try_append, wait};
use crate::store::sqlite::{DATABASE_FILE, LOCK_FILE, RunLimits, SqliteStore};
use crate::store::{RunFilter, Store, StoreError};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn try_open(dir: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(dir, fold(), RunLimits::default())
}

/// Opens what must be refused, and checks that its files are as they were.
fn refused(dir: &Path) -> StoreError {
    let path = dir.join(DATABASE_FILE);
    let before = std::fs::read(&path).unwrap();
    let why = try_open(dir).expect_err("it is refused");
    assert!(std::fs::read(&path).unwrap() == before, "the file was changed: {why}");
    assert!(why.to_string().contains(DATABASE_FILE), "{why}");
    why
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A closed database with some content.
fn closed() -> tempfile::TempDir {
    let (dir, store) = fresh();
    for n in 0..400 {
        drop(store.append(super::support::appending(
            ended("web", &format!("r{n}"), n, "success"),
            n,
        )));
    }
    append(&store, running("api", "last", 0), 0);
    drop(store);
    dir
}

#[test]
fn the_directory_is_ours_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("a/b");
    drop(open(&data));
    assert_eq!((mode(&data), mode(&dir.path().join("a"))), (0o700, 0o700));
    assert_eq!(mode(&data.join(DATABASE_FILE)), 0o600);
    set_mode(&data, 0o755);
    drop(open(&data));
    assert_eq!(mode(&data), 0o700, "it holds nothing but ours");

    set_mode(&data, 0o750);
    std::fs::write(data.join("diary"), "").unwrap();
    let why = try_open(&data).expect_err("others may read it").to_string();
    assert!(why.contains("diary") && !why.contains("chmod"), "{why}");
    assert_eq!(mode(&data), 0o750);
    set_mode(&data, 0o1777);
    let why = try_open(&data).expect_err("others may write to it").to_string();
    assert!(why.contains("diary") && !why.contains("chmod"), "as /tmp: {why}");
    std::fs::remove_file(data.join("diary")).unwrap();
    set_mode(&data, 0o720);
    let why = try_open(&data).expect_err("others may write to it").to_string();
    assert!(why.contains("chmod 700"), "{why}");
    set_mode(&data, 0o700);
    drop(open(&data));
    // A file in the way.
    assert!(matches!(
        try_open(&data.join(DATABASE_FILE)),
        Err(StoreError::Io { .. })
    ));
}

#[test]
fn a_second_server_is_refused_while_the_first_one_lives() {
    const NAME: &str = "store::sqlite::tests::opening::a_second_server_is_refused_while_the_first_one_lives";
    if let Some(dir) = std::env::var_os("PIPEFOLD_TEST_INNER") {
        // Another process, as a second server would be.
        let why = try_open(dir.as_ref()).expect_err("it is in use");
        assert!(matches!(why, StoreError::InUse(_)), "{why}");
        return;
    }
    let (dir, store) = fresh();
    append(&store, running("web", "r", 0), 0);
    let inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env("PIPEFOLD_TEST_INNER", dir.path())
        .output()
        .unwrap();
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
    assert!(
        matches!(try_open(dir.path()), Err(StoreError::InUse(_))),
        "nor within one process"
    );
    append(&store, running("web", "r", 0), 0);
    drop(store);
    assert!(dir.path().join(LOCK_FILE).exists());
    assert_eq!(detail(&open(dir.path()), "r").unwrap().received.len(), 2);
}

#[test]
fn a_newer_schema_is_refused_also_when_only_the_log_has_it() {
    let dir = closed();
    let connection = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    // The connection is open still: the file does not have the number yet.
    let why = refused(dir.path());
    assert!(
        matches!(
            why,
            StoreError::TooNew {
                found: 99,
                known: 6,
                ..
            }
        ),
        "{why}"
    );
    // As after a crash: the file does not have the number, and no other process prevents it.
    let crashed = tempfile::tempdir().unwrap();
    for name in [DATABASE_FILE.to_owned(), format!("{DATABASE_FILE}-wal")] {
        std::fs::copy(dir.path().join(&name), crashed.path().join(&name)).unwrap();
    }
    let why = refused(crashed.path());
    assert!(
        matches!(
            why,
            StoreError::TooNew {
                found: 99,
                known: 6,
                ..
            }
        ),
        "{why}"
    );
    drop(connection);
    let why = refused(dir.path());
    assert!(
        matches!(
            why,
            StoreError::TooNew {
                found: 99,
                known: 6,
                ..
            }
        ),
        "{why}"
    );
}

#[test]
fn what_is_no_database_of_ours_is_refused_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    for content in [b"hello".to_vec(), vec![0; 10_000], b"SQLite format 3\0".to_vec(), {
        let mut text = b"SQLite format 3\0".to_vec();
        text.resize(5000, 0xff);
        text
    }] {
        std::fs::write(&path, content).unwrap();
        assert!(matches!(refused(dir.path()), StoreError::NotOurs { .. }));
        std::fs::remove_file(&path).unwrap();
    }
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE birds (name)").unwrap();
    drop(foreign);
    assert!(matches!(refused(dir.path()), StoreError::NotOurs { .. }));
    std::fs::remove_file(&path).unwrap();
    // The file of a server that died at its first step.
    std::fs::write(&path, "").unwrap();
    append(&open(dir.path()), running("web", "r", 0), 0);
}

#[test]
fn damage_anywhere_is_an_error_and_never_a_panic() {
    let dir = closed();
    let path = dir.path().join(DATABASE_FILE);
    let whole = std::fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 20);
    let mut told = 0;
    for page_number in 0..pages {
        let mut damaged = whole.clone();
        for byte in &mut damaged[page_number * 4096 + if page_number == 0 { 100 } else { 0 }..(page_number + 1) * 4096]
        {
            *byte ^= 0x5a;
        }
        std::fs::write(&path, &damaged).unwrap();
        let store = match try_open(dir.path()) {
            Err(StoreError::Corrupt { .. }) => {
                assert!(
                    std::fs::read(&path).unwrap() == damaged,
                    "page {page_number} was refused and changed"
                );
                told += 1;
                continue;
            }
            opened => opened.unwrap(),
        };
        let mut outcomes = vec![try_append(&store, running("web", "new", 0), 0).map(drop)];
        let mut query = query(RunFilter::default(), 200);
        loop {
            match wait(store.runs(query.clone())) {
                Ok(page) if page.next.is_some() => query.after = page.next,
                other => break outcomes.push(other.map(drop)),
            }
        }
        for n in (0..400).step_by(3) {
            let key = crate::store::RunKey::Reference(format!("r{n}"));
            outcomes.push(wait(store.run(key)).map(drop));
        }
        for outcome in outcomes {
            if let Err(why) = outcome {
                assert!(matches!(why, StoreError::Corrupt { .. }), "page {page_number}: {why}");
                told += 1;
            }
        }
    }
    assert!(told > pages / 2, "{told} of {pages}");

    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(refused(dir.path()), StoreError::Corrupt { .. }), "cut off");
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(
        page(&open(dir.path()), query(RunFilter::default(), 200)).runs.len(),
        200
    );
}

#[test]
fn a_lock_of_another_program_refuses_and_goes_by_itself() {
    let (dir, store) = fresh();
    append(&store, running("web", "r", 0), 0);
    let other = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answer = store.append(super::support::appending(running("web", "locked", 0), 0));
    assert_eq!(detail(&store, "r").unwrap().received.len(), 1, "reading goes on");
    assert!(matches!(wait(answer), Err(StoreError::Locked(_))));
    other.execute_batch("COMMIT").unwrap();
    append(&store, running("web", "r", 0), 0);
    assert!(detail(&store, "locked").is_none());
}

#[test]
fn a_database_of_the_first_schema_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o700);
    let connection = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    connection.execute_batch(include_str!("../schema/1.sql")).unwrap();
    connection.pragma_update(None, "application_id", 0x5066_436F).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let row = r#"INSERT INTO pipelines VALUES (1, 'web', 1, 0, 0, 1, 0, 0, 0);
        INSERT INTO runs VALUES (1, 'r', 1, 1, 0, 1, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 1, 9, 1, NULL, 1,
            '{"at":"2025-01-01T00:00:00Z","accepted":false,"text":"no"}',
            '{"pipeline_name":"web","pipeline_source":"s","reference_id":"r","started_at":"1970-01-01T00:00:00Z","status":"running"}');
        INSERT INTO notifications VALUES (16384, 0, 'ci',
            '{"pipeline_name":"web","pipeline_source":"s","reference_id":"r","started_at":"1970-01-01T00:00:00Z","status":"running"}');
        INSERT INTO jobs VALUES (3, 1, '');
        UPDATE sequence SET next = 4;"#;
    connection.execute_batch(row).unwrap();
    drop(connection);
    let store = open(dir.path());
    let received = detail(&store, "r").unwrap().received;
    assert_eq!(
        (received.len(), received[0].by_policies, received[0].held),
        (1, false, false)
    );
    let refused = RunFilter {
        refused: true,
        ..RunFilter::default()
    };
    assert_eq!(page(&store, query(refused, 1)).runs.len(), 1);
    assert_eq!(append(&store, ended("web", "r", 0, "success"), 1).run.notifications, 2);
}
