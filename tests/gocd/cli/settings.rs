//! Settings of `gocd sync` by flags, variables and files.

use gocd_standin::{Access, Generation};
use pipefold_tests::{Ci, workspace_root};
use serde_json::json;

use super::{gocd, names, pipelines, summary, sync};

#[test]
fn only_some_pipelines_and_only_since_then() {
    let (ci, gocd) = (Ci::new(), gocd(4, 4, Generation::Old));
    let one = &pipelines(&gocd)[0];
    sync(&ci, &gocd, &["--pipelines", one]).run().assert_code(0);
    let prefix = format!("gocd/127.0.0.1/{one}/");
    assert!(
        names(&ci).iter().all(|name| name.starts_with(&prefix)),
        "{:?}",
        names(&ci)
    );
    let ci = Ci::new();
    let output = sync(&ci, &gocd, &["--since", "1d", "--json"]).run();
    output.assert_code(0);
    assert_eq!((summary(&output)["runs"].clone(), names(&ci).len()), (json!(0), 0));
}

#[test]
fn a_pattern_that_fits_no_pipeline_is_an_error() {
    let (ci, gocd) = (Ci::new(), gocd(4, 3, Generation::Old));
    let output = sync(&ci, &gocd, &["--pipelines", "no-such-*"]).run();
    output.assert_code(1);
    let told = "no pipeline matches no-such-*: the server lists 3 that this user may view";
    assert!(output.stderr().contains(told), "{output}");
    assert!(names(&ci).is_empty());
    // The others are read all the same; any one character may be meant, and case does not count.
    let one = pipelines(&gocd).remove(0).to_uppercase();
    let one = format!("?{}", &one[1..]);
    let output = sync(&ci, &gocd, &["--pipelines", &one, "--pipelines", "wbe", "--json"]).run();
    output.assert_code(1);
    assert!(
        output.stderr().contains("warning: --pipelines wbe fits no pipeline"),
        "{output}"
    );
    assert_eq!(summary(&output)["unfitted_patterns"], json!(["wbe"]));
    assert!(!names(&ci).is_empty());
    sync(&ci, &gocd, &["--pipelines", &one]).run().assert_code(0);
}

#[test]
fn servers_of_the_file_are_called_by_name() {
    let (ci, one, other) = (Ci::new(), gocd(5, 1, Generation::Old), gocd(6, 1, Generation::New));
    ci.operator(&format!(
        "[[gocd.server]]\nname = 'one'\nurl = '{}'\nserver_id = 'first'\n[[gocd.server]]\nname = 'other'\nurl = '{}'\n",
        one.url(),
        other.url()
    ));
    ci.pipefold(["gocd", "sync", "one"]).run().assert_code(0);
    assert!(!names(&ci).is_empty() && names(&ci).iter().all(|name| name.starts_with("gocd/first/")));
    assert_eq!(other.requests(), 0);
    for (arguments, told) in [
        (
            &["gocd", "sync"] as &[&str],
            "which GoCD server? The configuration has one, other",
        ),
        (
            &["gocd", "sync", "third"],
            "there is no GoCD server \"third\": the configuration has one, other",
        ),
    ] {
        let output = ci.pipefold(arguments.iter().copied()).run();
        output.assert_code(1);
        assert!(output.stderr().contains(told), "{output}");
    }
    ci.operator("");
    let output = ci.pipefold(["gocd", "sync"]).run();
    output.assert_code(1);
    insta::assert_snapshot!("no_server_named", ci.neutral(&output.stderr()));
    let by_variable = ci.pipefold(["gocd", "sync"]).env("PIPEFOLD_GOCD_URL", other.url());
    by_variable.run().assert_code(0);
    assert!(other.requests() > 0);
}

#[test]
fn the_only_server_is_called_as_jobs_here_call_it() {
    let (ci, gocd) = (Ci::new(), gocd(17, 1, Generation::New));
    let server = |name: &str| format!("[[gocd.server]]\nname = '{name}'\nurl = '{}'\n", gocd.url());
    ci.operator(&format!("[gocd]\nserver_id = 'ours'\n{}", server("one")));
    ci.pipefold(["gocd", "sync"]).run().assert_code(0);
    assert!(
        names(&ci).iter().all(|name| name.starts_with("gocd/ours/")),
        "{:?}",
        names(&ci)
    );
    let ci = Ci::new();
    ci.operator(&format!(
        "[gocd]\nserver_id = 'ours'\n{}{}",
        server("one"),
        server("two")
    ));
    ci.pipefold(["gocd", "sync", "two"]).run().assert_code(0);
    assert!(
        names(&ci).iter().all(|name| name.starts_with("gocd/127.0.0.1/")),
        "{:?}",
        names(&ci)
    );
}

#[test]
fn credentials_come_from_files_and_variables_and_show_nowhere() {
    let (ci, gocd) = (Ci::new(), gocd(7, 1, Generation::New));
    let secret = "s3cret-Passw0rd";
    let file = ci.directory().join("password");
    std::fs::write(&file, format!("{secret}\n")).unwrap();
    let file = file.to_str().unwrap();
    gocd.set_access(Access::basic("reader", secret));
    let mut said = Vec::new();
    for command in [
        sync(&ci, &gocd, &["--user", "reader", "--password-file", file]),
        sync(&ci, &gocd, &["--user", "reader"]).env("GOCD_PASSWORD", secret),
    ] {
        let output = command.run();
        output.assert_code(0);
        said.push(format!("{output}"));
    }
    gocd.set_access(Access::bearer(secret));
    for command in [
        sync(&ci, &gocd, &["--access-token-file", file]),
        sync(&ci, &gocd, &["-vvv"]).env("GOCD_ACCESS_TOKEN", secret),
    ] {
        let output = command.run();
        output.assert_code(0);
        said.push(format!("{output}"));
    }
    let refused = sync(&ci, &gocd, &["-vvv", "--user", "reader"])
        .env("GOCD_PASSWORD", secret)
        .run();
    refused.assert_code(1);
    assert!(
        refused.stderr().contains("does not accept the user name and password"),
        "{refused}"
    );
    said.push(format!("{refused}"));
    assert!(said.iter().all(|text| !text.contains(secret)), "{said:?}");
    for (path, content) in Ci::files(&ci.spool()) {
        let holds = content.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!holds, "{}", path.display());
    }
    for arguments in [["--password", secret], ["--access-token", secret]] {
        let output = sync(&ci, &gocd, &arguments).run();
        output.assert_code(2);
        let told = output.stderr();
        assert!(
            told.contains("is never an argument") && !told.contains(secret),
            "{output}"
        );
    }
    for (variables, told) in [
        (&[("GOCD_PASSWORD", secret)] as &[(&str, &str)], "no user"),
        (&[], "requires some"),
    ] {
        let command = variables.iter().fold(sync(&ci, &gocd, &[]), |command, (name, value)| {
            command.env(name, *value)
        });
        let output = command.run();
        output.assert_code(1);
        assert!(output.stderr().contains(told), "{output}");
    }
}

/// The settings that the guide and the example show are settings: what is missing is the secret's file.
#[test]
fn the_files_that_are_shown_can_be_used() {
    let ci = Ci::new();
    let read = |path: &str| std::fs::read_to_string(workspace_root().join(path)).unwrap();
    let guide = read("docs/gocd.md");
    let shown = guide
        .split("```toml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap()
        .to_owned();
    for file in [shown, read("examples/gocd/pipefold.toml")] {
        ci.operator(&file);
        let output = ci.pipefold(["gocd", "sync", "main", "--dry-run"]).run();
        output.assert_code(1);
        let told = output.stderr();
        assert!(
            told.starts_with("pipefold: could not read the file ") && told.contains("gocd-token"),
            "{output}"
        );
    }
}
