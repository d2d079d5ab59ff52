//! A fleet: runners and gateways publish into a NATS stream, forwarders fold what is in it and tell DX.
//!
//! The servers are brought up by the tests. Where there is no nats-server to be had, they say so and are counted as skipped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod accepted;
mod backlog;
mod behind;
mod certificates;
mod delivery;
mod doctor;
mod expected;
mod forwarder;
mod full;
mod gateway;
mod hostile;
mod liar;
mod load;
mod many_refused;
mod outage;
mod pace;
mod place;
mod queue_commands;
mod refused;
mod retries;
mod rights;
mod rounds;
mod secrets;
mod trouble;
