//! Limits of refusals, which are printed in a build's log.

use crate::hostile::{
    image::{Image, VIOLATIONS},
    isolated::hostile,
};

hostile! {
    a_refusal_of_what_the_rules_accept; Image::refusal(7, b"email", b"not ours").told_as_policy()
        => "policy guest: step gave a bad answer: it refuses what the rules accept: email: not ours";
    no_violation_at_all; Image::refusal(0, b"", b"").pointer(VIOLATIONS, 1024, 0).told()
        => "plugin guest: step gave a bad answer: its refusal names no violation";
    one_violation_too_many; Image::refusal(0, b"", b"").pointer(VIOLATIONS, 0x2_0000, 102).told()
        => "plugin guest: step gave a bad answer: its refusal names 102 violations; 101 are allowed";
    three_thousand_violations; Image::refusal(0, b"", b"").pointer(VIOLATIONS, 0x2_0000, 3000).told()
        => "plugin guest: step gave a bad answer: its refusal names 3000 violations; 101 are allowed";
    a_message_of_1025_bytes; Image::refusal(0, b"email", &[b'x'; 1025]).told()
        => "plugin guest: step gave a bad answer: its message of a refusal has 1025 bytes; 1024 are allowed";
    a_field_of_65_bytes; Image::refusal(0, &[b'x'; 65], b"no").told()
        => "plugin guest: step gave a bad answer: its name of a refused field has 65 bytes; 64 are allowed";
    a_message_that_clears_the_screen; Image::refusal(0, b"email", b"\x1b[2J").told()
        => "plugin guest: step gave a bad answer: its message of a refusal has control characters";
    a_field_that_forges_a_line; Image::refusal(0, b"email\n::error::forged", b"no").told()
        => "plugin guest: step gave a bad answer: its name of a refused field has control characters";
}
