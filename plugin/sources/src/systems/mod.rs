//! The mappings, one file a CI system.

mod actions;
mod bitbucket;
mod buildkite;
mod circleci;
mod forgejo;
mod gitea;
mod github;
mod gitlab;

use crate::event::{Event, Translated};

/// A CI system whose deliveries can be translated.
#[derive(Clone, Copy)]
pub struct System {
    /// The name that the setting `use` has.
    pub name: &'static str,
    pub(crate) translate: fn(&Event<'_>) -> Translated,
}

/// All of them, by name.
pub static ALL: &[System] = &[
    bitbucket::BITBUCKET,
    buildkite::BUILDKITE,
    circleci::CIRCLECI,
    forgejo::FORGEJO,
    gitea::GITEA,
    github::GITHUB,
    gitlab::GITLAB,
];
