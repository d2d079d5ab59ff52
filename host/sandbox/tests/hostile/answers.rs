//! Answers that are not values of the type, or larger than a host accepts.

use crate::hostile::{
    asking::{Scene, event, in_words, step, step_of},
    image::*,
    isolated::{from_here, hostile},
    module::Module,
};
use wit_component::StringEncoding;

/// Bytes of a MiB.
const MIB: u32 = 1 << 20;

/// A guest that grows its memory to 64 MiB, fills this number of bytes from 1 MiB on, and answers with this image.
fn large(image: &Image, fill: u32, bytes: u32) -> Module {
    let step = format!(
        "(drop (memory.grow (i32.const 1022)))
         (memory.fill (i32.const {MIB}) (i32.const {fill}) (i32.const {bytes}))
         (i32.const 1024)"
    );
    Module::step(&step, &image.data())
}

/// A discard with a reason of this number of code units, all of this byte, in an encoding other than UTF-8.
fn encoded(encoding: StringEncoding, byte: u32, units: u32) -> String {
    let module = large(&Image::discard(b"").pointer(REASON, MIB, units), byte, 32 * MIB);
    let component = module.plugin_in(encoding);
    let scene = Scene::new();
    let plugin = scene.plugin(&component);
    from_here();
    in_words(scene.call(scene.sandbox.limits().hook, || plugin.step(&event())))
}

/// A refusal with this number of violations, each with a message of this number of bytes, all over the same memory.
fn overlapping(violations: u32, bytes: u32) -> String {
    let step = format!(
        "(local $i i32)
         (drop (memory.grow (i32.const 1000)))
         (loop
            (i32.store (i32.add (i32.const {}) (i32.mul (local.get $i) (i32.const 20))) (i32.const {}))
            (i32.store (i32.add (i32.const {}) (i32.mul (local.get $i) (i32.const 20))) (i32.const {bytes}))
            (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {violations}))))
         (i32.const 1024)",
        MIB + 12,
        30 * MIB,
        MIB + 16
    );
    let image = Image::refusal(0, b"", b"").pointer(VIOLATIONS, MIB, violations);
    step_of(&Module::step(&step, &image.data()))
}

hostile! {
    an_honest_report; Image::report().told()
        => r#"Report(Report { run: Run { pipeline_name: "build", pipeline_source: "Tekton", reference_id: "r/1", started_at: "2025-01-01T12:05:00Z", finished_at: None, status: Unknown, repository: None, commit_sha: None, pr_number: None, source_url: None, head_branch: None, email: None, github_username: None, gitlab_username: None, attributes: [] }, jobs: [] })"#;
    text_that_is_no_utf8; Image::report().text(PIPELINE_NAME, b"bu\xffld").told()
        => "plugin guest: step gave a bad answer: invalid utf-8 sequence of 1 bytes from index 2";
    a_surrogate_in_utf8; Image::discard(b"\xed\xa0\x80").told()
        => "plugin guest: step gave a bad answer: invalid utf-8 sequence of 1 bytes from index 0";
    an_honest_job; Image::job().byte(JOB_STATUS, 2).told()
        => r#"Report(Report { run: Run { pipeline_name: "build", pipeline_source: "Tekton", reference_id: "r/1", started_at: "2025-01-01T12:05:00Z", finished_at: None, status: Unknown, repository: None, commit_sha: None, pr_number: None, source_url: None, head_branch: None, email: None, github_username: None, gitlab_username: None, attributes: [] }, jobs: [Job { reference_id: "j", name: "lint", status: Success, started_at: None, finished_at: None }] })"#;
    a_job_whose_status_does_not_exist; Image::job().byte(JOB_STATUS, 5).told()
        => "plugin guest: step gave a bad answer: unexpected discriminant: 5";
    jobs_past_the_end; Image::job().pointer(JOBS, 0x4_0000 - 8, 1).told()
        => "plugin guest: step gave a bad answer: list pointer/length out of bounds of memory";
    a_hundred_million_jobs; Image::job().pointer(JOBS, 1024, 100_000_000).told()
        => "plugin guest: step gave a bad answer: list pointer/length out of bounds of memory";
    a_job_of_4_gb; Image::job().pointer(JOB_NAME, 0, u32::MAX).told()
        => "plugin guest: step gave a bad answer: string pointer/length out of bounds of memory";
    a_result_that_is_neither; Image::report().byte(0, 7).told()
        => "plugin guest: step gave a bad answer: invalid expected discriminant";
    a_verdict_that_does_not_exist; Image::report().byte(VERDICT, 3).told()
        => "plugin guest: step gave a bad answer: unexpected discriminant: 3";
    a_status_that_does_not_exist; Image::report().byte(STATUS, 5).told()
        => "plugin guest: step gave a bad answer: unexpected discriminant: 5";
    an_option_that_is_neither; Image::report().byte(EMAIL, 2).told()
        => "plugin guest: step gave a bad answer: invalid option discriminant";
    a_number_that_is_neither_there_nor_not; Image::report().byte(PR_NUMBER, 255).told()
        => "plugin guest: step gave a bad answer: invalid option discriminant";
    a_fault_that_does_not_exist; Image::refusal(9, b"email", b"no").told()
        => "plugin guest: step gave a bad answer: unexpected discriminant: 9";

    an_answer_past_the_end; step("(i32.const -8)", "")
        => "plugin guest: step gave a bad answer: pointer out of bounds of memory";
    an_answer_that_ends_past_the_end; step("(i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8))", "")
        => "plugin guest: step gave a bad answer: pointer out of bounds of memory";
    an_answer_that_is_not_aligned; step("(i32.const 1025)", "")
        => "plugin guest: step gave a bad answer: return pointer not aligned";
    a_text_past_the_end; Image::report().pointer(PIPELINE_NAME, 0x4_0000, 1).told()
        => "plugin guest: step gave a bad answer: string pointer/length out of bounds of memory";
    a_text_that_wraps_around; Image::report().pointer(PIPELINE_NAME, u32::MAX, 2).told()
        => "plugin guest: step gave a bad answer: string pointer/length out of bounds of memory";
    an_optional_text_past_the_end; Image::report().option(HEAD_BRANCH, b"").pointer(HEAD_BRANCH + 4, 0x4_0000 - 72, 73).told()
        => "plugin guest: step gave a bad answer: string pointer/length out of bounds of memory";
    a_list_past_the_end; Image::refusal(0, b"", b"").pointer(VIOLATIONS, 0x4_0000 - 4, 1).told()
        => "plugin guest: step gave a bad answer: list pointer/length out of bounds of memory";
    a_list_that_is_not_aligned; Image::refusal(0, b"", b"").pointer(VIOLATIONS, 1025, 1).told()
        => "plugin guest: step gave a bad answer: list pointer is not aligned";
    a_list_whose_size_overflows; Image::refusal(0, b"", b"").pointer(VIOLATIONS, 1024, 0x1000_0000).told()
        => "plugin guest: step gave a bad answer: list pointer/length out of bounds of memory";

    a_text_of_4_gb; Image::discard(b"").pointer(REASON, 0, u32::MAX).told()
        => "plugin guest: step gave a bad answer: string pointer/length out of bounds of memory";
    a_text_of_100_mb; Image::discard(b"").pointer(REASON, 0, 100_000_000).told()
        => "plugin guest: step gave a bad answer: string pointer/length out of bounds of memory";
    a_text_of_60_mib_that_is_there granted 64 << 20; step_of(&large(&Image::discard(b"").pointer(REASON, MIB, 60 * MIB), 0x78, 60 * MIB))
        => "plugin guest: step reached the limit of 32 MiB that may be handed to the host in one call";
    a_text_just_within_what_may_be_copied granted 64 << 20; step_of(&large(&Image::discard(b"").pointer(REASON, MIB, 32 * MIB), 0x78, 32 * MIB))
        => "plugin guest: step gave a bad answer: its reason for a discard has 33554432 bytes; 1024 are allowed";
    a_text_just_past_what_may_be_copied granted 64 << 20; step_of(&large(&Image::discard(b"").pointer(REASON, MIB, 32 * MIB + 1), 0x78, 32 * MIB + 1))
        => "plugin guest: step reached the limit of 32 MiB that may be handed to the host in one call";
    a_text_that_grows_when_decoded_from_utf16 granted 64 << 20; encoded(StringEncoding::UTF16, 0x08, 16 * MIB)
        => "plugin guest: step gave a bad answer: its reason for a discard has 50331648 bytes; 1024 are allowed";
    a_text_that_grows_when_decoded_from_latin1 granted 64 << 20; encoded(StringEncoding::CompactUTF16, 0xe9, 32 * MIB)
        => "plugin guest: step gave a bad answer: its reason for a discard has 67108864 bytes; 1024 are allowed";
    a_million_violations_over_the_same_bytes granted 64 << 20; overlapping(1_000_000, 1000)
        => "plugin guest: step reached the limit of 32 MiB that may be handed to the host in one call";
    ten_thousand_long_messages_over_the_same_bytes granted 64 << 20; overlapping(10_000, 100_000)
        => "plugin guest: step reached the limit of 32 MiB that may be handed to the host in one call";
    half_a_million_empty_violations granted 64 << 20; overlapping(500_000, 0)
        => "plugin guest: step gave a bad answer: its refusal names 500000 violations; 101 are allowed";
}
