//! The mappings, one file a CI system.

mod actions;
mod azure;
mod bitbucket;
mod buildkite;
mod cdevents;
mod circleci;
mod cloud_event;
mod drone;
mod forgejo;
mod gitea;
mod github;
mod gitlab;
mod jenkins;
mod teamcity;
mod tekton;

use crate::event::{Event, Translated};

/// A CI system whose deliveries can be translated.
#[derive(Clone, Copy)]
pub struct System {
    /// The name that the setting `use` has.
    pub name: &'static str,
    pub(crate) translate: fn(&Event<'_>) -> Translated,
}

/// All systems, by name.
pub static ALL: &[System] = &[
    azure::AZURE,
    bitbucket::BITBUCKET,
    buildkite::BUILDKITE,
    cdevents::CDEVENTS,
    circleci::CIRCLECI,
    drone::DRONE,
    forgejo::FORGEJO,
    gitea::GITEA,
    github::GITHUB,
    gitlab::GITLAB,
    jenkins::JENKINS,
    teamcity::TEAMCITY,
    tekton::TEKTON,
];
