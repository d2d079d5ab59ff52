//! What a value has to be like: one file a kind. Each function takes a text that is trimmed and not empty, and gives it in the form a record
//! needs, or says why it is none.

mod branch;
mod email;
mod repository;
mod text;
mod url;

pub use branch::{BuiltRef, built_ref};
pub(crate) use branch::{PullRequestRef, branch, pull_request_of_ref};
pub use email::{Person, person};
pub use repository::repository_at;
pub(crate) use repository::{repository, repository_name, repository_of_page, unescaped};
pub(crate) use text::{MAX_BYTES, Unfit, commit_sha, is_blank, pr_number, sound, text, truth};
pub(crate) use url::{host, name, page, path_segment, server};

/// Brings a value into form.
pub(crate) type Clean = fn(&str) -> Result<String, Unfit>;
