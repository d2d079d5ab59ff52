//! Reports CI pipeline runs to DX.
//!
//! A [`Reporter`] does three things with a notification: a sandboxed WebAssembly plugin judges it, a spool on disk records it, and a
//! delivery sends what waits to DX within a time budget. A notification that was accepted is on disk when the call returns, and stays
//! there until DX said `ok`.
//!
//! ```no_run
//! use pipefold::{Notification, Reporter, Token};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let reporter = Reporter::builder()
//!     .dx_url("https://yourinstance.getdx.net")
//!     .token(Token::new(std::env::var("DX_API_TOKEN")?)?)
//!     .spool("/var/lib/my-ci/pipefold")
//!     .build()?;
//!
//! let run = Notification {
//!     pipeline_name: Some("integration_tests".into()),
//!     pipeline_source: Some("my-ci".into()),
//!     reference_id: Some("my-ci/integration_tests/4711".into()),
//!     ..Notification::default()
//! };
//! reporter.start(run.clone())?;
//! let receipt = reporter.finish(Notification { status: Some("success".into()), ..run })?;
//! match receipt.trouble() {
//!     None => println!("delivered"),
//!     Some(why) => println!("kept: {why}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The parts:
//! - [`Reporter`], [`Builder`], [`Receipt`], [`Delivery`]: the interface for hosts that embed this.
//! - [`config`] and [`detect`]: settings and fields from flags, variables, files and the CI system.
//! - [`spool`]: the durable record; [`dx`]: DX's JSON, URL and answers; [`Token`]: the secret.
//! - [`forms`]: answers as JSON.
//! - [`import`]: files of runs and jobs, sent row by row.
//! - [`http`]: the transport of every HTTP client; [`pace`]: its rate; [`prometheus`]: the text format of servers' metrics.

mod builder;
pub mod clock;
mod complete;
pub mod config;
mod deliver;
pub mod detect;
pub mod dx;
pub mod forms;
pub mod glob;
pub mod http;
pub mod import;
mod judge;
#[doc(hidden)]
pub mod kill_points;
mod loaded;
mod overview;
pub mod pace;
mod policy_source;
pub mod prometheus;
mod receipt;
mod reporter;
mod rule_inputs;
mod source;
pub mod spool;
mod steps;
mod store;
mod token;
mod watch;

pub use builder::{BuildError, Builder};
pub use deliver::{Budget, Delivery, Outlet, UndeliveredRun};
pub use judge::{Judge, NoVerdict, Refused};
pub use loaded::LoadedPolicy;
pub use overview::{Overview, RunState, WaitingRun};
pub use policy_source::PolicySource;
pub use receipt::{Batch, Receipt};
pub use reporter::{Flush, JudgedNotification, Reporter};
pub use spool::{Hook, Judgement, PolicyChain};
pub use store::BatchError;
pub use token::{MAX_TOKEN_LENGTH, Token, TokenDigest, TokenError, TokenFile};
pub use watch::{Monitoring, PolicyWork};

pub use pipefold_sandbox::{
    Attribute, Cache, Compiler, ComponentFile, Fault, Job, Limits, Notification, Report, Run, Status, Verdict,
    Violation, foreign,
};
