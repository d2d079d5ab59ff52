//! The policies that a notification was recorded under.

use pipefold_sandbox::ChainDigest;
use serde::{Deserialize, Serialize};

/// Policies in their order, as a record names them. The empty chain is the default plugin alone.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyChain {
    /// What the policies are: component, grants, directory, settings and failure mode of each.
    pub digest: ChainDigest,
    /// The policies' names, outermost first, for messages.
    pub names: Vec<String>,
}

impl PolicyChain {
    /// Whether there are no policies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digest.is_empty()
    }

    /// Whether both apply the same policies, whatever their names.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl std::fmt::Display for PolicyChain {
    /// The names, with commas between them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names.join(", "))
    }
}
