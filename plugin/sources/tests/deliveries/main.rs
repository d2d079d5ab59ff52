//! Deliveries of CI systems and the notifications that they give, a module a system.
//!
//! The samples are written by hand in the form that the systems document. [`support::published`] reads those of other projects, which are not
//! in the repository.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

mod bitbucket;
mod buildkite;
mod circleci;
mod forgejo;
mod gitea;
mod github;
mod gitlab;
mod support;
