//! Files in the spool that are torn, foreign or planted: reported and set aside, never followed, and no obstacle to others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pipefold_tests::{Ci, Mode, Output, SpoolContent};

/// A machine where a run of a start and a step waits, the directory of that run, and a file that no one may touch.
struct Scene {
    ci: Ci,
    run: PathBuf,
    secret: PathBuf,
}

const SECRET: &str = "a line that is nobody's business\n";

impl Scene {
    fn new() -> Self {
        let ci = Ci::new();
        ci.budgets(50, 5_000, 2_000);
        ci.dx.set_mode(Mode::RefuseConnections);
        ci.report(["start", "--started-at", "2025-01-01T11:00:00Z"])
            .run()
            .assert_code(0);
        ci.report(["step", "--step", "s", "--email", "a@example.com"])
            .run()
            .assert_code(0);
        ci.dx.set_mode(Mode::Normal);
        let content = SpoolContent::read(&ci.spool());
        assert_eq!(content.records.len(), 2);
        let run = ci.spool().join("runs").join(&content.records[0].run);
        let secret = ci.directory().join("secret");
        fs::write(&secret, SECRET).unwrap();
        Self { ci, run, secret }
    }

    /// The name of a record that does not exist.
    fn record(&self, number: u32) -> PathBuf {
        self.run.join(format!("{number:032x}.json"))
    }

    /// The bytes of a record that does.
    fn whole(&self) -> Vec<u8> {
        let mut records = fs::read_dir(&self.run).unwrap().map(|entry| entry.unwrap().path());
        fs::read(
            records
                .find(|path| path.extension().is_some_and(|end| end == "json"))
                .unwrap(),
        )
        .unwrap()
    }

    /// The run goes on to its end, and DX has all of it; so many things were set aside.
    fn ends_well(&self, aside: usize) {
        let finish = self.ci.report(["finish", "--status", "success"]).run();
        finish.assert_code(0);
        self.ended_well(aside, &finish);
    }

    /// The same, when this command was the one that found them.
    fn ended_well(&self, aside: usize, finish: &Output) {
        let record = self.ci.record();
        assert_eq!(
            (record.status.as_str(), record.get("email")),
            ("success", Some("a@example.com")),
            "{finish}"
        );
        assert_eq!(record.started_at, "2025-01-01T11:00:00Z");
        assert!(record.finished_at.is_some());

        let content = SpoolContent::read(&self.ci.spool());
        assert_eq!(content.aside.len(), aside, "{content:#?}\n{finish}");
        assert!(content.unreadable.is_empty(), "{content:#?}");
        assert_eq!(content.waiting().count(), 0, "{content:#?}");
        assert_eq!(
            finish.stderr().matches("moved to aside/").count(),
            aside,
            "each is named once: {finish}"
        );
        let status = self.ci.pipefold(["status", "--json"]).run();
        status.assert_code(0);
        for name in &content.aside {
            assert!(status.stdout().contains(name), "{name}: {status}");
        }
        let again = self.ci.pipefold(["flush", "--timeout", "10s"]).run();
        again.assert_code(0);
        assert!(!again.stderr().contains("aside/"), "and not again: {again}");
        self.nothing_leaked();
    }

    fn nothing_leaked(&self) {
        assert_eq!(
            fs::read_to_string(&self.secret).unwrap(),
            SECRET,
            "what a link points to stays as it is"
        );
        let sent: Vec<u8> = self
            .ci
            .dx
            .requests()
            .into_iter()
            .flat_map(|request| request.body)
            .collect();
        assert!(!String::from_utf8_lossy(&sent).contains("nobody's business"));
    }
}

#[test]
fn torn_records() {
    let scene = Scene::new();
    let whole = scene.whole();
    fs::write(scene.record(1), b"").unwrap();
    fs::write(scene.record(2), &whole[..whole.len() / 2]).unwrap();
    fs::write(scene.record(3), &whole[..1]).unwrap();
    fs::write(scene.record(4), vec![0; whole.len()]).unwrap();
    fs::write(scene.record(5), b"not even JSON").unwrap();
    fs::write(scene.record(6), b"{\"version\":1}").unwrap();
    fs::write(scene.record(7), vec![b'['; 300_000]).unwrap();
    scene.ends_well(7);
}

#[test]
fn foreign_files() {
    let scene = Scene::new();
    fs::write(scene.run.join("notes.txt"), "hello").unwrap();
    fs::write(scene.run.join("\u{1b}[31m.json"), "{}").unwrap();
    fs::write(scene.run.join("deadbeef.json"), scene.whole()).unwrap();
    fs::create_dir(scene.record(1)).unwrap();
    fs::write(scene.record(1).join("inside"), "x").unwrap();
    fs::create_dir(scene.run.join("directory")).unwrap();
    scene.ends_well(5);
}

#[test]
fn a_record_of_another_run() {
    let scene = Scene::new();
    let mut record: serde_json::Value = serde_json::from_slice(&scene.whole()).unwrap();
    record["notification"]["reference_id"] = "another".into();
    fs::write(scene.record(1), record.to_string()).unwrap();
    scene.ends_well(1);
    assert!(!scene.ci.dx.records().contains_key("another"));
}

#[test]
fn a_record_of_a_newer_version_stays_for_the_newer_version() {
    let scene = Scene::new();
    fs::write(scene.record(1), b"{\"version\":4,\"new\":[]}").unwrap();
    // A minute to deliver in: it must not be spent on waiting for what will not change.
    scene.ci.budgets(50, 60_000, 2_000);
    let finish = scene.ci.report(["finish", "--status", "success"]).run();
    finish.assert_code(0).assert_within(Duration::from_secs(20));
    insta::assert_snapshot!("newer_record", scene.ci.neutral(&finish.stderr()));
    assert_eq!(scene.ci.record().status, "success");
    assert!(scene.record(1).exists());
}

#[test]
fn things_beside_the_runs() {
    let scene = Scene::new();
    scene.ci.report(["finish", "--status", "success"]).run().assert_code(0);
    let runs = scene.ci.spool().join("runs");
    fs::write(runs.join("README"), "hello").unwrap();
    fs::create_dir(runs.join("not-a-run")).unwrap();
    fs::write(
        runs.join("00000000000000000000000000000000"),
        "a file with a run's name",
    )
    .unwrap();
    symlink(scene.ci.directory(), runs.join("ffffffffffffffffffffffffffffffff")).unwrap();
    symlink(&scene.secret, runs.join("link")).unwrap();
    // Housekeeping finds these; a flush does it each time.
    let flush = scene.ci.pipefold(["flush", "--timeout", "10s"]).run();
    flush.assert_code(0);
    scene.ended_well(5, &flush);
    assert!(scene.secret.exists(), "what a link points to was not moved");
}

#[test]
fn planted_links_to_a_file() {
    let scene = Scene::new();
    for name in [
        "sent",
        "trouble.json",
        "readme",
        ".tmp-00000000000000000000000000000000",
    ] {
        fs::remove_file(scene.run.join(name)).ok();
        symlink(&scene.secret, scene.run.join(name)).unwrap();
    }
    symlink(&scene.secret, scene.record(1)).unwrap();
    scene.ends_well(5);
    let lock = scene.ci.spool().join("drain.lock");
    fs::remove_file(&lock).unwrap();
    symlink(&scene.secret, &lock).unwrap();
    scene.ci.report_run("next", ["finish"]).run().assert_code(0);
    assert!(scene.ci.record_of("next").finished_at.is_some());
    scene.nothing_leaked();
}

#[test]
fn a_link_to_a_good_record_elsewhere_is_no_record() {
    let scene = Scene::new();
    let mut record: serde_json::Value = serde_json::from_slice(&scene.whole()).unwrap();
    record["notification"]["email"] = "z@example.com".into();
    let elsewhere = scene.ci.directory().join("elsewhere.json");
    fs::write(&elsewhere, record.to_string()).unwrap();
    symlink(&elsewhere, scene.record(1)).unwrap();
    scene.ends_well(1);
}

#[test]
fn a_link_where_a_run_belongs() {
    let scene = Scene::new();
    let elsewhere = scene.ci.directory().join("elsewhere");
    fs::rename(&scene.run, &elsewhere).unwrap();
    symlink(&elsewhere, &scene.run).unwrap();
    let before = fs::read_dir(&elsewhere).unwrap().count();
    scene.ci.report(["step", "--step", "t"]).run().assert_code(0);
    let finish = scene.ci.report(["finish", "--status", "success"]).run();
    finish.assert_code(0);
    assert_eq!(scene.ci.record().status, "success");
    assert_eq!(
        scene.ci.record().get("email"),
        None,
        "what is behind the link is not ours"
    );
    assert_eq!(
        fs::read_dir(&elsewhere).unwrap().count(),
        before,
        "nothing went through it"
    );
    assert_eq!(SpoolContent::read(&scene.ci.spool()).aside.len(), 1);
}

#[test]
fn links_where_the_spools_own_directories_belong() {
    for name in ["runs", "rejected", "aside", "done", "outlook"] {
        let ci = Ci::new();
        let elsewhere = ci.directory().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir(ci.spool()).unwrap();
        chmod_700(&ci.spool());
        symlink(&elsewhere, ci.spool().join(name)).unwrap();
        if name == "outlook" {
            ci.budgets(100, 100, 100);
            ci.dx.set_mode(Mode::InternalError);
            ci.report_run("before", ["finish"]).run().assert_code(0);
            ci.dx.set_mode(Mode::Normal);
            ci.operator("");
        }
        let output = ci.exec(["sh", "-c", "exit 3"]).run();
        output.assert_code(3);
        // Hints alone are done without, and without a message.
        assert!(
            output.stderr().contains(name) || ["done", "outlook"].contains(&name),
            "{output}"
        );
        assert!(ci.record().finished_at.is_some(), "{name}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_pipe_without_a_writer_blocks_nothing() {
    let scene = Scene::new();
    for path in [scene.record(1), scene.run.join("sent")] {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
    scene.ends_well(2);
}

#[test]
fn a_torn_list_of_what_was_sent_means_sending_again() {
    // What a crash of the machine cuts short is no wonder, and not set aside.
    for (torn, aside) in [
        (&b""[..], 0),
        (b"00", 0),
        (b"zz\n", 1),
        (b"\xff\n", 1),
        (&[b'0'; 2 << 20], 1),
    ] {
        let scene = Scene::new();
        scene.ci.pipefold(["flush", "--timeout", "10s"]).run().assert_code(0);
        assert_eq!(scene.ci.dx.requests().len(), 1, "the start");
        fs::write(scene.run.join("sent"), torn).unwrap();
        scene.ends_well(aside);
    }
}

fn chmod_700(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}
