//! What a value has to be like: one file a kind. Each function takes a text that is trimmed and not empty, and gives it in the form a record
//! needs, or says why it is none.

mod branch;
mod email;
mod job_name;
mod number;
mod repository;
mod sha;
mod text;
mod url;

pub use branch::{BuiltRef, built_ref};
pub(crate) use branch::{PullRequestRef, branch, pull_request_of_ref};
pub use email::{Person, person};
pub(crate) use job_name::{without_axes, without_branch};
pub(crate) use number::pr_number;
pub use repository::repository_at;
pub(crate) use repository::{repository, repository_name, repository_of_page};
pub(crate) use sha::commit_sha;
pub(crate) use text::{MAX_BYTES, Unfit, is_blank, sound, text, truth};
pub(crate) use url::{host, name, page, path_segment, server};

/// Brings a value into form.
pub(crate) type Clean = fn(&str) -> Result<String, Unfit>;
