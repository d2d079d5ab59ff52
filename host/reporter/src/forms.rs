//! Answers as JSON, in the forms of the command and of the C library.

use crate::deliver::{Delivery, UndeliveredRun};
use crate::receipt::Receipt;
use pipefold_sandbox::{Report, Verdict};
use serde_json::{Value, json};

/// A merged run.
#[must_use]
pub fn merged(Report { run, jobs }: Report) -> Value {
    json!({ "run": run, "jobs": jobs })
}

/// A verdict.
#[must_use]
pub fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Report(Report { run, jobs }) => json!({ "verdict": "report", "run": run, "jobs": jobs }),
        Verdict::Hold => json!({ "verdict": "hold" }),
        Verdict::Discard(reason) => json!({ "verdict": "discard", "reason": reason }),
    }
}

/// A receipt in short.
#[must_use]
pub fn receipt(receipt: &Receipt) -> Value {
    let delivered = receipt.is_settled();
    let of_delivery = receipt.delivery.iter().flat_map(|delivery| &delivery.warnings);
    json!({
        "reference_id": receipt.reference_id,
        "on_disk": receipt.on_disk,
        "delivered": delivered,
        "rejected": receipt.is_rejected(),
        "why": if delivered { None } else { receipt.why_not_settled() },
        "warnings": receipt.warnings.iter().chain(of_delivery).collect::<Vec<_>>(),
    })
}

/// The result of a delivery, without its warnings and remarks.
#[must_use]
pub fn delivery(delivery: &Delivery) -> Value {
    let list = |list: &[UndeliveredRun]| -> Vec<_> {
        list.iter()
            .map(|run| json!({ "reference_id": run.reference_id, "why": run.why }))
            .collect()
    };
    let policies: Vec<_> = delivery
        .other_policies
        .iter()
        .map(|(policies, count)| json!({ "digest": policies.digest, "names": policies.names, "notifications": count }))
        .collect();
    json!({
        "accepted": delivery.accepted,
        "jobs": delivery.jobs,
        "kept": delivery.kept_count,
        "kept_runs": list(&delivery.kept),
        "rejected": delivery.rejected_count,
        "rejected_runs": list(&delivery.rejected),
        "foreign": delivery.foreign,
        "other_policies": policies,
        "abandoned": delivery.abandoned,
        "not_looked_at": delivery.not_attempted,
        "busy": delivery.busy,
        "impossible": delivery.impossible,
    })
}
