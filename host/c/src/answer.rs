//! The result of a call: a status, and an answer in JSON.

use crate::abi::{PIPEFOLD_FAILED, PIPEFOLD_FORKED, PIPEFOLD_INVALID, PIPEFOLD_OK, PIPEFOLD_REFUSED, pipefold_status};
use pipefold::{Delivery, NoVerdict, Receipt, Refused, Verdict, foreign, forms};
use serde_json::{Value, json};

/// The reason why a call did not do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The rules refused a notification.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// An argument, a configuration or a notification that cannot be read.
    #[error("{0}")]
    Invalid(String),
    /// A fault of the library or of the machine.
    #[error("{0}")]
    Failed(String),
    /// The process was forked after the library was first used.
    #[error(
        "the process was forked after pipefold_open, and this is the child: call pipefold_open after fork, and only there"
    )]
    Forked,
}

impl From<NoVerdict> for Fault {
    fn from(error: NoVerdict) -> Self {
        match error {
            NoVerdict::Refused(refused) => Self::Refused(refused),
            NoVerdict::Failed(why) => Self::Failed(why),
        }
    }
}

/// The status and the answer of a result. The text has no NUL, and no character that a terminal or a CI system obeys.
pub fn answer(result: Result<Value, Fault>) -> (pipefold_status, String) {
    let (status, answer) = match result {
        Ok(answer) => (PIPEFOLD_OK, answer),
        Err(fault) => {
            let status = match &fault {
                Fault::Refused(_) => PIPEFOLD_REFUSED,
                Fault::Invalid(_) => PIPEFOLD_INVALID,
                Fault::Failed(_) => PIPEFOLD_FAILED,
                Fault::Forked => PIPEFOLD_FORKED,
            };
            let mut answer = json!({ "error": foreign::neutral(&fault.to_string()) });
            if let (Fault::Refused(refused), Some(object)) = (&fault, answer.as_object_mut()) {
                object.insert("violations".into(), json!(refused.violations));
            }
            (status, answer)
        }
    };
    (status, foreign::json(&answer.to_string()))
}

/// The answer to a notification: the command's, and what a host asks beyond it.
pub fn receipt(receipt: &Receipt) -> Value {
    let (verdict, reason) = match &receipt.verdict {
        Some(Verdict::Report(_)) => (Some("report"), None),
        Some(Verdict::Hold) => (Some("hold"), None),
        Some(Verdict::Discard(_)) => (Some("discard"), receipt.discarded()),
        None => (None, None),
    };
    let mut answer = forms::receipt(receipt);
    if let Some(object) = answer.as_object_mut() {
        object.extend([
            ("started_at".into(), json!(receipt.started_at)),
            ("verdict".into(), json!(verdict)),
            ("discarded".into(), json!(reason.or(receipt.discarded()))),
            ("after_the_end".into(), json!(receipt.after_the_end)),
            ("trouble".into(), json!(receipt.trouble())),
            ("delivery".into(), json!(receipt.delivery.as_ref().map(forms::delivery))),
        ]);
    }
    answer
}

/// The answer to a flush: the command's, with the warnings and remarks that it prints.
pub fn delivery(delivery: &Delivery) -> Value {
    let mut answer = forms::delivery(delivery);
    if let Some(object) = answer.as_object_mut() {
        object.insert("warnings".into(), json!(delivery.warnings));
        object.insert("notes".into(), json!(delivery.notes));
    }
    answer
}
