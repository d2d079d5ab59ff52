//! The key of a hash is in its file, and nowhere else.

use super::{FIELDS, exec, machine, policy};
use pipefold_tests::{Ci, Mode, Output};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The key in two halves, so that a part of it is found as well.
const HALVES: [&str; 2] = ["k3yOfTheH4sh", "Pq7vB2nR9wZt"];

const RULES: &str = r#"{ hash = ["email", "github_username"], key = "secret/hash.key" },"#;

fn has_key(bytes: &[u8]) -> bool {
    let contains = |part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    // In base64 too, at each of the three alignments.
    const BASE64: [&str; 3] = ["azN5T2ZUaGVINHNo", "M3lPZlRoZUg0c2", "rM3lPZlRoZUg0c2"];
    HALVES.iter().chain(&BASE64).any(|part| contains(part))
}

/// A machine with the key, in a directory of its own.
fn keeping(rules: &str) -> Ci {
    let ci = machine(&policy(rules));
    let secret = ci.directory().join("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("hash.key"), HALVES.concat() + "\n").unwrap();
    ci
}

/// Checks output, files and requests.
fn check(ci: &Ci, outputs: &[Output]) {
    for output in outputs {
        assert!(!has_key(&output.stdout) && !has_key(&output.stderr), "{output}");
    }
    for (path, content) in Ci::files(ci.directory()) {
        let is_the_keys = path.starts_with(ci.directory().join("secret"));
        assert!(is_the_keys || !has_key(&content), "in {}", path.display());
    }
    for request in ci.dx.requests() {
        assert!(!has_key(&request.body) && !has_key(format!("{:?}", request.headers).as_bytes()));
    }
}

/// Every command that knows the policies, as talkative as they can be.
fn all_commands(ci: &Ci) -> Vec<Output> {
    let export = ci.directory().join("export.json").display().to_string();
    let script = [
        "exec",
        "-vvv",
        "--",
        "sh",
        "-c",
        "env; tr '\\0' '\\n' </proc/self/environ",
    ];
    let commands: [&[&str]; 8] = [
        &["start", "-vvv"],
        &["step", "--step", "a", "--now", "-vvv"],
        &script,
        &["finish", "--status", "success", "-vvv"],
        &["finish", "--status", "success", "--dry-run", "--json"],
        &["start", "--started-at", "yesterday", "--strict", "-vvv"],
        &["doctor", "-vvv"],
        &["doctor", "--json"],
    ];
    let reports = commands.map(|arguments| {
        let (command, rest) = arguments.split_first().unwrap();
        ci.report([&[*command][..], &FIELDS, rest].concat()).run()
    });
    let bare: [&[&str]; 4] = [
        &["status", "-vvv"],
        &["status", "--json"],
        &["flush", "--timeout", "300ms", "-vvv"],
        &["flush", "--export", &export],
    ];
    let bare = bare.map(|arguments| ci.pipefold(arguments.iter().copied()).run());
    reports.into_iter().chain(bare).collect()
}

#[test]
fn it_is_found_nowhere_else() {
    for mode in [Mode::Normal, Mode::RefuseConnections] {
        let ci = keeping(RULES);
        let budgets = "[budgets]\nstart = \"300ms\"\nfinish = \"600ms\"\nstop = \"300ms\"\n";
        ci.operator(&(policy(RULES) + budgets));
        ci.dx.set_mode(mode);
        let outputs = all_commands(&ci);
        check(&ci, &outputs);
        for request in ci.dx.requests() {
            let body = String::from_utf8_lossy(&request.body).to_lowercase();
            assert!(!body.contains("mona"), "{body}");
        }
    }
}

#[test]
fn nor_is_it_in_errors() {
    for rules in [
        // Faults of the rule with the key, and of the ones around it.
        r#"{ hash = "email", key = "secret/hash.key", is = "x" },"#,
        r#"{ hash = "emial", key = "secret/hash.key" },"#,
        r#"{ drop = "emial" }, { hash = "email", key = "secret/hash.key" },"#,
        r#"{ map = "email", file = "secret/hash.key" },"#,
        r#"{ hash = "email", key = "secret/long.key" },"#,
        r#"{ hash = "email", key = "secret/open.key" },"#,
    ] {
        let ci = keeping(rules);
        let secret = ci.directory().join("secret");
        fs::write(secret.join("long.key"), HALVES.concat().repeat(100)).unwrap();
        fs::write(secret.join("open.key"), HALVES.concat()).unwrap();
        fs::set_permissions(secret.join("open.key"), fs::Permissions::from_mode(0o666)).unwrap();
        let outputs = all_commands(&ci);
        check(&ci, &outputs);
        assert!(
            ci.dx.requests().iter().all(|request| request.method != "POST"),
            "{rules}"
        );
        exec(&ci, "r", &FIELDS).run().assert_code(0);
    }
}
