//! Whether a component could be loaded here, by the names of what it imports and exports.

use crate::{
    grants::{self, Need},
    inspect::Inspection,
    plugin::{HOOKS, MERGING},
};
use serde::Serialize;

/// How the names of the contract's interfaces begin.
const PACKAGE: &str = "pipefold:ci/";

/// What a component could be here.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The plugin at the end of a chain: it needs no other, and merges by itself.
    Plugin,
    /// A policy, which stands before the next plugin.
    Policy,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plugin => "plugin",
            Self::Policy => "policy",
        }
    }

    /// How messages call one of this name.
    pub(crate) fn title(self, name: &str) -> String {
        format!("{} {name}", self.as_str())
    }
}

/// Whether and how a component loads. The types of its functions are compared when it is loaded, and not here.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Fit {
    /// Versions of the contract that it was made for; a component of another maker has none.
    pub wit_versions: Vec<String>,
    /// As what it would load.
    pub role: Role,
    /// It loads, if the grants are given.
    pub loads: bool,
    /// Names of the grants that it needs.
    pub grants: Vec<&'static str>,
    /// What keeps it from loading whatever is granted.
    pub obstacles: Vec<String>,
}

impl Inspection {
    /// Whether and how it loads.
    #[must_use]
    pub fn fit(&self) -> Fit {
        let exports = |name: &str| self.exports.iter().any(|export| export.name == name);
        let mut grants = Vec::new();
        let mut obstacles = Vec::new();
        let mut is_policy = !exports(MERGING);
        for import in &self.imports {
            match grants::need(&import.name) {
                Need::Nothing => {}
                Need::Next => is_policy = true,
                Need::Grant(grant) => {
                    // Only policies are granted anything.
                    is_policy = true;
                    if !grants.contains(&grant) {
                        grants.push(grant);
                    }
                }
                Need::Unknown(reason) => obstacles.push(format!("it imports {}; {reason}", import.name)),
            }
        }
        if !exports(HOOKS) {
            obstacles.push(format!("it does not export {HOOKS}"));
        }
        Fit {
            wit_versions: self.wit_versions(),
            role: if is_policy { Role::Policy } else { Role::Plugin },
            loads: obstacles.is_empty(),
            grants,
            obstacles,
        }
    }

    fn wit_versions(&self) -> Vec<String> {
        let ours = self.exports.iter().chain(&self.imports);
        let mut versions: Vec<String> = ours
            .filter_map(|item| Some(item.name.strip_prefix(PACKAGE)?.split_once('@')?.1.to_owned()))
            .collect();
        versions.sort();
        versions.dedup();
        versions
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use crate::inspect::Item;

    fn fit(imports: &[&str], exports: &[&str]) -> Fit {
        let items = |names: &[&str]| {
            names
                .iter()
                .map(|name| Item {
                    name: (*name).into(),
                    kind: "instance",
                })
                .collect()
        };
        let inspection = Inspection {
            size: 1,
            sha256: String::new(),
            imports: items(imports),
            exports: items(exports),
            core_modules: 1,
            producers: Vec::new(),
        };
        inspection.fit()
    }

    #[test]
    fn a_plugin_needs_nothing_and_merges() {
        let fit = fit(&["pipefold:ci/types@0.1.0"], &[HOOKS, MERGING]);
        assert_eq!((fit.role, fit.loads, fit.grants.len()), (Role::Plugin, true, 0));
        assert_eq!(fit.wit_versions, ["0.1.0"]);
    }

    #[test]
    fn a_policy_has_a_next_plugin_or_grants_or_does_not_merge() {
        assert_eq!(fit(&[HOOKS], &[HOOKS, MERGING]).role, Role::Policy);
        assert_eq!(fit(&[], &[HOOKS]).role, Role::Policy);
        let granted = fit(
            &[HOOKS, "pipefold:ci/log@0.1.0", "pipefold:ci/config@0.1.0"],
            &[HOOKS, MERGING],
        );
        assert_eq!(
            (granted.role, granted.loads, granted.grants),
            (Role::Policy, true, vec!["log", "config"])
        );
    }

    #[test]
    fn what_nothing_here_provides_is_named() {
        let fit = fit(&["elsewhere:x/y@1.0.0"], &["pipefold:ci/hooks@9.0.0"]);
        assert!(!fit.loads);
        assert_eq!(fit.wit_versions, ["9.0.0"]);
        assert_eq!(
            fit.obstacles,
            [
                "it imports elsewhere:x/y@1.0.0; nothing provides it",
                "it does not export pipefold:ci/hooks@0.1.0"
            ]
        );
    }
}
