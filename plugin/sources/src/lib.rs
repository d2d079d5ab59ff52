//! The built-in sources: translations of the webhooks of CI systems into notifications.
//!
//! `systems`: one file a CI system. `event`: a delivery as the mappings read it. `loose`: JSON values that may be of another type than documented.
//! `time`: the forms of time that the systems use. `outcome`: the state of a run, with its times. `values`: names and addresses in the form that detection in a
//! job gives them. `tidy`: the removal of values for which the rules would refuse a whole notification.
//!
//! The host has checked the signature, and judges the notifications: a mapping copies what a delivery says, and fetches nothing.
#![warn(missing_docs)]

mod bindings;
#[cfg(target_family = "wasm")]
mod component;
mod event;
mod loose;
mod outcome;
pub mod systems;
mod tidy;
mod time;
mod values;

pub use bindings::exports::pipefold::ci::translating::{Delivery, Header, Setting, Translation};
pub use bindings::exports::pipefold::ci::types::{Attribute, Notification};

use event::Event;
use pipefold_json as json;

/// The most bytes of an error or a reason. It may quote the delivery.
const MOST_REASON: usize = 300;

/// Translates a delivery by the mapping that the setting `use` names.
///
/// # Errors
/// The fault of the delivery or the setting, in one line.
pub fn translate(delivery: &Delivery) -> Result<Translation, String> {
    let event = Event(delivery);
    let name = event
        .setting("use")
        .ok_or("the setting `use` is missing: it names the CI system")?;
    let system = systems::ALL.iter().find(|system| system.name == name);
    let system = system.ok_or_else(|| format!("there is no built-in source `{}`", short(name)))?;
    match (system.translate)(&event) {
        Ok(Translation::Notifications(notifications)) if notifications.is_empty() => {
            Ok(Translation::Ignored("it is about no run".to_owned()))
        }
        Ok(Translation::Ignored(reason)) => Ok(Translation::Ignored(short(&reason))),
        Ok(Translation::Notifications(mut notifications)) => {
            notifications.iter_mut().for_each(tidy::tidy);
            Ok(Translation::Notifications(notifications))
        }
        Err(fault) => Err(short(&fault)),
    }
}

/// Returns a text in one line, cut to [`MOST_REASON`] bytes.
fn short(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(MOST_REASON)
        .collect();
    while line.len() > MOST_REASON {
        line.pop();
    }
    line
}
