//! The plugin's rules, seen from outside: through its four functions only.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
mod limits;
mod merging;
mod support;
mod timestamps;
mod verdicts;
mod violations;
