//! Names of Jenkins jobs.

use super::repository::unescaped;

/// The name of a multibranch project, of whose branch `job` is the job: Jenkins appends the branch, or `PR-7`, as the last part of the name and
/// escapes what a directory may not be called ("NameEncoder" of the branch API plugin). None if the last part is something else.
pub(crate) fn without_branch<'j>(job: &'j str, branch: &str) -> Option<&'j str> {
    let encoded = job
        .rsplit_once('/')
        .filter(|(_, last)| unescaped(last).as_deref() == Some(branch));
    let stem = match encoded {
        Some((stem, _)) => stem,
        None => job.strip_suffix(branch)?.strip_suffix('/')?,
    };
    (!stem.is_empty()).then_some(stem)
}

/// The name of a matrix project, of which `job` is a cell: Jenkins appends the axes, as `KEY=VALUE,…`. Any other name as it is.
pub(crate) fn without_axes(job: &str) -> &str {
    let is_axes = |last: &str| {
        last.split(',')
            .all(|axis| axis.split_once('=').is_some_and(|(key, _)| !key.is_empty()))
    };
    match job.rsplit_once('/') {
        Some((stem, last)) if !stem.is_empty() && is_axes(last) => stem,
        _ => job,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_branch_goes_where_it_is_the_last_part() {
        for (job, branch, stem) in [
            ("job", "main", None),
            ("job/main", "main", Some("job")),
            ("job/other", "main", None),
            ("folder/job/feature%2Fone", "feature/one", Some("folder/job")),
            ("folder/job/feature/one", "feature/one", Some("folder/job")),
            ("folder/job/fix%2312", "fix#12", Some("folder/job")),
            ("folder/job/a%252Fb", "a%2Fb", Some("folder/job")),
            ("folder/job/PR-7", "PR-7", Some("folder/job")),
            ("main", "main", None),
            ("domain", "main", None),
        ] {
            assert_eq!(without_branch(job, branch), stem, "{job}");
        }
    }

    #[test]
    fn the_axes_go_where_they_are_the_last_part() {
        for (job, stem) in [
            ("job/K1=V1,K2=V2", "job"),
            ("job", "job"),
            ("folder/a=b/job", "folder/a=b/job"),
            ("K=V", "K=V"),
            ("job/=x", "job/=x"),
        ] {
            assert_eq!(without_axes(job), stem, "{job}");
        }
    }
}
