//! Settings from flags, variables and files, and how far each of them is trusted.
//!
//! **Precedence**, the same for everything that can be set, highest first:
//!
//! 1. a flag of the command, or a setter of the builder;
//! 2. a variable: `PIPEFOLD_*`, `DX_API_URL`, `DX_API_TOKEN`;
//! 3. the workspace's `pipefold.toml`, found upwards from the working directory: fields and attributes of the run and templates only;
//! 4. the operator's file: the one that `--config` names, else `/etc/pipefold.toml`;
//! 5. the CI system's variables ([`crate::detect`]): fields of the run, and a directory for the spool;
//! 6. the default.
//!
//! Within one place a value beats a template ([`crate::detect::Template`]); a template beats every place below its own.
//!
//! **Trust.** A workspace file may have been written by a pull request ([`Trust::Workspace`]), so it decides neither where a token
//! goes nor what a policy may do: such a key in it is an error, not a warning. The place of the file decides its trust, never its content.
//!
//! This module and those below it never read the process environment: it is passed in as an [`Environment`].

mod error;
mod file;
mod forge;
mod gocd;
mod jobs;
mod json;
mod policy;
mod quantity;
mod queue;
mod reader;
mod rules;
mod settings;
mod spool_place;
mod templates;
#[cfg(test)]
mod tests;
pub mod variables;
mod webhook;

pub use crate::detect::server_id_problem;
pub use crate::source::{Environment, Origin, Sourced, nearest};
pub use error::ConfigError;
pub use file::{File, OperatorKeys, Trust};
pub use forge::{FORGE_KINDS, ForgeKeys};
pub use gocd::{GocdKeys, GocdServerKeys, InJob};
pub use jobs::{JobChoice, JobKeys, JobSelection, MOST_JOBS, parse_most_jobs};
pub use policy::{Failure, Grant, GrantedDirectory, PolicyKeys, RULES};
pub use quantity::{Budgets, DEFAULT_SPOOL_LIMIT, LimitKeys};
pub use quantity::{LONGEST, parse_age, parse_duration, parse_size};
pub use queue::{QueueKeys, QueueSettings};
pub use rules::{Input, Places, RuleKeys};
pub use settings::FILE_NAME;
pub use settings::{Flags, OPERATOR_FILE, Settings, SettingsInput, TokenPlace, strict_without_files};
pub use spool_place::{SpoolPlace, spool_place};
pub use templates::{TemplateKeys, TemplateOutcome, TemplateUse};
pub use webhook::SourceKeys;
