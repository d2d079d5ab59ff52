//! People who made changes.

/// Someone who made a change that a stage ran with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Author {
    /// As the version control system has it; for git and Mercurial mostly `Name <address>`.
    pub name: String,
    /// The e-mail address, where the server knows one apart from the name.
    pub email: Option<String>,
}
