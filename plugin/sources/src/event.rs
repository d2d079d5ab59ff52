//! The parts of a delivery that the mappings read, and the results that they return.

use crate::loose::{Loose, read};
use crate::{Delivery, Notification, Translation};
use percent_encoding::percent_decode_str;

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

    /// Returns the documented fields of the body, a JSON object. A form with the object in its field `payload` is read too: GitHub and Gitea send
    /// one where the webhook's content type was left at its default.
    pub(crate) fn fields<T: Loose>(self) -> Result<T, String> {
        let form = self.0.body.strip_prefix("payload=").map(|form| {
            let value = form.split('&').next().unwrap_or_default().replace('+', " ");
            percent_decode_str(&value).decode_utf8_lossy().into_owned()
        });
        let text = form.as_deref().unwrap_or(&self.0.body);
        let no_object = "the body is not a JSON object; choose the content type application/json";
        if !text.trim_start().starts_with('{') {
            return Err(no_object.to_owned());
        }
        read(text)
            .map_err(|error| format!("the body is not the JSON of such a delivery: {error}"))?
            .ok_or_else(|| no_object.to_owned())
    }

    /// Returns the value of the first header with one of these names, in lower case; none if it is empty.
    pub(crate) fn first_header(self, names: &[&str]) -> Option<&'a str> {
        let values = names.iter().filter_map(|name| self.header(name));
        values.into_iter().find(|value| !value.is_empty())
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

/// Returns the result for an event that only other kinds of receivers need.
pub(crate) fn other_event(name: &str) -> Translated {
    ignored(format!("the event `{name}` is about no run"))
}

/// Returns the result for a delivery with one notification.
pub(crate) fn one(notification: Notification) -> Translated {
    Ok(Translation::Notifications(vec![notification]))
}

/// Returns the result for a delivery about a run and its jobs.
pub(crate) fn all(notifications: Vec<Notification>) -> Translated {
    Ok(Translation::Notifications(notifications))
}

/// Returns a value that a run cannot do without.
pub(crate) fn required<T>(value: Option<T>, field: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("{field} is missing or of another type"))
}
