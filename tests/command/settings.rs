//! Wrong settings: URL, token, files. Nothing is sent while the destination is not known.

use std::os::unix::fs::PermissionsExt;

use pipefold_tests::{Ci, Pipefold, Standin};

/// Runs a command twice, without and with `--strict`, and gives its words. Exit codes 0 and 2; nothing reaches DX.
fn refused(ci: &Ci, command: impl Fn() -> Pipefold) -> String {
    let lenient = command().run();
    lenient.assert_code(0);
    assert!(lenient.stderr().starts_with("pipefold: warning: "), "{lenient}");
    let strict = command().env("PIPEFOLD_STRICT", "true").run();
    strict.assert_code(2);
    assert!(ci.dx.requests().is_empty(), "{lenient}");
    ci.neutral(&lenient.stderr())
}

/// `exec` under settings that cannot be used: the command runs all the same.
fn exec_still_runs(ci: &Ci) {
    let output = ci.exec(["sh", "-c", "echo out; exit 3"]).run();
    output.assert_code(3);
    assert_eq!(output.stdout(), "out\n");
    assert!(ci.dx.requests().is_empty(), "{output}");
}

#[test]
fn addresses_that_are_none() {
    let ci = Ci::new();
    let urls = [
        "yourinstance.getdx.net",
        "http://dx.example",
        "http://10.0.0.1:8080",
        "http://localhost.dx.example",
        "ftp://dx.example",
        "https://",
        "https://dx.example:99999",
        "https://dx.example/?a=b",
        "https://user:password@dx.example",
        "not a url",
    ];
    let messages: Vec<String> = urls
        .iter()
        .map(|url| refused(&ci, || ci.report(["start", "--dx-url", url])))
        .collect();
    assert!(!messages.concat().contains("password@"));
    insta::assert_snapshot!("urls", messages.concat());
    let output = ci
        .exec(["sh", "-c", "exit 3"])
        .env("DX_API_URL", "http://dx.example")
        .run();
    output.assert_code(3);
}

#[test]
fn without_dx_or_token_the_run_is_kept() {
    for missing in ["DX_API_URL", "DX_API_TOKEN"] {
        let ci = Ci::new();
        let output = ci.exec(["sh", "-c", "exit 3"]).env_remove(missing).run();
        output.assert_code(3);
        assert!(ci.dx.requests().is_empty());
        assert!(output.stderr().contains(missing), "{output}");
        ci.pipefold(["flush"]).run().assert_code(0);
        assert_eq!(
            ci.record().status,
            "failure",
            "without {missing} it waited for an explicit flush"
        );
    }
}

#[test]
fn without_a_token_the_next_build_sends_nothing_of_it() {
    let ci = Ci::new();
    ci.exec(["true"]).env_remove("DX_API_TOKEN").run().assert_code(0);
    ci.report_run("run-2", ["exec", "--", "true"]).run().assert_code(0);
    assert_eq!(ci.dx.records().keys().collect::<Vec<_>>(), ["run-2"]);
}

#[test]
fn token_files_that_cannot_be_used() {
    let ci = Ci::new();
    let file = ci.directory().join("token");
    let with = |content: &[u8], mode: u32| {
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let command = || {
            ci.report(["start"])
                .env_remove("DX_API_TOKEN")
                .env("PIPEFOLD_TOKEN_FILE", &file)
        };
        refused(&ci, command)
    };
    let mut messages = vec![
        with(ci.dx.token().as_bytes(), 0o602),
        with(b"", 0o600),
        with(b"two words", 0o600),
        with(&[b'x'; 5000], 0o600),
        with(b"\xff\xfe", 0o600),
    ];
    std::fs::remove_file(&file).unwrap();
    messages.push(refused(&ci, || {
        ci.report(["start", "--token-file", file.to_str().unwrap()])
    }));
    messages.push(refused(&ci, || ci.report(["start", "--token-file", "/"])));
    insta::assert_snapshot!("token_files", messages.concat());
}

#[test]
fn operator_files_that_cannot_be_used() {
    let ci = Ci::new();
    let with = |toml: &str| {
        ci.operator(toml);
        exec_still_runs(&ci);
        refused(&ci, || ci.report(["start"]))
    };
    let mut messages = vec![
        with("dx_url = \"https://dx.example\n"),
        with("spool = \"x\"\nspol_limit = 5\n"),
        with("[budgets]\nstart = \"1s\"\nfinsh = \"5s\"\n"),
        with("colour = true\n"),
        with("strict = \"yes\"\n"),
        with("[budgets]\nfinish = 5\n"),
        with("\n\ntoken = \"abc\"\n"),
        with("status = \"success\"\n"),
        with("spool_limit = \"many\"\n"),
    ];
    std::fs::set_permissions(ci.operator_file(), PermissionsExt::from_mode(0o666)).unwrap();
    messages.push(refused(&ci, || ci.report(["start"])));
    std::fs::remove_file(ci.operator_file()).unwrap();
    messages.push(refused(&ci, || ci.report(["start"])));
    insta::assert_snapshot!("operator_files", messages.concat());
}

#[test]
fn a_workspace_file_sets_fields() {
    let ci = Ci::new();
    std::fs::write(
        ci.workspace().join("pipefold.toml"),
        "pipeline_name = \"from-file\"\nrepository = \"getdx/some_repo\"\n",
    )
    .unwrap();
    let below = ci.workspace().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    let flags = [
        "start",
        "--pipeline-source",
        "tests",
        "--reference-id",
        pipefold_tests::RUN,
    ];
    ci.pipefold(flags).cwd(below).run().assert_code(0);
    assert_eq!(
        (ci.record().pipeline_name.as_str(), ci.record().get("repository")),
        ("from-file", Some("getdx/some_repo"))
    );
    ci.report(["start"]).run().assert_code(0);
    assert_eq!(ci.record().pipeline_name, "build", "a flag wins");
}

#[test]
fn a_workspace_file_sets_nothing_else() {
    let ci = Ci::new();
    let evil = Standin::start();
    let url = format!("dx_url = \"{}\"\n", evil.url());
    let forbidden = [
        url.as_str(),
        "token_file = \"/proc/self/environ\"\n",
        "token = \"abc\"\n",
        "spool = \"/tmp/elsewhere\"\n",
        "ca_file = \"ca.pem\"\n",
        "strict = true\n",
        "failure = \"open\"\n",
        "\n[[policy]]\nfile = \"evil.wasm\"\ngrants = [\"log\"]\n",
        "[limits]\nmemory = \"1 TiB\"\n",
        "[budgets]\nfinish = \"10h\"\n",
    ];
    let mut messages = String::new();
    for toml in forbidden {
        std::fs::write(ci.workspace().join("pipefold.toml"), toml).unwrap();
        exec_still_runs(&ci);
        let message = refused(&ci, || ci.report(["start"]));
        messages += &message.replace(&evil.url(), "[evil]");
    }
    assert!(evil.requests().is_empty());
    insta::assert_snapshot!("workspace_files", messages);
}

#[test]
fn a_workspace_file_that_is_damaged_loses_nothing_that_was_good() {
    let mut messages = String::new();
    let mut done_without = |ci: &Ci| {
        let lenient = ci.report(["exec", "--", "sh", "-c", "exit 3"]).run();
        lenient.assert_code(3);
        assert!(lenient.stderr().starts_with("pipefold: warning: "), "{lenient}");
        let record = ci.record();
        assert_eq!(record.status, "failure");
        let sent = ci.dx.requests().len();
        ci.report(["start", "--strict"]).run().assert_code(2);
        assert_eq!(ci.dx.requests().len(), sent);
        let warning = lenient.stderr().lines().next().unwrap_or_default().to_owned();
        messages += &format!("{}\n", ci.neutral(&warning));
        record
    };
    let texts: [&[u8]; 5] = [
        b"not toml\n",
        b"email = \"caf\xe9\"\n",
        b"status = \"success\"\n",
        b"repositry = \"getdx/some_repo\"\nemail = \"a@example.com\"\n",
        b"head_branch = 5\nemail = \"a@example.com\"\n",
    ];
    for text in texts {
        let ci = Ci::new();
        std::fs::write(ci.workspace().join("pipefold.toml"), text).unwrap();
        let record = done_without(&ci);
        let good = text
            .windows(5)
            .any(|window| window == b"a@exa")
            .then_some("a@example.com");
        assert_eq!(record.get("email"), good);
    }
    // A link may point to a file that its author cannot read: an error message would quote it.
    let ci = Ci::new();
    std::os::unix::fs::symlink("/etc/passwd", ci.workspace().join("pipefold.toml")).unwrap();
    done_without(&ci);
    insta::assert_snapshot!("workspace_damaged", messages);
}

#[test]
fn from_a_directory_that_is_gone_all_is_reported() {
    let ci = Ci::new();
    let gone = ci.directory().join("gone");
    let binary = pipefold_tests::binary("pipefold");
    let fields = format!(
        "--pipeline-name p --pipeline-source s --reference-id {}",
        pipefold_tests::RUN
    );
    let script = format!(
        "rmdir {gone} && {binary} start {fields} && {binary} step --step s {fields} -- sh -c 'exit 4'; test $? = 4 || exit 90; \
         {binary} finish --status failure {fields} && {binary} exec --pipeline-name p --pipeline-source s --reference-id other -- sh -c 'exit 3'",
        gone = gone.display(),
        binary = binary.display()
    );
    std::fs::create_dir(&gone).unwrap();
    let output = ci.program("/bin/sh").args(["-c", &script]).cwd(&gone).run();
    output.assert_code(3);
    assert_eq!(
        (ci.record().status.as_str(), ci.record().finished_at.is_some()),
        ("failure", true)
    );
    assert_eq!(ci.record_of("other").status, "failure", "{output}");
}

#[test]
fn flags_beat_variables_beat_the_workspace_beat_the_operators_file() {
    let ci = Ci::new();
    std::fs::write(
        ci.workspace().join("pipefold.toml"),
        "head_branch = \"file\"\nemail = \"file\"\ngithub_username = \"file\"\n",
    )
    .unwrap();
    ci.operator("head_branch = \"operator\"\nemail = \"operator\"\ngithub_username = \"operator\"\ngitlab_username = \"operator\"\n");
    let output = ci
        .report(["start", "--head-branch", "flag"])
        .env("PIPEFOLD_HEAD_BRANCH", "variable")
        .env("PIPEFOLD_EMAIL", "variable")
        .run();
    output.assert_code(0);
    let record = ci.record();
    let given =
        ["head_branch", "email", "github_username", "gitlab_username"].map(|name| record.get(name).unwrap().to_owned());
    assert_eq!(given, ["flag", "variable", "file", "operator"]);
}
