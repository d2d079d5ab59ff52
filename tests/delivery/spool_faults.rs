//! A spool that cannot be used: the build goes on with one warning, and its notifications reach DX all the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pipefold_tests::{Ci, Mode, Mounted, Output, Pipefold, skipped};

/// The limit of a command: well above every budget.
const SOON: Duration = Duration::from_secs(20);

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A build of three commands and one in one piece, with a spool that cannot take anything. `words` are in the warning.
fn build_goes_on(ci: &Ci, words: &str, prepare: impl Fn(Pipefold) -> Pipefold) {
    let warned = |output: &Output| {
        output.assert_within(SOON);
        let stderr = output.stderr();
        assert!(
            stderr.contains("pipefold: warning: ") && stderr.contains(words),
            "{words:?} is to be said: {output}"
        );
    };
    let run = |command: Pipefold, code: i32| {
        let output = prepare(command).run();
        output.assert_code(code);
        warned(&output);
        output
    };
    run(ci.report(["start"]), 0);
    assert_eq!(ci.record().status, "running", "straight from memory");
    run(
        ci.report(["step", "--step", "urgent", "--now", "--email", "a@example.com"]),
        0,
    );
    assert_eq!(ci.record().get("email"), Some("a@example.com"));
    run(ci.report(["step", "--step", "wrapped", "--", "sh", "-c", "exit 4"]), 4);
    run(ci.report(["finish", "--status", "failure"]), 0);
    let record = ci.record();
    assert!(record.status == "failure" && record.finished_at.is_some(), "{record:?}");

    let output = run(
        ci.report_run("whole", ["exec", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]),
        3,
    );
    assert_eq!(output.stdout(), "out\n", "{output}");
    let record = ci.record_of("whole");
    assert!(record.status == "failure" && record.finished_at.is_some(), "{record:?}");

    // With DX down as well there is nothing left to do, and the build is none of that's business.
    ci.budgets(100, 100, 100);
    ci.dx.set_mode(Mode::RefuseConnections);
    run(ci.report_run("lost", ["exec", "--", "sh", "-c", "exit 3"]), 3);
    run(ci.report_run("lost", ["finish"]), 0);
    ci.dx.set_mode(Mode::Normal);
}

#[test]
fn a_link_is_no_spool() {
    let ci = Ci::new();
    let elsewhere = ci.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, ci.spool()).unwrap();
    build_goes_on(&ci, "is a symbolic link", |command| command);
    assert_eq!(
        fs::read_dir(&elsewhere).unwrap().count(),
        0,
        "nothing was written through it"
    );
}

#[test]
fn a_file_is_no_spool() {
    let ci = Ci::new();
    fs::write(ci.spool(), "mine").unwrap();
    build_goes_on(&ci, "is not a directory", |command| command);
    assert_eq!(fs::read_to_string(ci.spool()).unwrap(), "mine");
}

#[test]
fn a_directory_that_others_may_write_to_is_no_spool() {
    let ci = Ci::new();
    fs::create_dir(ci.spool()).unwrap();
    fs::set_permissions(ci.spool(), fs::Permissions::from_mode(0o777)).unwrap();
    build_goes_on(&ci, "other users may write", |command| command);
    assert_eq!(fs::read_dir(ci.spool()).unwrap().count(), 0);
}

#[test]
fn a_directory_of_another_user_is_no_spool() {
    if !is_root() {
        return skipped(
            "a_directory_of_another_user_is_no_spool",
            "only root can give a directory away",
        );
    }
    let ci = Ci::new();
    fs::create_dir(ci.spool()).unwrap();
    chown(ci.spool(), Some(12_345), Some(12_345)).unwrap();
    build_goes_on(&ci, "belongs to the user with id 12345", |command| command);
    assert_eq!(fs::read_dir(ci.spool()).unwrap().count(), 0);
}

/// A small file system for the spool to be on, or why there is none.
fn volume(ci: &Ci, kib: u64, test: &str) -> Option<Mounted> {
    Mounted::tmpfs(ci.directory().join("volume"), kib)
        .inspect_err(|why| skipped(test, &format!("no file system can be mounted here ({why})")))
        .ok()
}

/// Leaves a run of another build in the spool, which a later command may deliver.
fn leave_a_run(ci: &Ci, spool: &Path) {
    ci.dx.set_mode(Mode::RefuseConnections);
    ci.budgets(100, 100, 100);
    let earlier = ci.report_run("earlier", ["finish"]);
    earlier.env("PIPEFOLD_SPOOL", spool).run().assert_code(0);
    ci.dx.set_mode(Mode::Normal);
    ci.operator("");
}

/// An empty spool on a volume without room.
fn spool_on_full(volume: &Mounted) -> PathBuf {
    let spool = volume.path().join("spool");
    fs::create_dir(&spool).unwrap();
    fs::set_permissions(&spool, fs::Permissions::from_mode(0o700)).unwrap();
    fill_up(volume);
    spool
}

#[test]
fn a_read_only_disk_without_a_spool() {
    let ci = Ci::new();
    let Some(volume) = volume(&ci, 1024, "a_read_only_disk_without_a_spool") else {
        return;
    };
    volume.read_only(true);
    let spool = volume.path().join("spool");
    build_goes_on(&ci, "read-only file system", |command| {
        command.env("PIPEFOLD_SPOOL", &spool)
    });
}

#[test]
fn a_disk_that_became_read_only() {
    let ci = Ci::new();
    let Some(volume) = volume(&ci, 1024, "a_disk_that_became_read_only") else {
        return;
    };
    let spool = volume.path().join("spool");
    leave_a_run(&ci, &spool);
    volume.read_only(true);
    build_goes_on(&ci, "read-only file system", |command| {
        command.env("PIPEFOLD_SPOOL", &spool)
    });
    assert!(ci.record_of("earlier").finished_at.is_some());
    volume.read_only(false);
    let flush = ci
        .pipefold(["flush", "--timeout", "10s"])
        .env("PIPEFOLD_SPOOL", &spool)
        .run();
    flush.assert_code(0);
}

#[test]
fn a_full_disk_without_a_spool() {
    let ci = Ci::new();
    let Some(volume) = volume(&ci, 64, "a_full_disk_without_a_spool") else {
        return;
    };
    let spool = spool_on_full(&volume);
    build_goes_on(&ci, "no space left", |command| command.env("PIPEFOLD_SPOOL", &spool));
}

#[test]
fn a_disk_that_became_full() {
    let ci = Ci::new();
    let Some(volume) = volume(&ci, 256, "a_disk_that_became_full") else {
        return;
    };
    let spool = volume.path().join("spool");
    leave_a_run(&ci, &spool);
    let filling = fill_up(&volume);
    build_goes_on(&ci, "no space left", |command| command.env("PIPEFOLD_SPOOL", &spool));
    assert!(
        ci.record_of("earlier").finished_at.is_some(),
        "what was accepted before is not lost"
    );

    fs::remove_file(filling).unwrap();
    let output = ci.report_run("after", ["finish"]).env("PIPEFOLD_SPOOL", &spool).run();
    output.assert_code(0);
    assert!(!output.stderr().contains("warning"), "all is well again: {output}");
    let content = pipefold_tests::SpoolContent::read(&spool);
    content.assert_sound(&"after the disk was full");
    assert_eq!(content.waiting().count(), 0);
}

#[test]
fn a_disk_that_becomes_full_during_a_build() {
    let ci = Ci::new();
    let Some(volume) = volume(&ci, 256, "a_disk_that_becomes_full_during_a_build") else {
        return;
    };
    let (spool, filling) = (volume.path().join("spool"), volume.path().join("filling"));
    // The start is recorded when the build begins to fill the disk.
    let script = format!(
        "until ls {}/runs/*/*.json >/dev/null 2>&1; do sleep 0.05; done; head -c 1000000 /dev/zero >{} 2>/dev/null; exit 3",
        spool.display(),
        filling.display()
    );
    let command = ci.exec(["sh", "-c", &script]).env("PIPEFOLD_SPOOL", &spool);
    let output = command.run();
    output.assert_code(3);
    let record = ci.record();
    assert!(record.status == "failure" && record.finished_at.is_some(), "{record:?}");
    assert!(output.stderr().contains("no space left"), "{output}");
    assert!(
        output.stderr().trim_end().ends_with("delivered"),
        "DX has it, and that is what counts: {output}"
    );
}

#[test]
fn a_failed_step_without_a_place_leaves_the_run_open_for_a_green_retry() {
    let ci = Ci::new();
    let Some(volume) = volume(
        &ci,
        64,
        "a_failed_step_without_a_place_leaves_the_run_open_for_a_green_retry",
    ) else {
        return;
    };
    let spool = spool_on_full(&volume);
    let report = |arguments: &[&str]| {
        let output = ci.report(arguments.to_vec()).env("PIPEFOLD_SPOOL", &spool).run();
        output.assert_code(0);
        ci.record()
    };
    let failed = report(&["step", "--step", "test", "--status", "failure"]);
    assert_eq!((failed.status.as_str(), failed.finished_at), ("running", None));
    let wrapped = ci.report(["step", "--step", "test", "--", "false"]);
    wrapped.env("PIPEFOLD_SPOOL", &spool).run().assert_code(1);
    assert_eq!(ci.record().status, "running");
    report(&["step", "--step", "test", "--status", "success"]);
    let ended = report(&["finish", "--status", "success"]);
    assert!(ended.status == "success" && ended.finished_at.is_some(), "{ended:?}");
}

/// Fills the volume to the last byte.
fn fill_up(volume: &Mounted) -> PathBuf {
    use std::io::Write;
    let path = volume.path().join("filling");
    let mut file = fs::File::create(&path).unwrap();
    while file.write_all(&[b'x'; 512]).is_ok() {}
    path
}

/// Sets the mode of the spool and the directories in it.
fn set_modes(spool: &Path, mode: u32) {
    for path in [
        spool.to_owned(),
        spool.join("runs"),
        spool.join("rejected"),
        spool.join("aside"),
    ] {
        if path.exists() {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

#[test]
fn a_directory_that_may_not_be_written_to() {
    let ci = Ci::new();
    fs::create_dir(ci.spool()).unwrap();
    set_modes(&ci.spool(), 0o500);
    build_goes_on(&ci, "no permission", Pipefold::unprivileged);
    set_modes(&ci.spool(), 0o700);
}

#[test]
fn a_spool_that_may_not_be_written_to_any_more() {
    let ci = Ci::new();
    // A step delivers nothing, so there is no lock file yet.
    ci.report_run("earlier", ["step", "--step", "s"]).run().assert_code(0);
    set_modes(&ci.spool(), 0o500);
    build_goes_on(&ci, "no permission", Pipefold::unprivileged);
    set_modes(&ci.spool(), 0o700);
}
