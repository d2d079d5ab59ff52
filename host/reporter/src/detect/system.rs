//! What there is to know of a CI system: an entry of the table.

use super::job::Job;

/// Where a value comes from. A field has a list of these, the best first; the first one that gives a sound value is taken.
#[derive(Clone, Copy)]
pub enum Source {
    /// A variable that holds a name or another plain value.
    Var(&'static str),
    /// A variable that holds the address of a repository, of which the name is taken.
    Address(&'static str),
    /// A variable that is about something else in the build of a pull request, such as the target branch.
    OutsidePr(&'static str),
    /// A variable that holds a commit, unless this build is of a trial merge ([`System::is_merge`]).
    Unmerged(&'static str),
    /// A variable that names who wrote the commit. That is who started the run only where a push did.
    Pushed(&'static str),
    /// A value that has to be worked out: from which variables and how, for the table in `docs/detection.md`, and the function.
    By(&'static str, fn(&Job<'_>) -> Option<Found>),
}

/// A value, and the variable that it came from, or that had most to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub value: String,
    pub variable: &'static str,
}

/// A list of sources, the best first.
pub type Sources = &'static [Source];

/// A CI system: how it is recognised, and where it says what.
///
/// Each member becomes a field, a fact for templates or a part of `reference_id`; the values are trimmed, checked and cleaned by what they
/// are ([`super::values`]), so an entry names variables and no more. What a system does not have stays out: `..System::NONE`.
/// The table in `docs/detection.md` is made of these entries ([`super::table`]).
#[derive(Clone, Copy)]
pub struct System {
    /// Its usual name, as people write it: the field `pipeline_source`.
    pub name: &'static str,
    /// Its short name, the beginning of each `reference_id`. It must never change, or a run that is under way falls apart.
    pub id: &'static str,
    /// Page of its documentation that names the variables.
    pub reference: &'static str,
    /// Sets of variables. One whole set has to be there; `NAME=value` asks for that value.
    pub marks: &'static [&'static [&'static str]],
    /// Variables of something that only behaves like this system. With one of them it is not recognised.
    pub unless: &'static [&'static str],
    /// Name of the pipeline.
    pub pipeline: Sources,
    /// Name of the workflow, where a pipeline has several.
    pub workflow: Sources,
    /// Name of the job.
    pub job: Sources,
    /// Name of the step in the job.
    pub step: Sources,
    /// Address or name of the server, or of the organisation on it. Part of `reference_id`.
    pub host: Sources,
    /// What the number of a run is counted in: repository or pipeline. Part of `reference_id`.
    pub scope: Sources,
    /// What names the run in its scope, the same in each of its jobs. Part of `reference_id`.
    pub run: Sources,
    /// What tells a re-run from the run before it, where the run keeps its number. Part of `reference_id`.
    pub attempt: Sources,
    /// The repository. Of a pull request it is the one that counts the number.
    pub repository: Sources,
    /// The commit: of a pull request its head, never a trial merge.
    pub sha: Sources,
    /// Number of the pull request.
    pub pr: Sources,
    /// Page of the pull request. The repository on it goes before [`Self::repository`], so that both are of one project.
    pub pr_page: Sources,
    /// Whether this is the build of a pull request, also where no number says so.
    pub is_pr: fn(&Job<'_>) -> bool,
    /// Whether the commit that was checked out is, or may be, a trial merge that is on no branch.
    pub is_merge: fn(&Job<'_>) -> bool,
    /// Whether a push started the run. A pull request is no push.
    pub is_push: fn(&Job<'_>) -> bool,
    /// Page of the run.
    pub url: Sources,
    /// The branch.
    pub branch: Sources,
    /// The tag: a branch of the same name is none.
    pub tag: Sources,
    /// GitHub user name of who started the run.
    pub github: Sources,
    /// GitLab user name of who started the run.
    pub gitlab: Sources,
    /// E-mail address of who started the run.
    pub email: Sources,
    /// What is not reported although the system has a variable for it, and why; or what no variable of it says.
    pub left_out: &'static [(&'static str, &'static str)],
}

impl System {
    /// A system that says nothing.
    pub const NONE: Self = Self {
        name: "",
        id: "",
        reference: "",
        marks: &[],
        unless: &[],
        pipeline: &[],
        workflow: &[],
        job: &[],
        step: &[],
        host: &[],
        scope: &[],
        run: &[],
        attempt: &[],
        repository: &[],
        sha: &[],
        pr: &[],
        pr_page: &[],
        is_pr: |_| false,
        is_merge: |job| job.is_pr(),
        is_push: |_| false,
        url: &[],
        branch: &[],
        tag: &[],
        github: &[],
        gitlab: &[],
        email: &[],
        left_out: &[],
    };

    /// The first variable of the first set of marks that is all there.
    pub fn recognised_by(&self, job: &Job<'_>) -> Option<&'static str> {
        if self.unless.iter().any(|mark| is_set(job, mark)) {
            return None;
        }
        let set = self.marks.iter().find(|set| set.iter().all(|mark| is_set(job, mark)))?;
        set.first()
            .map(|mark| mark.split_once('=').map_or(*mark, |(name, _)| name))
    }
}

fn is_set(job: &Job<'_>, mark: &str) -> bool {
    match mark.split_once('=') {
        Some((name, value)) => job.raw(name).is_some_and(|given| given == value),
        // Some tools switch a CI system's behaviour off this way.
        None => job.raw(mark).is_some_and(|given| given != "false" && given != "0"),
    }
}
