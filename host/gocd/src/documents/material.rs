//! What a pipeline's run was made from.

use super::Timestamp;
use crate::address::Href;

/// A material of a pipeline, with its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    /// The material's address. Dialect C's leads nowhere.
    pub uri: Option<Href>,
    /// What it is.
    pub kind: MaterialKind,
    /// The changes, newest first: the first is the revision that the run used (in dialect D the newest one known when it was asked for).
    pub changesets: Vec<Changeset>,
}

/// The kinds of materials, with what the server says of each. Addresses are as shown to people: passwords are masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaterialKind {
    /// A git repository.
    Git {
        /// Its address.
        url: String,
        /// The branch, or a refspec.
        branch: Option<String>,
        /// Whether it is cloned without history (GoCD 16.3 and later).
        shallow_clone: Option<bool>,
    },
    /// A Mercurial repository.
    Mercurial {
        /// Its address.
        url: String,
    },
    /// A Subversion repository.
    Subversion {
        /// Its address.
        url: String,
        /// Who the server is for it.
        username: Option<String>,
        /// Whether externals are looked at.
        check_externals: Option<bool>,
    },
    /// A Perforce server.
    Perforce {
        /// `server:port`.
        url: String,
        /// Who the server is for it.
        username: Option<String>,
        /// The view.
        view: Option<String>,
    },
    /// A Team Foundation Server.
    Tfs {
        /// Its address.
        url: String,
        /// Who the server is for it.
        username: Option<String>,
        /// The domain of that user.
        domain: Option<String>,
        /// The project.
        project_path: Option<String>,
    },
    /// A stage of another pipeline.
    Dependency {
        /// The pipeline.
        pipeline: String,
        /// The stage.
        stage: String,
    },
    /// A package.
    Package {
        /// The package repository.
        repository: String,
        /// The package.
        package: String,
    },
    /// What a plugin fetches.
    PluggableScm {
        /// Its name in GoCD's configuration.
        name: String,
    },
    /// Something that this library does not know, by the server's word for it.
    Other(String),
}

/// A change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changeset {
    /// The change's address; of another pipeline's stage, that of its document.
    pub uri: Option<Href>,
    /// Who made it, for git and Mercurial mostly `Name <address>`.
    pub user: Option<String>,
    /// When.
    pub checked_in: Option<Timestamp>,
    /// The revision; for another pipeline `PIPELINE/COUNTER/STAGE/COUNTER`.
    pub revision: Option<String>,
    /// What its author said about it.
    pub message: Option<String>,
}
