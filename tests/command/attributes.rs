//! Attributes: where they come from, what is recorded, and that DX gets none.

use std::fs;

use pipefold_tests::{Ci, SpoolContent};
use serde_json::{Value, json};

/// The recorded attributes of each notification of a hook, in any order.
fn recorded(ci: &Ci, hook: &str) -> Vec<Value> {
    let records = SpoolContent::read(&ci.spool()).records;
    let of_hook = records.iter().filter(|record| record.hook() == hook);
    of_hook
        .map(|record| record.json["notification"]["attributes"].clone())
        .collect()
}

fn assert_dx_got_none(ci: &Ci) {
    for request in ci.dx.requests() {
        let body = request.json().to_string();
        assert!(!body.contains("attributes") && !body.contains("payments"), "{body}");
    }
}

#[test]
fn a_flag_beats_the_variable_which_beats_the_files_for_each_key() {
    let ci = Ci::new();
    ci.operator("[attributes]\nteam = \"operator\"\nsite = \"berlin\"\nrack = 7\n");
    let workspace = "[attributes]\nteam = \"workspace\"\nqueue = \"workspace\"\nsite = \" \"\nbuild.tool = \"make\"\n";
    fs::write(ci.workspace().join("pipefold.toml"), workspace).unwrap();
    let output = ci
        .report(["start", "--attribute", "team=payments", "--attribute", "note=a=b, c"])
        .env("PIPEFOLD_ATTRIBUTES", "team=variable\nqueue=variable\r\n")
        .run();
    output.assert_code(0);
    assert_eq!(output.stderr(), "");
    let expected = json!({
        "team": "payments", "note": "a=b, c", "queue": "variable", "site": "berlin", "rack": "7", "build.tool": "make",
    });
    assert_eq!(recorded(&ci, "start"), [expected]);
    assert_eq!(ci.dx.requests().len(), 1);
    assert_dx_got_none(&ci);
}

#[test]
fn steps_within_an_exec_have_those_of_the_exec() {
    let ci = Ci::new();
    let script = "pipefold step --step a -- true; pipefold step --step b --attribute team=web --status success";
    let output = ci
        .exec_script(script)
        .env("PIPEFOLD_ATTRIBUTES", "team=payments\nqueue=fast")
        .run();
    output.assert_code(0);
    let steps = recorded(&ci, "step");
    assert_eq!(steps.len(), 2, "{output}");
    for expected in [
        json!({"team": "payments", "queue": "fast"}),
        json!({"team": "web", "queue": "fast"}),
    ] {
        assert!(steps.contains(&expected), "{steps:?}");
    }
    // Also if only a flag or a file of the `exec` gives them.
    ci.operator("[attributes]\nteam = \"a\"\nqueue = \"b\"\n");
    let script = "test \"$PIPEFOLD_ATTRIBUTES\" = \"$(printf 'queue=b\\nteam=a')\"";
    ci.exec_script(script).run().assert_code(0);
    assert_dx_got_none(&ci);
}

#[test]
fn wrong_ones_are_left_out_one_by_one() {
    let ci = Ci::new();
    let mut arguments = vec!["start".to_owned()];
    for text in [
        "team=payments",
        "Team=a",
        "long",
        "note=a\tb",
        &format!("x={}", "v".repeat(1025)),
    ] {
        arguments.extend(["--attribute".into(), text.into()]);
    }
    let output = ci.report(&arguments).run();
    output.assert_code(0);
    insta::assert_snapshot!(ci.neutral(&output.stderr()));
    assert_eq!(recorded(&ci, "start"), [json!({"team": "payments"})]);
    let strict = ci.report(&arguments).env("PIPEFOLD_STRICT", "true").run();
    strict.assert_code(2);

    // Too many: the first by key are kept.
    let ci = Ci::new();
    let lines: Vec<String> = (0..40).map(|number| format!("k{number:02}=v")).collect();
    let output = ci.report(["start"]).env("PIPEFOLD_ATTRIBUTES", lines.join("\n")).run();
    output.assert_code(0);
    assert!(
        output.stderr().contains("40 attributes; at most 32 are allowed"),
        "{output}"
    );
    let kept = recorded(&ci, "start");
    let kept: Vec<&String> = kept[0].as_object().unwrap().keys().collect();
    assert_eq!((kept.len(), kept[31].as_str()), (32, "k31"));
}

#[test]
fn files_with_attributes_that_cannot_be_used() {
    let ci = Ci::new();
    let with = |toml: &str| {
        ci.operator(toml);
        ci.neutral(&ci.report(["start"]).run().stderr())
    };
    let messages = [
        with("attributes = \"team=payments\"\n"),
        with("[attributes]\nteam = [\"a\"]\n"),
        with("[attribute]\nteam = \"a\"\n"),
        with("[attributes]\n\"a b\" = \"c\"\n"),
    ];
    insta::assert_snapshot!("attribute_files", messages.concat());
}

#[test]
fn they_are_no_part_of_the_request_and_doctor_shows_them() {
    let ci = Ci::new();
    let output = ci
        .report(["start", "--attribute", "team=payments", "--dry-run", "--json"])
        .run();
    output.assert_code(0);
    assert_eq!(output.json()["body"]["attributes"], Value::Null, "{output}");
    let long = format!("{}=v", "k".repeat(30));
    let doctor = ["doctor", "--attribute", "team=payments", "--attribute", &long];
    let page = ci
        .report(doctor)
        .env("PIPEFOLD_ATTRIBUTES", "queue=fast")
        .run()
        .stdout();
    let section = page
        .split("\n\n")
        .find(|section| section.starts_with("Attributes"))
        .unwrap();
    insta::assert_snapshot!("doctor", section);
    let answer = ci.report(doctor.into_iter().chain(["--json"])).run().json();
    assert_eq!(
        answer["attributes"][1],
        json!({"key": "team", "value": "payments", "from": "--attribute"})
    );
}
