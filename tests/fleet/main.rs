//! A fleet: runners and gateways publish into a NATS stream, forwarders fold its messages and send them to DX.
//!
//! The tests start the servers. Without nats-server they count as skipped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../host/sandbox/tests/guests/mod.rs"]
mod guests;
#[allow(dead_code, reason = "the sandbox's own tests bend more of a guest")]
#[path = "../../host/sandbox/tests/hostile/module.rs"]
mod module;
#[allow(dead_code, reason = "other policies are for other tests")]
#[path = "../policies/place.rs"]
mod redacting;

mod accepted;
mod backlog;
mod behind;
mod certificates;
mod delivery;
mod doctor;
mod forwarder;
mod full;
mod gateway;
mod hostile;
mod jobs;
mod liar;
mod load;
mod many_refused;
mod outage;
mod pace;
mod place;
mod policies;
mod queue_commands;
mod refused;
mod retries;
mod rights;
mod rounds;
mod secrets;
mod trouble;
