//! The rules of a policy, as they were read and checked.

use crate::field::Field;
use crate::hash::Key;
use crate::pattern::Pattern;
use crate::template::Part;

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its place in the list, from 1.
    pub number: usize,
    pub action: Action,
}

/// What a rule does.
#[derive(Debug)]
pub enum Action {
    /// It changes notifications.
    Edit(Edit),
    /// It decides which of them go on.
    Choose(Choice),
}

/// A change of a notification.
#[derive(Debug)]
pub enum Edit {
    Drop(Vec<Field>),
    /// Drops every optional field and every attribute, except these.
    Keep(Vec<Field>),
    Hash {
        fields: Vec<Field>,
        key: Key,
    },
    /// The targets are in the settings.
    Map {
        fields: Vec<Field>,
        /// True if a value without a target is dropped.
        drops_others: bool,
    },
    /// The first pattern that matches a value rewrites it.
    Rename {
        fields: Vec<Field>,
        patterns: Vec<(Pattern, Vec<Part>)>,
    },
    Set {
        field: Field,
        to: String,
    },
    /// As `Set`, in a run that lacks the field.
    Default {
        field: Field,
        to: String,
    },
}

/// A decision about a run, or about a step.
#[derive(Debug)]
pub enum Choice {
    Require(Vec<Field>),
    Discard(Field, Vec<Pattern>),
    Only(Field, Vec<Pattern>),
}

impl Action {
    /// The word of the rule.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Edit(Edit::Drop(_)) => "drop",
            Self::Edit(Edit::Keep(_)) => "keep",
            Self::Edit(Edit::Hash { .. }) => "hash",
            Self::Edit(Edit::Map { .. }) => "map",
            Self::Edit(Edit::Rename { .. }) => "rename",
            Self::Edit(Edit::Set { .. }) => "set",
            Self::Edit(Edit::Default { .. }) => "default",
            Self::Choose(Choice::Require(_)) => "require",
            Self::Choose(Choice::Discard(..)) => "discard",
            Self::Choose(Choice::Only(..)) => "only",
        }
    }

    /// Returns true if it may leave a commit or a pull request without a repository, which the default component refuses.
    pub fn may_part_commit(&self) -> bool {
        let Self::Edit(edit) = self else { return false };
        let fields: &[Field] = match edit {
            Edit::Keep(_) => return true,
            Edit::Drop(fields) | Edit::Hash { fields, .. } | Edit::Map { fields, .. } | Edit::Rename { fields, .. } => {
                fields
            }
            Edit::Set { field, .. } | Edit::Default { field, .. } => std::slice::from_ref(field),
        };
        fields.contains(&Field::Repository) || fields.contains(&Field::CommitSha)
    }
}
