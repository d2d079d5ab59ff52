//! Where deliveries end.

use crate::{
    dx::{Client, Outcome},
    token::Token,
};
use pipefold_sandbox::{Notification, Run};
use std::time::Duration;

/// Where deliveries end: DX, or a queue before it.
///
/// What is recorded in the spool leaves it only after [`Outcome::Accepted`]: an outlet that answers this keeps the run as safely as a disk does.
pub trait Outlet: Send + Sync {
    /// Its address, without anything secret. Stands in the spool: what was recorded for another is not sent here.
    fn address(&self) -> String;

    /// A short name for what it is asked with, safe to store and to show: 12 hexadecimal digits of a hash, or a word where nothing is
    /// needed.
    fn credentials(&self) -> String;

    /// Hands a run over, within `timeout`. Once: whether to try again is the caller's to decide.
    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome;

    /// Tells of a run's steps, where they are shown. That they do not arrive is no failure.
    fn tell_steps(&self, _run: &Run, _steps: &[&Notification], _timeout: Duration) {}
}

/// DX itself.
pub(crate) struct ToDx<'a> {
    pub(crate) client: &'a Client,
    pub(crate) token: &'a Token,
}

impl Outlet for ToDx<'_> {
    fn address(&self) -> String {
        self.client.url().to_string()
    }

    fn credentials(&self) -> String {
        self.token.digest().to_string()
    }

    fn upsert(&self, run: &Run, timeout: Duration) -> Outcome {
        self.client.upsert(run, self.token, timeout)
    }

    fn tell_steps(&self, run: &Run, steps: &[&Notification], timeout: Duration) {
        self.client.tell_steps(run, steps.iter().copied(), self.token, timeout);
    }
}
