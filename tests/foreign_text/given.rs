//! Hostile text in flags and variables.

use pipefold_tests::{Ci, Mode};

use crate::Shown::{No, Perhaps, Yes};
use crate::{TEXT, assert_holds, assert_output, check, command, fields, lines};

#[test]
fn flags() {
    let rows = [
        ("start --dry-run FIELDS", Yes),
        ("exec --dry-run FIELDS -- true", Yes),
        ("doctor FIELDS", Yes),
        ("finish --status=@", Yes),
        ("start --started-at=@", Yes),
        ("flush --run=@", Perhaps),
    ];
    check(&Ci::new(), TEXT, &rows);
    let rows = [
        ("doctor FIELDS", Yes),
        ("start --pr-number=@", Yes),
        ("--@", Yes),
        ("@", Yes),
        ("status @", Yes),
        ("hook @", Yes),
        ("completions @", Yes),
        ("man @", Yes),
        ("flush --timeout=@", Yes),
        ("exec -- @", Yes),
        ("step --step a -- @", Yes),
        ("token add n --pipelines=@", Yes),
        ("serve --listen=@", Yes),
        ("serve --forward-to=@", Perhaps),
        ("gocd sync @", Yes),
        ("gocd sync --since=@ --server=http://127.0.0.1:1/go", Yes),
        // These errors do not repeat the text.
        ("start FIELDS", No),
        ("exec FIELDS -- true", No),
        ("step --step=@ FIELDS", No),
        ("start --dx-url=@", No),
        ("start --queue=@", No),
        ("token add @", No),
        ("gocd sync --server=@", No),
    ];
    check(&Ci::new(), &lines(), &rows);
    let long = format!("{TEXT}{}", "x".repeat(100_000));
    check(&Ci::new(), &long, &[("start FIELDS", No), ("--@", Yes)]);
}

#[test]
fn json_holds_what_was_given() {
    let ci = Ci::new();
    for line in [
        "start --dry-run --json FIELDS",
        "doctor --json FIELDS",
        "finish --json FIELDS",
    ] {
        let output = command(&ci, line, TEXT).run();
        assert_output(line, &output, Yes);
        assert_holds(line, &output.stdout());
    }
    // The human form of a dry run has it, too.
    let output = command(&ci, "start --dry-run FIELDS", TEXT).run().stdout();
    let (_, body) = output.split_once("\n\n").unwrap();
    assert_holds("the body", body);
    // And on the wire nothing is different.
    assert!(ci.dx.upserts().iter().any(|run| run["head_branch"] == TEXT));
}

#[test]
fn what_waits() {
    let ci = Ci::new();
    ci.budgets(50, 50, 50);
    ci.dx.set_mode(Mode::RefuseConnections);
    let rows = [
        ("start FIELDS", Perhaps),
        ("step --step=@ FIELDS", Perhaps),
        ("finish FIELDS", Perhaps),
        ("status", Yes),
        ("doctor FIELDS", Yes),
        ("flush --timeout=1s", Yes),
        ("flush --timeout=1s -vvv", Yes),
    ];
    check(&ci, TEXT, &rows);
    for line in ["status --json", "flush --json --timeout=1s"] {
        let output = command(&ci, line, TEXT).run();
        assert_output(line, &output, Yes);
        assert_holds(line, &output.stdout());
    }
}

#[test]
fn variables() {
    let rows = [
        ("PIPEFOLD_HEAD_BRANCH", TEXT, "start --dry-run", Yes),
        ("PIPEFOLD_HEAD_BRANCH", "LINES", "start", No),
        ("PIPEFOLD_HEAD_BRANCH", "LINES", "doctor", Yes),
        ("PIPEFOLD_STATUS", TEXT, "finish", Yes),
        ("PIPEFOLD_REFERENCE_ID_TEMPLATE", "{LINES}{run}", "start --strict", Yes),
        ("PIPEFOLD_REFERENCE_ID_TEMPLATE", "LINES{run}", "doctor", Yes),
        ("PIPEFOLD_LINES", "x", "start", Yes),
        ("PIPEFOLD_LINES", "x", "doctor --json", Yes),
        ("PIPEFOLD_STRICT", "LINES", "start", Perhaps),
        ("PIPEFOLD_POLICY", "/LINES", "start", Yes),
        ("PIPEFOLD_POLICY", "/LINES", "exec -- true", Yes),
        ("PIPEFOLD_POLICY_CACHE", "/LINES", "status", Perhaps),
        ("PIPEFOLD_SPOOL", "/proc/LINES", "start", Yes),
        ("PIPEFOLD_SPOOL", "LINES", "status", Yes),
        ("DX_API_URL", "LINES", "start", No),
        ("DX_API_TOKEN", "LINES", "start", No),
        ("HTTP_PROXY", "LINES", "start", Perhaps),
        ("SSL_CERT_FILE", "/LINES", "start", Perhaps),
        ("PIPEFOLD_QUEUE", "LINES", "start", No),
        ("PIPEFOLD_GOCD_URL", "LINES", "gocd sync", No),
        ("PIPEFOLD_GOCD_URL", "http://127.0.0.1:1/LINES", "gocd sync", Perhaps),
    ];
    for (name, value, line, shown) in rows {
        let filled = |text: &str| text.replace("LINES", &lines().replace('=', "-"));
        let output = command(&Ci::new(), line, "").env(filled(name), filled(value)).run();
        assert_output(&format!("{name}: {line}"), &output, shown);
    }
}

#[test]
fn variables_of_a_ci_system() {
    let ci = Ci::new();
    for line in ["start --dry-run", "start --dry-run --json", "doctor", "doctor --json"] {
        let command = ci
            .pipefold(line.split(' '))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_RUN_ID", "1")
            .env("GITHUB_REPOSITORY", "a/b")
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_WORKFLOW", TEXT)
            .env("GITHUB_REF_NAME", TEXT)
            .env("GITHUB_HEAD_REF", lines())
            .env("GITHUB_ACTOR", TEXT);
        assert_output(line, &command.run(), Yes);
    }
    // In a build within: its output comes back.
    let nested = ci
        .exec_script("pipefold step --step \"$HOSTILE\" --now -- true")
        .env("HOSTILE", TEXT);
    assert_output("within exec", &nested.run(), No);
    let flags = fields(TEXT).into_iter().filter(|flag| flag.starts_with("--head"));
    assert_output("exec", &ci.report(["exec"]).args(flags).args(["--", "true"]).run(), No);
}
