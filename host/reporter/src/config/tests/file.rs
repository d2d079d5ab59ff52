//! The keys of a file, and the message of each refusal.

use crate::config::{
    ConfigError, Environment, Failure, File, Flags, Grant, InJob, Settings, SettingsInput, Trust, server_id_problem,
};
use crate::detect::Field;
use pipefold_sandbox::KeyPlace;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn operator(text: &str) -> File {
    File::parse(Path::new("/etc/pipefold.toml"), text, Trust::Operator).unwrap()
}

fn refused(text: &str, trust: Trust) -> String {
    File::parse(Path::new("/repo/pipefold.toml"), text, trust)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_workspace_file_sets_fields() {
    let text = "pipeline_name = 'build'\npr_number = 0x2A\nemail = ''\n";
    let file = File::parse(Path::new("/repo/pipefold.toml"), text, Trust::Workspace).unwrap();
    assert_eq!(file.fields.value(Field::PipelineName), Some("build"));
    assert_eq!(file.fields.value(Field::PrNumber), Some("42"));
    assert_eq!(file.fields.value(Field::Email), None);
    let origin = &file.fields.get(Field::PipelineName).unwrap().origin;
    assert_eq!(origin.to_string(), "pipeline_name in /repo/pipefold.toml");
}

#[test]
fn an_operator_file_sets_everything() {
    let file = operator(
        r#"
        repository = "getdx/some_repo"
        dx_url = "https://yourinstance.getdx.net"
        token_file = "/run/secrets/dx"
        ca_file = "ca.pem"
        spool = "spool"
        spool_limit = "1 GiB"
        strict = true
        failure = "open"
        budgets = { start = "500ms", finish = "10s" }
        limits.hook = "100ms"
        limits.memory = 1048576
        limits.instances = 50
        [[policy]]
        file = "a.wasm"
        [[policy]]
        file = "/opt/b.wasm"
        key = "keys/b.pub"
        name = "redact"
        failure = "closed"
        grants = ["log", "config"]
        config = { domain = "getdx.com" }
        limits.hook = "50ms"
        "#,
    );
    let keys = file.operator;
    assert_eq!(file.fields.value(Field::Repository), Some("getdx/some_repo"));
    assert_eq!(keys.dx_url.unwrap().value, "https://yourinstance.getdx.net");
    assert_eq!(keys.token_file.unwrap().value, PathBuf::from("/run/secrets/dx"));
    assert_eq!(keys.ca_file.unwrap().value, PathBuf::from("/etc/ca.pem"));
    assert_eq!(keys.spool.unwrap().value, PathBuf::from("/etc/spool"));
    assert_eq!((keys.spool_limit, keys.strict), (Some(1 << 30), Some(true)));
    assert_eq!(keys.failure, Some(Failure::Open));
    let budgets = keys.budgets.resolve();
    assert_eq!(budgets.start, Duration::from_millis(500));
    assert_eq!(budgets.finish, Duration::from_secs(10));
    assert_eq!(budgets.stop, Duration::from_secs(2));
    assert_eq!(keys.limits.hook, Some(Duration::from_millis(100)));
    assert_eq!((keys.limits.memory, keys.limits.instances), (Some(1 << 20), Some(50)));
    assert_eq!(keys.limits.chain, None);
    let files: Vec<_> = keys.policies.iter().map(|policy| policy.file.as_str()).collect();
    assert_eq!(files, ["/etc/a.wasm", "/opt/b.wasm"]);
    let redact = &keys.policies[1];
    assert_eq!(
        (redact.name.as_deref(), redact.failure),
        (Some("redact"), Some(Failure::Closed))
    );
    assert_eq!(redact.key, Some(KeyPlace::File("/etc/keys/b.pub".into())));
    assert_eq!(redact.grants, [Grant::Log, Grant::Config].into());
    assert_eq!(redact.config["domain"], "getdx.com");
    assert_eq!(redact.limits.hook, Some(Duration::from_millis(50)));
    assert!(keys.policies[0].grants.is_empty() && keys.policies[0].failure.is_none());
    assert_eq!(keys.policies[0].key, None);
}

/// A key that a mistake would take away, or that must not be shown.
#[test]
fn a_key_is_one_or_the_file_is_refused() {
    let policy = |key: &str| {
        let text = format!("[[policy]]\nfile = 'a.wasm'\nkey = '{key}'\n");
        File::parse(Path::new("/etc/pipefold.toml"), &text, Trust::Operator)
    };
    let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    for good in [key, &format!(" {key} ")] {
        let KeyPlace::Key(read) = policy(good).unwrap().operator.policies[0].key.clone().unwrap() else {
            panic!("{good}")
        };
        assert_eq!(read.id().to_string(), "E7620F1842B4E81F");
    }
    for wrong in ["", " ", &key[..55]] {
        let error = policy(wrong).unwrap_err().to_string();
        insta::allow_duplicates!(
            insta::assert_snapshot!(error, @"/etc/pipefold.toml:3: `policy.key`: this is no minisign public key: write its line of 56 characters, RWQ…, or the path of its file")
        );
    }
    let secret = format!("RWRTY0Iy{}", "A".repeat(204));
    insta::assert_snapshot!(policy(&secret).unwrap_err().to_string(), @"/etc/pipefold.toml:3: `policy.key`: this is a secret key: name the public one, which `minisign -G` writes to minisign.pub");
}

#[test]
fn an_empty_file_sets_nothing() {
    for text in [
        "",
        "# nothing\n",
        "\u{feff}",
        "dx_url = ''\nspool = ' '\n[budgets]\n[limits]\n",
    ] {
        assert_eq!(operator(text), File::default(), "{text:?}");
    }
}

/// Every key that decides where a token goes, or what a policy may do, or what a run may cost, in a file from a pull request.
#[test]
fn a_workspace_file_sets_nothing_of_the_operator_s() {
    for line in [
        "dx_url = 'https://evil.example'",
        "token_file = '/etc/shadow'",
        "ca_file = 'mine.pem'",
        "spool = '/tmp/mine'",
        "spool_limit = 0",
        "strict = true",
        "failure = 'open'",
        "budgets.start = '1h'",
        "budgets = 3",
        "[limits]\nhook = '1h'",
        "[[policy]]\nfile = 'mine.wasm'",
        "policy = 'mine.wasm'",
    ] {
        let key = line.trim_start_matches('[').split([' ', '.', ']']).next().unwrap();
        let error = refused(&format!("repository = 'a/b'\n\n{line}"), Trust::Workspace);
        let start = format!("/repo/pipefold.toml:3: `{key}` may not be set in a workspace file");
        assert!(error.starts_with(&start), "{error}");
    }
    for line in [
        "grant = 'dir'",
        "policies = []",
        "\"dx-url\" = 'x'",
        "DX_URL = 'x'",
        "url = 'x'",
    ] {
        let error = refused(line, Trust::Workspace);
        assert!(error.starts_with("/repo/pipefold.toml:1: unknown key `"), "{error}");
    }
}

#[test]
fn refusals_name_the_place_and_give_advice() {
    insta::assert_snapshot!(refused("\ndx_url = 'https://evil.example'", Trust::Workspace),
        @"/repo/pipefold.toml:2: `dx_url` may not be set in a workspace file, which anyone who can open a pull request can write; set it by --dx-url, or by the variable DX_API_URL, or in /etc/pipefold.toml or the file that --config names");
    insta::assert_snapshot!(refused("[[policy]]", Trust::Workspace),
        @"/repo/pipefold.toml:1: `policy` may not be set in a workspace file, which anyone who can open a pull request can write; set it by --policy, or in /etc/pipefold.toml or the file that --config names");
    insta::assert_snapshot!(refused("email = 'a@b.c'\nreposotory = 'a/b'", Trust::Workspace),
        @"/repo/pipefold.toml:2: unknown key `reposotory`; did you mean `repository`?");
    insta::assert_snapshot!(refused("colour = 'red'", Trust::Workspace),
        @"/repo/pipefold.toml:1: unknown key `colour`; the keys here are pipeline_name, pipeline_source, reference_id, repository, commit_sha, pr_number, source_url, head_branch, email, github_username, gitlab_username, templates, attributes");
    insta::assert_snapshot!(refused("[budgets]\nstart = '1s'\nfinsh = '1s'", Trust::Operator),
        @"/repo/pipefold.toml:3: unknown key `budgets.finsh`; did you mean `finish`?");
    insta::assert_snapshot!(refused("[limits]\nfuel = 1", Trust::Operator),
        @"/repo/pipefold.toml:2: unknown key `limits.fuel`; the keys here are hook, chain, memory, component_size, table_elements, instances, hostcall_fuel, stack");
    insta::assert_snapshot!(refused("status = 'success'", Trust::Operator),
        @"/repo/pipefold.toml:1: `status` belongs to one moment of one run, not to a file; give it by --status or PIPEFOLD_STATUS");
    insta::assert_snapshot!(refused("repository = 3", Trust::Workspace),
        @"/repo/pipefold.toml:1: `repository`: this has to be text in quotes, and is a whole number");
    insta::assert_snapshot!(refused("spool_limit = '10 MByte'", Trust::Operator),
        @r#"/repo/pipefold.toml:1: `spool_limit`: "10 MByte" is not a size; write a whole number and one of B, KiB, MiB, GiB, kB, MB, GB, such as "256 MiB""#);
    insta::assert_snapshot!(refused("budgets.start = 5", Trust::Operator),
        @r#"/repo/pipefold.toml:1: `budgets.start`: this has to be a duration in quotes, such as "500ms" or "1s", and is a whole number"#);
    insta::assert_snapshot!(refused("limits.instances = -1", Trust::Operator),
        @"/repo/pipefold.toml:1: `limits.instances`: this has to be a whole number from 0 to 18446744073709551615");
    insta::assert_snapshot!(refused("policy = { file = 'a.wasm' }", Trust::Operator),
        @"/repo/pipefold.toml:1: `policy`: this has to be a list of tables ([[policy]]), and is a table");
    insta::assert_snapshot!(refused("[[policy]]\nuse = 'rules'\nrules = []\nkey = 'hash.key'", Trust::Operator),
        @"/repo/pipefold.toml:1: `policy`: `key` is for a component: the built-in policy has no signature, and the key of a hash goes into its rule");
    insta::assert_snapshot!(refused("budgets = '1s'", Trust::Operator),
        @"/repo/pipefold.toml:1: `budgets`: this has to be a table ([budgets]), and is text");
    insta::assert_snapshot!(refused("strict = 'true'", Trust::Operator),
        @"/repo/pipefold.toml:1: `strict`: this has to be true or false, and is text");
    insta::assert_snapshot!(refused("email = 'a@b.c'\nrepository = \n", Trust::Workspace),
        @"/repo/pipefold.toml:2: this is not TOML: string values must be quoted, expected literal string");
    insta::assert_snapshot!(refused("email = 'a'\nemail = 'b'", Trust::Workspace),
        @"/repo/pipefold.toml:2: this is not TOML: duplicate key");
    insta::assert_snapshot!(refused("[[policy]\n", Trust::Workspace),
        @"/repo/pipefold.toml:1: this is not TOML: unclosed array table, expected `]`");
    insta::assert_snapshot!(refused("token = 's3cret'", Trust::Operator),
        @"/repo/pipefold.toml:1: `token`: a token never stands in a file of settings; put it into the variable DX_API_TOKEN, or into a file of its own that `token_file` (in /etc/pipefold.toml or the file that --config names), PIPEFOLD_TOKEN_FILE or --token-file names, and change the token if this file was shared");
}

#[test]
fn the_error_names_the_first_of_several_faults() {
    let error = refused("zz = 1\nrepository = 3\naa = 1", Trust::Workspace);
    assert!(error.contains(":1: unknown key `zz`"), "{error}");
}

#[test]
fn no_error_shows_a_token() {
    for text in [
        "token = 's3cret'",
        "dx_api_token = 's3cret'",
        "DX_API_TOKEN = 's3cret'",
        "api-token = 's3cret'",
        "token = s3cret",
        "token = 's3cret",
        "token: s3cret",
        "token = 's3cret' 's3cret'",
        "[token]\nvalue = 's3cret'",
        "tokn = 's3cret'",
        "budgets.token = 's3cret'",
    ] {
        for trust in [Trust::Workspace, Trust::Operator] {
            let error = refused(text, trust);
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}

#[test]
fn hostile_text_gives_a_short_error_or_none() {
    let (key, deep) = ("k".repeat(200_000), "[".repeat(200_000));
    for text in [
        format!("{key} = 1"),
        format!("\"a\\u001b[31m{key}\" = 1"),
        format!("email = {deep}"),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("email = {}", "{a=".repeat(50_000)),
        "[[policy]]\n".repeat(20_000),
        format!("email = {}", "9".repeat(200_000)),
        "\u{1b}[31m".repeat(50_000),
    ] {
        let error = refused(&text, Trust::Workspace);
        assert!(error.len() < 600, "{} bytes: {}", error.len(), &error[..300]);
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn a_bad_policy_is_refused() {
    for (text, problem) in [
        ("[[policy]]\nname = 'a'", "a policy needs a key `file`"),
        (
            "[[policy]]\nfile = 'a.wasm'\ngrants = ['network']",
            "there is no grant \"network\"; there are \"log\", \"config\", \"wasi\", \"clock\", \"random\"",
        ),
        (
            "[[policy]]\nfile = 'a.wasm'\ngrants = ['dir']",
            "a directory is granted by the key `dir`",
        ),
        ("[[policy]]\nfile = 'a.wasm'\ndir = '/data'", "this has to be a table"),
        (
            "[[policy]]\nfile = 'a.wasm'\ndir = {access = 'read-only'}",
            "a granted directory needs a key `path`",
        ),
        (
            "[[policy]]\nfile = 'a.wasm'\ndir = {path = '/data', access = 'all'}",
            "this has to be \"read-only\" or \"read-write\"",
        ),
        (
            "[[policy]]\nfile = 'a.wasm'\ngrants = 'log'",
            "this has to be a list of text in quotes, and is text",
        ),
        (
            "[[policy]]\nfile = 'a.wasm'\nfailure = 'ajar'",
            "this has to be \"closed\" or \"open\"",
        ),
        (
            "[[policy]]\nfiles = 'a.wasm'",
            "unknown key `policy.files`; did you mean `file`?",
        ),
        ("failure = 'ajar'", "this has to be \"closed\" or \"open\""),
    ] {
        let error = refused(text, Trust::Operator);
        assert!(error.contains(problem), "{error}");
    }
}

fn parse(text: &str, trust: Trust) -> Result<File, ConfigError> {
    File::parse(Path::new("/etc/pipefold.toml"), text, trust)
}

fn refused_gocd(text: &str) -> String {
    parse(text, Trust::Operator).unwrap_err().to_string()
}

/// A complete server, with one more line.
fn server(line: &str) -> String {
    format!("[[gocd.server]]\nname = 'a'\nurl = 'https://ci.example.com'\n{line}")
}

#[test]
fn every_key_is_read() {
    let text = r#"
        [gocd]
        in_job = "facts"
        server_id = "ci"
        users = { admin = "admin@example.com" }
        [[gocd.server]]
        name = "main"
        url = "https://ci.example.com/go"
        server_id = "ci"
        user = "reader"
        password_file = "password"
        access_token_file = "/run/secrets/gocd"
        ca_file = "ca.pem"
        insecure_http = true
        pipelines = ["web-*", "api"]
        since = "90d"
        dialect = "new"
        reruns = "latest"
        quiet_for = "2d"
        late_stages = "extend"
        final_stages = { web = "deploy" }
        restarted = { web = "ci-2" }
        material = "getdx/*"
        users = { jez = "jez@example.com" }
        pages_url = "https://gocd.example.com/go"
        enrich = true
        state = "state"
        every = "5m"
        [[gocd.server]]
        name = "other"
        url = "https://other.example.com"
    "#;
    let gocd = parse(text, Trust::Operator).unwrap().operator.gocd;
    assert_eq!(gocd.in_job, Some(InJob::Facts));
    assert_eq!(gocd.server_id.unwrap().value, "ci");
    assert_eq!(gocd.users["admin"], "admin@example.com");
    let server = &gocd.servers[0];
    assert_eq!(server.name, "main");
    assert_eq!(server.url.as_ref().unwrap().value, "https://ci.example.com/go");
    assert_eq!(server.server_id.as_ref().unwrap().value, "ci");
    assert_eq!(server.user.as_deref(), Some("reader"));
    assert_eq!(server.password_file, Some(PathBuf::from("/etc/password")));
    assert_eq!(server.access_token_file, Some(PathBuf::from("/run/secrets/gocd")));
    assert_eq!(server.ca_file, Some(PathBuf::from("/etc/ca.pem")));
    assert_eq!((server.insecure_http, server.enrich), (Some(true), Some(true)));
    assert_eq!(server.pipelines, ["web-*", "api"]);
    assert_eq!(server.since.as_ref().unwrap().value, "90d");
    assert_eq!(
        (server.dialect, server.reruns, server.late_stages),
        (Some("new"), Some("latest"), Some("extend"))
    );
    assert_eq!(server.quiet_for, Some(Duration::from_hours(48)));
    assert_eq!(server.final_stages["web"], "deploy");
    assert_eq!(server.restarted["web"], "ci-2");
    assert_eq!(server.material.as_deref(), Some("getdx/*"));
    assert_eq!(server.users["jez"], "jez@example.com");
    assert_eq!(server.pages_url.as_ref().unwrap().value, "https://gocd.example.com/go");
    assert_eq!(server.state, Some(PathBuf::from("/etc/state")));
    assert_eq!(server.every, Some(Duration::from_secs(300)));
    assert_eq!(gocd.servers[1].name, "other");
}

#[test]
fn a_workspace_file_has_no_such_table() {
    for text in [
        "[gocd]\nin_job = 'facts'",
        "[[gocd.server]]\nurl = 'https://evil.example'",
        "gocd = 1",
    ] {
        let error = parse(text, Trust::Workspace).unwrap_err().to_string();
        assert!(error.contains("`gocd` may not be set in a workspace file"), "{error}");
    }
}

#[test]
fn each_fault_names_its_line_and_gives_advice() {
    for (text, line, told) in [
        (
            "[gocd]\nin_job = 'none'".into(),
            2,
            "this has to be \"run\" or \"facts\"",
        ),
        ("[gocd]\nserver = 3".into(), 2, "a list of tables ([[gocd.server]])"),
        ("[gocd]\nservers = []".into(), 2, "did you mean `server`?"),
        ("[gocd]\nserver_id = 'a b'".into(), 2, "such as ci.example.com"),
        (
            "[[gocd.server]]\nurl = 'https://a'".into(),
            1,
            "a server needs a key `name`",
        ),
        ("[[gocd.server]]\nname = 'a'".into(), 1, "a server needs a key `url`"),
        (server("reruns = 'both'"), 4, "\"attempts\" or \"latest\" or \"merge\""),
        (server("pipeline = 'a'"), 4, "did you mean `pipelines`?"),
        (server("every = '1w'"), 4, "\"1w\" is not an age"),
        (server("final_stages = { a = 1 }"), 4, "text in quotes"),
        (server(&server("")), 4, "there are two servers named \"a\""),
    ] {
        let error = refused_gocd(&text);
        assert!(error.starts_with(&format!("/etc/pipefold.toml:{line}: ")), "{error}");
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_shown() {
    for key in ["password", "access_token", "token"] {
        let error = refused_gocd(&server(&format!("{key} = 's3cret'")));
        assert!(
            error.contains("a secret never stands in a file") && !error.contains("s3cret"),
            "{error}"
        );
    }
}

#[test]
fn ids_of_servers() {
    for good in ["ci.example.com", "ci", "[::1]", "a/b"] {
        assert_eq!(server_id_problem(good), None, "{good}");
    }
    for bad in ["", " ", "a b", "a\n", "u@h", "https://h", "/a", "a/", &"x".repeat(256)] {
        assert!(server_id_problem(bad).is_some(), "{bad:?}");
    }
}

/// The settings of a job in GoCD, with these variables besides its own.
fn in_job(file: &str, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let root = tempfile::tempdir().unwrap();
    let etc = root.path().join("operator.toml");
    std::fs::write(&etc, file).unwrap();
    let job = [
        ("GO_SERVER_URL", "https://127.0.0.1:8154/go"),
        ("GO_PIPELINE_NAME", "web"),
        ("GO_PIPELINE_COUNTER", "7"),
    ];
    Settings::load(SettingsInput {
        environment: &Environment::from_pairs(job.into_iter().chain(variables.iter().copied())),
        flags: &Flags::default(),
        cwd: root.path(),
        config: None,
        etc: &etc,
    })
}

#[test]
fn precedence_of_the_servers_id_in_a_job() {
    let file = "[gocd]\nserver_id = 'file'\nin_job = 'facts'";
    for (file, variables, id, told) in [
        ("", &[] as &[_], "gocd/127.0.0.1/web/7", InJob::Run),
        (file, &[], "gocd/file/web/7", InJob::Facts),
        (
            file,
            &[("PIPEFOLD_GOCD_SERVER_ID", "variable"), ("PIPEFOLD_GOCD_IN_JOB", "run")],
            "gocd/variable/web/7",
            InJob::Run,
        ),
    ] {
        let settings = in_job(file, variables).unwrap();
        assert_eq!(settings.fields.value(Field::ReferenceId), Some(id));
        assert_eq!((settings.in_job, settings.warnings), (told, vec![]));
    }
}

#[test]
fn a_bad_variable_is_an_error() {
    let settings = in_job("", &[("PIPEFOLD_GOCD_SERVER_ID", "https://x")]).unwrap();
    assert_eq!(settings.fields.value(Field::ReferenceId), Some("gocd/127.0.0.1/web/7"));
    assert!(
        settings.warnings[0].starts_with("PIPEFOLD_GOCD_SERVER_ID: a server's id has"),
        "{:?}",
        settings.warnings
    );
    let error = in_job("", &[("PIPEFOLD_GOCD_IN_JOB", "nothing")])
        .unwrap_err()
        .to_string();
    assert_eq!(error, "PIPEFOLD_GOCD_IN_JOB: this has to be run or facts");
}
