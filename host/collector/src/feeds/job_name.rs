//! What jobs are called.

use pipefold_gocd::documents::Name;

/// The job that is the run itself.
const OWN: &str = "run";

/// What a step of that name has behind it, for within a stage a name is one job's.
const OTHER: &str = "-step";

/// The name of the job of a step, or of the run itself. `None` if XML cannot carry it.
pub(super) fn job_name(step: Option<&str>) -> Option<Name> {
    let name = match step {
        None => Name::new(OWN),
        Some(step) if is_taken(step) => Name::new(&format!("{step}{OTHER}")),
        Some(step) => Name::new(step),
    };
    name.ok()
}

/// Whether a step's name is the run's own, or one that such a step has got instead.
fn is_taken(mut step: &str) -> bool {
    while let Some(rest) = step.strip_suffix(OTHER) {
        step = rest;
    }
    step == OWN
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let steps = [
            None,
            Some("run"),
            Some("run-step"),
            Some("run-step-step"),
            Some("-step"),
            Some("Run"),
            Some(" run"),
        ];
        let names: Vec<Name> = steps.iter().map(|step| job_name(*step).unwrap()).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!names[..at].contains(name), "{name}");
        }
        assert_eq!((names[0].as_str(), names[1].as_str()), ("run", "run-step"));
        assert_eq!(job_name(Some("compile")).unwrap().as_str(), "compile");
        assert_eq!(job_name(Some("\u{ffff}")), None);
    }
}
