//! Answers of the right type that no plugin may give.

use crate::{
    asking::{merge, patient},
    image::{
        EMAIL, FINISHED_AT, HEAD_BRANCH, Image, PIPELINE_NAME, PIPELINE_SOURCE, PR_NUMBER, REASON, REFERENCE_ID,
        STARTED_AT,
    },
    isolated::hostile,
};

/// The answer of `merge` has no verdict around its run, which so begins 8 bytes earlier.
fn merged(reference_id: &[u8]) -> String {
    let image = Image::empty().text(REFERENCE_ID - 8, reference_id);
    merge(patient(), "(i32.const 1024)", &image.data())
}

hostile! {
    another_reference_id; Image::report().text(REFERENCE_ID, b"r/2").told()
        => "plugin guest: step gave a bad answer: it answers for another reference_id than it was asked about";
    no_reference_id; Image::report().text(REFERENCE_ID, b"").told()
        => "plugin guest: step gave a bad answer: it answers for another reference_id than it was asked about";
    no_pipeline_name; Image::report().text(PIPELINE_NAME, b"").told()
        => "plugin guest: step gave a bad answer: its run lacks pipeline_name";
    a_blank_pipeline_source; Image::report().text(PIPELINE_SOURCE, b" \t").told()
        => "plugin guest: step gave a bad answer: its run lacks pipeline_source";
    no_start; Image::report().text(STARTED_AT, b"").told()
        => "plugin guest: step gave a bad answer: its run lacks started_at";
    a_start_that_is_no_time; Image::report().text(STARTED_AT, b"yesterday").told()
        => r#"plugin guest: step gave a bad answer: its time "yesterday" is not RFC 3339 in UTC with Z"#;
    a_finish_in_another_zone; Image::report().option(FINISHED_AT, b"2025-01-01T12:05:00+01:00").told()
        => r#"plugin guest: step gave a bad answer: its time "2025-01-01T12:05:00+01:00" is not RFC 3339 in UTC with Z"#;
    a_pull_request_below_one; Image::report().byte(PR_NUMBER, 1).told()
        => "plugin guest: step gave a bad answer: its pr_number is below 1";
    an_email_of_5000_bytes; Image::report().option(EMAIL, &[b'x'; 5000]).told()
        => "plugin guest: step gave a bad answer: its email has 5000 bytes; 4096 are allowed";
    a_name_of_60_kb; Image::report().pointer(PIPELINE_NAME, 0x2_0000, 60_000).told()
        => "plugin guest: step gave a bad answer: its pipeline_name has 60000 bytes; 4096 are allowed";
    a_branch_that_clears_the_screen; Image::report().option(HEAD_BRANCH, b"\x1b[2J").told()
        => "plugin guest: step gave a bad answer: its head_branch has control characters";
    a_time_that_clears_the_screen; Image::report().text(STARTED_AT, b"\x1b[2J").told()
        => "plugin guest: step gave a bad answer: its started_at has control characters";
    a_reason_of_2000_bytes; Image::discard(&[b'x'; 2000]).told()
        => "plugin guest: step gave a bad answer: its reason for a discard has 2000 bytes; 1024 are allowed";
    a_reason_of_60_kb; Image::discard(b"").pointer(REASON, 0x2_0000, 60_000).told()
        => "plugin guest: step gave a bad answer: its reason for a discard has 60000 bytes; 1024 are allowed";
    a_reason_that_forges_a_line; Image::discard(b"ok\n::error::forged").told()
        => "plugin guest: step gave a bad answer: its reason for a discard has control characters";
    no_reason; Image::discard(b"").told() => r#"Discard("")"#;

    a_merge_into_another_run; merged(b"r/2") => "plugin guest: merge gave a bad answer: it answers for another reference_id than it was asked about";
    a_merge_without_a_name; merged(b"r/1") => "plugin guest: merge gave a bad answer: its run lacks pipeline_name";
}
