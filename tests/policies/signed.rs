//! A policy whose table has `key` is used only with a valid signature beside it, by every command and also from the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::place::{EMAIL, SECRET, assert_nowhere, redact};
use pipefold_tests::{Ci, Collector, Output, SpoolContent, skipped, workspace_root};
use serde_json::{Value, json};

const EMAILS: &[u8] = include_bytes!("signed/emails.wasm");
const EMAILS_SIGNED: &[u8] = include_bytes!("signed/emails.wasm.minisig");
const EMAILS_BY_OTHER: &[u8] = include_bytes!("signed/emails.by-other.minisig");
const BRANCHES: &[u8] = include_bytes!("signed/branches.wasm");
const BRANCHES_SIGNED: &[u8] = include_bytes!("signed/branches.wasm.minisig");
const KEY_FILE: &str = include_str!("signed/key.pub");

/// The line of the key.
fn key() -> &'static str {
    KEY_FILE.lines().last().unwrap()
}

/// The id of the key, as minisign writes it into the file.
fn key_id() -> &'static str {
    KEY_FILE.lines().next().unwrap().rsplit(' ').next().unwrap()
}

/// A machine whose operator's file demands a signed policy.
struct Place(Ci);

impl Place {
    fn new() -> Self {
        let place = Self(Ci::new());
        place.demand(key());
        place.put(EMAILS, Some(EMAILS_SIGNED));
        place
    }

    /// Writes the operator's file with this key.
    fn demand(&self, key: &str) {
        let budgets = "[budgets]\nstart = \"300ms\"\nfinish = \"600ms\"\nstop = \"300ms\"\n";
        self.0.operator(&format!(
            "[[policy]]\nfile = \"redact.wasm\"\nkey = {key:?}\n\n{budgets}"
        ));
    }

    /// Puts a component in place, with its signature or without.
    fn put(&self, component: &[u8], signature: Option<&[u8]>) {
        fs::write(self.file(), component).unwrap();
        let beside = self.0.directory().join("redact.wasm.minisig");
        match signature {
            Some(signature) => fs::write(beside, signature).unwrap(),
            None => drop(fs::remove_file(beside)),
        }
    }

    fn file(&self) -> PathBuf {
        self.0.directory().join("redact.wasm")
    }

    /// `exec` of a run with something to take out.
    fn exec(&self, run: &str) -> Output {
        let words = ["exec", "-v", "--email", SECRET, "--head-branch", "hidden", "--", "true"];
        let output = self.0.report_run(run, words).run();
        output.assert_code(0);
        output
    }

    /// Asserts that a run was recorded and that DX knows nothing of it.
    fn assert_kept(&self, run: &str, output: &Output) {
        assert!(!self.0.dx.records().contains_key(run), "{output}");
        let content = SpoolContent::read(&self.0.spool());
        assert!(
            content.waiting().any(|record| record.field("reference_id") == run),
            "{output}"
        );
        assert_nowhere(&self.0, SECRET);
    }

    fn verify(&self, more: &[&str]) -> Output {
        let file = self.file().display().to_string();
        self.0.pipefold([&["policy", "verify", &file][..], more].concat()).run()
    }
}

/// What a command wrote, without the line breaks of a narrow terminal.
fn in_one_line(output: &Output) -> String {
    let all = output.stdout() + &output.stderr();
    all.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A title, a component, its signature, and the words of the error after the file's name.
type Bad = (&'static str, Vec<u8>, Option<Vec<u8>>, &'static str);

/// Files that are not what the key signed.
fn bad() -> Vec<Bad> {
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    // The first character of the second line is the algorithm's, the twentieth the signature's own.
    let in_the_signature = EMAILS_SIGNED.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    let signed = || Some(EMAILS_SIGNED.to_vec());
    let changed = ": not what key ";
    vec![
        ("no signature", EMAILS.into(), None, ".minisig is missing"),
        (
            "another key",
            EMAILS.into(),
            Some(EMAILS_BY_OTHER.into()),
            ": signed by key ",
        ),
        ("another file's", EMAILS.into(), Some(BRANCHES_SIGNED.into()), changed),
        ("another file", BRANCHES.into(), signed(), changed),
        ("a flipped bit", flipped(EMAILS, EMAILS.len() / 2), signed(), changed),
        ("cut off", EMAILS[..EMAILS.len() - 1].into(), signed(), changed),
        ("a byte more", [EMAILS, b"\0"].concat(), signed(), changed),
        (
            "a flipped bit of the signature",
            EMAILS.into(),
            Some(flipped(EMAILS_SIGNED, in_the_signature)),
            changed,
        ),
        (
            "a cut signature",
            EMAILS.into(),
            Some(EMAILS_SIGNED[..150].into()),
            ".minisig: this is no signature",
        ),
        (
            "an empty signature",
            EMAILS.into(),
            Some(Vec::new()),
            ".minisig: this is no signature",
        ),
    ]
}

#[test]
fn the_fixtures_are_policies_of_these_tests() {
    assert!(
        EMAILS == redact(EMAIL),
        "made by an older wit-component: see signed/README.md"
    );
}

#[test]
fn a_signed_policy_is_used_whichever_way_the_key_is_named() {
    let place = Place::new();
    fs::write(place.0.directory().join("redact.pub"), KEY_FILE).unwrap();
    fs::write(place.0.directory().join("bare.pub"), key()).unwrap();
    for (index, name) in [key(), "redact.pub", "bare.pub"].into_iter().enumerate() {
        place.demand(name);
        place.exec(&format!("run-{index}"));
        let record = place.0.record_of(&format!("run-{index}"));
        assert_eq!(
            (record.status.as_str(), record.get("email")),
            ("success", None),
            "{name}"
        );
    }
    let doctor = place.0.pipefold(["doctor"]).run();
    let words = format!("no grants, closed on failure, signed by {}, sha256:", key_id());
    assert!(in_one_line(&doctor).contains(&words), "{doctor}");
    assert_nowhere(&place.0, SECRET);
}

#[test]
fn nothing_is_sent_without_a_valid_signature() {
    for (what, component, signature, words) in bad() {
        let place = Place::new();
        place.put(&component, signature.as_deref());
        let words = format!("{}{words}", place.file().display());
        let output = place.exec("run-1");
        assert!(output.stderr().contains(&words), "{what}: {output}");
        place.assert_kept("run-1", &output);
        for command in [&["hook", "start"][..], &["doctor"], &["flush"]] {
            let output = place.0.pipefold(command.iter().copied()).stdin("{}").run();
            assert!(in_one_line(&output).contains(&words), "{what}: {command:?}: {output}");
        }
        let verified = place.verify(&["--key", key()]);
        verified.assert_code(1);
        assert!(
            verified.stdout().is_empty() && verified.stderr().contains(&words),
            "{what}: {verified}"
        );

        // Mended, the same bytes are the same policy. Other bytes are another one, which the operator has to name in its place.
        place.put(EMAILS, Some(EMAILS_SIGNED));
        place.0.pipefold(["flush"]).run().assert_code(0);
        if component != EMAILS {
            place.assert_kept("run-1", &output);
            place.0.pipefold(["flush", "--rejudge"]).run().assert_code(0);
        }
        let record = place.0.record_of("run-1");
        assert_eq!(
            (record.status.as_str(), record.get("email")),
            ("success", None),
            "{what}"
        );
        assert_nowhere(&place.0, SECRET);
    }
}

#[test]
fn code_in_the_cache_needs_the_signature_as_well() {
    let place = Place::new();
    place.exec("run-1");
    assert_eq!(place.0.record_of("run-1").get("email"), None);

    // The code of the same file is in the cache, and its signature is gone.
    place.put(EMAILS, None);
    place.assert_kept("run-2", &place.exec("run-2"));

    // So is the code of another file.
    place.put(BRANCHES, Some(EMAILS_SIGNED));
    let file = place.file().display().to_string();
    place.0.pipefold(["component", "compile", &file]).run().assert_code(0);
    let output = place.exec("run-3");
    assert!(output.stderr().contains("redact.wasm: not what key "), "{output}");
    place.assert_kept("run-3", &output);

    // A new version with its own signature is verified and used, and not the old one's code.
    place.put(BRANCHES, Some(BRANCHES_SIGNED));
    place.exec("run-4");
    let record = place.0.record_of("run-4");
    assert_eq!((record.get("head_branch"), record.get("email")), (None, Some(SECRET)));
}

#[test]
fn a_key_that_cannot_be_read_lets_nothing_through() {
    let place = Place::new();
    place.demand("absent.pub");
    let output = place.exec("run-1");
    assert!(output.stderr().contains("absent.pub: No such file"), "{output}");
    place.assert_kept("run-1", &output);
    for (wrong, words) in [
        ("", "this is no minisign public key"),
        (&key()[..55], "this is no minisign public key"),
    ] {
        place.demand(wrong);
        let output = place.exec("run-2");
        assert!(output.stderr().contains("operator.toml:3: `policy.key`: "), "{output}");
        assert!(output.stderr().contains(words), "{output}");
        assert!(!place.0.dx.records().contains_key("run-2"), "{output}");
    }
    assert_nowhere(&place.0, SECRET);
}

/// Starts a collector with the operator's file.
fn serve(place: &Place) -> Result<Collector, pipefold_tests::Ended> {
    let file = place.0.operator_file().display().to_string();
    let cache = place.0.directory().join("cache").display().to_string();
    let data = place.0.directory().join("data");
    Collector::try_start(&data, &["--config", &file, "--policy-cache", &cache])
}

/// Reports a run to a collector.
fn report(collector: &Collector, run: &str) -> u16 {
    let arguments = json!({
        "pipeline_name": "web", "pipeline_source": "tests", "reference_id": run, "started_at": "2025-01-01T12:05:00Z", "email": SECRET,
    });
    collector.client().upsert(&arguments).unwrap().status
}

#[test]
fn a_collector_takes_nothing_without_a_valid_signature() {
    let place = Place::new();
    let collector = serve(&place).unwrap();
    assert_eq!(report(&collector, "run-1"), 200);
    drop(collector.stop());
    for (what, component, signature, words) in bad() {
        place.put(&component, signature.as_deref());
        match serve(&place) {
            Ok(collector) => {
                assert_eq!(report(&collector, "run-2"), 503, "{what}");
                let log = collector.stop().log;
                assert!(log.contains(words), "{what}: {log}");
            }
            Err(ended) => assert!(ended.log.contains(words), "{what}: {ended:?}"),
        }
    }
    for (path, content) in Ci::files(&place.0.directory().join("data")) {
        assert!(
            !String::from_utf8_lossy(&content).contains(SECRET),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_source_needs_its_signature_too() {
    let place = Place::new();
    let source = |key: &str| {
        place.0.operator(&format!(
            "[[source]]\nname = \"ours\"\nfile = \"redact.wasm\"\nkey = {key:?}\nscheme = \"none\"\n"
        ));
        let tested = place.0.pipefold(["source", "test", "ours"]).stdin("{}").run();
        tested.assert_code(1);
        let Err(ended) = serve(&place) else { panic!("it serves") };
        (tested.stderr(), ended.log)
    };
    let both = |(one, other): (String, String), words: &str| {
        assert!(one.contains(words) && other.contains(words), "{words}: {one} {other}");
    };
    // It is signed, and then it is no source.
    both(source(key()), "it does not load: it imports ");
    place.put(EMAILS, Some(BRANCHES_SIGNED));
    both(source(key()), "redact.wasm: not what key ");
    place.put(EMAILS, None);
    both(source(key()), "redact.wasm.minisig is missing");
    // A user took the key for that of the webhook.
    let (one, other) = source("sesame-of-the-webhook");
    assert!(!one.contains("sesame") && !other.contains("sesame"), "{one} {other}");
    both((one, other), "`secret_file`");
}

#[test]
fn verifying_shows_what_is_pinned_and_who_signed() {
    let place = Place::new();
    let found = place.verify(&["--key", key(), "--json"]).json();
    let sha256 = found["sha256"].as_str().unwrap().to_owned();
    let file = place.file().display().to_string();
    assert_eq!(
        found,
        json!({ "file": file, "sha256": sha256, "key": key_id(), "comment": "redact 1.0.0" })
    );
    let inspected: Value = place.0.pipefold(["component", "inspect", &file, "--json"]).run().json();
    assert_eq!(inspected["sha256"], sha256);

    fs::write(place.0.workspace().join("key.pub"), KEY_FILE).unwrap();
    let people = place.verify(&["--key", "key.pub"]);
    people.assert_code(0);
    assert_eq!(
        people.stdout(),
        format!(
            "{file}@sha256:{sha256}\nkey       {}\ncomment   redact 1.0.0\n",
            key_id()
        )
    );
    let pinned = |digest: &str| {
        let file = format!("{file}@sha256:{digest}");
        place.0.pipefold(["policy", "verify", &file, "--key", key()]).run()
    };
    pinned(&sha256).assert_code(0);
    pinned(&"0".repeat(64)).assert_code(1);

    let secret = format!("RWRTY0Iy{}", "A".repeat(204));
    let output = place.verify(&["--key", &secret]);
    output.assert_code(1);
    assert!(
        !output.stderr().contains("RWRTY0Iy") && output.stderr().contains("secret key"),
        "{output}"
    );
}

/// Runs minisign, which answers with its version where it is installed.
fn minisign(directory: &Path, arguments: &[&str]) -> Option<std::process::Output> {
    let run = Command::new("minisign").args(arguments).current_dir(directory).output();
    run.ok()
        .inspect(|output| assert!(output.status.success(), "{output:?}"))
}

#[test]
fn what_minisign_signs_is_valid() {
    let place = Place::new();
    let directory = place.0.directory();
    if minisign(directory, &["-v"]).is_none() {
        return skipped("what_minisign_signs_is_valid", "there is no minisign");
    }
    minisign(directory, &["-GW", "-p", "ours.pub", "-s", "ours.key"]);
    // Foreign text of the one who signs, which a terminal and a CI system would obey.
    let comment = "ours \u{1b}[31m ##vso[task] \u{202e}";
    minisign(
        directory,
        &["-SW", "-s", "ours.key", "-m", "redact.wasm", "-t", comment],
    );
    let ours = directory.join("ours.pub").display().to_string();
    let people = place.verify(&["--key", &ours]);
    people.assert_code(0);
    assert!(
        people
            .stdout()
            .ends_with("comment   ours \\u{1b}[31m # #vso[task] \\u{202e}\n"),
        "{people}"
    );
    let found = place.verify(&["--key", &ours, "--json"]);
    assert_eq!(found.json()["comment"], comment);
    assert!(
        !found.stdout().contains(['\u{1b}', '\u{202e}']) && !found.stdout().contains("##"),
        "{found}"
    );
    place.demand("ours.pub");
    place.exec("run-1");
    assert_eq!(place.0.record_of("run-1").get("email"), None);

    // The built-in sources as a component of the operator's own.
    fs::copy(
        workspace_root().join("host/sandbox/component/sources.wasm"),
        directory.join("sources.wasm"),
    )
    .unwrap();
    minisign(directory, &["-SW", "-s", "ours.key", "-m", "sources.wasm"]);
    place
        .0
        .operator("[[source]]\nname = \"ours\"\nfile = \"sources.wasm\"\nkey = \"ours.pub\"\n");
    let tested = place.0.pipefold(["source", "test", "ours", "--setting", "use=github"]);
    assert!(tested.stdin("{}").run().json()["ignored"].is_string());
}
