//! A delivery as the mappings read it.

use crate::{Delivery, Notification, Translation};
use serde::Deserialize;

/// A delivery.
#[derive(Clone, Copy)]
pub(crate) struct Event<'a>(pub &'a Delivery);

/// The result of a mapping. The error is one line that names the field.
pub(crate) type Translated = Result<Translation, String>;

impl<'a> Event<'a> {
    /// Returns the value of a header; its name is in lower case.
    pub(crate) fn header(self, name: &str) -> Option<&'a str> {
        let mut headers = self.0.headers.iter();
        headers
            .find(|header| header.name == name)
            .map(|header| header.value.trim())
    }

    /// Returns the value of a setting of the operator.
    pub(crate) fn setting(self, name: &str) -> Option<&'a str> {
        let mut settings = self.0.settings.iter();
        settings
            .find(|setting| setting.name == name)
            .map(|setting| setting.value.trim())
    }

    /// Returns the body, read as JSON.
    pub(crate) fn json<T: Deserialize<'a>>(self) -> Result<T, String> {
        serde_json::from_str(&self.0.body)
            .map_err(|error| format!("the body is not the JSON of such a delivery: {error}"))
    }

    /// Returns the time of receipt, in RFC 3339.
    pub(crate) fn received_at(self) -> &'a str {
        &self.0.received_at
    }
}

/// Returns the result for an event that is about no run.
pub(crate) fn ignored(reason: impl Into<String>) -> Translated {
    Ok(Translation::Ignored(reason.into()))
}

/// Returns the result for a delivery with one notification.
pub(crate) fn one(notification: Notification) -> Translated {
    Ok(Translation::Notifications(vec![notification]))
}

/// Returns a value that a run cannot do without.
pub(crate) fn required<T>(value: Option<T>, field: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("{field} is missing or of another type"))
}
