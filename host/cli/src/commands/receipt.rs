//! The result of a report: messages, the answer of `--json`, and the closing line of `exec`.

use std::time::Duration;

use pipefold::{Delivery, Receipt, Status};

use super::context::Context;
use super::diagnostic::Diagnostic;
use crate::args::GlobalFlags;
use crate::terminal::{ClosingLine, Outcome, excerpt};

impl Context {
    /// All messages about a report: also that a policy dropped it, which would go unnoticed otherwise.
    pub fn messages(&self, receipt: &Receipt) -> Vec<Diagnostic> {
        let dropped = receipt
            .discarded()
            .map(|reason| Diagnostic::remark(format!("not reported, as a policy dropped it: {}", excerpt(reason))));
        dropped.into_iter().chain(self.problems(receipt)).collect()
    }

    /// The warnings about a report and its delivery, and the remarks about other runs.
    pub fn problems(&self, receipt: &Receipt) -> Vec<Diagnostic> {
        let mut diagnostics: Vec<Diagnostic> = receipt.warnings.iter().cloned().map(Diagnostic::failure).collect();
        let Some(delivery) = &receipt.delivery else {
            return diagnostics;
        };
        diagnostics.extend(delivery.warnings.iter().cloned().map(Diagnostic::failure));
        diagnostics.extend(other_policies(delivery));
        let is_known = self.token_refused.is_some() && delivery.impossible.is_some();
        if let Some(why) = receipt.left().filter(|_| !is_known) {
            diagnostics.push(Diagnostic::failure(if receipt.is_rejected() {
                format!(
                    "refused: {why}; it is in {} (`pipefold flush --rejected` sends it again)",
                    self.settings.spool.path.join("rejected").display()
                )
            } else {
                self.not_delivered(why, receipt.on_disk)
            }));
        }
        diagnostics.extend(self.other_runs(receipt));
        diagnostics
    }

    /// The remarks of a delivery about other runs.
    pub fn other_runs(&self, receipt: &Receipt) -> Vec<Diagnostic> {
        let Some(delivery) = &receipt.delivery else {
            return Vec::new();
        };
        let mut diagnostics: Vec<Diagnostic> = delivery.notes.iter().cloned().map(Diagnostic::remark).collect();
        let waiting = delivery.others_wait + delivery.not_attempted;
        if waiting > 0 {
            diagnostics.push(Diagnostic::remark(format!(
                "{waiting} other runs wait in {}; `pipefold status` shows the reasons, and later commands send them",
                self.settings.spool.path.display()
            )));
        }
        diagnostics
    }

    /// The text for a run that was not delivered: the reason, its place, and the command that sends it.
    fn not_delivered(&self, why: &str, on_disk: bool) -> String {
        if on_disk {
            let spool = self.settings.spool.path.display();
            format!("not delivered: {why}. Saved in {spool}; run `pipefold flush` to send it")
        } else {
            format!("not delivered: {why}; it is lost")
        }
    }

    /// Prints the closing line of an `exec`, and returns the failure in it. Without a receipt, the end of the run was not valid.
    pub fn close(
        &self,
        global: &GlobalFlags,
        status: Status,
        duration: Duration,
        receipt: Option<&Receipt>,
    ) -> Option<Diagnostic> {
        let why = match receipt {
            None => Some("the end of the run is not valid"),
            Some(receipt) if receipt.is_settled() => None,
            Some(receipt) => Some(
                receipt
                    .why_not_settled()
                    .unwrap_or("the `pipefold exec` around this one delivers it"),
            ),
        };
        let on_disk = receipt.is_some_and(|receipt| receipt.on_disk);
        let message = why.map(|why| self.not_delivered(why, on_disk));
        let discarded = receipt.and_then(Receipt::discarded);
        let outcome = match (&message, receipt) {
            (None, _) if discarded.is_some() => Outcome::Dropped(discarded.unwrap_or_default()),
            (None, _) => Outcome::Delivered,
            (Some(_), None) => Outcome::Refused(why.unwrap_or_default()),
            (Some(_), Some(receipt)) if receipt.is_rejected() => Outcome::Refused(why.unwrap_or_default()),
            (Some(message), _) if on_disk => Outcome::Kept(message.strip_prefix("not delivered: ").unwrap_or(message)),
            (Some(_), _) => Outcome::Lost(why.unwrap_or_default()),
        };
        if !global.quiet {
            ClosingLine {
                status,
                duration,
                outcome,
            }
            .say();
        }
        message.map(Diagnostic::failure)
    }
}

/// Messages about notifications that wait for policies which this process does not have.
pub fn other_policies(delivery: &Delivery) -> impl Iterator<Item = Diagnostic> {
    delivery.other_policies.iter().map(|(policies, count)| {
        Diagnostic::notice(format!(
            "{count} notifications wait for the policies they were recorded under: {policies}; send them with these, or with others by \
             `pipefold --policy FILE flush --rejudge`"
        ))
    })
}
