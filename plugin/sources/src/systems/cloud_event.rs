//! CloudEvents over HTTP ("HTTP Protocol Binding for CloudEvents"): in binary mode the attributes are headers and the body is the data; in structured mode both
//! are in the body. A queue or a gateway may have dropped the headers.

use crate::event::Event;
use crate::loose::{Loose, loose};
use crate::time::Moment;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A CloudEvent.
pub(crate) struct CloudEvent<T> {
    /// The attribute `type`.
    pub kind: Option<String>,
    /// The attribute `source`.
    pub source: Option<String>,
    /// The attribute `time`.
    pub time: Option<Moment>,
    /// Its data.
    pub data: T,
}

/// An event in structured mode.
#[derive(Deserialize)]
#[serde(bound = "T: Loose<'de>")]
struct Envelope<T> {
    #[serde(default, deserialize_with = "loose")]
    specversion: Option<String>,
    #[serde(default, deserialize_with = "loose", rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    source: Option<String>,
    #[serde(default, deserialize_with = "loose")]
    time: Option<Moment>,
    #[serde(default, deserialize_with = "loose")]
    data: Option<T>,
}

impl<T: DeserializeOwned + for<'a> Loose<'a>> CloudEvent<T> {
    /// Reads a delivery in either mode.
    pub(crate) fn read(event: &Event<'_>) -> Result<Self, String> {
        let envelope: Envelope<T> = event.fields()?;
        if let (Some(_), Some(data)) = (envelope.specversion, envelope.data) {
            return Ok(Self {
                kind: envelope.kind,
                source: envelope.source,
                time: envelope.time,
                data,
            });
        }
        let attribute = |name| event.first_header(&[name]).map(str::to_owned);
        Ok(Self {
            kind: attribute("ce-type"),
            source: attribute("ce-source"),
            time: event.first_header(&["ce-time"]).and_then(Moment::read),
            data: event.fields()?,
        })
    }
}
