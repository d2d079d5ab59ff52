//! Bamboo ("Bamboo variables" in its documentation; a script sees them with `_` for `.`).

use crate::detect::system::Source::Var;
use crate::detect::system::System;

pub(super) const BAMBOO: System = System {
    name: "Bamboo",
    id: "bamboo",
    marks: &[&["bamboo_planKey"], &["bamboo_buildKey"], &["bamboo_buildNumber"]],
    pipeline: &[Var("bamboo_planName"), Var("bamboo_planKey")],
    workflow: &[Var("bamboo_planKey")],
    job: &[Var("bamboo_shortJobName")],
    scope: &[Var("bamboo_planKey")],
    run: &[Var("bamboo_buildNumber")],
    repository: &[
        Var("bamboo_planRepository_repositoryUrl"),
        Var("bamboo_repository_git_repositoryUrl"),
    ],
    sha: &[
        Var("bamboo_planRepository_revision"),
        Var("bamboo_repository_revision_number"),
    ],
    pr: &[Var("bamboo_repository_pr_key")],
    url: &[Var("bamboo_resultsUrl"), Var("bamboo_buildResultsUrl")],
    branch: &[
        Var("bamboo_repository_pr_sourceBranch"),
        Var("bamboo_planRepository_branch"),
        Var("bamboo_planRepository_branchName"),
        Var("bamboo_repository_branch_name"),
    ],
    // Often a login: then it is no address.
    email: &[Var("bamboo_ManualBuildTriggerReason_userName")],
    ..System::NONE
};
