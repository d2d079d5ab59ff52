//! Answers of the right type that no plugin may give.

use crate::hostile::{
    asking::{merge, patient},
    image::*,
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
    no_pipeline_name; Image::report().text(PIPELINE_NAME, b"").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: pipeline_name: required, but absent or blank; give the pipeline's name, such as integration_tests";
    a_blank_pipeline_source; Image::report().text(PIPELINE_SOURCE, b" \t").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: pipeline_source: required, but absent or blank; give the CI system that runs it, such as Tekton";
    a_name_that_shows_nothing; Image::report().text(PIPELINE_NAME, "\u{200b}\u{feff}".as_bytes()).told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: pipeline_name: required, but absent or blank; give the pipeline's name, such as integration_tests";
    no_start; Image::report().text(STARTED_AT, b"").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: started_at: required, but absent or blank; give the time it began in ISO 8601, such as 2025-01-01T12:05:00Z";
    a_start_that_is_no_time; Image::report().text(STARTED_AT, b"yesterday").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: started_at: \"yesterday\" is not an ISO 8601 timestamp; give ISO 8601, such as 2025-01-01T12:05:00Z";
    a_day_that_does_not_exist; Image::report().text(STARTED_AT, b"2025-02-30T12:05:00Z").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: started_at: \"2025-02-30T12:05:00Z\" is not a valid date; give ISO 8601, such as 2025-01-01T12:05:00Z";
    a_time_of_nines; Image::report().text(STARTED_AT, b"9999-99-99T99:99:99Z").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: started_at: \"9999-99-99T99:99:99Z\" is not a valid date; give ISO 8601, such as 2025-01-01T12:05:00Z";
    a_finish_before_its_start; Image::report().option(FINISHED_AT, b"2025-01-01T12:04:00Z").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: finished_at: \"2025-01-01T12:04:00Z\" is before the start \"2025-01-01T12:05:00Z\"; give a finish at or after the start of the same notification";
    a_finish_in_another_zone; Image::report().option(FINISHED_AT, b"2025-01-01T14:05:00+01:00").told_as_policy()
        => "Report(Report { run: Run { pipeline_name: \"build\", pipeline_source: \"Tekton\", reference_id: \"r/1\", started_at: \"2025-01-01T12:05:00Z\", finished_at: Some(\"2025-01-01T13:05:00Z\"), status: Unknown, repository: None, commit_sha: None, pr_number: None, source_url: None, head_branch: None, email: None, github_username: None, gitlab_username: None, attributes: [] }, jobs: [] })";
    a_commit_without_a_repository; Image::report().option(COMMIT_SHA, b"abc").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: repository: absent or blank, but required with commit_sha; give the repository's full name, such as getdx/some_repo";
    a_pull_request_below_one; Image::report().byte(PR_NUMBER, 1).told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: repository: absent or blank, but required with pr_number; give the repository's full name, such as getdx/some_repo; pr_number: 0 is not a pull request's number; expected 1 or greater";
    an_email_of_5000_bytes; Image::report().option(EMAIL, &[b'x'; 5000]).told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: email: 5000 bytes long; at most 4096 are allowed: shorten it";
    a_name_of_60_kb; Image::report().pointer(PIPELINE_NAME, 0x2_0000, 60_000).told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: pipeline_name: 60000 bytes long; at most 4096 are allowed: shorten it";
    a_branch_that_clears_the_screen; Image::report().option(HEAD_BRANCH, b"\x1b[2J").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: head_branch: has the control character U+001B at byte 0; remove it: text must be printable";
    a_time_that_clears_the_screen; Image::report().text(STARTED_AT, b"\x1b[2J").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: started_at: has the control character U+001B at byte 0; remove it: text must be printable";
    a_job_without_a_name; Image::job().text(JOB_NAME, b" ").told_as_policy()
        => "policy guest: step gave a bad answer: a job in its report has no name";
    a_job_of_60_kb; Image::job().pointer(JOB_NAME, 0x2_0000, 60_000).told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: step: 60000 bytes long; at most 4096 are allowed: shorten it";
    a_job_that_clears_the_screen; Image::job().text(JOB_NAME, b"\x1b[2J").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: step: has the control character U+001B at byte 0; remove it: text must be printable";
    a_job_that_starts_never; Image::job().option(JOB_STARTED_AT, b"never").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: started_at: \"never\" is not an ISO 8601 timestamp; give ISO 8601, such as 2025-01-01T12:05:00Z";
    a_job_that_ends_before_it_starts; Image::job().option(JOB_STARTED_AT, b"2025-01-02").option(JOB_FINISHED_AT, b"2025-01-01").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: finished_at: \"2025-01-01\" is before the start \"2025-01-02\"; give a finish at or after the start of the same notification";
    an_attribute_with_a_space; Image::attribute(b"a b", b"x").told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: attributes: \"a b\" is not an attribute's key; give 1 to 64 of a-z, 0-9, dot, underscore and hyphen";
    an_attribute_of_2000_bytes; Image::attribute(b"a", &[b'x'; 2000]).told_as_policy()
        => "policy guest: step gave a bad answer: the rules refuse its report: attributes: \"a\": 2000 bytes long; at most 1024 are allowed: shorten it";
    a_reason_of_2000_bytes; Image::discard(&[b'x'; 2000]).told()
        => "plugin guest: step gave a bad answer: its reason for a discard has 2000 bytes; 1024 are allowed";
    a_reason_of_60_kb; Image::discard(b"").pointer(REASON, 0x2_0000, 60_000).told()
        => "plugin guest: step gave a bad answer: its reason for a discard has 60000 bytes; 1024 are allowed";
    a_reason_that_forges_a_line; Image::discard(b"ok\n::error::forged").told()
        => "plugin guest: step gave a bad answer: its reason for a discard has control characters";
    no_reason; Image::discard(b"").told() => r#"Discard("")"#;

    a_merge_into_another_run; merged(b"r/2") => "plugin guest: merge gave a bad answer: it answers for another reference_id than it was asked about";
}
