//! The table of CI systems, one file a system, or a few that set each other's variables.
//!
//! To add one: a file with its entry ([`System`]), and its line in [`SYSTEMS`].

mod appveyor;
mod azure;
mod bamboo;
mod bitbucket;
mod bitrise;
mod buddy;
mod buildkite;
mod circleci;
mod cirrus;
mod cloudbuild;
mod codebuild;
mod codefresh;
mod concourse;
mod drone;
mod github;
mod gitlab;
pub mod gocd;
mod jenkins;
mod prow;
mod semaphore;
mod sourcehut;
mod teamcity;
mod travis;
mod vela;
mod woodpecker;
mod xcode;

use super::system::System;

/// The systems in the order they are asked. One that sets another's variables comes before it; those whose marks are the most usual names
/// come last. Tekton and Argo are not here: they set no variables, and their recipes pass `PIPEFOLD_…` in.
pub(super) const SYSTEMS: &[System] = &[
    github::FORGEJO,
    github::GITEA,
    github::GITHUB,
    woodpecker::WOODPECKER,
    sourcehut::SOURCEHUT,
    cirrus::CIRRUS,
    vela::VELA,
    xcode::XCODE_CLOUD,
    gitlab::GITLAB,
    circleci::CIRCLECI,
    buildkite::BUILDKITE,
    azure::AZURE_RELEASE,
    azure::AZURE,
    bitbucket::BITBUCKET,
    travis::TRAVIS,
    drone::HARNESS,
    drone::DRONE,
    teamcity::TEAMCITY,
    appveyor::APPVEYOR,
    semaphore::SEMAPHORE,
    bitrise::BITRISE,
    buddy::BUDDY,
    codefresh::CODEFRESH,
    bamboo::BAMBOO,
    gocd::GOCD,
    codebuild::CODEBUILD,
    prow::PROW,
    jenkins::JENKINS_X,
    concourse::CONCOURSE,
    jenkins::JENKINS,
    cloudbuild::CLOUDBUILD,
];
