//! Hostile text in the names and contents of files.

use std::fs;

use pipefold_tests::Ci;
use serde_json::json;

use crate::Shown::{No, Perhaps, Yes};
use crate::{TEXT, assert_output, assert_safe, check, lines};

/// As part of a name.
fn name() -> String {
    lines().replace('/', "_")
}

#[test]
fn names() {
    let ci = Ci::new();
    let place = ci.directory().join(name());
    fs::create_dir(&place).unwrap();
    let file = place.join(name());
    fs::write(&file, name()).unwrap();
    let rows = [
        ("exec --policy=@ -- true", Yes),
        ("start --policy=@.missing", Yes),
        ("start --policy=@@sha256:0", Yes),
        ("doctor --policy=@", Yes),
        ("doctor --json --policy=@", Yes),
        ("status --policy=@", Yes),
        ("status --json --policy=@", Yes),
        ("component inspect @", Yes),
        ("component inspect --json @", Yes),
        ("component inspect @.missing", Yes),
        ("component compile @", Yes),
        ("component compile --policy-cache=@ @", Yes),
        ("start --spool=@", Yes),
        ("start --token-file=@.missing", Perhaps),
        ("start --ca-file=@ --dx-url=https://127.0.0.1:1", Yes),
        ("start --queue=nats://127.0.0.1:1 --queue-credentials=@", Yes),
        ("flush --import=@.missing", Yes),
        ("flush --import=@", Yes),
        ("flush --export=@", Yes),
        ("flush --export=@.made", Yes),
        ("token list --data-dir=@", Yes),
        ("serve --data-dir=@", Yes),
        ("serve --data-dir=@.data --tls-cert=@ --tls-key=@", Yes),
        ("gocd sync --server=http://127.0.0.1:1/go --state=@", Yes),
    ];
    check(&ci, file.to_str().unwrap(), &rows);
    let rows = [
        ("status --spool=@", Yes),
        ("status --json --spool=@", Yes),
        ("doctor --spool=@", Yes),
    ];
    check(&ci, place.to_str().unwrap(), &rows);
    let config = [format!("--config={}", file.display()), "status".into()];
    let output = ci.program(pipefold_tests::binary("pipefold")).args(config).run();
    assert_output("--config", &output, Yes);
    let local = ci.pipefold(["doctor", "--local"]).cwd(&place).run();
    assert_output("the working directory", &local, Perhaps);
}

#[test]
fn contents() {
    let ci = Ci::new();
    let wrong = json!({ "pipeline_name": TEXT, "status": lines(), "started_at": TEXT, lines(): lines() }).to_string();
    let import = ci.directory().join("import");
    fs::write(&import, format!("{}\n{wrong}\n{{\"id\":\"{TEXT}\"}}\n", lines())).unwrap();
    check(&ci, import.to_str().unwrap(), &[("flush --import=@", No)]);
    for hook in ["start", "step", "finish", "merge"] {
        for question in [
            &wrong,
            &format!("[{wrong}]"),
            &json!({ "pr_number": lines() }).to_string(),
            &lines(),
        ] {
            let output = ci.pipefold(["hook", hook]).stdin(question.as_bytes()).run();
            assert_output(hook, &output, Perhaps);
        }
    }
}

#[test]
fn settings() {
    let rows = [
        (format!("\"{}\" = 1", TEXT), Yes),
        (format!("nasty = {}", lines()), Perhaps),
        (format!("pipeline_name = '''{TEXT}'''\nhead_branch = '''{TEXT}'''"), Yes),
        (format!("spool_limit = '''{TEXT}'''"), Perhaps),
        (format!("failure = '''{TEXT}'''"), Perhaps),
        (format!("[templates]\nreference_id = '''{{{TEXT}}}{{run}}'''"), Yes),
        (format!("[templates]\nreference_id = '''{TEXT}{{run}}'''"), Yes),
        (format!("[[policy]]\nname = '''{TEXT}'''\nfile = '''{TEXT}'''"), Yes),
        (
            format!("[[policy]]\nfile = '''{TEXT}'''\ngrants = ['''{TEXT}''']"),
            Perhaps,
        ),
        (
            format!("[[gocd.server]]\nname = '''{TEXT}'''\nurl = '''{TEXT}'''"),
            Perhaps,
        ),
        (
            format!("dx_url = '''{TEXT}'''\nca_file = '''{TEXT}'''\nspool = '''{TEXT}'''"),
            Perhaps,
        ),
    ];
    for (toml, shown) in rows {
        let ci = Ci::new();
        ci.operator(&toml);
        check(
            &ci,
            "",
            &[
                ("start --strict", Perhaps),
                ("status", Perhaps),
                ("gocd sync", Perhaps),
                ("gocd sync other", Perhaps),
            ],
        );
        for line in ["doctor", "doctor --json"] {
            let output = ci.program(pipefold_tests::binary("pipefold"));
            let file = ci.operator_file().into_os_string();
            let output = output
                .args(["--config".into(), file])
                .args(line.split(' '))
                .args(["--local"])
                .run();
            assert_output(&format!("{line}: {toml}"), &output, shown);
        }
    }
}

#[test]
fn what_lies_in_the_spool() {
    let ci = Ci::new();
    ci.report(["start"]).run().assert_code(0);
    let runs = ci.spool().join("runs");
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let short: String = name().chars().take(140).collect();
    fs::write(run.join(&short), "x").unwrap();
    fs::write(runs.join(&short), "x").unwrap();
    let outputs = ["status", "flush -vvv", "status --json", "doctor", "finish -v"].map(|line| {
        let output = crate::command(&ci, line, "").run();
        assert_output(line, &output, Perhaps);
        output.stdout() + &output.stderr()
    });
    let shown = outputs.concat();
    assert_safe("all", &shown);
    assert!(shown.contains(crate::MARK), "{shown}");
}
