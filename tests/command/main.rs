//! The command as a person and a CI system meet it: flags, settings, output, exit codes, signals, secrets.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accounts;
mod attributes;
mod bad_input;
mod boundaries;
mod children;
mod compiled_code;
mod doctor;
mod dry_run;
mod environ;
mod exec;
mod hook;
mod local;
mod messages;
mod misbehaving_dx;
mod packages;
mod page_example;
mod secrets;
mod settings;
mod signals;
mod sources;
mod statuses;
mod streams;
mod tools;
mod wit_version;
mod wording;
