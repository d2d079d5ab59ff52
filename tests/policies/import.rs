//! An import asks the policies about each row, as a report does.

use std::path::Path;

use crate::place::{EMAIL, SECRET, discard_starts, hold_finishes, redact, renaming_steps, trap, under, write};
use pipefold_tests::{Ci, Output};

fn import(ci: &Ci, policy: &Path) -> Output {
    let rows = format!(
        "pipeline_name,pipeline_source,reference_id,started_at,status,email,step\n\
         web,ci,r,2025-01-01T12:00:00Z,success,{SECRET},\nweb,ci,r,2025-01-01T12:00:00Z,success,{SECRET},lint\n"
    );
    std::fs::write(ci.workspace().join("h.csv"), rows).unwrap();
    ci.pipefold(["import", "h.csv", "--rate", "1000", "--json"])
        .args(under(policy))
        .run()
}

#[test]
fn what_a_policy_takes_out_is_not_sent() {
    let ci = Ci::new();
    import(&ci, &write(&ci, "redact.wasm", &redact(EMAIL))).assert_code(0);
    assert_eq!(ci.record_of("r").get("email"), None);
    assert!(
        ci.dx
            .requests()
            .iter()
            .all(|request| !String::from_utf8_lossy(&request.body).contains(SECRET))
    );
}

#[test]
fn a_dropped_row_is_counted_and_a_held_or_unjudged_one_is_refused() {
    let ci = Ci::new();
    let output = import(&ci, &write(&ci, "drop.wasm", &discard_starts()));
    output.assert_code(0);
    assert_eq!(output.json()["dropped"], 1, "{output}");
    assert!(ci.dx.records().is_empty());
    // The job's run is not in DX.
    std::fs::remove_file(ci.workspace().join("h.csv.refused.csv")).unwrap();
    for (policy, why) in [(hold_finishes(), "a policy held it"), (trap(), "policy trap")] {
        let name = if why == "policy trap" { "trap.wasm" } else { "hold.wasm" };
        let output = import(&ci, &write(&ci, name, &policy));
        let path = ci.workspace().join("h.csv.refused.csv");
        let refused = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{output}"));
        assert!(refused.contains(why), "{refused}");
        std::fs::remove_file(path).unwrap();
        assert!(ci.dx.records().is_empty());
    }
}

#[test]
fn a_policy_may_rename_a_job() {
    let ci = Ci::new();
    import(&ci, &write(&ci, "rename.wasm", &renaming_steps())).assert_code(0);
    let jobs = ci.dx.jobs("r");
    assert!(jobs.len() == 1 && jobs[0].name != "lint", "{jobs:?}");
}
