//! Names of Jenkins jobs.

/// The name without the branch of a multibranch job and the axes of a matrix job, which Jenkins appends: each build of a pipeline has the
/// same name then. `branches` are what the branch may be called, as `main` or `PR-7`; a `/` in one is `%2F` in a job's name.
pub(crate) fn without_branch<'b>(name: &str, branches: impl Iterator<Item = &'b str>) -> String {
    let kept = match name.split('/').position(|segment| segment.contains('=')) {
        // `job/KEY1=VALUE1,KEY2=VALUE2/branch`; a name of axes alone stays.
        Some(axes) if axes > 0 => name.split('/').take(axes).collect::<Vec<_>>().join("/"),
        _ => name.to_owned(),
    };
    let mut branches = branches.flat_map(|branch| [branch.to_owned(), branch.replace('/', "%2F")]);
    let stem = branches.find_map(|branch| {
        let stem = kept.strip_suffix(&branch)?.strip_suffix('/')?;
        (!stem.is_empty()).then(|| stem.to_owned())
    });
    stem.unwrap_or(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branch_and_axes_go() {
        for (name, branch, kept) in [
            ("job", "main", "job"),
            ("job/main", "main", "job"),
            ("job/other", "main", "job/other"),
            ("folder/job/feature%2Fone", "feature/one", "folder/job"),
            ("folder/job/PR-7", "PR-7", "folder/job"),
            ("job/K1=V1,K2=V2", "main", "job"),
            ("job/K1=V1,K2=V2/main", "main", "job"),
            ("main", "main", "main"),
            ("domain", "main", "domain"),
        ] {
            assert_eq!(without_branch(name, [branch].into_iter()), kept, "{name}");
        }
    }
}
