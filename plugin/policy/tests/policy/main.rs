//! The built-in policy, called natively: verbs, faults of rules, and what holds for any notification.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod generated;
mod support;
mod verbs;
