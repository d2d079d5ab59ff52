//! One module a system: the variables that it sets, and where in its file the scripts are.

pub mod argo;
pub mod azure_pipelines;
pub mod bitbucket;
pub mod buildkite;
pub mod circleci;
pub mod codebuild;
pub mod concourse;
pub mod drone;
pub mod github_actions;
pub mod gitlab;
pub mod gocd;
pub mod jenkins;
pub mod jenkins_plain;
pub mod tekton;
pub mod woodpecker;

/// The commit that all of them build.
pub const COMMIT: &str = "4f2e9c1d8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d";
