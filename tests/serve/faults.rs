//! A collector whose disk or database fails.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pipefold_tests::Ended;
use pipefold_tests::http::Answer;
use pipefold_tests::{Collector, Mounted, eventually, skipped};
use serde_json::{Value, json};

fn upsert(collector: &Collector, reference_id: &str) -> Answer {
    let arguments = json!({
        "pipeline_name": "p", "pipeline_source": "tests", "reference_id": reference_id, "started_at": "2025-01-01T12:05:00",
        "repository": "o/r", "source_url": format!("https://ci.example/{}", "x".repeat(1000)),
    });
    collector.client().upsert(&arguments).unwrap()
}

/// The `reference_id`s of all runs, of which there are at most 200.
fn names(collector: &Collector) -> Vec<String> {
    let answer = collector.client().get("/api/runs?limit=200");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["next"], Value::Null);
    let runs = json["runs"].as_array().unwrap();
    let mut names: Vec<String> = runs
        .iter()
        .map(|run| run["record"]["reference_id"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Checks that an answer blames the server and not the sender.
fn assert_unavailable(answer: &Answer) {
    let json = answer.json();
    assert_eq!((answer.status, &json["ok"]), (503, &json!(false)), "{}", answer.text());
    assert_eq!(json["error"], "service_unavailable");
    assert!(answer.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    // The place of its files is not shown to clients.
    assert!(!answer.text().contains("pipefold.sqlite"), "{}", answer.text());
}

/// Fills the volume to the last byte.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// Waits for these words in the collector's log: it may answer first.
fn logs(collector: &Collector, words: &str) {
    eventually(words, || collector.log().contains(words));
}

#[test]
fn a_full_disk_refuses_keeps_what_it_has_and_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let disk = match Mounted::tmpfs(dir.path().join("disk"), 2048) {
        Ok(disk) => disk,
        Err(why) => return skipped("a_full_disk_refuses_keeps_what_it_has_and_recovers_by_itself", &why),
    };
    let (data, ballast) = (disk.path().join("data"), disk.path().join("ballast"));
    let mut collector = Collector::start(&data);
    let mut accepted = vec!["before".to_owned()];
    assert_eq!(upsert(&collector, "before").status, 200);
    fill(&ballast);
    let mut refused = 0;
    for number in 0..150 {
        let name = format!("during-{number}");
        let answer = upsert(&collector, &name);
        if answer.status == 200 {
            accepted.push(name);
        } else {
            assert_unavailable(&answer);
            refused += 1;
        }
    }
    assert!(refused > 0, "the disk was not full");
    accepted.sort();
    assert_eq!(
        names(&collector),
        accepted,
        "reading goes on, and shows nothing of what was refused"
    );
    assert_eq!(collector.client().get("/").status, 200);
    logs(&collector, "is full");
    let mut client = collector.client();
    assert_eq!(client.get("/healthz").status, 200, "it lives");
    assert_eq!(client.get("/readyz").status, 503, "and can keep nothing");
    let probed = || {
        let mut probe = Command::new(pipefold_tests::binary("pipefold"));
        probe.args(["serve", "--probe", "--listen", &collector.address.to_string()]);
        probe.env_clear().output().unwrap()
    };
    let ended = probed();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        String::from_utf8_lossy(&ended.stderr).contains("cannot keep reports"),
        "{ended:?}"
    );

    // One that has to start again meanwhile still shows what there is.
    collector.kill();
    let mut collector = collector.again();
    assert_eq!(names(&collector), accepted);
    assert_unavailable(&upsert(&collector, "refused"));

    fs::remove_file(&ballast).unwrap();
    assert_eq!(upsert(&collector, "after").status, 200);
    eventually("it is ready again", || collector.client().get("/readyz").status == 200);
    accepted.push("after".to_owned());
    accepted.sort();
    let counters = collector.client().get("/api/runs?text=after").json();
    assert_eq!(
        counters["runs"][0]["counter"],
        accepted.len(),
        "what was refused took no number"
    );
    collector.kill();
    assert_eq!(names(&collector.again()), accepted);
}

#[test]
fn a_full_or_read_only_disk_is_no_place_to_begin() {
    let dir = tempfile::tempdir().unwrap();
    let disk = match Mounted::tmpfs(dir.path().join("disk"), 1024) {
        Ok(disk) => disk,
        Err(why) => {
            return skipped("a_full_or_read_only_disk_is_no_place_to_begin", &why);
        }
    };
    let data = disk.path().join("data");
    Collector::start(&data).stop();
    let before = content(&data);
    disk.read_only(true);
    let ended = refuses(&data);
    assert!(
        ended.log.contains("Read-only file system") || ended.log.contains("readonly"),
        "{}",
        ended.log
    );
    disk.read_only(false);
    assert_eq!(content(&data), before);

    fs::remove_dir_all(&data).unwrap();
    let ballast = disk.path().join("ballast");
    fill(&ballast);
    let ended = refuses(&data);
    assert!(
        ended.log.contains("full") && ended.log.contains("make room"),
        "{}",
        ended.log
    );
    fs::remove_file(&ballast).unwrap();
    let collector = Collector::start(&data);
    assert_eq!(upsert(&collector, "after").status, 200);
}

/// The end of a collector that must not start.
fn refuses(data: &Path) -> Ended {
    match Collector::try_start(data, &[] as &[&str]) {
        Ok(collector) => panic!("it started all the same, at {}", collector.url),
        Err(ended) => {
            assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
            assert!(
                !ended.log.contains("panicked") && ended.log.contains(&*data.to_string_lossy()),
                "{}",
                ended.log
            );
            ended
        }
    }
}

/// Every file of a data directory but the lock, which has no content.
fn content(data: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .collect()
}

#[test]
fn what_cannot_be_used_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let sound = dir.path().join("sound");
    let collector = Collector::start(&sound);
    for number in 0..100 {
        assert_eq!(upsert(&collector, &format!("run-{number}")).status, 200);
    }
    collector.stop();
    let database = fs::read(sound.join("pipefold.sqlite")).unwrap();
    assert!(database.len() > 40 * 4096, "{}", database.len());

    let newer = {
        let mut bytes = database.clone();
        // The user version, as SQLite's file format calls it (section 1.3.13): the number of the schema.
        bytes[60..64].copy_from_slice(&4711_u32.to_be_bytes());
        bytes
    };
    let torn = {
        let mut bytes = database.clone();
        // The root of the first table is in its second page, or the one after.
        bytes[4096..3 * 4096].fill(0xff);
        bytes
    };
    let other = b"SQLite format 3\0, says this text, which is no database. It goes on for a while.".repeat(100);
    let foreign = "#!/bin/sh\necho this is somebody's file\n".repeat(1000).into_bytes();
    let cases = [
        ("newer", newer, ["newer pipefold", "4711"]),
        ("torn", torn, ["pipefold.sqlite", "backup"]),
        (
            "cut",
            database[..database.len() / 2].to_vec(),
            ["pipefold.sqlite", "backup"],
        ),
        ("other", other, ["is not a database of pipefold", "was left as it is"]),
        (
            "foreign",
            foreign,
            ["is not a database of pipefold", "was left as it is"],
        ),
    ];
    for (name, bytes, words) in cases {
        let data = dir.path().join(name);
        make_private(&data);
        fs::write(data.join("pipefold.sqlite"), &bytes).unwrap();
        let ended = refuses(&data);
        for word in words {
            assert!(ended.log.contains(word), "{name}: {}", ended.log);
        }
        assert!(
            fs::read(data.join("pipefold.sqlite")).unwrap() == bytes,
            "{name} was changed"
        );
        assert!(!data.join("pipefold.sqlite-journal").exists(), "{name}");
    }
    // The one that they were made of is good.
    assert_eq!(names(&Collector::start(&sound)).len(), 100);
}

fn make_private(path: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

#[test]
fn a_second_collector_leaves_the_first_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let first = Collector::start(dir.path());
    assert_eq!(upsert(&first, "a").status, 200);
    let ended = refuses(dir.path());
    assert!(
        ended.log.contains("in use") || ended.log.contains("another"),
        "{}",
        ended.log
    );
    assert_eq!(upsert(&first, "b").status, 200);
    assert_eq!(names(&first), ["a", "b"]);
    // A backup is taken beside it.
    let backup = dir.path().with_extension("backup");
    make_private(&backup);
    let taken = Command::new(pipefold_tests::binary("pipefold"))
        .args([
            "serve",
            "--data-dir",
            dir.path().as_os_str().to_str().unwrap(),
            "--backup",
        ])
        .arg(backup.join("pipefold.sqlite"))
        .env_clear()
        .output()
        .unwrap();
    assert!(taken.status.success(), "{taken:?}");
    assert_eq!(names(&Collector::start(&backup)), ["a", "b"]);
    fs::remove_dir_all(&backup).unwrap();
}

/// Another program that has the database for itself.
struct Hog(Child);

impl Hog {
    fn begin(data: &Path, how: &str) -> Option<Self> {
        let script = "import sqlite3, sys\n\
            connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            connection.execute(sys.argv[2])\n\
            connection.execute('UPDATE runs SET covered = covered')\n\
            print('taken', flush=True)\n\
            sys.stdin.read()";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .args([data.join("pipefold.sqlite").as_os_str(), how.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let hog = Self(child);
        (line == "taken\n").then_some(hog)
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_database_that_another_program_keeps_locked_is_waited_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(dir.path());
    assert_eq!(upsert(&collector, "before").status, 200);
    let Some(hog) = Hog::begin(dir.path(), "BEGIN IMMEDIATE") else {
        let why = "there is no python3 with sqlite3 to lock the database with";
        return skipped(
            "a_database_that_another_program_keeps_locked_is_waited_for_a_while",
            why,
        );
    };
    assert_unavailable(&upsert(&collector, "during"));
    logs(&collector, "is locked by another program");
    assert_eq!(names(&collector), ["before"], "reading goes on");
    drop(hog);
    assert_eq!(upsert(&collector, "after").status, 200);
    assert_eq!(names(&collector), ["after", "before"]);
    collector.stop();

    let hog = Hog::begin(dir.path(), "BEGIN EXCLUSIVE").unwrap();
    let ended = refuses(dir.path());
    assert!(ended.log.contains("is locked by another program"), "{}", ended.log);
    drop(hog);
    assert_eq!(names(&Collector::start(dir.path())), ["after", "before"]);
}
