//! Deliveries of CI systems and the notifications that they give, a module a system.
//!
//! The samples are written by hand in the form that the systems document. [`support::published`] reads those of other projects, which are not
//! in the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod azure;
mod bitbucket;
mod buildkite;
mod cdevents;
mod circleci;
mod drone;
mod forgejo;
mod gitea;
mod github;
mod gitlab;
mod jenkins;
mod rules;
mod support;
mod teamcity;
mod tekton;
