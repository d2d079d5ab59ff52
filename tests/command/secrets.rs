//! The token is in the request to DX, and nowhere else.

use std::os::unix::fs::PermissionsExt;

use pipefold_tests::{Ci, Mode, Output, RetryAfter, Standin};

/// The secret in two halves, so that a part of it is found as well.
const HALVES: [&str; 2] = ["s3cr3tZq8vK2", "P9xTn4LmW7yB"];

fn token() -> String {
    HALVES.concat()
}

/// A machine with a recognisable token.
fn ci() -> Ci {
    let ci = Ci::new();
    ci.dx.set_tokens(&[&token()]);
    ci.budgets(150, 250, 150);
    ci
}

fn has_token(bytes: &[u8]) -> bool {
    // The same in base64, as basic authentication has it, at each of the three alignments.
    const BASE64: [&str; 3] = ["czNjcjN0WnE4dksy", "MzY3IzdFpxOHZL", "zM2NyM3RacTh2Sz"];
    let contains = |part: &str| bytes.windows(part.len()).any(|window| window == part.as_bytes());
    HALVES.iter().chain(&BASE64).any(|part| contains(part))
}

/// Checks everything that can be seen afterwards: output, files, and all of each request but its one header.
fn check(ci: &Ci, what: &str, outputs: &[Output]) {
    for output in outputs {
        assert!(!has_token(&output.stdout), "{what}: in stdout\n{output}");
        assert!(!has_token(&output.stderr), "{what}: in stderr\n{output}");
    }
    for (path, content) in Ci::files(ci.directory()) {
        assert!(!has_token(&content), "{what}: in {}", path.display());
        assert!(
            !has_token(path.as_os_str().as_encoded_bytes()),
            "{what}: in a name, {}",
            path.display()
        );
    }
    for request in ci.dx.requests() {
        assert!(
            !has_token(&request.body) && !has_token(request.path.as_bytes()),
            "{what}: {request:?}"
        );
        for (name, value) in &request.headers {
            assert!(
                name == "authorization" || !has_token(value.as_bytes()),
                "{what}: in the header {name}"
            );
        }
    }
}

/// Every command that deals with runs, as talkative as they can be.
fn all_commands(ci: &Ci) -> Vec<Output> {
    let verbose = |arguments: &[&str]| {
        ci.report(arguments.iter().copied().chain(["-vvv"]))
            .env("DX_API_TOKEN", token())
            .run()
    };
    let bare = |arguments: &[&str]| {
        ci.pipefold(arguments.iter().copied().chain(["-vvv"]))
            .env("DX_API_TOKEN", token())
            .run()
    };
    let in_exec = [
        "exec",
        "-vvv",
        "--",
        "sh",
        "-c",
        "env; tr '\\0' '\\n' < /proc/self/environ; exit 3",
    ];
    let export = ci.directory().join("export.json");
    let exec = ci.report(in_exec).env("DX_API_TOKEN", token()).run();
    exec.assert_code(3);
    vec![
        verbose(&["start"]),
        verbose(&["step", "--step", "a", "--now"]),
        exec,
        verbose(&["finish", "--status", "success"]),
        verbose(&["finish", "--status", "success", "--dry-run"]),
        verbose(&["finish", "--status", "success", "--dry-run", "--json"]),
        verbose(&["start", "--started-at", "yesterday", "--strict"]),
        bare(&["flush", "--timeout", "300ms"]),
        bare(&["status"]),
        bare(&["status", "--json"]),
        verbose(&["doctor"]),
        verbose(&["doctor", "--json"]),
        bare(&["flush", "--export", export.to_str().unwrap()]),
    ]
}

#[test]
fn the_search_finds_it_in_every_form() {
    // The token in base64, alone and behind one and two other bytes.
    let encoded = [
        "czNjcjN0WnE4dksyUDl4VG40TG1XN3lC",
        "dXMzY3IzdFpxOHZLMlA5eFRuNExtVzd5Qg==",
        "dXVzM2NyM3RacTh2SzJQOXhUbjRMbVc3eUI=",
    ];
    for form in encoded
        .map(str::to_owned)
        .into_iter()
        .chain([token()])
        .chain(HALVES.map(str::to_owned))
    {
        assert!(has_token(format!("before {form} after").as_bytes()), "{form}");
    }
    assert!(!has_token(b"nothing of it"));
}

#[test]
fn it_is_sent_to_dx_and_found_nowhere_else() {
    let ci = ci();
    let outputs = all_commands(&ci);
    check(&ci, "all well", &outputs);
    let expected = format!("Bearer {}", token());
    let with_a_run = ci
        .dx
        .requests()
        .into_iter()
        .filter(|request| request.method == "POST")
        .collect::<Vec<_>>();
    assert!(!with_a_run.is_empty());
    assert!(
        with_a_run
            .iter()
            .all(|request| request.authorization.as_deref() == Some(&expected))
    );
}

#[test]
fn however_dx_misbehaves() {
    let said = format!("the key {} is not valid", token());
    let not_ok = |code: &str, status| Mode::NotOk {
        code: code.into(),
        status,
    };
    let modes = [
        Mode::RefuseConnections,
        Mode::Hang,
        Mode::CloseHalfWay,
        Mode::TooManyRequests {
            retry_after: RetryAfter::Seconds(1),
        },
        Mode::InternalError,
        Mode::BadGateway,
        not_ok("invalid_auth", 401),
        not_ok("invalid_json", 422),
        not_ok(&token(), 400),
        Mode::Plain {
            status: 401,
            body: format!(r#"{{"ok":false,"error":"invalid_auth","message":"{said}"}}"#),
        },
        Mode::Plain {
            status: 400,
            body: format!(r#"{{"ok":false,"error":"required_params_missing","message":"{said}"}}"#),
        },
        Mode::Plain {
            status: 500,
            body: said,
        },
        Mode::NotJson,
        Mode::Huge,
        Mode::SlowDrip,
    ];
    std::thread::scope(|scope| {
        for mode in modes {
            scope.spawn(move || {
                let ci = ci();
                ci.dx.set_mode(mode.clone());
                let outputs = all_commands(&ci);
                check(&ci, &format!("{mode:?}"), &outputs);
            });
        }
    });
}

#[test]
fn no_redirect_takes_it_elsewhere() {
    let other = Standin::start();
    let ci = ci();
    let to = format!("{}/api/pipelineRuns.upsert?key={}", other.url(), token());
    ci.dx.set_mode(Mode::Redirect { status: 307, to });
    let outputs = all_commands(&ci);
    check(&ci, "redirect", &outputs);
    assert!(other.requests().is_empty());
}

#[test]
fn an_unknown_authority_gets_nothing() {
    let ci = Ci::with(Standin::start_tls());
    ci.dx.set_tokens(&[&token()]);
    ci.budgets(150, 250, 150);
    let outputs = all_commands(&ci);
    assert!(
        ci.dx.requests().is_empty(),
        "no request before the certificate is trusted"
    );
    check(&ci, "unknown authority", &outputs);
}

#[test]
fn from_a_file_it_goes_nowhere_either() {
    let ci = ci();
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("token");
    std::fs::write(&file, format!("{}\n", token())).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let script = "env; tr '\\0' '\\n' < /proc/self/environ; pipefold step --step s --status success -vvv; cat";
    let output = ci
        .exec_script(script)
        .env_remove("DX_API_TOKEN")
        .env("PIPEFOLD_TOKEN_FILE", &file)
        .run();
    output.assert_code(0);
    assert_eq!(ci.record().status, "success");
    let loud = ci
        .report(["finish", "-vvv"])
        .env_remove("DX_API_TOKEN")
        .env("PIPEFOLD_TOKEN_FILE", &file)
        .run();
    assert!(
        loud.stderr().contains("can be read by other users"),
        "Kubernetes mounts them so; a word at -v: {loud}"
    );
    check(&ci, "token file", &[output, loud]);
}

#[test]
fn given_in_the_wrong_place_it_is_refused_without_being_shown() {
    let wrong_places: [&[&str]; 6] = [
        &["start", "--token", "TOKEN"],
        &["start", "--token=TOKEN"],
        &["--dx-api-token", "TOKEN", "start"],
        &["exec", "--api-token=TOKEN", "--", "true"],
        &["start", "--dx-url", "https://TOKEN@dx.example"],
        &["start", "--dx-url", "https://user:TOKEN@dx.example"],
    ];
    for line in wrong_places {
        let ci = ci();
        let line = line.iter().map(|word| word.replace("TOKEN", &token()));
        let output = ci
            .pipefold(["--strict"])
            .args(line)
            // Outside CI a run without a name is not reported, so nothing of it would be looked at.
            .env("CI", "true")
            .env_remove("DX_API_TOKEN")
            .run();
        output.assert_code(2);
        check(&ci, "command line", &[output]);
        assert!(ci.dx.requests().is_empty());
    }
    let ci = ci();
    let variable = ci.report(["start", "-vvv"]).env("PIPEFOLD_TOKEN", token()).run();
    let two_lines = ci
        .report(["start", "-vvv"])
        .env("DX_API_TOKEN", format!("{}\nx", token()))
        .run();
    check(&ci, "variables", &[variable, two_lines]);
    let file = ci.workspace().join("pipefold.toml");
    std::fs::write(&file, format!("token = \"{}\"\n", token())).unwrap();
    let output = ci.report(["start", "-vvv"]).run();
    std::fs::write(&file, format!("dx_url = {}\n", token())).unwrap();
    let broken = ci.report(["start", "-vvv"]).run();
    std::fs::remove_file(&file).unwrap();
    check(&ci, "pipefold.toml", &[output, broken]);
}
