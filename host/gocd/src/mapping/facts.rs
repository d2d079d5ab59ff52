//! The repository, commit, branch and committer of a run.

use std::collections::BTreeSet;

use pipefold::detect::{built_ref, repository_at};

use super::history::{Revisions, RunHistory, StageRun, Warning};
use super::settings::Pattern;
use crate::documents::{Changeset, Material, MaterialKind, Pipeline};

/// Repository, commit and branch of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub repository: Option<String>,
    pub commit_sha: Option<String>,
    pub head_branch: Option<String>,
    pub pr_number: Option<i64>,
    /// The author of the change, as the version control system has it.
    pub committer: Option<String>,
}

pub fn facts(history: &RunHistory, chosen: Option<&Pattern>, warnings: &mut Vec<Warning>) -> Facts {
    let Some(pipeline) = &history.pipeline else {
        return Facts::default();
    };
    let named = named(pipeline);
    let Some((repository, branch, changesets)) = material(pipeline, &named, chosen, warnings) else {
        let committer = only_committer(pipeline).filter(|change| is_of_run(change, history));
        return Facts {
            committer: committer.and_then(|change| change.user.clone()),
            ..Facts::default()
        };
    };
    let built = branch.map(built_ref).unwrap_or_default();
    let revision_of = |changes: &[Changeset]| changes.first().and_then(|change| change.revision.clone());
    // The same commit may be listed twice, as that of its branch and as that of its pull request.
    let is_same = |other: &&Named<'_>| other.0 == repository && revision_of(other.2) == revision_of(changesets);
    let twins = named.iter().filter(is_same);
    let pr_number = built.pr_number.or_else(|| {
        twins
            .filter_map(|(_, branch, _)| built_ref((*branch)?).pr_number)
            .next()
    });
    // The first is the one that was built, whatever the times are.
    let change = changesets.first();
    let of_run = change.filter(|change| is_of_run(change, history));
    if change.is_some() && of_run.is_none() {
        warnings.push(Warning::OtherRevision);
    }
    let revision = of_run.and_then(|change| change.revision.as_deref());
    let commit_sha = revision
        .filter(|revision| is_commit(revision))
        .map(str::to_ascii_lowercase);
    let committer = of_run.and_then(|change| change.user.clone());
    if built.is_merge && commit_sha.is_some() {
        warnings.push(Warning::TrialMerge {
            repository: repository.clone(),
        });
    } else if revision.is_some() && commit_sha.is_none() {
        warnings.push(Warning::NotACommit {
            repository: repository.clone(),
        });
    }
    Facts {
        repository: Some(repository),
        commit_sha: commit_sha.filter(|_| !built.is_merge),
        head_branch: built.branch,
        pr_number,
        committer,
    }
}

/// A repository with the branch and the changes of its material.
type Named<'p> = (String, Option<&'p str>, &'p [Changeset]);

/// Returns the git materials whose address names a repository.
fn named(pipeline: &Pipeline) -> Vec<Named<'_>> {
    let git = pipeline.materials.iter().filter_map(|material| match &material.kind {
        MaterialKind::Git { url, branch, .. } => {
            Some((repository_at(url)?, branch.as_deref(), material.changesets.as_slice()))
        }
        _ => None,
    });
    git.collect()
}

/// Returns the material that names the repository, with its branch and its changes.
fn material<'p>(
    pipeline: &Pipeline,
    named: &[Named<'p>],
    chosen: Option<&Pattern>,
    warnings: &mut Vec<Warning>,
) -> Option<Named<'p>> {
    let repositories: BTreeSet<&str> = named.iter().map(|(name, ..)| name.as_str()).collect();
    let wanted = |name: &str| chosen.is_none_or(|pattern| pattern.matches(name));
    let taken = named.iter().find(|(name, ..)| wanted(name)).cloned();
    let is_git = |material: &Material| matches!(material.kind, MaterialKind::Git { .. });
    match &taken {
        // Pipelines that fan in often share one.
        Some((name, ..)) if repositories.len() > 1 && chosen.is_none() => {
            warnings.push(Warning::SeveralMaterials {
                count: repositories.len(),
                chosen: name.clone(),
            });
        }
        None if pipeline.materials.iter().any(is_git) => warnings.push(Warning::NoRepository),
        _ => {}
    }
    taken
}

/// Returns the newest change of the first material that people change, where none names a repository: its author still started the run.
fn only_committer(pipeline: &Pipeline) -> Option<&Changeset> {
    let is_code = |kind: &MaterialKind| !matches!(kind, MaterialKind::Dependency { .. } | MaterialKind::Package { .. });
    pipeline
        .materials
        .iter()
        .find(|material| is_code(&material.kind))?
        .changesets
        .first()
}

/// Returns true if the run can have used a change. A server that sends the newest changes it knows sends one from after the run for most
/// runs.
fn is_of_run(change: &Changeset, history: &RunHistory) -> bool {
    match history.revisions {
        Revisions::OfRun => true,
        Revisions::LatestKnown { was_newest } => {
            let scheduled = history.pipeline.as_ref().and_then(|pipeline| pipeline.scheduled);
            let is_later = change
                .checked_in
                .zip(scheduled)
                .is_some_and(|(change, run)| change > run);
            was_newest && !is_later && !has_moved(history)
        }
    }
}

/// Returns true if the time at which the run was scheduled is from a re-run of its first stage. A change from during the first run of that
/// stage cannot be distinguished from those of the run.
fn has_moved(history: &RunHistory) -> bool {
    let ended = history.stages.iter().filter(|stage| !stage.state.is_active());
    let first = ended.min_by_key(|stage| (stage.updated.is_none(), stage.updated, stage.counter));
    first.is_some_and(|first| {
        let is_again = |other: &StageRun| other.name.is_same(&first.name) && other.counter > first.counter;
        history.stages.iter().any(is_again)
    })
}

/// Returns true for a full SHA-1 or SHA-256.
fn is_commit(revision: &str) -> bool {
    matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}
