//! The plugin's rules, through its four public functions only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod generate;
mod hostile;
mod limits;
mod merging;
mod support;
mod timestamps;
mod verdicts;
mod violations;
