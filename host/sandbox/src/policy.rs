//! The settings of a policy, which is an operator's component in front of the next plugin.

use crate::{component_file::ComponentFile, grants::Grants, limits::Limits};

/// The settings of a policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The name in messages.
    pub name: String,
    /// The limits of one call; the time limit of a whole chain is the sandbox's.
    pub limits: Limits,
    /// The access that it has besides its arguments.
    pub grants: Grants,
    /// The effect of its failure on a notification.
    pub on_failure: OnFailure,
    /// Its part in a chain.
    pub mode: Mode,
}

impl Policy {
    /// A policy of this name with the default limits, no grants, and closed on failure.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            limits: Limits::default(),
            grants: Grants::default(),
            on_failure: OnFailure::Closed,
            mode: Mode::Enforce,
        }
    }
}

/// The component of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyComponent {
    /// A file, perhaps pinned to a digest.
    File(ComponentFile),
    /// The built-in policy, whose rules are in its settings.
    BuiltIn,
}

impl<F: Into<ComponentFile>> From<F> for PolicyComponent {
    fn from(file: F) -> Self {
        Self::File(file.into())
    }
}

/// The effect of a policy's failure on a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The notification is not judged, so nothing is sent: a redaction that fails must not become a leak.
    #[default]
    Closed,
    /// Only the failing policy is skipped; the others still apply.
    Open,
}

/// The part of a policy in a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It judges: its answer counts.
    #[default]
    Enforce,
    /// It is asked beside the chain, after the answer, which it neither changes nor delays. Its own answer is compared and counted.
    Monitor,
}

impl Mode {
    /// Its word in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Monitor => "monitor",
        }
    }
}
